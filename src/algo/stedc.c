/* SPDX-License-Identifier: Apache-2.0
 * src/algo/stedc.c: eigenpairs of a symmetric tridiagonal matrix by divide and conquer, with Q in
 * row slabs.
 *
 *     T = diag(T1, T2) + rho v v^T                      Cuppen: cut at one off-diagonal element
 *       = diag(Q1, Q2) (D + rho z z^T) diag(Q1, Q2)^T   z: last row of Q1, first row of Q2
 *       = (diag(Q1, Q2) S) W (...)^T                    W: roots of the secular equation; S from
 * W
 *
 * Rank p has rows [p lr, (p+1) lr) of Q, lr = ceil(n/P), and all columns. The leaves and the
 * lower levels of the tree lie inside the rows of one rank: each rank works on its own, without a
 * message. Then log2 P levels join neighbouring ranks. A level (laed1.c) is done as a whole, all
 * its merges in one call of each kind:
 *
 *     border    z: two rows of Q, broadcast by their owners
 *     laed2     deflation, on every rank's host: equal data, equal decisions
 *     rotate    Givens rotations of deflation, on columns of Q
 *     gather    Q2 := columns of Q: of child 1 | of both | of child 2 | deflated
 *     secular   roots w_j = pole + tau_j, split over the ranks, all-gathered
 *     zhat      the z of which these are the exact roots, split and all-gathered
 *     merge     own rows of Q := Q2 S; S is made tile by tile, in the type of Q
 *     restore   deflated columns back
 *
 * Columns stay where they are; `order` lists them by ascending eigenvalue, until one gather at
 * the end. Values alone: the same tree with a Q of two rows, the first and the last of each node,
 * which all ranks know.
 *
 * Scalars are double whatever the type of Q. A root that is not found is NaN, which travels with
 * the roots: all ranks see it and stop with info. The host waits for the device twice a level.
 *
 * At most 4/3 n^3 flops of GEMM (less by deflation), divided by P; 3 n doubles to each rank in
 * each of the log2 P levels; scratch: a tile of S, n x 512, and O(n). Cuppen 1981; Gu and
 * Eisenstat 1995; LAPACK stedc, laed0 to laed4. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/stedc.h"

enum { INFO_NOT_FINITE = 1, INFO_NOT_CONVERGED = 2 };

/* ---- work spaces ------------------------------------------------------------------------- */

typedef struct arena {
    char *base; /* NULL: only count */
    size_t used;
} arena_t;

static void *take(arena_t *a, int64_t count, size_t elem)
{
    void *p = a->base ? a->base + a->used : NULL;
    a->used = mlai_size_add(a->used, mlai_size_align(mlai_size_mat(count, 1, elem)));
    return p;
}

static int64_t leaf_count(int64_t len)
{
    int64_t leaves = 1;
    while (len > MLAI_DC_LEAF * leaves) leaves *= 2;
    return leaves;
}

/* Cut i of `len` rows in leaf_count(len) pieces: multiples of 4, so that columns start aligned.
 */
static int64_t leaf_cut(int64_t len, int64_t leaves, int64_t i)
{
    return mlai_min(len, 4 * mlai_ceil_div(len * i, 4 * leaves));
}

/* Most nodes of a level. */
static int64_t most_nodes(int nranks, int64_t lr)
{
    return mlai_max(nranks, leaf_count(lr));
}

static mlai_dc_lists_t take_lists(arena_t *a, int64_t n, int64_t nodes)
{
    mlai_dc_lists_t lists;
    lists.nodes = take(a, nodes, sizeof *lists.nodes);
    lists.pole = take(a, n, sizeof *lists.pole);
    lists.weight = take(a, n, sizeof *lists.weight);
    lists.spole = take(a, n, sizeof *lists.spole);
    lists.row = take(a, n, sizeof *lists.row);
    lists.src = take(a, n, sizeof *lists.src);
    lists.rotations = take(a, n, sizeof *lists.rotations);
    lists.chains = take(a, n, sizeof *lists.chains);
    // A node in more than one tile has at most 1 + 4 k / width of them.
    lists.tiles =
        take(a, nodes + 4 * mlai_ceil_div(n, mlai_tile_width(n)) + 4, sizeof *lists.tiles);
    return lists;
}

