/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_chase.c: the bulge chase and its back-transformation: launches of
 * kernels/chase.cu, for kd = 32 and 64. */
#include "backend/cuda/cuda_backend.h"

enum {
    LIMIT_S = 30,   /* that a block waits for another */
    MOST_WARPS = 8, /* of a block of chase_back; 16 columns each */
    DIAMONDS = MLAI_CHASE_GROUP / 8
};

static int planes(mla_dtype_t dt)
{
    return mlai_is_complex(dt) ? 2 : 1;
}

static mla_status_t check(mlai_cuda_t *c, const mlai_chase_t *t)
{
    if (t->kd != 32 && t->kd != 64)
        return mlai_fail(c->base.err, MLA_UNSUPPORTED,
                         "a band of width %lld: the CUDA backend knows 32 and 64",
                         (long long)t->kd);
    if (t->n > INT32_MAX / 2)
        return mlai_fail(c->base.err, MLA_SIZE, "a band of %lld rows is too large",
                         (long long)t->n);
    return MLA_OK;
}

/* ---- chase ----------------------------------------------------------------------------------
 */

/* Work: diagonals of T, the mail, then counters: the queue, stalled, and hops done by sweep. */
static int64_t letters(mla_dtype_t dt, const mlai_chase_t *t)
{
    return (t->n / t->kd + 2) * (t->kd + 1) * planes(dt);
}

static mlai_chase_args_t chase_args(mla_dtype_t dt, const mlai_chase_t *t)
{
    double *diag = t->work;
    mlai_chase_letter_t *mail = (mlai_chase_letter_t *)(diag + 2 * t->n);
    int32_t *counter = (int32_t *)(mail + letters(dt, t));
    return (mlai_chase_args_t){.t = *t,
                               .next = counter,
                               .stalled = counter + 1,
                               .done = counter + 2,
                               .mail = mail,
                               .diag = diag,
                               .off = diag + t->n,
                               .limit = (int64_t)LIMIT_S * 1000000000};
}

static mla_status_t chase(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt,
                          const mlai_chase_args_t *args)
{
    MLAI_CUDA_BEGIN(c);
    int64_t n = args->t.n, kd = args->t.kd, warps = kd / 8;
    size_t zero = (size_t)letters(dt, &args->t) * sizeof *args->mail;
    zero += (size_t)(n + 2) * sizeof(int32_t);
    MLAI_TRY(MLAI_CUDA_CU(c, cuMemsetD8Async, mlai_cuda_ptr(args->mail), 0, zero, (CUstream)st));
    // As many sweeps as can be on the way, two hops apart.
    mlai_grid_t grid = {.x = mlai_min(n / (2 * kd) + 1, 8 * (int64_t)c->processors),
                        .tx = (int)(32 * (warps + 2))};
    int64_t elements = kd * (kd + 1) + 4 * warps * kd + 8 * warps + 2;
    grid.dynamic = (unsigned)(elements * (int64_t)mlai_sizeof(dt) + 16);
    int kernel = kd == 32 ? MLAI_K_chase_sweeps32 : MLAI_K_chase_sweeps64;
    MLAI_TRY(mlai_cuda_launch(c, st, kernel + (int)dt, grid, args));
    grid = (mlai_grid_t){.x = mlai_ceil_div(n, 256), .tx = 256};
    return mlai_cuda_launch(c, st, MLAI_K_chase_tridiagonal + (int)dt, grid, args);
}

mla_status_t mlai_cuda_hb2st(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                             const mlai_chase_t *t, double *diag, double *off)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_TRY(check(c, t));
    if (t->n == 0) return MLA_OK;
    mlai_chase_args_t args = chase_args(dt, t);
    size_t bytes = (size_t)t->n * sizeof(double);
    int32_t stalled = 0;
    MLAI_TRY(chase(c, st, dt, &args));
    MLAI_TRY(be->ops->to_host(be, st, diag, args.diag, bytes));
    if (t->n > 1) MLAI_TRY(be->ops->to_host(be, st, off, args.off, bytes - sizeof(double)));
    MLAI_TRY(be->ops->to_host(be, st, &stalled, args.stalled, sizeof stalled));
    MLAI_TRY(be->ops->sync(be, st));
    if (stalled == 0) return MLA_OK;
    return mlai_fail(c->base.err, MLA_BACKEND,
                     "device %d: a block of the bulge chase waited for longer than %d s",
                     c->ordinal, LIMIT_S);
}

/* ---- back -----------------------------------------------------------------------------------
 */

static mla_status_t expand(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt,
                           const mlai_chase_back_args_t *args)
{
    unsigned warp = (unsigned)(planes(dt) * (8 * (args->kd + 8) + 128)) * sizeof(double);
    mlai_grid_t grid = {.x = mlai_ceil_div(args->steps * DIAMONDS, 4), .tx = 128};
    grid.dynamic = 4 * warp;
    return mlai_cuda_launch(c, st, MLAI_K_chase_expand + (int)dt, grid, args);
}

static mla_status_t pass(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt,
                         const mlai_chase_back_args_t *args)
{
    int64_t kd = args->kd, tiles = kd / 8 + 1, all = mlai_ceil_div(args->cols, 16);
    int64_t fixed = tiles * 256 * args->ng * planes(dt) * (int64_t)sizeof(double);
    int64_t each = kd / 8 * 128 * (int64_t)mlai_sizeof(dt);
    int64_t most = mlai_min(MOST_WARPS, (c->shared_most - fixed) / each);
    if (most < 1)
        return mlai_fail(c->base.err, MLA_UNSUPPORTED,
                         "device %d has too little shared memory for a band of width %lld",
                         c->ordinal, (long long)kd);
    // A block on every processor, and none with a wave of its own.
    int64_t waves = mlai_ceil_div(all, most * c->processors);
    int64_t warps = mlai_ceil_div(all, waves * c->processors);
    mlai_grid_t grid = {.x = mlai_ceil_div(all, warps), .tx = (int)(32 * warps)};
    grid.dynamic = (unsigned)(fixed + warps * each);
    int kernel = kd == 32 ? MLAI_K_chase_back32 : MLAI_K_chase_back64;
    return mlai_cuda_launch(c, st, kernel + (int)dt, grid, args);
}

mla_status_t mlai_cuda_unmtr_hb2st(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                   const mlai_chase_t *t, int64_t g, const void *v, int64_t cols,
                                   void *z, int64_t ldz, void *work)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_TRY(check(c, t));
    if (cols == 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    int ng = MLAI_CHASE_DIAMONDS((int)t->kd, planes(dt));
    mlai_chase_back_args_t args = {.n = t->n,
                                   .cols = cols,
                                   .ldz = ldz,
                                   .first = g * MLAI_CHASE_GROUP,
                                   .v = v,
                                   .z = z,
                                   .vw = work,
                                   .kd = (int32_t)t->kd,
                                   .ng = ng};
    args.steps = mlai_ceil_div(t->n - args.first, t->kd);
    MLAI_TRY(expand(c, st, dt, &args));
    int64_t each = args.steps * ng * 2 * planes(dt) * (t->kd / 8 + 1) * 64; // of a pass
    for (int64_t p = DIAMONDS / ng - 1; p >= 0; p--) {
        mlai_chase_back_args_t one = args;
        one.first += p * ng * 8;
        one.vw += p * each;
        one.steps = mlai_ceil_div(mlai_max(0, t->n - one.first), t->kd);
        if (one.steps > 0) MLAI_TRY(pass(c, st, dt, &one));
    }
    return MLA_OK;
}
