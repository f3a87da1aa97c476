/* SPDX-License-Identifier: Apache-2.0
 * src/algo/potrs.c: X B = C from the factor B = L L^H, 1D block-cyclic columns.
 *
 * From the right, so that a row-major caller needs no transposition:
 *
 *     Y L^H = C     Y_t = (C_t - sum_{u<t} Y_u L[t,u]^H) L_tt^-H       "push"
 *     X L = Y       X_t = (Y_t - sum_{u>t} X_u L[u,t]) L_tt^-1         "pull"
 *
 * Push: each rank keeps S (nrhs x n, elimination order), its part of the right sides of all
 * tiles; the owner of t adds the S_t of all ranks in rank order (all-gather), solves, and
 * subtracts Y_t L[>t,t]^H from its own S. Pull: the owner of t has the column L[>t,t] and needs
 * all later X, which are broadcast as they come.
 *
 * Right-hand sides go in groups, so that the window, 2 n words for each of them, takes less than
 * a fifth of a shard. 2 n^2 nrhs flops; 2 nrhs n (P-1) words received; 2 T messages a group. */
#include "algo/algo.h"

enum { GROUP_MIN = 64, GROUP_MAX = 512 };

typedef struct potrs {
    mla_context_t *x;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    int64_t n, lda, nrhs; /* nrhs of this group */
    const char *a;
    mla_rhs_t rhs;
    char *c;
    int64_t ldc;
    mlai_stream_t st;
    char *base; /* window: S, X, parts of one tile from all ranks */
    size_t s_off, x_off, g_off;
} potrs_t;

int64_t mlai_rhs_group(const mlai_dist_t *d, int64_t nrhs)
{
    return mlai_min(nrhs, mlai_min(mlai_max(d->lc / 12, GROUP_MIN), GROUP_MAX));
}

mlai_space_t mlai_potrs_space(const mla_desc_t *desc, const mlai_dist_t *d, mla_rhs_t rhs,
                              int64_t nrhs)
{
    (void)rhs;
    size_t es = mlai_sizeof(desc->dtype);
    int64_t group = mlai_rhs_group(d, nrhs);
    size_t all = mlai_size_align(mlai_size_mat(group, desc->n, es));
    size_t parts = mlai_size_mul(mlai_size_mat(group, d->nb, es), (size_t)d->nranks);
    return (mlai_space_t){.work = 0, .window = mlai_size_add(mlai_size_mul(all, 2), parts)};
}

/* Columns of tile t of c, this rank's or (replicated) anyone's. */
static void *c_tile(const potrs_t *f, int64_t t)
{
    int64_t jl = mlai_dist_local(f->d, t);
    if (f->rhs == MLA_RHS_REPLICATED) jl += mlai_dist_owner(f->d, t) * f->d->lc;
    return mlai_at(f->c, f->dt, f->ldc, 0, jl);
}

/* Column `pos` of S or X. */
static void *col(const potrs_t *f, size_t off, int64_t pos)
{
    return mlai_at(f->base + off, f->dt, f->nrhs, 0, pos);
}

/* S := C on own tiles, 0 elsewhere. */
static mla_status_t start(potrs_t *f)
{
    MLAI_TRY(MLAI_BE(f->x, zero, f->st, f->base + f->s_off,
                     mlai_size_mat(f->nrhs, f->n, mlai_sizeof(f->dt))));
    for (int64_t s = 0; s < f->d->slots; s++) {
        int64_t t = mlai_dist_tile(f->d, f->x->comm->rank, s);
        MLAI_TRY(MLAI_BE(f->x, lacpy, f->st, f->dt, MLAI_FULL, f->nrhs, mlai_dist_width(f->d, t),
                         c_tile(f, t), f->ldc, col(f, f->s_off, mlai_dist_off(f->d, t)),
                         f->nrhs));
    }
    return MLA_OK;
}

