#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/check_symbols.sh [LIBRARY]: every exported symbol starts with mla_; nothing of CUDA is needed
# to load the library.
source "$(dirname "$0")/env.sh"
library=${1:-build/release/libmeshlinalg.so}
[ -f "$library" ] || die "$library is not there; build it first"
exported=$(nm -D --defined-only --extern-only "$library" | awk '{print $NF}')
[ -n "$exported" ] || die "$library exports nothing"
foreign=$(grep -v '^mla_' <<<"$exported" || true)
[ -z "$foreign" ] || die "$library exports symbols without mla_: $foreign"
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
foreign=$(grep -vE '^(libc|libm|libdl|librt|libpthread|ld-linux[-a-z0-9_]*|lib[atu]san|libubsan)\.so' <<<"$needed" || true)
[ -z "$foreign" ] || die "$library needs $foreign"
echo "symbols: ok ($(wc -l <<<"$exported") exported)"
