# SPDX-License-Identifier: Apache-2.0
"""One process of a job in which something goes wrong: mp_stuck.py PLATFORM ADDRESS PROCESSES INDEX
SCENARIO. Reports {"step": name, "error": text or null, "seconds": time} for each call."""

import functools
import os
import resource
import sys
import threading
import time

import mp_launch

JOB = mp_launch.join()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

import meshlinalg as ml  # noqa: E402
from meshlinalg import _library  # noqa: E402

LAST = JOB.index == JOB.processes - 1  # the process that goes wrong


@functools.cache
def maker(n, mesh):
    """Makes diag(1 ... n) in XLA's memory: nothing of it is the host's."""

    def make():
        rows = jax.lax.broadcasted_iota(float, (n, n), 0)
        columns = jax.lax.broadcasted_iota(float, (n, n), 1)
        return jnp.where(rows == columns, rows + 1, 0.0)

    return jax.jit(make, out_shardings=NamedSharding(mesh, P("x", None)))


def diagonal(n, mesh):
    return jax.block_until_ready(maker(n, mesh)())


@functools.partial(jax.jit, donate_argnums=0)
def inverse(a):
    return ml.inv(a, assume_a="pos")


def attempt(step, f, *arguments):
    """f's result, or None and a report of what it has raised."""
    start, x, error = time.monotonic(), None, None
    try:
        x = jax.block_until_ready(f(*arguments))
    except Exception as e:
        error = f"{type(e).__name__}: {e}"
    seconds = round(time.monotonic() - start, 3)
    left = _library.library().mla_xla_meetings()
    mp_launch.report({"step": step, "error": error, "seconds": seconds, "meetings": left})
    return x


def call(step, n=24, mesh=None, before=lambda: None):
    """Inverts a matrix and reports how that went; `before` comes when the matrix is there."""
    a = diagonal(n, mesh or jax.make_mesh((jax.device_count(),), ("x",)))
    before()
    x = attempt(step, inverse, a)
    for shard in x.addressable_shards if x is not None else ():
        expected = np.diag(1 / np.arange(1.0, n + 1))[shard.index]
        assert np.allclose(np.asarray(shard.data), expected), "wrong result"
    return x is not None


def leave():
    """Ends a job of which the last process is dead; before, the devices of this process alone
    are as well as ever."""
    devices = jax.local_devices()
    call("alone", mesh=jax.make_mesh((len(devices),), ("x",), devices=devices))
    # The job's server is in the first process, and its end would kill the others.
    mp_launch.barrier("alone", list(range(JOB.processes - 1)))
    os._exit(0)


def dies_before():
    call("first")
    mp_launch.barrier("first")
    if LAST:
        os._exit(7)
    call("without it")
    leave()


def dies_within():
    call("first")
    call("again", n=96)  # compiles
    if LAST:
        threading.Timer(1.0, os._exit, (7,)).start()
    while call("again", n=96):
        pass
    leave()


def comes_late():
    call("first")
    mp_launch.barrier("first")
    if LAST:
        time.sleep(6.0)
    call("late")
    mp_launch.barrier("late")
    call("next")
    mp_launch.barrier("end")


def comes_in_time():
    call("first")
    mp_launch.barrier("first")
    if LAST:
        time.sleep(2.0)
    call("next")
    mp_launch.barrier("end")


def late_device():
    """One process; one of its devices comes late."""
    mesh = jax.make_mesh((jax.device_count(),), ("x",))
    call("first")

    def hold(x, index):
        if index == jax.device_count() - 1:
            time.sleep(5.0)
        return x

    def local(a):
        shape = jax.ShapeDtypeStruct(a.shape, a.dtype)
        a = jax.pure_callback(hold, shape, a, jax.lax.axis_index("x"))
        return ml.shard.inv(a, "x", assume_a="pos")

    rows = P("x", None)
    f = jax.jit(jax.shard_map(local, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=False))
    attempt("late", f, diagonal(24, mesh))
    call("next")


def out_of_memory():
    """The last process gets no more memory for one call."""
    n = 1536
    call("first", n)  # compiles, and starts XLA's threads
    call("second", n)
    mp_launch.barrier("second")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)

    def starve():
        if LAST:
            with open("/proc/self/statm") as file:
                here = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (here + (1 << 18), hard))

    try:
        call("starved", n, before=starve)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    mp_launch.barrier("starved")
    call("next", n)
    mp_launch.barrier("end")


def sleeps():
    call("first")
    time.sleep(1000.0)


if __name__ == "__main__":
    globals()[JOB.rest[0]]()
    sys.stdout.flush()
