/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_solver.c: tile operations: Cholesky by cuSOLVER, the triangular inverse
 * out of one kernel and products.
 *
 * Nothing waits for the device: cuSOLVER's info stays in device memory, where a kernel folds it
 * into the caller's and the factor becomes NaN if it says so. */
#include <stdlib.h>

#include "backend/cuda/cuda_backend.h"

static const cudaDataType type_of[] = {CUDA_R_32F, CUDA_R_64F, CUDA_C_32F, CUDA_C_64F};

/* Host work space of cuSOLVER: none for potrf in the versions known, so growing is rare. Work
 * that is under way may still use the old one. */
static mla_status_t host_work(mlai_cuda_t *c, mlai_stream_t st, size_t bytes)
{
    if (bytes <= c->host_bytes) return MLA_OK;
    MLAI_TRY(MLAI_CUDA_CU(c, cuStreamSynchronize, (CUstream)st));
    free(c->host_work);
    c->host_work = malloc(bytes);
    c->host_bytes = c->host_work ? bytes : 0;
    if (c->host_work) return MLA_OK;
    return mlai_fail(c->base.err, MLA_NOMEM, "out of host memory: %zu bytes for cuSOLVER", bytes);
}

mla_status_t mlai_cuda_potrf_tile(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                                  void *a, int64_t lda, int64_t first, int32_t *info)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    int which = mlai_cuda_which(c, st);
    cusolverDnHandle_t h = c->solver_handle[which];
    int32_t *status = (int32_t *)(uintptr_t)c->status + which;
    const cublasFillMode_t lower = CUBLAS_FILL_MODE_LOWER;
    cudaDataType type = type_of[dt];
    size_t bytes = 0, host_bytes = 0;
    void *work = NULL;
    MLAI_TRY(MLAI_CUDA_SOLVER(c, cusolverDnXpotrf_bufferSize, h, c->params, lower, n, type, a,
                              lda, type, &bytes, &host_bytes));
    MLAI_TRY(host_work(c, st, host_bytes));
    MLAI_TRY(mlai_cuda_scratch(c, st, bytes, &work));
    MLAI_TRY(MLAI_CUDA_SOLVER(c, cusolverDnXpotrf, h, c->params, lower, n, type, a, lda, type,
                              work, bytes, c->host_work, c->host_bytes, status));
    mlai_potrf_info_args_t args = {n, lda, first, a, status, info};
    mlai_grid_t one = {.x = 1, .tx = MLAI_DIAG_THREADS};
    MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_potrf_info + (int)dt, one, &args));
    return mlai_cuda_fill_nan(c, st, dt, MLAI_LOWER, status, n, n, a, lda);
}

/* Inverses of diagonal blocks of `s` columns become those of 2 s columns:
 *
 *     [ L11     ]^-1     [ W11                ]
 *     [ L21 L22 ]     =  [ -W22 (L21 W11)  W22 ]
 *
 * all pairs of full width at once, then the last pair if it is narrower. t: n/2 x s. */
static mla_status_t pair_up(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                            int64_t s, const void *a, int64_t lda, void *b, int64_t ldb, void *t)
{
    int64_t full = n / (2 * s);
    for (int last = 0; last < 2; last++) {
        int64_t k = last ? full * 2 * s : 0, below = last ? n - k - s : s;
        if (below <= 0 || (!last && full == 0)) continue;
        const void *a21 = mlai_at(a, dt, lda, k + s, k);
        const void *w11 = mlai_at(b, dt, ldb, k, k), *w22 = mlai_at(b, dt, ldb, k + s, k + s);
        void *w21 = mlai_at(b, dt, ldb, k + s, k);
        int64_t count = last ? 1 : full, step = 2 * s;
        mlai_batch_t first = {count, step * (lda + 1), step * (ldb + 1), s * s};
        mlai_batch_t second = {count, step * (ldb + 1), s * s, step * (ldb + 1)};
        MLAI_TRY(mlai_cuda_gemm_batch(c, st, dt, MLAI_N, MLAI_N, below, s, s, 1.0, a21, lda, w11,
                                      ldb, 0.0, t, s, first));
        MLAI_TRY(mlai_cuda_gemm_batch(c, st, dt, MLAI_N, MLAI_N, below, s, below, -1.0, w22, ldb,
                                      t, s, 0.0, w21, ldb, second));
    }
    return MLA_OK;
}

/* 2/3 n^3 flops, twice the least, all but a few in products. */
mla_status_t mlai_cuda_trtri_tile(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                                  const void *a, int64_t lda, void *b, int64_t ldb)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_trtri_leaf_args_t args = {n, lda, ldb, a, b};
    mlai_grid_t grid = {.x = mlai_ceil_div(n, MLAI_LEAF), .tx = MLAI_LEAF * MLAI_LEAF_WARPS};
    MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_trtri_leaf + (int)dt, grid, &args));
    if (n <= MLAI_LEAF) return MLA_OK;
    // The pairs of one width need n/2 x s, s <= widest, and n <= 2 widest.
    int64_t widest = MLAI_LEAF;
    while (2 * widest < n) widest *= 2;
    void *t = NULL;
    MLAI_TRY(mlai_cuda_scratch(c, st, mlai_size_mat(widest, widest, mlai_sizeof(dt)), &t));
    for (int64_t s = MLAI_LEAF; s < n; s *= 2)
        MLAI_TRY(pair_up(c, st, dt, n, s, a, lda, b, ldb, t));
    return MLA_OK;
}
