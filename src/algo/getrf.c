/* SPDX-License-Identifier: Apache-2.0
 * src/algo/getrf.c: LU factorisation with partial pivoting, P B Pi^T = L U, 1D block-cyclic
 * columns, look-ahead 1.
 *
 * Columns are eliminated in the cyclic order Pi of their tiles; rows need no order of their own,
 * so that a rank's trailing columns are one block and an update is one product. For k = 0 .. T-1,
 * o = owner(k), all rows counted from the diagonal on:
 *
 *     o       panel: P_k B[>=k, k] = [L11; L21] U11;  W = the panel and the list of P_k,
 * broadcast all     B[>=k, j] := P_k B[>=k, j]                            own columns but tile k
 *             U12 = L11^-1 B[k, j];  B[>k, j] -= L21 U12            own columns j > k
 *
 * The owner of k+1 brings its tile up to date first and factors it on the panel stream while the
 * rest of update k runs. W is double buffered as in potrf.c. Every rank gathers the diagonal of U
 * and the row order from what passes. `state` (first bad pivot, number of interchanges) travels
 * with the panel.
 *
 * 2/3 n^3 flops; n^2/2 words received by each rank; window 2 n nb words. LAPACK getrf. */
#include "algo/algo.h"

enum { EV_W = 0, EV_READY = 1, EV_PANEL = 2, EV_DONE = 3 }; /* EV_W: also EV_W + 4 */

/* W[b]: panel of at most n x nb with its diagonal tile, then list and state, in the window. */
typedef struct panel {
    size_t off;     /* in the window */
    size_t tail;    /* of the list, from off; then the state */
    char *base;     /* this rank's address of off */
    int64_t tile;   /* whose panel it holds */
    int64_t w;      /* its width */
    int64_t row, m; /* first row, and rows from there on */
    int64_t ld;
    uint64_t seq; /* broadcast that carried it */
} panel_t;

typedef struct getrf {
    mla_context_t *x;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    int64_t n, ld, cols; /* own columns */
    char *a;
    int32_t *perm;
    char *diag; /* of U, n elements */
    char *panel_work, *swap_work;
    int32_t *state; /* first bad pivot, interchanges */
    panel_t w[2];
    mlai_stream_t main, side, comm;
} getrf_t;

static int64_t panel_ld(int64_t m)
{
    return mlai_max(16, mlai_ceil_div(m, 16) * 16);
}

static size_t list_bytes(int64_t w)
{
    return mlai_size_mat(w, 2, sizeof(int32_t));
}

static size_t panel_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    size_t body = mlai_size_mat(panel_ld(desc->n), d->nb, mlai_sizeof(desc->dtype));
    return mlai_size_align(mlai_size_add(mlai_size_align(body), list_bytes(d->nb) + 8));
}

mlai_space_t mlai_getrf_space(const mla_desc_t *desc, const mlai_dist_t *d)
{
    size_t es = mlai_sizeof(desc->dtype);
    size_t diag = mlai_size_align(mlai_size_mat(desc->n, 1, es));
    return (mlai_space_t){.work = mlai_size_add(256 + diag, mlai_size_mat(d->nb, 1, 32 + 2 * es)),
                          .window = mlai_size_mul(panel_bytes(desc, d), 2)};
}

/* Next tile after k that is not empty; T when there is none. */
static int64_t next_tile(const mlai_dist_t *d, int64_t k)
{
    int64_t tiles = mlai_dist_tiles(d);
    for (k++; k < tiles && mlai_dist_width(d, k) == 0; k++) {
    }
    return k;
}

/* First own column of a tile >= t. */
static int64_t first_col(const getrf_t *f, int64_t t)
{
    return mlai_min(mlai_dist_first_slot(f->d, f->x->comm->rank, t) * f->d->nb, f->cols);
}

static int32_t *list_in(const panel_t *w)
{
    return (int32_t *)(void *)(w->base + w->tail);
}

