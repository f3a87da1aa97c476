/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_pool.c: what a context needs and is slow to make (handles, streams,
 * events, loaded kernels) is kept for the next context of the same device.
 *
 * Under XLA a context lives for one call, so the second call of a program makes nothing. What is
 * kept, per device and context that lived at the same time, at most MOST_IDLE of them: two cuBLAS
 * handles (cuBLAS takes about 32 MiB of device memory for each on Hopper), two of cuSOLVER, two
 * streams, nine events; and the driver's memory pool, empty or at most KEPT_BYTES, where the
 * caller gave no allocator. mla_cuda_trim gives all of it back. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/cuda_backend.h"

enum { MOST_IDLE = 8 };
static const uint64_t KEPT_BYTES = (uint64_t)1 << 30;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mlai_cuda_t *idle_list;

/* ---- making and unmaking
 * -------------------------------------------------------------------------- */

/* In reverse; accepts a half-made one. Nothing can be done about a failure here. */
static void destroy(mlai_cuda_t *c)
{
    if (!c) return;
    if (c->context) {
        mlai_cu_scope_t scope = mlai_cu_enter(c->cu, NULL, c->ordinal, c->context);
        for (int k = 0; k < MLAI_CUDA_HANDLES; k++) {
            if (c->solver_handle[k]) (void)c->solver->cusolverDnDestroy(c->solver_handle[k]);
            if (c->blas_handle[k]) (void)c->blas->cublasDestroy_v2(c->blas_handle[k]);
        }
        if (c->params) (void)c->solver->cusolverDnDestroyParams(c->params);
        if (c->status) (void)c->cu->cuMemFree_v2(c->status);
        if (c->pool) (void)c->cu->cuMemPoolDestroy(c->pool);
        for (int k = 0; k < MLAI_EVENTS; k++)
            if (c->event[k]) (void)c->cu->cuEventDestroy_v2(c->event[k]);
        if (c->idle) (void)c->cu->cuEventDestroy_v2(c->idle);
        for (int k = 0; k < MLAI_STREAMS; k++)
            if (k != MLAI_STREAM_MAIN && c->stream[k])
                (void)c->cu->cuStreamDestroy_v2(c->stream[k]);
        mlai_cu_leave(&scope);
        (void)c->cu->cuDevicePrimaryCtxRelease_v2(c->device);
    }
    free(c->host_work);
    free(c);
}

#define CU(name, ...) MLAI_TRY(MLAI_CU(c->cu, err, c->ordinal, name, __VA_ARGS__))

static mla_status_t make_streams(mlai_cuda_t *c, mlai_error_t *err)
{
    int least, greatest;
    CU(cuCtxGetStreamPriorityRange, &least, &greatest);
    for (int k = 0; k < MLAI_STREAMS; k++)
        if (k != MLAI_STREAM_MAIN)
            CU(cuStreamCreateWithPriority, &c->stream[k], CU_STREAM_NON_BLOCKING, greatest);
    for (int k = 0; k < MLAI_EVENTS; k++)
        CU(cuEventCreate, &c->event[k], CU_EVENT_DISABLE_TIMING);
    CU(cuEventCreate, &c->idle, CU_EVENT_DISABLE_TIMING);
    return MLA_OK;
}

static mla_status_t make_memory(mlai_cuda_t *c, mlai_error_t *err)
{
    int pools = 0, l2 = 0, shared = 0;
    CU(cuDeviceGetAttribute, &c->processors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, c->device);
    CU(cuDeviceGetAttribute, &l2, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, c->device);
    CU(cuDeviceGetAttribute, &pools, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, c->device);
    CU(cuDeviceGetAttribute, &shared, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
       c->device);
    c->l2_bytes = l2;
    c->shared_most = shared;
    CU(cuMemAlloc_v2, &c->status, MLAI_CUDA_HANDLES * sizeof(int32_t));
    if (!pools) return MLA_OK;
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, c->ordinal}};
    uint64_t kept = KEPT_BYTES;
    CU(cuMemPoolCreate, &c->pool, &props);
    CU(cuMemPoolSetAttribute, c->pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &kept);
    return MLA_OK;
}

static mla_status_t make_handles(mlai_cuda_t *c, mlai_error_t *err)
{
    for (int k = 0; k < MLAI_CUDA_HANDLES; k++) {
        MLAI_TRY(MLAI_CUBLAS(c->blas, err, c->ordinal, cublasCreate_v2, &c->blas_handle[k]));
        MLAI_TRY(
            MLAI_CUSOLVER(c->solver, err, c->ordinal, cusolverDnCreate, &c->solver_handle[k]));
    }
    return MLAI_CUSOLVER(c->solver, err, c->ordinal, cusolverDnCreateParams, &c->params);
}

