/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_trd.c: the reduction to tridiagonal form and back: launches of
 * kernels/trd.cu. A column is three launches; nothing is read by the host. */
#include "backend/cuda/cuda_backend.h"

enum { MOST_QUADS = 1024, PAD = 256 };

/* ---- norm, scaling, widening: m x n reals ----------------------------------------------------
 */

static int64_t parts(mla_dtype_t dt)
{
    return mlai_is_complex(dt) ? 2 : 1;
}

mla_status_t mlai_cuda_norm_max(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                int64_t n, const void *a, int64_t lda, double *out)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_CUDA_BEGIN(c);
    MLAI_TRY(MLAI_CUDA_CU(c, cuMemsetD8Async, mlai_cuda_ptr(out), 0, sizeof *out, (CUstream)st));
    if (m <= 0 || n <= 0) return MLA_OK;
    mlai_norm_max_args_t args = {parts(dt) * m, n, parts(dt) * lda, a, (uint64_t *)out};
    return mlai_cuda_launch(c, st, MLAI_K_norm_max + (int)mlai_real(dt),
                            mlai_cuda_grid(c, args.m, n, 1), &args);
}

mla_status_t mlai_cuda_lascl(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                             int64_t n, double factor, void *a, int64_t lda)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (m <= 0 || n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_lascl_args_t args = {parts(dt) * m, n, parts(dt) * lda, a, factor};
    return mlai_cuda_launch(c, st, MLAI_K_lascl + (int)mlai_real(dt),
                            mlai_cuda_grid(c, args.m, n, 1), &args);
}

mla_status_t mlai_cuda_lacpy_real(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                  int64_t n, const void *a, int64_t lda, void *b, int64_t ldb)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (m <= 0 || n <= 0) return MLA_OK;
    if (!mlai_is_complex(dt)) return mlai_cuda_lacpy(be, st, dt, MLAI_FULL, m, n, a, lda, b, ldb);
    MLAI_CUDA_BEGIN(c);
    mlai_lacpy_real_args_t args = {m, n, lda, ldb, a, b};
    return mlai_cuda_launch(c, st, MLAI_K_lacpy_real + (int)mlai_real(dt),
                            mlai_cuda_grid(c, m, n, 1), &args);
}

mla_status_t mlai_cuda_larft_diag(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                                  const void *tau, void *a, int64_t lda)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_larft_diag_args_t args = {n, lda, tau, a};
    mlai_grid_t grid = {.x = mlai_ceil_div(n, 128), .tx = 128};
    return mlai_cuda_launch(c, st, MLAI_K_larft_diag + (int)dt, grid, &args);
}

/* ---- columns ----------------------------------------------------------------------------------
 */

static int64_t strips_of(const mlai_trd_t *t)
{
    return mlai_ceil_div(mlai_dist_cols(t->d, t->rank), MLAI_TRD_STRIP);
}

/* First own column at position `from` or later; all own columns if there is none. */
static int64_t first_local(const mlai_trd_t *t, int64_t from)
{
    const mlai_dist_t *d = t->d;
    int64_t lo = -1, hi = d->slots; // slot lo starts before `from`
    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;
        if (mlai_dist_off(d, mlai_dist_tile(d, t->rank, mid)) < from)
            lo = mid;
        else
            hi = mid;
    }
    if (lo < 0) return 0;
    int64_t in = from - mlai_dist_off(d, mlai_dist_tile(d, t->rank, lo));
    return mlai_min(lo * d->nb + mlai_min(in, d->nb), mlai_dist_cols(d, t->rank));
}

/* The strips and the chunk where the columns from position `from` on begin. */
static void set_start(const mlai_trd_t *t, int64_t from, mlai_hetrd_args_t *args)
{
    int64_t jl = first_local(t, from), strip = jl / MLAI_TRD_STRIP, cols = args->cols;
    args->strip = (int32_t)(jl < cols ? strip : args->strips);
    args->chunk = 0;
    if (jl >= cols) return;
    int64_t first = mlai_dist_pos(t->d, t->rank * t->d->lc + strip * MLAI_TRD_STRIP);
    args->chunk = (int32_t)(mlai_max(first, from) / MLAI_TRD_CHUNK);
}

static void *take(char **next, mla_dtype_t dt, int64_t count)
{
    void *piece = *next;
    *next += mlai_size_align(mlai_size_mat(count, 1, mlai_sizeof(dt)));
    return piece;
}

/* Where things lie in the panel's scratch, which mlai_trd_scratch has room for:
 *
 *     row_sum  n x strips | col_sum  lc x chunks | x, dots, .., units: less than 16 (n + 256) */
