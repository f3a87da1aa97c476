# SPDX-License-Identifier: Apache-2.0
"""The C library's calls, mapped over the devices: row shards in, row shards out.

`rows_of` and `deliver` lead from the caller's matrix to row shards and back. They are ordinary
JAX; the calls between them are foreign to it, and get their derivatives in `_rules`. Right-hand
sides have two dimensions and lie as `Sides` says.
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
    some: tuple[int, int] | None = None  # `eigh`: first eigenvector and number of them
    gap_tol: float | None = None  # `eigh`: which eigenvalues are equal for the derivative

    @property
    def rhs(self) -> int:
        return _ffi.RHS_ROWS if self.sides.rows else _ffi.RHS_REPLICATED

    @property
    def sizes(self) -> dict:
        return {"n": self.plan.n, "nb": self.nb}

    @property
    def sides_spec(self) -> P:
        return self.sides.matrix_spec(self.plan)

    def last(self, *kept):
        return kept if self.keep else ()


def rows_of(call: Call, a):
    """Row shards of the Hermitian matrix that the caller's matrix stands for."""
    plan = call.plan
    return plan.map(lambda a: plan.local_rows(a, call.fill), (plan.matrix_spec,), plan.rows_spec)(
        plan.enter(a)
    )


def deliver(call: Call, rows, hermitian: bool = False):
    """A matrix of which there are row shards, laid out as A came."""
    plan = call.plan
    return plan.leave(
        plan.map(
            lambda rows: plan.local_matrix(rows, hermitian), (plan.rows_spec,), plan.matrix_spec
        )(rows)
    )


def deliver_rows(call: Call, rows):
    """A matrix of other width than A of which there are row shards: as they are, or on all
    devices where A is."""
    plan = call.plan
    if plan.kind != "replicated":
        return rows
    return plan.map(plan.gather, (plan.rows_spec,), plan.matrix_spec)(rows)


def _folding_sides(op):
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


@_folding_sides
def posv(call: Call, a, b):
    """A, b -> x, info[, factor]."""
    plan, spec = call.plan, call.sides_spec

    def local(a, b):
        f, x, _, info = _ffi.posv(a, b, plan.group, rhs=call.rhs, **call.sizes)
        return x, info, *call.last(f)

    out_specs = (spec, P(), *call.last(plan.rows_spec))
    return plan.map(local, (plan.rows_spec, spec), out_specs)(a, b)


def potrf(call: Call, a):
    """A -> logdet, info[, factor]."""
    plan = call.plan

    def local(a):
        f, logdet, info = _ffi.potrf(a, plan.group, **call.sizes)
        return logdet, info, *call.last(f)

    out_specs = (P(), P(), *call.last(plan.rows_spec))
    return plan.map(local, (plan.rows_spec,), out_specs)(a)


@_folding_sides
def potrs(call: Call, f, b):
    """Factor, b -> (x,)."""
    plan, spec = call.plan, call.sides_spec

    def local(f, b):
        return (_ffi.potrs(f, b, plan.group, rhs=call.rhs, **call.sizes),)

    return plan.map(local, (plan.rows_spec, spec), (spec,))(f, b)


def potri(call: Call, f):
    """Factor -> inverse."""
    plan = call.plan
    local = functools.partial(_ffi.potri, group=plan.group, **call.sizes)
    return plan.map(local, (plan.rows_spec,), plan.rows_spec)(f)


def poinv(call: Call, a):
    """A -> inverse, info."""
    plan = call.plan

    def local(a):
        inverse, _, info = _ffi.poinv(a, plan.group, **call.sizes)
        return inverse, info

    return plan.map(local, (plan.rows_spec,), (plan.rows_spec, P()))(a)


def cholesky(call: Call, a):
    """A -> U with A = U^H U."""
    plan = call.plan

    def local(a):
        # A row-major shard is columns of A^T = conj(L) L^T: what comes out is rows of L^H.
        u, _, _ = _ffi.potrf(a, plan.group, order=_ffi.NATURAL, **call.sizes)
        row, col = plan.indices(u)
        return jnp.where(row <= col, u, 0)  # also where it is NaN

    return plan.map(local, (plan.rows_spec,), plan.rows_spec)(a)


def inverse_of_upper(call: Call, u):
    """U, as `cholesky` gives it -> U^-1 = A^-1 U^H."""
    plan = call.plan

    def local(u):
        b = plan.turn(u)
        return _ffi.potrs(u, b, plan.group, rhs=_ffi.RHS_ROWS, order=_ffi.NATURAL, **call.sizes)

    return plan.map(local, (plan.rows_spec,), plan.rows_spec)(u)


def turn(call: Call, rows):
    """X^H from X."""
    return call.plan.map(call.plan.turn, (call.plan.rows_spec,), call.plan.rows_spec)(rows)


def syevd(call: Call, a):
    """A -> w, V, info[, work]."""
    plan = call.plan

    def local(a):
        w, v, work, info = _ffi.syevd(a, plan.group, **call.sizes)
        return w, v, info, *call.last(work)

    out_specs = (P(None), plan.rows_spec, P(), *call.last(plan.rows_spec))
    return plan.map(local, (plan.rows_spec,), out_specs)(a)


def syevx(call: Call, a):
    """A -> w, the wanted columns of V, info[, work]."""
    plan = call.plan
    first, count = call.some

    def local(a):
        w, v, work, info = _ffi.syevx(a, plan.group, first=first, count=count, **call.sizes)
        return w, v, info, *call.last(work)

    out_specs = (P(None), plan.rows_spec, P(), *call.last(plan.rows_spec))
    return plan.map(local, (plan.rows_spec,), out_specs)(a)


def syevd_values(call: Call, a):
    """A -> w, info[, work]."""
    plan = call.plan

    def local(a):
        w, work, info = _ffi.syevd_values(a, plan.group, **call.sizes)
        return w, info, *call.last(work)

    out_specs = (P(None), P(), *call.last(plan.rows_spec))
    return plan.map(local, (plan.rows_spec,), out_specs)(a)
