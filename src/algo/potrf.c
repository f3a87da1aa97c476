/* SPDX-License-Identifier: Apache-2.0
 * src/algo/potrf.c: Cholesky factorisation B = L L^H, 1D block-cyclic columns, look-ahead 1.
 *
 * After a local permutation of the rows a rank's columns are ordinary block-cyclic tile columns
 * in elimination order. For k = 0 .. T-1, o = owner(k):
 *
 *     o       B[k,k] = L11 L11^H;  L21 = B[>k,k] L11^-H;  W = L21, broadcast
 *     all     B[>=j, j] -= W[>=j] W[j]^H  for own tile columns j > k
 *
 * The owner of k+1 brings column k+1 up to date first, factors it on the panel stream and
 * broadcasts it while the rest of update k runs. W is double buffered: buffer k mod 2 may be
 * filled again when update k-2 is over here (events) and everyone has read it (reuse).
 * `info` travels with the panel, so that the first failing tile is the one that all ranks
 * report; what follows a failed tile is NaN by itself.
 *
 * Where tensor cores make products of float32 and complex64 from bfloat16 pieces (split.h), each
 * rank splits W when it is there, and updates from the pieces; the factorisation of a tile column
 * stays in the type of the matrix.
 *
 * n^3/3 flops; n^2/2 words received by each rank; window 2 n nb words, scratch
 * for the pieces of one panel alone.
 * Look-ahead as in ScaLAPACK-type codes (Strazdins 1998); LAPACK potrf with uplo = 'L'. */
#include "algo/algo.h"

enum { EV_W = 0, EV_READY = 1, EV_PANEL = 2, EV_DONE = 3 }; /* EV_W: also EV_W + 4 */

/* W[b]: panel of at most n x nb, then its info, in the window. */
typedef struct panel {
    size_t off;    /* in the window */
    size_t tail;   /* of the info, from off */
    char *base;    /* this rank's address of off */
    int64_t tile;  /* whose panel it holds */
    int64_t m, ld; /* rows below the diagonal tile */
    uint64_t seq;  /* broadcast that carried it */
} panel_t;

typedef struct potrf {
    mla_context_t *x;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    int64_t n, ld;
    char *a;
    int32_t *info;
    int terms;    /* of a product of pieces; 0: plain products */
    void *pieces; /* of the panel that main updates with */
    panel_t w[2];
    mlai_stream_t main, side, comm;
} potrf_t;

static int64_t panel_ld(int64_t m)
{
    return mlai_max(16, mlai_ceil_div(m, 16) * 16);
}

/* The tallest panel is the first. */
static size_t panel_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    int64_t rows = panel_ld(desc->n - mlai_dist_width(d, 0));
    return mlai_size_align(mlai_size_mat(rows, d->nb, mlai_sizeof(desc->dtype)));
}

mlai_space_t mlai_potrf_space(const mla_desc_t *desc, const mlai_dist_t *d)
{
    return (mlai_space_t){
        .work = 0,
        .window = mlai_size_add(mlai_size_mul(mlai_size_add(panel_bytes(desc, d), 256), 2),
                                mlai_size_align(8 * (size_t)d->nranks))};
}

mla_status_t mlai_permute(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                          bool forward, void *a, void *work, int64_t wcols)
{
    if (mlai_dist_is_identity(d)) return MLA_OK;
    return MLAI_BE(x, permute_rows, mlai_stream(x, MLAI_STREAM_MAIN), desc->dtype, d, forward,
                   mlai_dist_cols(d, x->comm->rank), a, desc->ld, work, wcols);
}

/* Next tile after k that is not empty; T when there is none. */
static int64_t next_tile(const mlai_dist_t *d, int64_t k)
{
    int64_t tiles = mlai_dist_tiles(d);
    for (k++; k < tiles && mlai_dist_width(d, k) == 0; k++) {
    }
    return k;
}

/* B[>=j, j] -= W[>=j] W[j]^H for own tile j. */
static mla_status_t update(potrf_t *f, const panel_t *w, int64_t j)
{
    const mlai_dist_t *d = f->d;
    int64_t width = mlai_dist_width(d, j);
    if (width == 0) return MLA_OK;
    int64_t row = mlai_dist_off(d, j), from = row - (f->n - w->m),
            k = mlai_dist_width(d, w->tile);
    void *bj = mlai_at(f->a, f->dt, f->ld, row, mlai_dist_local(d, j));
    if (f->terms)
        return MLAI_BE(f->x, gemm_split, f->main, f->dt, f->terms, w->m, k, f->pieces, from,
                       f->n - row, from, width, bj, f->ld);
    const void *wj = mlai_at(w->base, f->dt, w->ld, from, 0);
    return MLAI_BE(f->x, gemm, f->main, f->dt, MLAI_N, MLAI_C, f->n - row, width, k, -1.0, wj,
                   w->ld, wj, w->ld, 1.0, bj, f->ld);
}

