# SPDX-License-Identifier: Apache-2.0
"""The C library's calls, mapped over the devices: row shards in, row shards out.

`rows_of` and `deliver` lead from the caller's matrix to row shards and back. They are ordinary
JAX; the calls between them are foreign to it, and get their derivatives in `_rules`. Right-hand
sides have two dimensions and lie as `Sides` says.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from . import _ffi
from ._batch import ROWS, SAME, SIDES, Foreign
from ._sharding import Plan, Sides


@dataclasses.dataclass(frozen=True)
class Call:
    """What is static in a call."""

    plan: Plan
    nb: int = 0
    fill: str | None = None
    sides: Sides = dataclasses.field(default_factory=Sides)
    op: int = _ffi.OP_N  # of solutions by LU, on what the row shards are rows of
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


def posv(call: Call, a, b):
    """A, b -> x, info[, what A becomes]."""

    def one(call, a, b):
        f, x, _, info = _ffi.posv(a, b, call.plan.group, rhs=call.rhs, **call.sizes)
        return x, info, *call.last(f)

    return Foreign(call, one, (ROWS, SIDES), (SIDES, SAME, *call.last(ROWS)))(a, b)


def _potrf(call, a):
    f, logdet, info = _ffi.potrf(a, call.plan.group, **call.sizes)
    return logdet, info, *call.last(f)


def potrf(call: Call, a):
    """A -> logdet, info, factor."""
    call = dataclasses.replace(call, keep=True)
    return Foreign(call, _potrf, (ROWS,), (SAME, SAME, ROWS), alone_too=False)(a)


def logdet(call: Call, a):
    """A -> logdet, info[, what A becomes]."""
    return Foreign(call, _potrf, (ROWS,), (SAME, SAME, *call.last(ROWS)))(a)


def potrs(call: Call, f, b):
    """Factor, b -> x."""

    def one(call, f, b):
        return (_ffi.potrs(f, b, call.plan.group, rhs=call.rhs, **call.sizes),)

    return Foreign(call, one, (ROWS, SIDES), (SIDES,), alone_too=False)(f, b)[0]


def potri(call: Call, f):
    """Factor -> inverse."""

    def one(call, f):
        return (_ffi.potri(f, call.plan.group, **call.sizes),)

    return Foreign(call, one, (ROWS,), (ROWS,), alone_too=False)(f)[0]


def poinv(call: Call, a):
    """A -> inverse, info."""

    def one(call, a):
        inverse, _, info = _ffi.poinv(a, call.plan.group, **call.sizes)
        return inverse, info

    return Foreign(call, one, (ROWS,), (ROWS, SAME))(a)


def cholesky(call: Call, a):
    """A -> U with A = U^H U."""

    def one(call, a):
        # A row-major shard is columns of A^T = conj(L) L^T: what comes out is rows of L^H.
        u, _, _ = _ffi.potrf(a, call.plan.group, order=_ffi.NATURAL, **call.sizes)
        row, col = call.plan.indices(u)
        return (jnp.where(row <= col, u, 0),)  # also where it is NaN

    return Foreign(call, one, (ROWS,), (ROWS,))(a)[0]


def inverse_of_upper(call: Call, u):
    """U, as `cholesky` gives it -> U^-1 = A^-1 U^H."""

    def one(call, u):
        b, how = call.plan.turn(u), {"rhs": _ffi.RHS_ROWS, "order": _ffi.NATURAL}
        return (_ffi.potrs(u, b, call.plan.group, **how, **call.sizes),)

    return Foreign(call, one, (ROWS,), (ROWS,))(u)[0]


def turn(call: Call, rows):
    """X^H from X."""
    return call.plan.map(call.plan.turn, (call.plan.rows_spec,), call.plan.rows_spec)(rows)


def syevd(call: Call, a):
    """A -> w, V, info[, what A becomes]."""

    def one(call, a):
        w, v, work, info = _ffi.syevd(a, call.plan.group, **call.sizes)
        return w, v, info, *call.last(work)

    return Foreign(call, one, (ROWS,), (SAME, ROWS, SAME, *call.last(ROWS)))(a)


def syevx(call: Call, a):
    """A -> w, the wanted columns of V, info[, what A becomes]."""
    first, count = call.some

    def one(call, a):
        group, some = call.plan.group, {"first": first, "count": count}
        w, v, work, info = _ffi.syevx(a, group, **some, **call.sizes)
        return w, v, info, *call.last(work)

    return Foreign(call, one, (ROWS,), (SAME, ROWS, SAME, *call.last(ROWS)))(a)


def syevd_values(call: Call, a):
    """A -> w, info[, what A becomes]."""

    def one(call, a):
        w, work, info = _ffi.syevd_values(a, call.plan.group, **call.sizes)
        return w, info, *call.last(work)

    return Foreign(call, one, (ROWS,), (SAME, SAME, *call.last(ROWS)))(a)


# ---- LU: row shards of any matrix M -------------------------------------------------------------


def _getrf(call, m):
    return _ffi.getrf(m, call.plan.group, **call.sizes)


def getrf(call: Call, m):
    """M -> factor (rows and row order), sign, log |det|, info."""
    return Foreign(call, _getrf, (ROWS,), (ROWS, SAME, SAME, SAME, SAME), alone_too=False)(m)


def slogdet(call: Call, m):
    """M -> sign, log |det|, info[, what M becomes]."""

    def one(call, m):
        f, _, *rest = _getrf(call, m)
        return *rest, *call.last(f)

    return Foreign(call, one, (ROWS,), (SAME, SAME, SAME, *call.last(ROWS)))(m)


def getrs(call: Call, rows, order, b):
    """Factor, b -> x with op(M) x = b."""

    def one(call, rows, order, b):
        how = {"rhs": call.rhs, "op": call.op, **call.sizes}
        return (_ffi.getrs(rows, order, b, call.plan.group, **how),)

    kinds = (ROWS, SAME, SIDES)
    return Foreign(call, one, kinds, (SIDES,), alone_too=False)(rows, order, b)[0]


def gesv(call: Call, m, b):
    """M, b -> x with op(M) x = b, info[, what M becomes]."""

    def one(call, m, b):
        how = {"rhs": call.rhs, "op": call.op, **call.sizes}
        f, x, _, info = _ffi.gesv(m, b, call.plan.group, **how)
        return x, info, *call.last(f)

    return Foreign(call, one, (ROWS, SIDES), (SIDES, SAME, *call.last(ROWS)))(m, b)


def getri(call: Call, rows, order):
    """Factor -> M^-1."""

    def one(call, rows, order):
        return (_ffi.getri(rows, order, call.plan.group, **call.sizes),)

    return Foreign(call, one, (ROWS, SAME), (ROWS,), alone_too=False)(rows, order)[0]


def geinv(call: Call, m):
    """M -> M^-1, info."""

    def one(call, m):
        inverse, _, _, info = _ffi.geinv(m, call.plan.group, **call.sizes)
        return inverse, info

    return Foreign(call, one, (ROWS,), (ROWS, SAME))(m)


def lu(call: Call, m, permute_l: bool):
    """M = A^H -> rows of L^H or, permuted, (P L)^H; of U^H; row order: A[order] = L U."""

    def one(call, m):
        n, plan = call.plan.n, call.plan
        f, order, *_ = _ffi.getrf(m, plan.group, order=_ffi.NATURAL, **call.sizes)
        row, col = plan.indices(f)
        low = jnp.where(row == col, 1, jnp.where(row < col, f, 0)).astype(f.dtype)
        if permute_l:
            low = low.at[:, :n].set(jnp.take(low, jnp.argsort(order), axis=1, mode="clip"))
        return low, jnp.where(row >= col, f, 0), order

    return Foreign(call, one, (ROWS,), (ROWS, ROWS, SAME))(m)


def trtrs(call: Call, m, b):
    """Triangular M, b -> x with op(M) x = b: the solution by LU of a factor that is there, M^T."""

    def one(call, m, b):
        how = {"rhs": call.rhs, "op": call.op, "order": _ffi.NATURAL, **call.sizes}
        order = jnp.arange(call.plan.n, dtype=jnp.int32)
        return (_ffi.getrs(m, order, b, call.plan.group, **how),)

    return Foreign(call, one, (ROWS, SIDES), (SIDES,))(m, b)[0]
