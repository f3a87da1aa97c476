# SPDX-License-Identifier: Apache-2.0
"""Where a matrix lies, and how it gets to the C library: as shards of rows.

The library wants rank p to hold rows [p*lc, (p+1)*lc) of A, row-major. What a caller has is
brought there in the way that moves least:

    rows        P("x", None)    nothing to do
    columns     P(None, "x")    transposed (and conjugated) on each device: A is Hermitian
    grid        P("x", "y")     resharded by XLA to P(("x", "y"), None), and back
    replicated                  each device takes its rows; the result is gathered again
    single                      one device, one rank
    shard                       the caller's own shard_map: rows already

Ranks are numbered as the shards along the sharded axes. Axes of the mesh that are not used
hold copies: each copy is worked on by a group of its own.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from . import _jax_compat as compat
from . import _options

DTYPES = ("float32", "float64", "complex64", "complex128")
PARTS, SMALL_PART = 16, 8  # of a shard that is exchanged by parts; rows of a part that is too small

# ---- the ranks of one call, as the handler sees them ------------------------------------------


@dataclasses.dataclass(frozen=True)
class Group:
    """Ranks that work together: those along `axes` of a mesh, inside shard_map over `others`
    too. Without axes: this device alone."""

    axes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    identity: int = 0  # equal on all processes
    table: tuple[int, ...] | None = None  # (process, ordinal) of each rank of each group
    engine: str = "auto"  # who runs the routines
    precision: int = 0  # mla_precision_t

    @property
    def ranks(self) -> int:
        return math.prod(self.sizes)

    def rank(self):
        """Index of this device along the axes."""
        return jax.lax.axis_index(self.axes) if self.axes else jnp.int32(0)

    def where(self):
        """int32[2]: group and rank of this device, computed on the device: the same program may
        run on other devices than those it was traced for."""
        if not self.axes:
            return jnp.zeros(2, jnp.int32)
        others = tuple(x for x in self.others if compat.is_manual(x))  # all, but under vmap
        index = jax.lax.axis_index(others) if others else jnp.int32(0)
        return jnp.stack([index, self.rank()]).astype(jnp.int32)


ALONE = Group()


@functools.lru_cache(maxsize=256)
def group_of(mesh: Mesh | AbstractMesh, axes: tuple[str, ...]) -> Group:
    others = tuple(name for name in mesh.axis_names if name not in axes)
    shape = dict(mesh.shape)
    table = None
    if compat.is_concrete_mesh(mesh):
        order = [mesh.axis_names.index(name) for name in (*others, *axes)]
        devices = np.transpose(mesh.devices, order).reshape(-1)
        several = len({d.process_index for d in devices}) > 1
        table = tuple(v for d in devices for v in (d.process_index, _ordinal(d, several)))
    text = repr((tuple(mesh.axis_names), tuple(shape.values()), axes, table))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return Group(
        axes=axes,
        others=others,
        sizes=tuple(shape[name] for name in axes),
        identity=int.from_bytes(digest, "little", signed=True),
        table=table,
    )


def _ordinal(device, several: bool) -> int:
    """What XLA calls the device's ordinal in a handler; -1 for a GPU of a job of several
    processes, where only its own process knows, and the table must be equal on all: the handler
    then reads the rank from the device, once for each program."""
    if device.platform == "cpu":
        return device.id
    local = getattr(device, "local_hardware_id", None)
    return -1 if several else device.id if local is None else local


# ---- where one array lies ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Place:
    """Mesh and spec of an array; no mesh: one device. spec None: not known (automatic axes
    inside a program, or an array that is on no mesh yet)."""

    mesh: Mesh | AbstractMesh | None = None
    spec: P | None = None
    fixed: bool = False  # on one device by the caller's wish


def _entries(spec: P, ndim: int) -> tuple[tuple[str, ...], ...]:
    """Axes of each dimension."""
    out = []
    for entry in tuple(spec) + (None,) * (ndim - len(spec)):
        out.append(() if entry is None else (entry,) if isinstance(entry, str) else tuple(entry))
    return tuple(out)


def _from_entries(*entries: tuple[str, ...]) -> P:
    return P(*(None if not e else e[0] if len(e) == 1 else e for e in entries))


def check_spec(spec, mesh, ndim) -> P:
    """A PartitionSpec for an array of `ndim` dimensions on this mesh, or an error."""
    if not isinstance(spec, P):
        raise TypeError(f"spec must be a jax.sharding.PartitionSpec, got {spec!r}")
    if len(spec) > ndim:
        raise ValueError(f"spec={spec} has {len(spec)} entries, expected at most {ndim}")
    if P.UNCONSTRAINED in tuple(spec):
        raise ValueError(f"spec={spec}: expected every dimension to be given")
    used = [axis for entry in _entries(spec, ndim) for axis in entry]
    for axis in used:
        if axis not in mesh.axis_names:
            raise ValueError(f"spec={spec}: the mesh has axes {mesh.axis_names}, not {axis!r}")
    if len(set(used)) < len(used):
        raise ValueError(f"spec={spec}: expected each axis once")
    return spec


def place_of(x, mesh, spec, name: str) -> Place:
    """Where x lies: from mesh= and spec=, else from its sharding, else from the context."""
    if mesh is not None and not isinstance(mesh, Mesh | AbstractMesh):
        raise TypeError(f"mesh must be a jax.sharding.Mesh, got {mesh!r}")
    found = _traced_place(x) if isinstance(x, compat.Tracer) else _concrete_place(x, mesh, name)
    if mesh is not None and found.mesh is None:
        found = Place(mesh)
    elif mesh is not None:
        if _same_mesh(found.mesh, mesh):
            found = Place(mesh if compat.is_concrete_mesh(mesh) else found.mesh, found.spec)
        elif isinstance(x, compat.Tracer):
            raise ValueError(f"{name} lies on the mesh {found.mesh}, but mesh={mesh}")
        else:
            found = Place(mesh)
    if spec is not None:
        if found.mesh is None:
            raise ValueError(f"spec={spec} needs a mesh: {name} is on one device; pass mesh=")
        found = Place(found.mesh, check_spec(spec, found.mesh, x.ndim))
    return found


def _same_mesh(a, b) -> bool:
    if compat.is_concrete_mesh(a) and compat.is_concrete_mesh(b):
        return a == b
    return dict(a.shape) == dict(b.shape)


def _traced_place(x) -> Place:
    sharding = jax.typeof(x).sharding
    mesh = sharding.mesh
    if mesh is None or mesh.empty:
        mesh = compat.context_mesh()
        if mesh is None:
            return Place()
    types = compat.axis_types(mesh)
    if compat.AxisType.Manual in types.values():
        left = [a for a, t in types.items() if t != compat.AxisType.Manual and mesh.shape[a] > 1]
        if left:
            raise ValueError(
                f"called inside a shard_map that leaves the mesh axes {left} automatic or explicit;"
                " make all axes manual and use meshlinalg.shard"
            )
        return Place()  # the local shard is this device's own problem
    explicit = any(t == compat.AxisType.Explicit for t in types.values())
    return Place(mesh, sharding.spec if explicit and not sharding.mesh.empty else None)


def _concrete_place(x, mesh, name: str) -> Place:
    sharding = x.sharding
    if isinstance(sharding, NamedSharding):
        return Place(sharding.mesh, sharding.spec)
    if isinstance(sharding, SingleDeviceSharding) or len(sharding.device_set) == 1:
        return Place(fixed=x.committed)
    if mesh is not None:
        return Place()
    raise ValueError(
        f"{name} has the sharding {sharding}, expected a NamedSharding; put it on a mesh with "
        "jax.device_put, or pass mesh="
    )


# ---- the plan of one call ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Plan:
    """How an n x n matrix goes to row shards and results come back. Hashable: a static
    argument of jit, and part of the structure of a CholeskyFactor."""

    n: int
    kind: str
    mesh: Mesh | AbstractMesh | None = None
    axes: tuple[str, ...] = ()
    spec: P | None = None  # of the caller's matrix, where it has to be restored
    local: int | None = None  # rows of a shard, where the caller has chosen them
    engine: str = "auto"
    precision: int = 0

    @functools.cached_property
    def group(self) -> Group:
        group = group_of(self.mesh, self.axes) if self.axes else ALONE
        return dataclasses.replace(group, engine=self.engine, precision=self.precision)

    @property
    def ranks(self) -> int:
        return self.group.ranks

    @property
    def lc(self) -> int:
        """Rows of a rank."""
        return self.local if self.local is not None else -(-self.n // self.ranks)

    @property
    def mapped(self) -> bool:
        """Whether arrays are global, and each device gets its part by shard_map."""
        return self.kind not in ("single", "shard")

    def on(self, mesh: Mesh | AbstractMesh | None) -> Plan:
        return self if mesh is None or mesh.empty else dataclasses.replace(self, mesh=mesh)

    def map(self, f, in_specs, out_specs):
        """f on the shards of each device."""
        return compat.shard_map(f, self.mesh, in_specs, out_specs) if self.mapped else f

    # The matrix outside of the map: global.

    @property
    def rows_spec(self) -> P:
        """Of shards of rows."""
        return _from_entries(self.axes, ())

    @property
    def matrix_spec(self) -> P:
        """Of a matrix that enters the map or leaves it."""
        if self.kind == "columns":
            return _from_entries((), self.axes)
        return P(None, None) if self.kind == "replicated" else self.rows_spec

    def enter(self, a):
        return compat.reshard(a, self.mesh, self.matrix_spec) if self.mapped else a

    def leave(self, x):
        return compat.reshard(x, self.mesh, self.spec) if self.kind == "grid" and self.spec else x

    # And inside: one device.

    def local_rows(self, a, fill: str | None = None):
        """This rank's rows of A. What lies below row n is never read.

        fill: "lower" or "upper" reads that triangle alone and completes the other, "mean" takes
        (A + A^H) / 2, None expects all of A.
        """
        if self.kind == "columns":  # rows of A^H, and so the other triangle
            a = jnp.conj(a.T)
            fill = {"lower": "upper", "upper": "lower"}.get(fill, fill)
        elif self.kind == "replicated":
            a = self.take_rows(a)
        if fill is None:
            return a
        if fill == "mean":
            return (a + self.turn(a)) / 2
        row, col = self.indices(a)
        if jnp.iscomplexobj(a):  # as LAPACK, which takes the diagonal for real
            a = jnp.where(row == col, a.real, a)
        return self.complete(a, operator.ge if fill == "lower" else operator.le)

    def complete(self, a, given):
        """Rows of the Hermitian matrix whose elements are given where given(row, column).

        In place: PARTS times, each rank sends a part of its rows and gets, from every rank, that
        part of the columns of its own rows. What has been set already is sent too, and not read.
        """
        lc, ranks = self.lc, self.ranks
        size = -(-lc // PARTS)
        if a.shape != (lc, lc * ranks) or size < SMALL_PART:
            return jnp.where(given(*self.indices(a)), a, self.turn(a))

        def step(k, a):
            first = jnp.minimum(k * size, lc - size)
            part = jax.lax.dynamic_slice_in_dim(a, first, size, axis=0)
            other = jnp.conj(self.columns(part).T).reshape(lc, ranks, size)
            blocks = a.reshape(lc, ranks, lc)
            mine = jax.lax.dynamic_slice_in_dim(blocks, first, size, axis=2)
            row = self.group.rank() * lc + jnp.arange(lc)[:, None, None]
            col = jnp.arange(ranks)[:, None] * lc + first + jnp.arange(size)
            new = jnp.where(given(row, col), mine, other)
            return jax.lax.dynamic_update_slice_in_dim(blocks, new, first, axis=2).reshape(a.shape)

        return jax.lax.fori_loop(0, PARTS, step, a)

    def indices(self, rows):
        """Row and column, in the matrix, of the elements of this rank's rows."""
        first = self.group.rank() * self.lc
        return first + jnp.arange(rows.shape[0])[:, None], jnp.arange(rows.shape[1])

    def take_rows(self, a):
        """This rank's rows of an array that every device has in full."""
        first = self.group.rank() * self.lc
        if self.n == self.lc * self.ranks:
            return jax.lax.dynamic_slice_in_dim(a, first, self.lc, axis=0)
        return jnp.take(a, first + jnp.arange(self.lc), axis=0, mode="fill", fill_value=0)

    def columns(self, rows):
        """This rank's columns of a matrix of which it has the rows: [lc * ranks, lc]."""
        square = self.lc * self.ranks
        if square > rows.shape[1]:
            rows = jnp.pad(rows, ((0, 0), (0, square - rows.shape[1])))
        if not self.axes:
            return rows
        return jax.lax.all_to_all(rows, self.axes, split_axis=1, concat_axis=0, tiled=True)

    def turn(self, rows):
        """Rows of X^H from rows of X."""
        return jnp.conj(self.columns(rows).T)[:, : rows.shape[1]]

    def local_matrix(self, rows, hermitian: bool = False):
        """A result, of which this rank has the rows, as A came."""
        if self.kind == "columns":
            return jnp.conj(rows.T) if hermitian else self.columns(rows)
        return self.gather(rows) if self.kind == "replicated" else rows

    def gather(self, rows):
        """All rows, on every rank."""
        if self.axes:
            rows = jax.lax.all_gather(rows, self.axes, axis=0, tiled=True)
        return rows[: self.n]