static void take_device(mlai_stedc_t *s, arena_t *a, int nranks)
{
    int64_t nodes = most_nodes(nranks, s->lr);
    s->lv.dev = take_lists(a, s->n, nodes);
    s->lv.origin = take(a, s->n, sizeof(double));
    s->leaf = take(a, nodes + 1, sizeof *s->leaf);
    if (s->vectors) {
        s->s = take(a, mlai_tile_ld(s->n),
                    mlai_size_mat(mlai_tile_width(s->n), 1, mlai_sizeof(s->dt)));
    } else {
        s->q = take(a, s->n, 2 * sizeof(double));
        s->q2 = take(a, s->n, 2 * sizeof(double));
    }
}

static void take_host(mlai_stedc_t *s, arena_t *a, double **off)
{
    int64_t nodes = most_nodes(s->x->comm->nranks, s->lr);
    mlai_columns_t *c = &s->cols;
    s->lv.host = take_lists(a, s->n, nodes);
    s->cut = take(a, nodes + 1, sizeof *s->cut);
    *off = take(a, s->n, sizeof(double));
    c->d = take(a, s->n, sizeof *c->d);
    c->z = take(a, s->n, sizeof *c->z);
    c->order = take(a, s->n, sizeof *c->order);
    c->kept = take(a, s->n, sizeof *c->kept);
    c->gone = take(a, s->n, sizeof *c->gone);
    c->tmp = take(a, s->n, sizeof *c->tmp);
    c->half = take(a, s->n, sizeof *c->half);
}

static void take_window(mlai_stedc_t *s, arena_t *a, int nranks)
{
    int64_t each = s->n + nranks; // P chunks of ceil(n/P)
    s->z = a->used;
    take(a, each, sizeof(double));
    s->tau = a->used;
    take(a, each, sizeof(double));
    s->zhat = a->used;
    take(a, each, sizeof(double));
    s->ends = a->used;
    if (!s->vectors) take(a, each, 2 * sizeof(double));
}

mlai_space_t mlai_stedc_space(int nranks, mla_dtype_t real, int64_t n, bool vectors)
{
    mlai_stedc_t s = {.dt = vectors ? real : MLA_FLOAT64,
                      .vectors = vectors,
                      .n = n,
                      .lr = mlai_ceil_div(n, nranks)};
    arena_t device = {NULL, 0}, window = {NULL, 0};
    take_device(&s, &device, nranks);
    take_window(&s, &window, nranks);
    return (mlai_space_t){.work = device.used, .window = window.used};
}

/* ---- the tree ---------------------------------------------------------------------------- */

/* Leaves of the own rows: eigenvalues in cols.d, NaN if one of them failed. */
static mla_status_t leaves(mlai_stedc_t *s)
{
    mla_context_t *x = s->x;
    double *d = s->lv.dev.pole, *e = s->lv.dev.weight, *w = s->lv.origin;
    s->nodes = leaf_count(s->rows);
    int64_t largest = 0;
    for (int64_t i = 0; i <= s->nodes; i++) {
        s->cut[i] = leaf_cut(s->rows, s->nodes, i);
        if (i > 0) largest = mlai_max(largest, s->cut[i] - s->cut[i - 1]);
    }
    MLAI_TRY(mlai_upload(s, s->leaf, s->cut, s->nodes + 1, sizeof *s->cut));
    MLAI_TRY(mlai_upload(s, d, s->cols.d + s->row0, s->rows, sizeof *d));
    MLAI_TRY(mlai_upload(s, e, s->off + s->row0, s->rows, sizeof *e));
    MLAI_TRY(MLAI_BE(x, dc_leaves, s->st, s->dt, !s->vectors, s->nodes, s->leaf, largest, d, e, w,
                     mlai_at(s->q, s->dt, s->ldq, 0, s->row0), s->ldq));
    MLAI_TRY(mlai_download(s, s->cols.d + s->row0, w, s->rows));
    MLAI_TRY(MLAI_BE(x, sync, s->st));
    for (int64_t i = 0; i <= s->nodes; i++) s->cut[i] += s->row0;
    for (int64_t i = 0; i < s->nodes; i++)
        mlai_columns_sort(&s->cols, s->cols.order + s->cut[i], s->cut[i + 1] - s->cut[i]);
    return MLA_OK;
}

