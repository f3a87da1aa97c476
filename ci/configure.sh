#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/configure.sh [PRESET] [CMAKE ARGUMENT...]: configures build/PRESET.
source "$(dirname "$0")/env.sh"
preset=${1:-release}
use_main_venv
kernels=()
if [[ $preset = release || $preset = debug ]]; then
    prepare_kernels
    kernels=("$(cmake_kernels)")
fi
cmake --preset "$preset" -DMLA_TEST_BLAS="${MESHLINALG_BLAS:-$(scipy_blas)}" "${kernels[@]}" "${@:2}"
