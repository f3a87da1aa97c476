/* SPDX-License-Identifier: Apache-2.0
 * src/core/size.h: byte counts that cannot wrap round. A count that does not fit becomes
 * SIZE_MAX and stays so, which every allocation refuses. */
#ifndef MLAI_SIZE_H
#define MLAI_SIZE_H

#include <stddef.h>
#include <stdint.h>

static inline size_t mlai_size_mul(size_t a, size_t b)
{
    size_t c;
    return __builtin_mul_overflow(a, b, &c) ? SIZE_MAX : c;
}

static inline size_t mlai_size_add(size_t a, size_t b)
{
    size_t c;
    return __builtin_add_overflow(a, b, &c) ? SIZE_MAX : c;
}

/* Bytes of an m x n matrix of elements of `elem` bytes; negative extents count as 0. */
static inline size_t mlai_size_mat(int64_t m, int64_t n, size_t elem)
{
    if (m <= 0 || n <= 0) return 0;
    return mlai_size_mul(mlai_size_mul((size_t)m, (size_t)n), elem);
}

static inline int64_t mlai_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

static inline int64_t mlai_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t mlai_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Next multiple of 256 bytes: every piece of a work space starts aligned. */
static inline size_t mlai_size_align(size_t bytes)
{
    size_t up = mlai_size_add(bytes, 255);
    return up == SIZE_MAX ? SIZE_MAX : up & ~(size_t)255;
}

#endif
