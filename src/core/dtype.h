/* SPDX-License-Identifier: Apache-2.0
 * src/core/dtype.h: sizes of the four element types; element addresses. */
#ifndef MLAI_DTYPE_H
#define MLAI_DTYPE_H

#include <stdbool.h>

#include "meshlinalg.h"

static inline bool mlai_dtype_valid(mla_dtype_t dt)
{
    return dt >= MLA_FLOAT32 && dt <= MLA_COMPLEX128;
}

static inline bool mlai_is_complex(mla_dtype_t dt)
{
    return dt == MLA_COMPLEX64 || dt == MLA_COMPLEX128;
}

static inline mla_dtype_t mlai_real(mla_dtype_t dt)
{
    return (dt == MLA_FLOAT32 || dt == MLA_COMPLEX64) ? MLA_FLOAT32 : MLA_FLOAT64;
}

static inline size_t mlai_sizeof(mla_dtype_t dt)
{
    return (mlai_real(dt) == MLA_FLOAT32 ? (size_t)4 : 8) * (mlai_is_complex(dt) ? 2 : 1);
}

/* Address of element (i, j) of a column-major matrix; i and j may not be negative. */
static inline void *mlai_at(const void *a, mla_dtype_t dt, int64_t ld, int64_t i, int64_t j)
{
    return (char *)(uintptr_t)a + mlai_sizeof(dt) * ((size_t)i + (size_t)j * (size_t)ld);
}

#endif
