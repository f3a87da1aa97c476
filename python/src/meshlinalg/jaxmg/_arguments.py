# SPDX-License-Identifier: Apache-2.0
"""Arguments as JAXMg 0.x takes them: its checks, in its order, with its texts.

A matrix of N rows on ndev devices has N/ndev rows on each. JAXMg wants whole tiles of T_A rows
there (unless one tile holds the shard) and pads each shard with rows of zeros. The tiles of this
library may be ragged, so nothing is padded here; but padding that a caller has made himself is
accepted (pad=False), and missing padding refused, as there.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator

import jax
from jax.sharding import PartitionSpec as P

from .. import _jax_compat as compat
from .._sharding import Group, group_of


def row_axes(in_specs) -> tuple[str, ...]:
    """Mesh axes of the rows, from P(axis, None) alone or in a list or tuple of one."""
    if isinstance(in_specs, list | tuple) and not isinstance(in_specs, P):
        if len(in_specs) != 1:
            raise ValueError("in_specs must be a single PartitionSpec or a 1-element list/tuple.")
        in_specs = in_specs[0]
    if not isinstance(in_specs, P):
        raise TypeError(
            "in_specs must be a PartitionSpec or a 1-element list/tuple containing one."
        )
    entries = tuple(in_specs)
    if len(entries) != 2 or not entries[0] or entries[1] is not None:
        raise ValueError("A must be sharded along the rows with PartitionSpec P(str, None).")
    return (entries[0],) if isinstance(entries[0], str) else tuple(entries[0])


def calculate_padding(shard_size: int, T_A: int) -> int:
    """Rows that make a shard of `shard_size` rows a multiple of T_A."""
    return (-shard_size) % T_A


@dataclasses.dataclass(frozen=True)
class Shards:
    """How the rows of an N x N matrix lie on the devices."""

    n: int  # N
    ndev: int
    padding: int  # rows that JAXMg adds to each shard, or that are there already
    padded: bool  # they are there already

    @property
    def rows(self) -> int:
        """Rows of a shard without padding."""
        return self.n // self.ndev

    def without_padding(self, a):
        """A local shard without the caller's padding."""
        return a[: self.rows] if self.padded else a


def check_tile(T_A) -> int:
    value = operator.index(T_A)
    if value < 1:
        raise ValueError(f"T_A={T_A}, expected a positive integer")
    return value


def shards_of(rows: int, n: int, ndev: int, T_A: int, pad: bool) -> Shards:
    """Checks the rows of a shard against N, T_A and pad."""
    if n % ndev:
        raise ValueError(f"a has {n} columns, which the {ndev} devices of its rows do not divide")
    size = n // ndev
    padding = calculate_padding(size, T_A) if size > T_A else 0
    padded = not pad and padding > 0 and rows == size + padding
    if not padded and padding and not pad:
        raise AssertionError(
            f"pad=False, but with T_A={T_A}, we need padding of {padding} rows per device."
        )
    if not padded and rows != size:
        raise AssertionError(f"a must have {n} rows as it has columns, but has {rows * ndev}.")
    return Shards(n, ndev, padding, padded)


def mesh_shards(a, T_A: int, mesh, axes: tuple[str, ...], pad: bool) -> Shards:
    """The shards of a global array."""
    missing = [axis for axis in axes if axis not in mesh.axis_names]
    if missing:
        raise ValueError(f"in_specs: the mesh has axes {mesh.axis_names}, not {missing[0]!r}")
    ndev = math.prod(mesh.shape[axis] for axis in axes)
    rows, odd = divmod(a.shape[0], ndev)
    if odd:
        raise ValueError(
            f"a has {a.shape[0]} rows, which the {ndev} devices of {axes} do not divide"
        )
    return shards_of(rows, a.shape[1], ndev, check_tile(T_A), pad)


def context_shards(a, T_A: int, pad: bool) -> tuple[Shards, Group]:
    """The shards and the ranks of a local array inside the caller's shard_map.

    JAXMg's functions are not told the axis: it is the one (or, taken together, all of them)
    that has as many devices as A has shards.
    """
    T_A = check_tile(T_A)
    mesh = compat.context_mesh()
    types = compat.axis_types(mesh) if mesh is not None else {}
    manual = [axis for axis, kind in types.items() if kind == compat.AxisType.Manual]
    if not manual:
        raise ValueError("the _shardmap_ctx functions must be called inside jax.shard_map")
    wide = [axis for axis in manual if mesh.shape[axis] > 1] or manual[:1]
    if len(wide) == 1:
        axes = tuple(wide)
    else:
        axes = _axes_of(a, mesh, wide, T_A)
    ndev = math.prod(mesh.shape[axis] for axis in axes)
    return shards_of(a.shape[0], a.shape[1], ndev, T_A, pad), group_of(mesh, axes)


def _axes_of(a, mesh, wide: list[str], T_A: int) -> tuple[str, ...]:
    rows, n = a.shape

    def fits(axes) -> bool:
        size, odd = divmod(n, math.prod(mesh.shape[axis] for axis in axes))
        return not odd and rows in (size, size + calculate_padding(size, T_A))

    if fits(wide):
        return tuple(wide)
    found = [
        axes
        for count in range(1, len(wide))
        for axes in itertools.combinations(wide, count)
        if fits(axes)
    ]
    if len(found) != 1:
        raise ValueError(
            f"a shard of {rows} rows and {n} columns: its rows may lie along {found or 'no axes'}"
            f" of the mesh {dict(mesh.shape)}; use a mesh with one axis, or meshlinalg.shard"
        )
    return found[0]


def place(a, mesh, axes: tuple[str, ...]):
    """(a, mesh): an array that is not traced is put on the mesh by rows, an abstract mesh
    replaced by the array's own."""
    if isinstance(a, compat.Tracer):
        return a, mesh
    sharding = getattr(a, "sharding", None)
    named = isinstance(sharding, jax.sharding.NamedSharding)
    if not compat.is_concrete_mesh(mesh):
        if not named or dict(sharding.mesh.shape) != dict(mesh.shape):
            raise ValueError(f"mesh={mesh} has no devices, and a lies on no such mesh")
        mesh = sharding.mesh
    rows = jax.sharding.NamedSharding(mesh, P(axes, None))
    if not named or not sharding.is_equivalent_to(rows, 2):
        a = jax.device_put(a, rows)
    return a, mesh
