/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_lu.h: the operations of LU factorisation; as in backend.h. */
#ifndef MLAI_HOST_LU_H
#define MLAI_HOST_LU_H

#include "backend/backend.h"

mla_status_t mlai_host_getrf_panel(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                   int64_t m, int64_t n, void *a, int64_t lda, int64_t first,
                                   int32_t *list, int32_t *state, void *work);
mla_status_t mlai_host_laswp(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                             const int32_t *list, int64_t cols, void *a, int64_t lda, void *work);
mla_status_t mlai_host_take_cols(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                 int64_t n, const int32_t *index, int64_t lo, int64_t hi,
                                 const void *a, int64_t lda, void *b, int64_t ldb);
mla_status_t mlai_host_put_cols(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                int64_t n, const int32_t *index, int64_t lo, int64_t hi,
                                const void *a, int64_t lda, void *b, int64_t ldb);
mla_status_t mlai_host_lu_det(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                              const void *diag, const int32_t *swaps, int sign, double *det);

#endif
