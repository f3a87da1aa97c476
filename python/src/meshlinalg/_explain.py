# SPDX-License-Identifier: Apache-2.0
"""What a call would do: engine, tile, communicator, memory of a device, and about how long."""

from __future__ import annotations

import dataclasses
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp

from . import _abi, _estimate, _options
from . import _jax_compat as compat
from ._sharding import DTYPES, check_matrix, layout_of

GPUS_OF_A_HOST = 8

# The routines of the library that a function calls, and results of a shard's size that are not
# A's own place.
ROUTINES = {
    "solve": ((_abi.POTRF, _abi.POTRS), 0),
    "slogdet": ((_abi.POTRF,), 0),
    "cho_factor": ((_abi.POTRF,), 0),
    "cholesky": ((_abi.POTRF,), 0),
    "inv": ((_abi.POINV,), 0),
    "eigh": ((_abi.SYEVD,), 1),
    "eigvalsh": ((_abi.SYEVD_VALUES,), 0),
}


@dataclasses.dataclass(frozen=True)
class Explanation:
    """A plan in words and numbers; `str` of it is a table."""

    routine: str
    n: int
    dtype: str
    devices: int
    hosts: int
    device: str
    engine: str
    communicator: str
    tile_size: int
    tiles: int  # of all devices together
    memory: dict[str, int]  # bytes of each device, by what for
    seconds: float
    estimate: _estimate.Estimate
    source: str  # of the rates
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Bytes of each device if A is donated."""
        return sum(self.memory.values())

    def __str__(self):
        lines = [
            (self.routine, f"n = {self.n}, {self.dtype}, {self.devices} x {self.device}"),
            ("engine", self.engine),
            ("communicator", self.communicator),
            ("tile size", f"{self.tile_size}: {self.tiles} tile columns"),
            *((f"memory: {name}", _bytes(size)) for name, size in self.memory.items()),
            ("memory of a device", f"{_bytes(self.total)} if A is donated"),
            ("", f"{_bytes(self.total + self.memory['A'])} if A is kept: JAX makes a copy"),
            ("time, estimated", f"{_seconds(self.seconds)}: {self._terms()}"),
            ("rates", self.source),
            *(("note", note) for note in self.notes),
        ]
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in lines)

    def _terms(self):
        e = self.estimate
        return (
            f"compute {_seconds(e.compute)}, transfers {_seconds(e.transfer)} (overlapped), "
            f"latency {_seconds(e.latency)}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return dataclasses.asdict(self) | {"memory_total": self.total}


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _seconds(t: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if t >= size:
            return f"{t / size:.{max(0, 1 - int(math.log10(t / size)))}f} {unit}"
    return f"{t * 1e6:.0f} us"


def positive(value, name: str) -> int:
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if value < 1:
        raise ValueError(f"{name}={value}, expected a positive integer")
    return value


def communicator_of(ranks: int, processes: int, hosts: int, on_gpus: bool) -> str:
    """What the ranks reach one another by."""
    if ranks == 1:
        return "none: one rank"
    if on_gpus and hosts > 1:
        return "nccl"
    if on_gpus:
        return "peer"
    if hosts > 1:
        raise ValueError(f"hosts={hosts}: CPU devices of several machines are not supported")
    return "threads" if processes == 1 else "shm"


def make(
    routine: str,
    n: int,
    dtype: str,
    ranks: int,
    *,
    device: str,
    processes: int = 1,
    hosts: int = 1,
    nrhs: int = 1,
    tile_size: int | None = None,
    engine: str = "auto",
) -> Explanation:
    """The plan of a routine for numbers alone; nothing is allocated."""
    if routine not in ROUTINES:
        raise ValueError(f"routine={routine!r}, expected one of {', '.join(ROUTINES)}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}, expected one of {', '.join(DTYPES)}")
    _options.check_engine(engine)
    machine = _estimate.machine_of(device)
    on_gpus = machine is not _estimate.CPU
    platform = "gpu" if on_gpus else "cpu"
    nb = _options.check_tile(tile_size) or _abi.tile_size(n, dtype, ranks, platform)
    lc = -(-n // ranks)
    nb = min(nb, max(lc, 1))
    size = _estimate.SIZE[dtype]
    parts, results = ROUTINES[routine]
    memory = {"A": n * lc * size}
    if routine == "solve":
        memory["b and x"] = n * nrhs * size
    if results:
        memory["eigenvectors"] = results * n * lc * size
    memory["work space"] = max(
        _abi.workspace(part, n, dtype, nb, ranks, platform, nrhs) for part in parts
    )
    e = _estimate.estimate(routine, n, dtype, ranks, hosts, nb, nrhs, machine)
    notes = []
    need = sum(memory.values())
    if machine.capacity and need > machine.capacity:
        notes.append(
            f"{_bytes(need)} do not fit a device of {_bytes(machine.capacity)}: more devices, or a "
            "smaller type"
        )
    elif machine.capacity and need + memory["A"] > machine.capacity:
        notes.append("fits only if A is donated: overwrite_a=True, or donate_argnums of the jit")
    communicator = communicator_of(ranks, processes, hosts, on_gpus)
    if engine == "cusolvermg":
        if not on_gpus or processes > 1 or ranks > _options.MG_DEVICES:
            raise ValueError(
                f"engine='cusolvermg' works on the NVIDIA GPUs of one process, at most "
                f"{_options.MG_DEVICES}"
            )
        notes.append("cuSOLVERMg takes work space of its own, which is not in the table")
        notes.append("memory and time are those of the native engine")
    if ranks > 1 and n > 0 and e.latency > e.compute:
        notes.append("latency rules: fewer devices may be faster")
    return Explanation(
        routine,
        n,
        dtype,
        ranks,
        hosts,
        machine.name,
        "native" if engine == "auto" else engine,
        communicator,
        nb,
        -(-lc // max(nb, 1)) * ranks,
        memory,
        e.seconds,
        e,
        machine.source,
        tuple(notes),
    )


def explain(
    a,
    routine: str = "solve",
    *,
    nrhs: int = 1,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    engine: str = "auto",
) -> Explanation:
    """What a function of this package would do with `a`, without doing it.

    Args:
      a: (n, n), an array or a tracer: its type, its sharding and its devices count.
      routine: ``"solve"``, ``"inv"``, ``"slogdet"``, ``"cho_factor"``, ``"cholesky"``, ``"eigh"``,
        ``"eigvalsh"``.
      nrhs: right-hand sides of ``"solve"``.
      mesh, spec, tile_size, engine: as in `solve`.

    Returns:
      Explanation: engine, communicator, tile_size, bytes of memory of each device, and an estimate
      of the time from rates that it states. ``print`` makes a table of it.

    For a matrix that is not there yet: ``python -m meshlinalg plan``.
    """
    a = check_matrix(a)
    plan = layout_of(a, mesh, spec)
    devices = _devices(a, plan)
    processes = len({d.process_index for d in devices}) if devices else 1
    kind = devices[0].device_kind if devices else jax.devices()[0].device_kind
    return make(
        routine,
        plan.n,
        jnp.dtype(a.dtype).name,
        plan.ranks,
        device=kind,
        processes=processes,
        hosts=min(processes, compat.machines() or 1),
        nrhs=positive(nrhs, "nrhs"),
        tile_size=tile_size,
        engine=engine,
    )


def _devices(a, plan) -> list:
    if compat.is_concrete_mesh(plan.mesh):
        return list(plan.mesh.devices.flat)
    if isinstance(a, compat.Tracer):
        return []
    return sorted(a.devices(), key=lambda d: d.id)
