/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_dc.c: tridiagonal divide and conquer: launches of kernels/dc.cu, one or
 * two for all merges of a level; products of large merges by cuBLAS. */
#include "backend/cuda/cuda_backend.h"

enum {
    WARPS = MLAI_DC_THREADS / 32,
    OWN_PRODUCT = 1024,    /* largest merge whose products are formed by our kernel, in a batch */
    LANES_WANTED = 1 << 17 /* threads that keep all processors busy */
};

static mla_status_t launch(mlai_cuda_t *c, mlai_stream_t st, int kernel, int64_t x, int64_t y,
                           const mlai_dc_args_t *args)
{
    mlai_grid_t grid = {.x = x, .y = y, .tx = MLAI_DC_THREADS};
    return mlai_cuda_launch(c, st, kernel, grid, args);
}

/* A kernel of (32, WARPS) threads, in which a warp has a column. */
static mla_status_t launch_warps(mlai_cuda_t *c, mlai_stream_t st, int kernel, int64_t columns,
                                 int64_t y, const mlai_dc_args_t *args)
{
    mlai_grid_t grid = {.x = mlai_ceil_div(columns, WARPS), .y = y, .tx = 32, .ty = WARPS};
    return mlai_cuda_launch(c, st, kernel, grid, args);
}

/* The columns [g0, g1) that the level's nodes span; -> most rows of a node. */
static int64_t span(const mlai_dc_level_t *lv, int64_t *g0, int64_t *g1)
{
    const mlai_dc_node_t *nodes = lv->host.nodes;
    int64_t rows = 0;
    *g0 = nodes[0].o;
    *g1 = nodes[lv->nodes - 1].o + nodes[lv->nodes - 1].m;
    for (int64_t i = 0; i < lv->nodes; i++) rows = mlai_max(rows, nodes[i].r1 + nodes[i].r2);
    return rows;
}

mla_status_t mlai_cuda_dc_leaves(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, bool ends,
                                 int64_t count, const int64_t *first, int64_t nmax,
                                 const double *d, const double *e, double *w, void *q,
                                 int64_t ldq)
{
    mlai_cuda_t *c = mlai_cuda(be);
    (void)nmax;
    if (count <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_dc_leaves_args_t args = {first, d, e, w, q, ldq, ends, 0};
    mlai_grid_t grid = {.x = count, .tx = MLAI_DC_LEAF_THREADS};
    return mlai_cuda_launch(c, st, MLAI_K_dc_leaves + (int)dt, grid, &args);
}

mla_status_t mlai_cuda_dc_border(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dc_level_t *lv, bool take, void *q, int64_t ldq,
                                 double *z)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (lv->nodes == 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_dc_args_t args = {.lv = *lv, .q = q, .ldq = ldq, .out = z, .take = take};
    span(lv, &args.g0, &args.g1);
    return launch(c, st, MLAI_K_dc_border + (int)dt,
                  mlai_ceil_div(args.g1 - args.g0, MLAI_DC_THREADS), 1, &args);
}

mla_status_t mlai_cuda_dc_rotate(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dc_level_t *lv, void *q, int64_t ldq)
{
    mlai_cuda_t *c = mlai_cuda(be);
    mlai_dc_args_t args = {.lv = *lv, .q = q, .ldq = ldq};
    if (lv->chains == 0) return MLA_OK;
    const int64_t rows = span(lv, &args.g0, &args.g1);
    if (rows == 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    return launch(c, st, MLAI_K_dc_rotate + (int)dt, lv->chains,
                  mlai_min(mlai_ceil_div(rows, MLAI_DC_THREADS), UINT16_MAX), &args);
}

mla_status_t mlai_cuda_dc_gather(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dc_level_t *lv, const void *q, void *q2, int64_t ldq)
{
    mlai_cuda_t *c = mlai_cuda(be);
    mlai_dc_args_t args = {.lv = *lv, .from = q, .q = q2, .ldq = ldq};
    if (lv->nodes == 0) return MLA_OK;
    const int64_t rows = span(lv, &args.g0, &args.g1);
    MLAI_CUDA_BEGIN(c);
    return launch_warps(c, st, MLAI_K_dc_gather + (int)dt, args.g1 - args.g0,
                        mlai_ceil_div(rows, MLAI_DC_ROWS), &args);
}

mla_status_t mlai_cuda_dc_restore(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                  const mlai_dc_level_t *lv, const void *q2, const double *rows,
                                  void *q, int64_t ldq)
{
    mlai_cuda_t *c = mlai_cuda(be);
    mlai_dc_args_t args = {
        .lv = *lv, .from = q2, .q = q, .ldq = ldq, .out = (double *)(uintptr_t)rows};
    if (lv->nodes == 0) return MLA_OK;
    const int64_t most = span(lv, &args.g0, &args.g1);
    MLAI_CUDA_BEGIN(c);
    return launch_warps(c, st, MLAI_K_dc_restore + (int)dt, args.g1 - args.g0,
                        mlai_ceil_div(most, MLAI_DC_ROWS), &args);
}

/* Few roots get many lanes each. */
static mla_status_t launch_groups(mlai_cuda_t *c, mlai_stream_t st, int kernel,
                                  mlai_dc_args_t *args)
{
    const int64_t roots = args->g1 - args->g0;
    if (args->lanes == 0)
        args->lanes = roots * 8 >= LANES_WANTED ? 8 : roots * 16 >= LANES_WANTED ? 16 : 32;
    return launch(c, st, kernel, mlai_ceil_div(roots * args->lanes, MLAI_DC_THREADS), 1, args);
}

mla_status_t mlai_cuda_dc_secular(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                                  int64_t g0, int64_t g1)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (g0 >= g1) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_dc_args_t args = {.lv = *lv, .g0 = g0, .g1 = g1};
    return launch_groups(c, st, MLAI_K_dc_secular, &args);
}

mla_status_t mlai_cuda_dc_zhat(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                               int64_t g0, int64_t g1)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (lv->roots == 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_dc_args_t args = {.lv = *lv, .g0 = g0, .g1 = g1};
    MLAI_TRY(
        launch(c, st, MLAI_K_dc_origin, mlai_ceil_div(lv->roots, MLAI_DC_THREADS), 1, &args));
    return g0 < g1 ? launch_groups(c, st, MLAI_K_dc_zhat, &args) : MLA_OK;
}

mla_status_t mlai_cuda_dc_rows(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                               int64_t g0, int64_t g1, const double *q2, double *rows)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (g0 >= g1) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    mlai_dc_args_t args = {.lv = *lv, .from = q2, .out = rows, .g0 = g0, .g1 = g1, .lanes = 32};
    return launch_groups(c, st, MLAI_K_dc_rows, &args);
}

