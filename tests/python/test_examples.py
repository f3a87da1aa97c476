# SPDX-License-Identifier: Apache-2.0
"""The examples, small: each checks its own results, and fails if they are wrong."""

import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "examples" / "python"


@pytest.mark.parametrize(
    ("name", "n", "says"),
    [
        ("gp", 160, "error of a derivative"),
        ("natural_gradient", 96, "residual of the systems"),
        ("tight_binding", 64, "error of the forces"),
    ],
)
def test_example(name, n, says):
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--n", str(n)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout
