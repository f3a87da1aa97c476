/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_backend.c: the table on a CPU: BLAS and LAPACK of the host, own loops for
 * the rest. A stream is the calling thread; every call has finished when it returns, so events
 * are nothing. Memory comes from the context's allocator, else from the C library.
 *
 * The reference for other backends: what this file does is what backend.h means. */
#include "backend/host/host_backend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/host/host_chase.h"
#include "backend/host/host_dc.h"
#include "backend/host/host_loops.h"
#include "backend/host/host_lu.h"
#include "backend/host/host_qr.h"
#include "backend/host/host_trd.h"
#include "core/size.h"

enum { ALIGNMENT = 64 };

mla_status_t mlai_host_fits(mlai_backend_t *be, int count, const int64_t *extent)
{
    for (int k = 0; k < count; k++)
        if (extent[k] > INT32_MAX)
            return mlai_fail(be->err, MLA_SIZE,
                             "an extent of %lld is more than BLAS takes, 2147483647",
                             (long long)extent[k]);
    return MLA_OK;
}

/* ---- memory, streams, events ------------------------------------------------------------- */

static void host_free_backend(mlai_backend_t *be)
{
    free(be);
}

static mla_status_t host_alloc(mlai_backend_t *be, size_t bytes, void **ptr)
{
    mlai_host_t *h = mlai_host(be);
    size_t rounded = mlai_size_align(bytes ? bytes : 1);
    *ptr = NULL;
    if (rounded < SIZE_MAX)
        *ptr = h->alloc ? h->alloc(h->user, rounded) : aligned_alloc(ALIGNMENT, rounded);
    if (*ptr) return MLA_OK;
    return mlai_fail(be->err, MLA_NOMEM, "out of host memory: %zu bytes", bytes);
}

static void host_free(mlai_backend_t *be, void *ptr)
{
    mlai_host_t *h = mlai_host(be);
    if (!ptr) return;
    if (h->free)
        h->free(h->user, ptr);
    else
        free(ptr);
}

static mla_status_t host_copy(mlai_backend_t *be, mlai_stream_t st, void *dst, const void *src,
                              size_t bytes)
{
    (void)be, (void)st;
    if (bytes) memmove(dst, src, bytes);
    return MLA_OK;
}

static mla_status_t host_zero(mlai_backend_t *be, mlai_stream_t st, void *dst, size_t bytes)
{
    (void)be, (void)st;
    if (bytes) memset(dst, 0, bytes);
    return MLA_OK;
}

static mlai_stream_t host_stream(mlai_backend_t *be, int which)
{
    (void)be, (void)which;
    return NULL;
}

static mlai_event_t host_event(mlai_backend_t *be, int which)
{
    (void)be, (void)which;
    return NULL;
}

static mla_status_t host_record(mlai_backend_t *be, mlai_event_t ev, mlai_stream_t st)
{
    (void)be, (void)ev, (void)st;
    return MLA_OK;
}

static mla_status_t host_wait(mlai_backend_t *be, mlai_stream_t st, mlai_event_t ev)
{
    (void)be, (void)st, (void)ev;
    return MLA_OK;
}

static mla_status_t host_sync(mlai_backend_t *be, mlai_stream_t st)
{
    (void)be, (void)st;
    return MLA_OK;
}

/* ---- moving and setting ------------------------------------------------------------------ */

static mla_status_t host_lacpy(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                               mlai_uplo_t uplo, int64_t m, int64_t n, const void *a, int64_t lda,
                               void *b, int64_t ldb)
{
    (void)be, (void)st;
    mlai_host_lacpy(dt, uplo, m, n, a, lda, b, ldb);
    return MLA_OK;
}

static mla_status_t host_laset(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                               mlai_uplo_t uplo, int64_t m, int64_t n, double off, double diag,
                               void *a, int64_t lda)
{
    (void)be, (void)st;
    mlai_host_laset(dt, uplo, m, n, off, diag, a, lda);
    return MLA_OK;
}

static mla_status_t host_transpose(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                   mlai_op_t op, int64_t m, int64_t n, const void *a, int64_t lda,
                                   void *b, int64_t ldb)
{
    (void)be, (void)st;
    mlai_host_transpose(dt, op == MLAI_C, m, n, a, lda, b, ldb);
    return MLA_OK;
}

static mla_status_t host_permute_rows(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                      const mlai_dist_t *d, bool forward, int64_t cols, void *a,
                                      int64_t lda, void *work, int64_t wcols)
{
    (void)be, (void)st;
    mlai_host_permute_rows(dt, d, forward, cols, a, lda, work, wcols);
    return MLA_OK;
}

