# SPDX-License-Identifier: Apache-2.0
"""No device holds the whole matrix; nothing is left behind by many calls."""

import functools
import math
import os
import re
import time

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from meshlinalg import _library, shard
from support import COLUMNS4, LAYOUTS, ROWS4, ROWS8, Layout, normal, solve_residual, spd

N = 96
GRID = next(x for x in LAYOUTS if x.name == "grid")


def routines(b):
    return {
        "solve": lambda a, **where: ml.solve(a, b, **where, assume_a="pos"),
        "solve_lower": lambda a, **where: ml.solve(a, b, lower=True, **where, assume_a="pos"),
        "solve_gen": lambda a, **where: ml.solve(a, b, **where),
        "inv_gen": ml.inv,
        "lu_factor": ml.lu_factor,
        "inv": functools.partial(ml.inv, assume_a="pos"),
        "inv_upper": lambda a, **where: ml.inv(a, lower=False, **where, assume_a="pos"),
        "slogdet": functools.partial(ml.slogdet, assume_a="pos"),
        "cho_factor": ml.cho_factor,
        "factor_solve": lambda a, **where: ml.cho_factor(a, **where).solve(b),
        "factor_inv": lambda a, **where: ml.cho_factor(a, **where).inv(),
        "cholesky": ml.cholesky,
        "cholesky_upper": lambda a, **where: ml.cholesky(a, upper=True, **where),
        "eigh": ml.eigh,
        "eigvalsh": ml.eigvalsh,
    }


def sizes(compiled) -> list[int]:
    """Elements of the arrays in the program of one device."""
    text = compiled.as_text()
    shapes = re.findall(r"\b(?:f32|f64|c64|c128)\[([0-9,]*)\]", text)
    assert shapes
    return [math.prod(int(x) for x in shape.split(",") if x) for shape in shapes]


@pytest.mark.parametrize("types", ["explicit", "auto"])
@pytest.mark.parametrize("layout", [ROWS8, COLUMNS4, GRID], ids=str)
@pytest.mark.parametrize("name", routines(None))
def test_no_device_has_it_all(name, layout, types):
    b = np.ones(N, "complex64")
    a = layout.put(np.eye(N, dtype="complex64"), types)
    where = {"spec": layout.spec} if types == "auto" else {}
    f = functools.partial(routines(b)[name], **where)
    largest = max(sizes(jax.jit(f).lower(a).compile()))
    assert largest == N * N // math.prod(layout.shape)


def test_the_test_sees_a_gathered_matrix():
    a = ROWS8.put(np.eye(N))
    everywhere = jax.NamedSharding(ROWS8.mesh(), P(None, None))
    gather = jax.jit(lambda a: jax.sharding.reshard(a, everywhere) + 1)
    assert max(sizes(gather.lower(a).compile())) == N * N


def test_shard_functions():
    def f(a):
        w, v = shard.eigh(a, "x")
        return shard.inv(a, "x", assume_a="pos"), shard.cholesky(a, "x"), v, w

    rows = P("x", None)
    f = jax.shard_map(f, mesh=ROWS8.mesh(), in_specs=rows, out_specs=(rows, rows, rows, P()))
    compiled = jax.jit(f).lower(ROWS8.put(np.eye(N))).compile()
    assert max(sizes(compiled)) == N * N // 8


# ---- many calls ----------------------------------------------------------------------------------


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


COUNT = int(os.environ.get("MESHLINALG_TEST_CALLS", "300"))


def test_many_calls():
    """Nothing grows, nothing hangs. MESHLINALG_TEST_CALLS=10000 for the long run."""
    a, b = spd(32), normal(32, seed=1)
    placed = ROWS4.put(a)

    def step():
        x = ml.solve(placed, b, assume_a="pos")
        inverse = ml.inv(placed, assume_a="pos")
        w, _ = ml.eigh(placed)
        y = ml.cho_factor(placed).solve(b)
        jax.block_until_ready((x, inverse, w, y))
        return x

    for _ in range(50):
        step()
    before, tasks = resident(), threads()
    for _ in range(COUNT):
        x = step()
    assert solve_residual(a, x, b) < 30
    assert all_have_left()
    assert resident() - before < (4 << 20) + COUNT * 512
    assert threads() <= tasks + 8


def test_many_programs():
    """A program that is gone leaves next to nothing."""
    a, b = spd(16), normal(16, seed=1)
    placed = ROWS4.put(a)
    growth = []
    for turn in range(3):
        before = resident()
        for i in range(10):
            f = jax.jit(lambda a, i=i, turn=turn: ml.solve(a, b, assume_a="pos") + i + 10 * turn)
            f(placed).block_until_ready()
            f.clear_cache()
        growth.append(resident() - before)
    assert all_have_left()
    assert growth[-1] < 40 << 20  # mostly the compiler's


def all_have_left(limit=10.0) -> bool:
    """No meeting is left. The threads of a call may end after its results are there."""
    until = time.monotonic() + limit
    while _library.library().mla_xla_meetings() and time.monotonic() < until:
        time.sleep(0.01)
    return _library.library().mla_xla_meetings() == 0


def test_loop_in_a_program():
    """A thousand meetings of one launch."""
    a = 2 * np.eye(16)
    placed = ROWS4.put(a)
    x = jax.jit(
        lambda b: jax.lax.fori_loop(
            0, 1000, lambda i, x: 2 * ml.solve(placed, x, assume_a="pos"), b
        )
    )(np.ones(16))
    np.testing.assert_allclose(x, 1)
    assert all_have_left()


def test_failed_calls_leave_nothing():
    placed = ROWS4.put(-np.eye(16))
    for _ in range(20):
        _, info = ml.inv(placed, return_info=True, assume_a="pos")
        assert int(info) > 0
    assert all_have_left()


@pytest.mark.parametrize("count", [1, 3, 8])
def test_every_number_of_devices(count):
    a = spd(40)
    layout = Layout("", (count,), P(None, None))
    before = threads()
    for _ in range(3):
        ml.inv(layout.put(a), assume_a="pos").block_until_ready()
    assert threads() <= before + 16
