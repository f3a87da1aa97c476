/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_backend.h: what the files of the host backend share. */
#ifndef MLAI_HOST_BACKEND_H
#define MLAI_HOST_BACKEND_H

#include "backend/backend.h"
#include "backend/host/host_blas.h"

typedef struct mlai_host {
    mlai_backend_t base;
    const mlai_blas_t *blas;
    bool alone; /* the only rank: BLAS may use all its threads */
    mla_alloc_fn alloc;
    mla_free_fn free;
    void *user;
} mlai_host_t;

static inline mlai_host_t *mlai_host(mlai_backend_t *be)
{
    return (mlai_host_t *)be;
}

/* A scalar in the type of the matrices, for BLAS. */
typedef union mlai_scalar {
    float s[2];
    double d[2];
} mlai_scalar_t;

static inline mlai_scalar_t mlai_scalar(mla_dtype_t dt, double value)
{
    if (mlai_real(dt) == MLA_FLOAT32) return (mlai_scalar_t){.s = {(float)value, 0}};
    return (mlai_scalar_t){.d = {value, 0}};
}

/* BLAS calls: MLAI_BLAS(host, gemm, dt, arguments...) calls the routine for dt, with one thread
 * unless this rank is alone. */
#define MLAI_BLAS(host, routine, dt, ...)       \
    do {                                        \
        if (!(host)->alone) mlai_blas_enter();  \
        (host)->blas->routine[dt](__VA_ARGS__); \
        if (!(host)->alone) mlai_blas_leave();  \
    } while (0)

/* MLA_SIZE unless every one of the extents fits the 32-bit integers of BLAS. */
mla_status_t mlai_host_fits(mlai_backend_t *be, int count, const int64_t *extent);
#define MLAI_HOST_FITS(be, ...)                                                   \
    mlai_host_fits(be, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                   (const int64_t[]){__VA_ARGS__})

#endif
