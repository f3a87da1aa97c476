/* SPDX-License-Identifier: Apache-2.0
 * src/api/context.c: contexts: one rank with its backend and its communicator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"

/* ---- a communicator of one rank on top of a backend ---------------------------------------- */

static mla_status_t self_alloc(void *owner, size_t bytes, void **ptr, mlai_error_t *err)
{
    mlai_backend_t *be = owner;
    (void)err; // the backend writes to the context's error
    return be->ops->alloc(be, bytes, ptr);
}

static void self_free(void *owner, void *ptr)
{
    mlai_backend_t *be = owner;
    be->ops->free(be, ptr);
}

static mla_status_t self_copy(void *owner, mlai_stream_t st, void *dst, const void *src,
                              size_t bytes, mlai_error_t *err)
{
    mlai_backend_t *be = owner;
    (void)err;
    return be->ops->copy(be, st, dst, src, bytes);
}

/* The sentence for a call without context. */
static mla_status_t no_context(void)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    return mlai_fail(err, MLA_ARG, "ctx is NULL");
}

/* ---- public ------------------------------------------------------------------------------ */

mla_status_t mla_context_create(const mla_context_options_t *options, mla_context_t **ctx)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if (!ctx) return mlai_fail(err, MLA_ARG, "ctx is NULL");
    *ctx = NULL;
    if (!options) return mlai_fail(err, MLA_ARG, "options is NULL");
    if (options->size != sizeof *options)
        return mlai_fail(err, MLA_ARG,
                         "options->size is %zu, expected %zu: use "
                         "MLA_CONTEXT_OPTIONS_INIT",
                         options->size, sizeof *options);
    if (options->device != MLA_HOST && options->device != MLA_CUDA)
        return mlai_fail(err, MLA_ARG, "options->device is %d, expected MLA_HOST or MLA_CUDA",
                         (int)options->device);
    if (!options->alloc != !options->free)
        return mlai_fail(err, MLA_ARG, "options->alloc and options->free: both or neither");
    if (options->comm && options->comm->ops->device != options->device)
        return mlai_fail(err, MLA_ARG,
                         "options->comm is a communicator for %s memory, the "
                         "device is %s",
                         options->comm->ops->device == MLA_HOST ? "host" : "CUDA",
                         options->device == MLA_HOST ? "the host" : "CUDA");

    const mlai_engine_t *engine;
    MLAI_TRY(mlai_engine_find(options->engine, options->device, &engine, err));

    mla_context_t *x = calloc(1, sizeof *x);
    if (!x) return mlai_fail(err, MLA_NOMEM, "out of host memory for a context");
    mla_status_t st = options->device == MLA_HOST
                          ? mlai_backend_create_host(options, &x->err, &x->be)
                          : mlai_backend_create_cuda(options, &x->err, &x->be);
    if (st != MLA_OK) goto fail;
    x->engine = engine;
    x->ordinal = options->ordinal;
    x->comm = options->comm;
    if (!x->comm) {
        mlai_self_memory_t memory = {x->be, self_alloc, self_free, self_copy};
        x->owns_comm = true;
        MLAI_TRY_GOTO(st, mlai_comm_create_self(&memory, options->device, &x->comm, &x->err),
                      fail);
    }
    *ctx = x;
    return MLA_OK;
fail:
    mlai_fail(err, st, "%s", x->err.message[0] ? x->err.message : mla_status_text(st));
    mla_context_free(x);
    return st;
}

void mla_context_free(mla_context_t *ctx)
{
    if (!ctx) return;
    if (ctx->owns_comm) mla_comm_free(ctx->comm);
    if (ctx->be) ctx->be->ops->free_backend(ctx->be);
    free(ctx);
}

mla_status_t mla_context_sync(mla_context_t *ctx)
{
    if (!ctx) return no_context();
    ctx->err = (mlai_error_t){.status = MLA_OK};
    return ctx->be->ops->sync(ctx->be, mlai_stream(ctx, MLAI_STREAM_MAIN));
}

const char *mla_message(const mla_context_t *ctx)
{
    const mlai_error_t *err = ctx ? &ctx->err : mlai_thread_error();
    return err->status == MLA_OK ? "" : err->message;
}

/* ---- checks ------------------------------------------------------------------------------ */

