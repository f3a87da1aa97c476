/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/trtri.cu: inverses of the diagonal blocks of a lower triangle
 * (cuda_solver.c builds the rest out of them). */
#include "backend/cuda/kernels/element.cuh"

#define MLAI_TEMPLATE "backend/cuda/kernels/trtri_tmpl.cuh"
#include "backend/cuda/kernels/four_types.cuh"
#undef MLAI_TEMPLATE
