#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/lint.sh: formats (clang-format, ruff), the include arrow, the public header alone as C and C++.
source "$(dirname "$0")/env.sh"
mapfile -t tools < <(extra dev | grep -E '^(ruff|clang-format)')
use_venv build/venv-lint "${tools[@]}"
mapfile -t c_files < <(ci/c_files.sh)
say "clang-format: ${#c_files[@]} files"
clang-format --dry-run -Werror "${c_files[@]}"
say "ruff"
ruff check .
ruff format --check .
say "includes and public header"
ci/check_includes.sh
echo '#include "meshlinalg.h"' >build/header.c
for cc in gcc clang; do
    if command -v $cc >/dev/null; then
        $cc -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only build/header.c
        # The C++ front end may be absent.
        if $cc -x c++ -fsyntax-only - </dev/null 2>/dev/null; then
            $cc -x c++ -std=c++11 -Wall -Wextra -Werror -Iinclude -fsyntax-only build/header.c
        fi
    fi
done
echo 'public header: ok'
