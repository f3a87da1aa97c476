/* SPDX-License-Identifier: Apache-2.0
 * src/api/gesv.c: public LU factor, solve and inverse: checks, quick returns, calls. */
#include "api/call.h"

static mlai_op_t op_of(mla_op_t op)
{
    return op == MLA_N ? MLAI_N : op == MLA_T ? MLAI_T : MLAI_C;
}

/* n == 0: the determinant of nothing is 1. */
static mla_status_t empty_result(mla_context_t *ctx, double *det, int32_t *info)
{
    static const double one[3] = {0, 1, 0};
    mlai_stream_t st = mlai_stream(ctx, MLAI_STREAM_MAIN);
    if (det) MLAI_TRY(MLAI_BE(ctx, from_host, st, det, one, sizeof one));
    return MLAI_BE(ctx, zero, st, info, sizeof *info);
}

mla_status_t mla_getrf(mla_context_t *ctx, const mla_desc_t *desc, void *a, int32_t *perm,
                       double *det, int32_t *info)
{
    mlai_call_t f = {.a = a, .has_perm = true, .perm = perm, .has_info = true, .info = info};
    MLAI_TRY(mlai_call_begin(ctx, desc, &f));
    if (f.d.n == 0) return mlai_end(ctx, empty_result(ctx, det, info));
    return mlai_end(ctx, mlai_getrf(ctx, &f.desc, &f.d, a, perm, det, info));
}

mla_status_t mla_getrs(mla_context_t *ctx, const mla_desc_t *desc, mla_op_t op, const void *a,
                       const int32_t *perm, mla_rhs_t rhs, int64_t nrhs, void *c, int64_t ldc)
{
    mlai_call_t f = {.a = a,
                     .has_perm = true,
                     .perm = perm,
                     .has_rhs = true,
                     .op = op,
                     .rhs = rhs,
                     .nrhs = nrhs,
                     .c = c,
                     .ldc = ldc};
    MLAI_TRY(mlai_call_begin(ctx, desc, &f));
    if (f.d.n == 0 || nrhs == 0) return MLA_OK;
    return mlai_end(ctx, mlai_getrs(ctx, &f.desc, &f.d, op_of(op), a, perm, rhs, nrhs, c, ldc));
}

static mla_status_t gesv(mla_context_t *ctx, const mlai_call_t *f, void *a, int32_t *perm,
                         void *c, double *det)
{
    const mlai_dist_t *d = &f->d;
    int64_t cols = f->rhs == MLA_RHS_ROWS ? mlai_dist_cols(d, ctx->comm->rank) : d->n;
    MLAI_TRY(mlai_getrf(ctx, &f->desc, d, a, perm, det, f->info));
    if (f->nrhs == 0) return MLA_OK;
    MLAI_TRY(mlai_getrs(ctx, &f->desc, d, op_of(f->op), a, perm, f->rhs, f->nrhs, c, f->ldc));
    return MLAI_BE(ctx, nan_if, mlai_stream(ctx, MLAI_STREAM_MAIN), f->desc.dtype, f->info,
                   f->nrhs, cols, c, f->ldc);
}

mla_status_t mla_gesv(mla_context_t *ctx, const mla_desc_t *desc, mla_op_t op, void *a,
                      int32_t *perm, mla_rhs_t rhs, int64_t nrhs, void *c, int64_t ldc,
                      double *det, int32_t *info)
{
    mlai_call_t f = {.a = a,
                     .has_perm = true,
                     .perm = perm,
                     .has_info = true,
                     .info = info,
                     .has_rhs = true,
                     .op = op,
                     .rhs = rhs,
                     .nrhs = nrhs,
                     .c = c,
                     .ldc = ldc};
    MLAI_TRY(mlai_call_begin(ctx, desc, &f));
    if (f.d.n == 0) return mlai_end(ctx, empty_result(ctx, det, info));
    return mlai_end(ctx, gesv(ctx, &f, a, perm, c, det));
}

mla_status_t mla_getri(mla_context_t *ctx, const mla_desc_t *desc, void *a, const int32_t *perm)
{
    mlai_call_t f = {.a = a, .has_perm = true, .perm = perm};
    MLAI_TRY(mlai_call_begin(ctx, desc, &f));
    if (f.d.n == 0) return MLA_OK;
    return mlai_end(ctx, mlai_getri(ctx, &f.desc, &f.d, a, perm));
}

static mla_status_t geinv(mla_context_t *ctx, const mlai_call_t *f, void *a, int32_t *perm,
                          double *det)
{
    const mlai_dist_t *d = &f->d;
    MLAI_TRY(mlai_getrf(ctx, &f->desc, d, a, perm, det, f->info));
    MLAI_TRY(mlai_getri(ctx, &f->desc, d, a, perm));
    return MLAI_BE(ctx, nan_if, mlai_stream(ctx, MLAI_STREAM_MAIN), f->desc.dtype, f->info, d->n,
                   mlai_dist_cols(d, ctx->comm->rank), a, f->desc.ld);
}

mla_status_t mla_geinv(mla_context_t *ctx, const mla_desc_t *desc, void *a, int32_t *perm,
                       double *det, int32_t *info)
{
    mlai_call_t f = {.a = a, .has_perm = true, .perm = perm, .has_info = true, .info = info};
    MLAI_TRY(mlai_call_begin(ctx, desc, &f));
    if (f.d.n == 0) return mlai_end(ctx, empty_result(ctx, det, info));
    return mlai_end(ctx, geinv(ctx, &f, a, perm, det));
}
