/* SPDX-License-Identifier: Apache-2.0
 * src/algo/stedc.h: what stedc.c (the tree) and laed1.c (a level of it) share. */
#ifndef MLAI_STEDC_H
#define MLAI_STEDC_H

#include "algo/algo.h"
#include "algo/laed2.h"

typedef struct mlai_stedc {
    mla_context_t *x;
    mlai_stream_t st;
    mla_dtype_t dt; /* of q */
    bool vectors;
    int64_t n, lr, row0, rows; /* own rows */
    char *q, *q2, *s;          /* s: tiles of S */
    int64_t ldq;
    const double *off; /* off-diagonal elements, negligible ones zero */
    mlai_columns_t cols;
    mlai_dc_level_t lv;
    int64_t *cut; /* the nodes of this level are [cut[i], cut[i+1]) */
    int64_t nodes;
    int64_t *leaf; /* device: the leaves' cuts */
    /* window: one entry for each column, in the shared levels P equal chunks */
    char *base;
    size_t z, tau, zhat, ends;
} mlai_stedc_t;

static inline int64_t mlai_tile_width(int64_t n)
{
    return mlai_max(1, mlai_min(n, MLAI_DC_TILE));
}

/* Leading dimension of k rows of S. */
static inline int64_t mlai_tile_ld(int64_t k)
{
    return mlai_ceil_div(mlai_max(1, k), MLAI_DC_ROUND) * MLAI_DC_ROUND;
}

static inline double *mlai_window(const mlai_stedc_t *s, size_t off)
{
    return (double *)(s->base + off);
}

static inline mla_status_t mlai_upload(mlai_stedc_t *s, void *dev, const void *host,
                                       int64_t count, size_t elem)
{
    if (count == 0) return MLA_OK;
    return MLAI_BE(s->x, from_host, s->st, dev, host, (size_t)count * elem);
}

static inline mla_status_t mlai_download(mlai_stedc_t *s, void *host, const void *dev,
                                         int64_t count)
{
    if (count == 0) return MLA_OK;
    return MLAI_BE(s->x, to_host, s->st, host, dev, (size_t)count * sizeof(double));
}

/* Every rank's chunk of a list in the window, `bytes` long, to all. */
static inline mla_status_t mlai_gather_chunks(mlai_stedc_t *s, size_t off, size_t bytes)
{
    return MLAI_COMM(s->x, allgather, s->st, off + (size_t)s->x->comm->rank * bytes, off, bytes);
}

/* One level of the tree: nodes 0 and 1, 2 and 3, ... become one. `shared`: on all ranks together.
 * *ok becomes false if a root was not found. */
mla_status_t mlai_laed1(mlai_stedc_t *s, bool shared, bool *ok);

#endif
