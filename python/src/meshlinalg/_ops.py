# SPDX-License-Identifier: Apache-2.0
"""The routines on global arrays: the C library's calls, mapped over the devices.

A matrix goes in and comes out as `Plan` says, right-hand sides (always two dimensions) as `Sides`
says; a factor is an array of row shards. Derivatives and batching are defined on this level: what
happens inside the map is foreign to JAX.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from . import _ffi
from ._sharding import Plan, Sides


@dataclasses.dataclass(frozen=True)
class Call:
    """What is static in a call."""

    plan: Plan
    nb: int = 0
    fill: str | None = None
    sides: Sides = dataclasses.field(default_factory=Sides)
    keep: bool = False  # also return, last, what A becomes in place: a donated A needs a result

    @property
    def rhs(self) -> int:
        return _ffi.RHS_ROWS if self.sides.rows else _ffi.RHS_REPLICATED

    def last(self, *kept):
        return kept if self.keep else ()


def folding_sides(op):
    """op(call, a, b) -> (x, *rest), where a batch of b alone (vmap) becomes more columns of b.
    Batches of a run one after another."""

    @functools.cache
    def batchable(call):
        @jax.custom_batching.custom_vmap
        def one(a, b):
            return op(call, a, b)

        @one.def_vmap
        def many(size, batched, a, b):
            if batched[0]:
                axes = tuple(0 if x else None for x in batched)
                out = jax.vmap(functools.partial(op, call), axes)(a, b)
                return out, (True,) * len(out)
            n, k = b.shape[1:]
            x, *rest = one(a, jnp.moveaxis(b, 0, 1).reshape(n, size * k))
            x = jnp.moveaxis(x.reshape(n, size, k), 1, 0)
            return (x, *rest), (True, *(False for _ in rest))

        return one

    return functools.wraps(op)(lambda call, a, b: batchable(call)(a, b))


@folding_sides
def posv(call: Call, a, b):
    """A, b -> x, info[, factor]."""
    plan, b_spec = call.plan, call.sides.matrix_spec(call.plan)

    def local(a, b):
        rows = plan.local_rows(a, call.fill)
        f, x, _, info = _ffi.posv(rows, b, plan.group, n=plan.n, nb=call.nb, rhs=call.rhs)
        return x, info, *call.last(f)

    out_specs = (b_spec, P(), *call.last(plan.rows_spec))
    return plan.map(local, (plan.matrix_spec, b_spec), out_specs)(plan.enter(a), b)


def potrf(call: Call, a):
    """A -> logdet, info[, factor]."""
    plan = call.plan

    def local(a):
        rows = plan.local_rows(a, call.fill)
        f, logdet, info = _ffi.potrf(rows, plan.group, n=plan.n, nb=call.nb)
        return logdet, info, *call.last(f)

    out_specs = (P(), P(), *call.last(plan.rows_spec))
    return plan.map(local, (plan.matrix_spec,), out_specs)(plan.enter(a))


@folding_sides
def potrs(call: Call, f, b):
    """Factor, b -> (x,)."""
    plan, b_spec = call.plan, call.sides.matrix_spec(call.plan)

    def local(f, b):
        return (_ffi.potrs(f, b, plan.group, n=plan.n, nb=call.nb, rhs=call.rhs),)

    return plan.map(local, (plan.rows_spec, b_spec), (b_spec,))(f, b)


def potri(call: Call, f):
    """Factor -> inverse."""
    plan = call.plan

    def local(f):
        rows = _ffi.potri(f, plan.group, n=plan.n, nb=call.nb)
        return plan.local_matrix(rows, hermitian=True)

    return plan.leave(plan.map(local, (plan.rows_spec,), plan.matrix_spec)(f))


def poinv(call: Call, a):
    """A -> inverse, info."""
    plan = call.plan

    def local(a):
        rows = plan.local_rows(a, call.fill)
        rows, _, info = _ffi.poinv(rows, plan.group, n=plan.n, nb=call.nb)
        return plan.local_matrix(rows, hermitian=True), info

    out_specs = (plan.matrix_spec, P())
    inverse, info = plan.map(local, (plan.matrix_spec,), out_specs)(plan.enter(a))
    return plan.leave(inverse), info


def cholesky(call: Call, a, upper: bool):
    """A -> its Cholesky factor L, or U = L^H."""
    plan = call.plan

    def local(a):
        rows = plan.local_rows(a, call.fill)
        # Rows of a row-major caller are the columns of A^T = conj(L) L^T: rows of L^H come out.
        u, _, _ = _ffi.potrf(rows, plan.group, n=plan.n, nb=call.nb, order=_ffi.NATURAL)
        row, col = plan.indices(u)
        u = jnp.where(row <= col, u, 0)  # also where it is NaN
        if upper:
            return plan.local_matrix(u)
        if plan.kind == "columns":
            return jnp.conj(u.T)
        return plan.local_matrix(plan.turn(u))

    return plan.leave(plan.map(local, (plan.matrix_spec,), plan.matrix_spec)(plan.enter(a)))


def syevd(call: Call, a):
    """A -> w, V, info[, work]."""
    plan = call.plan

    def local(a):
        rows = plan.local_rows(a, call.fill)
        w, v, work, info = _ffi.syevd(rows, plan.group, n=plan.n, nb=call.nb)
        return w, plan.local_matrix(v), info, *call.last(work)

    out_specs = (P(None), plan.matrix_spec, P(), *call.last(plan.rows_spec))
    w, v, info, *work = plan.map(local, (plan.matrix_spec,), out_specs)(plan.enter(a))
    return w, plan.leave(v), info, *work


def syevd_values(call: Call, a):
    """A -> w, info[, work]."""
    plan = call.plan

    def local(a):
        rows = plan.local_rows(a, call.fill)
        w, work, info = _ffi.syevd_values(rows, plan.group, n=plan.n, nb=call.nb)
        return w, info, *call.last(work)

    out_specs = (P(None), P(), *call.last(plan.rows_spec))
    return plan.map(local, (plan.matrix_spec,), out_specs)(plan.enter(a))
