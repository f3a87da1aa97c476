/* SPDX-License-Identifier: Apache-2.0
 * src/algo/hetrd.c: Householder reduction to tridiagonal form, Q^H B' Q = T, one stage.
 *
 * 1D block-cyclic tile columns, rows in elimination order; LAPACK hetrd with uplo = 'L'. A panel
 * is at most PANEL columns of one tile. Its owner broadcasts it once, as it stands; after that
 * every rank makes the panel's reflectors V and their W by itself, from the same numbers in the
 * same order, so that V and W are the same bits everywhere. For column i of the panel:
 *
 *     all     v := column i - V W(i,:)^H - W V(i,:)^H;  d_i, e_i, tau, reflector v
 *     rank p  y_p := own elements' part of A22 v, each element read once;  all-gather of y
 *     all     w := tau (y_0 + y_1 + ... - V W^H v - W V^H v) - 1/2 tau (w^H v) v
 *
 * and then A22 -= [V W] [W V]^H on own tile columns, rows from the diagonal down. One collective
 * a column, none of them waits on the host; d, e are read once, at the end, as rank 0 has them.
 *
 * 4/3 n^3 flops. A rank reads s n^3/(6 P) bytes in the products: with a GPU or a CPU this is the
 * time. It receives n^2/2 words in panels and P n^2/2 in contributions. Scratch 3 n PANEL words
 * and 2 % of a shard, window n (PANEL + 2 P) words. Dongarra, Sorensen, Hammarling, J. Comput.
 * Appl. Math. 27 (1989), 215-227 (the panel). */
#include "algo/algo.h"

enum { PANEL = 32, UPDATE = 512 }; /* columns of a panel, most of a product of the update */

typedef struct hetrd {
    mla_context_t *x;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    int64_t n, lda;
    bool keep;
    char *a;
    mlai_stream_t st;
    mlai_trd_t t;
    char *base; /* window: a panel as it was, then two sets of contributions */
    size_t y_off, y_size;
    uint64_t panel_seq, y_seq[2];
} hetrd_t;

/* Room for V, W and V again: both [V W] and [W V] are there as they stand. */
static size_t panels_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    return mlai_size_align(
        mlai_size_mat(desc->n, 3 * mlai_min(PANEL, d->nb), mlai_sizeof(desc->dtype)));
}

static size_t panel_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    return mlai_size_align(
        mlai_size_mat(desc->n, mlai_min(PANEL, d->nb), mlai_sizeof(desc->dtype)));
}

/* One rank's contribution: m elements and one. */
static size_t part_bytes(mla_dtype_t dt, int64_t m)
{
    return mlai_size_align(mlai_size_mat(m + 1, 1, mlai_sizeof(dt)));
}

mlai_space_t mlai_hetrd_space(const mla_desc_t *desc, const mlai_dist_t *d)
{
    size_t parts = mlai_size_mul(part_bytes(desc->dtype, desc->n), (size_t)d->nranks);
    size_t t = mlai_size_align(mlai_size_mat(desc->n, 1, sizeof(double)));
    size_t work = mlai_size_add(panels_bytes(desc, d), mlai_size_mul(t, 2));
    return (mlai_space_t){
        .work = mlai_size_add(work, mlai_trd_scratch(d, desc->dtype)),
        .window = mlai_size_add(mlai_size_add(panel_bytes(desc, d), mlai_size_mul(parts, 2)),
                                mlai_size_mul(t, 2))};
}

/* The panel as it stands, to all ranks, in v. */
static mla_status_t share_panel(hetrd_t *f, int owner, int64_t jl)
{
    mla_context_t *x = f->x;
    int64_t m = f->n - f->t.first, w = f->t.width;
    if (x->comm->rank == owner) {
        const void *src = mlai_at(f->a, f->dt, f->lda, f->t.first, jl);
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, m, w, src, f->lda, f->t.v, f->t.ld));
        if (x->comm->nranks == 1) return MLA_OK;
        MLAI_TRY(MLAI_COMM(x, reuse, f->st, f->panel_seq));
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, m, w, src, f->lda, f->base, m));
    }
    MLAI_TRY(MLAI_COMM(x, bcast, f->st, 0, mlai_size_mat(m, w, mlai_sizeof(f->dt)), owner));
    f->panel_seq = x->comm->seq;
    if (x->comm->rank == owner) return MLA_OK;
    return MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, m, w, f->base, m, f->t.v, f->t.ld);
}

/* A22 v of all ranks, for column j of the panel, into t.y. */
static mla_status_t product(hetrd_t *f, int64_t j)
{
    mla_context_t *x = f->x;
    int b = (int)((f->t.first + j) % 2);
    size_t bytes = part_bytes(f->dt, f->n - f->t.first - j - 1);
    size_t off = f->y_off + (size_t)b * f->y_size;
    f->t.y = f->base + off;
    f->t.stride = (int64_t)(bytes / mlai_sizeof(f->dt));
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, f->y_seq[b]));
    MLAI_TRY(MLAI_BE(x, hetrd_product, f->st, f->dt, &f->t, j));
    MLAI_TRY(MLAI_COMM(x, allgather, f->st, off + (size_t)x->comm->rank * bytes, off, bytes));
    f->y_seq[b] = x->comm->seq;
    return MLA_OK;
}

