/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/qr.cu: the small steps of QR: Householder vectors from orthonormal
 * columns, and the scalars of one Householder column. Each is one block; what is large in QR is
 * products. */
#include "backend/cuda/kernels/element.cuh"

#define MLAI_TEMPLATE "backend/cuda/kernels/qr_tmpl.cuh"
#include "backend/cuda/kernels/four_types.cuh"
#undef MLAI_TEMPLATE
