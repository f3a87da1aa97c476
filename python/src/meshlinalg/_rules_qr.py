# SPDX-License-Identifier: Apache-2.0
"""Tangents of Q and R, A = Q R with at least as many rows as columns (see `_rules`).

    M = Q^H A' R^-1     W = tril(M, -1) - tril(M, -1)^H + i Im diag(M)
    Q' = A' R^-1 - Q (M - W)     R' = (M - W) R

W is Q^H Q', skew, and M - W = R' R^-1, upper triangular with a real diagonal. All matrices are
shards of rows, and A' is on the right of every product: what JAX keeps for the reverse mode is
what a rank has anyway.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp

from . import _ops, _rules
from ._ops import Call
from ._rows import Ring, RowsPlan
from ._sharding import Plan


def tangents(plan: RowsPlan, q, r, da):
    """(Q', R'), laid out like Q and R."""
    if plan.m < plan.n or q.shape[1] != plan.n:
        raise NotImplementedError(
            f"qr of a matrix of shape {(plan.m, plan.n)} with {q.shape[1]} columns of Q has no "
            "derivative: expected at least as many rows as columns, and mode='reduced' or 'r'"
        )
    q_spec, r_spec = plan.spec_of(plan.m), plan.spec_of(plan.n)

    def local(q, r, inverse, da):
        r, inverse = (own(plan, x, plan.n) for x in (r, inverse))
        ring = dataclasses.replace(plan.ring, unrolled=True)
        dq, dr = _tangents(ring, plan.m, plan.own(q), r, inverse, plan.own(da))
        return plan.out(dq, plan.m), plan.out(dr, plan.n)

    mapped = plan.map(local, (q_spec, r_spec, r_spec, q_spec), (q_spec, r_spec))
    return mapped(q, r, inverse_of(plan, r), da)


def _tangents(ring: Ring, m: int, q, r, inverse, da):
    n = r.shape[1]

    def times(x, upper, rows):  # X U, rows of X
        return ring.adjoint(ring.adjoint_multiply(upper, ring.adjoint(x, rows)), n)

    da = times(da, inverse, m)
    mixed = ring.adjoint_multiply(q, da)
    row, col = ring.indices(n), jnp.arange(n)
    upper = mixed + ring.adjoint(mixed, n)
    diagonal = jnp.real(mixed).astype(mixed.dtype)
    upper = jnp.where(row < col, upper, jnp.where(row == col, diagonal, 0))
    return da - ring.multiply(q, upper, n), times(upper, r, n)


def own(plan: RowsPlan, x, count: int):
    """This rank's rows of a matrix of `count` rows, laid out as spec_of says."""
    if plan.split(count):
        return x
    index = plan.ring.first(count) + jnp.arange(plan.ring.each(count))
    return jnp.take(x, index, axis=0, mode="fill", fill_value=0)


def inverse_of(plan: RowsPlan, r):
    """R^-1, laid out like R: R as a Cholesky factor, of R^H R."""
    kind = "single" if not plan.axes else "rows" if plan.split(plan.n) else "replicated"
    call = Call(Plan(plan.n, kind, plan.mesh, plan.axes))
    return _ops.deliver(call, _rules.inverse_of_upper(call, _ops.rows_of(call, r)))
