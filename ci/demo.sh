#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/demo.sh [ARGUMENT...]: environment, build, then examples/python/demo.py.
source "$(dirname "$0")/env.sh"
mapfile -t demo < <(extra demo)
# The GPUs if there are any: CUDA 13 wants driver 580 or newer.
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -1 || true)
driver=${driver%%.*}
if [[ $driver =~ ^[0-9]+$ ]]; then
    if [ "$driver" -ge 580 ]; then JAX='jax[cuda13]'; else JAX='jax[cuda12]'; fi
fi
use_main_venv "${demo[@]}"
DIST=build/dist ci/wheel.sh
python -m pip install -q --no-deps --force-reinstall build/dist/meshlinalg-*.whl
unset OPENBLAS_NUM_THREADS OMP_NUM_THREADS
exec python examples/python/demo.py "$@"
