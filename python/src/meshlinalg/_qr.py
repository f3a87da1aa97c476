# SPDX-License-Identifier: Apache-2.0
"""QR factorisation."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp

from . import _ffi, _options, _rules_qr
from ._rows import RowsPlan, rows_plan_of
from ._rules import _with_rule
from ._sharding import run


class QRResult(NamedTuple):
    """Q with orthonormal columns and upper triangular R, A = Q R."""

    Q: Any
    R: Any


@dataclasses.dataclass(frozen=True)
class Call:
    plan: RowsPlan
    mode: str
    nb: int = 0


def _factor(call: Call, a):
    """Inside the map: rows of the factor, t, and R as it goes out."""
    plan = call.plan
    m, k = plan.m, plan.k
    if m <= plan.n or call.mode == "complete":
        f, t, _ = _ffi.geqrf(plan.own(a), plan.group, m=m, nb=call.nb)
        row = plan.ring.indices(m)
        return f, t, plan.out(jnp.where(row <= jnp.arange(plan.n), f, 0), m)
    where = "rows" if plan.split(k) else "all"
    return _ffi.geqrf(plan.own(a), plan.group, m=m, nb=call.nb, r=where)


@_with_rule
def _r(call: Call, a):
    plan = call.plan

    def local(a):
        return _factor(call, a)[2]

    return plan.map(local, (plan.spec_of(plan.m),), plan.spec_of(plan.k))(a)


@_r.defjvp
def _r_jvp(call, primals, tangents):
    (_, r), (_, dr) = _factors_jvp(dataclasses.replace(call, mode="reduced"), primals, tangents)
    return r, dr


@_with_rule
def factors(call: Call, a):
    plan = call.plan
    m = plan.m
    r_rows = m if call.mode == "complete" else plan.k
    r_spec, q_spec = plan.spec_of(r_rows), plan.spec_of(m)

    def local(a):
        f, t, r = _factor(call, a)
        cols = m if call.mode == "complete" else plan.k
        q = _ffi.ungqr(f, t, plan.group, m=m, cols=cols, nb=call.nb)
        return plan.out(q, m), r

    return plan.map(local, (q_spec,), (q_spec, r_spec))(a)


@factors.defjvp
def _factors_jvp(call, primals, tangents):
    q, r = factors(call, *primals)
    return (q, r), _rules_qr.tangents(call.plan, q, r, *tangents)


def _qr(call: Call, a):
    plan = call.plan
    a = plan.enter(a)
    if call.mode == "r":
        return plan.leave(_r(call, a))
    q, r = factors(call, a)
    return QRResult(plan.leave(q), plan.leave(r))


def _empty(a, mode):
    """m or n is 0."""
    m, n = a.shape
    r = jnp.zeros((m if mode == "complete" else 0, n), a.dtype)
    return r if mode == "r" else QRResult(jnp.eye(m, r.shape[0], dtype=a.dtype), r)


def qr(
    a,
    mode: str = "reduced",
    *,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
):
    """QR factorisation of a tall, square or wide matrix, as ``jax.numpy.linalg.qr``.

    Args:
      a: (m, n), float32, float64, complex64 or complex128, with any sharding. Shards of rows,
        ``P("x", None)``, are used as they lie, others are resharded inside the same program.
      mode: ``"reduced"``: Q (m, k) and R (k, n), k = min(m, n); ``"complete"``: Q (m, m) and
        R (m, n); ``"r"``: R (k, n) alone.
      overwrite_a, mesh, spec: as in `solve`.
      tile_size: width of the panels, at most 128; None: chosen.

    Returns:
      QRResult(Q, R), or R. Both are sharded like `a` where the devices divide them; what they do
      not divide is on every device. Signs are LAPACK's, as in JAX.

    Raises:
      TypeError, ValueError: when traced, naming the argument, its value and what was expected.

    Accuracy: Q is orthogonal to working precision for every matrix, also for one that is singular
    or zero; each column of A - Q R is small against that column of A. NaN and Inf give NaN. Cost:
    2 n^2 (m - n/3) multiply-add pairs for R (m > n), once more for Q. There are derivatives, as in
    JAX, where m >= n and the mode is not "complete" (unless m = n).
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"mode={mode!r}, expected 'reduced', 'complete' or 'r'")
    overwrite_a = _options.check_bool(overwrite_a, "overwrite_a")
    nb = _options.check_tile(tile_size)
    if nb > _ffi.QR_TILE:
        raise ValueError(f"tile_size={nb}, expected at most {_ffi.QR_TILE}")
    a, plan = rows_plan_of(a, mesh, spec)
    if plan.k == 0:
        return _empty(a, mode)
    reuse = overwrite_a and mode == "reduced" and plan.m >= plan.n and plan.in_place
    how = {"donate": (0,) * reuse, "delete": (0,) * (overwrite_a and not reuse)}
    return run(_qr, Call(plan, mode, nb), a, **how)