static void set_scratch(mla_dtype_t dt, const mlai_trd_t *t, mlai_hetrd_args_t *args)
{
    int64_t n = t->d->n, dots = 2 * (int64_t)MLAI_TRD_WIDTH;
    char *next = t->scratch;
    args->row_sum = take(&next, dt, n * args->strips);
    args->col_sum = take(&next, dt, t->d->lc * mlai_ceil_div(n, MLAI_TRD_CHUNK));
    args->x = take(&next, dt, n + PAD);
    args->dots = take(&next, dt, dots);
    args->dot_part = take(&next, dt, dots * mlai_ceil_div(n, MLAI_TRD_DOT_ROWS));
    args->square = take(&next, dt, mlai_ceil_div(n, MLAI_TRD_COLUMN_THREADS));
    args->quad = take(&next, dt, MOST_QUADS);
    args->units = take(&next, dt, args->strips + 1);
}

/* What the kernels of column j share. */
static mla_status_t fill_args(mlai_cuda_t *c, mla_dtype_t dt, const mlai_trd_t *t, int64_t j,
                              mlai_hetrd_args_t *args)
{
    const mlai_dist_t *d = t->d;
    if (t->width > MLAI_TRD_WIDTH || d->n > INT32_MAX - PAD)
        return mlai_fail(c->base.err, MLA_SIZE, "a panel of %lld columns, %lld rows is too large",
                         (long long)t->width, (long long)d->n);
    int64_t es = (int64_t)mlai_sizeof(dt), from = t->first + j + 1;
    *args = (mlai_hetrd_args_t){.lda = t->lda,
                                .ld = t->ld,
                                .stride = t->stride,
                                .a = t->a,
                                .v = t->v,
                                .w = t->w,
                                .y = t->y,
                                .tau = t->tau,
                                .diag = t->diag,
                                .off = t->off,
                                .n = (int32_t)d->n,
                                .nranks = d->nranks,
                                .rank = t->rank,
                                .lc = (int32_t)d->lc,
                                .nb = (int32_t)d->nb,
                                .full = (int32_t)(d->n / d->lc),
                                .rest = (int32_t)(d->n % d->lc),
                                .cols = (int32_t)mlai_dist_cols(d, t->rank),
                                .first = (int32_t)t->first,
                                .j = (int32_t)j,
                                .width = (int32_t)t->width,
                                .strips = (int32_t)strips_of(t),
                                .wide = (uintptr_t)t->a % 16 == 0 && t->lda * es % 16 == 0};
    args->squares = (int32_t)mlai_ceil_div(d->n - from + 1, MLAI_TRD_COLUMN_THREADS);
    args->dot_blocks = (int32_t)mlai_ceil_div(d->n - from, MLAI_TRD_DOT_ROWS);
    set_scratch(dt, t, args);
    set_start(t, from, args);
    int64_t chunks = mlai_ceil_div(d->n, MLAI_TRD_CHUNK) - args->chunk;
    int64_t units = mlai_max(1, (args->strips - args->strip) * chunks); // at most
    args->quads =
        (int32_t)mlai_min(mlai_min(MOST_QUADS, (int64_t)c->processors * MLAI_TRD_BLOCKS), units);
    return MLA_OK;
}

mla_status_t mlai_cuda_hetrd_column(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    const mlai_trd_t *t, int64_t j)
{
    mlai_cuda_t *c = mlai_cuda(be);
    mlai_hetrd_args_t args = {0};
    if (t->first + j >= t->d->n) return MLA_OK; // nothing is left of w either
    MLAI_CUDA_BEGIN(c);
    MLAI_TRY(fill_args(c, dt, t, j, &args));
    mlai_grid_t one = {.x = 1, .tx = 1},
                grid = {.x = args.squares, .tx = MLAI_TRD_COLUMN_THREADS};
    if (t->first + j == 0) MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_hetrd_units, one, &args));
    return mlai_cuda_launch(c, st, MLAI_K_hetrd_column + (int)dt, grid, &args);
}

mla_status_t mlai_cuda_hetrd_product(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                     const mlai_trd_t *t, int64_t j)
{
    mlai_cuda_t *c = mlai_cuda(be);
    mlai_hetrd_args_t args = {0};
    int64_t from = t->first + j + 1, numbers = 2 * j + 1;
    if (from >= t->d->n) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    MLAI_TRY(fill_args(c, dt, t, j, &args));
    mlai_grid_t grid = {.x = args.dot_blocks + args.quads, .tx = MLAI_TRD_THREADS};
    MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_hetrd_product + (int)dt, grid, &args));
    grid.x = (t->d->n - 1) / MLAI_TRD_GATHER_ROWS - from / MLAI_TRD_GATHER_ROWS + 1 +
             mlai_ceil_div(numbers, MLAI_TRD_THREADS / 32);
    return mlai_cuda_launch(c, st, MLAI_K_hetrd_gather + (int)dt, grid, &args);
}
