/* SPDX-License-Identifier: Apache-2.0
 * src/algo/he2hb.c: Hermitian matrix to a band, Q1^H B' Q1 = band of half-bandwidth kd: the first
 * of two stages to tridiagonal form.
 *
 * 1D block-cyclic tile columns, rows in elimination order, both triangles. A panel is w <= kd
 * columns of one tile, [c, c1); what it has from row c + kd on becomes a triangle:
 *
 *     owner   panel := panel - P(c:, :) R(c:c1, :)^H;   A(c + kd:, panel) = (I - V T V^H) (U; 0)
 *     all     V, T and the panel's part of the band, broadcast
 *     rank p  own rows of Y := A(c1:, own)^H V, which is A V;                 all-gather
 *     all     Y := Y - P (R^H V);   W := Y T;   W := W - 1/2 V T^H V^H W
 *     all     P := [P V W],  R := [R W V]
 *
 * and, when P and R are `most` columns wide, A := A - P R^H on own columns: the width of this
 * product has nothing to do with kd. One rank forms its lower half and mirrors it; several form
 * all of it, which costs them less than to exchange it. Rows c1 .. c + kd of V are zero. V stays
 * below the band in a, for mlai_unmtr.
 *
 * 4/3 n^3 flops on one rank, 2 n^3/P on P and most n^2 for Y and panels; 2 n^2 words received.
 * Scratch 4 n most words. Double blocking: Wang, Duan, Shi et al., "Improving Tridiagonalization
 * Performance on GPU Architectures", PPoPP 2025, arXiv:2410.02170. */
#include "algo/algo.h"

enum { UPDATE = 512, MOST = 512 }; /* columns of a product of the update; of P and R */

typedef struct he2hb {
    mla_context_t *x;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    int64_t n, kd, lda, ldab, most, used; /* used: columns of P and R */
    char *a, *tau, *ab;
    char *p, *r, *s, *g, *m; /* scratch: P, R; R^H V; V^H W; T^H G; */
    char *panel, *rows;      /* of geqrt; to permute rows of Y */
    char *base, *t, *band;   /* window: V, T, columns of the band; parts of Y */
    size_t message, part;    /* bytes of the first three; of a part of Y */
    uint64_t panel_seq, y_seq;
    mlai_stream_t st;
} he2hb_t;

typedef struct panel {
    int64_t tile, c, w; /* columns [c, c + w) of it */
    int64_t jl;         /* c, as local column of the owner */
    int64_t c1, m;      /* rows from c1 on, m of them, in all products */
    int64_t gap;        /* of these V has zeros */
    int owner;
} panel_t;

static size_t bytes_of(mla_dtype_t dt, int64_t m, int64_t n)
{
    return mlai_size_align(mlai_size_mat(m, n, mlai_sizeof(dt)));
}

/* P and R take a sixth of a shard, or are one panel wide. */
static int64_t most_of(const mlai_dist_t *d, int64_t kd)
{
    int64_t fits = mlai_min(MOST, d->lc / 12);
    return mlai_max(1, fits / (2 * kd)) * 2 * kd;
}

static size_t message_bytes(mla_dtype_t dt, int64_t n, int64_t kd)
{
    return mlai_size_add(mlai_size_add(bytes_of(dt, n, kd), bytes_of(dt, kd, kd)),
                         bytes_of(dt, kd + 1, kd + 1));
}

mlai_space_t mlai_he2hb_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t kd)
{
    mla_dtype_t dt = desc->dtype;
    int64_t most = most_of(d, kd);
    size_t work = mlai_size_mul(bytes_of(dt, d->n, most), 2);
    work = mlai_size_add(work, bytes_of(dt, most, kd));
    work = mlai_size_add(work, mlai_size_mul(bytes_of(dt, kd, kd), 2));
    work = mlai_size_add(work, mlai_size_align(mlai_geqrt_work(d->n, kd, dt)));
    if (d->nranks > 1) work = mlai_size_add(work, bytes_of(dt, d->n, kd));
    size_t parts = mlai_size_mul(bytes_of(dt, d->lc, kd), (size_t)d->nranks);
    if (d->nranks == 1) parts = 0;
    return (mlai_space_t){work, mlai_size_add(message_bytes(dt, d->n, kd), parts)};
}

/* Rows from position `row` on of columns from `col` on of P, R or another n-row matrix. */
static void *at(const he2hb_t *f, const char *x, int64_t row, int64_t col)
{
    return mlai_at(x, f->dt, f->n, row, col);
}

