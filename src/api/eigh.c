/* SPDX-License-Identifier: Apache-2.0
 * src/api/eigh.c: public Hermitian eigensolver: checks, quick return, call. */
#include "api/api.h"

static mla_status_t check_mine(mla_context_t *ctx, const mla_desc_t *full, const mlai_dist_t *d,
                               const void *a, const void *w, const int32_t *info)
{
    bool empty = mlai_dist_cols(d, ctx->comm->rank) == 0;
    MLAI_TRY(mlai_require(ctx, a || empty, "a", "is NULL"));
    MLAI_TRY(mlai_require(ctx, w || full->n == 0, "w", "is NULL"));
    MLAI_TRY(mlai_require(ctx, info != NULL, "info", "is NULL"));
    MLAI_TRY(mlai_require(ctx, full->order == MLA_CYCLIC, "desc->order", "is not MLA_CYCLIC"));
    return MLA_OK;
}

mla_status_t mla_syevd(mla_context_t *ctx, const mla_desc_t *desc, void *a, void *w, void *z,
                       int32_t *info)
{
    mla_desc_t full;
    mlai_dist_t d;
    MLAI_TRY(mlai_begin(ctx, desc, &full, &d));
    MLAI_TRY(MLAI_COMM(ctx, agree, check_mine(ctx, &full, &d, a, w, info)));
    if (full.n == 0)
        return MLAI_BE(ctx, zero, mlai_stream(ctx, MLAI_STREAM_MAIN), info, sizeof *info);
    return mlai_end(ctx, mlai_syevd(ctx, &full, &d, a, w, z, info));
}
