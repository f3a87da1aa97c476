# SPDX-License-Identifier: Apache-2.0
"""Rectangular matrices as shards of rows, and what is done with them on each device.

Rank p of P has rows [p*l, (p+1)*l), l = ceil(count / P), of every matrix; rows beyond `count` are
zero, so that products need not know of them. Products move blocks of rows around the ring of the
ranks, one at a time: no device ever has a whole matrix.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from . import _jax_compat as compat
from ._sharding import ALONE, Group, _entries, _from_entries, _on, check_matrix, group_of, place_of

_HIGHEST = jax.lax.Precision.HIGHEST


def dot(x, y):
    """x @ y in the full precision of the type."""
    return jnp.matmul(x, y, precision=_HIGHEST)


# ---- inside the map: this device's rows --------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Ring:
    """The ranks of a group, which pass blocks on."""

    group: Group
    unrolled: bool = False  # for derivatives: JAX 0.9.1 cannot transpose these loops in a map

    @property
    def ranks(self) -> int:
        return self.group.ranks

    def loop(self, first: int, last: int, body, state):
        if not self.unrolled:
            return jax.lax.fori_loop(first, last, body, state)
        for i in range(first, last):
            state = body(i, state)
        return state

    def each(self, count: int) -> int:
        """Rows of a rank."""
        return -(-count // self.ranks)

    def first(self, count: int):
        """Number of this rank's first row."""
        return self.group.rank() * self.each(count)

    def indices(self, count: int):
        """Numbers of this rank's rows, as a column."""
        return self.first(count) + jnp.arange(self.each(count))[:, None]

    def clear(self, x, count: int):
        """x with zeros in the rows beyond `count`."""
        return x if count % self.ranks == 0 else jnp.where(self.indices(count) < count, x, 0)

    def eye(self, count: int, dtype):
        return (self.indices(count) == jnp.arange(count)).astype(dtype)

    def sum(self, x):
        return jax.lax.psum(x, self.group.axes) if self.group.axes else x

    def most(self, x):
        """Largest of all ranks' x; NaN if one is NaN."""
        if not self.group.axes:
            return x
        bad = self.sum(jnp.isnan(x).astype(jnp.int32)) > 0
        most = jax.lax.pmax(jnp.where(jnp.isnan(x), -jnp.inf, x), self.group.axes)
        return jnp.where(bad, jnp.nan, most)

    def rotate(self, x):
        """The block of the next rank."""
        shift = [((i + 1) % self.ranks, i) for i in range(self.ranks)]
        return jax.lax.ppermute(x, self.group.axes, shift)

    def around(self, step, carry, block):
        """carry := step(q, carry, block of rank q), for all q, from the own one on."""
        rank = self.group.rank()

        def turn(i, state):
            carry, block = state
            carry = step((rank + i) % self.ranks, carry, block)
            return carry, self.rotate(block) if self.ranks > 1 else block

        return self.loop(0, self.ranks, turn, (carry, block))[0]

    def multiply(self, x, y, count: int):
        """Rows of X Y; y: rows of Y, which has `count`."""
        each = self.each(count)
        x = jnp.pad(x, ((0, 0), (0, each * self.ranks - count)))

        def step(q, out, block):
            part = jax.lax.dynamic_slice_in_dim(x, q * each, each, axis=1)
            return out + dot(part, block)

        out = jnp.zeros((x.shape[0], y.shape[1]), x.dtype)
        return self.around(step, out, y)

    def multiply_adjoint(self, x, y, count: int):
        """Rows of X Y^H; y: rows of Y, which has `count`."""
        each = self.each(count)

        def step(q, out, block):
            part = dot(x, jnp.conj(block.T))
            return jax.lax.dynamic_update_slice_in_dim(out, part, q * each, axis=1)

        out = jnp.zeros((x.shape[0], each * self.ranks), x.dtype)
        return self.around(step, out, y)[:, :count]

    def adjoint_multiply(self, x, y):
        """Rows of X^H Y: each rank's term for the rows of rank q goes to rank q."""
        count, ranks = x.shape[1], self.ranks
        each, rank = self.each(count), self.group.rank()
        x = jnp.pad(x, ((0, 0), (0, each * ranks - count)))

        def term(q):
            part = jax.lax.dynamic_slice_in_dim(x, q * each, each, axis=1)
            return dot(jnp.conj(part.T), y)

        if ranks == 1:
            return term(0)

        # A sum goes down the ring, from the rank after its end: after i turns rank p has that
        # for rank p + i + 1.
        def turn(i, out):
            return self.rotate(out) + term((rank + i + 1) % ranks)

        return self.loop(1, ranks, turn, term((rank + 1) % ranks))

    def adjoint(self, x, count: int):
        """Rows of X^H, X of `count` rows: one exchange."""
        columns, ranks = x.shape[1], self.ranks
        if ranks == 1:
            return jnp.conj(x.T)
        x = jnp.pad(x, ((0, 0), (0, self.each(columns) * ranks - columns)))
        x = jax.lax.all_to_all(x, self.group.axes, split_axis=1, concat_axis=0, tiled=True)
        return jnp.conj(x[:count].T)

    def _move(self, x, pairs):
        """x to where `pairs` of ranks say, zeros to the others."""
        pairs = [(a, b) for a, b in pairs if 0 <= a < self.ranks and 0 <= b < self.ranks]
        return jax.lax.ppermute(x, self.group.axes, pairs)

    def stack_eye(self, x, count: int):
        """Rows of [X; I], in this order: blocks 2p and 2p + 1 of X's and then I's on rank p."""
        ranks, each = self.ranks, self.each(count)
        if ranks == 1:
            return jnp.concatenate([x, self.eye(count, x.dtype)])
        row = 2 * self.group.rank() * each + jnp.arange(2 * each)[:, None] - ranks * each
        below = ((row == jnp.arange(count)) & (row >= 0)).astype(x.dtype)
        parts = [self._move(x, [(2 * p + s, p) for p in range(ranks)]) for s in range(2)]
        return jnp.concatenate(parts) + below

    def unstack(self, x):
        """The two halves of a matrix that lies as stack_eye's result, by rows each."""
        if self.ranks == 1:
            return tuple(jnp.split(x, 2))
        parts = jnp.split(x, 2)

        def half(first):
            turns = ([(p, 2 * p + s - first) for p in range(self.ranks)] for s in range(2))
            return sum(self._move(x, turn) for x, turn in zip(parts, turns, strict=True))

        return half(0), half(self.ranks)

    def gather(self, x, count: int):
        """All rows, on every rank."""
        if self.ranks == 1:
            return x
        return jax.lax.all_gather(x, self.group.axes, axis=0, tiled=True)[:count]


