# SPDX-License-Identifier: Apache-2.0
"""Polar decomposition and singular values.

    A = Q R              if m > n (of A^H if m < n)
    R = Up H             polar decomposition (QDWH), H Hermitian, positive semidefinite
    H = V S V^H          eigh
    A = (Q Up V) S V^H

All of it on shards of rows: QR, Cholesky inverse and eigensolver of the C library, products around
the ring of the devices. A Gram matrix is formed only of what has been made well-conditioned, so
singular values are accurate to about u |A|. Nakatsukasa, Higham, SIAM J. Sci. Comput. 35 (2013).

QDWH: X := X (a + b X^H X) (1 + c X^H X)^-1 maps the singular values of X, which lie in [l, 1], into
[l', 1], with the a, b, c for which l' is largest; l is taken for u from the start, so that the
numbers are constants: six steps. Where A has singular values below u |A|, what comes out is nearly
a partial isometry; the columns of U that are not orthonormal then are made so by a QR.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

from . import _ffi, _options, _rules_svd
from ._rows import Ring, RowsPlan, rows_plan_of
from ._rules import _with_rule
from ._sharding import run

# Up to this k every device finds the singular vectors of the k x k matrix R by itself.
_WHOLE = 256


def whole() -> int:
    return _WHOLE


class SVDResult(NamedTuple):
    """A = U diag(S) Vh, singular values descending."""

    U: Any
    S: Any
    Vh: Any


class PolarResult(NamedTuple):
    """A = unitary posdef (side="right") or posdef unitary."""

    unitary: Any
    posdef: Any


@dataclasses.dataclass(frozen=True)
class Call:
    plan: RowsPlan
    whole: int = 0  # see _WHOLE
    side: str = "right"


# ---- polar decomposition of a square matrix ------------------------------------------------------


@functools.cache
def _weights(eps: float) -> tuple[tuple[float, float, float], ...]:
    """(a, b, c) of the steps, for singular values in [eps, 1]."""
    steps, low = [], eps
    while 1 - low > eps and len(steps) < 12:
        d = math.cbrt(4 * (1 - low * low) / low**4) if low < 1 else 0.0
        root = math.sqrt(1 + d)
        a = root + math.sqrt(8 - 4 * d + 8 * (2 - low * low) / (low * low * root)) / 2
        b = (a - 1) ** 2 / 4
        c = a + b - 1
        steps.append((a, b, c))
        low = min(low * (a + b * low * low) / (1 + c * low * low), 1.0)
    return tuple(steps)


def _by_qr(ring: Ring, x, n: int, a, b, c):
    """A step through [sqrt(c) X; I] = [Q1; Q2] R: stable for any c, if X has the pivots."""
    stacked = ring.stack_eye(x * jnp.sqrt(c), n)
    m = stacked.shape[0] * ring.ranks
    f, t, _ = _ffi.geqrf(stacked, ring.group, m=m)
    q1, q2 = ring.unstack(_ffi.ungqr(f, t, ring.group, m=m, cols=n))
    return x * (b / c) + ring.multiply_adjoint(q1, q2, n) * ((a - b / c) / jnp.sqrt(c))


def _by_cholesky(ring: Ring, x, n: int, a, b, c):
    """A step through (1 + c X^H X)^-1, whose condition is at most 1 + c."""
    z = ring.eye(n, x.dtype) + c * ring.adjoint_multiply(x, x)
    inverse, _, _ = _ffi.poinv(z, ring.group, n=n, nb=0)
    inverse = ring.clear(inverse, n)
    return x * (b / c) + ring.multiply(x, inverse, n) * (a - b / c)


def _unitary(ring: Ring, x, n: int):
    """Rows of the unitary factor of a square matrix."""
    most = ring.most(jnp.abs(x).max(initial=0))
    x = x / jnp.where(most > 0, most, 1)
    norm = jnp.sqrt(ring.sum(jnp.sum(jnp.abs(x) ** 2)))  # no less than the largest singular value
    x = x / jnp.where(norm > 0, norm, 1)
    weights = _weights(float(np.finfo(x.dtype).eps) / 2)
    for step, some in (
        (_by_qr, [w for w in weights if w[2] > 100]),
        (_by_cholesky, [w for w in weights if w[2] <= 100]),
    ):
        steps = jnp.asarray(some, _ffi.real_dtype(x.dtype))
        x, _ = jax.lax.scan(lambda x, w, step=step: (step(ring, x, n, *w), None), x, steps)
    return x


def _hermitian(ring: Ring, h, n: int):
    return (h + ring.adjoint(h, n)) / 2


# ---- inside the map: rows of A (m x n), any shape ----------------------------------------------


def _tall(ring: Ring, a, m: int, n: int):
    """f(rows of A or A^H, its shape) for the one of them that is tall or square."""
    return (a, m, n) if m >= n else (ring.adjoint(a, m), n, m)


def _reduce(ring: Ring, a, m: int, n: int, *, q: bool):
    """(rows of Q or None, rows of R), m > n."""
    f, t, r = _ffi.geqrf(a, ring.group, m=m, r="rows")
    r = ring.clear(r, n)
    return (ring.clear(_ffi.ungqr(f, t, ring.group, m=m, cols=n), m) if q else None), r


def own_rows(ring: Ring, x, count: int):
    """This rank's rows of what every rank has."""
    x = jnp.pad(x, ((0, ring.each(count) * ring.ranks - count), (0, 0)))
    return jax.lax.dynamic_slice_in_dim(x, ring.first(count), ring.each(count), axis=0)


