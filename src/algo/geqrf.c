/* SPDX-License-Identifier: Apache-2.0
 * src/algo/geqrf.c: blocked Householder QR on shards of rows (qr.h), conj(A) = Q R.
 *
 * For each panel of w columns (its rows from the pivots on, X, spread over the ranks):
 *
 *     X = Q1 R1, Q1 = Q2 R2      Cholesky QR twice: chol of X^H X, a sum over the ranks
 *     Q2 = (S; 0) + V U, ...     Householder vectors from Q2 by its first w rows, on their owner
 *     T = -U S V1^-H             V1: the first w rows of V
 *     C := C (I - V T V^H)       the columns after the panel
 *
 * All but the second line is products and triangular solves, large ones with R1 and U R2 alone.
 * Cholesky QR is right where |Q1^H Q1 - I| is small, which is measured, on the owner; all ranks
 * hear of it with U. Else (an ill-conditioned panel, zero columns, NaN) or where a column is
 * nearly zero below its diagonal already, so that LAPACK's sign of R is open, the panel is
 * factored column by column, each with one message, its columns first scaled by powers of two:
 * orthogonal to working precision whatever X is. Signs of R are LAPACK's, R_jj =
 * -sign(real(x_jj)) |..|, in both cases.
 *
 * 2 n^2 (m - n/3) flops, and 4 m n w for the panels; 2 n^2/2 words and 5 messages a panel
 * received. Ballard, Demmel, Grigori, Jacquelin, Nguyen, Solomonik, IPDPS 2014; Yamamoto,
 * Nakatsukasa, Yanagisawa, Fukaya, ETNA 44 (2015) on Cholesky QR twice. Waits on the host. */
#include "algo/qr.h"

#include <limits.h>
#include <math.h>

typedef struct geqrf {
    mlai_qr_t q;
    mla_rhs_t where; /* of r */
    char *r;
    int64_t ldr;
    char *l1, *l2, *rh; /* nb x nb each: factors of X^H X and Q1^H Q1; R^H of the panel */
    char *column;       /* lr elements */
    char *row;          /* 2 nb elements: coefficients of a column, and its scale */
    char *tau;          /* nb elements */
    double *most;       /* nb: largest elements of own columns */
    int32_t *info;
    size_t tile, flag, share; /* in the window: U^H, T^H and the flag of the panel; rows of R */
    uint64_t sent_tile, sent_share;
} geqrf_t;

static size_t square_bytes(mla_dtype_t dt, const mlai_dist_t *d)
{
    return mlai_size_align(mlai_size_mat(d->nb, d->nb + 2, mlai_sizeof(dt)));
}

mlai_space_t mlai_geqrf_space(const mla_rows_t *rows, const mlai_dist_t *d, bool share)
{
    size_t es = mlai_sizeof(rows->dtype), square = square_bytes(rows->dtype, d);
    mlai_space_t s = mlai_qr_space(rows, d, rows->n);
    s.work = mlai_size_add(s.work, mlai_size_mul(square, 6));
    s.work = mlai_size_add(s.work, mlai_size_align(mlai_size_mat(mlai_max(1, d->lc), 1, es)));
    s.window = mlai_size_add(s.window, mlai_size_add(mlai_size_mul(square, 2), 256));
    if (share) s.window = mlai_size_add(s.window, mlai_size_mat(rows->n, d->nb, es));
    return s;
}

static void *pivots(const geqrf_t *f, const mlai_qr_panel_t *p)
{
    return mlai_at(f->q.a, f->q.dt, f->q.lda, p->off, p->row);
}

/* ---- Cholesky QR twice, then Householder vectors ------------------------------------------- */

