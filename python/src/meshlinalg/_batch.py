# SPDX-License-Identifier: Apache-2.0
"""A foreign call over the mesh, for one matrix or, under jax.vmap, for many.

    right-hand sides       more columns of the one call
    matrices               one after another, each on all devices of its plan. Axes of the mesh
                           along which there are copies, and those that vmap maps over, share the
                           batch: their groups work at the same time
    as many matrices as    one matrix a device at a time, without messages: the batch is dealt
    devices, or more       out, and the results go back. A device holds as much as before, for its
                           share of the batch is at least a matrix

Each vmap is a `Level`. Arrays have one leading dimension for each level that they take part in,
outermost first.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from . import _jax_compat as compat
from ._sharding import Plan

ROWS, SIDES, SAME = "rows", "sides", "same"  # row shards, right-hand sides, equal on all ranks


@dataclasses.dataclass(frozen=True)
class Level:
    """One vmap: which operands have its batch, and the axes of the mesh that share it; `home`
    are those that shared it before."""

    batched: tuple[bool, ...]
    home: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A call of the library. Its first operand is the matrix, on which all results depend; the
    last one may be right-hand sides, on which only results that are SIDES depend.

    `one(call, *operands)` makes the results on one device. `alone_too`: whether a matrix may go
    to a single device, which a factor may not, for its order depends on the number of ranks.
    """

    call: object
    one: Callable
    operands: tuple[str, ...]
    results: tuple[str, ...]
    alone_too: bool = True
    levels: tuple[Level, ...] = ()  # innermost first
    alone: bool = False  # one matrix a device

    @property
    def plan(self) -> Plan:
        return self.call.plan

    def __call__(self, *arrays):
        batchable = jax.custom_batching.custom_vmap(self.mapped)
        batchable.def_vmap(self.batched)
        return batchable(*arrays)

    # ---- on the mesh ----

    def mapped(self, *arrays):
        plan = self.plan
        if not plan.mapped:
            return self.on_device(self.levels, *arrays)
        reads = [[x.batched[i] for x in self.levels] for i in range(len(self.operands))]
        ins = tuple(map(self.spec, self.operands, reads))
        outs = tuple(map(self.result_spec, self.results))
        f = functools.partial(self.on_device, self.levels)
        out = compat.shard_map(f, plan.mesh, ins, outs)(*map(self.move, arrays, ins))
        homes = (self.result_spec(kind, home=True) for kind in self.results)
        return tuple(map(self.move, out, homes))

    def move(self, x, spec):
        """Only axes that are explicit are bound to what their arrays' types say."""
        explicit = compat.is_explicit(self.plan.mesh) and self.levels
        return compat.reshard(x, self.plan.mesh, spec) if explicit else x

    def depends(self, kind: str, level: Level) -> bool:
        return level.batched[0] or (kind == SIDES and any(level.batched))

    def spec(self, kind: str, taking_part, home: bool = False) -> P:
        both = zip(reversed(self.levels), reversed(taking_part), strict=True)
        leading = [(x.home if home else x.axes) or None for x, there in both if there]
        if kind == SAME:
            return P(*leading)
        if self.alone and not home:
            return P(*leading, None, None)
        return P(*leading, *(self.plan.rows_spec if kind == ROWS else self.call.sides_spec))

    def result_spec(self, kind: str, home: bool = False) -> P:
        return self.spec(kind, [self.depends(kind, x) for x in self.levels], home)

    # ---- one more vmap ----

    def batched(self, size, batched, *arrays):
        level, alone = self.share(size, tuple(batched), arrays)
        count = self.devices(level.axes)
        more = -size % max(count, 1)
        arrays = [_longer(x, more) if b else x for x, b in zip(arrays, batched, strict=True)]
        wider = dataclasses.replace(self, levels=(*self.levels, level), alone=alone)
        out = wider(*arrays)
        flags = tuple(self.depends(kind, level) for kind in self.results)
        if more:
            home = (wider.result_spec(kind, home=True) for kind in self.results)
            cut = functools.partial(compat.reshard, mesh=self.plan.mesh)
            both = zip(out, flags, home, strict=True)
            out = tuple(cut(x[:size], spec=spec) if b else x for x, b, spec in both)
        return out, flags

    def share(self, size, batched, arrays) -> tuple[Level, bool]:
        """The axes that share a batch of this size, and whether each matrix is to go to one
        device."""
        plan = self.plan
        if not plan.mapped:
            return Level(batched), False
        taken = {x for level in self.levels for x in level.axes}
        free = [x for x in plan.mesh.axis_names if x not in taken and x not in plan.axes]
        home = compat.leading_axes(arrays[batched.index(True)])
        if not home:  # vmap's spmd_axis_name
            home = tuple(x for x in free if x in compat.spmd_axes())
            home = home if size % self.devices(home) == 0 else ()
        if not batched[0]:
            return Level(batched, home, home), self.alone
        around = compat.mapped_axes() | compat.spmd_axes()
        copies = tuple(x for x in free if x not in home and x not in around)
        everything = (*home, *copies, *plan.axes)
        if self.alone_too and not self.alone and self.deals(size, home, everything):
            return Level(batched, home, everything), True
        if not self.deals(size, home, (*home, *copies)):
            copies = ()
        return Level(batched, home, (*home, *copies)), self.alone

    def deals(self, size, home, axes) -> bool:
        """Whether a batch that lies along `home` can be dealt out along these axes."""
        count = self.devices(axes)
        return size >= count > 1 and (not home or size % count == 0)

    def devices(self, axes) -> int:
        return math.prod(self.plan.mesh.shape[x] for x in axes)

    # ---- on one device ----

    def on_device(self, levels, *arrays):
        """Loops over what this device has of the batch."""
        if not levels:
            return self.on_rank(*arrays) if not self.alone else self.on_its_own(*arrays)
        inner, level = levels[:-1], levels[-1]
        if not level.batched[0]:
            return self.on_columns(inner, *arrays)

        def step(some):
            some = iter(some)
            both = zip(arrays, level.batched, strict=True)
            return self.on_device(inner, *(next(some) if b else x for x, b in both))

        return jax.lax.map(step, [x for x, b in zip(arrays, level.batched, strict=True) if b])

    def on_columns(self, inner, *arrays):
        """A batch of right-hand sides, side by side."""
        *a, b = arrays
        size, k = b.shape[0], b.shape[-1]
        b = jnp.moveaxis(b, 0, -2)
        out = self.on_device(inner, *a, b.reshape(*b.shape[:-2], size * k))
        return tuple(
            jnp.moveaxis(x.reshape(*x.shape[:-1], size, k), -2, 0) if kind == SIDES else x
            for x, kind in zip(out, self.results, strict=True)
        )

    def on_rank(self, *arrays):
        return self.one(self.call, *arrays)

    def on_its_own(self, a, *b):
        """All rows are here."""
        n, rows = self.plan.n, a.shape[0]
        sides = dataclasses.replace(self.call.sides, rows=False)
        call = dataclasses.replace(self.call, plan=Plan(n, "single"), sides=sides)
        out = self.one(call, a[:n], *b)
        return tuple(
            jnp.pad(x, ((0, rows - n), (0, 0))) if kind == ROWS else x
            for x, kind in zip(out, self.results, strict=True)
        )


def _longer(x, more: int):
    """A batch with copies of its first element at the end."""
    return jnp.concatenate([x, *[x[:1]] * more]) if more else x
