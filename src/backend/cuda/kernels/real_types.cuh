/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/real_types.cuh: as four_types.cuh, for the two real types. No guard.
 */
#define T float
#define NAME(f) f##_s
#define KERNEL(f) mlai_##f##_s
#include MLAI_TEMPLATE
#undef T
#undef NAME
#undef KERNEL

#define T double
#define NAME(f) f##_d
#define KERNEL(f) mlai_##f##_d
#include MLAI_TEMPLATE
#undef T
#undef NAME
#undef KERNEL
