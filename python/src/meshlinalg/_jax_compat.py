# SPDX-License-Identifier: Apache-2.0
"""What differs between JAX releases, or is not in JAX's public interface. Nothing else in the
package knows a version.

Supported: JAX 0.9.1 and every later one.
"""

from __future__ import annotations

import os

import jax
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding

try:
    from jax.core import Tracer
except ImportError:  # pragma: no cover
    from jax.extend.core import Tracer  # type: ignore[no-redef]

__all__ = [
    "AxisType",
    "Tracer",
    "axis_types",
    "context_mesh",
    "is_concrete_mesh",
    "process_identity",
    "reshard",
    "shard_map",
]


def is_concrete_mesh(mesh: Mesh | AbstractMesh | None) -> bool:
    """Whether the mesh knows its devices."""
    return isinstance(mesh, Mesh)


def axis_types(mesh: Mesh | AbstractMesh) -> dict[str, AxisType]:
    """Type of each axis by name."""
    types = mesh.axis_types or (AxisType.Auto,) * len(mesh.axis_names)
    return dict(zip(mesh.axis_names, types, strict=True))


def context_mesh() -> AbstractMesh | None:
    """Mesh of jax.set_mesh or of the shard_map around, without devices; None if there is none."""
    mesh = jax.sharding.get_abstract_mesh()
    return None if mesh is None or mesh.empty else mesh


def shard_map(f, mesh, in_specs, out_specs):
    """shard_map over all axes of the mesh. Results are replicated where out_specs says so,
    which check_vma cannot know of a foreign function."""
    return jax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)


def reshard(x, mesh, spec):
    """x laid out as `spec` says, in explicit and automatic meshes. Inside a program only."""
    sharding = NamedSharding(mesh, spec)
    if any(t == AxisType.Explicit for t in axis_types(mesh).values()):
        return jax.sharding.reshard(x, sharding)
    return jax.lax.with_sharding_constraint(x, sharding)


def process_identity() -> tuple[int, int, str]:
    """(index of this process, number of processes, name of the job equal on all of them).

    Several processes that do not run under jax.distributed are jobs of their own.
    """
    index, count, client = _distributed()
    if count == 1 or client is None:
        return 0, 1, f"p{os.getpid()}"
    key = "meshlinalg/job"
    try:  # whoever comes first names it
        client.key_value_set(key, os.urandom(8).hex())
    except Exception:  # the client's own exception type: the key exists
        pass
    job = client.blocking_key_value_get(key, 60_000)
    return index, count, job


def _distributed():
    from jax._src import distributed

    state = distributed.global_state
    return state.process_id or 0, state.num_processes or 1, state.client
