#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/test_python.sh [PYTEST ARGUMENT...]: the Python tests against the wheel in dist/ (built if
# there is none) with PYTHON and JAX; results to build/results/python-*.xml.
source "$(dirname "$0")/env.sh"
[ -n "${WHEEL:-}" ] || { ci/wheel.sh; WHEEL=$(echo dist/meshlinalg-*.whl); }
use_main_venv
python -m pip install -q --no-deps --force-reinstall "$WHEEL"
mkdir -p "$RESULTS"
name=python$(python -c 'import sys, jax; print("%d.%d" % sys.version_info[:2] + "-jax" + jax.__version__)')
say "Python tests: $name"
python -m pytest --junit-xml="$RESULTS/$name.xml" "$@"
