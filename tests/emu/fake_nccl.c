/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_nccl.c: the part of NCCL that the library uses, for ranks that are threads of
 * one process, over the streams and events of the fake driver. Every operation is a list of
 * blocks to send and to receive. Ranks meet on the host in each call, which the real one does
 * not; a rank that does not come is waited for FAKE_NCCL_SECONDS (default 20). In a stream an
 * operation
 *
 *     says that its sources are there, waits for those of the others, copies, says that it has
 *     copied, and waits until the others have
 *
 * so that a wait that is missing around it shows as a wrong result. As the real one it takes one
 * rank a device, unless FAKE_NCCL_SHARED is in the environment. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dl/cuda_api.h"
#include "fake_cuda.h"

#define VALUE(name, value) name = (value),
enum {
    MLAI_CU_VALUES(VALUE) MLAI_NCCL_VALUES(VALUE) ncclUnhandledCudaError = 1,
    ncclSystemError = 2,
    ncclInvalidArgument = 4,
    ncclInvalidUsage = 5,
    RANKS = 16,
    MOST = 4 * RANKS
};

#define DECLARE(result, name, parameters) FAKE_API result name parameters;
MLAI_NCCL_LIST(DECLARE, DECLARE)
#define DRIVER(result, name, parameters) extern result name parameters;
MLAI_CU_LIST(DRIVER, DRIVER)

typedef struct block {
    int peer;
    CUdeviceptr ptr;
    size_t bytes;
} block_t;

typedef struct work {
    int sends, recvs;
    block_t send[MOST], recv[MOST];
} work_t;

typedef struct group {
    ncclUniqueId id;
    int nranks, users, arrived;
    unsigned long round;
    int broken;
    CUevent ready[RANKS][2], copied[RANKS][2]; /* of even and odd operations */
    const work_t *work[RANKS];
    CUcontext context[RANKS];
    struct group *next;
} group_t;

