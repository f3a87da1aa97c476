# SPDX-License-Identifier: Apache-2.0
"""Eight CPU devices and 64-bit types, set before JAX starts.

JAX_PLATFORMS=cuda runs the same tests on GPUs; those that need more devices than there are skip.

--every K takes each K-th case of a test, from number --start on (or its last one, where there are
fewer): a quicker run that still enters every test. Continuous integration spreads the cases over
two versions of JAX.
"""

import os

# BLAS threads of one rank are in the way of the others.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# A rank that is missing is a bug of a test here: say so soon.
os.environ.setdefault("MESHLINALG_TIMEOUT_S", "60")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import hypothesis
import jax

if os.environ["JAX_PLATFORMS"] == "cpu":
    jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)

hypothesis.settings.register_profile(
    "meshlinalg", max_examples=25, deadline=None, derandomize=True, database=None
)
hypothesis.settings.load_profile("meshlinalg")


def pytest_addoption(parser):
    parser.addoption("--every", type=int, default=1, metavar="K", help="each K-th case of a test")
    parser.addoption("--start", type=int, default=0, metavar="S", help="... from number S on")


def pytest_collection_modifyitems(config, items):
    every, start = config.getoption("--every"), config.getoption("--start")
    cases = {}
    for item in items:
        cases.setdefault((item.path, item.name.split("[")[0]), []).append(item)
    taken = {x for test in cases.values() for x in test[min(start, len(test) - 1) :: every]}
    left = [item for item in items if item not in taken]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item in taken]
