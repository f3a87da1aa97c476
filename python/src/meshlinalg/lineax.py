# SPDX-License-Identifier: Apache-2.0
"""Solvers for lineax (``pip install meshlinalg[lineax]``).

    from meshlinalg.lineax import Cholesky
    operator = lineax.MatrixLinearOperator(A, lineax.positive_semidefinite_tag)
    x = lineax.linear_solve(operator, b, Cholesky(mesh, P("x", None))).value

The factor is made once for an operator, also for the derivatives, which are lineax's own, and may
be kept: ``lineax.linear_solve(operator, b, solver, state=solver.init(operator, {}))``.

lineax solves inside a program and does not know shardings as types: the mesh must have automatic
axes, and `mesh` and `spec` say where the matrix lies.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import lineax

from . import _jax_compat as compat
from ._cholesky import CholeskyFactor, cho_factor
from ._lu import LUFactor, lu_factor

__all__ = ["LU", "AutoShardedLinearSolver", "Cholesky"]


class _Definite(eqx.Module):
    """The factor of A or of -A; with `conjugate` the system is that of conj(A) = A^T."""

    factor: CholeskyFactor
    negative: bool = eqx.field(static=True)
    conjugate: bool = eqx.field(static=True, default=False)


class Cholesky(lineax.AbstractLinearSolver):
    """For positive or negative definite operators, sharded over a mesh.

    Args:
      mesh, spec, tile_size: as in `meshlinalg.solve`.

    An operator that is not definite gives ``RESULTS.singular``.
    """

    mesh: Any = eqx.field(static=True, default=None)
    spec: Any = eqx.field(static=True, default=None)
    tile_size: int | None = eqx.field(static=True, default=None)

    def init(self, operator, options):
        del options
        negative = lineax.is_negative_semidefinite(operator)
        if not (negative or lineax.is_positive_semidefinite(operator)):
            raise ValueError(
                "Cholesky expects an operator that is tagged lineax.positive_semidefinite_tag or "
                "lineax.negative_semidefinite_tag"
            )
        a = operator.as_matrix()
        if not jax.typeof(a).sharding.mesh.empty and compat.is_explicit(
            jax.typeof(a).sharding.mesh
        ):
            raise ValueError(
                f"lineax needs a mesh with automatic axes, got {jax.typeof(a).sharding.mesh}"
            )
        a = -a if negative else a
        options = {"mesh": self.mesh, "spec": self.spec, "tile_size": self.tile_size}
        return _Definite(cho_factor(a, **options), negative)

    def compute(self, state, vector, options):
        del options
        b, restore = _flat(vector)
        b = jnp.conj(b) if state.conjugate else b
        x = state.factor.solve(b)
        x = jnp.conj(x) if state.conjugate else x
        # NaN where the operator is not definite, which lineax sees.
        return restore(-x if state.negative else x), lineax.RESULTS.successful, {}

    def transpose(self, state, options):
        return _Definite(state.factor, state.negative, not state.conjugate), options

    def conj(self, state, options):
        return self.transpose(state, options)

    def assume_full_rank(self):
        return True


class _General(eqx.Module):
    """The factor of A; the system may be that of A^T, of conj(A) or of A^H. `gives` and `takes`
    are the structures of solutions and of right-hand sides."""

    factor: LUFactor
    gives: Any = eqx.field(static=True)
    takes: Any = eqx.field(static=True)
    transpose: bool = eqx.field(static=True, default=False)
    conjugate: bool = eqx.field(static=True, default=False)


class LU(lineax.AbstractLinearSolver):
    """For square operators, sharded over a mesh.

    Args:
      mesh, spec, tile_size: as in `Cholesky`.
    """

    mesh: Any = eqx.field(static=True, default=None)
    spec: Any = eqx.field(static=True, default=None)
    tile_size: int | None = eqx.field(static=True, default=None)

    def init(self, operator, options):
        del options
        if operator.in_size() != operator.out_size():
            raise ValueError("LU expects a square operator")
        options = {"mesh": self.mesh, "spec": self.spec, "tile_size": self.tile_size}
        structures = _structure(operator.in_structure()), _structure(operator.out_structure())
        return _General(lu_factor(_matrix(operator), **options), *structures)

    def compute(self, state, vector, options):
        del options
        b, _ = _flat(vector)
        if state.conjugate and not state.transpose:  # there is no trans= for conj(A)
            x = jnp.conj(state.factor.solve(jnp.conj(b)))
        else:
            x = state.factor.solve(b, int(state.transpose) + int(state.conjugate))
        return _build(state.gives, x), lineax.RESULTS.successful, {}

    def transpose(self, state, options):
        turned = not state.transpose
        return _General(state.factor, state.takes, state.gives, turned, state.conjugate), options

    def conj(self, state, options):
        other = not state.conjugate
        return _General(state.factor, state.gives, state.takes, state.transpose, other), options

    def assume_full_rank(self):
        return True


class AutoShardedLinearSolver(lineax.AbstractLinearSolver):
    """`Cholesky` for operators that are tagged definite, `LU` for other square ones without a
    structure that makes them simple, lineax's own choice for the rest.

    Args:
      well_posed: as in lineax.AutoLinearSolver.
      mesh, spec, tile_size: as in `Cholesky`.
    """

    well_posed: bool | None = True
    mesh: Any = eqx.field(static=True, default=None)
    spec: Any = eqx.field(static=True, default=None)
    tile_size: int | None = eqx.field(static=True, default=None)

    def select_solver(self, operator):
        """The solver that an operator gets."""
        simple = lineax.is_diagonal(operator) or lineax.is_tridiagonal(operator)
        simple = simple or lineax.is_lower_triangular(operator)
        simple = simple or lineax.is_upper_triangular(operator)
        square = operator.in_size() == operator.out_size()
        if simple or not square or self.well_posed is False:
            return lineax.AutoLinearSolver(self.well_posed)
        definite = lineax.is_positive_semidefinite(operator)
        definite = definite or lineax.is_negative_semidefinite(operator)
        return (Cholesky if definite else LU)(self.mesh, self.spec, self.tile_size)

    def init(self, operator, options):
        solver = self.select_solver(operator)
        return solver, solver.init(operator, options)

    def compute(self, state, vector, options):
        solver, inner = state
        return solver.compute(inner, vector, options)

    def transpose(self, state, options):
        solver, inner = state
        inner, options = solver.transpose(inner, options)
        return (solver, inner), options

    def conj(self, state, options):
        solver, inner = state
        inner, options = solver.conj(inner, options)
        return (solver, inner), options

    def assume_full_rank(self):
        return lineax.AutoLinearSolver(self.well_posed).assume_full_rank()


def _matrix(operator):
    """The operator's matrix, on a mesh that lineax can work with."""
    a = operator.as_matrix()
    there = jax.typeof(a).sharding.mesh
    if not there.empty and compat.is_explicit(there):
        raise ValueError(f"lineax needs a mesh with automatic axes, got {there}")
    return a


def _structure(tree):
    """What a pytree of shapes looks like, hashable."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(leaf.shape for leaf in leaves)


def _build(structure, x):
    """The pytree that the array x is a flat form of."""
    structure, shapes = structure
    if len(shapes) == 1:
        return jax.tree.unflatten(structure, [x.reshape(shapes[0])])
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    parts = jnp.split(x, ends[:-1])
    leaves = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return jax.tree.unflatten(structure, leaves)


def _flat(vector):
    """The vector as one array, which keeps its sharding if it is one; and the way back."""
    leaves, structure = jax.tree.flatten(vector)
    if len(leaves) == 1 and leaves[0].ndim == 1:
        return leaves[0], lambda x: jax.tree.unflatten(structure, [x])
    return jax.flatten_util.ravel_pytree(vector)