/* Y into the X buffer of the owner. */
static mla_status_t push(potrs_t *f, int64_t t)
{
    mla_context_t *x = f->x;
    int64_t w = mlai_dist_width(f->d, t), row = mlai_dist_off(f->d, t);
    int64_t below = f->n - row - w, jl = mlai_dist_local(f->d, t);
    size_t es = mlai_sizeof(f->dt), bytes = mlai_size_mat(f->nrhs, w, es);
    MLAI_TRY(MLAI_COMM(x, allgather, f->st, f->s_off + mlai_size_mat(f->nrhs, row, es), f->g_off,
                       bytes));
    if (mlai_dist_owner(f->d, t) != x->comm->rank) return MLA_OK;
    void *y = col(f, f->x_off, row);
    MLAI_TRY(MLAI_BE(x, sum_blocks, f->st, f->dt, f->nrhs, w, x->comm->nranks, f->base + f->g_off,
                     f->nrhs, f->nrhs * w, y, f->nrhs));
    MLAI_TRY(MLAI_BE(x, trsm, f->st, f->dt, MLAI_RIGHT, MLAI_LOWER, MLAI_C, MLAI_NONUNIT, f->nrhs,
                     w, 1.0, mlai_at(f->a, f->dt, f->lda, row, jl), f->lda, y, f->nrhs));
    return MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_C, f->nrhs, below, w, -1.0, y, f->nrhs,
                   mlai_at(f->a, f->dt, f->lda, row + w, jl), f->lda, 1.0,
                   col(f, f->s_off, row + w), f->nrhs);
}

static mla_status_t pull(potrs_t *f, int64_t t)
{
    mla_context_t *x = f->x;
    int owner = mlai_dist_owner(f->d, t);
    int64_t w = mlai_dist_width(f->d, t), row = mlai_dist_off(f->d, t);
    int64_t below = f->n - row - w, jl = mlai_dist_local(f->d, t);
    size_t es = mlai_sizeof(f->dt);
    void *xt = col(f, f->x_off, row);
    if (owner == x->comm->rank) {
        MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_N, f->nrhs, w, below, -1.0,
                         col(f, f->x_off, row + w), f->nrhs,
                         mlai_at(f->a, f->dt, f->lda, row + w, jl), f->lda, 1.0, xt, f->nrhs));
        MLAI_TRY(MLAI_BE(x, trsm, f->st, f->dt, MLAI_RIGHT, MLAI_LOWER, MLAI_N, MLAI_NONUNIT,
                         f->nrhs, w, 1.0, mlai_at(f->a, f->dt, f->lda, row, jl), f->lda, xt,
                         f->nrhs));
    }
    MLAI_TRY(MLAI_COMM(x, bcast, f->st, f->x_off + mlai_size_mat(f->nrhs, row, es),
                       mlai_size_mat(f->nrhs, w, es), owner));
    if (owner != x->comm->rank && f->rhs != MLA_RHS_REPLICATED) return MLA_OK;
    return MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, f->nrhs, w, xt, f->nrhs, c_tile(f, t),
                   f->ldc);
}

mla_status_t mlai_potrs(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        const void *a, mla_rhs_t rhs, int64_t nrhs, void *c, int64_t ldc)
{
    MLAI_RANGE(x, "potrs");
    mlai_space_t space = mlai_potrs_space(desc, d, rhs, nrhs);
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    int64_t tiles = mlai_dist_tiles(d), group = mlai_rhs_group(d, nrhs);
    size_t all = mlai_size_align(mlai_size_mat(group, desc->n, mlai_sizeof(desc->dtype)));
    for (int64_t first = 0; first < nrhs; first += group) {
        potrs_t f = {.x = x,
                     .d = d,
                     .dt = desc->dtype,
                     .n = desc->n,
                     .lda = desc->ld,
                     .nrhs = mlai_min(nrhs - first, group),
                     .a = a,
                     .rhs = rhs,
                     .c = mlai_at(c, desc->dtype, ldc, first, 0),
                     .ldc = ldc,
                     .st = mlai_stream(x, MLAI_STREAM_MAIN),
                     .base = base,
                     .s_off = 0,
                     .x_off = all,
                     .g_off = 2 * all};
        // The group before may still be on its way to the others.
        MLAI_TRY(MLAI_COMM(x, reuse, f.st, x->comm->seq));
        MLAI_TRY(start(&f));
        for (int64_t t = 0; t < tiles; t++)
            if (mlai_dist_width(d, t) > 0) MLAI_TRY(push(&f, t));
        for (int64_t t = tiles - 1; t >= 0; t--)
            if (mlai_dist_width(d, t) > 0) MLAI_TRY(pull(&f, t));
    }
    return MLA_OK;
}