def _orthonormal(ring: Ring, u, m: int):
    """Columns that are orthonormal or nearly zero, the latter last -> orthonormal."""
    n = u.shape[1]
    f, t, r = _ffi.geqrf(u, ring.group, m=m, r="rows")
    q = ring.clear(_ffi.ungqr(f, t, ring.group, m=m, cols=n), m)
    diagonal = jnp.where(ring.indices(n) == jnp.arange(n), ring.clear(r, n), 0)
    return q * jnp.where(ring.sum(diagonal.real.sum(0)) < 0, -1, 1)


def _square_svd(ring: Ring, x, n: int, whole: int, vectors: bool):
    """Rows of U, s, rows of V of a square matrix; without vectors s."""
    if n <= whole:
        full = ring.gather(x, n)
        if not vectors:
            return jnp.linalg.svd(full, compute_uv=False)
        u, s, vh = jnp.linalg.svd(full)
        return own_rows(ring, u, n), s, own_rows(ring, jnp.conj(vh.T), n)
    up = ring.clear(_unitary(ring, x, n), n)
    h = _hermitian(ring, ring.adjoint_multiply(up, x), n)
    if not vectors:
        w, _, _ = _ffi.syevd_values(h, ring.group, n=n, nb=0)
        return jnp.sort(jnp.abs(w), descending=True)
    w, v, _, _ = _ffi.syevd(h, ring.group, n=n, nb=0)
    order = jnp.argsort(-jnp.abs(w))
    v, w = ring.clear(v, n)[:, order], w[order]
    s, sign = jnp.abs(w), jnp.where(w < 0, -1, 1).astype(x.dtype)
    u = ring.multiply(up, v, n) * sign
    # Columns of singular values that are nothing against the largest may be of any length.
    small = ~(s[-1] > s[0] * (100 * n * np.finfo(s.dtype).eps))
    u = jax.lax.cond(small, lambda u: _orthonormal(ring, u, n), lambda u: u, u)
    return u, s, v


def thin_svd(ring: Ring, a, m: int, n: int, whole: int):
    """Rows of U (m x k), s, rows of V (n x k)."""
    x, rows, cols = _tall(ring, a, m, n)
    if rows > cols:
        q, r = _reduce(ring, x, rows, cols, q=True)
        u, s, v = _square_svd(ring, r, cols, whole, True)
        u = ring.multiply(q, u, cols)
    else:
        u, s, v = _square_svd(ring, x, cols, whole, True)
    return (u, s, v) if m >= n else (v, s, u)


def singular_values(ring: Ring, a, m: int, n: int, whole: int):
    x, rows, cols = _tall(ring, a, m, n)
    if rows > cols:
        _, x = _reduce(ring, x, rows, cols, q=False)
    return _square_svd(ring, x, cols, whole, False)


