# SPDX-License-Identifier: Apache-2.0
"""The calls of `_ops` with derivatives. ' is a tangent, ^H the conjugate transpose, o the product
of elements.

    solve      x' = A^-1 (b' - A' x)                 one factor for x and x'
    log det    l' = Re tr(A^-1 A')                   by the inverse, from the factor
    inverse    X' = -X A' X                          its diagonal: without the second product
    cholesky   U' = (L phi(M))^H, M = X^H A' X       X = U^-1; phi: lower triangle, diagonal halved
    eigh       w' = Re diag(M), V' = V (F o M), M = V^H A' V, F_ij = 1 / (w_j - w_i), F_ii = 0

A is Hermitian, and so is the A' of every rule: (A' + A'^H) / 2 of what comes in, as if A had been
symmetrised. The tangent of a factor is A': all that is computed from a factor depends on A alone.

A rule says what the tangent is, in JAX: of row shards, with other functions of this file. JAX
transposes it for the reverse mode and differentiates it for second derivatives. In products of
distributed matrices shards go round the ranks, the linear operand on the right: no device holds
more than a few shards, in either mode.
"""

from __future__ import annotations

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
_Zero = jax.custom_derivatives.SymbolicZero


def _none(x):
    """The tangent of a result that has none."""
    return np.zeros(x.shape, jax.dtypes.float0) if x.dtype == jnp.int32 else jnp.zeros_like(x)


def _jvp(f, primals, tangents):
    """f and its tangent; what does not move is a constant, and costs nothing."""
    moving = [i for i, t in enumerate(tangents) if not isinstance(t, _Zero)]

    def restricted(*xs):
        return f(*(xs[moving.index(i)] if i in moving else x for i, x in enumerate(primals)))

    return jax.jvp(restricted, [primals[i] for i in moving], [tangents[i] for i in moving])


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


def _spread(plan: Plan, rows):
    """This rank's rows in their place, and zeros."""
    whole = jnp.zeros((plan.lc * plan.ranks, *rows.shape[1:]), rows.dtype)
    return jax.lax.dynamic_update_slice_in_dim(whole, rows, plan.group.rank() * plan.lc, axis=0)


def _sum(plan: Plan, x):
    return jax.lax.psum(x, plan.axes) if plan.axes else x


def _share(plan: Plan, rows):
    """All rows on every rank, and known to be equal (of an all-gather JAX does not know that)."""
    return _sum(plan, _spread(plan, rows))[: plan.n]


def _triple(plan: Plan, c, h, d):
    """C H D^H."""
    return plan.turn(_product(plan, d, plan.turn(_product(plan, c, h))))


def _sandwich(plan: Plan, c, h):
    """C H C^H."""
    return _triple(plan, c, h, c)


def _sandwich_diagonal(plan: Plan, c, h):
    """Diagonal of C H C^H for a Hermitian H, on every rank."""
    return _share(plan, jnp.sum(jnp.real(_product(plan, c, h) * jnp.conj(c)), axis=1))


def _on_rows(call: Call, f, *rows):
    """f of row shards, giving row shards, mapped."""
    spec = call.plan.rows_spec
    return call.plan.map(f, (spec,) * len(rows), spec)(*rows)


# ---- solve -------------------------------------------------------------------------------------


def _apply(call: Call, a, x):
    """(A + A^H) x / 2, laid out like x. A stays where it is."""
    plan, spec, by_rows = call.plan, call.sides_spec, call.sides.rows

    def local(a, x):
        if by_rows and x.shape[1] > plan.lc:  # all of x would be more than a shard
            return _product(plan, _hermitian(plan, a), _clean(plan, x))
        a = _clean(plan, a)
        own = _clean(plan, x) if by_rows else plan.take_rows(x)
        rows = jnp.matmul(a, plan.gather(x) if by_rows else x, precision="highest")
        part = jnp.matmul(jnp.conj(a.T), own, precision="highest")
        part = jnp.pad(part, ((0, plan.lc * plan.ranks - plan.n), (0, 0)))
        total = (_spread(plan, rows) + part) / 2
        if not by_rows:
            return _sum(plan, total)[: plan.n]
        if not plan.axes:
            return total
        return jax.lax.psum_scatter(total, plan.axes, scatter_dimension=0, tiled=True)

    return plan.map(local, (plan.rows_spec, spec), spec)(a, x)


