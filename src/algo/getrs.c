/* SPDX-License-Identifier: Apache-2.0
 * src/algo/getrs.c: X op(B) = C from the factor P B Pi^T = L U, 1D block-cyclic columns.
 *
 * Columns of C are in natural order; Z and Y below are in elimination order. "pull": the owner of
 * tile t has all that X_t needs of the factor, column t, and all ranks need X_t (broadcast).
 * "push": the owner of t subtracts what X_t means for the others from its own sums S, and a
 * tile's sums are added up when its turn comes (all-gather, in rank order).
 *
 *     op = N     Y U = C Pi^T     Y_t = (C_t - sum_{u<t} Y_u U[u,t]) U_tt^-1          pull
 *                Z L = Y          Z_t = (Y_t - sum_{u>t} Z_u L[u,t]) L_tt^-1          pull
 *                X = Z P          column perm[i] of X is column i of Z
 *     op = T, C  Y op(L) = C P^T  Y_t = (C_t - sum_{u<t} Y_u op(L[t,u])) op(L_tt)^-1  push
 *                Z op(U) = Y      Z_t = (Y_t - sum_{u>t} Z_u op(U[t,u])) op(U_tt)^-1  push
 *                X = Z Pi
 *
 * C P^T needs no message: each rank starts its sums with its own columns, where P puts them.
 * Groups of right-hand sides, window and cost as in potrs.c. */
#include "algo/algo.h"

typedef struct getrs {
    mla_context_t *x;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    mlai_op_t op;
    int64_t n, lda, nrhs; /* nrhs of this group */
    const char *a;
    const int32_t *perm;
    mla_rhs_t rhs;
    char *c;
    int64_t ldc;
    mlai_stream_t st;
    char *base; /* window: S, Z, parts of one tile from all ranks */
    size_t s_off, z_off, g_off;
} getrs_t;

mlai_space_t mlai_getrs_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t nrhs)
{
    return mlai_potrs_space(desc, d, MLA_RHS_ROWS, nrhs);
}

/* Element (row, 0) of own tile t of the factor. */
static const void *factor(const getrs_t *f, int64_t t, int64_t row)
{
    return mlai_at(f->a, f->dt, f->lda, row, mlai_dist_local(f->d, t));
}

/* Columns of tile t of c, this rank's or (replicated) anyone's. */
static void *c_tile(const getrs_t *f, int64_t t)
{
    int64_t jl = mlai_dist_local(f->d, t);
    if (f->rhs == MLA_RHS_REPLICATED) jl += mlai_dist_owner(f->d, t) * f->d->lc;
    return mlai_at(f->c, f->dt, f->ldc, 0, jl);
}

/* Column `pos` of S or Z. */
static void *col(const getrs_t *f, size_t off, int64_t pos)
{
    return mlai_at(f->base + off, f->dt, f->nrhs, 0, pos);
}

/* First column of c that is this rank's own. */
static int64_t own_first(const getrs_t *f)
{
    return f->x->comm->rank * f->d->lc;
}

static bool is_own(const getrs_t *f, int64_t t)
{
    return mlai_dist_owner(f->d, t) == f->x->comm->rank;
}

static mla_status_t send(getrs_t *f, int64_t t)
{
    size_t es = mlai_sizeof(f->dt);
    int64_t w = mlai_dist_width(f->d, t), row = mlai_dist_off(f->d, t);
    return MLAI_COMM(f->x, bcast, f->st, f->z_off + mlai_size_mat(f->nrhs, row, es),
                     mlai_size_mat(f->nrhs, w, es), mlai_dist_owner(f->d, t));
}

/* ---- op = N ----------------------------------------------------------------------------------
 */

/* Tile t of Z with the columns [first, end) of Z that are known; U (upper) or L. */
static mla_status_t pull(getrs_t *f, int64_t t, bool upper)
{
    int64_t w = mlai_dist_width(f->d, t), row = mlai_dist_off(f->d, t);
    int64_t first = upper ? 0 : row + w, count = upper ? row : f->n - row - w;
    void *zt = col(f, f->z_off, row);
    if (is_own(f, t)) {
        MLAI_TRY(MLAI_BE(f->x, gemm, f->st, f->dt, MLAI_N, MLAI_N, f->nrhs, w, count, -1.0,
                         col(f, f->z_off, first), f->nrhs, factor(f, t, first), f->lda, 1.0, zt,
                         f->nrhs));
        MLAI_TRY(MLAI_BE(f->x, trsm, f->st, f->dt, MLAI_RIGHT, upper ? MLAI_UPPER : MLAI_LOWER,
                         MLAI_N, upper ? MLAI_NONUNIT : MLAI_UNIT, f->nrhs, w, 1.0,
                         factor(f, t, row), f->lda, zt, f->nrhs));
    }
    return send(f, t);
}

static mla_status_t solve_plain(getrs_t *f)
{
    mla_context_t *x = f->x;
    int64_t tiles = mlai_dist_tiles(f->d);
    for (int64_t s = 0; s < f->d->slots; s++) {
        int64_t t = mlai_dist_tile(f->d, x->comm->rank, s);
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, f->nrhs, mlai_dist_width(f->d, t),
                         c_tile(f, t), f->ldc, col(f, f->z_off, mlai_dist_off(f->d, t)),
                         f->nrhs));
    }
    for (int64_t t = 0; t < tiles; t++)
        if (mlai_dist_width(f->d, t) > 0) MLAI_TRY(pull(f, t, true));
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq)); // the others have Y
    for (int64_t t = tiles - 1; t >= 0; t--)
        if (mlai_dist_width(f->d, t) > 0) MLAI_TRY(pull(f, t, false));
    bool all = f->rhs == MLA_RHS_REPLICATED;
    int64_t lo = all ? 0 : own_first(f);
    int64_t hi = all ? f->n : lo + mlai_dist_cols(f->d, x->comm->rank);
    return MLAI_BE(x, put_cols, f->st, f->dt, f->nrhs, f->n, f->perm, lo, hi, col(f, f->z_off, 0),
                   f->nrhs, f->c, f->ldc);
}