static mla_status_t make(mlai_cuda_t *c, int ordinal, mlai_error_t *err)
{
    int count = 0;
    MLAI_TRY(mlai_cu_load(&c->cu, err));
    MLAI_TRY(mlai_cublas_load(&c->blas, err));
    MLAI_TRY(mlai_cusolver_load(&c->solver, err));
    c->ordinal = ordinal;
    CU(cuDeviceGetCount, &count);
    if (ordinal < 0 || ordinal >= count)
        return mlai_fail(err, MLA_ARG, "options->ordinal is %d, expected 0 .. %d", ordinal,
                         count - 1);
    CU(cuDeviceGet, &c->device, ordinal);
    CU(cuDevicePrimaryCtxRetain, &c->context, c->device);
    MLAI_CU_SCOPE(c->cu, err, ordinal, c->context);
    MLAI_TRY(make_streams(c, err));
    MLAI_TRY(make_memory(c, err));
    MLAI_TRY(mlai_cuda_load_kernels(c, err)); // asks for c->shared_most
    return make_handles(c, err);
}

/* ---- lending
 * ---------------------------------------------------------------------------------------- */

/* The handles go to the caller's stream. It is a new stream as a rule only in programs of
 * several: then it waits for the end of the last context's work, whose scratch and handles it
 * inherits. */
static mla_status_t set_main(mlai_cuda_t *c, CUstream main, bool used, mlai_error_t *err)
{
    MLAI_CU_SCOPE(c->cu, err, c->ordinal, c->context);
    if (used) CU(cuStreamWaitEvent, main, c->idle, 0);
    c->stream[MLAI_STREAM_MAIN] = main;
    for (int k = 0; k < MLAI_CUDA_HANDLES; k++) {
        MLAI_TRY(MLAI_CUBLAS(c->blas, err, c->ordinal, cublasSetStream_v2, c->blas_handle[k],
                             c->stream[k]));
        MLAI_TRY(MLAI_CUSOLVER(c->solver, err, c->ordinal, cusolverDnSetStream,
                               c->solver_handle[k], c->stream[k]));
    }
    return MLA_OK;
}

mla_status_t mlai_cuda_take(int ordinal, CUstream main, mlai_error_t *err, mlai_cuda_t **out)
{
    pthread_mutex_lock(&lock);
    mlai_cuda_t **link = &idle_list;
    while (*link && (*link)->ordinal != ordinal) link = &(*link)->next;
    mlai_cuda_t *c = *link;
    if (c) *link = c->next;
    pthread_mutex_unlock(&lock);

    bool used = c != NULL;
    mla_status_t st = MLA_OK;
    *out = NULL;
    if (!c) {
        c = calloc(1, sizeof *c);
        if (!c) return mlai_fail(err, MLA_NOMEM, "out of host memory for a backend");
        MLAI_TRY_GOTO(st, make(c, ordinal, err), fail);
    }
    MLAI_TRY_GOTO(st, set_main(c, main, used, err), fail);
    c->next = NULL;
    *out = c;
    return MLA_OK;
fail:
    destroy(c);
    return st;
}

void mlai_cuda_give(mlai_cuda_t *c)
{
    // It fails where the device is broken or the caller's stream is gone.
    mlai_cu_scope_t scope = mlai_cu_enter(c->cu, NULL, c->ordinal, c->context);
    bool reusable = scope.status == MLA_OK &&
                    c->cu->cuEventRecord(c->idle, c->stream[MLAI_STREAM_MAIN]) == CUDA_SUCCESS;
    mlai_cu_leave(&scope);
    pthread_mutex_lock(&lock);
    int idle = 0;
    for (const mlai_cuda_t *o = idle_list; o; o = o->next) idle += o->ordinal == c->ordinal;
    if (idle >= MOST_IDLE) reusable = false;
    if (reusable) {
        c->base = (mlai_backend_t){NULL, NULL};
        c->next = idle_list;
        idle_list = c;
    }
    pthread_mutex_unlock(&lock);
    if (!reusable) destroy(c);
}

void mla_cuda_trim(void)
{
    pthread_mutex_lock(&lock);
    mlai_cuda_t *list = idle_list;
    idle_list = NULL;
    pthread_mutex_unlock(&lock);
    while (list) {
        mlai_cuda_t *c = list;
        list = c->next;
        destroy(c);
    }
}
