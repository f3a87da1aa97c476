/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_cuda.c: a CUDA driver without a GPU: libcuda.so.1 over host memory and emulated
 * kernels.
 *
 * As late as possible: what is put into a stream runs when something waits for it, and then no
 * more than the order of streams and events asks for. So work that nobody waits for never runs,
 * and a wait that is missing between two streams shows as a wrong result. Memory is NaN when it
 * is new. One lock for all; calls may come from any thread.
 *
 * With FAKE_CUDA_SHARED in the environment all objects are in memory that processes share which
 * are forked after the library is loaded: then memory and events of other processes can be
 * opened. Without it they cannot (801, not supported). */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dl/cuda_api.h"
#include "emu_kernels.h"
#include "fake_cuda.h"

#define VALUE(name, value) name = (value),
enum { MLAI_CU_VALUES(VALUE) INVALID_VALUE = 1, NOT_SUPPORTED = 801, UNKNOWN = 999 };

enum { DEVICES = 4, PROCESSORS = 1, ALIGN = 256 };

struct CUctx_st {
    int device, retained;
};

typedef struct op {
    struct op *next;
    void (*run)(void *args);
    unsigned char args[];
} op_t;

struct CUstream_st {
    op_t *head, *tail;
    uint64_t issued, done;
    struct CUstream_st *next; /* of those destroyed: events may still name them */
};

struct CUevent_st {
    CUstream stream; /* NULL: never recorded */
    uint64_t number;
    unsigned flags;
    CUevent original; /* of another process, whose state counts; NULL: this one */
};

struct CUmemPoolHandle_st {
    int device, told[DEVICES];
};

/* Memory of pools, in no order. */
typedef struct pooled {
    CUdeviceptr ptr;
    CUmemoryPool pool;
    struct pooled *next;
} pooled_t;
static pooled_t *pooled;
static pthread_mutex_t pooled_lock = PTHREAD_MUTEX_INITIALIZER;

/* What processes share. `heap` grows to `end`, unless it is NULL; freed blocks wait in lists by
 * the logarithm of their size. */
typedef struct state {
    pthread_mutex_t mutex;
    struct CUstream_st stream[DEVICES]; /* the default ones */
    char *heap, *end;
    char *unused[64];
} state_t;

static state_t own_state = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static state_t *state = &own_state;
#define lock (state->mutex)
#define default_stream (state->stream)

static struct CUctx_st contexts[DEVICES];
static CUstream all_streams; /* those alive, but for the default ones */
static CUstream old_streams;
static long calls, fail_at, live, made;
static _Thread_local CUcontext stack[16];
static _Thread_local int depth;

/* ---- what tests see -------------------------------------------------------------------------
 */

int fake_fails(void)
{
    return __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) ==
           __atomic_load_n(&fail_at, __ATOMIC_SEQ_CST);
}

void fake_fail_at(long k)
{
    __atomic_store_n(&fail_at, k, __ATOMIC_SEQ_CST);
    __atomic_store_n(&calls, 0, __ATOMIC_SEQ_CST);
}

long fake_calls(void)
{
    return __atomic_load_n(&calls, __ATOMIC_SEQ_CST);
}

void fake_object(int count)
{
    __atomic_add_fetch(&live, count, __ATOMIC_SEQ_CST);
    if (count > 0) __atomic_add_fetch(&made, count, __ATOMIC_SEQ_CST);
}

long fake_live(void)
{
    return __atomic_load_n(&live, __ATOMIC_SEQ_CST);
}

long fake_made(void)
{
    return __atomic_load_n(&made, __ATOMIC_SEQ_CST);
}

/* Every function that may fail begins so. */
#define ENTER()                           \
    do {                                  \
        if (fake_fails()) return UNKNOWN; \
    } while (0)
#define ENTER_CONTEXT()                                   \
    do {                                                  \
        ENTER();                                          \
        if (depth == 0) return 201; /* invalid context */ \
    } while (0)

/* ---- objects, alone or shared ----------------------------------------------------------------
 */

__attribute__((constructor)) static void share(void)
{
    const size_t bytes = (size_t)16 << 30; /* of addresses: pages come when they are used */
    if (!getenv("FAKE_CUDA_SHARED")) return;
    state_t *s = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s == MAP_FAILED) return;
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&s->mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    s->heap = (char *)s + (sizeof *s + ALIGN - 1) / ALIGN * ALIGN;
    s->end = (char *)s + bytes;
    state = s;
}

