# SPDX-License-Identifier: Apache-2.0
"""The package as such: one version, what import does and does not do, a missing library."""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys

import pytest

import meshlinalg as ml
from meshlinalg import _library

HEADER = pathlib.Path(__file__).resolve().parents[2] / "include" / "meshlinalg.h"


def python(code, **env):
    """Output of `code` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_one_version():
    numbers = re.findall(r"#define MLA_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", HEADER.read_text())
    assert ml.__version__ == ".".join(numbers)
    major, minor, patch = map(int, numbers)
    assert _library.library().mla_version() == 10000 * major + 100 * minor + patch
    assert _library.PREFIX.startswith(f"meshlinalg_{major}_")


def installed():
    try:
        return importlib.metadata.distribution("meshlinalg")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed: the source folder is on the path")


def test_metadata():
    metadata = installed().metadata
    assert metadata["Version"] == ml.__version__
    assert {"cuda12", "cuda13", "cuda12-local", "cuda13-local", "test", "demo"} <= set(
        metadata.get_all("Provides-Extra")
    )


def test_one_wheel_for_every_python():
    tags = re.findall(r"^Tag: (\S+)", installed().read_text("WHEEL"), re.MULTILINE)
    assert tags and all(tag.startswith("py3-none-") for tag in tags)


def test_public_names_are_documented():
    for name in set(ml.__all__) - {"__version__"}:
        assert (getattr(ml, name).__doc__ or "").strip(), name


def test_import_starts_nothing():
    """No backend of JAX, no library, no CUDA."""
    code = """
import meshlinalg
from jax._src import xla_bridge
maps = open("/proc/self/maps").read()
print(len(xla_bridge._backends), "libmeshlinalg" in maps, "libcuda" in maps)
"""
    assert python(code) == "0 False False"


def test_without_a_gpu_nothing_of_cuda_is_opened():
    code = """
import jax, jax.numpy as jnp, meshlinalg as ml
x = ml.solve(jnp.eye(3) * 2, jnp.ones(3))
assert abs(float(x.sum()) - 1.5) < 1e-6
maps = open("/proc/self/maps").read()
print("libmeshlinalg" in maps, "libcublas" in maps)
"""
    assert python(code, JAX_PLATFORMS="cpu") == "True False"


def test_missing_library_says_what_to_do(tmp_path):
    code = """
import meshlinalg._library as library
try:
    library.library()
except ImportError as error:
    print(error)
"""
    text = python(code, MESHLINALG_LIBRARY=str(tmp_path / "none.so"))
    assert "none.so" in text and "MESHLINALG_LIBRARY" in text


def test_readme_example():
    text = (HEADER.parents[1] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code += """
assert float(abs(A @ x - b).max()) < 1e-3 and float(abs(A @ y - b).max()) < 1e-3
assert float(abs(A @ V - V * w).max()) < 1e-3 and V.sharding == A.sharding
print(float(sign))
"""
    assert python(code, JAX_PLATFORMS="cpu") == "1.0"
