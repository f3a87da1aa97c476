# SPDX-License-Identifier: Apache-2.0
"""potrs, potri and syevd of JAXMg 0.x, and their forms for use inside the caller's shard_map.

Both forms of a routine run the same function on local shards. JAXMg reads the upper triangle of
A only; the library wants A in full, so each device sends blocks to the others once (all-to-all)
and completes its rows. JAXMg's status is cuSOLVER's: 0, or 7 where the factorisation failed.
"""

from __future__ import annotations

import functools
import warnings

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from .. import _ffi
from .. import _jax_compat as compat
from .._sharding import as_array, run
from ._arguments import Shards, context_shards, is_everywhere, mesh_shards, row_axes
from .utils import JaxMgWarning

MAX_TILE = 1024  # of cuSOLVERMg's syevd
FAILED = 7  # CUSOLVER_STATUS_INTERNAL_ERROR

# ---- on local shards ---------------------------------------------------------------------------


def _status(info):
    return jnp.where(info == 0, 0, FAILED).astype(jnp.int32).reshape(1)


def _potrs(shards: Shards, a, b):
    """(x, logdet (1,), status (1,), what a has become)."""
    plan, dtype = shards.plan, jnp.promote_types(a.dtype, b.dtype)
    rows, b = shards.complete(a.astype(dtype)), b.astype(dtype)
    size = {"n": plan.n, "nb": shards.nb, "rhs": _ffi.RHS_REPLICATED}
    wide = jnp.float64 if compat.x64_enabled() else jnp.float32
    f, x, logdet, info = _ffi.posv(rows, b, plan.group, **size, logdet_dtype=wide)
    return x, logdet.reshape(1), _status(info), f


def _potri(shards: Shards, a):
    """(rows of the inverse, status (1,))."""
    plan = shards.plan
    inverse, _, info = _ffi.poinv(shards.complete(a), plan.group, n=plan.n, nb=shards.nb)
    return inverse, _status(info)


def _syevd(shards: Shards, vectors: bool, a):
    """(w, [columns of V,] status (1,), what a has become)."""
    plan, rows = shards.plan, shards.complete(a)
    if not vectors:
        w, work, info = _ffi.syevd_values(rows, plan.group, n=plan.n, nb=shards.nb)
        return w, _status(info), work
    w, v, work, info = _ffi.syevd(rows, plan.group, n=plan.n, nb=shards.nb)
    return w, plan.columns(v), _status(info), work


# ---- programs of the public forms --------------------------------------------------------------
# `a` may be donated: what it becomes is a result, so that the library works in its memory.
# Arrays without elements do not go into a shard_map: XLA cannot partition them.


def _potrs_program(shards: Shards, a, b):
    if a.size == 0:
        return b, jnp.zeros(1), jnp.zeros(1, jnp.int32), a
    if b.size == 0:
        x, *rest = _potrs_program(shards, a, jnp.zeros((b.shape[0], 1), b.dtype))
        return x[:, :0], *rest
    mesh, rows, every = shards.plan.mesh, shards.plan.rows_spec, P(None, None)
    a, b = compat.reshard(a, mesh, rows), compat.reshard(b, mesh, every)
    local = functools.partial(_potrs, shards)
    return compat.shard_map(local, mesh, (rows, every), (every, P(None), P(None), rows))(a, b)


def _potri_program(shards: Shards, a):
    if a.size == 0:
        return a, jnp.zeros(1, jnp.int32)
    mesh, rows = shards.plan.mesh, shards.plan.rows_spec
    local = functools.partial(_potri, shards)
    return compat.shard_map(local, mesh, rows, (rows, P(None)))(compat.reshard(a, mesh, rows))


def _syevd_program(static, a):
    shards, vectors = static
    if a.size == 0:
        w = jnp.zeros(0, _ffi.real_dtype(a.dtype))
        return w, *((a,) if vectors else ()), jnp.zeros(1, jnp.int32), a
    mesh, rows = shards.plan.mesh, shards.plan.rows_spec
    local = functools.partial(_syevd, shards, vectors)
    columns = (P(None, rows[0]),) if vectors else ()
    out_specs = (P(None), *columns, P(None), rows)
    return compat.shard_map(local, mesh, rows, out_specs)(compat.reshard(a, mesh, rows))


# ---- potrs -------------------------------------------------------------------------------------


def potrs(a, b, T_A, mesh, in_specs, return_status=False, return_logdet=False, pad=True):
    """Solves A x = b for a Hermitian positive definite A.

    Args:
      a: (N, N), sharded by rows; only the upper triangle is read. Outside jit it is donated,
        unless T_A would make JAXMg pad its shards.
      b: (N,) or (N, k), replicated; (N, k) is donated outside jit.
      T_A: tile width.
      mesh, in_specs: mesh, and P(axis, None), alone or in a list or tuple of one.
      return_status: also return an int32 scalar: 0, or 7 if A is not positive definite.
      return_logdet: also return log det A, float64.
      pad: False refuses tiles that do not fit the shards, unless they are padded already.

    Returns:
      x, (N, k), replicated, k = 1 for a vector; then logdet, then status, as asked for. All NaN
      if A is not positive definite.
    """
    axes = row_axes(in_specs)
    assert a.shape[1] == b.shape[0], "A and b must have the same number of columns."
    assert a.ndim == 2, "a must be a 2D array."
    assert b.ndim <= 2, "b must be a 1D or 2D array."
    a, shards = mesh_shards(a, T_A, mesh, axes, pad)
    b = as_array(b, "b")
    donate = shards.donate
    if b.ndim == 1:
        b = b[:, None]
    elif is_everywhere(b, shards.plan.mesh) and b.dtype == jnp.promote_types(a.dtype, b.dtype):
        donate += (1,)
    x, logdet, status, _ = run(_potrs_program, shards, a, b, donate=donate)
    out = (x, *((logdet[0],) if return_logdet else ()), *((status[0],) if return_status else ()))
    return out if len(out) > 1 else x


