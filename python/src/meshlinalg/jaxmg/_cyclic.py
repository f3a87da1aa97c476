# SPDX-License-Identifier: Apache-2.0
"""JAXMg's 1D block-cyclic layout of rows. meshlinalg itself needs no redistribution.

Rows are dealt out in tiles of T_A: tile t goes to device t mod ndev, behind the tiles that are
there. Every device holds whole tiles: N_batch = N/ndev rounded up to a multiple of T_A rows, rows
of zeros behind its last tile.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from .. import _jax_compat as compat
from .._sharding import run
from ._arguments import Shards, calculate_padding, mesh_shards, row_axes


def pad_rows(_a, padding: int):
    """`padding` rows of zeros below a local shard."""
    return jnp.pad(_a, ((0, padding), (0, 0)))


def unpad_rows(_a, padding: int):
    """A local shard without its last `padding` rows (all of them if padding is 0, as in JAXMg)."""
    return _a[:-padding, :]


def _destination(N: int, N_batch: int, T_A: int, ndev: int) -> np.ndarray:
    """Row of the block-cyclic array that each row of A becomes."""
    tile, within = np.divmod(np.arange(N), T_A)
    turn, device = np.divmod(tile, ndev)
    return device * N_batch + turn * T_A + within


def get_cols_cyclic(N, N_batch, T_A, num_devices):
    """[(row of A, row of the padded array, row of the block-cyclic array), ...]: where each of N
    rows lies, with N_batch rows on a device (`columns` in JAXMg's column-major words)."""
    col = np.arange(N)
    source = col + (N_batch - N // num_devices) * (col // (N // num_devices))
    target = _destination(N, N_batch, T_A, num_devices)
    return list(zip(col.tolist(), source.tolist(), target.tolist(), strict=True))


def verify_cyclic(A, A_cyclic, T_A):
    """AssertionError unless A_cyclic is cyclic_1d(A, T_A) over all devices of JAX."""
    N, ndev = A.shape[0], jax.device_count()
    N_batch = N // ndev + calculate_padding(N // ndev, T_A)
    rows = _destination(N, N_batch, T_A, ndev)
    assert np.allclose(np.asarray(A), np.asarray(A_cyclic)[rows])


@functools.lru_cache(maxsize=16)
def _routes(N: int, N_batch: int, T_A: int, ndev: int) -> tuple[np.ndarray, np.ndarray]:
    """send[p, q, :]: rows of device p's shard that go to q; land[q, p, :]: where in q's shard
    they end. Filled up with N_batch, which is no row."""
    device, landing = np.divmod(_destination(N, N_batch, T_A, ndev), N_batch)
    home, row = np.divmod(np.arange(N), N // ndev)
    pairs = home * ndev + device
    width = int(np.bincount(pairs, minlength=ndev * ndev).max())
    send = np.full((ndev, ndev, width), N_batch, np.int32)
    land = np.full((ndev, ndev, width), N_batch, np.int32)
    for p in range(ndev):
        for q in range(ndev):
            which = np.flatnonzero(pairs == p * ndev + q)
            send[p, q, : which.size] = row[which]
            land[q, p, : which.size] = landing[which]
    return send, land


def _deal(shards: Shards, a):
    plan = shards.plan
    rows = plan.lc + shards.padding

    def local(a):
        a = shards.unpad(a)
        if plan.lc <= shards.T_A:
            return a
        send, land = (jnp.asarray(x) for x in _routes(plan.n, rows, shards.T_A, plan.ranks))
        me = plan.group.rank()
        leaving = jnp.take(a, send[me], axis=0, mode="fill", fill_value=0)
        came = jax.lax.all_to_all(leaving, plan.axes, 0, 0)
        return jnp.zeros((rows, plan.n), a.dtype).at[land[me]].set(came, mode="drop")

    a = compat.reshard(a, plan.mesh, plan.rows_spec)
    return compat.shard_map(local, plan.mesh, plan.rows_spec, plan.rows_spec)(a)


def cyclic_1d(a, T_A, mesh, in_specs, pad=True):
    """Rows of `a` in 1D block-cyclic order.

    Args:
      a: (N, N), sharded by rows; with pad=False also with its shards padded already. Donated
        outside jit if its shards need no padding.
      T_A: rows of a tile.
      mesh, in_specs: mesh, and P(axis, None).
      pad: whether shards may be padded to whole tiles.

    Returns:
      (N + ndev * padding, N), sharded by rows: `get_cols_cyclic` says which row is which, rows
      of padding are zero. As it is where T_A >= N / ndev.
    """
    axes = row_axes(in_specs)
    assert a.ndim == 2, "a must be a 2D array."
    a, shards = mesh_shards(a, T_A, mesh, axes, pad)
    return run(_deal, shards, a, donate=shards.donate)


def plot_block_to_cyclic(N: int, T_A: int, ndev: int, N_rows: int = 8):
    """Draws which device holds each row, before and after `cyclic_1d` (as columns, JAXMg's view).

    Returns (figure, axes[2]). ValueError unless N // ndev, T_A and ndev are positive. Needs
    matplotlib.
    """
    if ndev < 1 or T_A < 1 or N // ndev < 1:
        raise ValueError("shard_size, T_A, and ndev must be positive integers.")
    import matplotlib.colors
    import matplotlib.patches
    import matplotlib.pyplot as plt

    size = N // ndev
    batch = size + calculate_padding(size, T_A)
    N = size * ndev
    before = np.where(
        np.arange(batch * ndev) % batch < size, np.arange(batch * ndev) // batch, ndev
    )
    after = np.full(batch * ndev, ndev)
    after[:N] = np.arange(N) // T_A % ndev

    grey = (0.85, 0.85, 0.85, 1.0)
    colours = [*(plt.get_cmap("tab20")(d % 20) for d in range(ndev)), grey]
    show = {
        "aspect": "auto",
        "interpolation": "nearest",
        "cmap": matplotlib.colors.ListedColormap(colours),
        "vmin": -0.5,
        "vmax": ndev + 0.5,
    }
    fig, axs = plt.subplots(2, 1, figsize=(8, 6), constrained_layout=True)
    fig.suptitle(f"N = {N}, {ndev} devices, T_A = {T_A}")
    for ax, owner, lines, title in (
        (axs[0], before, batch, f"blocks of {size}, and {batch - size} of padding"),
        (axs[1], after, T_A, f"1D block cyclic, tiles of {T_A}"),
    ):
        ax.imshow(np.tile(owner, (N_rows, 1)), **show)
        for at in range(lines, batch * ndev, lines):
            ax.axvline(at - 0.5, color="k", lw=0.6, ls=":")
        ax.set_title(title)
        ax.set_xlabel("columns")
        ax.set_ylabel("rows")
        ax.set_yticks([])
    handles = [
        matplotlib.patches.Patch(facecolor=colour, edgecolor="k", label=label)
        for colour, label in zip(
            colours, [*(f"device {d}" for d in range(ndev)), "padding"], strict=True
        )
    ]
    axs[1].legend(handles=handles, loc="upper right")
    return fig, axs