static mla_status_t host_sum_blocks(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    int64_t m, int64_t n, int nblk, const void *in, int64_t ldin,
                                    int64_t stride, void *out, int64_t ldout)
{
    (void)be, (void)st;
    mlai_host_sum_blocks(dt, m, n, nblk, in, ldin, stride, out, ldout);
    return MLA_OK;
}

static mla_status_t host_nan_if(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                const int32_t *info, int64_t m, int64_t n, void *a, int64_t lda)
{
    (void)be, (void)st;
    if (*info != 0) mlai_host_fill_nan(dt, MLAI_FULL, m, n, a, lda);
    return MLA_OK;
}

static mla_status_t host_log_diag(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                                  const void *a, int64_t lda, double *acc)
{
    (void)be, (void)st;
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += log(mlai_host_diag(dt, a, lda, j));
    *acc += sum;
    return MLA_OK;
}

/* ---- BLAS-3 ------------------------------------------------------------------------------ */

static mla_status_t host_gemm(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t opa,
                              mlai_op_t opb, int64_t m, int64_t n, int64_t k, double alpha,
                              const void *a, int64_t lda, const void *b, int64_t ldb, double beta,
                              void *c, int64_t ldc)
{
    (void)st;
    mlai_host_t *h = mlai_host(be);
    if (m == 0 || n == 0) return MLA_OK;
    MLAI_TRY(MLAI_HOST_FITS(be, m, n, k, lda, ldb, ldc));
    mlai_scalar_t al = mlai_scalar(dt, alpha), bt = mlai_scalar(dt, beta);
    char ta = (char)opa, tb = (char)opb;
    MLAI_BLAS(h, gemm, dt, &ta, &tb, &m, &n, &k, &al, a, &lda, b, &ldb, &bt, c, &ldc, 1, 1);
    return MLA_OK;
}

static mla_status_t host_herk(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t op,
                              int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                              double beta, void *c, int64_t ldc)
{
    (void)st;
    mlai_host_t *h = mlai_host(be);
    if (n == 0) return MLA_OK;
    MLAI_TRY(MLAI_HOST_FITS(be, n, k, lda, ldc));
    mlai_scalar_t al = mlai_scalar(dt, alpha), bt = mlai_scalar(dt, beta);
    char t = (char)op;
    MLAI_BLAS(h, herk, dt, "L", &t, &n, &k, &al, a, &lda, &bt, c, &ldc, 1, 1);
    return MLA_OK;
}

static mla_status_t host_trsm(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                              mlai_side_t side, mlai_uplo_t uplo, mlai_op_t op, mlai_diag_t diag,
                              int64_t m, int64_t n, double alpha, const void *a, int64_t lda,
                              void *b, int64_t ldb)
{
    (void)st;
    mlai_host_t *h = mlai_host(be);
    if (m == 0 || n == 0) return MLA_OK;
    MLAI_TRY(MLAI_HOST_FITS(be, m, n, lda, ldb));
    mlai_scalar_t al = mlai_scalar(dt, alpha);
    char s = (char)side, u = (char)uplo, t = (char)op, d = (char)diag;
    MLAI_BLAS(h, trsm, dt, &s, &u, &t, &d, &m, &n, &al, a, &lda, b, &ldb, 1, 1, 1, 1);
    return MLA_OK;
}

/* ---- tiles ------------------------------------------------------------------------------- */

/* LAPACKs differ on a NaN on the diagonal: some stop, some go on. The first NaN decides. */
static mla_status_t host_potrf_tile(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    int64_t n, void *a, int64_t lda, int64_t first, int32_t *info)
{
    (void)st;
    mlai_host_t *h = mlai_host(be);
    if (n == 0) return MLA_OK;
    MLAI_TRY(MLAI_HOST_FITS(be, n, lda, first + n));
    mlai_fint_t result = 0;
    MLAI_BLAS(h, potrf, dt, "L", &n, a, &lda, &result, 1);
    int32_t failed = mlai_blas_result(result);
    if (failed < 0)
        return mlai_fail(be->err, MLA_BACKEND, "LAPACK potrf: argument %d is invalid", -failed);
    int64_t bad = failed > 0 ? failed - 1 : n;
    for (int64_t j = bad - 1; j >= 0; j--)
        if (isnan(mlai_host_diag(dt, a, lda, j))) bad = j;
    if (bad == n) return MLA_OK;
    if (*info == 0) *info = (int32_t)(first + bad + 1);
    mlai_host_fill_nan(dt, MLAI_LOWER, n, n, a, lda);
    return MLA_OK;
}