/* The subtree of the own rows. A failure makes its first eigenvalue NaN, for all to see. */
static mla_status_t own_subtree(mlai_stedc_t *s)
{
    if (s->rows == 0) return MLA_OK;
    bool ok = true;
    MLAI_TRY(leaves(s));
    for (int64_t i = 0; i < s->rows; i++) ok = ok && !isnan(s->cols.d[s->row0 + i]);
    while (s->nodes > 1 && ok) MLAI_TRY(mlai_laed1(s, false, &ok));
    if (!ok) s->cols.d[s->row0] = NAN;
    return MLA_OK;
}

/* Everyone's eigenvalues, sorted rank by rank, and the end rows if that is all there is. */
static mla_status_t join(mlai_stedc_t *s)
{
    mla_context_t *x = s->x;
    const size_t mine = 8 * (size_t)s->row0, bytes = 8 * (size_t)s->lr;
    MLAI_TRY(mlai_upload(s, s->base + s->tau + mine, s->cols.d + s->row0, s->rows, 8));
    MLAI_TRY(mlai_gather_chunks(s, s->tau, bytes));
    if (!s->vectors) {
        MLAI_TRY(MLAI_BE(x, copy, s->st, s->base + s->ends + 2 * mine, s->q + 2 * mine,
                         16 * (size_t)s->rows));
        MLAI_TRY(mlai_gather_chunks(s, s->ends, 2 * bytes));
        MLAI_TRY(MLAI_BE(x, copy, s->st, s->q, s->base + s->ends, 16 * (size_t)s->n));
    }
    MLAI_TRY(mlai_download(s, s->cols.d, mlai_window(s, s->tau), s->n));
    MLAI_TRY(MLAI_BE(x, sync, s->st));
    s->nodes = mlai_ceil_div(s->n, s->lr);
    for (int64_t i = 0; i <= s->nodes; i++) s->cut[i] = mlai_min(s->n, i * s->lr);
    for (int64_t i = 0; i < s->n; i++) s->cols.order[i] = (int32_t)i;
    for (int64_t i = 0; i < s->nodes; i++)
        mlai_columns_sort(&s->cols, s->cols.order + s->cut[i], s->cut[i + 1] - s->cut[i]);
    return MLA_OK;
}

/* Columns of Q by ascending eigenvalue: a merge in which everything has deflated. */
static mla_status_t sort_vectors(mlai_stedc_t *s)
{
    mlai_dc_level_t *lv = &s->lv;
    bool sorted = true;
    for (int64_t i = 0; i < s->n; i++) sorted = sorted && s->cols.order[i] == i;
    if (sorted) return MLA_OK;
    lv->host.nodes[0] = (mlai_dc_node_t){.n1 = s->n, .m = s->n, .r1 = s->rows};
    lv->nodes = 1;
    lv->roots = lv->rotations = lv->chains = lv->tiles = 0;
    MLAI_TRY(mlai_upload(s, lv->dev.nodes, lv->host.nodes, 1, sizeof *lv->host.nodes));
    MLAI_TRY(mlai_upload(s, lv->dev.src, s->cols.order, s->n, sizeof *s->cols.order));
    MLAI_TRY(MLAI_BE(s->x, dc_gather, s->st, s->dt, lv, s->q, s->q2, s->ldq));
    return MLAI_BE(s->x, dc_restore, s->st, s->dt, lv, s->q2, NULL, s->q, s->ldq);
}

static mla_status_t tree(mlai_stedc_t *s, int32_t *info)
{
    bool ok = true;
    if (s->vectors)
        MLAI_TRY(
            MLAI_BE(s->x, laset, s->st, s->dt, MLAI_FULL, s->rows, s->n, 0.0, 0.0, s->q, s->ldq));
    // The window may still be read by ranks that are behind.
    MLAI_TRY(MLAI_COMM(s->x, reuse, s->st, s->x->comm->seq));
    MLAI_TRY(own_subtree(s));
    MLAI_TRY(join(s));
    for (int64_t i = 0; i < s->n; i++) ok = ok && !isnan(s->cols.d[i]);
    while (s->nodes > 1 && ok) MLAI_TRY(mlai_laed1(s, true, &ok));
    if (ok && s->vectors) MLAI_TRY(sort_vectors(s));
    *info = ok ? 0 : INFO_NOT_CONVERGED;
    return MLA_OK;
}