/* The rest of update k: own tiles after k but `done`. */
static mla_status_t update_rest(potrf_t *f, const panel_t *w, int64_t done)
{
    const mlai_dist_t *d = f->d;
    int p = f->x->comm->rank;
    for (int64_t s = mlai_dist_first_slot(d, p, w->tile + 1); s < d->slots; s++) {
        int64_t j = mlai_dist_tile(d, p, s);
        if (j != done) MLAI_TRY(update(f, w, j));
    }
    return MLA_OK;
}

/* Owner of k, panel stream: factors tile column k and fills w. */
static mla_status_t factor_panel(potrf_t *f, panel_t *w, int64_t k)
{
    mla_context_t *x = f->x;
    int64_t width = mlai_dist_width(f->d, k), row = mlai_dist_off(f->d, k);
    int64_t jl = mlai_dist_local(f->d, k);
    void *a11 = mlai_at(f->a, f->dt, f->ld, row, jl);
    void *a21 = mlai_at(f->a, f->dt, f->ld, row + width, jl);
    MLAI_TRY(MLAI_BE(x, potrf_tile, f->side, f->dt, width, a11, f->ld,
                     x->comm->rank * f->d->lc + jl, f->info));
    MLAI_TRY(MLAI_BE(x, trsm, f->side, f->dt, MLAI_RIGHT, MLAI_LOWER, MLAI_C, MLAI_NONUNIT, w->m,
                     width, 1.0, a11, f->ld, a21, f->ld));
    // Everyone has read what this buffer held before.
    MLAI_TRY(MLAI_COMM(x, reuse, f->side, w->seq));
    MLAI_TRY(
        MLAI_BE(x, lacpy, f->side, f->dt, MLAI_FULL, w->m, width, a21, f->ld, w->base, w->ld));
    return MLAI_BE(x, copy, f->side, w->base + w->tail, f->info, sizeof *f->info);
}

/* All ranks: panel k, on the communication stream, to everyone. */
static mla_status_t broadcast_panel(potrf_t *f, panel_t *w, int64_t k)
{
    mla_context_t *x = f->x;
    int owner = mlai_dist_owner(f->d, k);
    if (x->comm->rank == owner) MLAI_TRY(mlai_after(x, f->comm, f->side, EV_PANEL));
    size_t bytes = w->tail + sizeof *f->info;
    MLAI_TRY(MLAI_COMM(x, bcast, f->comm, w->off, bytes, owner));
    w->seq = x->comm->seq;
    if (x->comm->rank != owner)
        MLAI_TRY(MLAI_BE(x, copy, f->comm, f->info, w->base + w->tail, sizeof *f->info));
    return MLA_OK;
}

/* Update k has brought column `next` up to date on main (owner), or main has finished with the
 * buffer's last panel (others): factor and broadcast it. */
static mla_status_t panel_step(potrf_t *f, panel_t *w, int64_t next, bool own)
{
    w->tile = next;
    w->m = f->n - mlai_dist_off(f->d, next) - mlai_dist_width(f->d, next);
    w->ld = panel_ld(w->m);
    w->tail =
        mlai_size_align(mlai_size_mat(w->ld, mlai_dist_width(f->d, next), mlai_sizeof(f->dt)));
    if (own) {
        MLAI_TRY(mlai_after(f->x, f->side, f->main, EV_READY));
        MLAI_TRY(mlai_after(f->x, f->side, f->comm, EV_DONE)); // info of the last panel
        MLAI_TRY(factor_panel(f, w, next));
    }
    return broadcast_panel(f, w, next);
}

static mla_status_t potrf_loop(potrf_t *f)
{
    mla_context_t *x = f->x;
    int64_t tiles = mlai_dist_tiles(f->d), k = next_tile(f->d, -1);
    int p = x->comm->rank, b = 0;
    if (k < tiles) {
        MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY));
        MLAI_TRY(panel_step(f, &f->w[b], k, mlai_dist_owner(f->d, k) == p));
    }
    while (k < tiles) {
        panel_t *w = &f->w[b], *wnext = &f->w[1 - b];
        int64_t next = next_tile(f->d, k);
        bool own = next < tiles && mlai_dist_owner(f->d, next) == p;
        // What main holds now is the last reader of the other buffer.
        MLAI_TRY(mlai_after(x, f->comm, f->main, EV_W + 4 * b));
        MLAI_TRY(mlai_after(x, f->main, f->comm, EV_DONE));
        if (f->terms)
            MLAI_TRY(MLAI_BE(x, split, f->main, f->dt, f->terms, w->m, mlai_dist_width(f->d, k),
                             w->base, w->ld, f->pieces));
        if (own) {
            MLAI_TRY(update(f, w, next));
            MLAI_TRY(panel_step(f, wnext, next, true));
        }
        MLAI_TRY(update_rest(f, w, own ? next : -1));
        if (!own && next < tiles) MLAI_TRY(panel_step(f, wnext, next, false));
        k = next;
        b = 1 - b;
    }
    MLAI_TRY(mlai_after(x, f->main, f->side, EV_PANEL));
    return mlai_after(x, f->main, f->comm, EV_DONE);
}