# ---- public ------------------------------------------------------------------------------------


@_with_rule
def _triple(call: Call, a):
    """A, entered -> U, s, V^H."""
    plan, whole = call.plan, call.whole
    ring = plan.ring

    def local(a):
        u, s, v = thin_svd(ring, plan.own(a), plan.m, plan.n, whole)
        return plan.out(u, plan.m), s, plan.out(ring.adjoint(v, plan.n), plan.k)

    entered = plan.spec_of(plan.m)
    specs = (entered, P(None), plan.spec_of(plan.k))
    return plan.map(local, (entered,), specs)(a)


@_triple.defjvp
def _triple_jvp(call, primals, tangents):
    out = _triple(call, *primals)
    return out, _rules_svd.tangents(call.plan, *out, *tangents)


def _svd(call: Call, a):
    plan = call.plan
    u, s, vh = _triple(call, plan.enter(a))
    return SVDResult(plan.leave(u), s, plan.leave(vh))


@_with_rule
def _values(call: Call, a):
    """A, entered -> s."""
    plan = call.plan

    def local(a):
        return singular_values(plan.ring, plan.own(a), plan.m, plan.n, call.whole)

    return plan.map(local, (plan.spec_of(plan.m),), P(None))(a)


@_values.defjvp
def _values_jvp(call, primals, tangents):
    (_, s, _), (_, ds, _) = _triple_jvp(call, primals, tangents)
    return s, ds


def _svdvals(call: Call, a):
    return _values(call, call.plan.enter(a))


def _polar(call: Call, a):
    plan, right = call.plan, call.side == "right"
    ring, m, n = plan.ring, plan.m, plan.n
    size = n if right else m

    def local(a):
        a = plan.own(a)
        x, rows, cols = _tall(ring, a, m, n)
        if rows > cols:
            q, r = _reduce(ring, x, rows, cols, q=True)
            u = ring.multiply(q, ring.clear(_unitary(ring, r, cols), cols), cols)
        else:
            u = ring.clear(_unitary(ring, x, cols), cols)
        if m < n:
            u = ring.adjoint(u, n)
        p = ring.adjoint_multiply(u, a) if right else ring.multiply_adjoint(a, u, m)
        return plan.out(u, m), plan.out(_hermitian(ring, p, size), size)

    specs = (plan.spec_of(m), plan.spec_of(size))
    u, p = plan.map(local, (plan.spec_of(m),), specs)(plan.enter(a))
    return PolarResult(plan.leave(u), plan.leave(p))


def _pinv(call: Call, a, rcond):
    plan = call.plan
    ring = plan.ring

    def local(a, rcond):
        u, s, v = thin_svd(ring, plan.own(a), plan.m, plan.n, call.whole)
        inverse = jnp.where(s > rcond * s[0], 1 / jnp.where(s == 0, 1, s), 0)
        inverse = jnp.where(jnp.isnan(s), jnp.nan, inverse).astype(a.dtype)
        return plan.out(ring.multiply_adjoint(v * inverse, u, plan.m), plan.n)

    specs = (plan.spec_of(plan.m), P())
    return plan.map(local, specs, plan.spec_of(plan.n))(plan.enter(a), rcond)


def _call(a, mesh, spec, **fields) -> tuple[Any, Call]:
    a, plan = rows_plan_of(a, mesh, spec)
    return a, Call(plan, _WHOLE, **fields)


