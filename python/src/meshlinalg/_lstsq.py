# SPDX-License-Identifier: Apache-2.0
"""Least squares."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from . import _ffi, _options, _qr, _rules_qr, _svd
from . import _jax_compat as compat
from ._rows import RowsPlan, dot, rows_plan_of
from ._rules import _with_rule
from ._sharding import _on, as_array, run


class LstsqResult(NamedTuple):
    """Solution, sum of squared residuals of each column, rank, singular values."""

    x: Any
    residuals: Any
    rank: Any
    singular_values: Any


@dataclasses.dataclass(frozen=True)
class Call:
    plan: RowsPlan
    whole: int
    vector: bool


def _square(x):
    return jnp.sum((x * jnp.conj(x)).real, axis=0)


@_with_rule
def _full_rank(call: Call, a, b):
    """By QR: x = R^-1 (Q^H b), the rest of Q^H b is the residual."""
    plan = call.plan
    ring, m, n = plan.ring, plan.m, plan.n

    def local(a, b):
        c, x = _ffi.gels(plan.own(a), plan.own(b), plan.group, m=m)
        row = ring.indices(m)
        return x, ring.sum(_square(jnp.where((row >= n) & (row < m), c, 0)))

    return _mapped(call, local, a, b, (P(None, None), P(None)))


@_full_rank.defjvp
def _full_rank_jvp(call, primals, tangents):
    """x' = A^+ (b' - A' x) + R^-1 R^-H A'^H r with r = b - A x, A^+ = R^-1 Q^H; |r|^2 has the
    tangent 2 Re r^H (b' - A' x). One factorisation for x and x'."""
    plan = call.plan
    ring, n = plan.ring, plan.n
    q, r = _qr.factors(_qr.Call(plan, "reduced"), plan.enter(primals[0]))
    inverse = _rules_qr.inverse_of(plan, r)

    def local(a, b, q, inverse, da, db):
        a, b, q, da, db = map(plan.own, (a, b, q, da, db))
        inverse = _rules_qr.own(plan, inverse, n)

        def adjoint_times(x, y):
            return ring.sum(dot(jnp.conj(x.T), y))

        def times_inverse(y):
            return ring.gather(dot(inverse, y), n)

        x = times_inverse(adjoint_times(q, b))
        r, rest = b - dot(a, x), db - dot(da, x)
        normal = _svd.own_rows(ring, adjoint_times(da, r), n)
        dx = times_inverse(adjoint_times(q, rest) + adjoint_times(inverse, normal))
        return x, ring.sum(_square(r)), dx, 2 * ring.sum(jnp.sum((jnp.conj(r) * rest).real, axis=0))

    where = plan.spec_of(plan.m), plan.spec_of(n)
    column = (lambda x: x[:, None]) if call.vector else (lambda x: x)
    moved = plan.enter(tangents[0]), plan.enter(column(tangents[1]))
    more = (q, inverse, *moved)
    more_specs = (where[0], where[1], where[0], where[0])
    out_specs = (P(None, None), P(None)) * 2
    x, square, dx, dsquare = _mapped(call, local, *primals, out_specs, *more, specs=more_specs)
    return (x, square), (dx[:, 0] if call.vector else dx, dsquare)


def _any_rank(call: Call, a, b, rcond):
    """By singular values: x = V S^+ U^H b."""
    plan = call.plan
    ring, m, n, k = plan.ring, plan.m, plan.n, plan.k

    def local(a, b, rcond):
        a, b = plan.own(a), plan.own(b)
        u, s, v = _svd.thin_svd(ring, a, m, n, call.whole)
        keep = (s > 0) & (s >= rcond * s[0])
        inverse = jnp.where(keep, 1 / jnp.where(keep, s, 1), 0)
        inverse = jnp.where(jnp.isnan(s), jnp.nan, inverse).astype(a.dtype)
        d = ring.adjoint_multiply(u, b) * _svd.own_rows(ring, inverse[:, None], k)
        x = ring.gather(ring.multiply(v, d, k), n)
        return x, ring.sum(_square(b - dot(a, x))), keep.sum(), s

    return _mapped(call, local, a, b, (P(None, None), P(None), P(), P(None)), rcond)


def _mapped(call: Call, local, a, b, out_specs, *more, specs=None):
    plan = call.plan
    spec = plan.spec_of(plan.m)
    b = plan.enter(b[:, None] if call.vector else b)
    in_specs = (spec, spec, *(specs or [P()] * len(more)))
    x, square, *rest = plan.map(local, in_specs, out_specs)(plan.enter(a), b, *more)
    return (x[:, 0] if call.vector else x, square, *rest)


def _on_mesh(b, plan: RowsPlan):
    """b on the devices of a, where it is on others."""
    if not plan.axes or isinstance(b, compat.Tracer) or _on(b, plan.mesh):
        return b
    return jax.device_put(b, NamedSharding(plan.mesh, P()))


def lstsq(a, b, rcond=None, *, full_rank: bool = False, mesh=None, spec=None):
    """Least squares, min |A x - b|, as ``jax.numpy.linalg.lstsq``: of all solutions the shortest.

    Args:
      a: (m, n), float32, float64, complex64 or complex128, with any sharding; shards of rows,
        ``P("x", None)``, are used as they lie, others are resharded in the same program.
      b: (m,) or (m, k), with any sharding; promoted with `a` to a common type.
      rcond: singular values below rcond times the largest count as zero; None: max(m, n) eps.
      full_rank: A has m >= n and full rank, which is not verified: by QR, without singular
        values, many times faster. A singular A gives Inf, NaN or large numbers.
      mesh, spec: as in `solve`.

    Returns:
      LstsqResult(x, residuals, rank, singular_values): x (n,) or (n, k), the sum of squares of
      each column of b - A x (k,), the rank, and S, descending; with `full_rank` the rank is n and
      the singular values are None. All on every device. NaN or Inf in `a` give NaN.

    Raises:
      TypeError, ValueError: when traced, naming the argument, its value and what was expected.

    Accuracy: as by LAPACK's gels and gelsd, backward stable. There are derivatives with
    `full_rank`, as long as it is true.
    """
    full_rank = _options.check_bool(full_rank, "full_rank")
    b = as_array(b, "b")
    if b.ndim not in (1, 2):
        raise ValueError(f"b must have one or two dimensions, got shape {b.shape}")
    a, plan = rows_plan_of(a, mesh, spec, near=b)
    m, n = plan.m, plan.n
    if b.shape[0] != m:
        raise ValueError(f"b must have {m} rows as a has, got shape {b.shape}")
    if full_rank and m < n:
        raise ValueError(f"full_rank=True needs m >= n, got a of shape {a.shape}")
    dtype = jnp.result_type(a, b)
    a, b = a.astype(dtype), _on_mesh(b.astype(dtype), plan)
    real = _ffi.real_dtype(dtype)
    if 0 in (m, n, b.size):
        x = jnp.zeros((n, *b.shape[1:]), dtype)
        rest = (None if full_rank else jnp.zeros(0, real),)
        square = _square(b[:, None] if b.ndim == 1 else b)
        return LstsqResult(x, square, jnp.int32(0), *rest)
    call = Call(plan, _svd.whole(), b.ndim == 1)
    if full_rank:
        return LstsqResult(*run(_full_rank, call, a, b), jnp.int32(n), None)
    if rcond is None:
        rcond = float(max(m, n) * jnp.finfo(real).eps)
    return LstsqResult(*run(_any_rank, call, a, b, jnp.asarray(rcond, real)))
