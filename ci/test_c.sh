#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/test_c.sh [PRESET [CTEST ARGUMENT...]]: builds and runs the C tests; results to build/results/c-PRESET.xml.
source "$(dirname "$0")/env.sh"
preset=${1:-release}
ci/build.sh "$preset"
use_main_venv
mkdir -p "$RESULTS"
say "C tests: $preset"
ctest --preset "$preset" --output-junit "$RESULTS/c-$preset.xml" \
    --test-output-size-passed 1048576 --test-output-size-failed 1048576 "${@:2}"