/* Sum of V^H V, lower triangle. */
static mla_status_t gram(geqrf_t *f, const mlai_qr_panel_t *p, void **g)
{
    mlai_qr_t *q = &f->q;
    void *term;
    MLAI_TRY(mlai_qr_term(q, &term));
    if (p->rows > 0)
        MLAI_TRY(MLAI_BE(q->x, herk, q->st, q->dt, MLAI_C, p->w, p->rows, 1.0, q->v, q->ldv, 0.0,
                         term, p->w));
    else
        MLAI_TRY(MLAI_BE(q->x, zero, q->st, term, mlai_size_mat(p->w, p->w, mlai_sizeof(q->dt))));
    return mlai_qr_sum(q, p->owner, p->w * p->w, g);
}

/* l := chol(V^H V). */
static mla_status_t cholesky(geqrf_t *f, const mlai_qr_panel_t *p, void *l, void **g)
{
    mlai_qr_t *q = &f->q;
    mla_context_t *x = q->x;
    int64_t w = p->w;
    MLAI_TRY(gram(f, p, g));
    MLAI_TRY(MLAI_BE(x, laset, q->st, q->dt, MLAI_FULL, w, w, 0.0, 0.0, l, w));
    MLAI_TRY(MLAI_BE(x, lacpy, q->st, q->dt, MLAI_LOWER, w, w, *g, w, l, w));
    return MLAI_BE(x, potrf_tile, q->st, q->dt, w, l, w, 0, f->info);
}

/* Rows of V from `top` on := those times l^-H, a lower triangle w x w. */
static mla_status_t divide(geqrf_t *f, const mlai_qr_panel_t *p, int64_t top, int64_t rows,
                           const void *l)
{
    mlai_qr_t *q = &f->q;
    return MLAI_BE(q->x, trsm, q->st, q->dt, MLAI_RIGHT, MLAI_LOWER, MLAI_C, MLAI_NONUNIT, rows,
                   p->w, 1.0, l, p->w, mlai_at(q->v, q->dt, q->ldv, top, 0), q->ldv);
}

/* The owner's part, V's top being that of Q1: V's top, R, U and T, and whether they are of use.
 */
static mla_status_t rebuild_top(geqrf_t *f, const mlai_qr_panel_t *p, const void *g)
{
    mlai_qr_t *q = &f->q;
    mla_context_t *x = q->x;
    int64_t w = p->w;
    MLAI_TRY(MLAI_BE(x, gemm, q->st, q->dt, MLAI_N, MLAI_N, w, w, w, 1.0, f->l1, w, f->l2, w, 0.0,
                     f->rh, w));
    MLAI_TRY(divide(f, p, 0, w, f->l2));
    MLAI_TRY(MLAI_COMM(x, reuse, q->st, f->sent_tile));
    char *u = q->base + f->tile, *t = mlai_at(u, q->dt, w, 0, w);
    MLAI_TRY(MLAI_BE(x, zero, q->st, u, mlai_size_mat(w, 2 * w, mlai_sizeof(q->dt))));
    mlai_unhr_t step = {.n = w,
                        .last = q->m - p->off == w,
                        .gram = g,
                        .q = q->v,
                        .ldq = q->ldv,
                        .u = u,
                        .t = t,
                        .r = f->rh,
                        .flag = (int32_t *)(void *)(q->base + f->flag)};
    MLAI_TRY(MLAI_BE(x, unhr_tile, q->st, q->dt, &step));
    return MLAI_BE(x, trsm, q->st, q->dt, MLAI_LEFT, MLAI_LOWER, MLAI_N, MLAI_UNIT, w, w, 1.0,
                   q->v, q->ldv, t, w);
}

