/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_dc.h: the entries of tridiagonal divide and conquer; see backend.h. */
#ifndef MLAI_HOST_DC_H
#define MLAI_HOST_DC_H

#include "backend/backend.h"

mla_status_t mlai_host_dc_leaves(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, bool ends,
                                 int64_t count, const int64_t *first, int64_t nmax,
                                 const double *d, const double *e, double *w, void *q,
                                 int64_t ldq);
mla_status_t mlai_host_dc_border(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dc_level_t *lv, bool take, void *q, int64_t ldq,
                                 double *z);
mla_status_t mlai_host_dc_rotate(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dc_level_t *lv, void *q, int64_t ldq);
mla_status_t mlai_host_dc_gather(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dc_level_t *lv, const void *q, void *q2, int64_t ldq);
mla_status_t mlai_host_dc_secular(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                                  int64_t g0, int64_t g1);
mla_status_t mlai_host_dc_zhat(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                               int64_t g0, int64_t g1);
mla_status_t mlai_host_dc_merge(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                const mlai_dc_level_t *lv, int64_t t0, int64_t t1, void *s,
                                const void *q2, void *q, int64_t ldq);
mla_status_t mlai_host_dc_rows(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                               int64_t g0, int64_t g1, const double *q2, double *rows);
mla_status_t mlai_host_dc_restore(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                  const mlai_dc_level_t *lv, const void *q2, const double *rows,
                                  void *q, int64_t ldq);

#endif