static mla_status_t host_trtri_tile(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    int64_t n, const void *a, int64_t lda, void *b, int64_t ldb)
{
    (void)st;
    mlai_host_t *h = mlai_host(be);
    if (n == 0) return MLA_OK;
    MLAI_TRY(MLAI_HOST_FITS(be, n, lda, ldb));
    mlai_host_laset(dt, MLAI_UPPER, n, n, 0, 0, b, ldb);
    mlai_host_lacpy(dt, MLAI_LOWER, n, n, a, lda, b, ldb);
    mlai_fint_t result = 0;
    MLAI_BLAS(h, trtri, dt, "L", "N", &n, b, &ldb, &result, 1, 1);
    int32_t failed = mlai_blas_result(result);
    if (failed < 0)
        return mlai_fail(be->err, MLA_BACKEND, "LAPACK trtri: argument %d is invalid", -failed);
    if (failed > 0) mlai_host_fill_nan(dt, MLAI_LOWER, n, n, b, ldb); // a zero on the diagonal
    return MLA_OK;
}

/* ---- the table --------------------------------------------------------------------------- */

static void host_range(mlai_backend_t *be, const char *name)
{
    (void)be, (void)name; // profilers of the host see the functions themselves
}

static const mlai_backend_ops_t host_ops = {
    .name = "host",
    .device = MLA_HOST,
    .free_backend = host_free_backend,
    .alloc = host_alloc,
    .free = host_free,
    .copy = host_copy,
    .to_host = host_copy,
    .from_host = host_copy,
    .zero = host_zero,
    .stream = host_stream,
    .event = host_event,
    .record = host_record,
    .wait = host_wait,
    .sync = host_sync,
    .range = host_range,
    .lacpy = host_lacpy,
    .laset = host_laset,
    .transpose = host_transpose,
    .permute_rows = host_permute_rows,
    .sum_blocks = host_sum_blocks,
    .nan_if = host_nan_if,
    .log_diag = host_log_diag,
    .gemm = host_gemm,
    .herk = host_herk,
    .trsm = host_trsm,
    .potrf_tile = host_potrf_tile,
    .trtri_tile = host_trtri_tile,
    .getrf_panel = mlai_host_getrf_panel,
    .laswp = mlai_host_laswp,
    .take_cols = mlai_host_take_cols,
    .put_cols = mlai_host_put_cols,
    .lu_det = mlai_host_lu_det,
    .norm_max = mlai_host_norm_max,
    .lascl = mlai_host_lascl,
    .lacpy_real = mlai_host_lacpy_real,
    .hetrd_column = mlai_host_hetrd_column,
    .hetrd_product = mlai_host_hetrd_product,
    .larft_diag = mlai_host_larft_diag,
    .geqrt = mlai_host_geqrt,
    .hb2st = mlai_host_hb2st,
    .unmtr_hb2st = mlai_host_unmtr_hb2st,
    .unhr_tile = mlai_host_unhr_tile,
    .geqr2_column = mlai_host_geqr2_column,
    .dc_leaves = mlai_host_dc_leaves,
    .dc_border = mlai_host_dc_border,
    .dc_rotate = mlai_host_dc_rotate,
    .dc_gather = mlai_host_dc_gather,
    .dc_secular = mlai_host_dc_secular,
    .dc_zhat = mlai_host_dc_zhat,
    .dc_merge = mlai_host_dc_merge,
    .dc_rows = mlai_host_dc_rows,
    .dc_restore = mlai_host_dc_restore,
};

mla_status_t mlai_backend_create_host(const mla_context_options_t *options, mlai_error_t *err,
                                      mlai_backend_t **be)
{
    *be = NULL;
    const mlai_blas_t *blas;
    MLAI_TRY(mlai_blas_get(&blas, err));
    mlai_host_t *h = calloc(1, sizeof *h);
    if (!h) return mlai_fail(err, MLA_NOMEM, "out of host memory for a backend");
    *h = (mlai_host_t){.base = {.ops = &host_ops, .err = err},
                       .blas = blas,
                       .alone = !options->comm || options->comm->nranks == 1,
                       .alloc = options->alloc,
                       .free = options->free,
                       .user = options->user};
    *be = &h->base;
    return MLA_OK;
}
