/* SPDX-License-Identifier: Apache-2.0
 * src/algo/poinv.c: inverse of a Hermitian positive definite matrix, in place, in one sweep.
 *
 * Bientinesi, Gunter, van de Geijn, "Families of algorithms for the inversion of a symmetric
 * positive definite matrix", ACM TOMS 35 (2008), doi 10.1145/1377603.1377606. With blocks
 * 0 (before), 1 (tile k), 2 (after) of the lower triangle, for k = 0 .. T-1:
 *
 *     1  L11 = chol(A11)            2  A10 := L11^-1 A10        3  A21 := A21 L11^-H
 *     4  A00 += A10^H A10           5  A20 -= A21 A10           6  A22 -= A21 A21^H
 *     7  A10 := L11^-H A10          8  A21 := -A21 L11^-1       9  A11 := L11^-H L11^-1
 *
 * From a factor (potri) A21 is L21 already and steps 1, 3 and 6 fall away.
 * 1D columns: the owner of k broadcasts L11^-1 and A21; every rank scales its own part R of the
 * row block A10; the parts are all-gathered and transposed to A10^H. Then all of 4, 5, 6 are
 * products on own columns. n^3 flops (potri: 2/3 n^3), the same work at every k; n^2 words
 * received; scratch and window 3 n nb words. Last the rows go back to natural order
 * and the upper triangle is filled. */
#include "algo/algo.h"

typedef struct sweep {
    mla_context_t *x;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    int64_t n, ld;
    char *a;
    int32_t *info; /* NULL: from a factor */
    double *logdet;
    mlai_stream_t st;
    char *base; /* window: [info | L11^-1 | A21], R of all ranks */
    size_t a21_off, all_off;
    char *li, *a21, *r; /* within that; r: this rank's */
    char *t;            /* scratch: A10^H, n x nb, and a tile */
    uint64_t seq_col;   /* broadcast that read the first part, gather that read the second */
    uint64_t seq_row;
} sweep_t;

static size_t bytes_of(const mla_desc_t *desc, int64_t m, int64_t n)
{
    return mlai_size_align(mlai_size_mat(m, n, mlai_sizeof(desc->dtype)));
}

mlai_space_t mlai_poinv_space(const mla_desc_t *desc, const mlai_dist_t *d)
{
    size_t tile = bytes_of(desc, d->nb, d->nb), column = bytes_of(desc, desc->n, d->nb);
    size_t part = bytes_of(desc, d->nb, d->lc);
    size_t window = mlai_size_add(mlai_size_add(tile, column), 256);
    window = mlai_size_add(window, mlai_size_mul(part, (size_t)d->nranks));
    mlai_space_t mirror = mlai_mirror_space(desc, d);
    return (mlai_space_t){.work = mlai_size_add(column, tile),
                          .window = mirror.window > window ? mirror.window : window};
}

/* Own columns before tile k. */
static int64_t before(const mlai_dist_t *d, int p, int64_t k)
{
    return mlai_min(mlai_dist_first_slot(d, p, k) * d->nb, mlai_dist_cols(d, p));
}

/* Steps 1 and 3 on the owner, then L11^-1 and A21 to all. */
static mla_status_t column_step(sweep_t *f, int64_t k)
{
    mla_context_t *x = f->x;
    int owner = mlai_dist_owner(f->d, k);
    int64_t w = mlai_dist_width(f->d, k), row = mlai_dist_off(f->d, k);
    int64_t jl = mlai_dist_local(f->d, k), below = f->n - row - w;
    int64_t ld21 = mlai_max(1, below);
    if (owner == x->comm->rank) {
        void *d11 = mlai_at(f->a, f->dt, f->ld, row, jl);
        void *d21 = mlai_at(f->a, f->dt, f->ld, row + w, jl);
        MLAI_TRY(MLAI_COMM(x, reuse, f->st, f->seq_col));
        if (f->info)
            MLAI_TRY(MLAI_BE(x, potrf_tile, f->st, f->dt, w, d11, f->ld, owner * f->d->lc + jl,
                             f->info));
        if (f->logdet)
            for (int twice = 0; twice < 2; twice++)
                MLAI_TRY(MLAI_BE(x, log_diag, f->st, f->dt, w, d11, f->ld, f->logdet));
        MLAI_TRY(MLAI_BE(x, trtri_tile, f->st, f->dt, w, d11, f->ld, f->li, w));
        if (f->info) {
            MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_C, below, w, w, 1.0, d21, f->ld,
                             f->li, w, 0.0, f->a21, ld21));
            MLAI_TRY(MLAI_BE(x, copy, f->st, f->base, f->info, sizeof *f->info));
        } else {
            MLAI_TRY(
                MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, below, w, d21, f->ld, f->a21, ld21));
        }
    }
    size_t bytes = f->a21_off + mlai_size_mat(below, w, mlai_sizeof(f->dt));
    MLAI_TRY(MLAI_COMM(x, bcast, f->st, 0, bytes, owner));
    f->seq_col = x->comm->seq;
    if (f->info && owner != x->comm->rank)
        MLAI_TRY(MLAI_BE(x, copy, f->st, f->info, f->base, sizeof *f->info));
    return MLA_OK;
}