/* f->v := V, T, and on the owner f->rh := R^H; *good: whether that is so. */
static mla_status_t by_cholesky(geqrf_t *f, const mlai_qr_panel_t *p, bool *good)
{
    mlai_qr_t *q = &f->q;
    mla_context_t *x = q->x;
    int64_t w = p->w, top = p->mine ? w : 0;
    int32_t flag = 0;
    void *g;
    MLAI_TRY(cholesky(f, p, f->l1, &g));
    MLAI_TRY(divide(f, p, 0, p->rows, f->l1));
    MLAI_TRY(cholesky(f, p, f->l2, &g));
    if (p->mine) MLAI_TRY(rebuild_top(f, p, g));
    MLAI_TRY(MLAI_COMM(x, bcast, q->st, f->tile, f->flag + sizeof flag - f->tile, p->owner));
    f->sent_tile = x->comm->seq;
    MLAI_TRY(MLAI_BE(x, to_host, q->st, &flag, q->base + f->flag, sizeof flag));
    MLAI_TRY(MLAI_BE(x, sync, q->st));
    *good = flag == 0;
    if (!*good) return MLA_OK;
    const void *u = q->base + f->tile, *t = mlai_at(u, q->dt, w, 0, w);
    MLAI_TRY(MLAI_BE(x, lacpy, q->st, q->dt, MLAI_FULL, w, w, t, w,
                     mlai_at(q->t, q->dt, q->ldt, 0, p->off), q->ldt));
    // Q2 U^-1 = Q1 (U L2^H)^-1
    MLAI_TRY(MLAI_BE(x, gemm, q->st, q->dt, MLAI_N, MLAI_N, w, w, w, 1.0, f->l2, w, u, w, 0.0,
                     f->l1, w));
    return divide(f, p, top, p->rows - top, f->l1);
}

/* ---- column by column ------------------------------------------------------------------------
 */

/* All ranks' largest elements of the columns, as powers of two; 0 where there are none. */
static mla_status_t exponents(geqrf_t *f, const mlai_qr_panel_t *p, int *exponent)
{
    mlai_qr_t *q = &f->q;
    mla_context_t *x = q->x;
    int limit = mlai_real(q->dt) == MLA_FLOAT32 ? 100 : 900;
    size_t bytes = (size_t)p->w * sizeof(double);
    void *term;
    for (int64_t j = 0; j < p->w; j++) exponent[j] = INT_MIN;
    MLAI_TRY(MLAI_BE(x, zero, q->st, f->most, bytes));
    for (int64_t j = 0; j < p->w && p->rows > 0; j++)
        MLAI_TRY(MLAI_BE(x, norm_max, q->st, q->dt, p->rows, 1,
                         mlai_at(q->v, q->dt, q->ldv, 0, j), q->ldv, f->most + j));
    MLAI_TRY(mlai_qr_term(q, &term));
    MLAI_TRY(MLAI_BE(x, copy, q->st, term, f->most, bytes));
    MLAI_TRY(MLAI_COMM(x, allgather, q->st, 0, q->gather, bytes));
    q->sent_term = x->comm->seq;
    for (int rank = p->owner; rank < x->comm->nranks; rank++) {
        double most[MLAI_QR_TILE];
        MLAI_TRY(
            MLAI_BE(x, to_host, q->st, most, q->base + q->gather + (size_t)rank * bytes, bytes));
        MLAI_TRY(MLAI_BE(x, sync, q->st));
        for (int64_t j = 0; j < p->w; j++) {
            int e = INT_MIN;
            if (most[j] > 0 && isfinite(most[j])) (void)frexp(most[j], &e);
            if (e > exponent[j]) exponent[j] = e;
        }
    }
    for (int64_t j = 0; j < p->w; j++)
        exponent[j] =
            exponent[j] == INT_MIN ? 0 : (int)mlai_max(-limit, mlai_min(exponent[j], limit));
    return MLA_OK;
}

/* d := diag(2^(sign exponent)), w x w. */
static mla_status_t powers(geqrf_t *f, int64_t w, int sign, const int *exponent, void *d)
{
    mlai_qr_t *q = &f->q;
    MLAI_TRY(MLAI_BE(q->x, laset, q->st, q->dt, MLAI_FULL, w, w, 0.0, 0.0, d, w));
    for (int64_t j = 0; j < w; j++) {
        double value = ldexp(1.0, sign * exponent[j]);
        MLAI_TRY(MLAI_BE(q->x, laset, q->st, q->dt, MLAI_FULL, 1, 1, value, value,
                         mlai_at(d, q->dt, w, j, j), w));
    }
    return MLA_OK;
}

