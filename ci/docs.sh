#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/docs.sh: the documentation as HTML, in build/site; broken links are errors.
source "$(dirname "$0")/env.sh"
mapfile -t tools < <(extra docs)
use_venv build/venv-docs "${tools[@]}"
NO_MKDOCS_2_WARNING=1 mkdocs build --strict --site-dir build/site