struct ncclComm {
    group_t *group;
    int rank;
    unsigned long operations;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static group_t *groups;
static unsigned long ids;
static _Thread_local char reason[200];
static _Thread_local struct {
    int depth;
    ncclComm_t comm;
    cudaStream_t stream;
    work_t work;
} open_group;

static ncclResult_t refuse(ncclResult_t result, const char *why)
{
    snprintf(reason, sizeof reason, "%s", why);
    return result;
}

ncclResult_t ncclGetVersion(int *version)
{
    *version = 22809;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result)
{
    return result == ncclSuccess ? "no error" : "fake error";
}

const char *ncclGetLastError(ncclComm_t comm)
{
    (void)comm;
    return reason;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    if (fake_fails()) return refuse(ncclSystemError, "made to fail");
    memset(id, 0, sizeof *id);
    pthread_mutex_lock(&lock);
    snprintf(id->internal, sizeof id->internal, "fake-%lu", ++ids);
    pthread_mutex_unlock(&lock);
    return ncclSuccess;
}

/* All ranks of the group; lock held. 0: they have come. */
static int meet(group_t *g)
{
    const char *seconds = getenv("FAKE_NCCL_SECONDS");
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    double limit = seconds ? atof(seconds) : 20;
    long nanoseconds = t.tv_nsec + (long)((limit - (double)(long)limit) * 1e9);
    t.tv_sec += (time_t)limit + nanoseconds / 1000000000;
    t.tv_nsec = nanoseconds % 1000000000;
    unsigned long round = g->round;
    if (++g->arrived == g->nranks) {
        g->arrived = 0;
        g->round++;
        pthread_cond_broadcast(&changed);
    }
    while (g->round == round && !g->broken)
        if (pthread_cond_timedwait(&changed, &lock, &t) != 0) g->broken = 1;
    if (g->broken) pthread_cond_broadcast(&changed);
    return g->broken;
}

static int make_events(group_t *g, int rank)
{
    int bad = 0;
    for (int k = 0; k < 2 && !bad; k++) {
        bad |= cuEventCreate(&g->ready[rank][k], CU_EVENT_DISABLE_TIMING);
        if (!bad) bad |= cuEventCreate(&g->copied[rank][k], CU_EVENT_DISABLE_TIMING);
    }
    return bad;
}

static void end_events(group_t *g, int rank)
{
    for (int k = 0; k < 2; k++) {
        if (g->ready[rank][k]) (void)cuEventDestroy_v2(g->ready[rank][k]);
        if (g->copied[rank][k]) (void)cuEventDestroy_v2(g->copied[rank][k]);
        g->ready[rank][k] = g->copied[rank][k] = NULL;
    }
}

static void leave(ncclComm_t comm)
{
    pthread_mutex_lock(&lock);
    group_t *g = comm->group, **at = &groups;
    int last = --g->users == 0;
    if (last) {
        while (*at != g) at = &(*at)->next;
        *at = g->next;
    }
    pthread_mutex_unlock(&lock);
    // The others may still wait for this rank's events: they go with the last rank.
    for (int p = 0; last && p < g->nranks; p++) end_events(g, p);
    if (last) free(g);
}

static group_t *find_group(const ncclUniqueId *id, int nranks)
{
    group_t *g = groups;
    while (g && memcmp(&g->id, id, sizeof *id) != 0) g = g->next;
    if (g || !(g = calloc(1, sizeof *g))) return g;
    g->id = *id;
    g->nranks = nranks;
    g->next = groups;
    groups = g;
    return g;
}

static int devices_differ(const group_t *g)
{
    for (int p = 0; p < g->nranks; p++)
        for (int q = 0; q < p; q++)
            if (g->context[p] == g->context[q]) return getenv("FAKE_NCCL_SHARED") != NULL;
    return 1;
}

ncclResult_t ncclCommInitRank(ncclComm_t *comm, int nranks, ncclUniqueId id, int rank)
{
    if (fake_fails()) return refuse(ncclSystemError, "made to fail");
    if (rank < 0 || rank >= nranks || nranks > RANKS)
        return refuse(ncclInvalidArgument, "rank out of range");
    ncclComm_t c = calloc(1, sizeof *c);
    c->rank = rank;
    pthread_mutex_lock(&lock);
    group_t *g = c->group = find_group(&id, nranks);
    if (!g) abort();
    g->users++;
    (void)cuCtxGetCurrent(&g->context[rank]);
    int bad = meet(g), twice = !bad && !devices_differ(g);
    if (!bad && !twice && make_events(g, rank)) g->broken = 1;
    if (!bad) bad = meet(g);
    pthread_mutex_unlock(&lock);
    if (!bad && !twice) {
        fake_object(1);
        *comm = c;
        return ncclSuccess;
    }
    leave(c);
    free(c);
    return twice ? refuse(ncclInvalidUsage, "Duplicate GPU detected")
                 : refuse(ncclSystemError, "a rank has not come");
}

static ncclResult_t finish(ncclComm_t comm)
{
    leave(comm);
    free(comm);
    fake_object(-1);
    return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    return finish(comm);
}

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    pthread_mutex_lock(&lock);
    comm->group->broken = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return finish(comm);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *result)
{
    (void)comm;
    *result = ncclSuccess;
    return ncclSuccess;
}

/* ---- operations -----------------------------------------------------------------------------
 */

/* The block that `from` sends `to`, number `skip` of those. */
static const block_t *find_block(const work_t *w, int to, int skip)
{
    for (int k = 0; k < w->sends; k++)
        if (w->send[k].peer == to && skip-- == 0) return &w->send[k];
    return NULL;
}

static int enqueue(ncclComm_t comm, const work_t *w, cudaStream_t stream)
{
    group_t *g = comm->group;
    unsigned long k = comm->operations % 2;
    int bad = 0;
    for (int q = 0; q < g->nranks; q++) bad |= cuStreamWaitEvent(stream, g->ready[q][k], 0);
    for (int i = 0; i < w->recvs && !bad; i++) {
        int before = 0;
        for (int j = 0; j < i; j++) before += w->recv[j].peer == w->recv[i].peer;
        const block_t *from = find_block(g->work[w->recv[i].peer], comm->rank, before);
        bad |= !from || from->bytes != w->recv[i].bytes;
        if (!bad && from->ptr != w->recv[i].ptr)
            bad |= cuMemcpyAsync(w->recv[i].ptr, from->ptr, from->bytes, stream);
    }
    return bad | cuEventRecord(g->copied[comm->rank][k], stream);
}