/* Under the lock. A shared block has the logarithm of its size in front. */
static void *take(size_t bytes)
{
    int k = 8;
    if (!state->heap) return aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
    bytes += ALIGN;
    while (((size_t)1 << k) < bytes) k++;
    char *block = state->unused[k];
    if (block) {
        memcpy(&state->unused[k], block + ALIGN, sizeof(char *));
    } else if ((size_t)(state->end - state->heap) >= (size_t)1 << k) {
        block = state->heap;
        state->heap += (size_t)1 << k;
        memcpy(block, &k, sizeof k);
    } else {
        return NULL;
    }
    return block + ALIGN;
}

/* Under the lock. */
static void give(void *ptr)
{
    if (!state->heap) {
        free(ptr);
    } else if (ptr) {
        int k;
        memcpy(&k, (char *)ptr - ALIGN, sizeof k);
        memcpy(ptr, &state->unused[k], sizeof(char *));
        state->unused[k] = (char *)ptr - ALIGN;
    }
}

static void *take_zero(size_t bytes)
{
    pthread_mutex_lock(&lock);
    void *ptr = take(bytes);
    pthread_mutex_unlock(&lock);
    return ptr ? memset(ptr, 0, bytes) : NULL;
}

/* ---- streams; the lock is held in what follows -----------------------------------------------
 */

static CUstream resolve(CUstream stream)
{
    return stream ? stream : &default_stream[depth ? stack[depth - 1]->device : 0];
}

static void push(CUstream stream, void (*run)(void *), const void *args, size_t bytes)
{
    op_t *op = take(sizeof *op + bytes);
    op->next = NULL;
    op->run = run;
    if (bytes) memcpy(op->args, args, bytes);
    if (stream->tail)
        stream->tail->next = op;
    else
        stream->head = op;
    stream->tail = op;
    stream->issued++;
}

static void drain(CUstream stream, uint64_t number)
{
    while (stream->done < number) {
        op_t *op = stream->head;
        stream->head = op->next;
        if (!stream->head) stream->tail = NULL;
        op->run(op->args);
        give(op);
        stream->done++;
    }
}

static void drain_all(void)
{
    for (int d = 0; d < DEVICES; d++) drain(&default_stream[d], default_stream[d].issued);
    for (CUstream s = all_streams; s; s = s->next) drain(s, s->issued);
}

static void run_wait(void *args)
{
    struct CUevent_st *event = args;
    if (event->stream) drain(event->stream, event->number);
}

void fake_enqueue(CUstream stream, void (*run)(void *args), const void *args, size_t bytes)
{
    pthread_mutex_lock(&lock);
    push(resolve(stream), run, args, bytes);
    pthread_mutex_unlock(&lock);
}

#define LOCKED(statement)            \
    do {                             \
        pthread_mutex_lock(&lock);   \
        statement;                   \
        pthread_mutex_unlock(&lock); \
    } while (0)

void fake_drain(void)
{
    LOCKED(drain_all());
}

/* ---- the driver's functions
 * --------------------------------------------------------------------- */

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define DECLARE(result, name, parameters) FAKE_API result name parameters;
MLAI_CU_LIST(DECLARE, DECLARE)

