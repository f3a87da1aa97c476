#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/test.sh: all tests, C and Python. Fails if one fails, or if none ran.
source "$(dirname "$0")/env.sh"
rm -f "$RESULTS"/c-release.xml "$RESULTS"/python*.xml
ci/test_c.sh release
ci/check_symbols.sh build/release/libmeshlinalg.so
ci/check_includes.sh
ci/test_python.sh "$@"
"$PYTHON" ci/summary.py "$RESULTS"
