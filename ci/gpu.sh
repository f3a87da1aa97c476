#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/gpu.sh [-o DIR] [PART...]: builds on a GPU machine and runs PARTs of
#
#   build unit comm tester python mp sanitizer bench big demo     (default: the first six)
#
# with the Python, JAX, nvcc and CMake that are there; nothing is installed or fetched. Each part
# has a time limit; a part that fails does not stop the others. DIR (default $OUT, else build/gpu-out)
# gets summary.txt, bench.jsonl, tester.jsonl and logs.tar.gz, brought up to date after each part.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-build/gpu-out}
if [ "${1:-}" = -o ]; then out=$2; shift 2; fi
[ $# -gt 0 ] || set -- build unit comm tester python mp
build=build/gpu
logs=build/gpu-logs
PYTHON=${PYTHON:-python3}
mkdir -p "$out" $logs
rm -rf "${logs:?}"/*
: >"$out/summary.txt"
source ci/gpu_parts.sh

do_build() {
    part build 400 3 bash -c "cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DMLA_CUDA_ARCHITECTURES=\$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader |
            head -1 | tr -d .) && cmake --build $build && ls -l $build/libmeshlinalg.so"
}

do_unit() {
    part unit 200 12 bash -c "bad=0; for test in unit_backend unit_trd unit_he2hb unit_hb2st 'unit_stedc --stride 5' \
        'unit_qr --stride 2'; do
        timeout -s KILL 100 $build/\$test --device cuda || { bad=1; echo \$test failed; }; done; exit \$bad"
}

do_comm() {
    part comm 120 12 bash -c "$build/unit_comm peer && $build/unit_meeting peer"
    part comm-time 120 20 bash -c "for p in 2 4 8; do for bytes in 64 1000000 64000000; do
        $build/unit_comm time \$p \$bytes; done; done | grep peer"
}

do_tester() {
    local all=potrf,posv,poinv,potri,syevd,syevj
    local few="$build/tester --device cuda --n 65,200 --nb 0,16 --ranks 1,3"
    part tester 150 8 $build/tester $all --device cuda --n 0,1,7,64,130,333 --nb 0,32 --ranks 1,2,3,4,8
    part tester-large 120 8 $build/tester $all --device cuda --n 1000,1537 --nb 0 --ranks 1,4 \
        --kind rand,cond:1e3
    part tester-eigen 120 8 $few syevd,syevj --kind cluster,graded,identity,diag,onesplus,wilkinson,goe
    part tester-fail 60 8 $few potrf,posv,poinv,potri --kind indef:0,indef:-1,indef:-2,nan:-2
    part tester-mg 60 8 $few potrf,posv,poinv,potri,syevd --engine cusolvermg --kind rand,indef:3
    part tester-nccl 60 8 $build/tester $all --device cuda --comm nccl --n 64,200 --nb 0,16 --ranks 1
    part tester-nan 60 8 $few syevd,syevj --type d,c --kind nan:-2
}

do_python() {
    part python 420 12 env JAX_PLATFORMS=cuda $PYTHON -m pytest -q tests/python \
        --ignore tests/python/test_multiprocess.py
}

do_mp() {
    # Several processes, one rank each, on the same card; the parent stays off it.
    part mp 400 12 env MESHLINALG_TEST_PLATFORM=gpu $PYTHON -m pytest -q tests/python/test_multiprocess.py
}

do_sanitizer() {
    local tool
    for tool in memcheck racecheck; do
        part $tool 240 6 compute-sanitizer --tool $tool --error-exitcode 9 $build/tester \
            --device cuda --type d,c --n 33,130 --nb 32 --ranks 1,2
    done
}

do_bench() {
    # The lines go to DIR as they come; the part's log has the rest.
    part bench 400 40 bash -c "$PYTHON bench/python/bench_jax.py --routine solve,inv,eigh \
        --dtype float64,float32 --n 1024,4096,8192,16384 --repeat 3 | tee '$out/bench.jsonl' |
        $PYTHON bench/python/table.py"
    part bench-tester 200 20 bash -c "$build/tester --device cuda --json --check n --repeat 3 \
        --type d,s --n 4096,16384 --nb 0 --ranks 1,4 posv,poinv,syevd | tee '$out/tester.jsonl' |
        $PYTHON bench/python/table.py"
}

do_big() {
    part big 200 4 bash -c "$PYTHON bench/python/bench_jax.py --routine solve --dtype float64 \
        --n 65536 --repeat 1 --in-place --impl meshlinalg | tee -a '$out/bench.jsonl' |
        $PYTHON bench/python/table.py"
}

do_demo() {
    part demo 240 30 $PYTHON examples/python/demo.py --out $logs/demo
}

say "$(git rev-parse --short HEAD 2>/dev/null || echo 'no git'), $(nvidia-smi \
    --query-gpu=name,driver_version --format=csv,noheader | tr '\n' ' '), $(nvcc --version | tail -1)"
[ -f "$MESHLINALG_LIBRARY" ] || [ "$1" = build ] || do_build
for name in "$@"; do
    if declare -F "do_$name" >/dev/null; then do_"$name"; else say "no part $name"; failed+=("$name"); fi
done
say "parts failed: ${failed[*]:-none}"
[ ${#failed[@]} = 0 ]