/* ---- a panel ------------------------------------------------------------------------------- */

/* Column j of the band are the elements from the diagonal of column j of A down: the matrix of
 * these is A with a leading dimension of one more. To f->band, kd + 1 rows. */
static mla_status_t pack_panel(he2hb_t *f, const panel_t *p)
{
    mla_context_t *x = f->x;
    void *v = mlai_at(f->base, f->dt, p->m, p->gap, 0);
    MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, p->m - p->gap, p->w,
                     mlai_at(f->a, f->dt, f->lda, p->c + f->kd, p->jl), f->lda, v, p->m));
    MLAI_TRY(MLAI_BE(x, laset, f->st, f->dt, MLAI_UPPER, p->w, p->w, 0.0, 1.0, v, p->m));
    MLAI_TRY(MLAI_BE(x, laset, f->st, f->dt, MLAI_FULL, p->gap, p->w, 0.0, 0.0, f->base, p->m));
    return MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, f->kd + 1, p->w,
                   mlai_at(f->a, f->dt, f->lda, p->c, p->jl), f->lda + 1, f->band, f->kd + 1);
}

static mla_status_t factor_panel(he2hb_t *f, const panel_t *p)
{
    mla_context_t *x = f->x;
    void *panel = mlai_at(f->a, f->dt, f->lda, p->c, p->jl);
    if (f->used > 0)
        MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_C, f->n - p->c, p->w, f->used, -1.0,
                         at(f, f->p, p->c, 0), f->n, at(f, f->r, p->c, 0), f->n, 1.0, panel,
                         f->lda));
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, f->panel_seq));
    MLAI_TRY(MLAI_BE(x, geqrt, f->st, f->dt, p->m - p->gap, p->w,
                     mlai_at(f->a, f->dt, f->lda, p->c + f->kd, p->jl), f->lda, f->t, p->w,
                     f->panel));
    return pack_panel(f, p);
}

/* V to P and R, T's diagonal to tau, the band to ab. */
static mla_status_t unpack_panel(he2hb_t *f, const panel_t *p)
{
    mla_context_t *x = f->x;
    for (int twice = 0; twice < 2; twice++)
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, p->m, p->w, f->base, p->m,
                         twice ? at(f, f->r, p->c1, f->used + p->w) : at(f, f->p, p->c1, f->used),
                         f->n));
    MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, 1, p->w, f->t, p->w + 1,
                     mlai_at(f->tau, f->dt, 1, p->c, 0), 1));
    return MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, f->kd + 1, p->w, f->band, f->kd + 1,
                   mlai_at(f->ab, f->dt, f->ldab, 0, p->c), f->ldab);
}

/* Panel p is the owner's: factored, and what the others need of it sent to all. */
static mla_status_t share_panel(he2hb_t *f, const panel_t *p)
{
    mla_context_t *x = f->x;
    f->t = f->base + bytes_of(f->dt, p->m, p->w);
    f->band = f->t + bytes_of(f->dt, p->w, p->w);
    size_t bytes = (size_t)(f->band - f->base) + bytes_of(f->dt, f->kd + 1, p->w);
    if (x->comm->rank == p->owner) MLAI_TRY(factor_panel(f, p));
    MLAI_TRY(MLAI_COMM(x, bcast, f->st, 0, bytes, p->owner));
    f->panel_seq = x->comm->seq;
    return unpack_panel(f, p);
}

/* ---- Y and W ------------------------------------------------------------------------------- */

/* First own column after the panel. */
static int64_t first_local(const he2hb_t *f, const panel_t *p)
{
    int rank = f->x->comm->rank;
    if (rank == p->owner) return p->jl + p->w;
    int64_t slot = mlai_dist_first_slot(f->d, rank, p->tile);
    return mlai_min(slot * f->d->nb, mlai_dist_cols(f->d, rank));
}

/* A V by rows, A as it was when P was empty. Own rows are those of own columns; gathered, they
 * stand in natural order. */
