# SPDX-License-Identifier: Apache-2.0
"""explain, `python -m meshlinalg plan` and `doctor`: sizes, choices and sentences."""

import json

import jax
import numpy as np
import pytest

import meshlinalg as ml
from meshlinalg import __main__ as command
from meshlinalg import _abi, _doctor, _estimate, _explain
from support import COLUMNS4, DTYPES, ROWS4, ROWS8, python


def plan(capsys, *arguments):
    assert command.main(["plan", "--json", *map(str, arguments)]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("dtype", DTYPES)
def test_explain_of_an_array(dtype):
    n = 64
    a = ROWS8.put(np.eye(n, dtype=dtype))
    size = np.dtype(dtype).itemsize
    e = ml.explain(a, "solve", nrhs=3)
    assert (e.n, e.dtype, e.devices, e.device) == (n, dtype, 8, "cpu")
    assert (e.engine, e.communicator) == ("native", "threads")
    assert e.memory["A"] == n * n // 8 * size and e.memory["b and x"] == 3 * n * size
    assert e.tile_size == _abi.tile_size(n, dtype, 8, "cpu") and e.tiles * e.tile_size >= n
    assert e.total == sum(e.memory.values()) and "64" in str(e) and dtype in str(e)
    assert ml.explain(a, tile_size=4).tile_size == 4
    assert a.sharding == ROWS8.put(np.eye(n, dtype=dtype)).sharding  # nothing has moved


def test_explain_counts_the_devices_that_share():
    a = np.eye(24)
    assert ml.explain(COLUMNS4.put(a)).devices == 4
    assert ml.explain(jax.numpy.asarray(a)).devices == 1
    assert ml.explain(a, mesh=ROWS4.mesh()).devices == 4
    seen = []
    jax.jit(lambda x: seen.append(ml.explain(x, "eigh")) or x)(ROWS4.put(a))
    assert seen[0].devices == 4 and seen[0].memory["eigenvectors"] == seen[0].memory["A"]


def test_workspace_is_the_librarys():
    """Two panels for the factor, and what the docs say of the others."""
    n, nb, ranks = 1000, 50, 4
    panels = _abi.workspace(_abi.POTRF, n, "float64", nb, ranks, "gpu")
    assert 2 * (n - nb) * nb * 8 <= panels < 2 * n * nb * 8 * 1.2
    inverse = _abi.workspace(_abi.POINV, n, "float64", nb, ranks, "gpu")
    assert inverse >= 3 * n * nb * 8
    vectors = _abi.workspace(_abi.SYEVD, n, "float64", nb, ranks, "gpu")
    assert vectors > _abi.workspace(_abi.SYEVD_VALUES, n, "float64", nb, ranks, "gpu")
    with pytest.raises(_abi.Failure, match="nranks"):
        _abi.workspace(_abi.POTRF, n, "float64", nb, 0, "gpu")


def test_plan_of_a_large_system(capsys):
    p = plan(capsys, "--n", 200000, "--dtype", "float64", "--devices", 8)
    assert p["memory"]["A"] == 200000 * 25000 * 8 and p["communicator"] == "peer"
    assert p["device"] == "NVIDIA H200" and p["hosts"] == 1 and not p["notes"]
    assert 200000**3 / 3 / (8 * 60e12) < p["seconds"] < 30
    more = plan(capsys, "--n", 200000, "--dtype", "float64", "--devices", 64)
    assert more["communicator"] == "nccl" and more["hosts"] == 8
    assert more["seconds"] < p["seconds"]


def test_plan_says_when_memory_is_short(capsys):
    fits = plan(capsys, "--n", 100000, "--devices", 1)
    assert any("donated" in note for note in fits["notes"])
    too_large = plan(capsys, "--n", 200000, "--devices", 1)
    assert any("do not fit" in note for note in too_large["notes"])
    small = plan(capsys, "--n", 512, "--devices", 8)
    assert any("latency" in note for note in small["notes"])


@pytest.mark.parametrize("routine", _explain.ROUTINES)
def test_every_routine_has_a_plan(capsys, routine):
    times = [
        plan(capsys, "--n", n, "--routine", routine, "--devices", 4, "--dtype", "complex128")
        for n in (1, 5000, 50000)
    ]
    assert 0 < times[0]["seconds"] < times[1]["seconds"] < times[2]["seconds"]
    assert set(_estimate.COSTS) == set(_explain.ROUTINES)


def test_estimates_are_near_what_was_measured():
    """docs/benchmarks.md, one H200: within a factor of two."""
    for routine, n, dtype, seconds in (
        ("solve", 4096, "float64", 2.89e-3),
        ("solve", 16384, "float64", 45e-3),
        ("solve", 65536, "float64", 2.25),
        ("inv", 16384, "float64", 116e-3),
        ("eigh", 8192, "float64", 0.545),
        ("eigh", 16384, "float32", 2.2),
    ):
        e = _explain.make(routine, n, dtype, 1, device="NVIDIA H200")
        assert 0.5 < e.seconds / seconds < 2, (routine, n, e.seconds)


def test_plan_of_an_engine(capsys):
    p = plan(capsys, "--n", 8192, "--devices", 2, "--engine", "cusolvermg")
    assert p["engine"] == "cusolvermg" and any("work space" in note for note in p["notes"])
    assert ml.explain(np.eye(4), engine="native").engine == "native"
    with pytest.raises(ValueError, match="NVIDIA"):
        ml.explain(np.eye(4), engine="cusolvermg")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--n", "0"), "n=0"),
        (("--n", "10", "--devices", "-1"), "devices=-1"),
        (("--n", "10", "--dtype", "int32"), "int32"),
        (("--n", "10", "--routine", "cook"), "cook"),
        (("--n", "10", "--tile-size", "0"), "tile_size=0"),
        (("--n", "10", "--engine", "steam"), "steam"),
        (("--n", "10", "--engine", "cusolvermg", "--devices", "32"), "at most 16"),
        (("--n", "10", "--device", "cpu", "--hosts", "2", "--devices", "2"), "hosts=2"),
    ],
)
def test_misuse_of_plan(capsys, arguments, word):
    assert command.main(["plan", *arguments]) == 2
    assert word in capsys.readouterr().err