/* Update k of own columns [first, end). */
static mla_status_t update(getrf_t *f, const panel_t *w, int64_t first, int64_t end)
{
    mla_context_t *x = f->x;
    int64_t count = end - first, below = w->m - w->w;
    void *top = mlai_at(f->a, f->dt, f->ld, w->row, first);
    MLAI_TRY(
        MLAI_BE(x, laswp, f->main, f->dt, w->w, list_in(w), count, top, f->ld, f->swap_work));
    MLAI_TRY(MLAI_BE(x, trsm, f->main, f->dt, MLAI_LEFT, MLAI_LOWER, MLAI_N, MLAI_UNIT, w->w,
                     count, 1.0, w->base, w->ld, top, f->ld));
    return MLAI_BE(x, gemm, f->main, f->dt, MLAI_N, MLAI_N, below, count, w->w, -1.0,
                   mlai_at(w->base, f->dt, w->ld, w->w, 0), w->ld, top, f->ld, 1.0,
                   mlai_at(f->a, f->dt, f->ld, w->row + w->w, first), f->ld);
}

/* What else panel k is for: the rows of earlier columns, the row order, the diagonal of U. The
 * row order is a column of numbers of four bytes. */
static mla_status_t finish(getrf_t *f, const panel_t *w)
{
    mla_context_t *x = f->x;
    int64_t before =
        mlai_min(mlai_dist_first_slot(f->d, x->comm->rank, w->tile) * f->d->nb, f->cols);
    MLAI_TRY(MLAI_BE(x, laswp, f->main, f->dt, w->w, list_in(w), before,
                     mlai_at(f->a, f->dt, f->ld, w->row, 0), f->ld, f->swap_work));
    MLAI_TRY(MLAI_BE(x, laswp, f->main, MLA_FLOAT32, w->w, list_in(w), 1, f->perm + w->row, f->n,
                     f->swap_work));
    return MLAI_BE(x, lacpy, f->main, f->dt, MLAI_FULL, 1, w->w, w->base, w->ld + 1,
                   mlai_at(f->diag, f->dt, 1, w->row, 0), 1);
}

/* Owner of the panel, panel stream: factors it and fills w. */
static mla_status_t factor_panel(getrf_t *f, panel_t *w)
{
    mla_context_t *x = f->x;
    int64_t jl = mlai_dist_local(f->d, w->tile);
    void *a = mlai_at(f->a, f->dt, f->ld, w->row, jl);
    // Everyone has read what this buffer held before.
    MLAI_TRY(MLAI_COMM(x, reuse, f->side, w->seq));
    MLAI_TRY(MLAI_BE(x, getrf_panel, f->side, f->dt, w->m, w->w, a, f->ld,
                     x->comm->rank * f->d->lc + jl, list_in(w), f->state, f->panel_work));
    MLAI_TRY(MLAI_BE(x, lacpy, f->side, f->dt, MLAI_FULL, w->m, w->w, a, f->ld, w->base, w->ld));
    return MLAI_BE(x, copy, f->side, list_in(w) + 2 * w->w, f->state, 8);
}

/* Update k has brought tile `next` up to date on main (owner), or main has finished with the
 * buffer's last panel (others): factor it and send it to everyone. */
static mla_status_t panel_step(getrf_t *f, panel_t *w, int64_t next, bool own)
{
    mla_context_t *x = f->x;
    w->tile = next;
    w->w = mlai_dist_width(f->d, next);
    w->row = mlai_dist_off(f->d, next);
    w->m = f->n - w->row;
    w->ld = panel_ld(w->m);
    w->tail = mlai_size_align(mlai_size_mat(w->ld, w->w, mlai_sizeof(f->dt)));
    if (own) {
        MLAI_TRY(mlai_after(x, f->side, f->main, EV_READY));
        MLAI_TRY(mlai_after(x, f->side, f->comm, EV_DONE)); // state of the last panel
        MLAI_TRY(factor_panel(f, w));
        MLAI_TRY(mlai_after(x, f->comm, f->side, EV_PANEL));
    }
    size_t bytes = w->tail + list_bytes(w->w) + 8;
    MLAI_TRY(MLAI_COMM(x, bcast, f->comm, w->off, bytes, mlai_dist_owner(f->d, next)));
    w->seq = x->comm->seq;
    return own ? MLA_OK : MLAI_BE(x, copy, f->comm, f->state, list_in(w) + 2 * w->w, 8);
}