static mla_status_t product(he2hb_t *f, const panel_t *p, char *y)
{
    mla_context_t *x = f->x;
    const mlai_dist_t *d = f->d;
    int rank = x->comm->rank;
    int64_t jl = first_local(f, p), cols = mlai_dist_cols(d, rank) - jl, ld = f->n;
    void *own = at(f, y, p->c1, 0);
    if (d->nranks > 1) {
        MLAI_TRY(MLAI_COMM(x, reuse, f->st, f->y_seq));
        own = mlai_at(f->base + f->message + (size_t)rank * f->part, f->dt, d->lc, jl, 0);
        ld = d->lc;
    }
    MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_C, MLAI_N, cols, p->w, p->m, 1.0,
                     mlai_at(f->a, f->dt, f->lda, p->c1, jl), f->lda, at(f, f->p, p->c1, f->used),
                     f->n, 0.0, own, ld));
    if (d->nranks == 1) return MLA_OK;
    MLAI_TRY(
        MLAI_COMM(x, allgather, f->st, f->message + (size_t)rank * f->part, f->message, f->part));
    f->y_seq = x->comm->seq;
    for (int q = 0; q < d->nranks; q++)
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, mlai_dist_cols(d, q), p->w,
                         f->base + f->message + (size_t)q * f->part, d->lc,
                         at(f, y, q * d->lc, 0), f->n));
    if (mlai_dist_is_identity(d)) return MLA_OK;
    return MLAI_BE(x, permute_rows, f->st, f->dt, d, true, p->w, y, f->n, f->rows, p->w);
}

static mla_status_t multiply(he2hb_t *f, mlai_op_t op, int64_t m, int64_t n, int64_t k,
                             double alpha, const void *a, int64_t lda, const void *b, int64_t ldb,
                             double beta, void *c, int64_t ldc)
{
    return MLAI_BE(f->x, gemm, f->st, f->dt, op, MLAI_N, m, n, k, alpha, a, lda, b, ldb, beta, c,
                   ldc);
}

/* W and the panel's columns of P and R. Y is formed where R gets W. */
static mla_status_t append(he2hb_t *f, const panel_t *p)
{
    int64_t n = f->n, m = p->m, w = p->w, used = f->used;
    char *column = at(f, f->r, 0, used);
    void *v = at(f, f->p, p->c1, used), *x = at(f, f->p, p->c1, used + w);
    void *y = at(f, column, p->c1, 0);
    MLAI_TRY(product(f, p, column));
    if (used > 0) {
        MLAI_TRY(multiply(f, MLAI_C, used, w, m, 1.0, at(f, f->r, p->c1, 0), n, v, n, 0.0, f->s,
                          used));
        MLAI_TRY(multiply(f, MLAI_N, m, w, used, -1.0, at(f, f->p, p->c1, 0), n, f->s, used, 1.0,
                          y, n));
    }
    MLAI_TRY(multiply(f, MLAI_N, m, w, w, 1.0, y, n, f->t, w, 0.0, x, n));
    MLAI_TRY(multiply(f, MLAI_C, w, w, m, 1.0, v, n, x, n, 0.0, f->g, w));
    MLAI_TRY(multiply(f, MLAI_C, w, w, w, 1.0, f->t, w, f->g, w, 0.0, f->m, w));
    MLAI_TRY(multiply(f, MLAI_N, m, w, w, -0.5, v, n, f->m, w, 1.0, x, n));
    f->used += 2 * w;
    return MLAI_BE(f->x, lacpy, f->st, f->dt, MLAI_FULL, m, w, x, n, y, n);
}

/* ---- the trailing matrix ------------------------------------------------------------------- */

/* Own columns at positions [from, to), local from jl on, rows from c1 on. */
static mla_status_t update_columns(he2hb_t *f, int64_t c1, int64_t from, int64_t to, int64_t jl)
{
    mla_context_t *x = f->x;
    bool half = f->d->nranks == 1;
    int64_t row = half ? from : c1, cols = to - from;
    MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_C, f->n - row, cols, f->used, -1.0,
                     at(f, f->p, row, 0), f->n, at(f, f->r, from, 0), f->n, 1.0,
                     mlai_at(f->a, f->dt, f->lda, row, jl), f->lda));
    if (!half) return MLA_OK;
    return MLAI_BE(x, transpose, f->st, f->dt, MLAI_C, f->n - to, cols,
                   mlai_at(f->a, f->dt, f->lda, to, jl), f->lda,
                   mlai_at(f->a, f->dt, f->lda, from, to), f->lda);
}

