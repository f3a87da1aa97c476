/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/complex_types.cuh: as four_types.cuh, for the two complex types. No
 * guard. */
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