def check_matrix(a, name: str = "a"):
    """a as a JAX array: a matrix of a supported type."""
    a = as_array(a, name)
    if a.ndim != 2:
        raise ValueError(
            f"{name} must be a matrix, got shape {a.shape}; a batch is a matter of jax.vmap"
        )
    return a


def plan_of(a, mesh, spec, near=None, engine="auto", precision=None) -> tuple[Any, Plan]:
    """(A where it will be worked on, its plan). A is checked: square, of a supported type.
    If A is on no mesh, it goes to the one of `near`, the right-hand sides."""
    a = check_matrix(a)
    plan = dataclasses.replace(
        layout_of(a, mesh, spec, near),
        engine=_options.check_engine(engine),
        precision=_options.check_precision(precision),
    )
    m = plan.mesh
    if compat.is_concrete_mesh(m):
        _options.check_engine_devices(engine, m.devices.flat, plan.ranks)
    elif m is None and not isinstance(a, compat.Tracer):
        _options.check_engine_devices(engine, a.devices(), 1)
    if m is not None and not isinstance(a, compat.Tracer) and not _on(a, m):
        if not compat.is_concrete_mesh(m):
            raise ValueError(f"mesh={m} has no devices, and a is on none; pass a jax.sharding.Mesh")
        a = jax.device_put(a, NamedSharding(m, spec if spec is not None else plan.matrix_spec))
    return a, plan


