/* SPDX-License-Identifier: Apache-2.0
 * src/comm/nccl.c: ranks on GPUs of any number of machines, through NCCL.
 *
 * A window is memory of this rank's device alone. Collectives are NCCL's, bytes as they are, one
 * after another on this rank whatever their streams (events); when one has ended here, what it
 * sent may be overwritten, so `reuse` is a wait for its event. bcast is ncclBroadcast, allgather
 * ncclAllGather, alltoall a group of ncclSend and ncclRecv: all choose rings, trees or links by
 * what NCCL finds.
 *
 * There is no host that all ranks see: `agree` is an all-gather of the ranks' verdicts after all
 * else that this rank has issued, and the host waits for it. The wait ends when nothing has come
 * to an end for the time limit, or when NCCL reports an error: then the communicator has failed,
 * and is aborted, which ends its kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "comm/board.h"
#include "comm/host_pull.h"
#include "comm/nccl_link.h"
#include "core/size.h"

static mlai_nccl_comm_t *nccl_of(mla_comm_t *c)
{
    return (mlai_nccl_comm_t *)(void *)c;
}

#define NCCL_CU(n, err, name, ...) MLAI_CU((n)->cu, err, (n)->ordinal, name, __VA_ARGS__)
#define NCCL_SCOPE(n, err) MLAI_CU_SCOPE((n)->cu, err, (n)->ordinal, (n)->context)
#define NCCL(n, err, name, ...) \
    mlai_nccl_check((n)->nccl, err, (n)->ordinal, (n)->comm, #name, (n)->nccl->name(__VA_ARGS__))

/* ---- failure ----------------------------------------------------------------------------- */

static mla_status_t check(const mlai_nccl_comm_t *n, mlai_error_t *err)
{
    return n->failed ? mlai_fail(err, MLA_PEER, "%s", n->why) : MLA_OK;
}

/* For good: the others' kernels that wait for this rank end in errors of their own. */
static void fail(mlai_nccl_comm_t *n, const char *why)
{
    if (n->failed) return;
    n->failed = true;
    snprintf(n->why, sizeof n->why, "%s", why);
    ncclComm_t comm = n->comm;
    n->comm = NULL;
    if (comm) (void)n->nccl->ncclCommAbort(comm);
}

/* ---- order ------------------------------------------------------------------------------- */

static CUevent event_of(const mlai_nccl_comm_t *n, uint64_t s)
{
    return n->done[s % MLAI_NCCL_EVENTS];
}

static mla_status_t stream_wait(mlai_nccl_comm_t *n, CUstream st, uint64_t s, mlai_error_t *err)
{
    return s == 0 ? MLA_OK : NCCL_CU(n, err, cuStreamWaitEvent, st, event_of(n, s), 0);
}

/* The next collective begins on `st`, after the one before it. */
static mla_status_t begin(mlai_nccl_comm_t *n, CUstream st, mlai_error_t *err)
{
    n->base.seq++;
    return n->has_last && n->last == st ? MLA_OK : stream_wait(n, st, n->ended, err);
}

static mla_status_t end(mlai_nccl_comm_t *n, CUstream st, mlai_error_t *err)
{
    MLAI_TRY(NCCL_CU(n, err, cuEventRecord, event_of(n, n->base.seq), st));
    n->ended = n->base.seq;
    n->last = st;
    n->has_last = true;
    return MLA_OK;
}

static mla_status_t nccl_reuse(mla_comm_t *c, mlai_stream_t stream, uint64_t seq,
                               mlai_error_t *err)
{
    mlai_nccl_comm_t *n = nccl_of(c);
    MLAI_TRY(check(n, err));
    NCCL_SCOPE(n, err);
    // Of collectives long past the event is another's, later: that will do as well.
    return stream_wait(n, (CUstream)(void *)stream, seq < n->ended ? seq : n->ended, err);
}

/* ---- collectives ------------------------------------------------------------------------- */

