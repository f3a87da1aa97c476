/* SPDX-License-Identifier: Apache-2.0
 * src/api/posv.c: public Hermitian positive definite factor, solve and inverse: checks, quick
 * returns, calls. */
#include "api/api.h"

/* The arguments of one call, of which a routine has some. */
typedef struct call {
    mla_desc_t desc;
    mlai_dist_t d;
    const void *a;
    bool has_info, has_rhs;
    double *logdet;
    int32_t *info;
    mla_rhs_t rhs;
    int64_t nrhs, ldc;
    const void *c;
} call_t;

static mla_status_t check(mla_context_t *ctx, const call_t *f)
{
    bool empty = mlai_dist_cols(&f->d, ctx->comm->rank) == 0;
    MLAI_TRY(mlai_require(ctx, f->a || empty, "a", "is NULL"));
    if (f->has_info) MLAI_TRY(mlai_require(ctx, f->info != NULL, "info", "is NULL"));
    if (!f->has_rhs) return MLA_OK;
    MLAI_TRY(mlai_require(ctx, f->rhs == MLA_RHS_ROWS || f->rhs == MLA_RHS_REPLICATED, "rhs",
                          "is neither MLA_RHS_ROWS nor MLA_RHS_REPLICATED"));
    MLAI_TRY(mlai_require(ctx, f->nrhs >= 0 && f->nrhs <= INT32_MAX, "nrhs",
                          "is not in 0 .. 2147483647"));
    MLAI_TRY(
        mlai_require(ctx, f->ldc >= mlai_max(1, f->nrhs), "ldc", "is less than max(1, nrhs)"));
    empty = f->rhs == MLA_RHS_ROWS ? empty : f->d.n == 0;
    return mlai_require(ctx, f->c || f->nrhs == 0 || empty, "c", "is NULL");
}

/* Completes f->desc; MLA_OK on all ranks or on none. */
static mla_status_t begin(mla_context_t *ctx, const mla_desc_t *desc, call_t *f)
{
    mla_status_t st = mlai_begin(ctx, desc, &f->desc, &f->d);
    if (!ctx) return st;
    if (st == MLA_OK) st = check(ctx, f);
    return mlai_end(ctx, mlai_agree(ctx, st));
}

/* n == 0: nothing but the scalars. */
static mla_status_t empty_result(mla_context_t *ctx, const call_t *f)
{
    mlai_stream_t st = mlai_stream(ctx, MLAI_STREAM_MAIN);
    if (f->logdet) MLAI_TRY(MLAI_BE(ctx, zero, st, f->logdet, sizeof *f->logdet));
    return MLAI_BE(ctx, zero, st, f->info, sizeof *f->info);
}

mla_status_t mla_potrf(mla_context_t *ctx, const mla_desc_t *desc, void *a, double *logdet,
                       int32_t *info)
{
    call_t f = {.a = a, .has_info = true, .logdet = logdet, .info = info};
    MLAI_TRY(begin(ctx, desc, &f));
    if (f.d.n == 0) return mlai_end(ctx, empty_result(ctx, &f));
    return mlai_end(ctx, mlai_potrf(ctx, &f.desc, &f.d, a, logdet, info));
}

mla_status_t mla_potrs(mla_context_t *ctx, const mla_desc_t *desc, const void *a, mla_rhs_t rhs,
                       int64_t nrhs, void *c, int64_t ldc)
{
    call_t f = {.a = a, .has_rhs = true, .rhs = rhs, .nrhs = nrhs, .c = c, .ldc = ldc};
    MLAI_TRY(begin(ctx, desc, &f));
    if (f.d.n == 0 || nrhs == 0) return MLA_OK;
    return mlai_end(ctx, mlai_potrs(ctx, &f.desc, &f.d, a, rhs, nrhs, c, ldc));
}

mla_status_t mla_posv(mla_context_t *ctx, const mla_desc_t *desc, void *a, mla_rhs_t rhs,
                      int64_t nrhs, void *c, int64_t ldc, double *logdet, int32_t *info)
{
    call_t f = {.a = a,
                .has_info = true,
                .has_rhs = true,
                .logdet = logdet,
                .info = info,
                .rhs = rhs,
                .nrhs = nrhs,
                .c = c,
                .ldc = ldc};
    MLAI_TRY(begin(ctx, desc, &f));
    if (f.d.n == 0) return mlai_end(ctx, empty_result(ctx, &f));
    mla_status_t st = mlai_potrf(ctx, &f.desc, &f.d, a, logdet, info);
    if (st == MLA_OK && nrhs > 0) st = mlai_potrs(ctx, &f.desc, &f.d, a, rhs, nrhs, c, ldc);
    return mlai_end(ctx, st);
}

mla_status_t mla_potri(mla_context_t *ctx, const mla_desc_t *desc, void *a)
{
    call_t f = {.a = a};
    MLAI_TRY(begin(ctx, desc, &f));
    if (f.d.n == 0) return MLA_OK;
    return mlai_end(ctx, mlai_potri(ctx, &f.desc, &f.d, a));
}

mla_status_t mla_poinv(mla_context_t *ctx, const mla_desc_t *desc, void *a, double *logdet,
                       int32_t *info)
{
    call_t f = {.a = a, .has_info = true, .logdet = logdet, .info = info};
    MLAI_TRY(begin(ctx, desc, &f));
    if (f.d.n == 0) return mlai_end(ctx, empty_result(ctx, &f));
    return mlai_end(ctx, mlai_poinv(ctx, &f.desc, &f.d, a, logdet, info));
}