def potrs_shardmap_ctx(a, b, T_A, return_logdet=False, pad=True):
    """`potrs` on local shards inside the caller's shard_map: a (N/ndev, N), b (N, k) in full.

    Returns (x, status) or (x, logdet, status): x in full on every device, status and logdet
    of shape (1,); out_specs P(None, None), P(None), P(None) with check_vma=False.
    """
    assert a.shape[1] == b.shape[0], "A and b must have the same number of rows."
    assert a.ndim == 2, "a must be a 2D array."
    assert b.ndim == 2, "b must be a 2D array."
    a, shards = context_shards(a, T_A, pad)
    x, logdet, status, _ = _potrs(shards, a, as_array(b, "b"))
    return (x, logdet, status) if return_logdet else (x, status)


# ---- potri -------------------------------------------------------------------------------------


def potri(a, T_A, mesh, in_specs, return_status=False, pad=True):
    """Inverse of a Hermitian positive definite matrix, in full.

    Args as in `potrs`. Returns the (N, N) inverse sharded as `a`, or (inverse, status). All NaN
    if A is not positive definite.
    """
    axes = row_axes(in_specs)
    assert a.ndim == 2, "a must be a 2D array."
    a, shards = mesh_shards(a, T_A, mesh, axes, pad)
    inverse, status = run(_potri_program, shards, a, donate=shards.donate)
    return (inverse, status[0]) if return_status else inverse


def potri_shardmap_ctx(a, T_A, pad=True):
    """`potri` on local shards inside the caller's shard_map: a (N/ndev, N).

    Returns (rows of the upper triangle of the inverse, status of shape (1,)); below the
    diagonal there are zeros. `potri_symmetrize` outside the shard_map completes it.
    """
    assert a.ndim == 2, "a must be a 2D array."
    a, shards = context_shards(a, T_A, pad)
    inverse, status = _potri(shards, a)
    row = shards.plan.group.rank() * shards.plan.lc + jnp.arange(shards.plan.lc)[:, None]
    keep = (row <= jnp.arange(shards.plan.n)) | (status[0] != 0)
    upper = jnp.where(keep, inverse, 0)
    if shards.padded:
        upper = jnp.pad(upper, ((0, shards.padding), (0, 0)))
    return upper, status


def _symmetrize(mesh_and_spec, a):
    upper = jnp.triu(a)
    mirror = jnp.conj(jnp.triu(a, 1)).T
    if mesh_and_spec is not None:
        mirror = compat.reshard(mirror, *mesh_and_spec)
    return upper + mirror


def potri_symmetrize(_a):
    """The Hermitian matrix of which `_a` has the upper triangle, laid out like `_a`, which is
    donated outside jit."""
    sharding = jax.typeof(_a).sharding if isinstance(_a, compat.Tracer) else _a.sharding
    where = None
    if isinstance(sharding, jax.sharding.NamedSharding) and not sharding.mesh.empty:
        known = any(kind == compat.AxisType.Explicit for kind in sharding.mesh.axis_types)
        if known or not isinstance(_a, compat.Tracer):
            where = (sharding.mesh, P(*sharding.spec, *(None,) * (2 - len(sharding.spec))))
    return run(_symmetrize, where, _a, donate=(0,))


# ---- syevd -------------------------------------------------------------------------------------


def syevd(a, T_A, mesh, in_specs, return_eigenvectors=True, return_status=False, pad=True):
    """Eigenvalues and eigenvectors of a Hermitian matrix, A V = V diag(w).

    Args as in `potrs`; a T_A above 1024 is lowered to 1024, with a JaxMgWarning.

    Returns:
      w, (N,), real, ascending, replicated; V, (N, N), its columns the eigenvectors, sharded
      P(None, axis), unless return_eigenvectors is False; then the status if asked for.
    """
    axes = row_axes(in_specs)
    assert a.ndim == 2, "a must be a 2D array."
    if T_A > MAX_TILE:
        warnings.warn(
            f"T_A has a maximum value of {MAX_TILE} for SyevdMg, received T_A={T_A}, "
            f"T_A is lowered to {MAX_TILE}",
            JaxMgWarning,
            stacklevel=2,
        )
        T_A = MAX_TILE
    a, shards = mesh_shards(a, T_A, mesh, axes, pad)
    static = (shards, bool(return_eigenvectors))
    *out, status, _ = run(_syevd_program, static, a, donate=shards.donate)
    out = (*out, status[0]) if return_status else tuple(out)
    return out if len(out) > 1 else out[0]


def syevd_shardmap_ctx(a, T_A, return_eigenvectors=True, pad=True):
    """`syevd` on local shards inside the caller's shard_map: a (N/ndev, N).

    Returns (w, V, status) or (w, status): V the (N, N/ndev) columns of this device, for
    out_specs P(None, axis); w in full; status of shape (1,).
    """
    assert a.ndim == 2, "a must be a 2D array."
    if T_A > MAX_TILE:
        raise ValueError(f"T_A has a maximum value of {MAX_TILE} for SyevdMg, received T_A={T_A}")
    a, shards = context_shards(a, T_A, pad)
    *out, _ = _syevd(shards, bool(return_eigenvectors), a)
    return tuple(out)
