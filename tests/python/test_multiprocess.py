# SPDX-License-Identifier: Apache-2.0
"""The same user code in several processes as in one: mp_checks.py.

A job is started once for each shape (processes x devices) and runs all checks; the tests here
look at what its processes have reported. With MESHLINALG_TEST_PLATFORM=gpu the processes share
one GPU, one rank each.
"""

import os
import tempfile

import pytest

import mp_checks
import mp_launch

PLATFORM = os.environ.get("MESHLINALG_TEST_PLATFORM", "cpu")
LIMIT = 30.0
SECONDS = 240.0  # when a job that is still there is killed; 25 on two idle cores

DERIVATIVES = [name for name in mp_checks.CHECKS if name.startswith("derivative")]
ALL = [name for name in mp_checks.CHECKS if name not in DERIVATIVES]
SOME = [
    name
    for name in ALL
    if "-" not in name or name.endswith("-complex128") or name.startswith("layout")
]
JOBS = (
    {(2, 4): ALL, (3, 1): SOME, (4, 2): SOME, (2, 2): DERIVATIVES}
    if PLATFORM == "cpu"
    else {(2, 1): ALL, (4, 1): SOME}
)
CASES = [(job, name) for job, names in JOBS.items() for name in [*names, "meetings"]]

_ended = {}


def ended(job):
    if job not in _ended:
        with tempfile.TemporaryDirectory() as folder:
            _ended[job] = mp_launch.launch(
                "mp_child.py", *job, folder, *JOBS[job], platform=PLATFORM, timeout=SECONDS
            )
    return _ended[job]


@pytest.mark.parametrize(("job", "name"), CASES, ids=[f"{p}x{d}-{name}" for (p, d), name in CASES])
def test_check(job, name):
    for index, process in enumerate(ended(job)):
        found = [r for r in process.reports if r["check"] == name]
        assert found, (
            f"process {index} did not get there (exit {process.code}):\n{process.text[-4000:]}"
        )
        (result,) = found
        if "skipped" in result:
            pytest.skip(result["skipped"])
        assert "error" not in result, f"process {index}:\n{result['error']}"
        assert result["value"] < (LIMIT if name != "meetings" else 1), f"process {index}"


@pytest.mark.parametrize("job", JOBS, ids=[f"{p}x{d}" for p, d in JOBS])
def test_ends_well(job):
    for index, process in enumerate(ended(job)):
        assert process.code == 0, f"process {index}: exit {process.code}: {process.tail}"
