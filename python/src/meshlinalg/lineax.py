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

from typing import Any

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import lineax

from . import _jax_compat as compat
from ._cholesky import CholeskyFactor, cho_factor

__all__ = ["AutoShardedLinearSolver", "Cholesky"]


class _State(eqx.Module):
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
        return _State(cho_factor(a, **options), negative)

    def compute(self, state, vector, options):
        del options
        b, restore = _flat(vector)
        b = jnp.conj(b) if state.conjugate else b
        x = state.factor.solve(b)
        x = jnp.conj(x) if state.conjugate else x
        # NaN where the operator is not definite, which lineax sees.
        return restore(-x if state.negative else x), lineax.RESULTS.successful, {}

    def transpose(self, state, options):
        return _State(state.factor, state.negative, not state.conjugate), options

    def conj(self, state, options):
        return self.transpose(state, options)

    def assume_full_rank(self):
        return True


class AutoShardedLinearSolver(lineax.AbstractLinearSolver):
    """`Cholesky` for operators that are tagged definite; lineax's own choice for all others.

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
        definite = lineax.is_positive_semidefinite(operator)
        definite = definite or lineax.is_negative_semidefinite(operator)
        simple = lineax.is_diagonal(operator) or lineax.is_tridiagonal(operator)
        if definite and not simple and self.well_posed is not False:
            return Cholesky(self.mesh, self.spec, self.tile_size)
        return lineax.AutoLinearSolver(self.well_posed)

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


def _flat(vector):
    """The vector as one array, which keeps its sharding if it is one; and the way back."""
    leaves, structure = jax.tree.flatten(vector)
    if len(leaves) == 1 and leaves[0].ndim == 1:
        return leaves[0], lambda x: jax.tree.unflatten(structure, [x])
    return jax.flatten_util.ravel_pytree(vector)