/* The rows of A10^H that are rank q's part of A10: one run where its columns before k are one,
 * else a run for each tile. */
static mla_status_t transpose_part(sweep_t *f, int64_t k, int q, const char *part)
{
    const mlai_dist_t *d = f->d;
    int64_t w = mlai_dist_width(d, k), cols = before(d, q, k);
    int64_t run = mlai_dist_is_identity(d) ? mlai_max(1, cols) : d->nb;
    for (int64_t jl = 0; jl < cols; jl += run) {
        int64_t row = mlai_dist_off(d, mlai_dist_tile(d, q, jl / d->nb));
        MLAI_TRY(MLAI_BE(f->x, transpose, f->st, f->dt, MLAI_C, w, mlai_min(run, cols - jl),
                         mlai_at(part, f->dt, w, 0, jl), w, mlai_at(f->t, f->dt, f->n, row, 0),
                         f->n));
    }
    return MLA_OK;
}

/* Step 2 on own columns, R = L11^-1 A10, then A10^H of all ranks, elimination order, to f->t. */
static mla_status_t row_step(sweep_t *f, int64_t k)
{
    mla_context_t *x = f->x;
    const mlai_dist_t *d = f->d;
    int p = x->comm->rank;
    int64_t w = mlai_dist_width(d, k), row = mlai_dist_off(d, k);
    int64_t most = 0;
    for (int q = 0; q < d->nranks; q++) most = mlai_max(most, before(d, q, k));
    if (most == 0) return MLA_OK;
    size_t bytes = mlai_size_align(mlai_size_mat(w, most, mlai_sizeof(f->dt)));
    size_t r_off = f->all_off + (size_t)p * bytes;
    f->r = f->base + r_off;
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, f->seq_row));
    MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_N, w, before(d, p, k), w, 1.0, f->li, w,
                     mlai_at(f->a, f->dt, f->ld, row, 0), f->ld, 0.0, f->r, w));
    MLAI_TRY(MLAI_COMM(x, allgather, f->st, r_off, f->all_off, bytes));
    f->seq_row = x->comm->seq;
    for (int q = 0; q < d->nranks; q++)
        MLAI_TRY(transpose_part(f, k, q, f->base + f->all_off + (size_t)q * bytes));
    return MLA_OK;
}

/* Steps 4 to 7 on own columns. */
static mla_status_t update(sweep_t *f, int64_t k)
{
    mla_context_t *x = f->x;
    const mlai_dist_t *d = f->d;
    int p = x->comm->rank;
    int64_t w = mlai_dist_width(d, k), row = mlai_dist_off(d, k), below = f->n - row - w;
    int64_t nbef = before(d, p, k), ld21 = mlai_max(1, below);
    MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_N, below, nbef, w, -1.0, f->a21, ld21,
                     f->r, w, 1.0, mlai_at(f->a, f->dt, f->ld, row + w, 0), f->ld));
    for (int64_t s = 0; s < d->slots; s++) {
        int64_t j = mlai_dist_tile(d, p, s), wj = mlai_dist_width(d, j);
        int64_t rj = mlai_dist_off(d, j), jl = mlai_dist_local(d, j);
        void *ajj = mlai_at(f->a, f->dt, f->ld, rj, jl);
        if (j < k)
            MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_N, row - rj, wj, w, 1.0,
                             mlai_at(f->t, f->dt, f->n, rj, 0), f->n,
                             mlai_at(f->r, f->dt, w, 0, jl), w, 1.0, ajj, f->ld));
        if (j > k && f->info) {
            const void *aj = mlai_at(f->a21, f->dt, ld21, rj - row - w, 0);
            MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_C, f->n - rj, wj, w, -1.0, aj,
                             ld21, aj, ld21, 1.0, ajj, f->ld));
        }
    }
    return MLAI_BE(x, gemm, f->st, f->dt, MLAI_C, MLAI_N, w, nbef, w, 1.0, f->li, w, f->r, w, 0.0,
                   mlai_at(f->a, f->dt, f->ld, row, 0), f->ld);
}

