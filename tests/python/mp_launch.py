# SPDX-License-Identifier: Apache-2.0
"""Starts the processes of a JAX job, and ends them whatever happens.

A process that is in jax.distributed catches SIGTERM: only SIGKILL ends a stuck one.
"""

import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PREFIX = "RESULT "


@dataclasses.dataclass
class Ended:
    """One process: its exit status (None: killed by the time limit), the JSON values it has
    reported, and all it has printed."""

    code: int | None
    reports: list
    text: str

    @property
    def tail(self) -> str:
        return "\n" + self.text[-4000:]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def child_env(platform: str, devices: int, processes: int, extra: dict | None = None) -> dict:
    env = {**os.environ, "JAX_PLATFORMS": {"gpu": "cuda"}.get(platform, platform)}
    env["OPENBLAS_NUM_THREADS"] = env["OMP_NUM_THREADS"] = "1"
    for name in ("XLA_FLAGS", "MESHLINALG_TIMEOUT_S"):
        env.pop(name, None)
    if platform == "cpu":
        env["JAX_NUM_CPU_DEVICES"] = str(devices)
    else:  # all processes share one GPU
        env["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.6 / processes:.2f}"
    env.update(extra or {})
    return env


def launch(
    script: str,
    processes: int,
    devices: int,
    *args: str,
    platform: str = "cpu",
    timeout: float = 100.0,
    env: dict | None = None,
) -> list[Ended]:
    """Runs tests/python/<script> as `processes` processes with `devices` devices each. All that
    are still there after `timeout` seconds are killed."""
    address = f"127.0.0.1:{free_port()}"
    environment = child_env(platform, devices, processes, env)
    common = [sys.executable, str(HERE / script), platform, address, str(processes)]
    running = []
    try:
        for index in range(processes):
            command = [*common, str(index), *args]
            running.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        return _collect(running, time.monotonic() + timeout)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()


def _collect(running: list[subprocess.Popen], until: float) -> list[Ended]:
    ended = []
    for process in running:
        try:
            text, _ = process.communicate(timeout=max(until - time.monotonic(), 0.1))
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
            code = None
        reports = [json.loads(t[len(PREFIX) :]) for t in text.splitlines() if t.startswith(PREFIX)]
        ended.append(Ended(code, reports, text))
    return ended


# ---- in the child -------------------------------------------------------------------------------


@dataclasses.dataclass
class Job:
    platform: str
    processes: int
    index: int
    rest: list[str]

    @property
    def is_gpu(self) -> bool:
        return self.platform != "cpu"


def join() -> Job:
    """Joins the job that sys.argv names. First of all calls of JAX."""
    platform, address, processes, index, *rest = sys.argv[1:]
    _die_with_parent()
    import jax

    jax.config.update("jax_enable_x64", True)
    if int(processes) > 1:
        jax.distributed.initialize(
            address,
            int(processes),
            int(index),
            local_device_ids=None if platform == "cpu" else [0],
            initialization_timeout=60,
        )
    return Job(platform, int(processes), int(index), rest)


def _die_with_parent() -> None:
    import ctypes
    import signal

    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def report(value) -> None:
    print(PREFIX + json.dumps(value), flush=True)


def barrier(name: str, processes: list[int] | None = None) -> None:
    """All processes, or these, meet on the host: no program, no collective."""
    from jax._src import distributed

    if distributed.global_state.client is not None:
        distributed.global_state.client.wait_at_barrier(name, 60_000, process_ids=processes)
