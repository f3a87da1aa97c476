#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/c_files.sh: the C and CUDA files that are formatted by program.
source "$(dirname "$0")/env.sh"
find include src ffi tests bench examples -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' | sort
