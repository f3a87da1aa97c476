# SPDX-License-Identifier: Apache-2.0
"""Where a matrix lies, and how it gets to the C library: as shards of rows.

The library wants rank p to hold rows [p*lc, (p+1)*lc) of A, row-major. What a caller has is
brought there in the way that moves least:

    P("x", None)      nothing to do
    P(None, "x")      transposed (and conjugated) on each device: A is Hermitian
    P("x", "y")       resharded by XLA to P(("x", "y"), None), and back
    replicated        each device takes its rows; the result is gathered again
    one device        P = 1

Ranks are numbered as the shards along the sharded axes. Axes of the mesh that are not used
hold copies: each copy is solved by a group of its own.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from . import _jax_compat as compat

DTYPES = ("float32", "float64", "complex64", "complex128")

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
        index = jax.lax.axis_index(self.others) if self.others else jnp.int32(0)
        return jnp.stack([index, self.rank()]).astype(jnp.int32)


ALONE = Group()


def group_of(mesh: Mesh | AbstractMesh, axes: tuple[str, ...]) -> Group:
    others = tuple(name for name in mesh.axis_names if name not in axes)
    shape = dict(mesh.shape)
    table = None
    if compat.is_concrete_mesh(mesh):
        order = [mesh.axis_names.index(name) for name in (*others, *axes)]
        devices = np.transpose(mesh.devices, order).reshape(-1)
        table = tuple(v for d in devices for v in (d.process_index, _ordinal(d)))
    text = repr((tuple(mesh.axis_names), tuple(shape.values()), axes, table))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return Group(
        axes=axes,
        others=others,
        sizes=tuple(shape[name] for name in axes),
        identity=int.from_bytes(digest, "little", signed=True),
        table=table,
    )


def _ordinal(device) -> int:
    """What XLA calls the device's ordinal in a handler."""
    local = getattr(device, "local_hardware_id", None)
    return device.id if device.platform == "cpu" or local is None else local


# ---- where one array lies ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Place:
    """Mesh and spec of an array; no mesh: one device. spec None: not known (automatic axes
    inside a program)."""

    mesh: Mesh | AbstractMesh | None
    spec: P | None


def _entries(spec: P, ndim: int) -> tuple[tuple[str, ...], ...]:
    """Axes of each dimension."""
    out = []
    for entry in tuple(spec) + (None,) * (ndim - len(spec)):
        out.append(() if entry is None else (entry,) if isinstance(entry, str) else tuple(entry))
    return tuple(out)


def _from_entries(*entries: tuple[str, ...]) -> P:
    return P(*(None if not e else e[0] if len(e) == 1 else e for e in entries))


def check_spec(spec, mesh, ndim, name="spec") -> P:
    """A PartitionSpec for an array of `ndim` dimensions on this mesh, or a ValueError."""
    if not isinstance(spec, P):
        raise TypeError(f"{name} must be a jax.sharding.PartitionSpec, got {spec!r}")
    if len(spec) > ndim:
        raise ValueError(f"{name}={spec} has {len(spec)} entries for an array of {ndim} dimensions")
    for entry in spec:
        if entry is P.UNCONSTRAINED:
            raise ValueError(f"{name}={spec}: every dimension must be given")
    used = [axis for entry in _entries(spec, ndim) for axis in entry]
    for axis in used:
        if axis not in mesh.axis_names:
            raise ValueError(f"{name}={spec}: the mesh has axes {mesh.axis_names}, not {axis!r}")
    return spec


def place_of(x, mesh, spec, name: str) -> Place:
    """Where x lies: from mesh= and spec=, else from its sharding, else from the context."""
    if mesh is not None and not isinstance(mesh, Mesh | AbstractMesh):
        raise TypeError(f"mesh must be a jax.sharding.Mesh, got {mesh!r}")
    found = _traced_place(x) if isinstance(x, compat.Tracer) else _concrete_place(x, mesh, name)
    if mesh is not None:
        if found.mesh is not None and not _same_mesh(found.mesh, mesh):
            if isinstance(x, compat.Tracer):
                raise ValueError(f"{name} lies on the mesh {found.mesh}, but mesh={mesh}")
            found = Place(None, None)
        found = Place(mesh, found.spec if found.mesh is not None else None)
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
            return Place(None, None)
    types = compat.axis_types(mesh)
    if compat.AxisType.Manual in types.values():
        left = [a for a, t in types.items() if t != compat.AxisType.Manual and mesh.shape[a] > 1]
        if left:
            raise ValueError(
                f"called inside a shard_map that leaves the mesh axes {left} automatic or explicit;"
                " make all axes manual and use meshlinalg.shard"
            )
        return Place(None, None)  # the local shard is this device's own problem
    explicit = any(t == compat.AxisType.Explicit for t in types.values())
    return Place(mesh, sharding.spec if explicit and not sharding.mesh.empty else None)