def layout_of(a, mesh, spec, near=None) -> Plan:
    """The plan of a matrix, which stays where it is."""
    n = a.shape[0]
    if a.shape[1] != n:
        raise ValueError(f"a must be square, got shape {a.shape}")
    place = place_of(a, mesh, spec, "a")
    if place.mesh is None and near is not None:
        other = place_of(near, None, None, "b")
        if other.mesh is not None and place.fixed:
            raise ValueError(
                f"a is on one device, {a.sharding}, but b on the mesh {other.mesh}; put both on "
                "the mesh with jax.device_put, or pass mesh="
            )
        place = Place(other.mesh)
    if place.mesh is None:
        return Plan(n, "single")
    m = place.mesh
    sizes = dict(m.shape)
    taken = compat.mapped_axes() | compat.spmd_axes()
    everything = tuple(x for x in m.axis_names if x not in taken)
    known = place.spec is not None
    rows, cols = _entries(place.spec, 2) if known else (everything, ())
    for dim, axes in enumerate((rows, cols) if known else ()):
        count = math.prod(sizes[x] for x in axes)
        if n % count:
            raise ValueError(
                f"spec={place.spec}: dimension {dim} of a has {n} elements, which {count} devices "
                "do not divide; leave it replicated and pass mesh="
            )
    both = sorted(taken.intersection(rows + cols))
    if both:
        raise ValueError(f"a is sharded along the mesh axes {both}, over which jax.vmap maps")
    even = n % math.prod(sizes[x] for x in rows + cols) == 0
    if rows and cols:  # if there are too few rows for all devices: copies along the second axis
        return Plan(n, "grid", m, rows + cols if even else rows, place.spec)
    if rows and even:
        return Plan(n, "rows", m, rows)
    if cols:
        return Plan(n, "columns", m, cols)
    if not everything:  # each device has matrices of its own
        return Plan(n, "copies", m)
    return Plan(n, "replicated", m, everything)