def _solve(call: Call, f, a, b):
    """A^-1 b by the factor f of A. It is linear in b; its derivative sees A alone."""
    f = jax.lax.stop_gradient(f)
    # JAX takes x for different on each rank if A is, inside a map that tracks this.
    varying = frozenset().union(*map(compat.varying_axes, (f, a, b)))

    def matvec(x):
        return compat.as_varying(_apply(call, a, x), varying)

    def solve(_, b):
        return compat.as_varying(_ops.potrs(call, f, b), varying)

    def transposed(_, b):  # A^T = conj(A)
        return jnp.conj(solve(None, jnp.conj(b)))

    x = jax.lax.custom_linear_solve(matvec, compat.as_varying(b, varying), solve, transposed)
    equal = () if call.sides.rows else tuple(varying.intersection(call.plan.axes))
    return jax.lax.pmean(x, equal) if equal else x


@_with_rule
def posv(call: Call, a, b):
    """A, b -> x, info[, factor]."""
    return tuple(_ops.posv(call, a, b))


@functools.partial(posv.defjvp, symbolic_zeros=True)
def _posv_jvp(call, primals, tangents):
    _, info, f = _ops.potrf(call, jax.lax.stop_gradient(primals[0]))

    def solve(a, b):
        return _solve(call, f, a, b)

    x, dx = _jvp(solve, primals, tangents)
    return (x, info, *call.last(f)), (dx, _none(info), *map(_none, call.last(f)))


# ---- factor --------------------------------------------------------------------------------------


@_with_rule
def factor(call: Call, a):
    """A -> log det (see `factor_logdet`), info, factor."""
    return tuple(_ops.potrf(call, a))


@factor.defjvp
def _factor_jvp(call, primals, tangents):
    logdet, info, f = factor(call, *primals)
    return (logdet, info, f), (_none(logdet), _none(info), tangents[0])


@_with_rule
def potrs(call: Call, f, b):
    """Factor, b -> x."""
    return _ops.potrs(call, f, b)


@functools.partial(potrs.defjvp, symbolic_zeros=True)
def _potrs_jvp(call, primals, tangents):
    def solve(f, b):
        # f in the place of A: wrong as a value, which nobody asks for, and right as a derivative.
        return _solve(call, f, f, b)

    return _jvp(solve, primals, tangents)


# ---- log det and inverse -------------------------------------------------------------------------


def _trace(call: Call, x, a):
    """Re tr(X A) of Hermitian X and A: the sum of conj(x_ij) a_ij."""
    plan = call.plan

    def local(x, a):
        return _sum(plan, jnp.sum(jnp.real(jnp.conj(_clean(plan, x)) * _clean(plan, a))))

    return plan.map(local, (plan.rows_spec, plan.rows_spec), P())(x, a)


def _minus_sandwich(call: Call, x, a):
    plan = call.plan

    def local(x, a):
        return -_sandwich(plan, _clean(plan, x), _hermitian(plan, a))

    return _on_rows(call, local, x, a)


@_with_rule
def logdet(call: Call, a):
    """A -> log det, info[, factor]."""
    return tuple(_ops.logdet(call, a))


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


@_with_rule
def diagonal_of_inverse(call: Call, f):
    """Factor -> diagonal of the inverse."""
    return _diagonal(call, potri(call, f))


@diagonal_of_inverse.defjvp
def _diagonal_of_inverse_jvp(call, primals, tangents):
    plan = call.plan
    inverse = potri(call, *primals)

    def tangent(x, a):
        return -_sandwich_diagonal(plan, _clean(plan, x), _hermitian(plan, a))

    mapped = plan.map(tangent, (plan.rows_spec, plan.rows_spec), P(None))
    return _diagonal(call, inverse), mapped(inverse, *tangents)


def _diagonal(call: Call, rows):
    """The diagonal of a Hermitian matrix, on every device."""
    plan = call.plan

    def local(rows):
        row, col = plan.indices(rows)
        return _share(plan, jnp.sum(jnp.where(row == col, jnp.real(rows), 0), axis=1))

    return plan.map(local, (plan.rows_spec,), P(None))(rows)


