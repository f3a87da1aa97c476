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

static mla_status_t check_range(mla_context_t *ctx, const mla_desc_t *full, const mlai_dist_t *d,
                                const mlai_eigen_t *what, const void *z, int64_t ldz)
{
    bool empty = mlai_dist_cols(d, ctx->comm->rank) == 0 || what->count == 0;
    MLAI_TRY(mlai_require(ctx, what->first >= 0 && what->first <= full->n, "first",
                          "is not in 0 .. n"));
    MLAI_TRY(mlai_require(ctx, what->count >= 0 && what->count <= full->n - what->first, "count",
                          "is not in 0 .. n - first"));
    MLAI_TRY(
        mlai_require(ctx, ldz >= mlai_max(1, what->count), "ldz", "is less than max(1, count)"));
    return mlai_require(ctx, z || empty, "z", "is NULL");
}

/* One rank, and the vendor's routine for the whole matrix is faster. */
static bool is_small(const mla_context_t *ctx, const mla_desc_t *full)
{
    return ctx->engine == &mlai_engine_native && ctx->comm->nranks == 1 && ctx->be->ops->syevd &&
           full->n <= mlai_syevd_whole_limit();
}

static mla_status_t solve(mla_context_t *ctx, const mla_desc_t *desc, mlai_eigen_t *what,
                          bool all, void *a, void *w, void *z, int64_t ldz, int32_t *info)
{
    mla_desc_t full;
    mlai_dist_t d;
    mla_status_t st = mlai_begin(ctx, desc, &full, &d);
    if (!ctx) return st;
    if (st == MLA_OK) st = check(ctx, &full, &d, a, w, info);
    if (st == MLA_OK && all) {
        what->count = z ? full.n : 0;
        what->shard = true;
        ldz = full.ld;
    } else if (st == MLA_OK) {
        st = check_range(ctx, &full, &d, what, z, ldz);
    }
    st = mlai_agree(ctx, st);
    if (st == MLA_OK) what->kd = mlai_syevd_band(full.n, ctx->comm->nranks, ctx->be->ops->device);
    if (st == MLA_OK && full.n == 0)
        st = MLAI_BE(ctx, zero, mlai_stream(ctx, MLAI_STREAM_MAIN), info, sizeof *info);
    else if (st == MLA_OK && is_small(ctx, &full))
        st = mlai_syevd_whole(ctx, &full, &d, what, a, w, z, ldz, info);
    else if (st == MLA_OK)
        st = (all ? ctx->engine->syevd : mlai_syevd)(ctx, &full, &d, what, a, w, z, ldz, info);
    return mlai_end(ctx, st);
}

mla_status_t mla_syevd(mla_context_t *ctx, const mla_desc_t *desc, void *a, void *w, void *z,
                       int32_t *info)
{
    mlai_eigen_t what = {.first = 0};
    return solve(ctx, desc, &what, true, a, w, z, 0, info);
}

mla_status_t mla_syevx(mla_context_t *ctx, const mla_desc_t *desc, int64_t first, int64_t count,
                       void *a, void *w, void *z, int64_t ldz, int32_t *info)
{
    mlai_eigen_t what = {.first = first, .count = count};
    return solve(ctx, desc, &what, false, a, w, z, ldz, info);
}
