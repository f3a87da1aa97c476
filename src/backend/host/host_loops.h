/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_loops.h: what the host backend does without BLAS: moving, setting,
 * transposing, sums. Arguments as in backend.h. */
#ifndef MLAI_HOST_LOOPS_H
#define MLAI_HOST_LOOPS_H

#include "backend/backend.h"

void mlai_host_lacpy(mla_dtype_t dt, mlai_uplo_t uplo, int64_t m, int64_t n, const void *a,
                     int64_t lda, void *b, int64_t ldb);
void mlai_host_laset(mla_dtype_t dt, mlai_uplo_t uplo, int64_t m, int64_t n, double off,
                     double diag, void *a, int64_t lda);
void mlai_host_transpose(mla_dtype_t dt, bool conjugate, int64_t m, int64_t n, const void *a,
                         int64_t lda, void *b, int64_t ldb);
void mlai_host_permute_rows(mla_dtype_t dt, const mlai_dist_t *d, bool forward, int64_t cols,
                            void *a, int64_t lda, void *work, int64_t wcols);
void mlai_host_sum_blocks(mla_dtype_t dt, int64_t m, int64_t n, int nblk, const void *in,
                          int64_t ldin, int64_t stride, void *out, int64_t ldout);
/* NaN in the part of a. */
void mlai_host_fill_nan(mla_dtype_t dt, mlai_uplo_t uplo, int64_t m, int64_t n, void *a,
                        int64_t lda);
/* Real part of element (j, j). */
double mlai_host_diag(mla_dtype_t dt, const void *a, int64_t lda, int64_t j);

#endif
