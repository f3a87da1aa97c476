/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_backend.c: the table on an NVIDIA GPU: memory, streams and events;
 * creation.
 *
 * Memory that a routine asks for comes from the context's allocator (XLA's pool) if it has one,
 * else from a pool of the driver's, in stream order. A context borrows its costly objects, which
 * cuda_pool.c keeps. */
#include "backend/cuda/cuda_backend.h"

#include "dl/nvtx_dl.h"

/* ---- memory ---------------------------------------------------------------------------------
 */

static mla_status_t alloc_on(mlai_cuda_t *c, CUstream st, size_t bytes, void **ptr)
{
    *ptr = NULL;
    size_t rounded = mlai_size_align(bytes ? bytes : 1);
    CUdeviceptr p = 0;
    if (rounded == SIZE_MAX || rounded > SIZE_MAX / 2) goto refuse;
    if (c->alloc) {
        *ptr = c->alloc(c->user, rounded);
        if (!*ptr) goto refuse;
        return MLA_OK;
    }
    CUresult result = c->pool ? c->cu->cuMemAllocFromPoolAsync(&p, rounded, c->pool, st)
                              : c->cu->cuMemAlloc_v2(&p, rounded);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) goto refuse;
    MLAI_TRY(mlai_cu_check(c->cu, c->base.err, c->ordinal, "memory allocation", result));
    *ptr = (void *)(uintptr_t)p;
    return MLA_OK;
refuse:
    return mlai_fail(c->base.err, MLA_NOMEM, "out of memory on device %d: %zu bytes", c->ordinal,
                     bytes);
}

mla_status_t mlai_cuda_alloc(mlai_backend_t *be, size_t bytes, void **ptr)
{
    mlai_cuda_t *c = mlai_cuda(be);
    *ptr = NULL;
    MLAI_CUDA_BEGIN(c);
    return alloc_on(c, c->stream[MLAI_STREAM_MAIN], bytes, ptr);
}

/* A failure is a broken device, and the next call says so. */
void mlai_cuda_free(mlai_backend_t *be, void *ptr)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (!ptr) return;
    if (c->free) {
        c->free(c->user, ptr);
        return;
    }
    mlai_cu_scope_t scope = mlai_cu_enter(c->cu, NULL, c->ordinal, c->context);
    if (c->pool)
        (void)c->cu->cuMemFreeAsync(mlai_cuda_ptr(ptr), c->stream[MLAI_STREAM_MAIN]);
    else
        (void)c->cu->cuMemFree_v2(mlai_cuda_ptr(ptr)); // waits for the device
    mlai_cu_leave(&scope);
}

/* Outgrown blocks stay until the context ends: work on them may be under way, and the caller's
 * allocator knows of no stream but the main one, which everything has joined by then. */
mla_status_t mlai_cuda_scratch(mlai_cuda_t *c, mlai_stream_t st, size_t bytes, void **ptr)
{
    int which = mlai_cuda_which(c, st), blocks = c->scratch[which].blocks;
    if (blocks == 0 || bytes > c->scratch[which].bytes) {
        size_t twice = mlai_size_mul(2, c->scratch[which].bytes);
        size_t size = blocks > 0 && twice > bytes ? twice : bytes;
        void *block = NULL;
        *ptr = NULL;
        MLAI_TRY(alloc_on(c, (CUstream)st, size, &block));
        c->scratch[which].block[blocks] = block;
        c->scratch[which].blocks = ++blocks;
        c->scratch[which].bytes = size;
    }
    *ptr = c->scratch[which].block[blocks - 1];
    return MLA_OK;
}

static mla_status_t cuda_copy(mlai_backend_t *be, mlai_stream_t st, void *dst, const void *src,
                              size_t bytes)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (bytes == 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    return MLAI_CUDA_CU(c, cuMemcpyDtoDAsync_v2, mlai_cuda_ptr(dst), mlai_cuda_ptr(src), bytes,
                        (CUstream)st);
}

static mla_status_t cuda_to_host(mlai_backend_t *be, mlai_stream_t st, void *host,
                                 const void *dev, size_t bytes)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (bytes == 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    return MLAI_CUDA_CU(c, cuMemcpyDtoHAsync_v2, host, mlai_cuda_ptr(dev), bytes, (CUstream)st);
}

/* From pageable memory, which the driver has copied when the call returns. */
static mla_status_t cuda_from_host(mlai_backend_t *be, mlai_stream_t st, void *dev,
                                   const void *host, size_t bytes)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (bytes == 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    return MLAI_CUDA_CU(c, cuMemcpyHtoDAsync_v2, mlai_cuda_ptr(dev), host, bytes, (CUstream)st);
}

static mla_status_t cuda_zero(mlai_backend_t *be, mlai_stream_t st, void *dst, size_t bytes)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (bytes == 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    return MLAI_CUDA_CU(c, cuMemsetD8Async, mlai_cuda_ptr(dst), 0, bytes, (CUstream)st);
}

/* ---- streams and events -----------------------------------------------------------------------
 */

static mlai_stream_t cuda_stream(mlai_backend_t *be, int which)
{
    return (mlai_stream_t)mlai_cuda(be)->stream[which];
}