static ncclResult_t run(ncclComm_t comm, const work_t *w, cudaStream_t stream)
{
    group_t *g = comm->group;
    unsigned long k = ++comm->operations % 2;
    if (fake_fails()) return refuse(ncclUnhandledCudaError, "made to fail");
    if (cuEventRecord(g->ready[comm->rank][k], stream) != 0)
        return refuse(ncclUnhandledCudaError, "cuEventRecord");
    pthread_mutex_lock(&lock);
    g->work[comm->rank] = w;
    int missing = meet(g), bad = 0;
    pthread_mutex_unlock(&lock);
    if (!missing) bad = enqueue(comm, w, stream);
    pthread_mutex_lock(&lock);
    if (!missing) missing = meet(g);
    pthread_mutex_unlock(&lock);
    if (missing) return refuse(ncclSystemError, "a rank has not come");
    for (int q = 0; q < g->nranks; q++) bad |= cuStreamWaitEvent(stream, g->copied[q][k], 0);
    return bad ? refuse(ncclUnhandledCudaError, "blocks do not match") : ncclSuccess;
}

static CUdeviceptr ptr_of(const void *ptr)
{
    return (CUdeviceptr)(uintptr_t)ptr;
}

ncclResult_t ncclBroadcast(const void *in, void *out, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream)
{
    work_t w = {.recvs = 1, .recv = {{root, ptr_of(out), count}}};
    if (type != ncclUint8 || root < 0 || root >= comm->group->nranks) return ncclInvalidArgument;
    for (int q = 0; q < comm->group->nranks && comm->rank == root; q++)
        w.send[w.sends++] = (block_t){q, ptr_of(in), count};
    return run(comm, &w, stream);
}

ncclResult_t ncclAllGather(const void *in, void *out, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream)
{
    work_t w = {.sends = 0};
    if (type != ncclUint8) return ncclInvalidArgument;
    for (int q = 0; q < comm->group->nranks; q++) {
        w.send[w.sends++] = (block_t){q, ptr_of(in), count};
        w.recv[w.recvs++] = (block_t){q, ptr_of(out) + (size_t)q * count, count};
    }
    return run(comm, &w, stream);
}

ncclResult_t ncclGroupStart(void)
{
    if (fake_fails()) return refuse(ncclSystemError, "made to fail");
    if (open_group.depth++ == 0) {
        open_group.comm = NULL;
        open_group.work.sends = open_group.work.recvs = 0;
    }
    return ncclSuccess;
}

static ncclResult_t note(block_t *list, int *count, block_t b, ncclDataType_t type,
                         ncclComm_t comm, cudaStream_t stream)
{
    if (open_group.depth == 0 || type != ncclUint8 || *count == MOST)
        return refuse(ncclInvalidUsage, "outside of a group");
    open_group.comm = comm;
    open_group.stream = stream;
    list[(*count)++] = b;
    return ncclSuccess;
}

ncclResult_t ncclSend(const void *in, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream)
{
    work_t *w = &open_group.work;
    return note(w->send, &w->sends, (block_t){peer, ptr_of(in), count}, type, comm, stream);
}

ncclResult_t ncclRecv(void *out, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream)
{
    work_t *w = &open_group.work;
    return note(w->recv, &w->recvs, (block_t){peer, ptr_of(out), count}, type, comm, stream);
}

ncclResult_t ncclGroupEnd(void)
{
    if (open_group.depth == 0) return refuse(ncclInvalidUsage, "no group is open");
    if (--open_group.depth > 0 || !open_group.comm) return ncclSuccess;
    return run(open_group.comm, &open_group.work, open_group.stream);
}
