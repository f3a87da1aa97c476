#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/kernels.sh: build/kernels/meshlinalg.fatbin, the CUDA kernels for every driver of CUDA 12 and
# 13, made with NVRTC 12.9 from PyPI (140 MB, kept in build/cuda-tools). No nvcc, no GPU.
source "$(dirname "$0")/env.sh"
if kernels_are_fresh; then echo "CUDA kernels: $KERNELS_FATBIN is up to date"; exit; fi
tools=build/cuda-tools
packages=(nvidia-cuda-nvrtc-cu12==12.9.86 nvidia-cuda-runtime-cu12==12.9.79 nvidia-cuda-nvcc==13.0.88)
if ! grep -qxF "${packages[*]}" $tools/.has 2>/dev/null; then
    use_main_venv
    say "NVRTC from PyPI"
    rm -rf $tools
    python -m pip install -q --no-deps --target $tools "${packages[@]}"
    echo "${packages[*]}" >$tools/.has
fi
mkdir -p "$(dirname "$KERNELS_FATBIN")"
say "CUDA kernels with NVRTC"
"$PYTHON" ci/nvrtc.py $tools "$KERNELS_FATBIN"
kernel_sources | xargs sha256sum >"$KERNELS_FATBIN.sources"
