/* SPDX-License-Identifier: Apache-2.0
 * src/backend/split.h: products of single precision on tensor cores, from sums of bfloat16
 * pieces.
 *
 * A number of 24 bits is the sum of three of 8: x = x1 + x2 + x3, x1 the nearest bfloat16 to x,
 * x2 to the rest, x3 to what is left. A product takes the terms
 *
 *     6    x3 y1 + x1 y3 + x2 y2 + x2 y1 + x1 y2 + x1 y1    error 2^-24 |x y|: as float32
 *     3    x2 y1 + x1 y2 + x1 y1                                   2^-16
 *     1    x1 y1                                                   2^-8
 *
 * one behind the other along the inner dimension, the smallest first, so that all of them are one
 * product with float32 sums. Tensor cores cut off sums instead of rounding them; so columns come
 * in chunks of at most MLAI_SPLIT_DEPTH, each a product of its own that is rounded into C.
 *
 * W complex, C -= W W^H: with the rows [Re Im] and [Im -Re] of a row of W on the left and [Re Im]
 * on the right it is a real product into the interleaved C.
 *
 * Range: bfloat16 has float32's exponents. A third piece is lost where |x| < 2^-117, a first one
 * becomes Inf above 3.39e38; entries of a Cholesky factor are roots of entries of A and lie far
 * inside. Henry, Tang, Heinecke: Leveraging the bfloat16 artificial intelligence datatype for
 * higher-precision computations, 2019. */
#ifndef MLAI_SPLIT_H
#define MLAI_SPLIT_H

#include "meshlinalg.h"

#include "core/dtype.h"
#include "core/size.h"

enum { MLAI_SPLIT_DEPTH = 512, MLAI_SPLIT_TERMS = 6 };

/* Terms for a factorisation of order n in tiles of nb; 0: plain products. Six terms run at twice
 * the rate of plain products where these are large; below, splitting costs more than it saves.
 * Less than full accuracy is given at every size when it is asked for. */
static inline int mlai_split_terms(mla_dtype_t dt, mla_precision_t precision, int64_t n,
                                   int64_t nb)
{
    enum { FULL_FROM = 8192, LEAST_TILE = 128 };
    if (mlai_real(dt) != MLA_FLOAT32) return 0;
    switch (precision) {
    case MLA_PRECISION_FULL: return n >= FULL_FROM && nb >= LEAST_TILE ? MLAI_SPLIT_TERMS : 0;
    case MLA_PRECISION_HIGH: return 3;
    case MLA_PRECISION_LOW: return 1;
    }
    return 0;
}

/* bfloat16 of one term and one row that k <= mlai_split_chunk columns take. */
static inline int64_t mlai_split_width(mla_dtype_t dt, int64_t k)
{
    return mlai_ceil_div(k, 8) * 8 * (mlai_is_complex(dt) ? 2 : 1);
}

/* Columns of all chunks but the last. */
static inline int64_t mlai_split_chunk(mla_dtype_t dt)
{
    return MLAI_SPLIT_DEPTH / (mlai_is_complex(dt) ? 2 : 1);
}

/* Of the pieces of k columns of m rows: each chunk has its left rows, then its right rows. */
static inline size_t mlai_split_bytes(mla_dtype_t dt, int terms, int64_t m, int64_t k)
{
    int64_t chunk = mlai_split_chunk(dt);
    int64_t width = k / chunk * mlai_split_width(dt, chunk) + mlai_split_width(dt, k % chunk);
    size_t row = mlai_size_mul((size_t)width, (size_t)terms * 2);
    return mlai_size_mul(row, (size_t)m * (mlai_is_complex(dt) ? 3 : 2));
}

#endif
