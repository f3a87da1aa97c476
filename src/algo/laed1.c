/* SPDX-License-Identifier: Apache-2.0
 * src/algo/laed1.c: one level of divide and conquer, all its merges together (see stedc.c). */
#include "algo/stedc.h"

static int64_t clamp(int64_t i, int64_t lo, int64_t hi)
{
    return mlai_max(lo, mlai_min(i, hi));
}

/* The merge of nodes i and i + 1 of this level, without its roots. */
static mlai_dc_node_t new_node(const mlai_stedc_t *s, int64_t i)
{
    const int64_t o = s->cut[i], middle = s->cut[i + 1], end = s->cut[i + 2];
    mlai_dc_node_t node = {.o = o, .n1 = middle - o, .m = end - o};
    if (s->vectors) {
        const int64_t lo = s->row0, hi = s->row0 + s->rows;
        const int64_t r = clamp(middle, lo, hi);
        node.row = clamp(o, lo, hi) - lo;
        node.r1 = r - clamp(o, lo, hi);
        node.r2 = clamp(end, lo, hi) - r;
        node.z1 = middle - 1 >= lo && middle - 1 < hi ? middle - 1 - lo : -1;
        node.z2 = middle >= lo && middle < hi ? middle - lo : -1;
    } else {
        node.r1 = node.r2 = 1;
        node.z1 = 1, node.z2 = 0; // last of the first child, first of the second
    }
    return node;
}

/* z of all merges, on the host. In shared levels the owners of the two rows send them. */
static mla_status_t border(mlai_stedc_t *s, bool shared, int64_t merges)
{
    mla_context_t *x = s->x;
    for (int64_t i = 0; i < merges; i++) s->lv.host.nodes[i] = new_node(s, 2 * i);
    s->lv.nodes = merges;
    MLAI_TRY(mlai_upload(s, s->lv.dev.nodes, s->lv.host.nodes, merges, sizeof *s->lv.host.nodes));
    MLAI_TRY(MLAI_BE(x, dc_border, s->st, s->dt, &s->lv, !s->vectors, s->q, s->ldq,
                     mlai_window(s, s->z)));
    for (int64_t i = 0; shared && s->vectors && i < merges; i++) {
        const mlai_dc_node_t *node = &s->lv.host.nodes[i];
        const int64_t middle = node->o + node->n1;
        MLAI_TRY(MLAI_COMM(x, bcast, s->st, s->z + 8 * (size_t)node->o, 8 * (size_t)node->n1,
                           (int)((middle - 1) / s->lr)));
        MLAI_TRY(MLAI_COMM(x, bcast, s->st, s->z + 8 * (size_t)middle,
                           8 * (size_t)(node->m - node->n1), (int)(middle / s->lr)));
    }
    const int64_t first = s->cut[0], count = s->cut[s->nodes] - first;
    MLAI_TRY(mlai_download(s, s->cols.z + first, mlai_window(s, s->z) + first, count));
    return MLAI_BE(x, sync, s->st);
}

/* Deflates all merges and sends their lists to the device. */
static mla_status_t deflate(mlai_stedc_t *s, int64_t merges)
{
    mlai_dc_level_t *lv = &s->lv;
    const mlai_dc_lists_t *h = &lv->host, *dev = &lv->dev;
    lv->nodes = lv->roots = lv->rotations = lv->chains = lv->tiles = 0;
    for (int64_t i = 0; i < merges; i++)
        mlai_laed2(&s->cols, lv, new_node(s, 2 * i), s->off[s->cut[2 * i + 1] - 1]);
    const int64_t first = s->cut[0], count = lv->nodes ? s->cut[s->nodes] - first : 0;
    MLAI_TRY(mlai_upload(s, dev->nodes, h->nodes, lv->nodes, sizeof *h->nodes));
    MLAI_TRY(mlai_upload(s, dev->pole, h->pole, lv->roots, sizeof *h->pole));
    MLAI_TRY(mlai_upload(s, dev->weight, h->weight, lv->roots, sizeof *h->weight));
    MLAI_TRY(mlai_upload(s, dev->spole, h->spole, lv->roots, sizeof *h->spole));
    MLAI_TRY(mlai_upload(s, dev->row, h->row, lv->roots, sizeof *h->row));
    MLAI_TRY(mlai_upload(s, dev->src + first, h->src + first, count, sizeof *h->src));
    MLAI_TRY(mlai_upload(s, dev->rotations, h->rotations, lv->rotations, sizeof *h->rotations));
    return mlai_upload(s, dev->chains, h->chains, lv->chains, sizeof *h->chains);
}

/* This rank's share of the level's roots is [*g0, *g1), in chunks of the returned size. */
static int64_t share(const mlai_stedc_t *s, bool shared, int64_t *g0, int64_t *g1)
{
    const int64_t roots = s->lv.roots;
    const int64_t chunk = shared ? mlai_ceil_div(roots, s->x->comm->nranks) : roots;
    *g0 = shared ? mlai_min(roots, s->x->comm->rank * chunk) : 0;
    *g1 = mlai_min(roots, *g0 + chunk);
    return chunk;
}

