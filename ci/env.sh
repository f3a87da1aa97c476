# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by every script here: strict mode, the project's root as the working folder, and the
# virtual environment build/venv (one for each Python and JAX asked for).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=$(command -v "${PYTHON:-python3}") || { echo "error: no ${PYTHON:-python3}" >&2; exit 1; }
JAX=${JAX:-jax}
VENV=${VENV:-build/venv$([ "$JAX" = jax ] || echo "-$JAX" | tr -c 'a-z0-9.\n' _)}
export PYTHON JAX VENV
export RESULTS=${RESULTS:-$PWD/build/results} # JUnit files
# Python must not see the environment of another one; one BLAS thread for each rank.
unset PYTHONPATH PYTHONHOME
export PIP_DISABLE_PIP_VERSION_CHECK=1
export OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

say() { printf '\n== %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The interpreter of version $1 (as 3.13), or nothing: from PATH, else from pyenv.
find_python() {
    local p
    for p in "python$1" "$HOME"/.pyenv/versions/"$1".*/bin/python; do
        if "$p" -c "import sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null
        then command -v "$p"; return; fi
    done
}

# use_venv DIR REQUIREMENT...: makes or completes DIR and puts it first on PATH. DIR/.has lists
# the interpreter and the requirements that are met.
use_venv() {
    local dir=$1 missing=() r; shift
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$PYTHON is older than Python 3.11; set PYTHON to a newer one"
    if ! grep -qxF "$("$PYTHON" -V)" "$dir/.has" 2>/dev/null; then
        rm -rf "$dir"
        "$PYTHON" -m venv "$dir" || die "$PYTHON -m venv failed (Debian: apt install python3-venv)"
        "$PYTHON" -V >"$dir/.has"
    fi
    export VIRTUAL_ENV=$PWD/$dir PATH=$PWD/$dir/bin:$PATH
    for r in "$@"; do grep -qxF "$r" "$dir/.has" || missing+=("$r"); done
    if [ ${#missing[@]} -gt 0 ]; then
        say "environment $dir: ${missing[*]}"
        python -m pip install -q --upgrade "${missing[@]}"
        printf '%s\n' "${missing[@]}" >>"$dir/.has"
    fi
}

# CMake >= 3.25, Ninja and a generator of build files: the system's, else from PyPI.
use_cmake() {
    local extra=()
    cmake --version 2>/dev/null | awk 'NR==1 {split($3, v, "."); exit !(v[1]*1000+v[2] >= 3025)}' ||
        extra+=("cmake>=3.25")
    command -v ninja >/dev/null || extra+=(ninja)
    if [ ${#extra[@]} -gt 0 ]; then python -m pip install -q "${extra[@]}"; fi
}

# Requirements of a group of pyproject.toml's optional dependencies, one a line.
extra() {
    "$PYTHON" -c 'import sys, tomllib
for r in tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]]:
    print(r)' "$1"
}

# The environment of build and tests. lineax wants JAX 0.10: its tests skip where JAX is chosen.
use_main_venv() {
    local packages without='^$'
    [ "$JAX" = jax ] || without='^lineax'
    mapfile -t packages < <(extra test | grep -v "$without"; echo "$JAX"; printf '%s\n' numpy scipy 'scikit-build-core>=0.11')
    use_venv "$VENV" "${packages[@]}" "$@"
    use_cmake
}

# KERNELS: where the CUDA kernels come from.
#   auto    a fatbin that ci/kernels.sh has made of these sources; else nvcc; else, where there is a
#           GPU, ci/kernels.sh; else none: the library then runs on CPU devices only
#   nvrtc   ci/kernels.sh, for wheels that work on every GPU machine
#   none    no kernels
export KERNELS=${KERNELS:-auto}
KERNELS_FATBIN=$PWD/build/kernels/meshlinalg.fatbin

kernels_are_fresh() {
    [ -f "$KERNELS_FATBIN" ] && sha256sum --quiet --status -c "$KERNELS_FATBIN.sources" 2>/dev/null &&
        [ "$(kernel_sources)" = "$(cut -c67- "$KERNELS_FATBIN.sources")" ]
}
kernel_sources() { find ci/nvrtc.py src/backend/cuda/kernel* -type f | sort; }
have_nvcc() { command -v nvcc >/dev/null || [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; }

# Makes the kernels if they come from NVRTC; cmake_kernels then prints the options for CMake.
prepare_kernels() {
    case $KERNELS in
    auto) kernels_are_fresh || have_nvcc || ! nvidia-smi -L >/dev/null 2>&1 || ci/kernels.sh >&2 ||
        say 'no CUDA kernels: NVRTC failed' >&2 ;;
    nvrtc) ci/kernels.sh >&2 ;;
    none) ;;
    *) die "KERNELS is '$KERNELS', expected auto, nvrtc or none" ;;
    esac
}
cmake_kernels() {
    if [ "$KERNELS" = none ]; then echo -DMLA_KERNELS=OFF
    elif kernels_are_fresh; then echo "-DMLA_KERNELS_FATBIN=$KERNELS_FATBIN"
    else echo -DMLA_KERNELS_FATBIN=; fi
}

# scipy's own OpenBLAS: the BLAS and LAPACK of the C tests.
scipy_blas() {
    python - <<'PY'
import glob, os, scipy
libs = os.path.join(os.path.dirname(os.path.dirname(scipy.__file__)), "scipy.libs")
found = sorted(glob.glob(os.path.join(libs, "libscipy_openblas*.so*")))
print(found[0] if found else "")
PY
}
