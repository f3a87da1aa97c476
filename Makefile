# SPDX-License-Identifier: Apache-2.0
# The two commands are `make demo` and `make test`. The work is done by ci/*.sh, which the
# continuous integration runs too. PYTHON is the Python to use; JAX a requirement, "jax==0.9.1";
# KERNELS where the CUDA kernels come from (auto, nvrtc, none: ci/env.sh).
PYTHON ?= python3
JAX ?= jax
PRESET ?= release
KERNELS ?= auto
export PYTHON JAX KERNELS

.PHONY: help demo test test-c test-python sanitize check-cuda kernels lint tidy format wheel \
    release develop bench docs clean

help:
	@echo 'make demo         environment, build, then the main job on your GPUs or 8 CPU devices'
	@echo 'make test         environment, build, all C and Python tests'
	@echo 'make test-c       C tests only (PRESET=release|debug|asan|tsan|clang)'
	@echo 'make test-python  Python tests only, against the wheel'
	@echo 'make sanitize     C tests under ASan + UBSan, then under TSan'
	@echo 'make check-cuda   own CUDA prototypes against the headers and libraries of CUDA 12 and 13'
	@echo 'make kernels      the CUDA kernels for every GPU by NVRTC, without nvcc and without a GPU'
	@echo 'make lint         formats, include arrow, public header;  make tidy  clang-tidy'
	@echo 'make format       format C and Python in place'
	@echo 'make wheel        dist/meshlinalg-*.whl for this machine, every Python'
	@echo 'make release      the same for every Linux and CUDA, and the sdist'
	@echo 'make develop      editable install in build/venv that rebuilds on import'
	@echo 'make bench        the tester as a benchmark'
	@echo 'make docs         the documentation as HTML, in build/site'
	@echo 'make clean        removes build/ and dist/'

demo:
	ci/demo.sh
test:
	ci/test.sh
test-c:
	ci/test_c.sh $(PRESET)
test-python:
	ci/test_python.sh
sanitize:
	ci/sanitize.sh
check-cuda:
	ci/check_cuda.sh
kernels:
	ci/kernels.sh
lint:
	ci/lint.sh
tidy:
	ci/tidy.sh
format:
	ci/format.sh
wheel:
	ci/wheel.sh
release:
	ci/wheel.sh release
develop:
	ci/develop.sh
bench:
	ci/bench.sh
docs:
	ci/docs.sh
clean:
	rm -rf build dist
