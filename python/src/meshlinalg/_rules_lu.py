# SPDX-License-Identifier: Apache-2.0
"""The LU calls of `_ops` with derivatives, for row shards of any matrix M.

    solve      x' = op(M)^-1 (b' - op(M)' x)         one factor for x and x'
    log |det|  l' = Re tr(M^-1 M')                   by the inverse
    sign       s' = i s Im tr(M^-1 M')
    inverse    X' = -X M' X

As in `_rules`, the tangent of a factor is M', and JAX transposes the rules for the reverse mode.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from . import _ffi, _ops
from . import _jax_compat as compat
from ._ops import Call
from ._rules import _clean, _none, _on_rows, _product, _share, _with_rule
from ._sharding import Plan

# ---- solve -------------------------------------------------------------------------------------


def _apply(call: Call, m, x):
    """op(M) x, laid out like x."""
    plan, spec = call.plan, call.sides_spec

    def local(m, x):
        m = _clean(plan, m)[:, : plan.n]
        if call.op == _ffi.OP_N:
            whole = plan.gather(x) if call.sides.rows else x
            y = jnp.matmul(m, whole, precision="highest")
            return y if call.sides.rows else _share(plan, y)
        mine = _clean(plan, x) if call.sides.rows else plan.take_rows(x)
        turned = m.T if call.op == _ffi.OP_T else jnp.conj(m.T)
        y = jnp.matmul(turned, mine, precision="highest")
        y = jax.lax.psum(y, plan.axes) if plan.axes else y
        return plan.take_rows(y) if call.sides.rows else y

    return plan.map(local, (plan.rows_spec, spec), spec)(m, x)


def _solve(call: Call, f, m, b):
    """op(M)^-1 b by the factor f of M. It is linear in b; its derivative sees M alone."""
    f = jax.lax.stop_gradient(f)
    # JAX takes x for different on each rank if M is, inside a map that tracks this.
    varying = frozenset().union(*map(compat.varying_axes, (*f, m, b)))

    def by(op, b):
        x = _ops.getrs(dataclasses.replace(call, op=op), *f, b)
        return compat.as_varying(x, varying)

    def matvec(x):
        return compat.as_varying(_apply(call, m, x), varying)

    def solve(_, b):
        return by(call.op, b)

    def transposed(_, b):
        if call.op == _ffi.OP_C:  # M^H^T = conj(M)
            return jnp.conj(by(_ffi.OP_N, jnp.conj(b)))
        return by(_ffi.OP_T if call.op == _ffi.OP_N else _ffi.OP_N, b)

    x = jax.lax.custom_linear_solve(matvec, compat.as_varying(b, varying), solve, transposed)
    equal = () if call.sides.rows else tuple(varying.intersection(call.plan.axes))
    return jax.lax.pmean(x, equal) if equal else x


@_with_rule
def gesv(call: Call, m, b):
    """M, b -> x, info[, rows of the factor]."""
    return tuple(_ops.gesv(call, m, b))


@gesv.defjvp
def _gesv_jvp(call, primals, tangents):
    *f, _, _, info = _ops.getrf(call, jax.lax.stop_gradient(primals[0]))

    def solve(m, b):
        return _solve(call, f, m, b)

    x, dx = jax.jvp(solve, primals, tangents)
    x = jnp.where(info == 0, x, jnp.nan)
    kept = call.last(f[0])
    return (x, info, *kept), (dx, _none(info), *map(_none, kept))


# ---- factor ------------------------------------------------------------------------------------


@_with_rule
def factor(call: Call, m):
    """M -> rows of the factor, row order, sign, log |det|, info."""
    return tuple(_ops.getrf(call, m))


@factor.defjvp
def _factor_jvp(call, primals, tangents):
    rows, *rest = factor(call, *primals)
    return (rows, *rest), (tangents[0], *map(_none, rest))


@_with_rule
def getrs(call: Call, rows, perm, b):
    """Rows of a factor, row order, b -> x."""
    return _ops.getrs(call, rows, perm, b)


@getrs.defjvp
def _getrs_jvp(call, primals, tangents):
    rows, perm, b = primals

    def solve(rows, b):
        # The factor in the place of M: wrong as a value, which nobody asks for, and right as a
        # derivative.
        return _solve(call, (rows, perm), rows, b)

    return jax.jvp(solve, (rows, b), (tangents[0], tangents[2]))


# ---- determinant and inverse -------------------------------------------------------------------


def _trace(call: Call, x, m):
    """tr(X M)."""
    plan = call.plan

    def local(x, m):
        total = jnp.sum(jnp.conj(plan.turn(_clean(plan, x))) * _clean(plan, m))
        return jax.lax.psum(total, plan.axes) if plan.axes else total

    return plan.map(local, (plan.rows_spec, plan.rows_spec), P())(x, m)


def _minus_product(plan: Plan, x, m):
    """-X M X, M on the right of every product."""
    x = _clean(plan, x)
    xm = _product(plan, x, _clean(plan, m))
    return -plan.turn(_product(plan, plan.turn(x), plan.turn(xm)))


@_with_rule
def slogdet(call: Call, m):
    """M -> sign, log |det|, info[, rows of the factor]."""
    return tuple(_ops.slogdet(call, m))


@slogdet.defjvp
def _slogdet_jvp(call, primals, tangents):
    *f, sign, size, info = factor(call, *primals)
    (sign, size), tangent = _factor_slogdet_jvp(
        call, (*f, sign, size), (tangents[0], None, None, None)
    )
    kept = call.last(f[0])
    return (sign, size, info, *kept), (*tangent, _none(info), *map(_none, kept))


@_with_rule
def factor_slogdet(call: Call, rows, perm, sign, size):
    """Sign and log |det| of M, which are given; their derivatives need the factor."""
    return sign, size


@factor_slogdet.defjvp
def _factor_slogdet_jvp(call, primals, tangents):
    rows, perm, sign, size = primals
    trace = _trace(call, getri(call, rows, perm), tangents[0])
    turned = (
        sign * jax.lax.complex(jnp.zeros_like(size), jnp.imag(trace))
        if jnp.iscomplexobj(sign)
        else jnp.zeros_like(sign)
    )
    return factor_slogdet(call, *primals), (turned, jnp.real(trace))


@_with_rule
def getri(call: Call, rows, perm):
    """Rows of a factor, row order -> M^-1."""
    return _ops.getri(call, rows, perm)


@getri.defjvp
def _getri_jvp(call, primals, tangents):
    inverse = getri(call, *primals)
    plan = call.plan
    return inverse, _on_rows(call, lambda x, m: _minus_product(plan, x, m), inverse, tangents[0])


@_with_rule
def geinv(call: Call, m):
    """M -> M^-1, info."""
    return tuple(_ops.geinv(call, m))


@geinv.defjvp
def _geinv_jvp(call, primals, tangents):
    inverse, info = geinv(call, *primals)
    plan = call.plan
    tangent = _on_rows(call, lambda x, m: _minus_product(plan, x, m), inverse, *tangents)
    return (inverse, info), (tangent, _none(info))


# ---- triangular systems ------------------------------------------------------------------------


def trtrs(call: Call, m, b):
    """Triangular M (zeros elsewhere), b -> x with op(M) x = b."""
    varying = frozenset().union(*map(compat.varying_axes, (m, b)))
    fixed = jax.lax.stop_gradient(m)

    def by(op, b):
        x = _ops.trtrs(dataclasses.replace(call, op=op), fixed, b)
        return compat.as_varying(x, varying)

    def matvec(x):
        return compat.as_varying(_apply(call, m, x), varying)

    def transposed(_, b):
        if call.op == _ffi.OP_C:
            return jnp.conj(by(_ffi.OP_N, jnp.conj(b)))
        return by(_ffi.OP_T if call.op == _ffi.OP_N else _ffi.OP_N, b)

    x = jax.lax.custom_linear_solve(
        matvec, compat.as_varying(b, varying), lambda _, b: by(call.op, b), transposed
    )
    equal = () if call.sides.rows else tuple(varying.intersection(call.plan.axes))
    return jax.lax.pmean(x, equal) if equal else x
