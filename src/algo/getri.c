/* SPDX-License-Identifier: Apache-2.0
 * src/algo/getri.c: inverse of a general matrix from its factor P B Pi^T = L U, in place:
 * W = L^-1, U X = W, B^-1 = Pi^T X P. 1D block-cyclic columns in elimination order.
 *
 *     L W = I, k = 0 .. T-1, o = owner(k):
 *         o       L[>=k,k] broadcast; then S[k,k] := I, S[>k,k] := 0
 *         all     W[k,<=k] = L[k,k]^-1 S[k,<=k];  S[>k,<=k] -= L[>k,k] W[k,<=k]    own columns
 *     U X = W, k = T-1 .. 0:
 *         all     R = U[k,>=k], gathered from all ranks;  W[k,>k] := 0
 *                 X[k,:] = U[k,k]^-1 (W[k,:] - R[>k] X[>k,:])                      own columns
 *
 * What is sent is never written before it is sent: broadcasts and gathers run one step ahead of
 * the products, and no rank waits for the arithmetic of another. S, W and X lie where L and U
 * have been used up; the triangles U[k,k] are kept apart, for W[k,k] takes their place. Last the
 * rows go back to natural order, and the columns to where P puts them (colperm.c), for which the
 * host needs P: the one time it waits.
 *
 * Forward and back substitution of columns: B X - I is as small as the factor allows (Du Croz,
 * Higham, "Stability of methods for matrix inversion", IMA J. Numer. Anal. 12 (1992)). 4/3 n^3
 * flops; n^2 words received, and up to 2 n^2/P for the columns; scratch nb n/P and window 2 n nb
 * words. */
#include <stdlib.h>

#include "algo/algo.h"

enum { EV_W = 0, EV_READY = 1, EV_DONE = 3 }; /* EV_W: also EV_W + 4 */

/* A half of the window: a column of L; or the first one the parts of a row of U, the second R. */
typedef struct half {
    size_t off;   /* in the window */
    char *base;   /* this rank's address of off */
    uint64_t seq; /* collective that used it last */
    size_t part;  /* bytes of each rank's part of a row */
} half_t;

typedef struct getri {
    mla_context_t *x;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    int64_t n, ld, cols; /* own columns */
    char *a;
    char *u; /* own U[k,k]: nb x (own columns) */
    half_t h[2];
    mlai_stream_t main, comm;
} getri_t;

static int64_t column_ld(int64_t rows)
{
    return mlai_max(16, mlai_ceil_div(rows, 16) * 16);
}

static size_t half_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    size_t es = mlai_sizeof(desc->dtype);
    size_t column = mlai_size_align(mlai_size_mat(column_ld(desc->n), d->nb, es));
    size_t row =
        mlai_size_mul(mlai_size_align(mlai_size_mat(d->nb, d->lc, es)), (size_t)d->nranks);
    return column > row ? column : row;
}

static size_t kept_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    return mlai_size_align(mlai_size_mat(d->nb, d->lc, mlai_sizeof(desc->dtype)));
}

mlai_space_t mlai_getri_space(const mla_desc_t *desc, const mlai_dist_t *d)
{
    mlai_space_t order = mlai_colperm_space(desc, d);
    size_t window = mlai_size_mul(half_bytes(desc, d), 2);
    size_t work = kept_bytes(desc, d);
    return (mlai_space_t){.work = order.work > work ? order.work : work,
                          .window = order.window > window ? order.window : window};
}

/* The tile after k in direction `step` that is not empty; -1 or T when there is none. */
static int64_t next_tile(const mlai_dist_t *d, int64_t k, int64_t step)
{
    int64_t tiles = mlai_dist_tiles(d);
    for (k += step; k >= 0 && k < tiles && mlai_dist_width(d, k) == 0; k += step) {
    }
    return k;
}

/* Columns of rank q before tile k. */
static int64_t before(const mlai_dist_t *d, int q, int64_t k)
{
    return mlai_min(mlai_dist_first_slot(d, q, k) * d->nb, mlai_dist_cols(d, q));
}