static void *at(const mlai_nccl_comm_t *n, size_t off)
{
    return (void *)(uintptr_t)(n->win + off);
}

static mla_status_t nccl_bcast(mla_comm_t *c, mlai_stream_t stream, size_t off, size_t bytes,
                               int root, mlai_error_t *err)
{
    mlai_nccl_comm_t *n = nccl_of(c);
    CUstream st = (CUstream)(void *)stream;
    MLAI_TRY(check(n, err));
    MLAI_TRY(mlai_check_root(c, root, err));
    MLAI_TRY(mlai_check_range(n->bytes, off, bytes, 1, err));
    NCCL_SCOPE(n, err);
    MLAI_TRY(begin(n, st, err));
    if (bytes > 0)
        MLAI_TRY(NCCL(n, err, ncclBroadcast, at(n, off), at(n, off), bytes, ncclUint8, root,
                      n->comm, st));
    return end(n, st, err);
}

static mla_status_t nccl_allgather(mla_comm_t *c, mlai_stream_t stream, size_t src, size_t dst,
                                   size_t bytes, mlai_error_t *err)
{
    mlai_nccl_comm_t *n = nccl_of(c);
    CUstream st = (CUstream)(void *)stream;
    MLAI_TRY(check(n, err));
    MLAI_TRY(mlai_check_range(n->bytes, src, bytes, 1, err));
    MLAI_TRY(mlai_check_range(n->bytes, dst, bytes, c->nranks, err));
    NCCL_SCOPE(n, err);
    MLAI_TRY(begin(n, st, err));
    if (bytes > 0)
        MLAI_TRY(
            NCCL(n, err, ncclAllGather, at(n, src), at(n, dst), bytes, ncclUint8, n->comm, st));
    return end(n, st, err);
}

/* A group is closed also after a failure in it. */
static mla_status_t exchange(mlai_nccl_comm_t *n, CUstream st, size_t src, size_t dst,
                             size_t bytes, mlai_error_t *err)
{
    mla_status_t status = NCCL(n, err, ncclGroupStart);
    if (status != MLA_OK) return status;
    for (int q = 0; q < n->base.nranks && status == MLA_OK; q++) {
        size_t block = (size_t)q * bytes;
        status = NCCL(n, err, ncclSend, at(n, src + block), bytes, ncclUint8, q, n->comm, st);
        if (status == MLA_OK)
            status = NCCL(n, err, ncclRecv, at(n, dst + block), bytes, ncclUint8, q, n->comm, st);
    }
    mlai_error_t why = {.status = MLA_OK};
    mla_status_t closed = NCCL(n, status == MLA_OK ? err : &why, ncclGroupEnd);
    return status == MLA_OK ? closed : status;
}

static mla_status_t nccl_alltoall(mla_comm_t *c, mlai_stream_t stream, size_t src, size_t dst,
                                  size_t bytes, mlai_error_t *err)
{
    mlai_nccl_comm_t *n = nccl_of(c);
    CUstream st = (CUstream)(void *)stream;
    MLAI_TRY(check(n, err));
    MLAI_TRY(mlai_check_range(n->bytes, src, bytes, c->nranks, err));
    MLAI_TRY(mlai_check_range(n->bytes, dst, bytes, c->nranks, err));
    NCCL_SCOPE(n, err);
    MLAI_TRY(begin(n, st, err));
    if (bytes > 0) MLAI_TRY(exchange(n, st, src, dst, bytes, err));
    return end(n, st, err);
}

/* ---- agreement --------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* First collective, of those whose events are there, that has not ended; ended + 1: none. */
static uint64_t first_open(const mlai_nccl_comm_t *n)
{
    uint64_t s = n->ended >= MLAI_NCCL_EVENTS ? n->ended - MLAI_NCCL_EVENTS + 1 : 1;
    while (s <= n->ended && n->cu->cuEventQuery(event_of(n, s)) == CUDA_SUCCESS) s++;
    return s;
}

/* Until the agreement of this rank's own stream has ended. The limit is on standing still: what
 * lies before it may take long. */