/* Column j: one message. `top`: rows of this rank that are pivots already, or this one. */
static mla_status_t householder(geqrf_t *f, const mlai_qr_panel_t *p, int64_t j)
{
    mlai_qr_t *q = &f->q;
    mla_context_t *x = q->x;
    int64_t n = p->w - j, top = p->mine ? j + 1 : 0, rows = p->rows - top;
    size_t es = mlai_sizeof(q->dt);
    void *xj = mlai_at(q->v, q->dt, q->ldv, top, j), *pivot = mlai_at(q->v, q->dt, q->ldv, j, j);
    void *term;
    MLAI_TRY(mlai_qr_term(q, &term));
    MLAI_TRY(MLAI_BE(x, zero, q->st, term, 2 * (size_t)n * es));
    if (rows > 0)
        MLAI_TRY(MLAI_BE(x, gemm, q->st, q->dt, MLAI_C, MLAI_N, 1, n, rows, 1.0, xj, q->ldv, xj,
                         q->ldv, 0.0, term, 1));
    if (p->mine)
        MLAI_TRY(MLAI_BE(x, lacpy, q->st, q->dt, MLAI_FULL, 1, n, pivot, q->ldv,
                         mlai_at(term, q->dt, 1, n, 0), 1));
    MLAI_TRY(MLAI_COMM(x, allgather, q->st, 0, q->gather, 2 * (size_t)n * es));
    q->sent_term = x->comm->seq;
    void *scale = mlai_at(f->row, q->dt, 1, n, 0);
    mlai_geqr2_t t = {.n = n,
                      .nblk = x->comm->nranks - p->owner,
                      .part =
                          mlai_at(q->base + q->gather, q->dt, 1, (int64_t)p->owner * 2 * n, 0),
                      .stride = 2 * n,
                      .pivot = f->l1,
                      .coef = f->row,
                      .scale = scale,
                      .tau = mlai_at(f->tau, q->dt, 1, j, 0)};
    MLAI_TRY(MLAI_BE(x, geqr2_column, q->st, q->dt, &t));
    if (p->mine)
        MLAI_TRY(MLAI_BE(x, lacpy, q->st, q->dt, MLAI_FULL, 1, n, f->l1, 1, pivot, q->ldv));
    if (rows <= 0) return MLA_OK;
    MLAI_TRY(MLAI_BE(x, gemm, q->st, q->dt, MLAI_N, MLAI_N, rows, n - 1, 1, -1.0, xj, q->ldv,
                     mlai_at(f->row, q->dt, 1, 1, 0), 1, 1.0,
                     n > 1 ? mlai_at(q->v, q->dt, q->ldv, top, j + 1) : xj, q->ldv));
    MLAI_TRY(MLAI_BE(x, lacpy, q->st, q->dt, MLAI_FULL, rows, 1, xj, q->ldv, f->column, rows));
    return MLAI_BE(x, gemm, q->st, q->dt, MLAI_N, MLAI_N, rows, 1, 1, 1.0, f->column, rows, scale,
                   1, 0.0, xj, q->ldv);
}

/* R^H of the owner from the triangle on top of V, the scale of its columns undone. */
static mla_status_t take_r(geqrf_t *f, const mlai_qr_panel_t *p, const int *exponent)
{
    mlai_qr_t *q = &f->q;
    mla_context_t *x = q->x;
    int64_t w = p->w;
    MLAI_TRY(MLAI_BE(x, laset, q->st, q->dt, MLAI_FULL, w, w, 0.0, 0.0, f->l1, w));
    MLAI_TRY(MLAI_BE(x, lacpy, q->st, q->dt, MLAI_UPPER, w, w, q->v, q->ldv, f->l1, w));
    MLAI_TRY(powers(f, w, 1, exponent, f->l2));
    MLAI_TRY(MLAI_BE(x, gemm, q->st, q->dt, MLAI_C, MLAI_C, w, w, w, 1.0, f->l2, w, f->l1, w, 0.0,
                     f->rh, w));
    return MLAI_BE(x, laset, q->st, q->dt, MLAI_UPPER, w, w, 0.0, 1.0, q->v, q->ldv);
}

