# SPDX-License-Identifier: Apache-2.0
# ci/gpu_parts.sh: what ci/gpu.sh and ci/gpu2.sh share, sourced by them: the environment of programs on
# GPUs, and parts with a time limit. They have set out, build, logs and PYTHON.
export PYTHONPATH=$PWD/python/src${PYTHONPATH:+:$PYTHONPATH} MESHLINALG_LIBRARY=$PWD/$build/libmeshlinalg.so
export MESHLINALG_TIMEOUT_S=${MESHLINALG_TIMEOUT_S:-60} PYTHONUNBUFFERED=1 OPENBLAS_NUM_THREADS=1
# Several ranks and the library's own windows share the card with XLA.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
export MESHLINALG_BLAS=${MESHLINALG_BLAS:-$($PYTHON -c '
import glob, os, scipy
libs = os.path.join(os.path.dirname(os.path.dirname(scipy.__file__)), "scipy.libs")
print(*sorted(glob.glob(os.path.join(libs, "libscipy_openblas*.so*")))[:1])')}
failed=()

say() { printf '%s\n' "$*" | tee -a "$out/summary.txt"; }

# part NAME SECONDS LINES COMMAND...: runs it, limited; the last LINES of its log go to the summary.
part() {
    local name=$1 limit=$2 lines=$3 start=$SECONDS status; shift 3
    timeout -s KILL "$limit" "$@" >"$logs/$name.log" 2>&1
    status=$?
    [ $status = 0 ] || failed+=("$name")
    say "== $name: $([ $status = 0 ] && echo ok || echo "FAILED, status $status"), $((SECONDS - start)) s"
    grep -v '^$' "$logs/$name.log" | tail -n "$lines" | cut -c1-400 | tee -a "$out/summary.txt"
    tar czf "$out/logs.tar.gz" -C build "$(basename "$logs")"
}
