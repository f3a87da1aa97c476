/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_trd.c: columns of the reduction to tridiagonal form on a CPU.
 *
 * The product with the trailing triangle takes half of the flops and nearly all of the time: it
 * is bound by memory. A rank that shares the matrix uses own loops that read each of its
 * elements once, 8 columns at a time (4 complex ones). A rank that is alone has the whole
 * triangle and calls BLAS hemv, which reads it once as well and may use all cores.
 *
 * The panel's products (n x width, in the cache) are own loops too, because their results must
 * be the same bit for bit on all ranks. */
#include "backend/host/host_trd.h"

#include <math.h>
#include <string.h>

#include "backend/host/host_backend.h"
#include "backend/host/host_loops.h"

#define NAME(f) f##_f32
#define R float
#define BITS uint32_t
#include "backend/host/host_trd_tmpl.h"
#undef NAME
#undef R
#undef BITS
#define NAME(f) f##_f64
#define R double
#define BITS uint64_t
#include "backend/host/host_trd_tmpl.h"

#define BY_REAL(dt, f, ...) \
    (mlai_real(dt) == MLA_FLOAT32 ? f##_f32(__VA_ARGS__) : f##_f64(__VA_ARGS__))

static int parts(mla_dtype_t dt)
{
    return mlai_is_complex(dt) ? 2 : 1;
}

mla_status_t mlai_host_norm_max(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                int64_t n, const void *a, int64_t lda, double *out)
{
    (void)be, (void)st;
    *out = BY_REAL(dt, norm_max, parts(dt) * m, n, a, parts(dt) * lda);
    return MLA_OK;
}

mla_status_t mlai_host_lascl(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                             int64_t n, double factor, void *a, int64_t lda)
{
    (void)be, (void)st;
    BY_REAL(dt, lascl, parts(dt) * m, n, factor, a, parts(dt) * lda);
    return MLA_OK;
}

mla_status_t mlai_host_lacpy_real(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                  int64_t n, const void *a, int64_t lda, void *b, int64_t ldb)
{
    (void)be, (void)st;
    if (mlai_is_complex(dt))
        BY_REAL(dt, lacpy_real, m, n, a, lda, b, ldb);
    else
        mlai_host_lacpy(dt, MLAI_FULL, m, n, a, lda, b, ldb);
    return MLA_OK;
}

mla_status_t mlai_host_hetrd_column(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    const mlai_trd_t *t, int64_t j)
{
    (void)be, (void)st;
    BY_REAL(dt, column, t, parts(dt), j);
    return MLA_OK;
}

mla_status_t mlai_host_hetrd_product(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                     const mlai_trd_t *t, int64_t j)
{
    (void)st;
    mlai_host_t *h = mlai_host(be);
    int64_t from = t->first + j + 1, m = t->d->n - from, one = 1;
    if (m == 0) return MLA_OK;
    if (t->d->nranks > 1) {
        BY_REAL(dt, product, t, parts(dt), j);
        return MLA_OK;
    }
    MLAI_TRY(MLAI_HOST_FITS(be, m, t->lda));
    mlai_scalar_t unit = mlai_scalar(dt, 1), zero = mlai_scalar(dt, 0);
    MLAI_BLAS(h, hemv, dt, "L", &m, &unit, mlai_at(t->a, dt, t->lda, from, from), &t->lda,
              mlai_at(t->v, dt, t->ld, j + 1, j), &one, &zero, t->y, &one, 1);
    return MLA_OK;
}

mla_status_t mlai_host_larft_diag(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                                  const void *tau, void *a, int64_t lda)
{
    (void)be, (void)st;
    BY_REAL(dt, larft_diag, parts(dt), n, tau, a, lda);
    return MLA_OK;
}

mla_status_t mlai_host_geqrt(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                             int64_t n, void *a, int64_t lda, void *t, int64_t ldt, void *work)
{
    (void)be, (void)st;
    BY_REAL(dt, geqrt, parts(dt), m, n, a, lda, t, ldt, work);
    return MLA_OK;
}
