/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_chase.c: the bulge chase and its back-transformation. */
#include "backend/cuda/cuda_backend.h"

mla_status_t mlai_cuda_hb2st(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                             const mlai_chase_t *t, double *diag, double *off)
{
    (void)st, (void)dt, (void)t, (void)diag, (void)off;
    return mlai_fail(be->err, MLA_UNSUPPORTED, "the bulge chase has no kernels yet");
}

mla_status_t mlai_cuda_unmtr_hb2st(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                   const mlai_chase_t *t, int64_t g, const void *v, int64_t cols,
                                   void *z, int64_t ldz, void *work)
{
    (void)st, (void)dt, (void)t, (void)g, (void)v, (void)cols, (void)z, (void)ldz, (void)work;
    return mlai_fail(be->err, MLA_UNSUPPORTED, "the bulge chase has no kernels yet");
}