mla_status_t mlai_require(mla_context_t *ctx, bool condition, const char *name, const char *text)
{
    if (condition) return MLA_OK;
    return mlai_fail(&ctx->err, MLA_ARG, "%s %s", name, text);
}

mla_status_t mlai_complete(const mla_desc_t *desc, int nranks, mla_device_t device,
                           mla_desc_t *out, mlai_dist_t *dist, mlai_error_t *err)
{
    if (!desc) return mlai_fail(err, MLA_ARG, "desc is NULL");
    if (desc->size != sizeof *desc)
        return mlai_fail(err, MLA_ARG, "desc->size is %zu, expected %zu: use MLA_DESC_INIT",
                         desc->size, sizeof *desc);
    if (!mlai_dtype_valid(desc->dtype))
        return mlai_fail(err, MLA_ARG,
                         "desc->dtype is %d, expected one of the four of "
                         "mla_dtype_t",
                         (int)desc->dtype);
    if (desc->order != MLA_CYCLIC && desc->order != MLA_NATURAL)
        return mlai_fail(err, MLA_ARG, "desc->order is %d, expected MLA_CYCLIC or MLA_NATURAL",
                         (int)desc->order);
    if (desc->precision < MLA_PRECISION_FULL || desc->precision > MLA_PRECISION_LOW)
        return mlai_fail(err, MLA_ARG, "desc->precision is %d, expected one of mla_precision_t",
                         (int)desc->precision);
    // Column counts are 32 bit in BLAS and in info.
    if (desc->n < 0 || desc->n > INT32_MAX)
        return mlai_fail(err, MLA_ARG, "desc->n is %lld, expected 0 .. 2147483647",
                         (long long)desc->n);
    mla_desc_t full = *desc;
    if (full.lc == 0) full.lc = mlai_max(1, mlai_ceil_div(full.n, nranks));
    if (full.lc < 0 || full.lc > INT32_MAX || full.lc * nranks < full.n)
        return mlai_fail(err, MLA_ARG,
                         "desc->lc is %lld: %d ranks of that many columns do not "
                         "hold n = %lld",
                         (long long)desc->lc, nranks, (long long)full.n);
    if (full.ld == 0) full.ld = mlai_max(1, full.n);
    if (full.ld < mlai_max(1, full.n))
        return mlai_fail(err, MLA_ARG, "desc->ld is %lld, expected at least max(1, n) = %lld",
                         (long long)desc->ld, (long long)mlai_max(1, full.n));
    if (full.nb < 0)
        return mlai_fail(err, MLA_ARG, "desc->nb is %lld, expected a tile width or 0",
                         (long long)desc->nb);
    if (full.nb == 0) full.nb = mla_tile_size(&full, nranks, device);
    full.nb = mlai_min(full.nb, full.lc);
    if (mlai_size_mat(full.ld, full.lc, mlai_sizeof(full.dtype)) > SIZE_MAX / 2)
        return mlai_fail(err, MLA_SIZE, "desc: a block of %lld x %lld is too large",
                         (long long)full.ld, (long long)full.lc);
    *out = full;
    *dist = mlai_dist(full.n, full.lc, full.nb, nranks, full.order);
    return MLA_OK;
}

mla_status_t mlai_begin(mla_context_t *ctx, const mla_desc_t *desc, mla_desc_t *full,
                        mlai_dist_t *dist)
{
    if (!ctx) return no_context();
    ctx->err = (mlai_error_t){.status = MLA_OK};
    ctx->told = false;
    MLAI_TRY(mlai_complete(desc, ctx->comm->nranks, ctx->be->ops->device, full, dist, &ctx->err));
    if (ctx->engine->fit) ctx->engine->fit(full, dist, desc->nb);
    return MLA_OK;
}

mla_status_t mlai_end(mla_context_t *ctx, mla_status_t st)
{
    if (st != MLA_OK && st != MLA_PEER && !ctx->told) {
        char why[MLAI_MESSAGE_MAX + 64];
        snprintf(why, sizeof why, "rank %d: %s", ctx->comm->rank,
                 ctx->err.message[0] ? ctx->err.message : mla_status_text(st));
        mla_comm_abort(ctx->comm, why);
    }
    return st;
}
