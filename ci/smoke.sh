#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/smoke.sh WHEEL PYTHON...: installs WHEEL with its dependencies, nothing compiled, into a fresh
# environment of each PYTHON, and solves a small system on four CPU devices.
source "$(dirname "$0")/env.sh"
wheel=$1; shift
[ -f "$wheel" ] || die "no wheel $wheel"
dir=build/venv-smoke
mkdir -p "$RESULTS"
for python in "$@"; do
    say "smoke test: $("$python" -V), $(basename "$wheel")"
    rm -rf $dir
    "$python" -m venv $dir
    CC=/bin/false CXX=/bin/false $dir/bin/python -m pip install -q --only-binary :all: "$wheel"
    # From another folder: the installed package alone.
    (cd build && venv-smoke/bin/python ../ci/smoke.py "$RESULTS")
done
