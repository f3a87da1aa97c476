# SPDX-License-Identifier: Apache-2.0
"""Calls of the C library's XLA targets on local shards: one function a target.

Every function runs on one device (inside shard_map, or in a program of one device). The
operand that a routine overwrites is aliased to a result: XLA copies it if it is needed later.
"""

from __future__ import annotations

import collections
import threading

import jax
import jax.numpy as jnp
import numpy as np

from . import _library

CYCLIC, NATURAL = 0, 1
RHS_ROWS, RHS_REPLICATED = 0, 1

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


def _attributes(group, n, nb, order, rhs, key):
    attributes = {
        "n": np.int64(n),
        "nb": np.int64(nb),
        "order": np.int64(order),
        "rhs": np.int64(rhs),
        "ranks": np.int64(group.ranks),
        "group": np.int64(group.identity),
        "call": np.int64(_call_id(*key, n, nb, order, rhs, group.ranks, group.identity)),
    }
    if group.table is not None:
        attributes["table"] = np.asarray(group.table, np.int64)
    return attributes


def _call(target, results, operands, aliases, group, *, n, nb, order=CYCLIC, rhs=RHS_REPLICATED):
    _library.register()
    key = (target, *((x.shape, str(x.dtype)) for x in operands))
    call = jax.ffi.ffi_call(_library.PREFIX + target, results, input_output_aliases=aliases)
    out = call(*operands, group.where(), **_attributes(group, n, nb, order, rhs, key))
    return tuple(out)


def _like(x, shape=None, dtype=None):
    return jax.ShapeDtypeStruct(x.shape if shape is None else shape, dtype or x.dtype)


def _scalars():
    """logdet as eight bytes, whether JAX has float64 or not; and info."""
    if jax.config.jax_enable_x64:
        logdet = jax.ShapeDtypeStruct((1,), jnp.float64)
    else:
        logdet = jax.ShapeDtypeStruct((2,), jnp.uint32)
    return logdet, jax.ShapeDtypeStruct((1,), jnp.int32)


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
    logdet, info = _scalars()
    f, logdet, info = _call(
        "potrf", (_like(a), logdet, info), (a,), {0: 0}, group, n=n, nb=nb, order=order
    )
    return f, _logdet(logdet, a.dtype), info[0]


def potrs(f, b, group, *, n, nb, rhs, order=CYCLIC):
    """Factor and right-hand sides -> x."""
    (x,) = _call("potrs", (_like(b),), (f, b), {1: 0}, group, n=n, nb=nb, order=order, rhs=rhs)
    return x


def posv(a, b, group, *, n, nb, rhs, logdet_dtype=None):
    """Shard of A and right-hand sides -> (factor, x, logdet, info)."""
    logdet, info = _scalars()
    f, x, logdet, info = _call(
        "posv", (_like(a), _like(b), logdet, info), (a, b), {0: 0, 1: 1}, group, n=n, nb=nb, rhs=rhs
    )
    return f, x, _logdet(logdet, logdet_dtype or a.dtype), info[0]


def potri(f, group, *, n, nb, order=CYCLIC):
    """Factor -> shard of the inverse."""
    (inverse,) = _call("potri", (_like(f),), (f,), {0: 0}, group, n=n, nb=nb, order=order)
    return inverse


def poinv(a, group, *, n, nb):
    """Shard of A -> (shard of the inverse, logdet, info)."""
    logdet, info = _scalars()
    inverse, logdet, info = _call(
        "poinv", (_like(a), logdet, info), (a,), {0: 0}, group, n=n, nb=nb
    )
    return inverse, _logdet(logdet, a.dtype), info[0]


def syevd(a, group, *, n, nb):
    """Shard of A -> (w, rows of V, work, info)."""
    w = jax.ShapeDtypeStruct((n,), real_dtype(a.dtype))
    _, info = _scalars()
    work, w, v, info = _call(
        "syevd", (_like(a), w, _like(a), info), (a,), {0: 0}, group, n=n, nb=nb
    )
    return w, v, work, info[0]


def syevd_values(a, group, *, n, nb):
    """Shard of A -> (w, work, info)."""
    w = jax.ShapeDtypeStruct((n,), real_dtype(a.dtype))
    _, info = _scalars()
    work, w, info = _call("syevd_values", (_like(a), w, info), (a,), {0: 0}, group, n=n, nb=nb)
    return w, work, info[0]
