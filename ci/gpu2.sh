#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/gpu2.sh [-o DIR] [PART...]: builds on a machine with two GPUs or more and runs PARTs of
#
#   build right python fabric bench bench-big        (default: all, in this order)
#
#   right      the tester on two GPUs: peer and nccl, native and cusolvermg; all routines and types
#   python     tests of engines, layouts and donation that two devices are enough for
#   fabric     the native algorithms through peer and through nccl, timed
#   bench      native, cusolvermg and JAX (one GPU) beside one another; bench-big: the same, large n
#
# DIR (default $OUT, else build/gpu2-out) gets summary.txt, bench.jsonl, fabric.jsonl and
# logs.tar.gz as they come.
# Each part has a time limit; one that fails does not stop the others.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-build/gpu2-out}
if [ "${1:-}" = -o ]; then out=$2; shift 2; fi
[ $# -gt 0 ] || set -- build right python fabric bench bench-big
build=build/gpu
logs=build/gpu2-logs
PYTHON=${PYTHON:-python3}
mkdir -p "$out" $logs
: >>"$out/summary.txt"
source ci/gpu_parts.sh

do_build() {
    part build 200 1 bash -c "cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DMLA_CUDA_ARCHITECTURES=\$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader |
            head -1 | tr -d .) && cmake --build $build --target meshlinalg tester unit_comm &&
        ls -l $build/libmeshlinalg.so"
    part doctor 60 30 $PYTHON -m meshlinalg doctor
}

do_right() {
    local all=potrf,posv,poinv,potri,syevd,syevj
    local two="--device cuda --ordinals 0,1 --ranks 2" few="--n 1,7,64,201 --nb 0,16"
    part peer 60 6 $build/tester $all $two --comm peer $few
    part nccl 60 6 $build/tester $all $two --comm nccl $few
    part mg 60 6 $build/tester $all $two --engine cusolvermg $few
    part mg-nccl 30 6 $build/tester posv,poinv,syevd $two --engine cusolvermg --comm nccl --n 64 --nb 0
    part sides 30 6 $build/tester posv $two --engine cusolvermg --n 65 --nb 13 --nrhs 3,1100 --rhs replicated
    part nan 30 6 $build/tester potrf,posv,poinv $two --engine cusolvermg --n 64 --nb 8 \
        --kind indef:0,indef:-2,nan:0,nan:-2
    part large 90 6 $build/tester $all $two --type d,c --n 3000 --nb 0 --kind cond:1e3
}

do_python() {
    part python 150 8 env JAX_PLATFORMS=cuda $PYTHON -m pytest -q tests/python/test_engine.py \
        tests/python/test_donation.py tests/python/test_solve.py -k "not rows4 and not rows8 and not rows3"
}

do_fabric() {
    part fabric 120 24 bash -c "for comm in peer nccl; do $build/tester posv,poinv,syevd --device cuda \
        --ordinals 0,1 --ranks 2 --comm \$comm --json --check n --repeat 2 --type d --n 4096,12288 \
        --nb 0; done | tee -a '$out/fabric.jsonl'"
}

# bench NAME SECONDS ARGUMENTS: lines to DIR as they come, a table to the summary.
bench() {
    local name=$1 limit=$2; shift 2
    part "$name" "$limit" 30 bash -c "$PYTHON bench/python/bench_jax.py $* | tee -a '$out/bench.jsonl' |
        $PYTHON bench/python/table.py"
}

do_bench() {
    local all="--engines native,cusolvermg,jax --devices 2 --repeat 3"
    bench solve 150 "$all --routine solve --dtype float64,float32 --n 8192,16384,32768"
    bench inv 120 "$all --routine inv --dtype complex128 --n 8192,16384"
    bench eigh 120 "$all --routine eigh --dtype float64 --n 4096,8192"
}

do_bench-big() {
    local all="--engines native,cusolvermg --devices 2 --repeat 1"
    bench solve-big 150 "$all --routine solve --in-place --dtype float64,float32 --n 65536"
    bench inv-big 120 "$all --routine inv --dtype complex128 --n 32768"
    bench eigh-big 120 "$all --routine eigh --dtype float64 --n 16384"
}

say "$(git rev-parse --short HEAD 2>/dev/null || echo 'no git'), $(nvidia-smi \
    --query-gpu=name,driver_version --format=csv,noheader | tr '\n' ' ')"
for name in "$@"; do
    if declare -F "do_$name" >/dev/null; then do_"$name"; else say "no part $name"; failed+=("$name"); fi
done
say "parts failed: ${failed[*]:-none}"
[ ${#failed[@]} = 0 ]
