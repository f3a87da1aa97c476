#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/smoke.sh PYTHON WHEEL: installs WHEEL with its dependencies, nothing compiled, into a fresh
# environment of PYTHON and solves a small system on four CPU devices.
source "$(dirname "$0")/env.sh"
python=$1 wheel=$2
dir=build/venv-smoke
rm -rf $dir
"$python" -m venv $dir
say "smoke test: $("$python" -V), $wheel"
$dir/bin/python -m pip install -q --only-binary :all: "$wheel"
$dir/bin/python ci/smoke.py "$RESULTS"
