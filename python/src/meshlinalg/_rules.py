# SPDX-License-Identifier: Apache-2.0
"""The calls of `_ops` with derivatives. ' is a tangent, ^H the conjugate transpose, o the product
of elements.

    solve      x' = A^-1 (b' - A' x)                 one factor for x and x'
    log det    l' = Re tr(A^-1 A')                   by the inverse
    inverse    X' = -X A' X
    cholesky   L' = L phi(M), M = L^-1 A' L^-H       phi: lower triangle, half of the diagonal
    eigh       w' = Re diag(M), V' = V (F o M), M = V^H A' V, F_ij = 1 / (w_j - w_i), F_ii = 0

A is Hermitian, and so is the A' of every rule: (A' + A'^H) / 2 of what comes in, as if A had been
symmetrised. The tangent of a factor is A': all that is computed from a factor depends on A alone.
JAX transposes the rules for the reverse mode. In products of distributed matrices shards go round
the ranks, the linear operand on the right: no device holds more than a few shards, in either mode.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

from . import _jax_compat as compat
from . import _ops
from ._ops import Call
from ._sharding import Plan

_with_rule = functools.partial(jax.custom_jvp, nondiff_argnums=(0,))


def _none(x):
    """The tangent of a result that has none."""
    return np.zeros(x.shape, jax.dtypes.float0) if x.dtype == jnp.int32 else jnp.zeros_like(x)


# ---- products of distributed matrices: rows in, rows out, inside the map ------------------------


def _clean(plan: Plan, rows):
    """Zeros below row n, where a shard may hold anything."""
    if plan.lc * plan.ranks == plan.n:
        return rows
    row, _ = plan.indices(rows)
    return jnp.where(row < plan.n, rows, 0)


def _hermitian(plan: Plan, rows):
    rows = _clean(plan, rows)
    return (rows + plan.turn(rows)) / 2


def _product(plan: Plan, x, y):
    """X Y: the shards of Y go round, and meet the columns of X that belong to them."""
    lc, ranks = plan.lc, plan.ranks
    x = jnp.pad(x, ((0, 0), (0, lc * ranks - x.shape[1])))
    down = [(p, (p - 1) % ranks) for p in range(ranks)]
    parts = []
    for k in range(ranks):
        owner = (plan.group.rank() + k) % ranks
        block = jax.lax.dynamic_slice_in_dim(x, owner * lc, lc, axis=1)
        parts.append(jnp.matmul(block, y, precision="highest"))
        if k + 1 < ranks:
            y = jax.lax.ppermute(y, plan.axes, down)
    return functools.reduce(jnp.add, parts)


def _share(plan: Plan, rows):
    """All rows on every rank, and known to be equal (of an all-gather JAX does not know that)."""
    if plan.axes:
        whole = jnp.zeros((plan.lc * plan.ranks, *rows.shape[1:]), rows.dtype)
        first = plan.group.rank() * plan.lc
        rows = jax.lax.psum(
            jax.lax.dynamic_update_slice_in_dim(whole, rows, first, axis=0), plan.axes
        )
    return rows[: plan.n]


def _sandwich(plan: Plan, c, h):
    """C H C^H for a Hermitian H."""
    c = _clean(plan, c)
    return plan.turn(_product(plan, c, plan.turn(_product(plan, c, h))))


def _on_rows(call: Call, f, *rows):
    """f of row shards, giving row shards, mapped."""
    spec = call.plan.rows_spec
    return call.plan.map(f, (spec,) * len(rows), spec)(*rows)


# ---- solve -------------------------------------------------------------------------------------


def _apply(call: Call, a, x):
    """A x, laid out like x."""
    plan, spec = call.plan, call.sides_spec

    def local(a, x):
        if call.sides.rows:
            x = plan.gather(x)
        y = jnp.matmul(_hermitian(plan, a), x, precision="highest")
        return y if call.sides.rows else _share(plan, y)

    return plan.map(local, (plan.rows_spec, spec), spec)(a, x)


def _solve(call: Call, f, a, b):
    """A^-1 b by the factor f of A. It is linear in b; its derivative sees A alone."""
    f = jax.lax.stop_gradient(f)
    # JAX takes x for different on each rank if A is, inside a map that tracks this.
    varying = frozenset().union(*map(compat.varying_axes, (f, a, b)))

    def matvec(x):
        return compat.as_varying(_apply(call, a, x), varying)

    def solve(_, b):
        return compat.as_varying(_ops.potrs(call, f, b)[0], varying)

    def transposed(_, b):  # A^T = conj(A)
        return jnp.conj(solve(None, jnp.conj(b)))

    x = jax.lax.custom_linear_solve(matvec, compat.as_varying(b, varying), solve, transposed)
    equal = () if call.sides.rows else tuple(varying.intersection(call.plan.axes))
    return jax.lax.pmean(x, equal) if equal else x


@_with_rule
def posv(call: Call, a, b):
    """A, b -> x, info[, factor]."""
    return tuple(_ops.posv(call, a, b))


@posv.defjvp
def _posv_jvp(call, primals, tangents):
    with_factor = dataclasses.replace(call, keep=True)
    _, info, f = _ops.potrf(with_factor, jax.lax.stop_gradient(primals[0]))

    def solve(a, b):
        return _solve(call, f, a, b)

    x, dx = jax.jvp(solve, primals, tangents)
    return (x, info, *call.last(f)), (dx, _none(info), *map(_none, call.last(f)))


# ---- factor --------------------------------------------------------------------------------------


@_with_rule
def factor(call: Call, a):
    """A -> log det (see `factor_logdet`), info, factor."""
    return tuple(_ops.potrf(dataclasses.replace(call, keep=True), a))


@factor.defjvp
def _factor_jvp(call, primals, tangents):
    logdet, info, f = factor(call, *primals)
    return (logdet, info, f), (_none(logdet), _none(info), tangents[0])


@_with_rule
def potrs(call: Call, f, b):
    """Factor, b -> x."""
    return _ops.potrs(call, f, b)[0]


@potrs.defjvp
def _potrs_jvp(call, primals, tangents):
    def solve(f, b):
        # f in the place of A: wrong as a value, which nobody asks for, and right as a derivative.
        return _solve(call, f, f, b)

    return jax.jvp(solve, primals, tangents)


# ---- log det and inverse -------------------------------------------------------------------------


def _trace(call: Call, x, a):
    """Re tr(X A) of Hermitian X and A: the sum of conj(x_ij) a_ij."""
    plan = call.plan

    def local(x, a):
        total = jnp.sum(jnp.real(jnp.conj(_clean(plan, x)) * _clean(plan, a)))
        return jax.lax.psum(total, plan.axes) if plan.axes else total

    return plan.map(local, (plan.rows_spec, plan.rows_spec), P())(x, a)


def _minus_sandwich(call: Call, x, a):
    plan = call.plan
    return _on_rows(call, lambda x, a: -_sandwich(plan, x, _hermitian(plan, a)), x, a)


@_with_rule
def logdet(call: Call, a):
    """A -> log det, info[, factor]."""
    return tuple(_ops.potrf(call, a))


@logdet.defjvp
def _logdet_jvp(call, primals, tangents):
    value, info, f = factor(call, *primals)
    value, tangent = _factor_logdet_jvp(call, (f, value), tangents)
    kept = call.last(f)
    return (value, info, *kept), (tangent, _none(info), *map(_none, kept))


@_with_rule
def factor_logdet(call: Call, f, value):
    """log det A, which is `value`; its derivative needs the factor."""
    return value


@factor_logdet.defjvp
def _factor_logdet_jvp(call, primals, tangents):
    f, value = primals
    inverse = potri(call, f)
    return _given_inverse(call, f, value, inverse), _trace(call, inverse, tangents[0])


@_with_rule
def _given_inverse(call: Call, f, value, inverse):
    """log det A once more, for the next derivative."""
    return value


@_given_inverse.defjvp
def _given_inverse_jvp(call, primals, tangents):
    return _given_inverse(call, *primals), _trace(call, primals[2], tangents[0])


@_with_rule
def potri(call: Call, f):
    """Factor -> inverse."""
    return _ops.potri(call, f)


@potri.defjvp
def _potri_jvp(call, primals, tangents):
    inverse = potri(call, *primals)
    return inverse, _minus_sandwich(call, inverse, *tangents)


@_with_rule
def poinv(call: Call, a):
    """A -> inverse, info."""
    return tuple(_ops.poinv(call, a))


@poinv.defjvp
def _poinv_jvp(call, primals, tangents):
    inverse, info = poinv(call, *primals)
    return (inverse, info), (_minus_sandwich(call, inverse, *tangents), _none(info))


# ---- triangular factor ---------------------------------------------------------------------------


@_with_rule
def cholesky(call: Call, a):
    """A -> U with A = U^H U."""
    return _ops.cholesky(call, a)


@cholesky.defjvp
def _cholesky_jvp(call, primals, tangents):
    (a,), (da,) = primals, tangents
    plan = call.plan
    u = cholesky(call, a)
    low = _ops.turn(call, u)
    # L^-H = A^-1 L, by the factor that is good for solving
    by_rows = dataclasses.replace(call, sides=dataclasses.replace(call.sides, rows=True))
    inverse, *_ = posv(by_rows, a, low)

    def tangent(low, inverse, da):
        m = _sandwich(plan, plan.turn(_clean(plan, inverse)), _hermitian(plan, da))
        row, col = plan.indices(m)
        phi = jnp.where(row > col, m, jnp.where(row == col, m / 2, 0))
        return plan.turn(_product(plan, _clean(plan, low), _clean(plan, phi)))

    return u, _on_rows(call, tangent, low, inverse, da)


# ---- eigenproblems -------------------------------------------------------------------------------


def _in_eigenbasis(plan: Plan, v, da):
    """V^H A' V."""
    return _sandwich(plan, plan.turn(_clean(plan, v)), _hermitian(plan, da))


