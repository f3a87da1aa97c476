# SPDX-License-Identifier: Apache-2.0
"""What differs between JAX releases, or is not in JAX's public interface. Nothing else in the
package knows a version.

Supported: JAX 0.9.1 and every later one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import os
import re

import jax
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

try:
    from jax.core import Tracer
except ImportError:  # pragma: no cover
    from jax.extend.core import Tracer  # type: ignore[no-redef]

__all__ = [
    "AxisType",
    "Tracer",
    "abstract_mesh",
    "as_varying",
    "at_once",
    "axis_types",
    "context_mesh",
    "cuda_major",
    "is_concrete_mesh",
    "is_explicit",
    "is_manual",
    "job_name",
    "leading_axes",
    "mapped_axes",
    "process_identity",
    "put",
    "reshard",
    "result_type",
    "shard_map",
    "spmd_axes",
    "varying_axes",
    "x64_enabled",
]


def x64_enabled() -> bool:
    """Whether JAX has 64-bit types, here and now."""
    return jax.dtypes.canonicalize_dtype("float64") == "float64"


# ---- meshes -----------------------------------------------------------------------------------


def is_concrete_mesh(mesh: Mesh | AbstractMesh | None) -> bool:
    """Whether the mesh knows its devices."""
    return isinstance(mesh, Mesh)


def abstract_mesh(mesh: Mesh | AbstractMesh) -> AbstractMesh:
    """The mesh without its devices."""
    return mesh.abstract_mesh


def axis_types(mesh: Mesh | AbstractMesh) -> dict[str, AxisType]:
    """Type of each axis by name."""
    types = mesh.axis_types or (AxisType.Auto,) * len(mesh.axis_names)
    return dict(zip(mesh.axis_names, types, strict=True))


def context_mesh() -> AbstractMesh | None:
    """Mesh of jax.set_mesh or of the shard_map around, without devices; None if there is none."""
    mesh = jax.sharding.get_abstract_mesh()
    return None if mesh is None or mesh.empty else mesh


def is_explicit(mesh: Mesh | AbstractMesh) -> bool:
    """Whether shardings on this mesh are part of types."""
    return AxisType.Explicit in axis_types(mesh).values()


def shard_map(f, mesh, in_specs, out_specs):
    """shard_map over all axes of the mesh, but for those that a vmap maps over. Results are
    replicated where out_specs says so, which check_vma cannot know of a foreign function."""
    if mapped_axes() >= set(mesh.axis_names):
        return f
    return jax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)


def _entries(spec) -> list:
    """What a PartitionSpec says, without its last None."""
    entries = [(x,) if isinstance(x, str) else x or None for x in spec]
    while entries and entries[-1] is None:
        entries.pop()
    return entries


def reshard(x, mesh, spec):
    """x laid out as `spec` says, in explicit and automatic meshes. Inside a program only."""
    sharding = NamedSharding(mesh, spec)
    if is_explicit(mesh):
        here = jax.typeof(x).sharding
        if here.mesh.shape == mesh.shape and _entries(here.spec) == _entries(spec):
            return x  # JAX 0.9 would gather the batch of a vmap here
        return jax.sharding.reshard(x, sharding)
    return jax.lax.with_sharding_constraint(x, sharding)


# ---- axes of a mesh under vmap -----------------------------------------------------------------


def _axis_env():
    from jax._src import core

    return core.get_axis_env()


def mapped_axes() -> frozenset[str]:
    """Explicit axes along which arrays are sharded that a vmap around maps over: no array in it
    can use them."""
    return frozenset(_axis_env().explicit_mesh_axis_names)


def spmd_axes() -> frozenset[str]:
    """The spmd_axis_name of the vmaps around."""
    return frozenset(_axis_env().spmd_axis_names)


def leading_axes(x) -> tuple[str, ...]:
    """Axes along which the first dimension of x is sharded, as far as its type tells."""
    first = (*jax.typeof(x).sharding.spec, None)[0]
    return () if first is None else (first,) if isinstance(first, str) else tuple(first)


def is_manual(axis: str) -> bool:
    """Whether the code that is being traced runs on one device along this axis."""
    mesh = context_mesh()
    return mesh is not None and axis_types(mesh).get(axis) == AxisType.Manual


# ---- while a program is traced ------------------------------------------------------------------


@contextlib.contextmanager
def at_once():
    """Under jax.ensure_compile_time_eval: a program that is called here runs now, and is traced
    as it would be elsewhere (there JAX evaluates what depends on no argument, as axis_index)."""
    from jax._src import config, core

    if not config.eager_constant_folding.value:
        yield
        return
    with config.eager_constant_folding(False), core.eval_context():
        yield


# ---- types inside a shard_map with check_vma ---------------------------------------------------


def varying_axes(x) -> frozenset[str]:
    """Manual axes along which x may differ; empty where that is not tracked."""
    aval = jax.typeof(x)
    if hasattr(aval, "manual_axis_type"):
        return frozenset(aval.manual_axis_type.varying)
    return frozenset(aval.vma)


_VARYING = "manual_axis_type"
if _VARYING not in inspect.signature(jax.ShapeDtypeStruct.__init__).parameters:
    _VARYING = "vma"


def result_type(shape, dtype, varying: frozenset[str] = frozenset()) -> jax.ShapeDtypeStruct:
    """Type of a result that may differ along the given manual axes."""
    if not varying:
        return jax.ShapeDtypeStruct(shape, dtype)
    kind = varying if _VARYING == "vma" else jax.sharding.ManualAxisType(varying=varying)
    here = NamedSharding(context_mesh(), PartitionSpec())
    return jax.ShapeDtypeStruct(shape, dtype, sharding=here, **{_VARYING: kind})


def as_varying(x, axes: frozenset[str]):
    """x, said to differ along `axes` too."""
    missing = tuple(sorted(axes - varying_axes(x)))
    return jax.lax.pcast(x, missing, to="varying") if missing else x


# ---- processes and devices ---------------------------------------------------------------------


def process_identity() -> tuple[int, int]:
    """(index of this process, number of processes)."""
    index, count, client = _distributed()
    return (index, count) if client is not None else (0, 1)


def job_name() -> str:
    """Name of the job, equal on all its processes and unlike that of any other job. Several
    processes that do not run under jax.distributed are jobs of their own."""
    _, count, client = _distributed()
    if count == 1 or client is None:
        return f"p{os.getpid()}"
    put("meshlinalg/job", os.urandom(8).hex())  # whoever comes first names it
    return get("meshlinalg/job", 60.0)


def machines() -> int | None:
    """Machines that the GPUs of this job are in; None while nothing tells. Starts no backend."""
    from jax._src import xla_bridge

    _, count, client = _distributed()
    if count == 1 or client is None:
        return 1
    if not xla_bridge.backends_are_initialized():
        return None
    # XLA numbers the sets of GPUs that share a machine; the attribute has had two names.
    devices = [d for d in jax.devices() if d.platform != "cpu"]
    sets = {getattr(d, "slice_index", getattr(d, "partition_index", None)) for d in devices}
    return max(1, len(sets))


def put(key: str, value: str) -> None:
    """Into the store that the processes of the job share. A key that is there stays."""
    *_, client = _distributed()
    try:
        client.key_value_set(key, value)
    except Exception:  # the client's own exception type: the key exists
        pass


def get(key: str, seconds: float) -> str:
    """From there, as soon as somebody has put it."""
    *_, client = _distributed()
    return client.blocking_key_value_get(key, max(1, int(1000 * seconds)))


def _distributed():
    from jax._src import distributed

    state = distributed.global_state
    return state.process_id or 0, state.num_processes or 1, state.client


def cuda_major() -> int | None:
    """CUDA 12 or 13, the one that JAX's GPU backend runs on; None without one, or while nothing
    tells. Starts no backend."""
    from jax._src import xla_bridge
    from jax.extend import backend

    if xla_bridge.backends_are_initialized():
        client = backend.get_backend()
        found = re.search(r"cuda\s+(\d+)", client.platform_version)
        return int(found[1]) // 1000 if client.platform != "cpu" and found else None
    plugins = [v for v in (12, 13) if importlib.util.find_spec(f"jax_cuda{v}_plugin")]
    return plugins[0] if len(plugins) == 1 else None