# ---- triangular factor ---------------------------------------------------------------------------


@_with_rule
def cholesky(call: Call, a):
    """A -> U with A = U^H U."""
    return _ops.cholesky(call, a)


@cholesky.defjvp
def _cholesky_jvp(call, primals, tangents):
    plan = call.plan
    u = cholesky(call, *primals)

    def tangent(u, x, da):
        m = _sandwich(plan, plan.turn(_clean(plan, x)), _hermitian(plan, da))
        row, col = plan.indices(m)
        phi = jnp.where(row > col, m, jnp.where(row == col, m / 2, 0))
        return plan.turn(_product(plan, plan.turn(u), _clean(plan, phi)))

    return u, _on_rows(call, tangent, u, inverse_of_upper(call, u), *tangents)


@_with_rule
def inverse_of_upper(call: Call, u):
    """U, as `cholesky` gives it -> U^-1."""
    return _ops.inverse_of_upper(call, u)


@inverse_of_upper.defjvp
def _inverse_of_upper_jvp(call, primals, tangents):
    plan = call.plan
    inverse = inverse_of_upper(call, *primals)

    def tangent(x, du):
        x = _clean(plan, x)
        return -_triple(plan, x, _clean(plan, du), plan.turn(x))

    return inverse, _on_rows(call, tangent, inverse, *tangents)


def reduced(call: Call, a, b):
    """A, B -> C = X^H A X, X, with X = U^-1, B = U^H U: A V = B V diag(w) is C Y = Y diag(w) with
    V = X Y."""
    plan = call.plan
    x = inverse_of_upper(call, cholesky(call, b))

    def local(x, a):
        return _sandwich(plan, plan.turn(_clean(plan, x)), _clean(plan, a))

    return _on_rows(call, local, x, a), x


def restored(call: Call, x, y):
    """X Y, row shards; Y may have fewer columns than rows."""
    plan = call.plan
    return _on_rows(call, lambda x, y: _product(plan, x, _clean(plan, y)), x, y)


# ---- eigenproblems -------------------------------------------------------------------------------


def _values_tangent(call: Call, v, da):
    plan = call.plan

    def local(v, da):
        return _sandwich_diagonal(plan, plan.turn(_clean(plan, v)), _hermitian(plan, da))

    return plan.map(local, (plan.rows_spec, plan.rows_spec), P(None))(v, da)


def _vectors_tangent(call: Call, w, v, da):
    plan = call.plan

    def local(w, v, da):
        v = _clean(plan, v)
        m = _sandwich(plan, plan.turn(v), _hermitian(plan, da))
        row, col = plan.indices(m)
        gap = w - jnp.take(w, row, mode="clip")
        mixing = (row != col) & (row < plan.n)
        if call.gap_tol is not None:
            mixing &= jnp.abs(gap) > call.gap_tol * jnp.max(jnp.abs(w))
        # Twice where: 0 / 0 in what is not taken would be NaN in the reverse mode.
        gap = jnp.where(mixing, gap, 1).astype(m.dtype)
        return _product(plan, v, jnp.where(mixing, m, 0) / gap)

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
def syevx(call: Call, a):
    """A -> w, the wanted columns of V, info[, work]."""
    return tuple(_ops.syevx(call, a))


@syevx.defjvp
def _syevx_jvp(call, primals, tangents):
    # The other vectors are what these move to: all of them are needed.
    (w, v, *rest), (dw, dv, *none) = _syevd_jvp(call, primals, tangents)
    wanted = slice(call.some[0], sum(call.some))
    return (w, v[:, wanted], *rest), (dw, dv[:, wanted], *none)


@_with_rule
def syevd_values(call: Call, a):
    """A -> w, info[, work]."""
    return tuple(_ops.syevd_values(call, a))


@syevd_values.defjvp
def _syevd_values_jvp(call, primals, tangents):
    w, v, info, *kept = syevd(call, *primals)
    return (w, info, *kept), (_values_tangent(call, v, *tangents), _none(info), *map(_none, kept))
