#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/test_python.sh [PYTEST ARGUMENT...]: the Python tests, with PYTHON and JAX, against the file WHEEL
# or else one that is built here; results to build/results/python*.xml.
source "$(dirname "$0")/env.sh"
if [ -z "${WHEEL:-}" ]; then
    DIST=build/dist ci/wheel.sh
    WHEEL=$(echo build/dist/meshlinalg-*.whl)
fi
use_main_venv
python -m pip install -q --no-deps --force-reinstall "$WHEEL"
mkdir -p "$RESULTS"
name=python$(python -c 'import sys, jax; print("%d.%d" % sys.version_info[:2] + "-jax" + jax.__version__)')
say "Python tests: $name"
# A file of tests stays in one process, for what its tests share: programs, jobs of processes.
python -m pytest -n 2 --dist loadfile --junit-xml="$RESULTS/$name.xml" "$@"