def _values_tangent(call: Call, v, da):
    plan = call.plan

    def local(v, da):
        m = _in_eigenbasis(plan, v, da)
        row, col = plan.indices(m)
        return _share(plan, jnp.sum(jnp.where(row == col, jnp.real(m), 0), axis=1))

    return plan.map(local, (plan.rows_spec, plan.rows_spec), P(None))(v, da)


def _vectors_tangent(call: Call, w, v, da):
    plan = call.plan

    def local(w, v, da):
        m = _in_eigenbasis(plan, v, da)
        row, col = plan.indices(m)
        off = (row != col) & (row < plan.n)
        gap = jnp.where(off, w - jnp.take(w, row, mode="clip"), 1)
        fm = jnp.where(off, m, 0) / gap.astype(m.dtype)
        return _product(plan, _clean(plan, v), fm)

    rows = plan.rows_spec
    return plan.map(local, (P(None), rows, rows), rows)(w, v, da)


@_with_rule
def syevd(call: Call, a):
    """A -> w, V, info[, work]."""
    return tuple(_ops.syevd(call, a))


@syevd.defjvp
def _syevd_jvp(call, primals, tangents):
    w, v, info, *kept = syevd(call, *primals)
    dw, dv = _values_tangent(call, v, *tangents), _vectors_tangent(call, w, v, *tangents)
    return (w, v, info, *kept), (dw, dv, _none(info), *map(_none, kept))


@_with_rule
def syevd_values(call: Call, a):
    """A -> w, info[, work]."""
    return tuple(_ops.syevd_values(call, a))


@syevd_values.defjvp
def _syevd_values_jvp(call, primals, tangents):
    w, v, info, *kept = syevd(call, *primals)
    return (w, info, *kept), (_values_tangent(call, v, *tangents), _none(info), *map(_none, kept))