CUresult cuInit(unsigned int flags)
{
    ENTER();
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version)
{
    ENTER();
    *version = 13000;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **text)
{
    *text = error == UNKNOWN         ? "CUDA_ERROR_UNKNOWN"
            : error == INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE"
                                     : NULL;
    return *text ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    *text = error == UNKNOWN ? "made to fail" : NULL;
    return *text ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuDeviceGetCount(int *count)
{
    ENTER();
    *count = DEVICES;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    ENTER();
    if (ordinal < 0 || ordinal >= DEVICES) return 101;
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute what, CUdevice device)
{
    ENTER();
    switch ((int)what) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = PROCESSORS; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = 4096; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 9; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 0; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = 227 << 10; break;
    // One device with memory pools and one without: both ways are tested.
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: *value = device == 0; break;
    default: return INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    ENTER();
    snprintf(name, (size_t)size, "fake device %d", device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    ENTER();
    *bytes = (size_t)(device + 1) << 30;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    ENTER();
    memset(uuid, 0, sizeof *uuid);
    uuid->bytes[0] = (char)(device + 1);
    return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
    ENTER();
    *can = device != peer;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    ENTER();
    LOCKED(contexts[device].device = device; contexts[device].retained++);
    *context = &contexts[device];
    fake_object(1);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    LOCKED(contexts[device].retained--);
    fake_object(-1);
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
    ENTER();
    *context = depth ? stack[depth - 1] : NULL;
    return CUDA_SUCCESS;
}

/* Of all devices at once: more than the real one waits for. */
CUresult cuCtxSynchronize(void)
{
    ENTER();
    fake_drain();
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context)
{
    ENTER();
    if (depth == sizeof stack / sizeof stack[0]) return INVALID_VALUE;
    stack[depth++] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context)
{
    if (depth == 0) return 201;
    *context = stack[--depth];
    return CUDA_SUCCESS;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags)
{
    ENTER_CONTEXT();
    return CUDA_SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    ENTER_CONTEXT();
    *least = 0;
    *greatest = -5;
    return CUDA_SUCCESS;
}

/* ---- memory
 * ------------------------------------------------------------------------------------- */

CUresult cuMemGetInfo_v2(size_t *available, size_t *total)
{
    ENTER_CONTEXT();
    *available = *total = (size_t)1 << 32;
    return CUDA_SUCCESS;
}

static CUresult allocate(CUdeviceptr *ptr, size_t bytes)
{
    if (bytes == 0) return INVALID_VALUE;
    if (bytes > (size_t)1 << 32) return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&lock);
    void *p = take(bytes);
    pthread_mutex_unlock(&lock);
    if (!p) return CUDA_ERROR_OUT_OF_MEMORY;
    memset(p, 0xff, bytes);
    *ptr = (CUdeviceptr)(uintptr_t)p;
    fake_object(1);
    return CUDA_SUCCESS;
}

static void *address(CUdeviceptr ptr)
{
    return (void *)(uintptr_t)ptr;
}

static CUmemoryPool pool_of(CUdeviceptr ptr)
{
    pthread_mutex_lock(&pooled_lock);
    pooled_t *p = pooled;
    while (p && p->ptr != ptr) p = p->next;
    CUmemoryPool pool = p ? p->pool : NULL;
    pthread_mutex_unlock(&pooled_lock);
    return pool;
}

static void forget(CUdeviceptr ptr)
{
    pthread_mutex_lock(&pooled_lock);
    pooled_t **at = &pooled;
    while (*at && (*at)->ptr != ptr) at = &(*at)->next;
    pooled_t *gone = *at;
    if (gone) *at = gone->next;
    pthread_mutex_unlock(&pooled_lock);
    free(gone);
}

static void run_free(void *args)
{
    CUdeviceptr ptr;
    memcpy(&ptr, args, sizeof ptr);
    forget(ptr);
    give(address(ptr));
    fake_object(-1);
}

CUresult cuMemAlloc_v2(CUdeviceptr *ptr, size_t bytes)
{
    ENTER_CONTEXT();
    return allocate(ptr, bytes);
}

CUresult cuMemFree_v2(CUdeviceptr ptr)
{
    LOCKED(drain_all(); run_free(&ptr));
    return CUDA_SUCCESS;
}

CUresult cuMemAllocHost_v2(void **ptr, size_t bytes)
{
    ENTER_CONTEXT();
    CUdeviceptr p;
    CUresult result = allocate(&p, bytes);
    if (result == CUDA_SUCCESS) *ptr = address(p);
    return result;
}

CUresult cuMemFreeHost(void *ptr)
{
    return cuMemFree_v2((CUdeviceptr)(uintptr_t)ptr);
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *props)
{
    ENTER_CONTEXT();
    *pool = calloc(1, sizeof **pool);
    (*pool)->device = props->location.id;
    fake_object(1);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
    free(pool);
    fake_object(-1);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute what, void *value)
{
    ENTER_CONTEXT();
    return what == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *access, size_t count)
{
    ENTER();
    for (size_t k = 0; k < count; k++) {
        int id = access[k].location.id;
        if (id < 0 || id >= DEVICES || id == pool->device) return INVALID_VALUE;
        pool->told[id] = access[k].flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    }
    return CUDA_SUCCESS;
}

int fake_reaches(int device, const void *ptr)
{
    CUmemoryPool pool = pool_of((CUdeviceptr)(uintptr_t)ptr);
    return !pool || pool->device == device || pool->told[device];
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *ptr, size_t bytes, CUmemoryPool pool,
                                 CUstream stream)
{
    ENTER_CONTEXT();
    CUresult result = allocate(ptr, bytes);
    if (result != CUDA_SUCCESS) return result;
    pooled_t *p = calloc(1, sizeof *p);
    if (!p) abort();
    pthread_mutex_lock(&pooled_lock);
    *p = (pooled_t){*ptr, pool, pooled};
    pooled = p;
    pthread_mutex_unlock(&pooled_lock);
    return CUDA_SUCCESS;
}

CUresult cuMemAllocAsync(CUdeviceptr *ptr, size_t bytes, CUstream stream)
{
    ENTER_CONTEXT();
    return allocate(ptr, bytes);
}

CUresult cuMemFreeAsync(CUdeviceptr ptr, CUstream stream)
{
    fake_enqueue(stream, run_free, &ptr, sizeof ptr);
    return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr ptr)
{
    ENTER_CONTEXT();
    return NOT_SUPPORTED;
}

CUresult cuPointerGetAttribute(void *value, CUpointer_attribute what, CUdeviceptr ptr)
{
    ENTER_CONTEXT();
    CUmemoryPool pool = pool_of(ptr);
    if (what != CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE) return NOT_SUPPORTED;
    memcpy(value, &pool, sizeof pool);
    return CUDA_SUCCESS;
}

typedef struct copy {
    void *dst;
    const void *src;
    size_t bytes;
} copy_t;

static void run_copy(void *args)
{
    copy_t *c = args;
    memmove(c->dst, c->src, c->bytes);
}

CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream)
{
    ENTER_CONTEXT();
    copy_t c = {address(dst), address(src), bytes};
    fake_enqueue(stream, run_copy, &c, sizeof c);
    return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream)
{
    return cuMemcpyAsync(dst, src, bytes, stream);
}

CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t bytes, CUstream stream)
{
    return cuMemcpyAsync((CUdeviceptr)(uintptr_t)dst, src, bytes, stream);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr dst, CUcontext dst_context, CUdeviceptr src,
                           CUcontext src_context, size_t bytes, CUstream stream)
{
    return cuMemcpyAsync(dst, src, bytes, stream);
}

/* Pageable memory is copied when the call returns. */
static void run_upload(void *args)
{
    copy_t *c = args;
    memcpy(c->dst, c + 1, c->bytes);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t bytes, CUstream stream)
{
    ENTER_CONTEXT();
    copy_t *c = malloc(sizeof *c + bytes);
    *c = (copy_t){address(dst), NULL, bytes};
    memcpy(c + 1, src, bytes);
    fake_enqueue(stream, run_upload, c, sizeof *c + bytes);
    free(c);
    return CUDA_SUCCESS;
}

typedef struct set {
    void *dst;
    size_t bytes;
    int value;
} set_t;

static void run_set(void *args)
{
    set_t *s = args;
    memset(s->dst, s->value, s->bytes);
}

CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t bytes, CUstream stream)
{
    ENTER_CONTEXT();
    set_t s = {address(dst), bytes, value};
    fake_enqueue(stream, run_set, &s, sizeof s);
    return CUDA_SUCCESS;
}

/* ---- streams and events
 * ----------------------------------------------------------------------------- */

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority)
{
    ENTER_CONTEXT();
    *stream = take_zero(sizeof **stream);
    LOCKED((*stream)->next = all_streams; all_streams = *stream);
    fake_object(1);
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream stream)
{
    pthread_mutex_lock(&lock);
    drain(stream, stream->issued);
    CUstream *link = &all_streams;
    while (*link != stream) link = &(*link)->next;
    *link = stream->next;
    stream->next = old_streams;
    old_streams = stream;
    pthread_mutex_unlock(&lock);
    fake_object(-1);
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream)
{
    ENTER_CONTEXT();
    LOCKED(drain(resolve(stream), resolve(stream)->issued));
    return CUDA_SUCCESS;
}

CUresult cuStreamQuery(CUstream stream)
{
    return cuStreamSynchronize(stream);
}

static CUevent recorded(CUevent event)
{
    return event->original ? event->original : event;
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
{
    ENTER_CONTEXT();
    LOCKED(push(resolve(stream), run_wait, recorded(event), sizeof *event));
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
    ENTER_CONTEXT();
    *event = take_zero(sizeof **event);
    (*event)->flags = flags;
    fake_object(1);
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event)
{
    LOCKED(give(event));
    fake_object(-1);
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    ENTER_CONTEXT();
    LOCKED(event->stream = resolve(stream); event->number = event->stream->issued);
    return CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent event)
{
    ENTER_CONTEXT();
    LOCKED(run_wait(recorded(event)));
    return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent event)
{
    return cuEventSynchronize(event);
}

typedef struct call {
    CUhostFn fn;
    void *user;
} call_t;

static void run_call(void *args)
{
    call_t *c = args;
    c->fn(c->user);
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn fn, void *user)
{
    ENTER_CONTEXT();
    call_t c = {fn, user};
    fake_enqueue(stream, run_call, &c, sizeof c);
    return CUDA_SUCCESS;
}

/* ---- memory and events of other processes: handles are addresses, the same in all of them. A
 * process may not open its own (201). */

typedef struct handle {
    void *object;
    int pid;
} handle_t;

static CUresult make_handle(char *reserved, void *object)
{
    handle_t h = {object, getpid()};
    if (!state->heap) return NOT_SUPPORTED;
    memcpy(reserved, &h, sizeof h);
    return CUDA_SUCCESS;
}

static CUresult use_handle(const char *reserved, void **object)
{
    handle_t h;
    if (!state->heap) return NOT_SUPPORTED;
    memcpy(&h, reserved, sizeof h);
    *object = h.object;
    return !h.object ? INVALID_VALUE : h.pid == getpid() ? 201 : CUDA_SUCCESS;
}

CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr ptr)
{
    ENTER_CONTEXT();
    return make_handle(handle->reserved, address(ptr));
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *ptr, CUipcMemHandle handle, unsigned int flags)
{
    ENTER_CONTEXT();
    void *object;
    CUresult result = use_handle(handle.reserved, &object);
    if (result != CUDA_SUCCESS) return result;
    *ptr = (CUdeviceptr)(uintptr_t)object;
    fake_object(1);
    return CUDA_SUCCESS;
}

