#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/build.sh [PRESET]: configures and builds build/PRESET.
source "$(dirname "$0")/env.sh"
preset=${1:-release}
say "build: $preset"
mkdir -p build
ci/configure.sh "$preset" >build/configure.log || { cat build/configure.log; exit 1; }
use_main_venv
cmake --build --preset "$preset"