def _concrete_place(x, mesh, name: str) -> Place:
    sharding = getattr(x, "sharding", None)
    if sharding is None or isinstance(sharding, SingleDeviceSharding):
        return Place(None, None)
    if isinstance(sharding, NamedSharding):
        return Place(sharding.mesh, sharding.spec)
    if len(sharding.device_set) == 1:
        return Place(None, None)
    if mesh is not None:
        return Place(None, None)
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
    kind: str  # "single", "rows", "columns", "grid", "replicated"
    mesh: Mesh | AbstractMesh | None = None
    axes: tuple[str, ...] = ()
    spec: P | None = None  # of the caller's matrix; None: not known

    @functools.cached_property
    def group(self) -> Group:
        return group_of(self.mesh, self.axes) if self.axes else ALONE

    @property
    def ranks(self) -> int:
        return self.group.ranks

    @property
    def lc(self) -> int:
        """Rows of a rank."""
        return -(-self.n // self.ranks)

    @property
    def rows_spec(self) -> P:
        """Of the canonical form: shards of rows."""
        return _from_entries(self.axes, ())

    @property
    def row_entry(self):
        return self.rows_spec[0]

    def map(self, f, in_specs, out_specs):
        """f on the shards of each device."""
        if self.mesh is None:
            return f
        return compat.shard_map(f, self.mesh, in_specs, out_specs)

    # The matrix: global before shard_map, its spec there, local inside.
    def enter(self, a):
        if self.kind == "grid" or (self.mesh is not None and self.spec is None):
            return compat.reshard(a, self.mesh, self.in_spec)
        return a

    @property
    def in_spec(self) -> P:
        if self.kind == "columns":
            return _from_entries((), self.axes)
        if self.kind == "replicated":
            return P(None, None)
        return self.rows_spec

    def local_rows(self, a):
        """This rank's rows of A; zeros below row n, which nobody reads."""
        if self.kind == "columns":
            return jnp.conj(a.T)
        if self.kind == "replicated":
            return self.take_rows(a)
        return a

    def take_rows(self, a):
        """This rank's rows of an array that every device has in full."""
        first = self.group.rank() * self.lc
        if self.n == self.lc * self.ranks:
            return jax.lax.dynamic_slice_in_dim(a, first, self.lc, axis=0)
        return jnp.take(a, first + jnp.arange(self.lc), axis=0, mode="fill", fill_value=0)

    # A Hermitian result like A.
    @property
    def out_spec(self) -> P:
        return self.in_spec

    def local_result(self, rows):
        if self.kind == "columns":
            return jnp.conj(rows.T)
        if self.kind == "replicated":
            return self.gather_rows(rows)
        return rows

    def gather_rows(self, rows):
        """All rows, on every device."""
        return jax.lax.all_gather(rows, self.axes, axis=0, tiled=True)[: self.n]

    def leave(self, x):
        """A matrix in out_spec back to the caller's layout."""
        if self.mesh is not None and self.spec is not None and self.kind == "grid":
            return compat.reshard(x, self.mesh, self.spec)
        return x

    # A result that is not Hermitian: by rows, then as A was.
    @property
    def general_spec(self) -> P:
        return P(None, None) if self.kind == "replicated" else self.rows_spec

    def local_general(self, rows):
        return self.gather_rows(rows) if self.kind == "replicated" else rows

    def leave_general(self, x):
        if self.mesh is None or self.kind in ("rows", "replicated") or self.spec is None:
            return x
        return compat.reshard(x, self.mesh, self.spec)

    def transpose(self, x):
        """Conjugate transpose of a global n x n array that lies as `general_spec` says."""
        if self.mesh is None:
            return jnp.conj(x.T)
        return compat.reshard(jnp.conj(x.T), self.mesh, self.general_spec)


def plan_of(a, mesh, spec, name: str = "a") -> tuple[Any, Plan]:
    """(A where it will be worked on, its plan). A is checked: square, of a supported type."""
    a = as_array(a, name)
    if a.ndim != 2:
        raise ValueError(
            f"{name} must be a matrix, got shape {a.shape}; for a batch, call once a matrix "
            "(jax.lax.map)"
        )
    if a.shape[0] != a.shape[1]:
        raise ValueError(f"{name} must be square, got shape {a.shape}")
    n = a.shape[0]
    place = place_of(a, mesh, spec, name)
    if place.mesh is None:
        return a, Plan(n, "single")
    if place.spec is None:
        rows, cols = _free_axes(place.mesh), ()
        known = None
        if n % math.prod(place.mesh.shape[x] for x in rows):
            rows, known = (), P(None, None)
    else:
        rows, cols = _entries(check_spec(place.spec, place.mesh, 2, "spec"), 2)
        known = place.spec
    m = place.mesh
    if rows and cols and n % math.prod(m.shape[x] for x in rows + cols) == 0:
        plan = Plan(n, "grid", m, rows + cols, known)
    elif rows and cols:  # too few rows for all devices: copies along the second axis
        plan = Plan(n, "grid", m, rows, known)
    elif rows:
        plan = Plan(n, "rows", m, rows, known)
    elif cols:
        plan = Plan(n, "columns", m, cols, known)
    else:
        plan = Plan(n, "replicated", m, _free_axes(m), P(None, None))
    if plan.spec is not None and plan.kind != "replicated":
        for dim, axes in enumerate(_entries(plan.spec, 2)):
            size = math.prod(m.shape[x] for x in axes)
            if n % size:
                raise ValueError(
                    f"spec={plan.spec}: dimension {dim} of {name} has {n} elements, which {size} "
                    "devices do not divide; leave it replicated and pass mesh="
                )
    if not isinstance(a, compat.Tracer) and not _on(a, m):
        a = jax.device_put(
            a, NamedSharding(m, plan.spec if plan.spec is not None else plan.in_spec)
        )
    return a, plan


def _on(a, mesh) -> bool:
    sharding = getattr(a, "sharding", None)
    return isinstance(sharding, NamedSharding) and sharding.mesh == mesh


def _free_axes(mesh) -> tuple[str, ...]:
    return tuple(mesh.axis_names)


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

    rows: bool  # cut like A (else: every rank has all of b)
    spec: P | None = None  # of the caller's b, for x; None: whatever comes
    vector: bool = False

    def in_spec(self, plan: Plan) -> P:
        return P(plan.row_entry, None) if self.rows else P(None, None)

    def enter(self, b, plan: Plan):
        if self.vector:
            b = b[:, None]
        if plan.mesh is None:
            return b
        return compat.reshard(b, plan.mesh, self.in_spec(plan))

    def leave(self, x, plan: Plan):
        if plan.mesh is not None and self.spec is not None:
            spec = (
                self.spec if not self.vector else P(*self.spec, *((None,) * (2 - len(self.spec))))
            )
            x = compat.reshard(x, plan.mesh, spec)
        return x[:, 0] if self.vector else x


def sides_of(b, plan: Plan, name: str = "b"):
    """(b where it is worked on, how it lies)."""
    b = as_array(b, name)
    if b.ndim not in (1, 2):
        raise ValueError(f"{name} must have one or two dimensions, got shape {b.shape}")
    if b.shape[0] != plan.n:
        raise ValueError(f"{name} must have {plan.n} rows as a has, got shape {b.shape}")
    vector = b.ndim == 1
    if plan.mesh is None:
        return b, Sides(False, None, vector)
    place = place_of(b, None, None, name)
    if place.mesh is not None and not _same_mesh(place.mesh, plan.mesh):
        raise ValueError(f"{name} lies on the mesh {place.mesh}, but a on {plan.mesh}")
    even = plan.n % plan.ranks == 0
    if place.mesh is None or place.spec is None:
        # Nothing is known: all of b on every device as long as that is less than a shard of A.
        many = b.size > plan.n * plan.n // plan.ranks
        known = P(None, None) if place.mesh is None and not many else None
        if not isinstance(b, compat.Tracer) and place.mesh is None and _committed(b):
            b = jax.device_put(b, NamedSharding(plan.mesh, P()))
        return b, Sides(many and even, known, vector)
    entries = _entries(place.spec, b.ndim)
    sharded = any(entries)
    return b, Sides(sharded and even, place.spec, vector)


def _committed(x) -> bool:
    return bool(getattr(x, "committed", False))


# ---- eager calls are programs of their own ------------------------------------------------------


@functools.cache
def _jitted(body, donate: tuple[int, ...]):
    return jax.jit(body, static_argnums=0, donate_argnums=tuple(i + 1 for i in donate))


def run(body, static, *arrays, donate: tuple[int, ...] = ()):
    """body(static, *arrays): in the program that is being traced, else in one of its own.

    Inside a program each call is traced anew, with its own call number; outside, programs are
    kept by their static part.
    """
    if any(isinstance(x, compat.Tracer) for x in arrays):
        return body(static, *arrays)
    return _jitted(body, donate)(static, *arrays)
