# SPDX-License-Identifier: Apache-2.0
"""Thousands of small calls: nothing grows, nothing is left over.

300 calls a case; 10 000 with MESHLINALG_LONG=1. Every call is awaited: some releases of JAX stop
when many programs of several CPU devices are queued.
"""

import functools
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from meshlinalg import _library, jaxmg

CALLS = 10_000 if os.environ.get("MESHLINALG_LONG") == "1" else 300
WARM = 100
N = 16


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def left_over() -> dict:
    return {
        "meetings": _library.library().mla_xla_meetings(),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }


def stays_as(before) -> None:
    """Threads of a call may end a little after its results are there."""
    until = time.monotonic() + 10.0
    while left_over() != before and time.monotonic() < until:
        time.sleep(0.01)
    assert left_over() == before


def problem(ndev):
    if jax.device_count() < ndev:
        pytest.skip(f"needs {ndev} devices")
    mesh = jax.make_mesh((ndev,), ("x",), devices=jax.devices()[:ndev])
    g = np.random.default_rng(0).standard_normal((N, N))
    a = g @ g.T + N * np.eye(N)
    return (
        a,
        jax.device_put(a, NamedSharding(mesh, P("x", None))),
        jax.device_put(np.ones((N, 1)), NamedSharding(mesh, P(None, None))),
        mesh,
    )


def repeat(call, right):
    """Calls, and looks at what has grown. A leak grows each time; the memory that the process
    comes to need, once."""
    for _ in range(WARM):
        jax.block_until_ready(call())
    time.sleep(0.1)
    before, grown = left_over(), []
    assert before["meetings"] == 0
    while not grown or (grown[-1] > 2**20 + 50 * CALLS and len(grown) < 3):
        size = resident()
        for _ in range(CALLS):
            out = jax.block_until_ready(call())
        grown.append(resident() - size)
        stays_as(before)
    right(out)
    assert len(grown) < 3, f"{grown} bytes more, each time after {CALLS} calls"


@pytest.mark.parametrize("ndev", [1, 4])
def test_solve(ndev):
    a, A, B, _ = problem(ndev)
    f = jax.jit(ml.solve)
    repeat(lambda: f(A, B), lambda x: np.testing.assert_allclose(a @ x, 1.0, atol=1e-10))


def test_eager_calls():
    a, A, _, _ = problem(4)
    repeat(
        lambda: ml.inv(A, assume_a="pos"),
        lambda x: np.testing.assert_allclose(a @ x, np.eye(N), atol=1e-10),
    )


def test_eigh():
    a, A, _, _ = problem(4)
    f = jax.jit(ml.eigh)

    def right(out):
        w, v = map(np.asarray, out)
        np.testing.assert_allclose(a @ v, v * w, atol=1e-10)

    repeat(lambda: f(A), right)


def test_jaxmg_in_a_fresh_call_each_time():
    """As JAXMg's users call it, outside jit: the program is made once."""
    a, A, B, mesh = problem(4)
    rows = P("x", None)

    def call():
        return jaxmg.potrs(jnp.copy(A), jnp.copy(B), 2, mesh, rows, return_status=True)

    def right(out):
        np.testing.assert_allclose(a @ out[0], 1.0, atol=1e-10)
        assert out[1] == 0

    repeat(call, right)


def test_failing_matrices():
    """A numerical failure leaves nothing behind either."""
    _, A, B, _ = problem(4)
    f = jax.jit(functools.partial(ml.solve, assume_a="pos"))
    repeat(lambda: f(-A, B), lambda x: np.testing.assert_array_equal(x, np.nan))


def test_one_program_with_a_loop():
    """The ranks meet CALLS times in one launch."""
    a, A, B, _ = problem(4)

    @jax.jit
    def f(a, b):
        return jax.lax.fori_loop(0, CALLS, lambda i, x: N * ml.solve(a, x, assume_a="pos"), b)

    before = left_over()
    x = np.asarray(jax.block_until_ready(f(A, B)))
    assert left_over()["meetings"] == before["meetings"] == 0
    expected = np.ones((N, 1))
    for _ in range(CALLS):
        expected = N * np.linalg.solve(a, expected)
    np.testing.assert_allclose(x, expected, rtol=1e-9, atol=1e-280)