static mla_status_t wait_met(mlai_nccl_comm_t *n, mlai_error_t *err)
{
    uint64_t open = 0;
    double since = now();
    struct timespec nap = {0, 5000};
    for (;;) {
        CUresult result = n->cu->cuEventQuery(n->met);
        if (result != CUDA_ERROR_NOT_READY)
            return mlai_cu_check(n->cu, err, n->ordinal, "cuEventQuery", result);
        ncclResult_t async = ncclSuccess;
        MLAI_TRY(NCCL(n, err, ncclCommGetAsyncError, n->comm, &async));
        if (async != ncclInProgress)
            MLAI_TRY(mlai_nccl_check(n->nccl, err, n->ordinal, n->comm, "NCCL", async));
        uint64_t s = first_open(n);
        if (s != open) {
            open = s;
            since = now();
        }
        if (now() - since > n->timeout_s)
            return mlai_fail(
                err, MLA_COMM,
                "rank %d waited %.3g s for the others: of %llu collectives the first "
                "that has not ended is number %llu",
                n->base.rank, n->timeout_s, (unsigned long long)n->ended, (unsigned long long)s);
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 200000) nap.tv_nsec *= 2;
    }
}

/* Everyone's verdict to n->host. */
static mla_status_t gather_verdicts(mlai_nccl_comm_t *n, const mlai_nccl_verdict_t *mine,
                                    mlai_error_t *err)
{
    size_t each = sizeof *mine, off = (size_t)n->base.rank * each;
    CUdeviceptr notes = n->notes;
    NCCL_SCOPE(n, err);
    n->host[n->base.rank] = *mine;
    MLAI_TRY(stream_wait(n, n->own, n->ended, err));
    MLAI_TRY(
        NCCL_CU(n, err, cuMemcpyHtoDAsync_v2, notes + off, &n->host[n->base.rank], each, n->own));
    MLAI_TRY(NCCL(n, err, ncclAllGather, (void *)(uintptr_t)(notes + off),
                  (void *)(uintptr_t)notes, each, ncclUint8, n->comm, n->own));
    MLAI_TRY(NCCL_CU(n, err, cuMemcpyDtoHAsync_v2, n->host, notes, (size_t)n->base.nranks * each,
                     n->own));
    MLAI_TRY(NCCL_CU(n, err, cuEventRecord, n->met, n->own));
    return wait_met(n, err);
}

static mla_status_t nccl_agree(mla_comm_t *c, mla_status_t mine, mlai_error_t *err)
{
    mlai_nccl_comm_t *n = nccl_of(c);
    MLAI_TRY(check(n, err));
    mlai_nccl_verdict_t v = {.status = mine, .why = ""};
    if (mine != MLA_OK)
        snprintf(v.why, sizeof v.why, "%s",
                 err && err->status != MLA_OK ? err->message : mla_status_text(mine));
    mlai_error_t why = {.status = MLA_OK};
    mla_status_t st = gather_verdicts(n, &v, &why);
    if (st != MLA_OK) {
        fail(n, why.message);
        return mlai_fail(err, st, "%s", why.message);
    }
    if (mine != MLA_OK) return mlai_fail(err, mine, "%s", v.why);
    for (int q = 0; q < c->nranks; q++)
        if (n->host[q].status != MLA_OK)
            return mlai_fail(err, MLA_PEER, "rank %d: %s", q, n->host[q].why);
    return MLA_OK;
}

/* ---- windows ----------------------------------------------------------------------------- */

static mla_status_t replace_window(mlai_nccl_comm_t *n, size_t bytes, mlai_error_t *err)
{
    NCCL_SCOPE(n, err);
    CUdeviceptr old = n->win;
    n->win = 0;
    n->bytes = 0;
    if (old) MLAI_TRY(NCCL_CU(n, err, cuMemFree_v2, old));
    MLAI_TRY(NCCL_CU(n, err, cuMemAlloc_v2, &n->win, bytes));
    return MLA_OK;
}