# ---- where the matrix lies ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class RowsPlan:
    """How an m x n matrix goes to shards of rows and results come back. Hashable.

    Shards of rows, ``P("x", None)``, are used as they lie, others are resharded by XLA in the same
    program. Where the devices do not divide m, each takes its rows of a copy of the matrix, and
    results are gathered.
    """

    m: int
    n: int
    mesh: Mesh | AbstractMesh | None = None
    axes: tuple[str, ...] = ()
    spec: P | None = None  # of the caller's matrix, where it is known

    @property
    def k(self) -> int:
        return min(self.m, self.n)

    @functools.cached_property
    def group(self) -> Group:
        return group_of(self.mesh, self.axes) if self.axes else ALONE

    @functools.cached_property
    def ring(self) -> Ring:
        return Ring(self.group)

    @property
    def in_place(self) -> bool:
        """Whether the caller's array is worked on where it lies."""
        return not self.axes or (self.even and self.spec == _from_entries(self.axes, ()))

    @property
    def even(self) -> bool:
        return self.m % self.group.ranks == 0

    def split(self, count: int) -> bool:
        """Whether a result of `count` rows goes out by rows; else every device gets all of it."""
        return self.even and count % self.group.ranks == 0

    def spec_of(self, count: int) -> P:
        return _from_entries(self.axes, ()) if self.split(count) else P(None, None)

    def map(self, f, in_specs, out_specs):
        return compat.shard_map(f, self.mesh, in_specs, out_specs) if self.axes else f

    # Outside of the map.

    def enter(self, x):
        return compat.reshard(x, self.mesh, self.spec_of(self.m)) if self.axes else x

    def leave(self, x):
        """A result as the matrix came, as far as the devices divide it."""
        if not self.axes or self.spec is None:
            return x
        sizes = dict(self.mesh.shape)
        entries = _entries(self.spec, 2)
        for axes, extent in zip(entries, x.shape, strict=True):
            if extent % math.prod(sizes[name] for name in axes):
                return x
        return compat.reshard(x, self.mesh, _from_entries(*entries))

    # And inside.

    def own(self, x):
        """This rank's rows of a matrix of m rows that has entered; zeros beyond."""
        if self.even:
            return x
        index = self.ring.first(self.m) + jnp.arange(self.ring.each(self.m))
        return jnp.take(x, index, axis=0, mode="fill", fill_value=0)

    def out(self, x, count: int):
        """Rows of a result of `count` rows, as spec_of(count) says."""
        return x if self.split(count) else self.ring.gather(x, count)


def rows_plan_of(a, mesh, spec, near=None) -> tuple[Any, RowsPlan]:
    """(A where it will be worked on, its plan). If A is on no mesh, it goes to the one of `near`,
    the right-hand sides."""
    a = check_matrix(a)
    m, n = a.shape
    place = place_of(a, mesh, spec, "a")
    if place.mesh is None and near is not None and not place.fixed:
        place = dataclasses.replace(place, mesh=place_of(near, None, None, "b").mesh)
    if place.mesh is None:
        return a, RowsPlan(m, n)
    everything = tuple(place.mesh.axis_names)
    mapped = sorted(compat.mapped_axes().intersection(everything))
    if mapped:
        raise ValueError(f"a batch along the explicit axes {mapped} is not available here")
    sizes = dict(place.mesh.shape)
    rows, cols = _entries(place.spec, 2) if place.spec is not None else (everything, ())
    axes = rows + cols or everything
    if rows and m % math.prod(sizes[name] for name in axes):
        axes = rows
    plan = RowsPlan(m, n, place.mesh, axes, place.spec)
    if not isinstance(a, compat.Tracer) and not _on(a, place.mesh):
        if not compat.is_concrete_mesh(place.mesh):
            raise ValueError(
                f"mesh={place.mesh} has no devices, and a is on none; pass a jax.sharding.Mesh"
            )
        spec = plan.spec_of(m) if place.spec is None else place.spec
        a = jax.device_put(a, NamedSharding(place.mesh, spec))
    return a, plan