/* Steps 8 and 9 on the owner. */
static mla_status_t finish_column(sweep_t *f, int64_t k)
{
    mla_context_t *x = f->x;
    if (mlai_dist_owner(f->d, k) != x->comm->rank) return MLA_OK;
    int64_t w = mlai_dist_width(f->d, k), row = mlai_dist_off(f->d, k);
    int64_t jl = mlai_dist_local(f->d, k), below = f->n - row - w;
    MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_N, below, w, w, -1.0, f->a21,
                     mlai_max(1, below), f->li, w, 0.0, mlai_at(f->a, f->dt, f->ld, row + w, jl),
                     f->ld));
    return MLAI_BE(x, herk, f->st, f->dt, MLAI_C, w, w, 1.0, f->li, w, 0.0,
                   mlai_at(f->a, f->dt, f->ld, row, jl), f->ld);
}

static mla_status_t sweep(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                          double *logdet, int32_t *info)
{
    MLAI_RANGE(x, info ? "poinv" : "potri");
    mlai_space_t space = mlai_poinv_space(desc, d);
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    size_t tile = bytes_of(desc, d->nb, d->nb), column = bytes_of(desc, desc->n, d->nb);
    sweep_t f = {.x = x,
                 .d = d,
                 .dt = desc->dtype,
                 .n = desc->n,
                 .ld = desc->ld,
                 .a = a,
                 .info = info,
                 .logdet = logdet,
                 .st = mlai_stream(x, MLAI_STREAM_MAIN),
                 .base = base,
                 .a21_off = 256 + tile,
                 .all_off = 256 + tile + column,
                 .t = work};
    f.li = f.base + 256;
    f.a21 = f.base + f.a21_off;
    f.r = f.base + f.all_off; // before there is one
    int64_t cols = mlai_dist_cols(d, x->comm->rank);
    mla_status_t st = MLA_OK;
    if (info) {
        MLAI_TRY_GOTO(st, MLAI_BE(x, zero, f.st, info, sizeof *info), done);
        MLAI_TRY_GOTO(st, mlai_permute(x, desc, d, true, a, work, d->nb), done);
    }
    if (logdet) MLAI_TRY_GOTO(st, MLAI_BE(x, zero, f.st, logdet, sizeof *logdet), done);
    for (int64_t k = 0; k < mlai_dist_tiles(d); k++) {
        if (mlai_dist_width(d, k) == 0) continue;
        MLAI_TRY_GOTO(st, column_step(&f, k), done);
        MLAI_TRY_GOTO(st, row_step(&f, k), done);
        MLAI_TRY_GOTO(st, update(&f, k), done);
        MLAI_TRY_GOTO(st, finish_column(&f, k), done);
    }
    MLAI_TRY_GOTO(st, MLAI_COMM(x, reuse, f.st, x->comm->seq), done);
    if (logdet) {
        MLAI_TRY_GOTO(st, mlai_sum_reduce(x, f.st, base, 0, logdet), done);
        MLAI_TRY_GOTO(st, MLAI_BE(x, nan_if, f.st, MLA_FLOAT64, info, 1, 1, logdet, 1), done);
        MLAI_TRY_GOTO(st, MLAI_COMM(x, reuse, f.st, x->comm->seq), done);
    }
    MLAI_TRY_GOTO(st, mlai_permute(x, desc, d, false, a, work, d->nb), done);
    MLAI_TRY_GOTO(st, mlai_mirror(x, desc, d, a, work, base), done);
    if (info) st = MLAI_BE(x, nan_if, f.st, f.dt, info, f.n, cols, a, f.ld);
done:
    mlai_release(x, work);
    return st;
}

mla_status_t mlai_poinv(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                        double *logdet, int32_t *info)
{
    return sweep(x, desc, d, a, logdet, info);
}

mla_status_t mlai_potri(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a)
{
    return sweep(x, desc, d, a, NULL, NULL);
}