static mla_status_t nccl_window(mla_comm_t *c, size_t bytes, void **base, mlai_error_t *err)
{
    mlai_nccl_comm_t *n = nccl_of(c);
    MLAI_TRY(check(n, err));
    if (bytes > n->bytes) {
        // All collectives of this rank have ended, and so nobody reads its window.
        MLAI_TRY(nccl_agree(c, MLA_OK, err));
        size_t round = mlai_size_align(bytes);
        MLAI_TRY(nccl_agree(c, replace_window(n, round, err), err));
        n->bytes = round;
    }
    // Another routine may come with another stream of the same address.
    n->has_last = false;
    *base = at(n, 0);
    return MLA_OK;
}

/* ---- life -------------------------------------------------------------------------------- */

static void nccl_abort(mla_comm_t *c, const char *why)
{
    fail(nccl_of(c), why);
}

static void nccl_free(mla_comm_t *c)
{
    mlai_nccl_comm_t *n = nccl_of(c);
    // What is enqueued still uses the window. A communicator that stands still is aborted.
    if (n->comm && n->ended > 0) {
        mlai_error_t why = {.status = MLA_OK};
        mlai_cu_scope_t scope = mlai_cu_enter(n->cu, &why, n->ordinal, n->context);
        mla_status_t st = scope.status;
        if (st == MLA_OK) st = stream_wait(n, n->own, n->ended, &why);
        if (st == MLA_OK) st = NCCL_CU(n, &why, cuEventRecord, n->met, n->own);
        if (st == MLA_OK) st = wait_met(n, &why);
        if (st != MLA_OK) fail(n, why.message);
        mlai_cu_leave(&scope);
    }
    mlai_nccl_unlink(n);
}

static const mlai_comm_ops_t nccl_ops = {.name = "nccl",
                                         .device = MLA_CUDA,
                                         .window = nccl_window,
                                         .bcast = nccl_bcast,
                                         .allgather = nccl_allgather,
                                         .alltoall = nccl_alltoall,
                                         .reuse = nccl_reuse,
                                         .agree = nccl_agree,
                                         .abort = nccl_abort,
                                         .free = nccl_free};

mla_status_t mla_nccl_id(char id[MLA_NCCL_ID_BYTES])
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    const mlai_nccl_t *nccl;
    ncclUniqueId unique;
    if (!id) return mlai_fail(err, MLA_ARG, "id is NULL");
    MLAI_TRY(mlai_nccl_load(&nccl, err));
    MLAI_TRY(
        mlai_nccl_check(nccl, err, -1, NULL, "ncclGetUniqueId", nccl->ncclGetUniqueId(&unique)));
    _Static_assert(sizeof unique == MLA_NCCL_ID_BYTES, "size of an id");
    memcpy(id, &unique, sizeof unique);
    return MLA_OK;
}

mla_status_t mla_comm_create_nccl(const char id[MLA_NCCL_ID_BYTES], int nranks, int rank,
                                  int ordinal, double timeout_s, mla_comm_t **comm)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if (!comm) return mlai_fail(err, MLA_ARG, "comm is NULL");
    *comm = NULL;
    if (!id) return mlai_fail(err, MLA_ARG, "id is NULL");
    MLAI_TRY(mlai_board_args(nranks, rank, timeout_s, err));
    mlai_nccl_comm_t *n = calloc(1, sizeof *n);
    if (!n) return mlai_fail(err, MLA_NOMEM, "out of host memory for a communicator");
    n->base = (mla_comm_t){.ops = &nccl_ops, .rank = rank, .nranks = nranks};
    n->ordinal = ordinal;
    n->timeout_s = timeout_s;
    mla_status_t st = mlai_nccl_link(n, id, err);
    if (st == MLA_OK) st = nccl_agree(&n->base, MLA_OK, err);
    if (st != MLA_OK) {
        mlai_nccl_unlink(n);
        return st;
    }
    *comm = &n->base;
    return MLA_OK;
}
