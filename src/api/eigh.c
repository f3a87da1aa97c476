/* SPDX-License-Identifier: Apache-2.0
 * src/api/eigh.c: public Hermitian eigensolver: checks, quick return, call. */
#include "api/api.h"

static mla_status_t check(mla_context_t *ctx, const mla_desc_t *full, const mlai_dist_t *d,
                          const void *a, const void *w, const int32_t *info)
{
    bool empty = mlai_dist_cols(d, ctx->comm->rank) == 0;
    MLAI_TRY(mlai_require(ctx, a || empty, "a", "is NULL"));
    MLAI_TRY(mlai_require(ctx, w || full->n == 0, "w", "is NULL"));
    MLAI_TRY(mlai_require(ctx, info != NULL, "info", "is NULL"));
    MLAI_TRY(mlai_require(ctx, full->order == MLA_CYCLIC, "desc->order", "is not MLA_CYCLIC"));
    return MLA_OK;
}

/* One rank, and the vendor's routine for the whole matrix is faster. */
static bool is_small(const mla_context_t *ctx, const mla_desc_t *full)
{
    return ctx->engine == &mlai_engine_native && ctx->comm->nranks == 1 && ctx->be->ops->syevd &&
           full->n <= mlai_syevd_whole_limit();
}

mla_status_t mla_syevd(mla_context_t *ctx, const mla_desc_t *desc, void *a, void *w, void *z,
                       int32_t *info)
{
    mla_desc_t full;
    mlai_dist_t d;
    mla_status_t st = mlai_begin(ctx, desc, &full, &d);
    if (!ctx) return st;
    if (st == MLA_OK) st = check(ctx, &full, &d, a, w, info);
    st = mlai_agree(ctx, st);
    if (st == MLA_OK && full.n == 0)
        st = MLAI_BE(ctx, zero, mlai_stream(ctx, MLAI_STREAM_MAIN), info, sizeof *info);
    else if (st == MLA_OK && is_small(ctx, &full))
        st = mlai_syevd_whole(ctx, &full, &d, a, w, z, info);
    else if (st == MLA_OK)
        st = ctx->engine->syevd(ctx, &full, &d, mlai_syevd_band(full.n, ctx->be->ops->device), a,
                                w, z, info);
    return mlai_end(ctx, st);
}
