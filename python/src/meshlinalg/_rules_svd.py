# SPDX-License-Identifier: Apache-2.0
"""Tangents of singular values and vectors, A = U diag(s) V^H (see `_rules`).

    M = U^H A' V     s' = Re diag M     F_ij = 1 / (s_j^2 - s_i^2)
    U' = U (F o (M S + S M^H) + i Im diag(M) / S) + (I - U U^H) A' V / S
    V' = V (F o (S M + M^H S)) + (I - V V^H) A'^H U / S

Equal singular values, and zeros, give Inf or NaN in U' and V', as in JAX. Of the phases, which
U and V share, the derivative leaves those of V.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from ._rows import Ring, RowsPlan
from ._rules_qr import own


def tangents(plan: RowsPlan, u, s, vh, da):
    """(U', s', (V^H)'), laid out like U, s and V^H."""
    m, k = plan.spec_of(plan.m), plan.spec_of(plan.k)

    def local(u, s, vh, da):
        ring = dataclasses.replace(plan.ring, unrolled=True)
        v = ring.adjoint(own(plan, vh, plan.k), plan.k)
        du, ds, dv = _tangents(ring, plan.m, plan.n, plan.own(u), s, v, plan.own(da))
        return plan.out(du, plan.m), ds, plan.out(ring.adjoint(dv, plan.n), plan.k)

    return plan.map(local, (m, P(None), k, m), (m, P(None), k))(u, s, vh, da)


def _tangents(ring: Ring, m: int, n: int, u, s, v, da):
    k = len(s)
    da_v = ring.adjoint(ring.adjoint_multiply(v, ring.adjoint(da, m)), k)
    mixed = ring.adjoint_multiply(u, da_v)
    adjoint = ring.adjoint(mixed, k)
    row, col = ring.indices(k), jnp.arange(k)
    diagonal = jnp.where(row == col, mixed, 0)
    ds = ring.gather(jnp.sum(jnp.real(diagonal), axis=1), k)

    own_s = jnp.take(s, row, mode="clip")
    off = (row != col) & (row < k)
    gap = jnp.where(off, (s + own_s) * (s - own_s), 1)
    turn = jnp.where(s == 0, 0, (diagonal - jnp.conj(diagonal)) / (2 * jnp.where(s == 0, 1, s)))
    du = ring.multiply(u, jnp.where(off, s * mixed + own_s * adjoint, 0) / gap + turn, k)
    dv = ring.multiply(v, jnp.where(off, own_s * mixed + s * adjoint, 0) / gap, k)
    if m > k:
        du += (da_v - ring.multiply(u, mixed, k)) / s
    if n > k:
        u_da = ring.adjoint(ring.adjoint_multiply(u, da), k)
        dv += (u_da - ring.multiply(v, adjoint, k)) / s
    return du, ds, dv
