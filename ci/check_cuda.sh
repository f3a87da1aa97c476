#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/check_cuda.sh [SET...]: what src/dl/cuda_api.h takes from CUDA, against the headers and shared
# libraries of the oldest and the newest CUDA 12 and 13 that are supported, from PyPI. 3 GB are
# fetched; headers and the libraries that are looked into stay in build/cuda/SET.
source "$(dirname "$0")/env.sh"
declare -A sets=(
    [12.1]='nvidia-cuda-runtime-cu12==12.1.105 nvidia-cuda-nvcc-cu12==12.1.105
            nvidia-cublas-cu12==12.1.3.1 nvidia-cusolver-cu12==11.4.5.107 nvidia-nccl-cu12==2.18.1'
    [12.9]='nvidia-cuda-runtime-cu12==12.9.79 nvidia-cuda-nvcc-cu12==12.9.86
            nvidia-cublas-cu12==12.9.1.4 nvidia-cusolver-cu12==11.7.5.82 nvidia-nccl-cu12==2.26.5'
    [13.0]='nvidia-cuda-runtime==13.0.96 nvidia-cuda-crt==13.0.88
            nvidia-cublas==13.0.2.14 nvidia-cusolver==12.0.4.66 nvidia-nccl-cu13==2.27.7'
    [13.5]='nvidia-cuda-runtime==13.5.37 nvidia-cuda-crt==13.5.37
            nvidia-cublas==13.10.0.20 nvidia-cusolver==12.4.1.2 nvidia-nccl-cu13==2.32.3'
)
[ $# -gt 0 ] || set -- 12.1 12.9 13.0 13.5
use_main_venv
for name in "$@"; do
    dir=build/cuda/$name
    read -r -d '' -a packages <<<"${sets[$name]:?not a set}" || true
    grep -qxF "${packages[*]}" "$dir/.has" 2>/dev/null && continue
    say "CUDA $name: ${packages[*]}"
    rm -rf "$dir"
    python -m pip download -q --no-cache-dir --no-deps -d "$dir/wheels" "${packages[@]}"
    python ci/unpack_cuda.py "$dir"
    rm -rf "$dir/wheels"
    echo "${packages[*]}" >"$dir/.has"
done
mkdir -p "$RESULTS"
MESHLINALG_CUDA=$PWD/build/cuda python -m pytest -q --junit-xml="$RESULTS/cuda.xml" \
    tests/python/test_cuda_symbols.py
