#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/wheel.sh: dist/meshlinalg-VERSION-py3-none-PLATFORM.whl, one file for every Python. It gets a
# manylinux tag where auditwheel and patchelf are on PATH.
source "$(dirname "$0")/env.sh"
use_main_venv
say "wheel"
rm -rf dist build/wheelhouse
python -m pip wheel -q --no-build-isolation --no-deps -w build/wheelhouse -Cbuild-dir=build/wheel .
if command -v auditwheel >/dev/null && command -v patchelf >/dev/null; then
    auditwheel repair -w dist build/wheelhouse/meshlinalg-*.whl
else
    mkdir -p dist && mv build/wheelhouse/meshlinalg-*.whl dist/
fi
ls dist/*.whl
