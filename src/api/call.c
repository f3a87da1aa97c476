/* SPDX-License-Identifier: Apache-2.0
 * src/api/call.c: checks of the arguments that several routines share. */
#include "api/call.h"

static mla_status_t check_rhs(mla_context_t *ctx, const mlai_call_t *f, bool empty)
{
    MLAI_TRY(mlai_require(ctx, f->rhs == MLA_RHS_ROWS || f->rhs == MLA_RHS_REPLICATED, "rhs",
                          "is neither MLA_RHS_ROWS nor MLA_RHS_REPLICATED"));
    MLAI_TRY(mlai_require(ctx, f->nrhs >= 0 && f->nrhs <= INT32_MAX, "nrhs",
                          "is not in 0 .. 2147483647"));
    MLAI_TRY(
        mlai_require(ctx, f->ldc >= mlai_max(1, f->nrhs), "ldc", "is less than max(1, nrhs)"));
    empty = f->rhs == MLA_RHS_ROWS ? empty : f->d.n == 0;
    return mlai_require(ctx, f->c || f->nrhs == 0 || empty, "c", "is NULL");
}

static mla_status_t check(mla_context_t *ctx, const mlai_call_t *f)
{
    bool empty = mlai_dist_cols(&f->d, ctx->comm->rank) == 0;
    MLAI_TRY(mlai_require(ctx, f->a || empty, "a", "is NULL"));
    if (f->has_perm) MLAI_TRY(mlai_require(ctx, f->perm || f->d.n == 0, "perm", "is NULL"));
    MLAI_TRY(mlai_require(ctx, f->op == MLA_N || f->op == MLA_T || f->op == MLA_C, "op",
                          "is none of MLA_N, MLA_T, MLA_C"));
    if (f->has_info) MLAI_TRY(mlai_require(ctx, f->info != NULL, "info", "is NULL"));
    return f->has_rhs ? check_rhs(ctx, f, empty) : MLA_OK;
}

mla_status_t mlai_call_begin(mla_context_t *ctx, const mla_desc_t *desc, mlai_call_t *f)
{
    mla_desc_t own;
    if (ctx && desc && f->has_perm && desc->nb == 0) {
        own = *desc;
        own.nb = mlai_lu_tile_size(desc, ctx->comm->nranks, ctx->be->ops->device);
        desc = &own;
    }
    mla_status_t st = mlai_begin(ctx, desc, &f->desc, &f->d);
    if (!ctx) return st;
    if (st == MLA_OK) st = check(ctx, f);
    return mlai_end(ctx, mlai_agree(ctx, st));
}
