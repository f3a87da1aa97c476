#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/format.sh: formats C and Python in place.
source "$(dirname "$0")/env.sh"
mapfile -t tools < <(extra dev | grep -E '^(ruff|clang-format)')
use_venv build/venv-lint "${tools[@]}"
ci/c_files.sh | xargs clang-format -i
ruff check --fix . && ruff format .