CUresult cuIpcCloseMemHandle(CUdeviceptr ptr)
{
    fake_object(-1);
    return CUDA_SUCCESS;
}

CUresult cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event)
{
    ENTER_CONTEXT();
    if (!(event->flags & CU_EVENT_INTERPROCESS)) return INVALID_VALUE;
    return make_handle(handle->reserved, event);
}

CUresult cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle)
{
    ENTER_CONTEXT();
    void *object;
    CUresult result = use_handle(handle.reserved, &object);
    if (result != CUDA_SUCCESS) return result;
    *event = take_zero(sizeof **event);
    (*event)->original = object;
    fake_object(1);
    return CUDA_SUCCESS;
}

/* ---- kernels: handles are numbers + 1
 * -------------------------------------------------------------- */

CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jit_option,
                           void **jit_value, unsigned int jit_count, CUlibraryOption *option,
                           void **value, unsigned int count)
{
    ENTER_CONTEXT();
    *library = (CUlibrary)(uintptr_t)1;
    return CUDA_SUCCESS;
}

CUresult cuLibraryUnload(CUlibrary library)
{
    return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name)
{
    ENTER_CONTEXT();
    int k = emu_kernel(name);
    if (k < 0) return 500; /* not found */
    *kernel = (CUkernel)(uintptr_t)(k + 1);
    return CUDA_SUCCESS;
}

CUresult cuKernelGetFunction(CUfunction *function, CUkernel kernel)
{
    ENTER_CONTEXT();
    *function = (CUfunction)(uintptr_t)kernel;
    return CUDA_SUCCESS;
}

/* Dynamic shared memory that a kernel has been promised, beyond what every kernel may have. */
enum { SHARED = 48 << 10, KERNELS_MOST = 1024 };
static int promised[KERNELS_MOST];

CUresult cuKernelSetAttribute(CUfunction_attribute what, int value, CUkernel kernel,
                              CUdevice device)
{
    ENTER_CONTEXT();
    uintptr_t number = (uintptr_t)kernel;
    if (what != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < SHARED ||
        value > 227 << 10 || number >= KERNELS_MOST)
        return INVALID_VALUE;
    __atomic_store_n(&promised[number], value, __ATOMIC_SEQ_CST);
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function,
                                                     int threads, size_t shared)
{
    ENTER_CONTEXT();
    *blocks = 2;
    return CUDA_SUCCESS;
}

typedef struct launch {
    int kernel;
    unsigned grid[3], block[3], shared;
    _Alignas(16) unsigned char parameter[];
} launch_t;

static void run_launch(void *args)
{
    launch_t *l = args;
    void *parameters[] = {l->parameter};
    emu_launch(l->kernel, l->grid, l->block, l->shared, parameters);
}

CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                        unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                        unsigned int block_z, unsigned int shared, CUstream stream,
                        void **parameters, void **extra)
{
    ENTER_CONTEXT();
    int kernel = (int)(uintptr_t)function - 1;
    unsigned most = (unsigned)__atomic_load_n(&promised[kernel + 1], __ATOMIC_SEQ_CST);
    if (shared > (most ? most : SHARED)) return INVALID_VALUE;
    size_t size = emu_parameter_size(kernel);
    if (block_x * block_y * block_z > 1024 || !grid_x || !grid_y || !grid_z || grid_y > 65535)
        return INVALID_VALUE;
    launch_t *l = malloc(sizeof *l + size);
    *l = (launch_t){kernel, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared};
    memcpy(l->parameter, parameters[0], size);
    fake_enqueue(stream, run_launch, l, sizeof *l + size);
    free(l);
    return CUDA_SUCCESS;
}
