# SPDX-License-Identifier: Apache-2.0
"""`python -m meshlinalg doctor`: what was found, what is missing, and how to get it."""

from __future__ import annotations

import os
import pathlib
import platform
import sys
from typing import NamedTuple

import jax
import jaxlib
import numpy as np

from . import _abi, _library
from . import _jax_compat as compat

OK, MISSING, OPTIONAL = "ok", "MISSING", "-"


class Finding(NamedTuple):
    """One line: `mark` is ok, MISSING (something that is there cannot be used without it), or
    - (not there, and not needed for what is there)."""

    mark: str
    what: str
    text: str
    cure: str = ""


def examine() -> list[Finding]:
    """All findings. Starts JAX's backend, and solves a small system on all of its devices."""
    found = [
        Finding(OK, "Python, JAX", f"{platform.python_version()}, jax {jax.__version__}, jaxlib "
                f"{jaxlib.__version__}"),
    ]  # fmt: skip
    try:
        _library.library()
    except ImportError as error:
        return [*found, Finding(MISSING, "C library", str(error), "pip install meshlinalg")]
    found.append(Finding(OK, "C library", f"{_abi.version()} in {_library.path()}"))
    found.append(_blas())
    devices = _devices()
    if isinstance(devices, str):
        return [*found, Finding(MISSING, "devices", devices, "JAX_PLATFORMS=cpu runs on the CPU")]
    on_gpus = devices[0].platform != "cpu"
    _library.register()
    processes = jax.process_count()
    kinds = ", ".join(sorted({d.device_kind for d in devices}))
    found.append(
        Finding(OK, "devices", f"{len(devices)} x {kinds}, {processes} process(es), "
                f"default backend {jax.default_backend()}")
    )  # fmt: skip
    found += _cuda(on_gpus)
    found.append(_collectives(on_gpus))
    found.append(_trial(devices))
    return found


def _devices():
    try:
        return jax.devices()
    except RuntimeError as error:
        return f"JAX finds none: {error}".splitlines()[0]


def _blas() -> Finding:
    import scipy

    try:
        parts = scipy.show_config(mode="dicts")["Build Dependencies"]["blas"]
        which = f"{parts['name']} {parts['version']}"
    except (KeyError, TypeError):
        which = "unknown BLAS"
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "not set")
    return Finding(
        OK, "BLAS on CPUs", f"scipy {scipy.__version__} ({which}), OPENBLAS_NUM_THREADS {threads}"
    )


def _cuda(on_gpus: bool) -> list[Finding]:
    major = compat.cuda_major()
    if major is None and not on_gpus:
        gpus = _gpus()
        if isinstance(gpus, str):
            text = f"JAX has no GPU backend, and {gpus}"
            cure = "on a GPU machine: pip install 'meshlinalg[cuda13]' or 'meshlinalg[cuda12]'"
            return [Finding(OPTIONAL, "CUDA", text, cure)]
        return [
            Finding(OPTIONAL, "CUDA", f"{len(gpus)} x {gpus[0].name}, but JAX has no GPU backend",
                    "pip install 'jax[cuda13]' or 'jax[cuda12]'")
        ]  # fmt: skip
    suffix = f"cu{major}" if major else "cu13"
    wheel = "" if suffix == "cu13" else "-cu12"
    needed = MISSING if on_gpus else OPTIONAL
    found = [Finding(OK, "CUDA", f"{major or 'unknown'}, the one that JAX uses")]
    for name, mark, cure in (
        ("driver", needed, "install NVIDIA's driver"),
        ("cuBLAS", needed, f"pip install nvidia-cublas{wheel}"),
        ("cuSOLVER", needed, f"pip install nvidia-cusolver{wheel}"),
        ("cuSOLVERMg", OPTIONAL, f"comes with nvidia-cusolver{wheel}; for engine='cusolvermg'"),
        ("NCCL", OPTIONAL, f"pip install nvidia-nccl-{suffix}; for more than one machine"),
        ("cuSOLVERMp", OPTIONAL, f"pip install nvidia-cusolvermp-{suffix}"),
    ):
        try:
            version, path = _abi.cuda_library(name)
            found.append(Finding(OK, name, f"{version or 'version not told'} in {path}"))
        except _abi.Failure as error:
            found.append(Finding(mark, name, str(error), cure))
    return found + _peers()


def _gpus():
    try:
        return _abi.cuda_devices()
    except _abi.Failure as error:
        return str(error)


def _peers() -> list[Finding]:
    gpus = _gpus()
    if isinstance(gpus, str):
        return []
    found = [
        Finding(OK, f"GPU {i}", f"{g.name}, {g.memory / 1e9:.0f} GB, compute capability "
                f"{g.capability}")
        for i, g in enumerate(gpus)
    ]  # fmt: skip
    pairs = [(i, j) for i in range(len(gpus)) for j in range(len(gpus)) if i != j]
    if not pairs:
        return [*found, Finding(OK, "peer access", "one GPU: nothing to reach")]
    bad = [pair for pair in pairs if not _abi.peer_access(*pair)]
    if not bad:
        return [*found, Finding(OK, "peer access", f"all {len(gpus)} GPUs reach one another")]
    text = ", ".join(f"{i} -> {j}" for i, j in bad[:8])
    cure = "ranks on these GPUs need comm='nccl'"
    return [*found, Finding(OPTIONAL, "peer access", f"{len(bad)} pairs do not: {text}", cure)]


def _collectives(on_gpus: bool) -> Finding:
    """XLA's extension number 129: its NCCL communicator, lent to custom calls."""
    header = pathlib.Path(jax.ffi.include_dir(), "xla/ffi/api/collectives_c_api.h")
    if header.exists():
        return Finding(OK, "XLA collectives", f"extension 129, jaxlib {jaxlib.__version__}")
    return Finding(OPTIONAL, "XLA collectives", "no extension 129", "pip install 'jax>=0.11.2'")


def _trial(devices) -> Finding:
    """A system whose solution is known, on all devices of this process's backend."""
    import meshlinalg as ml

    if len({d.process_index for d in devices}) > 1:
        return Finding(OPTIONAL, "trial", "skipped: several processes")
    n = 16 * len(devices)
    mesh = jax.sharding.Mesh(np.array(devices), ("x",))
    a = (n * np.eye(n) + np.minimum.outer(np.arange(n), np.arange(n)) / n).astype("float32")
    try:
        put = jax.device_put(a, jax.NamedSharding(mesh, jax.sharding.PartitionSpec("x", None)))
        x = np.asarray(ml.solve(put, a.sum(axis=1), assume_a="pos"))
    except Exception as error:  # whatever it is: the doctor reports it
        return Finding(MISSING, "trial", f"solve fails: {error}"[:600])
    worst = float(np.abs(x - 1).max())
    mark = OK if worst < 1e-4 else MISSING
    return Finding(mark, "trial", f"solve, n = {n}, on {len(devices)} device(s): error {worst:.1e}")


def report(found: list[Finding]) -> str:
    width = max(len(f.what) for f in found)
    lines = []
    for f in found:
        lines.append(f"{f.mark:<8}{f.what:<{width}}  {f.text}")
        if f.cure and f.mark != OK:
            lines.append(f"{'':<8}{'':<{width}}  -> {f.cure}")
    return "\n".join(lines)


def main() -> int:
    """Prints the findings; 1 if something is missing that is needed."""
    # JAX's pool would take most of a card that is in use.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    found = examine()
    print(report(found))
    sys.stdout.flush()
    return int(any(f.mark == MISSING for f in found))