def shard_plan(a, axis_name, precision=None) -> tuple[Any, Plan]:
    """(A, its plan) inside the caller's shard_map, where `a` is this device's rows."""
    axes = (axis_name,) if isinstance(axis_name, str) else axis_name
    if not isinstance(axes, tuple) or not axes or not all(isinstance(x, str) for x in axes):
        raise TypeError(f"axis_name must be a name or a tuple of names, got {axis_name!r}")
    a = check_matrix(a)
    mesh = compat.context_mesh()
    types = {} if mesh is None else compat.axis_types(mesh)
    for axis in axes:
        if types.get(axis) != compat.AxisType.Manual:
            manual = tuple(x for x, t in types.items() if t == compat.AxisType.Manual)
            raise ValueError(
                f"axis_name={axis_name!r}, expected axes of a jax.shard_map around this call, "
                f"which has {manual or 'none'}"
            )
    left = [x for x, t in types.items() if t != compat.AxisType.Manual and mesh.shape[x] > 1]
    if left:
        raise ValueError(
            f"the shard_map leaves the mesh axes {left} automatic or explicit; make "
            "all of them manual"
        )
    lc, n = a.shape
    precision = _options.check_precision(precision)
    plan = Plan(n, "shard", mesh, axes, local=lc, precision=precision)
    if lc * plan.ranks < n:
        raise ValueError(
            f"a has the local shape {a.shape} on {plan.ranks} devices: {lc * plan.ranks} rows, "
            f"expected {n} or more (rows beyond {n} are ignored)"
        )
    return a, plan


