/* SPDX-License-Identifier: Apache-2.0
 * tests/cuda/prototypes.c: the lists of src/dl/cuda_api.h against CUDA's own headers. It is a
 * test by compiling:
 *
 *     cc -std=c11 -fsyntax-only -I src -I (folder of cuda.h, cublas_v2.h, nccl.h ...) FILE
 *
 * A name that a header re-points by a macro (cuMemAlloc is cuMemAlloc_v2) is found by its length.
 */
#include <stddef.h>

#include <cublas_v2.h>
#include <cuda.h>
#include <cusolverDn.h>
#include <cusolverMg.h>
#include <nccl.h>

#include "dl/cuda_api.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define SAME(result, name, parameters)                                                    \
    _Static_assert(__builtin_types_compatible_p(__typeof__(&name), result(*) parameters), \
                   "prototype of " #name);                                                \
    _Static_assert(sizeof(#name) == sizeof(TEXT(name)), #name " is a macro for another symbol");
#define VALUE(name, value) _Static_assert((int)(name) == (value), "value of " #name);
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "size of " #type);
#define OFFSET(type, member, offset) \
    _Static_assert(offsetof(type, member) == (offset), "place of " #member " in " #type);

MLAI_CU_LIST(SAME, SAME)
MLAI_CUBLAS_LIST(SAME, SAME)
MLAI_CUSOLVER_LIST(SAME, SAME)
MLAI_CUSOLVERMG_LIST(SAME, SAME)
MLAI_NCCL_LIST(SAME, SAME)
MLAI_CU_VALUES(VALUE)
MLAI_CUBLAS_VALUES(VALUE)
MLAI_CUSOLVER_VALUES(VALUE)
MLAI_CUSOLVERMG_VALUES(VALUE)
MLAI_NCCL_VALUES(VALUE)
MLAI_CU_LAYOUT(SIZE, OFFSET)

int prototypes_checked;
