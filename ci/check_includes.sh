#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/check_includes.sh: the include arrow of src/README.md, read off the #include lines.
#
#   core <- dist <- { backend.h, comm.h } <- algo <- engine <- api        ffi -> include/ alone
#
# A layer includes quoted names from the list beside it, and angle-bracket names of C and POSIX;
# CUDA's own headers are for kernels alone.
source "$(dirname "$0")/env.sh"
tables='backend/backend\.h|comm/comm\.h'
bad=0

# layer FOLDER ALLOWED: names (extended regular expression) that files of FOLDER may include.
layer() {
    local lines
    [ -d "$1" ] || return 0
    lines=$(find "$1" -name '*.[ch]' -not -path '*/kernels/*' -print0 |
        xargs -0r grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' |
        grep -vE "include[[:space:]]*\"(meshlinalg\.h|$2)\"" || true)
    if [ -n "$lines" ]; then
        printf 'not allowed in %s:\n%s\n' "$1" "$lines"
        bad=1
    fi
}

layer src/core         'core/.*'
layer src/dist         '(core|dist)/.*'
layer src/dl           '(core|dl)/.*'
layer src/comm         '(core|dist|dl|comm)/.*'
layer src/backend/host "(core|dist|dl|backend/host)/.*|$tables"
layer src/backend/cuda "(core|dist|dl|backend/cuda)/.*|$tables"
layer src/algo         "(core|dist|algo)/.*|$tables"
layer src/engine       "(core|dist|dl|algo|engine)/.*|$tables"
layer src/api          "(core|dist|algo|engine|api)/.*|$tables"
layer ffi              '[a-z0-9_]*\.h'
layer examples/c       ''

cuda=$(grep -rnE '#[[:space:]]*include[[:space:]]*[<"](cuda|cublas|cusolver|nccl|nvrtc|nvtx)' \
    --include='*.[ch]' include src ffi | grep -v /kernels/ || true)
if [ -n "$cuda" ]; then
    printf 'a CUDA header (use own prototypes):\n%s\n' "$cuda"
    bad=1
fi
# File names are unique in the whole tree.
twice=$(find include src ffi \( -name '*.[ch]' -o -name '*.cu*' \) -printf '%f\n' | sort | uniq -d)
if [ -n "$twice" ]; then
    printf 'the same file name twice: %s\n' "$twice"
    bad=1
fi
[ $bad = 0 ] && echo 'include arrow: ok'
exit $bad