def _on(a, mesh) -> bool:
    sharding = getattr(a, "sharding", None)
    return isinstance(sharding, NamedSharding) and sharding.mesh == mesh


def beside(b, plan: Plan, name: str):
    """A second matrix like the one of the plan, where that one is worked on."""
    mesh = plan.mesh
    if isinstance(b, compat.Tracer) or mesh is None or _on(b, mesh):
        return b
    if not compat.is_concrete_mesh(mesh):
        raise ValueError(f"mesh={mesh} has no devices, and {name} is on none")
    return jax.device_put(b, NamedSharding(mesh, plan.matrix_spec))


def as_array(x, name: str):
    """x as a JAX array of a supported type; TypeError otherwise."""
    if isinstance(x, compat.Tracer | jax.Array):
        out = x
    elif isinstance(x, np.ndarray | np.generic | list | tuple):
        out = jnp.asarray(x)
    else:
        raise TypeError(f"{name} must be an array, got {type(x).__name__}")
    if out.dtype.name not in DTYPES:
        raise TypeError(f"{name} has dtype {out.dtype.name}, expected one of {', '.join(DTYPES)}")
    return out


# ---- right-hand sides --------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Sides:
    """How right-hand sides go in and x comes out."""

    rows: bool = False  # cut like A (else: every rank has all of b)
    spec: P | None = None  # of the caller's b, for x; None: whatever comes
    vector: bool = False
    split: bool = False  # complex b, real A: real and imaginary parts as columns of their own

    def matrix_spec(self, plan: Plan) -> P:
        return plan.rows_spec if self.rows else P(None, None)

    def enter(self, b, plan: Plan):
        if self.vector:
            b = b[:, None]
        if plan.mapped:
            b = compat.reshard(b, plan.mesh, self.matrix_spec(plan))
        return jnp.concatenate([b.real, b.imag], axis=1) if self.split else b

    def leave(self, x, plan: Plan):
        if self.split:
            k = x.shape[1] // 2
            x = jax.lax.complex(x[:, :k], x[:, k:])
        if plan.mapped and self.spec is not None:
            x = compat.reshard(x, plan.mesh, _from_entries(*_entries(self.spec, 2)))
        return x[:, 0] if self.vector else x


