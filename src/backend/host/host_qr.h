/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_qr.h: table entries of QR. */
#ifndef MLAI_HOST_QR_H
#define MLAI_HOST_QR_H

#include "backend/backend.h"

mla_status_t mlai_host_unhr_tile(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_unhr_t *t);
mla_status_t mlai_host_geqr2_column(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    const mlai_geqr2_t *t);

#endif
