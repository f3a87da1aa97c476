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
from .._sharding import Group, group_of, run
from ._arguments import Shards, context_shards, mesh_shards, place, row_axes
from .utils import JaxMgWarning

MAX_TILE = 1024  # of cuSOLVERMg's syevd
FAILED = 7  # CUSOLVER_STATUS_INTERNAL_ERROR

# ---- on local shards ---------------------------------------------------------------------------


def _blocks(a, group: Group):
    """(lc, P, lc): block q of this rank's rows exchanged for this rank's block of rank q's."""
    lc = a.shape[0]
    blocks = a.reshape(lc, group.ranks, lc)
    return jax.lax.all_to_all(blocks, group.axes, 1, 1) if group.ranks > 1 else blocks


def _complete(a, group: Group):
    """This rank's rows of the Hermitian matrix of which the upper triangle is given."""
    lc, n = a.shape
    mirror = jnp.conj(_blocks(a, group).transpose(2, 1, 0)).reshape(lc, n)
    row = group.rank() * lc + jnp.arange(lc)[:, None]
    col = jnp.arange(n)[None, :]
    on_diagonal = jnp.real(a).astype(a.dtype)
    return jnp.where(row < col, a, jnp.where(row == col, on_diagonal, mirror))


def _columns(rows, group: Group):
    """This rank's columns of a matrix of which it has the rows."""
    lc, n = rows.shape
    return _blocks(rows, group).transpose(1, 0, 2).reshape(n, lc)


def _status(info):
    return jnp.where(info == 0, 0, FAILED).astype(jnp.int32).reshape(1)


def _float64():
    return jnp.float64 if jax.config.jax_enable_x64 else jnp.float32


def _potrs(a, b, shards: Shards, group: Group, nb: int):
    """(x, logdet (1,), status (1,), what a has become)."""
    a = _complete(shards.without_padding(a), group)
    f, x, logdet, info = _ffi.posv(
        a, b, group, n=shards.n, nb=nb, rhs=_ffi.RHS_REPLICATED, logdet_dtype=_float64()
    )
    return x, logdet.reshape(1), _status(info), f


def _potri(a, shards: Shards, group: Group, nb: int):
    """(rows of the inverse, status (1,))."""
    a = _complete(shards.without_padding(a), group)
    inverse, _, info = _ffi.poinv(a, group, n=shards.n, nb=nb)
    return inverse, _status(info)


def _syevd(a, shards: Shards, group: Group, nb: int, vectors: bool):
    """(w, columns of V or None, status (1,), what a has become)."""
    a = _complete(shards.without_padding(a), group)
    if vectors:
        w, v, work, info = _ffi.syevd(a, group, n=shards.n, nb=nb)
        return w, _columns(v, group), _status(info), work
    w, work, info = _ffi.syevd_values(a, group, n=shards.n, nb=nb)
    return w, None, _status(info), work


# ---- programs of the public forms --------------------------------------------------------------


def _potrs_program(static, a, b):
    mesh, axes, shards, nb = static
    rows = P(axes, None)
    local = functools.partial(_potrs, shards=shards, group=group_of(mesh, axes), nb=nb)
    out_specs = (P(None, None), P(None), P(None), rows)
    a, b = compat.reshard(a, mesh, rows), compat.reshard(b, mesh, P(None, None))
    return compat.shard_map(local, mesh, (rows, P(None, None)), out_specs)(a, b)


def _potri_program(static, a):
    mesh, axes, shards, nb = static
    rows = P(axes, None)
    local = functools.partial(_potri, shards=shards, group=group_of(mesh, axes), nb=nb)
    return compat.shard_map(local, mesh, rows, (rows, P(None)))(compat.reshard(a, mesh, rows))


