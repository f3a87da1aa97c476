# SPDX-License-Identifier: Apache-2.0
"""The installed package on four CPU devices: imports, solves, diagonalises.

usage: smoke.py [FOLDER]: FOLDER gets the outcome as a JUnit file.
"""

import pathlib
import sys

import jax
import numpy as np

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_enable_x64", True)

import meshlinalg as ml  # noqa: E402


def solve(mesh: jax.sharding.Mesh, n: int) -> float:
    """Relative residual of an SPD solve."""
    rng = np.random.default_rng(0)
    g = rng.standard_normal((n, n))
    a, b = g @ g.T + n * np.eye(n), rng.standard_normal(n)
    sharded = jax.device_put(a, jax.NamedSharding(mesh, jax.P("x", None)))
    x = np.asarray(ml.solve(sharded, b, assume_a="pos"))
    return float(np.linalg.norm(a @ x - b) / np.linalg.norm(b))


def eigh(mesh: jax.sharding.Mesh, n: int) -> float:
    """Relative residual of an eigendecomposition."""
    g = np.random.default_rng(1).standard_normal((n, n))
    a = g + g.T
    w, v = ml.eigh(jax.device_put(a, jax.NamedSharding(mesh, jax.P("x", None))))
    w, v = np.asarray(w), np.asarray(v)
    return float(np.linalg.norm(a @ v - v * w) / np.linalg.norm(a))


def main() -> int:
    mesh = jax.make_mesh((4,), ("x",))
    failures = 0
    cases = []
    for test in (solve, eigh):
        residual = test(mesh, 64)
        good = residual < 1e-12
        failures += not good
        cases.append(f'<testcase name="{test.__name__}">{"" if good else "<failure/>"}</testcase>')
        print(f"{test.__name__}: residual {residual:.1e}, {'ok' if good else 'FAILED'}")
    if len(sys.argv) > 1:
        name = f"smoke-python{sys.version_info[0]}.{sys.version_info[1]}.xml"
        text = f"<testsuite>{''.join(cases)}</testsuite>\n"
        pathlib.Path(sys.argv[1], name).write_text(text)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
