/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_qr.c: the small steps of QR on a CPU: Householder vectors from
 * orthonormal columns, and the scalars of one Householder column. The large ones are products.
 *
 * Reconstruction: Ballard, Demmel, Grigori, Jacquelin, Nguyen, Solomonik, "Reconstructing
 * Householder vectors from tall-skinny QR", IPDPS 2014. */
#include "backend/host/host_qr.h"

#include <float.h>
#include <math.h>

#define NAME(f) f##_f32
#define R float
#define UNIT (FLT_EPSILON / 2)
#include "backend/host/host_qr_tmpl.h"
#undef NAME
#undef R
#undef UNIT
#define NAME(f) f##_f64
#define R double
#define UNIT (DBL_EPSILON / 2)
#include "backend/host/host_qr_tmpl.h"

mla_status_t mlai_host_unhr_tile(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_unhr_t *t)
{
    (void)be, (void)st;
    int nv = mlai_is_complex(dt) ? 2 : 1;
    if (mlai_real(dt) == MLA_FLOAT32)
        unhr_f32(t, nv);
    else
        unhr_f64(t, nv);
    return MLA_OK;
}

mla_status_t mlai_host_geqr2_column(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                    const mlai_geqr2_t *t)
{
    (void)be, (void)st;
    int nv = mlai_is_complex(dt) ? 2 : 1;
    if (mlai_real(dt) == MLA_FLOAT32)
        geqr2_f32(t, nv);
    else
        geqr2_f64(t, nv);
    return MLA_OK;
}
