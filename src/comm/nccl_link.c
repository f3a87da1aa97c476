/* SPDX-License-Identifier: Apache-2.0
 * src/comm/nccl_link.c: joining an NCCL communicator, and parting.
 *
 * ncclCommInitRank waits for the other ranks without a limit. It runs in a thread of its own, and
 * who waits for that gives up at the time limit: the thread then cleans up behind itself,
 * whenever NCCL lets it go. */
#include "comm/nccl_link.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINK_CU(n, err, name, ...) MLAI_CU((n)->cu, err, (n)->ordinal, name, __VA_ARGS__)

/* ---- joining ----------------------------------------------------------------------------- */

typedef struct join {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done, abandoned;
    const mlai_cu_t *cu;
    const mlai_nccl_t *nccl;
    CUcontext context;
    CUdevice device; /* whose primary context this thread has retained for itself */
    int nranks, rank, ordinal;
    ncclUniqueId id;
    ncclComm_t comm;
    mla_status_t status;
    mlai_error_t err;
} join_t;

static void join_free(join_t *j)
{
    (void)j->cu->cuDevicePrimaryCtxRelease_v2(j->device);
    pthread_cond_destroy(&j->ended);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

static mla_status_t join_rank(join_t *j)
{
    MLAI_CU_SCOPE(j->cu, &j->err, j->ordinal, j->context);
    return mlai_nccl_check(j->nccl, &j->err, j->ordinal, NULL, "ncclCommInitRank",
                           j->nccl->ncclCommInitRank(&j->comm, j->nranks, j->id, j->rank));
}

static void *join_main(void *arg)
{
    join_t *j = arg;
    mla_status_t st = join_rank(j);
    pthread_mutex_lock(&j->lock);
    j->status = st;
    j->done = true;
    bool abandoned = j->abandoned;
    pthread_cond_signal(&j->ended);
    pthread_mutex_unlock(&j->lock);
    if (!abandoned) return NULL;
    if (st == MLA_OK) (void)j->nccl->ncclCommAbort(j->comm);
    join_free(j);
    return NULL;
}

static join_t *join_new(const mlai_nccl_comm_t *n, const char *id, mlai_error_t *err)
{
    join_t *j = calloc(1, sizeof *j);
    CUcontext same = NULL;
    if (!j) {
        mlai_fail(err, MLA_NOMEM, "out of host memory for a communicator");
        return NULL;
    }
    if (LINK_CU(n, err, cuDevicePrimaryCtxRetain, &same, n->device) != MLA_OK) {
        free(j);
        return NULL;
    }
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->ended, &clock);
    pthread_condattr_destroy(&clock);
    j->cu = n->cu;
    j->nccl = n->nccl;
    j->context = same;
    j->device = n->device;
    j->nranks = n->base.nranks;
    j->rank = n->base.rank;
    j->ordinal = n->ordinal;
    memcpy(&j->id, id, sizeof j->id);
    return j;
}

/* Waits for the thread; true if it has ended. */
static bool join_wait(join_t *j, double limit)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double whole = limit < 1e9 ? limit : 1e9;
    t.tv_sec += (time_t)whole;
    t.tv_nsec += (long)((whole - (double)(time_t)whole) * 1e9);
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    int late = 0;
    pthread_mutex_lock(&j->lock);
    while (!j->done && late != ETIMEDOUT) late = pthread_cond_timedwait(&j->ended, &j->lock, &t);
    bool done = j->done;
    j->abandoned = !done;
    pthread_mutex_unlock(&j->lock);
    return done;
}

static mla_status_t join_all(mlai_nccl_comm_t *n, const char *id, mlai_error_t *err)
{
    join_t *j = join_new(n, id, err);
    if (!j) return err ? err->status : MLA_NOMEM;
    pthread_t thread;
    if (pthread_create(&thread, NULL, join_main, j) != 0) {
        join_free(j);
        return mlai_fail(err, MLA_NOMEM, "no thread to join the communicator with");
    }
    if (!join_wait(j, n->timeout_s)) {
        pthread_detach(thread);
        return mlai_fail(err, MLA_COMM, "rank %d waited %.3g s for the others of %d ranks",
                         n->base.rank, n->timeout_s, n->base.nranks);
    }
    pthread_join(thread, NULL);
    n->comm = j->comm;
    mla_status_t st = j->status;
    if (st != MLA_OK) {
        n->comm = NULL;
        mlai_fail(err, st, "%s", j->err.message);
    }
    join_free(j);
    return st;
}

/* ---- what a rank holds ------------------------------------------------------------------- */

static mla_status_t make(mlai_nccl_comm_t *n, mlai_error_t *err)
{
    size_t bytes = (size_t)n->base.nranks * sizeof *n->host;
    MLAI_CU_SCOPE(n->cu, err, n->ordinal, n->context);
    for (int i = 0; i < MLAI_NCCL_EVENTS; i++)
        MLAI_TRY(LINK_CU(n, err, cuEventCreate, &n->done[i], CU_EVENT_DISABLE_TIMING));
    MLAI_TRY(LINK_CU(n, err, cuEventCreate, &n->met, CU_EVENT_DISABLE_TIMING));
    MLAI_TRY(LINK_CU(n, err, cuStreamCreateWithPriority, &n->own, CU_STREAM_NON_BLOCKING, 0));
    MLAI_TRY(LINK_CU(n, err, cuMemAlloc_v2, &n->notes, bytes));
    return LINK_CU(n, err, cuMemAllocHost_v2, (void **)(void *)&n->host, bytes);
}

mla_status_t mlai_nccl_link(mlai_nccl_comm_t *n, const char *id, mlai_error_t *err)
{
    mlai_error_t why = {.status = MLA_OK};
    mla_status_t st;
    MLAI_TRY_GOTO(st, mlai_cu_load(&n->cu, &why), fail);
    MLAI_TRY_GOTO(st, mlai_nccl_load(&n->nccl, &why), fail);
    MLAI_TRY_GOTO(st, LINK_CU(n, &why, cuDeviceGet, &n->device, n->ordinal), fail);
    MLAI_TRY_GOTO(st, LINK_CU(n, &why, cuDevicePrimaryCtxRetain, &n->context, n->device), fail);
    MLAI_TRY_GOTO(st, make(n, &why), fail);
    MLAI_TRY_GOTO(st, join_all(n, id, &why), fail);
    return MLA_OK;
fail:
    return mlai_fail(err, st, "%s", why.message);
}

static void unmake(mlai_nccl_comm_t *n)
{
    // With a broken device nothing more can be done than to go on.
    mlai_cu_scope_t scope = mlai_cu_enter(n->cu, NULL, n->ordinal, n->context);
    if (n->comm) (void)n->nccl->ncclCommDestroy(n->comm);
    for (int i = 0; i < MLAI_NCCL_EVENTS; i++)
        if (n->done[i]) (void)n->cu->cuEventDestroy_v2(n->done[i]);
    if (n->met) (void)n->cu->cuEventDestroy_v2(n->met);
    if (n->own) (void)n->cu->cuStreamDestroy_v2(n->own);
    if (n->notes) (void)n->cu->cuMemFree_v2(n->notes);
    if (n->host) (void)n->cu->cuMemFreeHost(n->host);
    if (n->win) (void)n->cu->cuMemFree_v2(n->win);
    mlai_cu_leave(&scope);
    (void)n->cu->cuDevicePrimaryCtxRelease_v2(n->device);
}

void mlai_nccl_unlink(mlai_nccl_comm_t *n)
{
    if (n->context) unmake(n);
    free(n);
}