/* A22 -= [V W] [W V]^H on `cols` own columns, from position `row` down; local column jl. */
static mla_status_t update_columns(hetrd_t *f, int64_t row, int64_t jl, int64_t cols)
{
    int64_t w = f->t.width, top = row - f->t.first, ld = f->t.ld;
    const void *vw = mlai_at(f->t.v, f->dt, ld, top, 0), *wv = mlai_at(f->t.v, f->dt, ld, top, w);
    return MLAI_BE(f->x, gemm, f->st, f->dt, MLAI_N, MLAI_C, f->n - row, cols, 2 * w, -1.0, vw,
                   ld, wv, ld, 1.0, mlai_at(f->a, f->dt, f->lda, row, jl), f->lda);
}

/* The same on all own columns after the panel, which is in tile `tile`. What lies above the
 * diagonal in a product is computed for nothing: tiles are taken UPDATE columns at a time. */
static mla_status_t update(hetrd_t *f, int64_t tile)
{
    const mlai_dist_t *d = f->d;
    int p = f->x->comm->rank;
    for (int64_t s = mlai_dist_first_slot(d, p, tile); s < d->slots; s++) {
        int64_t t = mlai_dist_tile(d, p, s), off = mlai_dist_off(d, t);
        int64_t end = off + mlai_dist_width(d, t), row = mlai_max(off, f->t.first + f->t.width);
        for (; row < end; row += UPDATE)
            MLAI_TRY(update_columns(f, row, mlai_dist_local(d, t) + row - off,
                                    mlai_min(UPDATE, end - row)));
    }
    return MLA_OK;
}

static mla_status_t panel_step(hetrd_t *f, int64_t tile, int64_t at)
{
    mla_context_t *x = f->x;
    mlai_trd_t *t = &f->t;
    int owner = mlai_dist_owner(f->d, tile);
    int64_t jl = mlai_dist_local(f->d, tile) + at, below = f->n - t->first - 1;
    MLAI_TRY(share_panel(f, owner, jl));
    for (int64_t j = 0; j <= t->width; j++) {
        MLAI_TRY(MLAI_BE(x, hetrd_column, f->st, f->dt, t, j));
        if (j < t->width && t->first + j < f->n - 1) MLAI_TRY(product(f, j));
    }
    if (f->keep && owner == x->comm->rank && below > 0)
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, below, t->width,
                         mlai_at(t->v, f->dt, t->ld, 1, 0), t->ld,
                         mlai_at(f->a, f->dt, f->lda, t->first + 1, jl), f->lda));
    MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, below + 1, t->width, t->v, t->ld,
                     mlai_at(t->w, f->dt, t->ld, 0, t->width), t->ld));
    return update(f, tile);
}

static mla_status_t reduce(hetrd_t *f)
{
    const mlai_dist_t *d = f->d;
    for (int64_t tile = 0; tile < mlai_dist_tiles(d); tile++)
        for (int64_t at = 0, width = mlai_dist_width(d, tile); at < width; at += f->t.width) {
            f->t.first = mlai_dist_off(d, tile) + at;
            f->t.width = mlai_min(PANEL, width - at);
            f->t.ld = f->n - f->t.first;
            f->t.w = mlai_at(f->t.v, f->dt, f->t.ld, 0, f->t.width);
            MLAI_TRY(panel_step(f, tile, at));
        }
    return MLA_OK;
}

/* T as rank 0 has it, to the host memory of all. */
static mla_status_t read_back(hetrd_t *f, double *diag, double *off)
{
    mla_context_t *x = f->x;
    size_t bytes = (size_t)f->n * sizeof(double);
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
    MLAI_TRY(MLAI_BE(x, copy, f->st, f->base, f->t.diag, bytes));
    MLAI_TRY(MLAI_BE(x, copy, f->st, f->base + bytes, f->t.off, bytes));
    MLAI_TRY(MLAI_COMM(x, bcast, f->st, 0, 2 * bytes, 0));
    MLAI_TRY(MLAI_BE(x, to_host, f->st, diag, f->base, bytes));
    MLAI_TRY(MLAI_BE(x, to_host, f->st, off, f->base + bytes, bytes - sizeof(double)));
    return MLAI_BE(x, sync, f->st);
}

mla_status_t mlai_hetrd(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, bool keep,
                        void *a, void *tau, double *diag, double *off, void *work, void *base)
{
    MLAI_RANGE(x, "hetrd");
    size_t t = mlai_size_align(mlai_size_mat(desc->n, 1, sizeof(double)));
    char *next = work;
    hetrd_t f = {.x = x,
                 .d = d,
                 .dt = desc->dtype,
                 .n = desc->n,
                 .lda = desc->ld,
                 .keep = keep,
                 .a = a,
                 .st = mlai_stream(x, MLAI_STREAM_MAIN),
                 .base = base,
                 .y_off = panel_bytes(desc, d),
                 .y_size = part_bytes(desc->dtype, desc->n) * (size_t)d->nranks,
                 .panel_seq = x->comm->seq,
                 .y_seq = {x->comm->seq, x->comm->seq}};
    f.t = (mlai_trd_t){.d = d, .rank = x->comm->rank, .a = a, .lda = desc->ld, .tau = tau};
    f.t.v = next;
    f.t.diag = (double *)(next += panels_bytes(desc, d));
    f.t.off = (double *)(next += t);
    f.t.scratch = next + t;
    MLAI_TRY(reduce(&f));
    return read_back(&f, diag, off);
}
