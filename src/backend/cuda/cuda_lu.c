/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_lu.c: LU factorisation: a panel by cuSOLVER, its interchanges as a list,
 * rows and columns by index, the determinant: launches of kernels/lu.cu. */
#include "backend/cuda/cuda_backend.h"

static const cudaDataType type_of[] = {CUDA_R_32F, CUDA_R_64F, CUDA_C_32F, CUDA_C_64F};

/* work: pivots of cuSOLVER (n int64), then what the list is made of (3 n int32).
 *
 * cuSOLVER's getrf drops NaN: the factor of a matrix with a NaN is finite, as if another number
 * had been there (seen on H100, CUDA 13.0, all types). So it is looked for first, and such a
 * panel becomes NaN. */
mla_status_t mlai_cuda_getrf_panel(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                   int64_t m, int64_t n, void *a, int64_t lda, int64_t first,
                                   int32_t *list, int32_t *state, void *work)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (n <= 0) return MLA_OK;
    if (m > INT32_MAX)
        return mlai_fail(be->err, MLA_SIZE, "a panel of %lld rows is too tall", (long long)m);
    MLAI_CUDA_BEGIN(c);
    int which = mlai_cuda_which(c, st);
    cusolverDnHandle_t h = c->solver_handle[which];
    int32_t *status = (int32_t *)(uintptr_t)c->status + which;
    cudaDataType type = type_of[dt];
    size_t bytes = 0, host_bytes = 0;
    void *scratch = NULL;
    double *norm = (double *)work + 3 * n;
    MLAI_TRY(mlai_cuda_norm_max(be, st, dt, m, n, a, lda, norm));
    MLAI_TRY(MLAI_CUDA_SOLVER(c, cusolverDnXgetrf_bufferSize, h, c->params, m, n, type, a, lda,
                              type, &bytes, &host_bytes));
    MLAI_TRY(mlai_cuda_host_work(c, st, host_bytes));
    MLAI_TRY(mlai_cuda_scratch(c, st, bytes, &scratch));
    MLAI_TRY(MLAI_CUDA_SOLVER(c, cusolverDnXgetrf, h, c->params, m, n, type, a, lda, work, type,
                              scratch, bytes, c->host_work, c->host_bytes, status));
    mlai_pivot_list_args_t args = {.n = (int32_t)n,
                                   .lda = lda,
                                   .first = first,
                                   .a = a,
                                   .ipiv = work,
                                   .pivot = (int32_t *)work + 2 * n,
                                   .list = list,
                                   .norm = norm, // behind the 20 n bytes of the others
                                   .nan = status,
                                   .state = state};
    mlai_grid_t one = {.x = 1, .tx = MLAI_DIAG_THREADS};
    MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_pivot_list + (int)dt, one, &args));
    return mlai_cuda_fill_nan(c, st, dt, MLAI_FULL, status, m, n, a, lda);
}

/* In groups of columns, which bound the scratch. */
mla_status_t mlai_cuda_laswp(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                             const int32_t *list, int64_t cols, void *a, int64_t lda, void *work)
{
    enum { GROUP_BYTES = 64 << 20 };
    (void)work;
    mlai_cuda_t *c = mlai_cuda(be);
    if (n <= 0 || cols <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    int64_t column = n * (int64_t)mlai_sizeof(dt);
    int64_t group = mlai_min(cols, mlai_max(1, GROUP_BYTES / column));
    mlai_laswp_args_t args = {.n = n, .lda = lda, .list = list};
    MLAI_TRY(mlai_cuda_scratch(c, st, (size_t)(group * column), &args.t));
    for (int64_t j = 0; j < cols; j += group) {
        args.a = mlai_at(a, dt, lda, 0, j);
        args.cols = mlai_min(group, cols - j);
        mlai_grid_t grid = mlai_cuda_grid(c, n, args.cols, 1);
        MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_laswp_take + (int)dt, grid, &args));
        MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_laswp_put + (int)dt, grid, &args));
    }
    return MLA_OK;
}

mla_status_t mlai_cuda_take_cols(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                 int64_t n, const int32_t *index, int64_t lo, int64_t hi,
                                 const void *a, int64_t lda, void *b, int64_t ldb)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (m <= 0 || n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_cols_args_t args = {m, n, lo, hi, lda, ldb, index, a, b};
    return mlai_cuda_launch(c, st, MLAI_K_take_cols + (int)dt, mlai_cuda_grid(c, m, n, 1), &args);
}

mla_status_t mlai_cuda_put_cols(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                int64_t n, const int32_t *index, int64_t lo, int64_t hi,
                                const void *a, int64_t lda, void *b, int64_t ldb)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (m <= 0 || n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_cols_args_t args = {m, n, lo, hi, lda, ldb, index, a, b};
    return mlai_cuda_launch(c, st, MLAI_K_put_cols + (int)dt, mlai_cuda_grid(c, m, n, 1), &args);
}

mla_status_t mlai_cuda_lu_det(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                              const void *diag, const int32_t *swaps, int sign, double *det)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_CUDA_BEGIN(c);
    mlai_lu_det_args_t args = {n, diag, swaps, det, sign, 0};
    mlai_grid_t one = {.x = 1, .tx = MLAI_DIAG_THREADS};
    return mlai_cuda_launch(c, st, MLAI_K_lu_det + (int)dt, one, &args);
}