/* ---- op = T, C ------------------------------------------------------------------------------
 */

/* Tile t of Z at its owner, and its part in the sums of the tiles that come later. */
static mla_status_t push(getrs_t *f, int64_t t, bool upper)
{
    mla_context_t *x = f->x;
    int64_t w = mlai_dist_width(f->d, t), row = mlai_dist_off(f->d, t);
    int64_t first = upper ? 0 : row + w, count = upper ? row : f->n - row - w;
    size_t es = mlai_sizeof(f->dt);
    MLAI_TRY(MLAI_COMM(x, allgather, f->st, f->s_off + mlai_size_mat(f->nrhs, row, es), f->g_off,
                       mlai_size_mat(f->nrhs, w, es)));
    if (!is_own(f, t)) return MLA_OK;
    void *zt = col(f, f->z_off, row);
    MLAI_TRY(MLAI_BE(x, sum_blocks, f->st, f->dt, f->nrhs, w, x->comm->nranks, f->base + f->g_off,
                     f->nrhs, f->nrhs * w, zt, f->nrhs));
    MLAI_TRY(MLAI_BE(x, trsm, f->st, f->dt, MLAI_RIGHT, upper ? MLAI_UPPER : MLAI_LOWER, f->op,
                     upper ? MLAI_NONUNIT : MLAI_UNIT, f->nrhs, w, 1.0, factor(f, t, row), f->lda,
                     zt, f->nrhs));
    return MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, f->op, f->nrhs, count, w, -1.0, zt, f->nrhs,
                   factor(f, t, first), f->lda, 1.0, col(f, f->s_off, first), f->nrhs);
}

/* S := own tiles of Z, 0 elsewhere. */
static mla_status_t start_sums(getrs_t *f)
{
    mla_context_t *x = f->x;
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq)); // the others have read S
    MLAI_TRY(MLAI_BE(x, zero, f->st, f->base + f->s_off,
                     mlai_size_mat(f->nrhs, f->n, mlai_sizeof(f->dt))));
    for (int64_t s = 0; s < f->d->slots; s++) {
        int64_t t = mlai_dist_tile(f->d, x->comm->rank, s), row = mlai_dist_off(f->d, t);
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, f->nrhs, mlai_dist_width(f->d, t),
                         col(f, f->z_off, row), f->nrhs, col(f, f->s_off, row), f->nrhs));
    }
    return MLA_OK;
}

static mla_status_t solve_transposed(getrs_t *f)
{
    mla_context_t *x = f->x;
    int64_t tiles = mlai_dist_tiles(f->d), lo = own_first(f);
    bool all = f->rhs == MLA_RHS_REPLICATED;
    MLAI_TRY(MLAI_BE(x, take_cols, f->st, f->dt, f->nrhs, f->n, f->perm, lo,
                     lo + mlai_dist_cols(f->d, x->comm->rank),
                     mlai_at(f->c, f->dt, f->ldc, 0, all ? lo : 0), f->ldc, col(f, f->s_off, 0),
                     f->nrhs));
    for (int64_t t = 0; t < tiles; t++)
        if (mlai_dist_width(f->d, t) > 0) MLAI_TRY(push(f, t, false));
    MLAI_TRY(start_sums(f));
    for (int64_t t = tiles - 1; t >= 0; t--) {
        if (mlai_dist_width(f->d, t) == 0) continue;
        MLAI_TRY(push(f, t, true));
        if (all) MLAI_TRY(send(f, t));
        if (!all && !is_own(f, t)) continue;
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, f->nrhs, mlai_dist_width(f->d, t),
                         col(f, f->z_off, mlai_dist_off(f->d, t)), f->nrhs, c_tile(f, t),
                         f->ldc));
    }
    return MLA_OK;
}

mla_status_t mlai_getrs(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        mlai_op_t op, const void *a, const int32_t *perm, mla_rhs_t rhs,
                        int64_t nrhs, void *c, int64_t ldc)
{
    MLAI_RANGE(x, "getrs");
    mlai_space_t space = mlai_getrs_space(desc, d, nrhs);
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    int64_t group = mlai_rhs_group(d, nrhs);
    size_t all = mlai_size_align(mlai_size_mat(group, desc->n, mlai_sizeof(desc->dtype)));
    for (int64_t first = 0; first < nrhs; first += group) {
        getrs_t f = {.x = x,
                     .d = d,
                     .dt = desc->dtype,
                     .op = op,
                     .n = desc->n,
                     .lda = desc->ld,
                     .nrhs = mlai_min(nrhs - first, group),
                     .a = a,
                     .perm = perm,
                     .rhs = rhs,
                     .c = mlai_at(c, desc->dtype, ldc, first, 0),
                     .ldc = ldc,
                     .st = mlai_stream(x, MLAI_STREAM_MAIN),
                     .base = base,
                     .s_off = 0,
                     .z_off = all,
                     .g_off = 2 * all};
        // The group before may still be on its way to the others.
        MLAI_TRY(MLAI_COMM(x, reuse, f.st, x->comm->seq));
        MLAI_TRY(op == MLAI_N ? solve_plain(&f) : solve_transposed(&f));
    }
    return MLA_OK;
}
