/* SPDX-License-Identifier: Apache-2.0
 * src/api/posv.c: public Hermitian positive definite factor, solve and inverse: checks, quick
 * returns, calls. */
#include "api/api.h"

typedef enum check { NEEDS_INFO = 1, NEEDS_RHS = 2 } check_t;

static mla_status_t check_mine(mla_context_t *ctx, const mlai_dist_t *d, const void *a, int needs,
                               const int32_t *info, mla_rhs_t rhs, int64_t nrhs, const void *c,
                               int64_t ldc)
{
    bool empty = mlai_dist_cols(d, ctx->comm->rank) == 0;
    MLAI_TRY(mlai_require(ctx, a || empty, "a", "is NULL"));
    if (needs & NEEDS_INFO) MLAI_TRY(mlai_require(ctx, info != NULL, "info", "is NULL"));
    if (needs & NEEDS_RHS) {
        MLAI_TRY(mlai_require(ctx, rhs == MLA_RHS_ROWS || rhs == MLA_RHS_REPLICATED, "rhs",
                              "is neither MLA_RHS_ROWS nor MLA_RHS_REPLICATED"));
        MLAI_TRY(mlai_require(ctx, nrhs >= 0 && nrhs <= INT32_MAX, "nrhs",
                              "is not in 0 .. 2147483647"));
        MLAI_TRY(mlai_require(ctx, ldc >= mlai_max(1, nrhs), "ldc", "is less than max(1, nrhs)"));
        MLAI_TRY(mlai_require(ctx, c || nrhs == 0 || empty, "c", "is NULL"));
    }
    return MLA_OK;
}

/* Pointers may be wrong on one rank alone: all ranks agree before any starts. */
static mla_status_t check(mla_context_t *ctx, const mlai_dist_t *d, const void *a, int needs,
                          const int32_t *info, mla_rhs_t rhs, int64_t nrhs, const void *c,
                          int64_t ldc)
{
    return MLAI_COMM(ctx, agree, check_mine(ctx, d, a, needs, info, rhs, nrhs, c, ldc));
}

/* n == 0: nothing but the scalars. */
static mla_status_t empty_result(mla_context_t *ctx, double *logdet, int32_t *info)
{
    mlai_stream_t st = mlai_stream(ctx, MLAI_STREAM_MAIN);
    if (logdet) MLAI_TRY(MLAI_BE(ctx, zero, st, logdet, sizeof *logdet));
    return info ? MLAI_BE(ctx, zero, st, info, sizeof *info) : MLA_OK;
}

mla_status_t mla_potrf(mla_context_t *ctx, const mla_desc_t *desc, void *a, double *logdet,
                       int32_t *info)
{
    mla_desc_t full;
    mlai_dist_t d;
    MLAI_TRY(mlai_begin(ctx, desc, &full, &d));
    MLAI_TRY(check(ctx, &d, a, NEEDS_INFO, info, 0, 0, NULL, 0));
    if (full.n == 0) return empty_result(ctx, logdet, info);
    return mlai_end(ctx, mlai_potrf(ctx, &full, &d, a, logdet, info));
}

mla_status_t mla_potrs(mla_context_t *ctx, const mla_desc_t *desc, const void *a, mla_rhs_t rhs,
                       int64_t nrhs, void *c, int64_t ldc)
{
    mla_desc_t full;
    mlai_dist_t d;
    MLAI_TRY(mlai_begin(ctx, desc, &full, &d));
    MLAI_TRY(check(ctx, &d, a, NEEDS_RHS, NULL, rhs, nrhs, c, ldc));
    if (full.n == 0 || nrhs == 0) return MLA_OK;
    return mlai_end(ctx, mlai_potrs(ctx, &full, &d, a, rhs, nrhs, c, ldc));
}

mla_status_t mla_posv(mla_context_t *ctx, const mla_desc_t *desc, void *a, mla_rhs_t rhs,
                      int64_t nrhs, void *c, int64_t ldc, double *logdet, int32_t *info)
{
    mla_desc_t full;
    mlai_dist_t d;
    MLAI_TRY(mlai_begin(ctx, desc, &full, &d));
    MLAI_TRY(check(ctx, &d, a, NEEDS_INFO | NEEDS_RHS, info, rhs, nrhs, c, ldc));
    if (full.n == 0) return empty_result(ctx, logdet, info);
    mla_status_t st = mlai_potrf(ctx, &full, &d, a, logdet, info);
    if (st == MLA_OK && nrhs > 0) st = mlai_potrs(ctx, &full, &d, a, rhs, nrhs, c, ldc);
    return mlai_end(ctx, st);
}

mla_status_t mla_potri(mla_context_t *ctx, const mla_desc_t *desc, void *a)
{
    mla_desc_t full;
    mlai_dist_t d;
    MLAI_TRY(mlai_begin(ctx, desc, &full, &d));
    MLAI_TRY(check(ctx, &d, a, 0, NULL, 0, 0, NULL, 0));
    if (full.n == 0) return MLA_OK;
    return mlai_end(ctx, mlai_potri(ctx, &full, &d, a));
}

mla_status_t mla_poinv(mla_context_t *ctx, const mla_desc_t *desc, void *a, double *logdet,
                       int32_t *info)
{
    mla_desc_t full;
    mlai_dist_t d;
    MLAI_TRY(mlai_begin(ctx, desc, &full, &d));
    MLAI_TRY(check(ctx, &d, a, NEEDS_INFO, info, 0, 0, NULL, 0));
    if (full.n == 0) return empty_result(ctx, logdet, info);
    return mlai_end(ctx, mlai_poinv(ctx, &full, &d, a, logdet, info));
}