def _syevd_program(static, a):
    mesh, axes, shards, nb, vectors = static
    rows = P(axes, None)
    local = functools.partial(
        _syevd, shards=shards, group=group_of(mesh, axes), nb=nb, vectors=vectors
    )
    out_specs = (P(None), P(None, axes) if vectors else None, P(None), rows)
    return compat.shard_map(local, mesh, rows, out_specs)(compat.reshard(a, mesh, rows))


def _tile(T_A, shards: Shards) -> int:
    """One tile covers a shard at most."""
    return min(int(T_A), max(shards.rows, 1))


def _donated(shards: Shards) -> bool:
    """JAXMg donates `a` unless it has made a padded copy."""
    return shards.padding == 0 or shards.padded


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
    shards = mesh_shards(a, T_A, mesh, axes, pad)
    a, mesh = place(a, mesh, axes)
    donate = (0,) * _donated(shards) + (1,) * (b.ndim == 2)
    if b.ndim == 1:
        b = b[:, None]
    static = (mesh, axes, shards, _tile(T_A, shards))
    x, logdet, status, _ = run(_potrs_program, static, a, b, donate=donate)
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
    shards, group = context_shards(a, T_A, pad)
    x, logdet, status, _ = _potrs(a, b, shards, group, _tile(T_A, shards))
    return (x, logdet, status) if return_logdet else (x, status)


# ---- potri -------------------------------------------------------------------------------------


def potri(a, T_A, mesh, in_specs, return_status=False, pad=True):
    """Inverse of a Hermitian positive definite matrix, in full.

    Args as in `potrs`. Returns the (N, N) inverse sharded as `a`, or (inverse, status). All NaN
    if A is not positive definite.
    """
    axes = row_axes(in_specs)
    assert a.ndim == 2, "a must be a 2D array."
    shards = mesh_shards(a, T_A, mesh, axes, pad)
    a, mesh = place(a, mesh, axes)
    static = (mesh, axes, shards, _tile(T_A, shards))
    inverse, status = run(_potri_program, static, a, donate=(0,) * _donated(shards))
    return (inverse, status[0]) if return_status else inverse


def potri_shardmap_ctx(a, T_A, pad=True):
    """`potri` on local shards inside the caller's shard_map: a (N/ndev, N).

    Returns (rows of the upper triangle of the inverse, status of shape (1,)); below the
    diagonal there are zeros. `potri_symmetrize` outside the shard_map completes it.
    """
    assert a.ndim == 2, "a must be a 2D array."
    shards, group = context_shards(a, T_A, pad)
    inverse, status = _potri(a, shards, group, _tile(T_A, shards))
    row = group.rank() * shards.rows + jnp.arange(shards.rows)[:, None]
    keep = (row <= jnp.arange(shards.n)[None, :]) | (status[0] != 0)
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
    shards = mesh_shards(a, T_A, mesh, axes, pad)
    a, mesh = place(a, mesh, axes)
    static = (mesh, axes, shards, _tile(T_A, shards), bool(return_eigenvectors))
    w, v, status, _ = run(_syevd_program, static, a, donate=(0,) * _donated(shards))
    out = (w, *((v,) if return_eigenvectors else ()), *((status[0],) if return_status else ()))
    return out if len(out) > 1 else w


def syevd_shardmap_ctx(a, T_A, return_eigenvectors=True, pad=True):
    """`syevd` on local shards inside the caller's shard_map: a (N/ndev, N).

    Returns (w, V, status) or (w, status): V the (N, N/ndev) columns of this device, for
    out_specs P(None, axis); w in full; status of shape (1,).
    """
    assert a.ndim == 2, "a must be a 2D array."
    if T_A > MAX_TILE:
        raise ValueError(f"T_A has a maximum value of {MAX_TILE} for SyevdMg, received T_A={T_A}")
    shards, group = context_shards(a, T_A, pad)
    w, v, status, _ = _syevd(a, shards, group, _tile(T_A, shards), return_eigenvectors)
    return (w, v, status) if return_eigenvectors else (w, status)
