# SPDX-License-Identifier: Apache-2.0
"""Calls of the C library's XLA targets on local shards: one function a target.

Every function runs on one device (inside shard_map, or in a program of one device). The
operand that a routine overwrites is aliased to a result: XLA copies it if it is needed later.
A batch (vmap) runs one after another.
"""

from __future__ import annotations

import collections
import threading
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from . import _jax_compat as compat
from . import _library, _options

CYCLIC, NATURAL = 0, 1
RHS_ROWS, RHS_REPLICATED = 0, 1
OP_N, OP_T, OP_C = 0, 1, 2

_calls: collections.Counter = collections.Counter()
_calls_lock = threading.Lock()


def _call_id(*key) -> int:
    """Number of this call site among those of the same routine, shapes and mesh.

    Two independent calls of one program need different numbers, and all processes of a job the
    same one: they trace the same calls of a mesh in the same order.
    """
    with _calls_lock:
        _calls[key] += 1
        return _calls[key]


def real_dtype(dtype):
    """float32 or float64: the type of the real part."""
    return jnp.finfo(dtype).dtype


def _attributes(group, n, nb, order, rhs, op, first, key):
    attributes = {
        "n": np.int64(n),
        "nb": np.int64(nb),
        "order": np.int64(order),
        "rhs": np.int64(rhs),
        "engine": np.int64(_options.ENGINES.index(group.engine)),
        "precision": np.int64(group.precision),
        "op": np.int64(op),
        "ranks": np.int64(group.ranks),
        "group": np.int64(group.identity),
        "call": np.int64(_call_id(*key, n, nb, order, rhs, op, group.ranks, group.identity)),
    }
    if first is not None:
        attributes["first"] = np.int64(first)
    if group.table is not None:
        attributes["table"] = np.asarray(group.table, np.int64)
    return attributes


class _Result(NamedTuple):
    shape: tuple[int, ...]
    dtype: object
    shard: bool = False  # differs from rank to rank


def _like(x, shard: bool = True) -> _Result:
    return _Result(x.shape, x.dtype, shard)


def _call(
    target,
    results,
    operands,
    aliases,
    group,
    *,
    n,
    nb,
    order=CYCLIC,
    rhs=RHS_REPLICATED,
    first=None,
    op=OP_N,
):
    _library.register()
    key = (target, *((x.shape, str(x.dtype)) for x in operands))
    operands = (*operands, group.where())
    varying = frozenset().union(*map(compat.varying_axes, operands))
    same = varying - frozenset(group.axes)
    types = tuple(
        compat.result_type(r.shape, r.dtype, varying if r.shard else same) for r in results
    )
    call = jax.ffi.ffi_call(
        _library.PREFIX + target, types, input_output_aliases=aliases, vmap_method="sequential"
    )
    operands = (compat.as_varying(x, varying) for x in operands)
    return tuple(call(*operands, **_attributes(group, n, nb, order, rhs, op, first, key)))


_INFO = _Result((1,), np.dtype(np.int32))


def _logdet_result() -> _Result:
    """Eight bytes, whether JAX has float64 or not."""
    return _Result((1,), jnp.float64) if compat.x64_enabled() else _Result((2,), jnp.uint32)


def _logdet(raw, dtype):
    """The logarithm of the determinant in the real type that goes with `dtype`."""
    dtype = real_dtype(dtype)
    if raw.dtype != jnp.uint32:
        return raw[0].astype(dtype)
    # A float64 in two words (little-endian), where JAX has no float64.
    low, high = raw[0], raw[1]
    exponent = ((high >> 20) & 0x7FF).astype(jnp.int32)
    fraction = high & 0xFFFFF
    mantissa = (fraction | (1 << 20)).astype(dtype) + low.astype(dtype) * dtype.type(2.0**-32)
    value = jnp.ldexp(mantissa, exponent - (1023 + 20))
    value = jnp.where(exponent == 0, dtype.type(0), value)
    special = jnp.where((fraction | low) != 0, dtype.type(np.nan), dtype.type(np.inf))
    value = jnp.where(exponent == 0x7FF, special, value)
    return jnp.where(high >> 31 != 0, -value, value)


def potrf(a, group, *, n, nb, order=CYCLIC):
    """Shard of A -> (factor, logdet, info)."""
    results = _like(a), _logdet_result(), _INFO
    f, logdet, info = _call("potrf", results, (a,), {0: 0}, group, n=n, nb=nb, order=order)
    return f, _logdet(logdet, a.dtype), info[0]


def potrs(f, b, group, *, n, nb, rhs, order=CYCLIC):
    """Factor and right-hand sides -> x."""
    results = (_like(b, rhs == RHS_ROWS),)
    (x,) = _call("potrs", results, (f, b), {1: 0}, group, n=n, nb=nb, order=order, rhs=rhs)
    return x


def posv(a, b, group, *, n, nb, rhs, logdet_dtype=None):
    """Shard of A and right-hand sides -> (factor, x, logdet, info)."""
    results = _like(a), _like(b, rhs == RHS_ROWS), _logdet_result(), _INFO
    f, x, logdet, info = _call("posv", results, (a, b), {0: 0, 1: 1}, group, n=n, nb=nb, rhs=rhs)
    return f, x, _logdet(logdet, logdet_dtype or a.dtype), info[0]


def potri(f, group, *, n, nb, order=CYCLIC):
    """Factor -> shard of the inverse."""
    (inverse,) = _call("potri", (_like(f),), (f,), {0: 0}, group, n=n, nb=nb, order=order)
    return inverse


