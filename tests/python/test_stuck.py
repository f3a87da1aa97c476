# SPDX-License-Identifier: Apache-2.0
"""What goes wrong ends in bounded time, with a sentence on every rank that is left, and the next
call is none the worse for it. Each case is a job of its own: mp_stuck.py."""

import re

import pytest

import mp_launch

LIMIT = 3.0  # MESHLINALG_TIMEOUT_S
SLACK = 4.0  # of a busy machine


def run(scenario, processes, devices, limit=LIMIT, **env):
    env["MESHLINALG_TIMEOUT_S"] = str(limit)
    return mp_launch.launch("mp_stuck.py", processes, devices, scenario, timeout=80.0, env=env)


def steps(process, *names):
    """Reports of these steps, of which each must be there."""
    found = {r["step"]: r for r in process.reports}
    for name in names:
        assert name in found, f"no step {name!r}, exit {process.code}: {process.tail}"
    return [found[name] for name in names]


def fails(report, *patterns, limit=LIMIT):
    assert report["error"] is not None, report
    for pattern in patterns:
        assert re.search(pattern, report["error"]), report["error"]
    assert report["seconds"] < limit + SLACK, report


def works(*reports):
    for report in reports:
        assert report["error"] is None and report["meetings"] == 0, report


def test_process_that_dies_before_the_call():
    stays, dies = run("dies_before", 2, 2)
    first, failed, alone = steps(stays, "first", "without it", "alone")
    assert dies.code == 7 and stays.code == 0, stays.tail
    fails(failed, "DEADLINE_EXCEEDED", "ranks 2, 3")
    works(first, alone)


def test_process_that_dies_within_a_call():
    *stay, dies = run("dies_within", 3, 1)
    assert dies.code == 7
    for process in stay:
        failed, alone = steps(process, "again", "alone")
        assert process.code == 0, process.tail
        assert len(process.reports) > 3  # it had worked
        fails(failed, r"\brank 2\b")
        works(alone)


def test_process_that_comes_too_late():
    punctual, late = run("comes_late", 2, 2)
    first, failed, after = steps(punctual, "first", "late", "next")
    fails(failed, "DEADLINE_EXCEEDED", "ranks 2, 3")
    works(first, after)
    first, failed, after = steps(late, "first", "late", "next")
    fails(failed, "DEADLINE_EXCEEDED", r"\brank 0\b")
    works(first, after)
    assert punctual.code == late.code == 0


def test_process_that_comes_late_but_in_time():
    for process in run("comes_in_time", 2, 1, limit=30.0):
        works(*steps(process, "first", "next"))
        assert process.code == 0


def test_device_that_comes_too_late():
    (process,) = run("late_device", 1, 4, limit=2.0)
    first, failed, after = steps(process, "first", "late", "next")
    # XLA returns when the late one, which sleeps for five seconds, has come.
    fails(failed, "DEADLINE_EXCEEDED", "missing: 3", "MESHLINALG_TIMEOUT_S", limit=5.0)
    works(first)
    assert after["error"] is None
    assert process.code == 0


# Every block is asked of the kernel, so that the limit is felt.
NO_ARENAS = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


def test_out_of_memory_in_one_process():
    (process,) = run("out_of_memory", 1, 4, limit=30.0, **NO_ARENAS)
    first, second, failed, after = steps(process, "first", "second", "starved", "next")
    fails(failed, "RESOURCE_EXHAUSTED|ABORTED", "out of host memory")
    works(first, second, after)
    assert process.code == 0


@pytest.mark.parametrize("env", [{}, NO_ARENAS], ids=["shared", "host"])
def test_out_of_memory_in_one_of_two_processes(env):
    fed, starved = run("out_of_memory", 2, 2, limit=30.0, **env)
    first, second, failed, after = steps(fed, "first", "second", "starved", "next")
    fails(failed, "ABORTED", "rank [23]: .*memory")
    works(first, second, after)
    first, second, failed, after = steps(starved, "first", "second", "starved", "next")
    fails(failed, "RESOURCE_EXHAUSTED|ABORTED", "memory")
    works(first, second, after)
    assert fed.code == starved.code == 0


def test_a_stuck_process_is_killed():
    """The launcher itself: a job that does not end is ended."""
    (process,) = mp_launch.launch("mp_stuck.py", 1, 1, "sleeps", timeout=6.0)
    assert process.code is None
    steps(process, "first")