def svd(a, full_matrices: bool = False, compute_uv: bool = True, *, mesh=None, spec=None):
    """Singular value decomposition, as ``jax.numpy.linalg.svd``; by default the reduced one.

    Args:
      a: (m, n), float32, float64, complex64 or complex128, with any sharding; shards of rows,
        ``P("x", None)``, are used as they lie, others are resharded in the same program.
      full_matrices: False, the only form available: U (m, k), Vh (k, n), k = min(m, n).
      compute_uv: False returns the singular values alone, as `svdvals`.
      mesh, spec: as in `solve`.

    Returns:
      SVDResult(U, S, Vh): S real, descending, on every device; U and Vh sharded like `a` where the
      devices divide them. NaN or Inf in `a` give NaN.

    Raises:
      TypeError, ValueError: when traced, naming the argument, its value and what was expected.

    Accuracy: U and Vh are orthogonal to working precision for every matrix, and the residual and
    the errors of all singular values are a few units of rounding times ||A||. There are
    derivatives, as in JAX, where no two singular values are equal and none is 0.
    """
    if _options.check_bool(full_matrices, "full_matrices"):
        raise ValueError("full_matrices=True is not available; expected False")
    if not _options.check_bool(compute_uv, "compute_uv"):
        return svdvals(a, mesh=mesh, spec=spec)
    a, call = _call(a, mesh, spec)
    if call.plan.k == 0:
        real = jnp.zeros(0, _ffi.real_dtype(a.dtype))
        m, n = a.shape
        return SVDResult(jnp.zeros((m, 0), a.dtype), real, jnp.zeros((0, n), a.dtype))
    return run(_svd, call, a)


def svdvals(a, *, mesh=None, spec=None):
    """Singular values, descending, on every device, as ``jax.numpy.linalg.svdvals``. See `svd`."""
    a, call = _call(a, mesh, spec)
    if call.plan.k == 0:
        return jnp.zeros(0, _ffi.real_dtype(a.dtype))
    return run(_svdvals, call, a)


def polar(a, side: str = "right", *, mesh=None, spec=None):
    """Polar decomposition, as ``jax.scipy.linalg.polar``.

    Args:
      a: (m, n), as in `svd`.
      side: ``"right"``: A = U P, P (n, n); ``"left"``: A = P U, P (m, m).
      mesh, spec: as in `solve`.

    Returns:
      PolarResult(unitary, posdef): U (m, n) has orthonormal columns, or rows if m < n (if A has
      full rank; else it is nearly a partial isometry); P is Hermitian, positive semidefinite.
      Both sharded like `a` where the devices divide them.
    """
    if side not in ("right", "left"):
        raise ValueError(f"side={side!r}, expected 'right' or 'left'")
    a, call = _call(a, mesh, spec, side=side)
    if call.plan.k == 0:
        size = a.shape[1 if side == "right" else 0]
        return PolarResult(a, jnp.zeros((size, size), a.dtype))
    return run(_polar, call, a)


def _rcond(a, rcond):
    real = _ffi.real_dtype(a.dtype)
    if rcond is None:
        rcond = 10.0 * max(a.shape) * np.finfo(real).eps  # as jax.numpy.linalg.pinv
    return jnp.asarray(rcond, real)


def pinv(a, rtol=None, *, mesh=None, spec=None):
    """Moore-Penrose inverse (n, m), as ``jax.numpy.linalg.pinv``.

    Args:
      a: (m, n), as in `svd`.
      rtol: singular values up to rtol times the largest count as zero; None: 10 max(m, n) eps.
      mesh, spec: as in `solve`.
    """
    a, call = _call(a, mesh, spec)
    if call.plan.k == 0:
        return jnp.zeros(a.shape[::-1], a.dtype)
    return run(_pinv, call, a, _rcond(a, rtol))


def matrix_rank(a, rtol=None, *, mesh=None, spec=None):
    """Number of singular values above rtol times the largest, as ``jax.numpy.linalg.matrix_rank``;
    rtol None: max(m, n) eps. A scalar on every device."""
    s = svdvals(a, mesh=mesh, spec=spec)
    if rtol is None:
        rtol = max(jnp.shape(a)) * jnp.finfo(s.dtype).eps
    return jnp.sum(s > rtol * s.max(initial=0))


def cond(a, p=None, *, mesh=None, spec=None):
    """Condition number in the 2-norm (p None or 2), or its inverse (-2), as
    ``jax.numpy.linalg.cond``. A scalar on every device."""
    if p not in (None, 2, -2):
        raise ValueError(f"p={p!r}, expected None, 2 or -2")
    s = svdvals(a, mesh=mesh, spec=spec)
    if s.size == 0:
        raise ValueError(f"a has the shape {jnp.shape(a)}: the condition of nothing")
    return s[-1] / s[0] if p == -2 else s[0] / s[-1]