/* A tile's two products by cuBLAS. */
static mla_status_t product(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                            const mlai_dc_node_t *node, const mlai_dc_tile_t *tile, void *s,
                            const void *q2, void *q, int64_t ldq)
{
    const int64_t upper = node->row, lower = node->row + node->r1;
    const int64_t o = node->o, c1 = node->c1, out = o + tile->first;
    if (tile->ld1 > 0)
        MLAI_TRY(mlai_cuda_gemm(be, st, dt, MLAI_N, MLAI_N, node->r1, tile->width, c1 + node->c2,
                                1.0, mlai_at(q2, dt, ldq, upper, o), ldq,
                                mlai_at(s, dt, 1, tile->at1, 0), tile->ld1, 0.0,
                                mlai_at(q, dt, ldq, upper, out), ldq));
    if (tile->ld2 == 0) return MLA_OK;
    return mlai_cuda_gemm(be, st, dt, MLAI_N, MLAI_N, node->r2, tile->width, node->k - c1, 1.0,
                          mlai_at(q2, dt, ldq, lower, o + c1), ldq,
                          mlai_at(s, dt, 1, tile->at2, 0), tile->ld2, 0.0,
                          mlai_at(q, dt, ldq, lower, out), ldq);
}

mla_status_t mlai_cuda_dc_merge(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                const mlai_dc_level_t *lv, int64_t t0, int64_t t1, void *s,
                                const void *q2, void *q, int64_t ldq)
{
    mlai_cuda_t *c = mlai_cuda(be);
    int64_t width = 0, rows = 0, largest = 0;
    if (t0 >= t1) return MLA_OK;
    for (int64_t t = t0; t < t1; t++) {
        const mlai_dc_node_t *node = &lv->host.nodes[lv->host.tiles[t].node];
        width = mlai_max(width, lv->host.tiles[t].width);
        rows = mlai_max(rows, mlai_max(node->r1, node->r2));
        largest = mlai_max(largest, node->m);
    }
    MLAI_CUDA_BEGIN(c);
    mlai_dc_args_t args = {.lv = *lv, .from = q2, .q = q, .s = s, .ldq = ldq, .g0 = t0, .g1 = t1};
    MLAI_TRY(launch_warps(c, st, MLAI_K_dc_vectors + (int)dt, width,
                          mlai_min(t1 - t0, UINT16_MAX), &args));
    if (largest > OWN_PRODUCT) {
        for (int64_t t = t0; t < t1; t++)
            MLAI_TRY(product(be, st, dt, &lv->host.nodes[lv->host.tiles[t].node],
                             &lv->host.tiles[t], s, q2, q, ldq));
        return MLA_OK;
    }
    const int64_t blocks = mlai_ceil_div(rows, MLAI_DC_SIDE) * mlai_ceil_div(width, MLAI_DC_SIDE);
    const int64_t most = UINT16_MAX / 2; // tiles of a launch
    for (args.g0 = t0; args.g0 < t1; args.g0 += most) {
        mlai_grid_t grid = {.x = blocks, .y = 2 * mlai_min(most, t1 - args.g0), .tx = 256};
        MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_dc_product + (int)dt, grid, &args));
    }
    return MLA_OK;
}