static mla_status_t getrf_loop(getrf_t *f)
{
    mla_context_t *x = f->x;
    int64_t tiles = mlai_dist_tiles(f->d), k = next_tile(f->d, -1);
    int p = x->comm->rank, b = 0;
    MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY));
    if (k < tiles) MLAI_TRY(panel_step(f, &f->w[b], k, mlai_dist_owner(f->d, k) == p));
    while (k < tiles) {
        panel_t *w = &f->w[b], *wnext = &f->w[1 - b];
        int64_t next = next_tile(f->d, k), rest = first_col(f, k + 1);
        bool own = next < tiles && mlai_dist_owner(f->d, next) == p;
        // What main holds now is the last reader of the other buffer.
        MLAI_TRY(mlai_after(x, f->comm, f->main, EV_W + 4 * b));
        MLAI_TRY(mlai_after(x, f->main, f->comm, EV_DONE));
        if (own) {
            int64_t first = mlai_dist_local(f->d, next); // the first of the rest
            rest = first + mlai_dist_width(f->d, next);
            MLAI_TRY(update(f, w, first, rest));
            MLAI_TRY(panel_step(f, wnext, next, true));
        }
        MLAI_TRY(update(f, w, rest, f->cols));
        MLAI_TRY(finish(f, w));
        if (!own && next < tiles) MLAI_TRY(panel_step(f, wnext, next, false));
        k = next;
        b = 1 - b;
    }
    MLAI_TRY(mlai_after(x, f->main, f->side, EV_PANEL));
    return mlai_after(x, f->main, f->comm, EV_DONE);
}

/* perm := 0, 1, .. n - 1, by way of the host. */
static mla_status_t start_perm(getrf_t *f)
{
    enum { RUN = 4096 };
    int32_t run[RUN];
    for (int64_t i = 0; i < f->n; i += RUN) {
        int64_t count = mlai_min(RUN, f->n - i);
        for (int64_t k = 0; k < count; k++) run[k] = (int32_t)(i + k);
        MLAI_TRY(MLAI_BE(f->x, from_host, f->main, f->perm + i, run, 4 * (size_t)count));
    }
    return MLA_OK;
}

/* Sign of the order of elimination: pairs of columns of which the later one comes first. */
static int order_sign(const mlai_dist_t *d)
{
    int64_t tiles = mlai_dist_tiles(d), odd = 0;
    if (mlai_dist_is_identity(d)) return 1;
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t u = t + 1; u < tiles; u++) {
            int p = mlai_dist_owner(d, t), q = mlai_dist_owner(d, u);
            if (p > q) odd ^= mlai_dist_width(d, t) & mlai_dist_width(d, u) & 1;
        }
    return odd ? -1 : 1;
}

mla_status_t mlai_getrf(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                        int32_t *perm, double *det, int32_t *info)
{
    MLAI_RANGE(x, "getrf");
    mlai_space_t space = mlai_getrf_space(desc, d);
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    size_t diag = mlai_size_align(mlai_size_mat(desc->n, 1, mlai_sizeof(desc->dtype)));
    getrf_t f = {.x = x,
                 .d = d,
                 .dt = desc->dtype,
                 .n = desc->n,
                 .ld = desc->ld,
                 .cols = mlai_dist_cols(d, x->comm->rank),
                 .a = a,
                 .perm = perm,
                 .state = work, // then diag, and what panels and row exchanges need
                 .diag = (char *)work + 256,
                 .panel_work = (char *)work + 256 + diag,
                 .swap_work = (char *)work + 256 + diag + 32 * (size_t)d->nb,
                 .main = mlai_stream(x, MLAI_STREAM_MAIN),
                 .side = mlai_stream(x, MLAI_STREAM_PANEL),
                 .comm = mlai_stream(x, MLAI_STREAM_COMM)};
    for (int b = 0; b < 2; b++) {
        f.w[b].off = (size_t)b * panel_bytes(desc, d);
        f.w[b].base = (char *)base + f.w[b].off;
    }
    mla_status_t st;
    MLAI_TRY_GOTO(st, MLAI_BE(x, zero, f.main, f.state, 8), done);
    MLAI_TRY_GOTO(st, start_perm(&f), done);
    MLAI_TRY_GOTO(st, getrf_loop(&f), done);
    if (det)
        MLAI_TRY_GOTO(
            st, MLAI_BE(x, lu_det, f.main, f.dt, f.n, f.diag, f.state + 1, order_sign(d), det),
            done);
    st = MLAI_BE(x, copy, f.main, info, f.state, sizeof *info);
done:
    mlai_release(x, work);
    return st;
}