/* As by_cholesky, for any X. */
static mla_status_t by_columns(geqrf_t *f, const mlai_qr_panel_t *p)
{
    mlai_qr_t *q = &f->q;
    mla_context_t *x = q->x;
    int64_t w = p->w;
    int exponent[MLAI_QR_TILE];
    void *g, *a = pivots(f, p);
    MLAI_TRY(MLAI_BE(x, transpose, q->st, q->dt, MLAI_C, w, p->rows, a, q->lda, q->v, q->ldv));
    MLAI_TRY(exponents(f, p, exponent));
    MLAI_TRY(powers(f, w, -1, exponent, f->l1));
    // V := X D; X is there, in memory as its adjoint.
    if (p->rows > 0)
        MLAI_TRY(MLAI_BE(x, gemm, q->st, q->dt, MLAI_C, MLAI_N, p->rows, w, w, 1.0, a, q->lda,
                         f->l1, w, 0.0, q->v, q->ldv));
    for (int64_t j = 0; j < w; j++) MLAI_TRY(householder(f, p, j));
    if (p->mine) MLAI_TRY(take_r(f, p, exponent));
    MLAI_TRY(gram(f, p, &g));
    MLAI_TRY(MLAI_BE(x, larft_diag, q->st, q->dt, w, f->tau, g, w));
    return MLAI_BE(x, trtri_tile, q->st, q->dt, w, g, w, mlai_at(q->t, q->dt, q->ldt, 0, p->off),
                   q->ldt);
}

/* ---- the loop --------------------------------------------------------------------------------
 */

/* V and R of the panel to their places. */
static mla_status_t store(geqrf_t *f, const mlai_qr_panel_t *p)
{
    mlai_qr_t *q = &f->q;
    mla_context_t *x = q->x;
    int64_t w = p->w;
    void *a = pivots(f, p);
    MLAI_TRY(MLAI_BE(x, transpose, q->st, q->dt, MLAI_C, p->rows, w, q->v, q->ldv, a, q->lda));
    if (!p->mine) return MLA_OK;
    return MLAI_BE(x, lacpy, q->st, q->dt, MLAI_LOWER, w, w, f->rh, w, a, q->lda);
}

/* Rows of R that the panel has finished to where the caller wants them. */
static mla_status_t share_rows(geqrf_t *f, const mlai_qr_panel_t *p)
{
    mlai_qr_t *q = &f->q;
    mla_context_t *x = q->x;
    int64_t w = p->w, left = q->n - p->off, first = 0, end = q->k;
    char *piece = q->base + f->share;
    if (p->mine) {
        MLAI_TRY(MLAI_COMM(x, reuse, q->st, f->sent_share));
        MLAI_TRY(MLAI_BE(x, lacpy, q->st, q->dt, MLAI_FULL, left, w, pivots(f, p), q->lda, piece,
                         left));
        if (w > 1)
            MLAI_TRY(MLAI_BE(x, laset, q->st, q->dt, MLAI_UPPER, w - 1, w - 1, 0.0, 0.0,
                             mlai_at(piece, q->dt, left, 0, 1), left));
    }
    MLAI_TRY(MLAI_COMM(x, bcast, q->st, f->share, mlai_size_mat(left, w, mlai_sizeof(q->dt)),
                       p->owner));
    f->sent_share = x->comm->seq;
    if (f->where == MLA_RHS_ROWS) {
        int64_t each = mlai_ceil_div(q->k, x->comm->nranks);
        first = x->comm->rank * each;
        end = mlai_min(first + each, q->k);
    }
    int64_t lo = mlai_max(first, p->off), hi = mlai_min(end, p->off + w);
    if (lo >= hi) return MLA_OK;
    return MLAI_BE(x, lacpy, q->st, q->dt, MLAI_FULL, left, hi - lo,
                   mlai_at(piece, q->dt, left, 0, lo - p->off), left,
                   mlai_at(f->r, q->dt, f->ldr, p->off, lo - first), f->ldr);
}

