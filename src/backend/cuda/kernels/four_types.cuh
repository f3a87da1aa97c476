/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/four_types.cuh: includes the file MLAI_TEMPLATE four times, for
 * elements of type T over the real type R; NAME(f) is f_s, f_d, f_c, f_z and KERNEL(f) is
 * mlai_f_s, ... No guard. */
#define T float
#define R float
#define NAME(f) f##_s
#define KERNEL(f) mlai_##f##_s
#include MLAI_TEMPLATE
#undef T
#undef R
#undef NAME
#undef KERNEL

#define T double
#define R double
#define NAME(f) f##_d
#define KERNEL(f) mlai_##f##_d
#include MLAI_TEMPLATE
#undef T
#undef R
#undef NAME
#undef KERNEL

#define T float2
#define R float
#define NAME(f) f##_c
#define KERNEL(f) mlai_##f##_c
#include MLAI_TEMPLATE
#undef T
#undef R
#undef NAME
#undef KERNEL

#define T double2
#define R double
#define NAME(f) f##_z
#define KERNEL(f) mlai_##f##_z
#include MLAI_TEMPLATE
#undef T
#undef R
#undef NAME
#undef KERNEL
