/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_move.c: moving and setting: launches of kernels/move.cu. All are bound by
 * memory; 16 bytes a thread at a time where addresses and leading dimensions allow it. */
#include "backend/cuda/cuda_backend.h"

enum { WORD = 16 };

/* Elements of a word if the matrix (and its columns) starts at multiples of a word, else 1. */
static int word_of(mla_dtype_t dt, const void *a, int64_t lda)
{
    size_t es = mlai_sizeof(dt);
    bool aligned = (uintptr_t)a % WORD == 0 && ((size_t)lda * es) % WORD == 0;
    return aligned ? (int)(WORD / es) : 1;
}

static int word_of_both(mla_dtype_t dt, const void *a, int64_t lda, const void *b, int64_t ldb)
{
    return word_of(dt, a, lda) == 1 ? 1 : word_of(dt, b, ldb);
}

mla_status_t mlai_cuda_lacpy(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                             mlai_uplo_t uplo, int64_t m, int64_t n, const void *a, int64_t lda,
                             void *b, int64_t ldb)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (m <= 0 || n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    // One column, or columns without gaps: plain bytes.
    if (uplo == MLAI_FULL && (n == 1 || (lda == m && ldb == m)))
        return MLAI_CUDA_CU(c, cuMemcpyDtoDAsync_v2, mlai_cuda_ptr(b), mlai_cuda_ptr(a),
                            mlai_size_mat(m, n, mlai_sizeof(dt)), (CUstream)st);
    int rows = word_of_both(dt, a, lda, b, ldb);
    mlai_lacpy_args_t args = {m, n, lda, ldb, a, b, uplo, rows > 1};
    return mlai_cuda_launch(c, st, MLAI_K_lacpy + (int)dt, mlai_cuda_grid(c, m, n, rows), &args);
}

static mla_status_t fill(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt, mlai_fill_args_t args)
{
    if (args.m <= 0 || args.n <= 0) return MLA_OK;
    int rows = word_of(dt, args.a, args.lda);
    args.wide = rows > 1;
    mlai_grid_t grid = mlai_cuda_grid(c, args.m, args.n, rows);
    return mlai_cuda_launch(c, st, MLAI_K_fill + (int)dt, grid, &args);
}

mla_status_t mlai_cuda_laset(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                             mlai_uplo_t uplo, int64_t m, int64_t n, double off, double diag,
                             void *a, int64_t lda)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_CUDA_BEGIN(c);
    return fill(c, st, dt,
                (mlai_fill_args_t){
                    .m = m, .n = n, .lda = lda, .a = a, .off = off, .diag = diag, .uplo = uplo});
}

mla_status_t mlai_cuda_fill_nan(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt,
                                mlai_uplo_t uplo, const int32_t *flag, int64_t m, int64_t n,
                                void *a, int64_t lda)
{
    return fill(c, st, dt,
                (mlai_fill_args_t){
                    .m = m, .n = n, .lda = lda, .a = a, .flag = flag, .uplo = uplo, .nan = 1});
}

mla_status_t mlai_cuda_nan_if(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                              const int32_t *info, int64_t m, int64_t n, void *a, int64_t lda)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_CUDA_BEGIN(c);
    return mlai_cuda_fill_nan(c, st, dt, MLAI_FULL, info, m, n, a, lda);
}

mla_status_t mlai_cuda_transpose(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 mlai_op_t op, int64_t m, int64_t n, const void *a, int64_t lda,
                                 void *b, int64_t ldb)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (m <= 0 || n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    int64_t tile = MLAI_TRANSPOSE_TILE(mlai_sizeof(dt));
    int64_t tiles = mlai_ceil_div(m, tile) * mlai_ceil_div(n, tile);
    mlai_grid_t grid = {.x = mlai_min(tiles, (int64_t)c->processors * 32),
                        .tx = MLAI_TRANSPOSE_X,
                        .ty = MLAI_TRANSPOSE_Y};
    mlai_transpose_args_t args = {m, n, lda, ldb, a, b, op == MLAI_C && mlai_is_complex(dt), 0};
    return mlai_cuda_launch(c, st, MLAI_K_transpose + (int)dt, grid, &args);
}

/* Groups of columns go to `work` in the other order and back. A group fits half of the
 * second-level cache, so that memory is read once and written once. */
mla_status_t mlai_cuda_permute_rows(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    const mlai_dist_t *d, bool forward, int64_t cols, void *a,
                                    int64_t lda, void *work, int64_t wcols)
{
    mlai_cuda_t *c = mlai_cuda(be);
    int64_t n = d->n, es = (int64_t)mlai_sizeof(dt);
    if (n <= 0 || cols <= 0 || mlai_dist_is_identity(d)) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    int64_t group = mlai_min(wcols, mlai_max(1, c->l2_bytes / 2 / (n * es)));
    int rows = word_of_both(dt, a, lda, work, n);
    int64_t full = n / d->lc, rest = n - full * d->lc;
    // A word must not lie across two tiles.
    if (d->nb % rows != 0 || d->lc % rows != 0 || rest % rows != 0) rows = 1;
    mlai_permute_args_t args = {.ldin = lda,
                                .ldout = n,
                                .out = work,
                                .n = (int32_t)n,
                                .lc = (int32_t)d->lc,
                                .nb = (int32_t)d->nb,
                                .full = (int32_t)full,
                                .rest = (int32_t)rest,
                                .forward = forward,
                                .rows = rows};
    for (int64_t j = 0; j < cols; j += group) {
        void *aj = mlai_at(a, dt, lda, 0, j);
        args.in = aj;
        args.cols = mlai_min(group, cols - j);
        mlai_grid_t grid = mlai_cuda_grid(c, n, args.cols, rows);
        MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_permute + (int)dt, grid, &args));
        MLAI_TRY(mlai_cuda_lacpy(be, st, dt, MLAI_FULL, n, args.cols, work, n, aj, lda));
    }
    return MLA_OK;
}

/* Sums add the parts of complex numbers one by one: a matrix of reals. */
mla_status_t mlai_cuda_sum_blocks(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                  int64_t n, int nblk, const void *in, int64_t ldin,
                                  int64_t stride, void *out, int64_t ldout)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (m <= 0 || n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    int64_t parts = mlai_is_complex(dt) ? 2 : 1;
    mla_dtype_t real = mlai_real(dt);
    int rows = word_of_both(real, in, parts * ldin, out, parts * ldout);
    if (word_of(real, in, parts * stride) == 1) rows = 1;
    mlai_sum_blocks_args_t args = {m * parts, n,   ldin * parts, stride * parts, ldout * parts,
                                   in,        out, nblk,         rows > 1};
    mlai_grid_t grid = mlai_cuda_grid(c, args.m, n, rows);
    return mlai_cuda_launch(c, st, MLAI_K_sum_blocks + (int)real, grid, &args);
}

mla_status_t mlai_cuda_log_diag(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                                const void *a, int64_t lda, double *acc)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_log_diag_args_t args = {n, lda, a, acc};
    mlai_grid_t grid = {.x = 1, .tx = MLAI_DIAG_THREADS};
    return mlai_cuda_launch(c, st, MLAI_K_log_diag + (int)dt, grid, &args);
}