static mla_status_t panel_step(geqrf_t *f, const mlai_qr_panel_t *p)
{
    mlai_qr_t *q = &f->q;
    bool good = false;
    int64_t next = p->off + p->w;
    MLAI_TRY(MLAI_BE(q->x, transpose, q->st, q->dt, MLAI_C, p->w, p->rows, pivots(f, p), q->lda,
                     q->v, q->ldv));
    MLAI_TRY(by_cholesky(f, p, &good));
    if (!good) MLAI_TRY(by_columns(f, p));
    MLAI_TRY(store(f, p));
    if (q->n > next)
        MLAI_TRY(mlai_qr_apply(q, p, MLAI_N, q->n - next,
                               mlai_at(q->a, q->dt, q->lda, next, p->row), q->lda));
    return f->r ? share_rows(f, p) : MLA_OK;
}

/* Zeros below what share_rows sets. */
static mla_status_t clear_r(geqrf_t *f)
{
    mlai_qr_t *q = &f->q;
    int64_t rows = q->k;
    if (f->where == MLA_RHS_ROWS) {
        int64_t each = mlai_ceil_div(q->k, q->x->comm->nranks);
        rows = mlai_max(0, mlai_min(each, q->k - q->x->comm->rank * each));
    }
    return MLAI_BE(q->x, laset, q->st, q->dt, MLAI_FULL, q->n, rows, 0.0, 0.0, f->r, f->ldr);
}

static void carve(geqrf_t *f, char *work)
{
    mlai_qr_t *q = &f->q;
    size_t square = square_bytes(q->dt, q->d);
    char **place[] = {&f->l1, &f->l2, &f->rh, &f->row, &f->tau};
    for (int i = 0; i < 5; i++, work += square) *place[i] = work;
    f->most = (double *)(void *)work;
    f->info = (int32_t *)(void *)(f->most + q->d->nb);
    f->column = work + square_bytes(q->dt, q->d);
    f->tile = q->extra;
    f->flag = f->tile + 2 * square;
    f->share = f->flag + 256;
    f->sent_tile = f->sent_share = q->x->comm->seq;
}

mla_status_t mlai_geqrf(mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d, void *a,
                        void *t, int64_t ldt, mla_rhs_t where, void *r, int64_t ldr)
{
    MLAI_RANGE(x, "geqrf");
    mlai_space_t space = mlai_geqrf_space(rows, d, r != NULL);
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    geqrf_t f = {.where = where, .r = r, .ldr = ldr};
    mlai_qr_begin(&f.q, x, rows, d, rows->n, work, base);
    f.q.a = a;
    f.q.t = t;
    f.q.ldt = ldt;
    carve(&f, (char *)work + mlai_qr_space(rows, d, rows->n).work);
    mla_status_t st;
    MLAI_TRY_GOTO(st, MLAI_BE(x, zero, f.q.st, f.info, sizeof *f.info), done);
    if (r) MLAI_TRY_GOTO(st, clear_r(&f), done);
    for (int64_t tile = 0; tile < mlai_dist_tiles(d); tile++) {
        mlai_qr_panel_t p = mlai_qr_panel(&f.q, tile);
        if (p.w > 0) MLAI_TRY_GOTO(st, panel_step(&f, &p), done);
    }
    st = MLA_OK;
done:
    mlai_release(x, work);
    return st;
}
