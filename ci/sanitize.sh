#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/sanitize.sh: the C tests under ASan + UBSan, then under TSan.
source "$(dirname "$0")/env.sh"
ci/test_c.sh asan
ci/test_c.sh tsan