/* Scales T to a largest element in [1, 2), by 2^-*exponent; zeroes off-diagonal elements that
 * are negligible beside their neighbours; lowers the diagonal at each cut. */
static void prepare(mlai_stedc_t *s, const double *d, const double *e, double *off, int *exponent)
{
    const int64_t n = s->n;
    double largest = 0;
    for (int64_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(d[i]));
        if (i < n - 1) largest = fmax(largest, fabs(e[i]));
    }
    *exponent = largest > 0 ? ilogb(largest) : 0;
    for (int64_t i = 0; i < n; i++) {
        s->cols.d[i] = scalbn(d[i], -*exponent);
        off[i] = i < n - 1 ? scalbn(e[i], -*exponent) : 0;
        s->cols.order[i] = (int32_t)i;
    }
    const double *ds = s->cols.d;
    for (int64_t i = 0; i < n - 1; i++)
        if (off[i] * off[i] <= s->cols.eps * s->cols.eps * fabs(ds[i]) * fabs(ds[i + 1]) ||
            fabs(off[i]) < 1e-100)
            off[i] = 0;
    for (int64_t first = 0; first < n; first += s->lr) {
        const int64_t len = mlai_min(s->lr, n - first), count = leaf_count(len);
        for (int64_t i = first > 0 ? 0 : 1; i < count; i++) {
            const int64_t c = first + leaf_cut(len, count, i);
            s->cols.d[c - 1] -= fabs(off[c - 1]);
            s->cols.d[c] -= fabs(off[c - 1]);
        }
    }
    s->off = off;
}

mla_status_t mlai_stedc(mla_context_t *x, mla_dtype_t real, int64_t n, double *d, double *e,
                        void *q, int64_t ldq, void *q2, void *work, void *base,
                        int32_t *info_host)
{
    MLAI_RANGE(x, "stedc");
    *info_host = 0;
    if (n == 0) return MLA_OK;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(d[i]) || (i < n - 1 && !isfinite(e[i]))) *info_host = INFO_NOT_FINITE;
    if (*info_host) return MLA_OK;

    const int64_t lr = mlai_ceil_div(n, x->comm->nranks);
    const int64_t row0 = mlai_min(n, x->comm->rank * lr);
    mlai_stedc_t s = {.x = x,
                      .st = mlai_stream(x, MLAI_STREAM_MAIN),
                      .dt = q ? real : MLA_FLOAT64,
                      .vectors = q != NULL,
                      .n = n,
                      .lr = lr,
                      .row0 = row0,
                      .rows = mlai_min(lr, n - row0),
                      .q = q,
                      .q2 = q2,
                      .ldq = q ? ldq : 2,
                      .base = base};
    s.cols.eps = real == MLA_FLOAT32 ? 0x1p-24 : 0x1p-53;
    arena_t device = {work, 0}, shared = {NULL, 0}, host = {NULL, 0};
    double *off;
    take_device(&s, &device, x->comm->nranks);
    take_window(&s, &shared, x->comm->nranks);
    s.lv.tau = mlai_window(&s, s.tau);
    s.lv.zhat = mlai_window(&s, s.zhat);
    take_host(&s, &host, &off);
    void *memory = host.used < SIZE_MAX ? malloc(host.used) : NULL;
    mla_status_t st =
        memory ? MLA_OK
               : mlai_fail(&x->err, MLA_NOMEM, "out of host memory: %zu bytes", host.used);
    MLAI_TRY_GOTO(st, mlai_agree(x, st), done);
    host = (arena_t){memory, 0};
    take_host(&s, &host, &off);

    int exponent;
    prepare(&s, d, e, off, &exponent);
    MLAI_TRY_GOTO(st, tree(&s, info_host), done);
    for (int64_t i = 0; i < n; i++)
        d[i] = *info_host ? NAN : scalbn(s.cols.d[s.cols.order[i]], exponent);
done:
    free(memory);
    return st;
}