static bool is_own(const getri_t *f, int64_t k)
{
    return mlai_dist_owner(f->d, k) == f->x->comm->rank;
}

/* Element (row, own column jl) of A. */
static void *at(const getri_t *f, int64_t row, int64_t jl)
{
    return mlai_at(f->a, f->dt, f->ld, row, jl);
}

/* Own U[k,k]. */
static void *kept(const getri_t *f, int64_t k)
{
    return mlai_at(f->u, f->dt, f->d->nb, 0, mlai_dist_local(f->d, k));
}

/* ---- L W = I ------------------------------------------------------------------------------- */

/* Column k of L to everyone, on the communication stream. */
static mla_status_t send_column(getri_t *f, half_t *h, int64_t k, int event)
{
    mla_context_t *x = f->x;
    int64_t w = mlai_dist_width(f->d, k), row = mlai_dist_off(f->d, k), m = f->n - row;
    if (is_own(f, k)) {
        MLAI_TRY(MLAI_COMM(x, reuse, f->comm, h->seq));
        MLAI_TRY(MLAI_BE(x, lacpy, f->comm, f->dt, MLAI_FULL, m, w,
                         at(f, row, mlai_dist_local(f->d, k)), f->ld, h->base, column_ld(m)));
    }
    MLAI_TRY(MLAI_COMM(x, bcast, f->comm, h->off,
                       mlai_size_mat(column_ld(m), w, mlai_sizeof(f->dt)),
                       mlai_dist_owner(f->d, k)));
    h->seq = x->comm->seq;
    return MLAI_BE(x, record, x->be->ops->event(x->be, event), f->comm);
}

/* U[k,k] apart, and column k of I in its place. */
static mla_status_t start_column(getri_t *f, int64_t k)
{
    int64_t w = mlai_dist_width(f->d, k), row = mlai_dist_off(f->d, k);
    int64_t jl = mlai_dist_local(f->d, k);
    MLAI_TRY(MLAI_BE(f->x, lacpy, f->main, f->dt, MLAI_UPPER, w, w, at(f, row, jl), f->ld,
                     kept(f, k), f->d->nb));
    return MLAI_BE(f->x, laset, f->main, f->dt, MLAI_FULL, f->n - row, w, 0.0, 1.0,
                   at(f, row, jl), f->ld);
}

static mla_status_t use_column(getri_t *f, const half_t *h, int64_t k)
{
    mla_context_t *x = f->x;
    int64_t w = mlai_dist_width(f->d, k), row = mlai_dist_off(f->d, k), m = f->n - row;
    int64_t cols = before(f->d, x->comm->rank, k + 1), ld = column_ld(m);
    if (is_own(f, k)) MLAI_TRY(start_column(f, k));
    MLAI_TRY(MLAI_BE(x, trsm, f->main, f->dt, MLAI_LEFT, MLAI_LOWER, MLAI_N, MLAI_UNIT, w, cols,
                     1.0, h->base, ld, at(f, row, 0), f->ld));
    return MLAI_BE(x, gemm, f->main, f->dt, MLAI_N, MLAI_N, m - w, cols, w, -1.0,
                   mlai_at(h->base, f->dt, ld, w, 0), ld, at(f, row, 0), f->ld, 1.0,
                   at(f, row + w, 0), f->ld);
}

static mla_status_t invert_lower(getri_t *f)
{
    mla_context_t *x = f->x;
    int64_t tiles = mlai_dist_tiles(f->d), k = next_tile(f->d, -1, 1);
    int b = 0;
    MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY));
    MLAI_TRY(send_column(f, &f->h[b], k, EV_W + 4 * b));
    while (k < tiles) {
        int64_t next = next_tile(f->d, k, 1);
        // Main has used the other half.
        MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY));
        if (next < tiles) MLAI_TRY(send_column(f, &f->h[1 - b], next, EV_W + 4 * (1 - b)));
        MLAI_TRY(MLAI_BE(x, wait, f->main, x->be->ops->event(x->be, EV_W + 4 * b)));
        MLAI_TRY(use_column(f, &f->h[b], k));
        k = next;
        b = 1 - b;
    }
    return mlai_after(x, f->main, f->comm, EV_DONE);
}

