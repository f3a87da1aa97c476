/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_chase.h: table entries of the bulge chase and its back-transformation. */
#ifndef MLAI_HOST_CHASE_H
#define MLAI_HOST_CHASE_H

#include "backend/backend.h"

mla_status_t mlai_host_hb2st(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                             const mlai_chase_t *t, double *diag, double *off);
mla_status_t mlai_host_unmtr_hb2st(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                   const mlai_chase_t *t, int64_t g, const void *v, int64_t cols,
                                   void *z, int64_t ldz, void *work);

#endif