def test_misuse_of_explain():
    with pytest.raises(ValueError, match="routine='cook'"):
        ml.explain(np.eye(3), "cook")
    with pytest.raises(ValueError, match="square"):
        ml.explain(np.ones((2, 3)))
    with pytest.raises(ValueError, match="nrhs=0"):
        ml.explain(np.eye(3), nrhs=0)
    with pytest.raises(TypeError, match="int32"):
        ml.explain(np.eye(3, dtype="int32"))


def test_doctor_finds_what_is_here():
    found = {f.what: f for f in _doctor.examine()}
    assert found["C library"].mark == _doctor.OK and _abi.version() in found["C library"].text
    assert found["BLAS on CPUs"].mark == _doctor.OK and "scipy" in found["BLAS on CPUs"].text
    assert found["trial"].mark == _doctor.OK and "error" in found["trial"].text
    text = _doctor.report(list(found.values()))
    assert len(text.splitlines()) >= len(found)


def test_commands_run_as_a_module():
    """In processes of their own; without the library the doctor says what is wrong."""
    code = (
        "import sys, runpy; sys.argv[1:] = {}; runpy.run_module('meshlinalg', run_name='__main__')"
    )
    out = python(code.format(["plan", "--n", "100", "--devices", "2"]) + "\n")
    assert "engine" in out and "peer" in out
    out = python(
        "from meshlinalg import __main__ as m; print('status', m.main(['doctor']))",
        MESHLINALG_LIBRARY="/no/such/library.so",
    )
    assert "MISSING" in out and "/no/such/library.so" in out and "status 1" in out
