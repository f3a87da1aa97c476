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
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from .. import _jax_compat as compat
from .._sharding import Plan, as_array


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
    """How the rows of an N x N matrix lie on the devices. Static: hashable."""

    plan: Plan  # without padding; for use inside a shard_map
    T_A: int
    padding: int  # rows that JAXMg adds to each shard, or that are there already
    padded: bool  # they are there already

    @property
    def nb(self) -> int:
        """Tile width: a tile covers a shard at most."""
        return min(self.T_A, max(self.plan.lc, 1))

    @property
    def donate(self) -> tuple[int, ...]:
        """JAXMg donates `a` unless it has made a padded copy."""
        return () if self.padding else (0,)

    def unpad(self, a):
        """A local shard without the caller's padding."""
        return a[: self.plan.lc] if self.padded else a

    def complete(self, a):
        """This rank's rows of the Hermitian matrix of which the upper triangle is given."""
        return self.plan.local_rows(self.unpad(a), "upper")


def _check_tile(T_A) -> int:
    value = operator.index(T_A)
    if value < 1:
        raise ValueError(f"T_A={T_A}, expected a positive integer")
    return value


def _shards(rows: int, n: int, mesh, axes: tuple[str, ...], T_A: int, pad: bool) -> Shards:
    """Checks the rows of a shard against N, T_A and pad."""
    ndev = math.prod(mesh.shape[axis] for axis in axes)
    size, rest = divmod(n, ndev)
    if rest:
        raise ValueError(f"a has {n} columns, which the {ndev} devices along {axes} do not divide")
    padding = calculate_padding(size, T_A) if size > T_A else 0
    padded = not pad and padding > 0 and rows == size + padding
    if not padded and padding and not pad:
        raise AssertionError(
            f"pad=False, but with T_A={T_A}, we need padding of {padding} rows per device."
        )
    if not padded and rows != size:
        raise AssertionError(f"a must have {n} rows as it has columns, but has {rows * ndev}.")
    return Shards(Plan(n, "shard", mesh, axes, local=size), T_A, padding, padded)


def mesh_shards(a, T_A, mesh, axes: tuple[str, ...], pad: bool):
    """(a, its shards): a global array, put on the mesh unless it is traced."""
    T_A, a = _check_tile(T_A), as_array(a, "a")
    for axis in axes:
        if axis not in mesh.axis_names:
            raise ValueError(f"in_specs: the mesh has axes {mesh.axis_names}, not {axis!r}")
    if not isinstance(a, compat.Tracer) and not compat.is_concrete_mesh(mesh):
        named = isinstance(a.sharding, NamedSharding)
        if not named or dict(a.sharding.mesh.shape) != dict(mesh.shape):
            raise ValueError(f"mesh={mesh} has no devices, and a lies on no such mesh")
        mesh = a.sharding.mesh
    ndev = math.prod(mesh.shape[axis] for axis in axes)
    rows, rest = divmod(a.shape[0], ndev)
    if rest:
        raise ValueError(
            f"a has {a.shape[0]} rows, which the {ndev} devices along {axes} do not divide"
        )
    shards = _shards(rows, a.shape[1], mesh, axes, T_A, pad)
    if not isinstance(a, compat.Tracer):
        where = NamedSharding(mesh, shards.plan.rows_spec)
        if not a.sharding.is_equivalent_to(where, 2):
            a = jax.device_put(a, where)
    return a, shards


def context_shards(a, T_A, pad: bool):
    """(a, its shards): a local array inside the caller's shard_map.

    JAXMg's functions are not told the axis: it is the one (or, taken together, all of them)
    that has as many devices as A has shards.
    """
    T_A, a = _check_tile(T_A), as_array(a, "a")
    mesh = compat.context_mesh()
    types = compat.axis_types(mesh) if mesh is not None else {}
    manual = [axis for axis, kind in types.items() if kind == compat.AxisType.Manual]
    if not manual:
        raise ValueError("the _shardmap_ctx functions must be called inside jax.shard_map")
    wide = [axis for axis in manual if mesh.shape[axis] > 1] or manual[:1]
    axes = tuple(wide) if len(wide) == 1 else _axes_of(a, mesh, wide, T_A)
    return a, _shards(a.shape[0], a.shape[1], mesh, axes, T_A, pad)


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


def is_everywhere(b, mesh) -> bool:
    """Whether an array that is not traced lies in full on every device of the mesh."""
    return (
        isinstance(b, jax.Array)
        and not isinstance(b, compat.Tracer)
        and b.sharding.is_fully_replicated
        and b.sharding.device_set == set(mesh.devices.flat)
    )