/* ---- U X = W ------------------------------------------------------------------------------- */

/* The parts of row k from all ranks, on the communication stream; the owner's begins with U[k,k].
 */
static mla_status_t gather_row(getri_t *f, int64_t k)
{
    mla_context_t *x = f->x;
    half_t *h = &f->h[0];
    const mlai_dist_t *d = f->d;
    int p = x->comm->rank;
    int64_t w = mlai_dist_width(d, k), most = 0, first = before(d, p, k + 1);
    for (int q = 0; q < d->nranks; q++)
        most = mlai_max(most, mlai_dist_cols(d, q) - before(d, q, k));
    h->part = mlai_size_align(mlai_size_mat(w, most, mlai_sizeof(f->dt)));
    size_t mine = (size_t)p * h->part;
    char *part = h->base + mine;
    MLAI_TRY(MLAI_COMM(x, reuse, f->comm, h->seq));
    if (is_own(f, k)) {
        MLAI_TRY(MLAI_BE(x, lacpy, f->comm, f->dt, MLAI_FULL, w, w, kept(f, k), d->nb, part, w));
        part = mlai_at(part, f->dt, w, 0, w);
    }
    MLAI_TRY(MLAI_BE(x, lacpy, f->comm, f->dt, MLAI_FULL, w, f->cols - first,
                     at(f, mlai_dist_off(d, k), first), f->ld, part, w));
    MLAI_TRY(MLAI_COMM(x, allgather, f->comm, h->off + mine, h->off, h->part));
    h->seq = x->comm->seq;
    return MLA_OK;
}

/* R, columns by position, of rank q's part: one run where its columns are one in elimination
 * order, else a run for each tile. */
static mla_status_t order_part(getri_t *f, int64_t k, int q)
{
    const mlai_dist_t *d = f->d;
    const char *part = f->h[0].base + (size_t)q * f->h[0].part;
    int64_t w = mlai_dist_width(d, k), first = before(d, q, k);
    int64_t cols = mlai_dist_cols(d, q), run = mlai_dist_is_identity(d) ? cols : d->nb;
    for (int64_t jl = first; jl < cols; jl += run) {
        int64_t pos = mlai_dist_off(d, mlai_dist_tile(d, q, jl / d->nb));
        MLAI_TRY(MLAI_BE(f->x, lacpy, f->main, f->dt, MLAI_FULL, w, mlai_min(run, cols - jl),
                         mlai_at(part, f->dt, w, 0, jl - first), w,
                         mlai_at(f->h[1].base, f->dt, w, 0, pos), w));
    }
    return MLA_OK;
}

static mla_status_t use_row(getri_t *f, int64_t k)
{
    mla_context_t *x = f->x;
    const mlai_dist_t *d = f->d;
    int64_t w = mlai_dist_width(d, k), row = mlai_dist_off(d, k), below = row + w;
    int64_t after = before(d, x->comm->rank, k + 1);
    MLAI_TRY(MLAI_BE(x, laset, f->main, f->dt, MLAI_FULL, w, f->cols - after, 0.0, 0.0,
                     at(f, row, after), f->ld));
    MLAI_TRY(MLAI_BE(x, gemm, f->main, f->dt, MLAI_N, MLAI_N, w, f->cols, f->n - below, -1.0,
                     mlai_at(f->h[1].base, f->dt, w, 0, below), w, at(f, below, 0), f->ld, 1.0,
                     at(f, row, 0), f->ld));
    return MLAI_BE(x, trsm, f->main, f->dt, MLAI_LEFT, MLAI_UPPER, MLAI_N, MLAI_NONUNIT, w,
                   f->cols, 1.0, mlai_at(f->h[1].base, f->dt, w, 0, row), w, at(f, row, 0),
                   f->ld);
}