/* Roots, and the z that makes them exact. */
static mla_status_t roots(mlai_stedc_t *s, bool shared)
{
    int64_t g0, g1;
    const size_t bytes = 8 * (size_t)share(s, shared, &g0, &g1);
    MLAI_TRY(MLAI_BE(s->x, dc_secular, s->st, &s->lv, g0, g1));
    if (shared) MLAI_TRY(mlai_gather_chunks(s, s->tau, bytes));
    MLAI_TRY(mlai_download(s, s->cols.z, s->lv.tau, s->lv.roots));
    MLAI_TRY(MLAI_BE(s->x, dc_zhat, s->st, &s->lv, g0, g1));
    return shared ? mlai_gather_chunks(s, s->zhat, bytes) : MLA_OK;
}

/* Cuts the S of node i into tiles, from element *used of their space on; a tile that does not fit
 * starts at its beginning again. */
static void cut_tiles(mlai_stedc_t *s, int64_t i, int64_t *used)
{
    const int64_t space = mlai_tile_ld(s->n) * mlai_tile_width(s->n);
    const mlai_dc_node_t *node = &s->lv.host.nodes[i];
    const int64_t k = node->k, c1 = node->c1;
    const int64_t ld1 = node->r1 > 0 ? mlai_tile_ld(c1 + node->c2) : 0;
    const int64_t ld2 = node->r2 > 0 ? mlai_tile_ld(k - c1) : 0, ld = ld1 + ld2;
    if (ld == 0) return;
    // All of it, or equal parts.
    const int64_t most = space / ld, parts = mlai_ceil_div(k, most);
    const int64_t width = mlai_ceil_div(k, parts);
    for (int64_t j = 0; j < k; j += width) {
        const int64_t w = mlai_min(width, k - j);
        if (*used + ld * w > space) *used = 0;
        s->lv.host.tiles[s->lv.tiles++] = (mlai_dc_tile_t){.node = i,
                                                           .first = j,
                                                           .width = w,
                                                           .at1 = *used,
                                                           .ld1 = ld1,
                                                           .at2 = *used + ld1 * w,
                                                           .ld2 = ld2};
        *used += ld * w;
    }
}

/* Q := Q2 S. As many columns of S at a time as its space holds: in low levels many merges. */
static mla_status_t merge(mlai_stedc_t *s)
{
    mlai_dc_level_t *lv = &s->lv;
    const mlai_dc_tile_t *tile = lv->host.tiles;
    int64_t used = 0;
    for (int64_t i = 0; i < lv->nodes; i++) cut_tiles(s, i, &used);
    MLAI_TRY(mlai_upload(s, lv->dev.tiles, tile, lv->tiles, sizeof *tile));
    // A round ends where the space is used from its beginning again.
    for (int64_t t0 = 0, t1; t0 < lv->tiles; t0 = t1) {
        for (t1 = t0 + 1; t1 < lv->tiles && tile[t1].at1 > 0; t1++) {
        }
        MLAI_TRY(MLAI_BE(s->x, dc_merge, s->st, s->dt, lv, t0, t1, s->s, s->q2, s->q, s->ldq));
    }
    return MLA_OK;
}

/* The same for the two rows; in shared levels each rank forms a share of the columns. */
static mla_status_t merge_rows(mlai_stedc_t *s, bool shared)
{
    int64_t g0, g1;
    const size_t bytes = 16 * (size_t)share(s, shared, &g0, &g1);
    MLAI_TRY(MLAI_BE(s->x, dc_rows, s->st, &s->lv, g0, g1, (const double *)s->q2,
                     mlai_window(s, s->ends)));
    return shared ? mlai_gather_chunks(s, s->ends, bytes) : MLA_OK;
}

mla_status_t mlai_laed1(mlai_stedc_t *s, bool shared, bool *ok)
{
    mla_context_t *x = s->x;
    const int64_t merges = s->nodes / 2;
    // The window's lists of the last level are read no more.
    if (shared) MLAI_TRY(MLAI_COMM(x, reuse, s->st, x->comm->seq));
    MLAI_TRY(border(s, shared, merges));
    MLAI_TRY(deflate(s, merges));
    if (s->lv.nodes > 0) {
        MLAI_TRY(MLAI_BE(x, dc_rotate, s->st, s->dt, &s->lv, s->q, s->ldq));
        MLAI_TRY(MLAI_BE(x, dc_gather, s->st, s->dt, &s->lv, s->q, s->q2, s->ldq));
        MLAI_TRY(roots(s, shared));
        MLAI_TRY(s->vectors ? merge(s) : merge_rows(s, shared));
        MLAI_TRY(MLAI_BE(x, dc_restore, s->st, s->dt, &s->lv, s->q2,
                         s->vectors ? NULL : mlai_window(s, s->ends), s->q, s->ldq));
        MLAI_TRY(MLAI_BE(x, sync, s->st));
    }
    for (int64_t i = 0; i < s->lv.nodes; i++)
        if (!mlai_laed2_roots(&s->cols, &s->lv, i, s->cols.z)) *ok = false;
    for (int64_t i = 0; 2 * i < s->nodes; i++) s->cut[i] = s->cut[2 * i];
    s->cut[merges + s->nodes % 2] = s->cut[s->nodes];
    s->nodes = merges + s->nodes % 2;
    return MLA_OK;
}