static mlai_event_t cuda_event(mlai_backend_t *be, int which)
{
    return (mlai_event_t)mlai_cuda(be)->event[which];
}

static mla_status_t cuda_record(mlai_backend_t *be, mlai_event_t ev, mlai_stream_t st)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_CUDA_BEGIN(c);
    return MLAI_CUDA_CU(c, cuEventRecord, (CUevent)ev, (CUstream)st);
}

static mla_status_t cuda_wait(mlai_backend_t *be, mlai_stream_t st, mlai_event_t ev)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_CUDA_BEGIN(c);
    return MLAI_CUDA_CU(c, cuStreamWaitEvent, (CUstream)st, (CUevent)ev, 0);
}

static mla_status_t cuda_sync(mlai_backend_t *be, mlai_stream_t st)
{
    mlai_cuda_t *c = mlai_cuda(be);
    MLAI_CUDA_BEGIN(c);
    return MLAI_CUDA_CU(c, cuStreamSynchronize, (CUstream)st);
}

/* ---- the table
 * ---------------------------------------------------------------------------------- */

static void cuda_free_backend(mlai_backend_t *be)
{
    if (!be) return;
    mlai_cuda_t *c = mlai_cuda(be);
    for (int h = 0; h < MLAI_CUDA_HANDLES; h++) {
        for (int k = 0; k < c->scratch[h].blocks; k++) mlai_cuda_free(be, c->scratch[h].block[k]);
        c->scratch[h].blocks = 0;
        c->scratch[h].bytes = 0;
    }
    mlai_cuda_give(c);
}

static void cuda_range(mlai_backend_t *be, const char *name)
{
    (void)be;
    mlai_nvtx_range(name);
}

static const mlai_backend_ops_t cuda_ops = {
    .name = "cuda",
    .device = MLA_CUDA,
    .free_backend = cuda_free_backend,
    .alloc = mlai_cuda_alloc,
    .free = mlai_cuda_free,
    .copy = cuda_copy,
    .to_host = cuda_to_host,
    .from_host = cuda_from_host,
    .zero = cuda_zero,
    .stream = cuda_stream,
    .event = cuda_event,
    .record = cuda_record,
    .wait = cuda_wait,
    .sync = cuda_sync,
    .range = cuda_range,
    .lacpy = mlai_cuda_lacpy,
    .laset = mlai_cuda_laset,
    .transpose = mlai_cuda_transpose,
    .permute_rows = mlai_cuda_permute_rows,
    .sum_blocks = mlai_cuda_sum_blocks,
    .nan_if = mlai_cuda_nan_if,
    .log_diag = mlai_cuda_log_diag,
    .gemm = mlai_cuda_gemm,
    .herk = mlai_cuda_herk,
    .split = mlai_cuda_split,
    .gemm_split = mlai_cuda_gemm_split,
    .trsm = mlai_cuda_trsm,
    .potrf_tile = mlai_cuda_potrf_tile,
    .syevd = mlai_cuda_syevd,
    .trtri_tile = mlai_cuda_trtri_tile,
    .getrf_panel = mlai_cuda_getrf_panel,
    .laswp = mlai_cuda_laswp,
    .take_cols = mlai_cuda_take_cols,
    .put_cols = mlai_cuda_put_cols,
    .lu_det = mlai_cuda_lu_det,
    .unhr_tile = mlai_cuda_unhr_tile,
    .geqr2_column = mlai_cuda_geqr2_column,
    .dc_leaves = mlai_cuda_dc_leaves,
    .dc_border = mlai_cuda_dc_border,
    .dc_rotate = mlai_cuda_dc_rotate,
    .dc_gather = mlai_cuda_dc_gather,
    .dc_secular = mlai_cuda_dc_secular,
    .dc_zhat = mlai_cuda_dc_zhat,
    .dc_merge = mlai_cuda_dc_merge,
    .dc_rows = mlai_cuda_dc_rows,
    .dc_restore = mlai_cuda_dc_restore,
    .norm_max = mlai_cuda_norm_max,
    .lascl = mlai_cuda_lascl,
    .lacpy_real = mlai_cuda_lacpy_real,
    .hetrd_column = mlai_cuda_hetrd_column,
    .hetrd_product = mlai_cuda_hetrd_product,
    .larft_diag = mlai_cuda_larft_diag,
    .hb2st = mlai_cuda_hb2st,
    .unmtr_hb2st = mlai_cuda_unmtr_hb2st,
    .geqrt = mlai_cuda_geqrt,
};

mla_status_t mlai_backend_create_cuda(const mla_context_options_t *options, mlai_error_t *err,
                                      mlai_backend_t **be)
{
    *be = NULL;
    mlai_cuda_t *c = NULL;
    MLAI_TRY(mlai_cuda_take(options->ordinal, (CUstream)options->stream, err, &c));
    c->base = (mlai_backend_t){.ops = &cuda_ops, .err = err};
    c->alloc = options->alloc;
    c->free = options->free;
    c->user = options->user;
    *be = &c->base;
    return MLA_OK;
}