static mla_status_t solve_upper(getri_t *f)
{
    mla_context_t *x = f->x;
    int64_t k = next_tile(f->d, mlai_dist_tiles(f->d), -1);
    MLAI_TRY(MLAI_COMM(x, reuse, f->main, x->comm->seq)); // the last column; R goes there
    MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY));
    MLAI_TRY(gather_row(f, k));
    while (k >= 0) {
        int64_t next = next_tile(f->d, k, -1);
        MLAI_TRY(mlai_after(x, f->main, f->comm, EV_DONE));
        for (int q = 0; q < f->d->nranks; q++) MLAI_TRY(order_part(f, k, q));
        MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY)); // the parts have been copied
        if (next >= 0) MLAI_TRY(gather_row(f, next));
        MLAI_TRY(use_row(f, k));
        k = next;
    }
    return mlai_after(x, f->main, f->comm, EV_DONE);
}

/* ---- order and the routine ------------------------------------------------------------------
 */

/* Column i of X, i by elimination, is column perm[i] of the inverse. */
static mla_status_t order_columns(getri_t *f, const mla_desc_t *desc, const int32_t *perm,
                                  void *work, void *base)
{
    mla_context_t *x = f->x;
    size_t bytes = mlai_size_mat(f->n, 1, sizeof(int32_t));
    int32_t *host = malloc(2 * bytes), *source = host ? host + f->n : NULL;
    mla_status_t st =
        host ? MLA_OK : mlai_fail(&x->err, MLA_NOMEM, "out of host memory for the row order");
    if (st == MLA_OK) st = MLAI_BE(x, to_host, f->main, host, perm, bytes);
    if (st == MLA_OK) st = MLAI_BE(x, sync, f->main);
    for (int64_t i = 0; source && st == MLA_OK && i < f->n; i++) source[i] = -1;
    for (int64_t i = 0; source && st == MLA_OK && i < f->n; i++) {
        int32_t to = host[mlai_dist_pos(f->d, i)];
        if (to >= 0 && to < f->n) source[to] = (int32_t)i;
    }
    st = mlai_agree(x, st);
    if (st == MLA_OK) st = mlai_colperm(x, desc, f->d, source, f->a, work, base);
    free(host);
    return st;
}

mla_status_t mlai_getri(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                        const int32_t *perm)
{
    MLAI_RANGE(x, "getri");
    mlai_space_t space = mlai_getri_space(desc, d);
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    getri_t f = {.x = x,
                 .d = d,
                 .dt = desc->dtype,
                 .n = desc->n,
                 .ld = desc->ld,
                 .cols = mlai_dist_cols(d, x->comm->rank),
                 .a = a,
                 .u = work,
                 .main = mlai_stream(x, MLAI_STREAM_MAIN),
                 .comm = mlai_stream(x, MLAI_STREAM_COMM)};
    for (int b = 0; b < 2; b++) {
        f.h[b].off = (size_t)b * half_bytes(desc, d);
        f.h[b].base = (char *)base + f.h[b].off;
    }
    size_t column = mlai_size_mat(mlai_max(1, f.n), 1, mlai_sizeof(f.dt));
    int64_t wcols = (int64_t)(2 * half_bytes(desc, d) / column);
    mla_status_t st;
    MLAI_TRY_GOTO(st, invert_lower(&f), done);
    MLAI_TRY_GOTO(st, solve_upper(&f), done);
    MLAI_TRY_GOTO(st, MLAI_COMM(x, reuse, f.main, x->comm->seq), done);
    MLAI_TRY_GOTO(st, mlai_permute(x, desc, d, false, a, base, wcols), done);
    st = order_columns(&f, desc, perm, work, base);
done:
    mlai_release(x, work);
    return st;
}
