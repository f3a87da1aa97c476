#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/bench.sh [TESTER ARGUMENT...]: the tester as a benchmark, JSON lines on standard output.
source "$(dirname "$0")/env.sh"
ci/build.sh release >&2
use_main_venv
export MESHLINALG_BLAS=${MESHLINALG_BLAS:-$(scipy_blas)}
if [ $# = 0 ]; then
    set -- --type s,d,c,z --n 1024,2048 --ranks 1,2 --check n
fi
exec build/release/tester --json "$@"