/* A := A - P R^H, rows and columns after panel p. */
static mla_status_t update(he2hb_t *f, const panel_t *p)
{
    const mlai_dist_t *d = f->d;
    int rank = f->x->comm->rank;
    for (int64_t s = mlai_dist_first_slot(d, rank, p->tile); s < d->slots; s++) {
        int64_t t = mlai_dist_tile(d, rank, s), off = mlai_dist_off(d, t);
        int64_t end = off + mlai_dist_width(d, t), from = mlai_max(off, p->c1);
        for (; from < end; from += UPDATE)
            MLAI_TRY(update_columns(f, p->c1, from, mlai_min(end, from + UPDATE),
                                    mlai_dist_local(d, t) + from - off));
    }
    f->used = 0;
    return MLA_OK;
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* What is left, columns from c on, is a band: at most kd + 1 of them. */
static mla_status_t share_rest(he2hb_t *f, int64_t c)
{
    mla_context_t *x = f->x;
    const mlai_dist_t *d = f->d;
    for (int64_t t = 0; t < mlai_dist_tiles(d); t++) {
        int64_t off = mlai_dist_off(d, t), from = mlai_max(c, off);
        int64_t w = off + mlai_dist_width(d, t) - from, rows = f->n - from;
        int owner = mlai_dist_owner(d, t);
        if (w <= 0) continue;
        if (owner == x->comm->rank) {
            MLAI_TRY(MLAI_COMM(x, reuse, f->st, f->panel_seq));
            MLAI_TRY(
                MLAI_BE(x, laset, f->st, f->dt, MLAI_FULL, rows, w, 0.0, 0.0, f->base, rows));
            for (int64_t j = 0; j < w; j++)
                MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, rows - j, 1,
                                 mlai_at(f->a, f->dt, f->lda, from + j,
                                         mlai_dist_local(d, t) + from + j - off),
                                 f->lda, mlai_at(f->base, f->dt, rows, 0, j), rows));
        }
        MLAI_TRY(
            MLAI_COMM(x, bcast, f->st, 0, mlai_size_mat(rows, w, mlai_sizeof(f->dt)), owner));
        f->panel_seq = x->comm->seq;
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, rows, w, f->base, rows,
                         mlai_at(f->ab, f->dt, f->ldab, 0, from), f->ldab));
    }
    return MLA_OK;
}

static mla_status_t reduce(he2hb_t *f)
{
    const mlai_dist_t *d = f->d;
    int64_t c = 0;
    for (int64_t tile = 0; tile < mlai_dist_tiles(d); tile++) {
        int64_t off = mlai_dist_off(d, tile), end = off + mlai_dist_width(d, tile), w;
        for (; c < end && f->n - c > f->kd + 1; c += w) {
            w = mlai_min(mlai_min(f->kd, end - c), f->n - f->kd - c);
            panel_t p = {.tile = tile, .c = c, .w = w, .c1 = c + w, .m = f->n - c - w};
            p.gap = f->kd - w;
            p.jl = mlai_dist_local(d, tile) + c - off;
            p.owner = mlai_dist_owner(d, tile);
            MLAI_TRY(share_panel(f, &p));
            MLAI_TRY(append(f, &p));
            // What follows the last panel is a band already.
            if (f->used + 2 * f->kd > f->most || f->n - p.c1 <= f->kd + 1)
                MLAI_TRY(update(f, &p));
        }
    }
    return share_rest(f, c);
}

mla_status_t mlai_he2hb(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        int64_t kd, void *a, void *tau, void *ab, int64_t ldab, void *work,
                        void *base)
{
    MLAI_RANGE(x, "he2hb");
    mla_dtype_t dt = desc->dtype;
    size_t es = mlai_sizeof(dt);
    he2hb_t f = {.x = x,
                 .d = d,
                 .dt = dt,
                 .n = desc->n,
                 .kd = kd,
                 .lda = desc->ld,
                 .ldab = ldab,
                 .most = most_of(d, kd),
                 .a = a,
                 .tau = tau,
                 .ab = ab,
                 .p = work,
                 .base = base,
                 .message = message_bytes(dt, desc->n, kd),
                 .part = bytes_of(dt, d->lc, kd),
                 .panel_seq = x->comm->seq,
                 .y_seq = x->comm->seq,
                 .st = mlai_stream(x, MLAI_STREAM_MAIN)};
    f.r = f.p + bytes_of(dt, f.n, f.most);
    f.s = f.r + bytes_of(dt, f.n, f.most);
    f.g = f.s + bytes_of(dt, f.most, kd);
    f.m = f.g + bytes_of(dt, kd, kd);
    f.panel = f.m + bytes_of(dt, kd, kd);
    f.rows = f.panel + mlai_size_align(mlai_geqrt_work(f.n, kd, dt));
    MLAI_TRY(MLAI_BE(x, zero, f.st, ab, mlai_size_mat(ldab, f.n, es)));
    MLAI_TRY(MLAI_BE(x, zero, f.st, tau, mlai_size_mat(f.n, 1, es)));
    return reduce(&f);
}
