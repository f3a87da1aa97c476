/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_loops.c: moving, setting, transposing, sums; bound by memory, so written
 * for whole cache lines. Loops that depend on the element type are in host_loops_tmpl.h. */
#include "backend/host/host_loops.h"

#include <complex.h>
#include <math.h>
#include <string.h>

#include "core/size.h"

enum { BLOCK = 32 };

typedef struct span {
    int64_t first, end;
} span_t;

/* Rows of column j that belong to the part. */
static span_t part_rows(mlai_uplo_t uplo, int64_t m, int64_t j)
{
    return (span_t){.first = uplo == MLAI_LOWER ? mlai_min(j, m) : 0,
                    .end = uplo == MLAI_UPPER ? mlai_min(j + 1, m) : m};
}

#define NAME(f) f##_s
#define T float
#define R float
#define PARTS 1
#define CONJ(z) (z)
#include "backend/host/host_loops_tmpl.h"
#undef NAME
#undef T
#undef R
#define NAME(f) f##_d
#define T double
#define R double
#include "backend/host/host_loops_tmpl.h"
#undef NAME
#undef T
#undef R
#undef PARTS
#undef CONJ
#define NAME(f) f##_c
#define T float _Complex
#define R float
#define PARTS 2
#define CONJ(z) conjf(z)
#include "backend/host/host_loops_tmpl.h"
#undef NAME
#undef T
#undef R
#undef CONJ
#define NAME(f) f##_z
#define T double _Complex
#define R double
#define CONJ(z) conj(z)
#include "backend/host/host_loops_tmpl.h"

#define BY_TYPE(dt, f, ...)                             \
    do {                                                \
        switch (dt) {                                   \
        case MLA_FLOAT32: f##_s(__VA_ARGS__); break;    \
        case MLA_FLOAT64: f##_d(__VA_ARGS__); break;    \
        case MLA_COMPLEX64: f##_c(__VA_ARGS__); break;  \
        case MLA_COMPLEX128: f##_z(__VA_ARGS__); break; \
        }                                               \
    } while (0)

void mlai_host_lacpy(mla_dtype_t dt, mlai_uplo_t uplo, int64_t m, int64_t n, const void *a,
                     int64_t lda, void *b, int64_t ldb)
{
    if (uplo == MLAI_FULL && lda == m && ldb == m) { // one piece
        m *= n;
        n = m > 0;
    }
    for (int64_t j = 0; j < n; j++) {
        span_t rows = part_rows(uplo, m, j);
        if (rows.end > rows.first)
            memcpy(mlai_at(b, dt, ldb, rows.first, j), mlai_at(a, dt, lda, rows.first, j),
                   (size_t)(rows.end - rows.first) * mlai_sizeof(dt));
    }
}

void mlai_host_laset(mla_dtype_t dt, mlai_uplo_t uplo, int64_t m, int64_t n, double off,
                     double diag, void *a, int64_t lda)
{
    BY_TYPE(dt, laset, uplo, m, n, off, diag, a, lda);
}

void mlai_host_transpose(mla_dtype_t dt, bool conjugate, int64_t m, int64_t n, const void *a,
                         int64_t lda, void *b, int64_t ldb)
{
    BY_TYPE(dt, transpose, conjugate, m, n, a, lda, b, ldb);
}

/* Tiles are runs of rows in both orders: `count` columns at a time go to `work` in the other
 * order, tile by tile, and come back. */
void mlai_host_permute_rows(mla_dtype_t dt, const mlai_dist_t *d, bool forward, int64_t cols,
                            void *a, int64_t lda, void *work, int64_t wcols)
{
    int64_t tiles = mlai_dist_tiles(d);
    for (int64_t j = 0; j < cols; j += wcols) {
        int64_t count = mlai_min(wcols, cols - j);
        for (int64_t t = 0; t < tiles; t++) {
            int64_t natural = mlai_dist_owner(d, t) * d->lc + mlai_dist_local(d, t);
            int64_t pos = mlai_dist_off(d, t), width = mlai_dist_width(d, t);
            if (width > 0)
                mlai_host_lacpy(dt, MLAI_FULL, width, count,
                                mlai_at(a, dt, lda, forward ? natural : pos, j), lda,
                                mlai_at(work, dt, d->n, forward ? pos : natural, 0), d->n);
        }
        mlai_host_lacpy(dt, MLAI_FULL, d->n, count, work, d->n, mlai_at(a, dt, lda, 0, j), lda);
    }
}

void mlai_host_sum_blocks(mla_dtype_t dt, int64_t m, int64_t n, int nblk, const void *in,
                          int64_t ldin, int64_t stride, void *out, int64_t ldout)
{
    BY_TYPE(dt, sum_blocks, m, n, nblk, in, ldin, stride, out, ldout);
}

void mlai_host_fill_nan(mla_dtype_t dt, mlai_uplo_t uplo, int64_t m, int64_t n, void *a,
                        int64_t lda)
{
    BY_TYPE(dt, fill_nan, uplo, m, n, a, lda);
}

double mlai_host_diag(mla_dtype_t dt, const void *a, int64_t lda, int64_t j)
{
    const void *ajj = mlai_at(a, dt, lda, j, j); // the real part comes first
    return mlai_real(dt) == MLA_FLOAT32 ? (double)*(const float *)ajj : *(const double *)ajj;
}