mla_status_t mlai_potrf_logdet(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                               const void *a, const int32_t *info, void *base, size_t off,
                               double *logdet)
{
    int p = x->comm->rank;
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    MLAI_TRY(MLAI_BE(x, zero, st, logdet, sizeof *logdet));
    for (int64_t s = 0; s < d->slots; s++) {
        int64_t t = mlai_dist_tile(d, p, s);
        const void *diag =
            mlai_at(a, desc->dtype, desc->ld, mlai_dist_off(d, t), mlai_dist_local(d, t));
        int64_t width = mlai_dist_width(d, t);
        for (int twice = 0; twice < 2; twice++)
            MLAI_TRY(MLAI_BE(x, log_diag, st, desc->dtype, width, diag, desc->ld, logdet));
    }
    MLAI_TRY(mlai_sum_reduce(x, st, base, off, logdet));
    return MLAI_BE(x, nan_if, st, MLA_FLOAT64, info, 1, 1, logdet, 1);
}

mla_status_t mlai_clear_upper(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                              void *a)
{
    int p = x->comm->rank;
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    for (int64_t s = 0; s < d->slots; s++) {
        int64_t t = mlai_dist_tile(d, p, s), width = mlai_dist_width(d, t);
        int64_t row = mlai_dist_off(d, t), jl = mlai_dist_local(d, t);
        if (width == 0) continue;
        MLAI_TRY(MLAI_BE(x, laset, st, desc->dtype, MLAI_FULL, row, width, 0.0, 0.0,
                         mlai_at(a, desc->dtype, desc->ld, 0, jl), desc->ld));
        if (width > 1)
            MLAI_TRY(MLAI_BE(x, laset, st, desc->dtype, MLAI_UPPER, width - 1, width - 1, 0.0,
                             0.0, mlai_at(a, desc->dtype, desc->ld, row, jl + 1), desc->ld));
    }
    return MLA_OK;
}

mla_status_t mlai_potrf(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                        double *logdet, int32_t *info)
{
    MLAI_RANGE(x, "potrf");
    mlai_space_t space = mlai_potrf_space(desc, d);
    int terms =
        x->be->ops->split ? mlai_split_terms(desc->dtype, desc->precision, desc->n, d->nb) : 0;
    if (terms) space.work = mlai_split_bytes(desc->dtype, terms, desc->n, d->nb);
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    potrf_t f = {.x = x,
                 .d = d,
                 .dt = desc->dtype,
                 .n = desc->n,
                 .ld = desc->ld,
                 .a = a,
                 .info = info,
                 .terms = terms,
                 .pieces = work,
                 .main = mlai_stream(x, MLAI_STREAM_MAIN),
                 .side = mlai_stream(x, MLAI_STREAM_PANEL),
                 .comm = mlai_stream(x, MLAI_STREAM_COMM)};
    size_t each = panel_bytes(desc, d) + 256;
    for (int b = 0; b < 2; b++) {
        f.w[b].off = (size_t)b * each;
        f.w[b].base = (char *)base + f.w[b].off;
    }
    // Columns of B that fit where the panels will be, at least one.
    int64_t wcols = (int64_t)(2 * each / mlai_size_mat(mlai_max(1, f.n), 1, mlai_sizeof(f.dt)));
    mla_status_t st;
    MLAI_TRY_GOTO(st, MLAI_BE(x, zero, f.main, info, sizeof *info), done);
    // Before there are panels their place is scratch.
    MLAI_TRY_GOTO(st, mlai_permute(x, desc, d, true, a, base, wcols), done);
    MLAI_TRY_GOTO(st, potrf_loop(&f), done);
    if (logdet)
        MLAI_TRY_GOTO(st, mlai_potrf_logdet(x, desc, d, a, info, base, 2 * each, logdet), done);
    if (d->order == MLA_NATURAL) MLAI_TRY_GOTO(st, mlai_clear_upper(x, desc, d, a), done);
    st = MLAI_BE(x, nan_if, f.main, f.dt, info, f.n, mlai_dist_cols(d, x->comm->rank), a, f.ld);
done:
    mlai_release(x, work);
    return st;
}
