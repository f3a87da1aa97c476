/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_qr.c: the small steps of QR: launches of kernels/qr.cu. */
#include "backend/cuda/cuda_backend.h"

mla_status_t mlai_cuda_unhr_tile(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_unhr_t *t)
{
    mlai_cuda_t *c = mlai_cuda(be);
    enum { MOST = MLAI_UNHR_SIDE * MLAI_UNHR_EACH };
    if (t->n > MOST)
        return mlai_fail(be->err, MLA_SIZE, "a panel of %lld columns, expected at most %d",
                         (long long)t->n, MOST);
    MLAI_CUDA_BEGIN(c);
    mlai_unhr_args_t args = {t->n, t->ldq, t->gram, t->q, t->u, t->t, t->r, t->flag, t->last, 0};
    mlai_grid_t grid = {.x = 1, .tx = MLAI_UNHR_THREADS};
    return mlai_cuda_launch(c, st, MLAI_K_unhr + (int)dt, grid, &args);
}

mla_status_t mlai_cuda_geqr2_column(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    const mlai_geqr2_t *t)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_CUDA_BEGIN(c);
    mlai_geqr2_args_t args = {t->n,     t->stride, t->part, t->pivot, t->coef,
                              t->scale, t->tau,    t->nblk, 0};
    mlai_grid_t grid = {.x = 1, .tx = MLAI_GEQR2_THREADS};
    return mlai_cuda_launch(c, st, MLAI_K_geqr2 + (int)dt, grid, &args);
}
