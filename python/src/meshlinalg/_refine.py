# SPDX-License-Identifier: Apache-2.0
"""Positive definite systems from a factor of lower precision.

A is scaled by powers of two to a diagonal between 1/2 and 2, rounded to the lower precision, moved
by a little more than the error of its products, so that it stays positive definite, and factored
there: D A D + s I = L L^H + E. Conjugate gradients with D (L L^H)^-1 D as preconditioner then
solve A x = b in the working precision. They stop where LAPACK's dsposv does,

    ||b - A x|| <= sqrt(n) u ||A|| ||x||     (infinity norms, each column)

which is the residual of a backward stable solver. A factorisation that breaks down, or MOST_STEPS
steps that do not get there, are followed by the factorisation in the working precision.

    float64, complex128    factor in float32, complex64; "high" products, or as `precision` says
    float32, complex64     factor of the same type with "default" products (one bfloat16 piece)

Wathen and Higham's view of A ~ L L^H as a preconditioner: Higham, Pranesh, Exploiting lower
precision arithmetic in solving symmetric positive definite linear systems, SISC 43 (2021).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

from . import _ffi, _ops, _rules
from ._ops import Call

MOST_STEPS = 50
HIGH, LOW = 1, 2  # mla_precision_t
_SHIFT = (2.0**-22, 2.0**-15, 2.0**-8)  # s, by precision
_LOWER = {"float64": "float32", "complex128": "complex64"}


class RefineInfo(NamedTuple):
    """What `solve(..., refine=True, return_info=True)` says of the solution."""

    info: jax.Array  #: int32: 0, or i > 0 if the leading minor of order i is not positive definite
    steps: jax.Array  #: int32: steps of conjugate gradients after the first solution
    full: jax.Array  #: bool: whether the factorisation in the working precision was needed
    residual: jax.Array  #: ||b - A x|| / (||A|| ||x||), infinity norms, the largest of all columns


def nothing_to_do(dtype) -> RefineInfo:
    """Without right-hand sides."""
    zero = jnp.zeros((), jnp.finfo(dtype).dtype)
    return RefineInfo(jnp.int32(0), jnp.int32(0), jnp.array(False), zero)


class _System:
    """A x = b on the shards of one device: the operations that depend on the layout."""

    def __init__(self, call: Call, a):
        self.plan, self.by_rows, self.sizes = call.plan, call.sides.rows, call.sizes
        self.rhs = call.rhs
        self.a = _rules._clean(self.plan, a)
        rows = jnp.sum(jnp.abs(self.a[:, : self.plan.n]), axis=1)
        self.norm = self._most(jnp.max(rows, initial=0), always=True)

    def _most(self, x, always=False):
        split = self.plan.axes and (always or self.by_rows)
        return jax.lax.pmax(x, self.plan.axes) if split else x

    def times(self, x):
        """A x, laid out like x."""
        if not self.by_rows:
            y = jnp.matmul(self.a, x, precision="highest")
            return _rules._share(self.plan, y) if self.plan.axes else y[: self.plan.n]
        if x.shape[1] > self.plan.lc:  # all of x would be more than a shard
            return _rules._product(self.plan, self.a, x)
        return jnp.matmul(self.a, self.plan.gather(x), precision="highest")

    def dot(self, x, y):
        """Re x^H y, column by column."""
        value = jnp.sum(jnp.real(jnp.conj(x) * y), axis=0)
        return jax.lax.psum(value, self.plan.axes) if self.plan.axes and self.by_rows else value

    def size(self, x):
        """Infinity norm, column by column."""
        return self._most(jnp.max(jnp.abs(x), axis=0, initial=0))

    def scaled(self, x):
        return self.scale[:, None] * x

    def factor(self, low, precision):
        """D and the factor of D A D in the type `low`."""
        plan = self.plan
        row, col = plan.indices(self.a)
        diagonal = jnp.sum(jnp.where(row == col, jnp.real(self.a), 0), axis=1)
        good = (diagonal > 0) & jnp.isfinite(diagonal)
        own = jnp.where(good, jnp.exp2(-jnp.round(jnp.log2(jnp.where(good, diagonal, 1)) / 2)), 1)
        every = _rules._share(plan, own) if plan.axes else own[: plan.n]
        self.scale = own if self.by_rows else every
        self.group = dataclasses.replace(plan.group, precision=precision)
        columns = jnp.pad(every, (0, self.a.shape[1] - plan.n))
        small = self.a * own[:, None] * columns
        small = jnp.where(row == col, small + _SHIFT[precision], small).astype(low)
        self.low, (self.lower, _, info) = low, _ffi.potrf(small, self.group, **self.sizes)
        return info

    def precondition(self, r):
        """D (L L^H)^-1 D r; the sizes of the columns stay out of the narrow range of `low`."""
        r = self.scaled(r)
        size = self.size(r)
        size = jnp.where(size > 0, size, 1)
        b = (r / size).astype(self.low)
        x = _ffi.potrs(self.lower, b, self.group, rhs=self.rhs, **self.sizes)
        return self.scaled(x.astype(r.dtype)) * size


def _conjugate_gradients(system: _System, b):
    """x, its residual, steps, whether all columns are as good as they should be."""
    unit = jnp.finfo(b.dtype).eps / 2
    limit = system.norm * (system.plan.n**0.5 * unit)

    def good(r, x):
        return system.size(r) <= limit * system.size(x)

    def unfinished(state):
        x, r, *_, steps = state
        return ~jnp.all(good(r, x)) & jnp.all(jnp.isfinite(r)) & (steps < MOST_STEPS)

    def step(state):
        x, r, p, z, rho, steps = state
        q = system.times(p)
        curvature = system.dot(p, q)
        move = ~good(r, x) & (curvature > 0)  # a column that is done stays
        alpha = jnp.where(move, rho / jnp.where(move, curvature, 1), 0)
        x = x + alpha * p
        new = r - alpha * q
        # What the recurrence takes for the residual is good enough: look at the real one.
        new = jax.lax.cond(jnp.all(good(new, x)), lambda: b - system.times(x), lambda: new)
        z = system.precondition(new)
        # Polak and Ribiere's beta: the preconditioner is not quite linear.
        beta = jnp.where(rho > 0, system.dot(new - r, z) / jnp.where(rho > 0, rho, 1), 0)
        p = z + jnp.maximum(beta, 0) * p
        return x, new, p, z, system.dot(new, z), steps + 1

    x = system.precondition(b)
    r = b - system.times(x)
    z = system.precondition(r)
    state = (x, r, z, z, system.dot(r, z), jnp.int32(0))
    x, _, _, _, _, steps = jax.lax.while_loop(unfinished, step, state)
    r = b - system.times(x)
    return x, r, steps, jnp.all(good(r, x))


def _local(call: Call, a, b):
    """x, info, steps, full, residual."""
    low = jnp.dtype(_LOWER.get(a.dtype.name, a.dtype.name))
    precision = call.plan.precision or (HIGH if low != a.dtype else LOW)
    system = _System(call, a)
    if call.sides.rows:
        b = _rules._clean(call.plan, b)
    info = system.factor(low, precision)

    def refined():  # squares of the columns must not leave the range
        size = system.size(b)
        size = jnp.where((size > 0) & jnp.isfinite(size), size, 1)
        x, r, steps, right = _conjugate_gradients(system, b / size)
        return x * size, r * size, steps, right & (info == 0)

    def hopeless():
        return b, b, jnp.int32(0), jnp.array(False)

    x, r, steps, right = jax.lax.cond(info == 0, refined, hopeless)

    def keep():
        return x, r, jnp.int32(0)

    def whole():
        group = dataclasses.replace(call.plan.group, precision=0)
        _, x, _, info = _ffi.posv(a, b, group, rhs=call.rhs, **call.sizes)
        return x, b - system.times(x), info

    x, r, info = jax.lax.cond(right, keep, whole)
    size = system.norm * system.size(x)
    relative = jnp.where(size > 0, system.size(r) / jnp.where(size > 0, size, 1), 0)
    residual = jnp.max(jnp.where(jnp.isnan(size), size, relative), initial=0)
    return x, info, steps, ~right, residual


def _mapped(call: Call, a, b):
    spec, scalars = call.sides_spec, (P(),) * 4
    local = functools.partial(_local, call)
    return tuple(call.plan.map(local, (call.plan.rows_spec, spec), (spec, *scalars))(a, b))


def _linear(call: Call, a, b):
    """A^-1 b as a linear function of b, solved by `_mapped` in either mode."""
    fixed = jax.lax.stop_gradient(a)

    def once(_, b):
        return _mapped(call, fixed, b)[0]

    def transposed(_, b):  # A^T = conj(A)
        return jnp.conj(once(None, jnp.conj(b)))

    return jax.lax.custom_linear_solve(lambda x: _rules._apply(call, a, x), b, once, transposed)


@_rules._with_rule
def solve(call: Call, a, b):
    """Row shards of A, b -> x and the fields of RefineInfo. A derivative solves once more."""
    return _mapped(call, a, b)


@functools.partial(solve.defjvp, symbolic_zeros=True)
def _solve_jvp(call, primals, tangents):
    a, b = primals
    da, db = tangents
    x, *how = solve(call, a, b)
    right = jnp.zeros_like(b) if isinstance(db, _rules._Zero) else db
    if not isinstance(da, _rules._Zero):
        right = right - _rules._apply(call, da, x)
    none = [
        jnp.zeros_like(h) if jnp.issubdtype(h.dtype, jnp.floating) else _no_tangent(h) for h in how
    ]
    return (x, *how), (_linear(call, a, right), *none)


def _no_tangent(h):
    return np.zeros(h.shape, jax.dtypes.float0)


def refined(call: Call, a, b):
    """x, RefineInfo of the caller's matrix and right-hand sides."""
    x, *how = solve(call, _ops.rows_of(call, a), call.sides.enter(b, call.plan))
    return call.sides.leave(x, call.plan), RefineInfo(*how)