def poinv(a, group, *, n, nb):
    """Shard of A -> (shard of the inverse, logdet, info)."""
    results = _like(a), _logdet_result(), _INFO
    inverse, logdet, info = _call("poinv", results, (a,), {0: 0}, group, n=n, nb=nb)
    return inverse, _logdet(logdet, a.dtype), info[0]


def syevd(a, group, *, n, nb):
    """Shard of A -> (w, rows of V, work, info)."""
    results = _like(a), _Result((n,), real_dtype(a.dtype)), _like(a), _INFO
    work, w, v, info = _call("syevd", results, (a,), {0: 0}, group, n=n, nb=nb)
    return w, v, work, info[0]


def syevx(a, group, *, n, nb, first, count):
    """Shard of A -> (w, rows of the columns [first, first + count) of V, work, info)."""
    some = _Result((a.shape[0], count), a.dtype, True)
    results = _like(a), _Result((n,), real_dtype(a.dtype)), some, _INFO
    work, w, v, info = _call("syevx", results, (a,), {0: 0}, group, n=n, nb=nb, first=first)
    return w, v, work, info[0]


def syevd_values(a, group, *, n, nb):
    """Shard of A -> (w, work, info)."""
    results = _like(a), _Result((n,), real_dtype(a.dtype)), _INFO
    work, w, info = _call("syevd_values", results, (a,), {0: 0}, group, n=n, nb=nb)
    return w, work, info[0]


# ---- rectangular matrices: shards [lr, n] of A (m x n) -----------------------------------------

QR_TILE = 128


def geqrf(a, group, *, m, nb=0, r=None):
    """Shard of A -> (factor, t, R). r: "rows", "all" or None, R is [0, n] then; a rank's rows of
    R are [p * c, ...), c = ceil(min(m, n) / P)."""
    k, n = min(m, a.shape[1]), a.shape[1]
    rows = {"rows": -(-k // group.ranks), "all": k, None: 0}[r]
    t = _Result((k, QR_TILE), a.dtype)
    results = _like(a), t, _Result((rows, n), a.dtype, r == "rows")
    how = {"n": m, "nb": nb, "rhs": RHS_REPLICATED if r == "all" else RHS_ROWS}
    return _call("geqrf", results, (a,), {0: 0}, group, **how)


def ungqr(f, t, group, *, m, cols, nb=0):
    """Factor and t -> shard of Q's first `cols` columns."""
    aliases = {1: 0} if cols == f.shape[1] else {}
    results = (_Result((f.shape[0], cols), f.dtype, True),)
    (q,) = _call("ungqr", results, (t, f), aliases, group, n=m, nb=nb)
    return q


def gels(a, b, group, *, m, nb=0):
    """Shards of A and b -> (shard of Q^H b, x on every rank)."""
    results = _like(a), _like(b), _Result((a.shape[1], b.shape[1]), a.dtype)
    how = {"n": m, "nb": nb, "rhs": RHS_REPLICATED}
    _, c, x = _call("gels", results, (a, b), {0: 0, 1: 1}, group, **how)
    return c, x


# ---- LU ------------------------------------------------------------------------------------------


def _det_result() -> _Result:
    """log |det| and the two parts of det / |det|."""
    return _Result((3,), jnp.float64) if compat.x64_enabled() else _Result((6,), jnp.uint32)


def _det(raw, dtype):
    """(det / |det|, log |det|)."""
    words = raw.shape[0] // 3
    size, re, im = (_logdet(raw[k * words : (k + 1) * words], dtype) for k in range(3))
    return (jax.lax.complex(re, im) if jnp.issubdtype(dtype, jnp.complexfloating) else re), size


def getrf(a, group, *, n, nb, order=CYCLIC):
    """Shard of A -> (factor, row order, sign, log |det|, info)."""
    results = _like(a), _Result((n,), np.dtype(np.int32)), _det_result(), _INFO
    f, perm, det, info = _call("getrf", results, (a,), {0: 0}, group, n=n, nb=nb, order=order)
    return f, perm, *_det(det, a.dtype), info[0]


def getrs(f, perm, b, group, *, n, nb, rhs, op=OP_N, order=CYCLIC):
    """Factor, row order and right-hand sides -> x."""
    results = (_like(b, rhs == RHS_ROWS),)
    how = {"n": n, "nb": nb, "order": order, "rhs": rhs, "op": op}
    (x,) = _call("getrs", results, (perm, f, b), {2: 0}, group, **how)
    return x


def gesv(a, b, group, *, n, nb, rhs, op=OP_N):
    """Shard of A and right-hand sides -> (factor, x, row order, info)."""
    perm = _Result((n,), np.dtype(np.int32))
    results = _like(a), _like(b, rhs == RHS_ROWS), perm, _det_result(), _INFO
    how = {"n": n, "nb": nb, "rhs": rhs, "op": op}
    f, x, perm, _, info = _call("gesv", results, (a, b), {0: 0, 1: 1}, group, **how)
    return f, x, perm, info[0]


def getri(f, perm, group, *, n, nb):
    """Factor and row order -> shard of the inverse."""
    (inverse,) = _call("getri", (_like(f),), (perm, f), {1: 0}, group, n=n, nb=nb)
    return inverse


def geinv(a, group, *, n, nb):
    """Shard of A -> (shard of the inverse, sign, log |det|, info)."""
    results = _like(a), _Result((n,), np.dtype(np.int32)), _det_result(), _INFO
    inverse, _, det, info = _call("geinv", results, (a,), {0: 0}, group, n=n, nb=nb)
    return inverse, *_det(det, a.dtype), info[0]
