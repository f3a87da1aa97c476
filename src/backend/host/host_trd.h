/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_trd.h: table entries of the reduction to tridiagonal form and back. */
#ifndef MLAI_HOST_TRD_H
#define MLAI_HOST_TRD_H

#include "backend/backend.h"

mla_status_t mlai_host_norm_max(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                int64_t n, const void *a, int64_t lda, double *out);
mla_status_t mlai_host_lascl(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                             int64_t n, double factor, void *a, int64_t lda);
mla_status_t mlai_host_lacpy_real(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                  int64_t n, const void *a, int64_t lda, void *b, int64_t ldb);
mla_status_t mlai_host_hetrd_column(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    const mlai_trd_t *t, int64_t j);
mla_status_t mlai_host_hetrd_product(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                     const mlai_trd_t *t, int64_t j);
mla_status_t mlai_host_larft_diag(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                                  const void *tau, void *a, int64_t lda);
mla_status_t mlai_host_geqrt(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                             int64_t n, void *a, int64_t lda, void *t, int64_t ldt, void *work);

#endif