def sides_of(a, b, plan: Plan):
    """(A and b of one type, or a real A and a complex b; how b lies)."""
    b = as_array(b, "b")
    if b.ndim not in (1, 2):
        raise ValueError(f"b must have one or more dimensions, got shape {b.shape}")
    if plan.kind == "shard":
        if b.shape[0] not in (plan.n, plan.lc):
            raise ValueError(
                f"b must have {plan.n} rows (replicated) or {plan.lc} (sharded like a), got the "
                f"local shape {b.shape}"
            )
    elif b.shape[0] != plan.n:
        raise ValueError(f"b must have {plan.n} rows as a has, got shape {b.shape}")
    dtype = jnp.result_type(a, b)
    split = not jnp.iscomplexobj(a) and jnp.issubdtype(dtype, jnp.complexfloating)
    b, sides = _lie(_astype(b, dtype), plan)
    a = _astype(a, jnp.finfo(dtype).dtype if split else dtype)
    return a, b, dataclasses.replace(sides, vector=b.ndim == 1, split=split)


def _astype(x, dtype):
    return x if x.dtype == dtype else x.astype(dtype)


def _lie(b, plan: Plan):
    """(b where it is worked on, how it lies)."""
    if plan.kind == "shard":
        return b, Sides(rows=b.shape[0] != plan.n)
    if plan.kind == "single":
        return b, Sides()
    place = place_of(b, None, None, "b")
    if place.mesh is not None and not _same_mesh(place.mesh, plan.mesh):
        raise ValueError(f"b lies on the mesh {place.mesh}, but a on {plan.mesh}")
    even = plan.n % plan.ranks == 0
    if place.spec is None:
        # Nothing is known: all of b on every device as long as that is less than a shard of A.
        many = b.size > plan.n * plan.n // plan.ranks
        if place.fixed:
            b = jax.device_put(b, NamedSharding(plan.mesh, P()))
        known = P(None, None) if place.mesh is None and not many else None
        return b, Sides(many and even, known)
    return b, Sides(any(_entries(place.spec, b.ndim)) and even, place.spec)


# ---- eager calls are programs of their own ------------------------------------------------------


@functools.cache
def _program(body, donate: tuple[int, ...] = (), inline: bool = False):
    donate = tuple(i + 1 for i in donate)
    return jax.jit(body, static_argnums=0, donate_argnums=donate, inline=inline)


def run(body, static, *arrays, donate: tuple[int, ...] = (), delete: tuple[int, ...] = ()):
    """body(static, *arrays), as part of the program that is being traced, else as one of its own.

    Outside of a program the arrays `donate` lend their memory to results, and the arrays
    `delete`, which no result can take the place of, go when they have been read.
    """
    if any(isinstance(x, compat.Tracer) for x in arrays):
        # Inlined in jit. Under an eager vmap or grad a program of its own: pieces of it alone
        # would not know their devices.
        return _program(body, inline=True)(static, *arrays)
    with compat.at_once():
        out = _program(body, donate)(static, *arrays)
    for i in delete:
        arrays[i].delete()
    return out


def overwriting(plan: Plan, a: bool, b: bool = False) -> dict[str, tuple[int, ...]]:
    """Arguments of `run` for overwrite_a and overwrite_b: a shard of rows is worked on where it
    lies, any other layout is copied from."""
    in_place = plan.kind in ("rows", "single")
    return {
        "donate": (0,) * (a and in_place) + (1,) * b,
        "delete": (0,) * (a and not in_place),
    }
