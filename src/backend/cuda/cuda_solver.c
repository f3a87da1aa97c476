/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_solver.c: Cholesky factor of a tile, and the eigenproblem of one rank, by
 * cuSOLVER. The factor waits for nothing: cuSOLVER's info stays in device memory, where a kernel
 * folds it into the caller's and the factor becomes NaN if it says so. */
#include <stdlib.h>

#include "backend/cuda/cuda_backend.h"

static const cudaDataType type_of[] = {CUDA_R_32F, CUDA_R_64F, CUDA_C_32F, CUDA_C_64F};

/* Host work space of cuSOLVER: none for potrf in the versions known, so growing is rare. Work
 * that is under way may still use the old one. */
mla_status_t mlai_cuda_host_work(mlai_cuda_t *c, mlai_stream_t st, size_t bytes)
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
    MLAI_TRY(mlai_cuda_host_work(c, st, host_bytes));
    MLAI_TRY(mlai_cuda_scratch(c, st, bytes, &work));
    MLAI_TRY(MLAI_CUDA_SOLVER(c, cusolverDnXpotrf, h, c->params, lower, n, type, a, lda, type,
                              work, bytes, c->host_work, c->host_bytes, status));
    mlai_potrf_info_args_t args = {n, lda, first, a, status, info};
    mlai_grid_t one = {.x = 1, .tx = MLAI_DIAG_THREADS};
    MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_potrf_info + (int)dt, one, &args));
    return mlai_cuda_fill_nan(c, st, dt, MLAI_LOWER, status, n, n, a, lda);
}

mla_status_t mlai_cuda_syevd(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, bool vectors,
                             int64_t n, void *a, int64_t lda, void *w, int32_t *info)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    int which = mlai_cuda_which(c, st);
    cusolverDnHandle_t h = c->solver_handle[which];
    const cusolverEigMode_t mode =
        vectors ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
    const cublasFillMode_t lower = CUBLAS_FILL_MODE_LOWER;
    cudaDataType type = type_of[dt], real = type_of[mlai_real(dt)];
    size_t bytes = 0, host_bytes = 0;
    void *work = NULL;
    MLAI_TRY(MLAI_CUDA_SOLVER(c, cusolverDnXsyevd_bufferSize, h, c->params, mode, lower, n, type,
                              a, lda, real, w, type, &bytes, &host_bytes));
    MLAI_TRY(mlai_cuda_host_work(c, st, host_bytes));
    MLAI_TRY(mlai_cuda_scratch(c, st, bytes, &work));
    return MLAI_CUDA_SOLVER(c, cusolverDnXsyevd, h, c->params, mode, lower, n, type, a, lda, real,
                            w, type, work, bytes, c->host_work, c->host_bytes, info);
}
