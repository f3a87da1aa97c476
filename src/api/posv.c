/* SPDX-License-Identifier: Apache-2.0
 * src/api/posv.c: public Hermitian positive definite factor, solve and inverse: checks, quick
 * returns, calls. */
#include "api/call.h"

/* n == 0: nothing but the scalars. */
static mla_status_t empty_result(mla_context_t *ctx, const mlai_call_t *f)
{
    mlai_stream_t st = mlai_stream(ctx, MLAI_STREAM_MAIN);
    if (f->logdet) MLAI_TRY(MLAI_BE(ctx, zero, st, f->logdet, sizeof *f->logdet));
    return MLAI_BE(ctx, zero, st, f->info, sizeof *f->info);
}

/* mlai_call_begin, and the tile width of one rank on a GPU, where it does not change the layout.
 */
static mla_status_t begin(mla_context_t *ctx, const mla_desc_t *desc, mlai_call_t *f,
                          bool inverse)
{
    MLAI_TRY(mlai_call_begin(ctx, desc, f));
    if (desc->nb != 0 || ctx->comm->nranks > 1 || ctx->be->ops->device != MLA_CUDA ||
        ctx->engine != &mlai_engine_native)
        return MLA_OK;
    int64_t nb = mlai_posv_tile(f->desc.dtype, f->desc.n, inverse);
    if (nb < 1) return MLA_OK;
    f->desc.nb = mlai_min(nb, f->desc.lc);
    f->d = mlai_dist(f->desc.n, f->desc.lc, f->desc.nb, 1, f->desc.order);
    return MLA_OK;
}

mla_status_t mla_potrf(mla_context_t *ctx, const mla_desc_t *desc, void *a, double *logdet,
                       int32_t *info)
{
    mlai_call_t f = {.a = a, .has_info = true, .logdet = logdet, .info = info};
    MLAI_TRY(begin(ctx, desc, &f, false));
    if (f.d.n == 0) return mlai_end(ctx, empty_result(ctx, &f));
    return mlai_end(ctx, ctx->engine->potrf(ctx, &f.desc, &f.d, a, logdet, info));
}

mla_status_t mla_potrs(mla_context_t *ctx, const mla_desc_t *desc, const void *a, mla_rhs_t rhs,
                       int64_t nrhs, void *c, int64_t ldc)
{
    mlai_call_t f = {.a = a, .has_rhs = true, .rhs = rhs, .nrhs = nrhs, .c = c, .ldc = ldc};
    MLAI_TRY(mlai_call_begin(ctx, desc, &f));
    if (f.d.n == 0 || nrhs == 0) return MLA_OK;
    return mlai_end(ctx, ctx->engine->potrs(ctx, &f.desc, &f.d, a, rhs, nrhs, c, ldc));
}

mla_status_t mla_posv(mla_context_t *ctx, const mla_desc_t *desc, void *a, mla_rhs_t rhs,
                      int64_t nrhs, void *c, int64_t ldc, double *logdet, int32_t *info)
{
    mlai_call_t f = {.a = a,
                     .has_info = true,
                     .has_rhs = true,
                     .logdet = logdet,
                     .info = info,
                     .rhs = rhs,
                     .nrhs = nrhs,
                     .c = c,
                     .ldc = ldc};
    MLAI_TRY(begin(ctx, desc, &f, false));
    if (f.d.n == 0) return mlai_end(ctx, empty_result(ctx, &f));
    mla_status_t st = ctx->engine->potrf(ctx, &f.desc, &f.d, a, logdet, info);
    if (st == MLA_OK && nrhs > 0)
        st = ctx->engine->potrs(ctx, &f.desc, &f.d, a, rhs, nrhs, c, ldc);
    return mlai_end(ctx, st);
}

mla_status_t mla_potri(mla_context_t *ctx, const mla_desc_t *desc, void *a)
{
    mlai_call_t f = {.a = a};
    MLAI_TRY(begin(ctx, desc, &f, true));
    if (f.d.n == 0) return MLA_OK;
    return mlai_end(ctx, ctx->engine->potri(ctx, &f.desc, &f.d, a));
}

mla_status_t mla_poinv(mla_context_t *ctx, const mla_desc_t *desc, void *a, double *logdet,
                       int32_t *info)
{
    mlai_call_t f = {.a = a, .has_info = true, .logdet = logdet, .info = info};
    MLAI_TRY(begin(ctx, desc, &f, true));
    if (f.d.n == 0) return mlai_end(ctx, empty_result(ctx, &f));
    return mlai_end(ctx, ctx->engine->poinv(ctx, &f.desc, &f.d, a, logdet, info));
}
