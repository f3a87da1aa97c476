#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/tidy.sh: clang-tidy over the library, warnings are errors.
source "$(dirname "$0")/env.sh"
command -v clang-tidy >/dev/null || die 'clang-tidy is not on PATH'
ci/configure.sh clang >/dev/null
ci/c_files.sh | grep -E '^(src|ffi)/.*\.c$' | xargs -P "$(nproc --all)" -n 4 clang-tidy -quiet -p build/clang
echo 'clang-tidy: ok'
