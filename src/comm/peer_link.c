/* SPDX-License-Identifier: Apache-2.0
 * src/comm/peer_link.c: connecting the ranks of a peer communicator, and parting.
 *
 * Memory that another process has opened may be freed only when that process has closed it;
 * memory and events that another rank of this process uses, when that rank has left. So a rank
 * leaves in two steps: it waits for its own reads, closes what it has opened, and says that it
 * has left; what it owns is freed as soon as all ranks have left or died. Nobody waits for that:
 * such communicators are kept in a list, which is looked through whenever one is made or freed.
 */
#include "comm/peer_link.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/process.h"
#include "core/size.h"

/* ---- agreement --------------------------------------------------------------------------- */

/* Collective: like agree, but all ranks return the status of the lowest that failed. */
static mla_status_t share(mlai_peer_t *p, mla_status_t mine, mlai_error_t *err)
{
    struct verdict {
        mla_status_t status;
        char why[MLAI_MESSAGE_MAX];
    } v = {.status = mine, .why = ""};
    if (mine != MLA_OK) snprintf(v.why, sizeof v.why, "%s", err ? err->message : "");
    MLAI_TRY(mlai_board_meet(&p->board, &v, sizeof v, err));
    for (int q = 0; q < p->base.nranks; q++) {
        const struct verdict *other = mlai_board_note(&p->board, q);
        if (other->status != MLA_OK) return mlai_fail(err, other->status, "%s", other->why);
    }
    return MLA_OK;
}

/* ---- who is where ------------------------------------------------------------------------ */

typedef struct card {
    mlai_process_t process;
    int ordinal;
    CUuuid uuid;
    CUcontext context;
} card_t;

static mla_status_t open_device(mlai_peer_t *p, card_t *card, mlai_error_t *err)
{
    MLAI_TRY(mlai_cu_load(&p->cu, err));
    MLAI_TRY(MLAI_PEER_CU(p, err, cuDeviceGet, &p->device, p->ordinal));
    MLAI_TRY(MLAI_PEER_CU(p, err, cuDevicePrimaryCtxRetain, &p->context, p->device));
    MLAI_TRY(MLAI_PEER_CU(p, err, cuDeviceGetUuid_v2, &card->uuid, p->device));
    card->process = mlai_this_process();
    card->ordinal = p->ordinal;
    card->context = p->context;
    return MLA_OK;
}

/* Device of this process with that uuid; -1: it is hidden from this process. */
static mla_status_t find_device(const mlai_peer_t *p, const CUuuid *uuid, CUdevice *device,
                                mlai_error_t *err)
{
    int count = 0;
    MLAI_TRY(MLAI_PEER_CU(p, err, cuDeviceGetCount, &count));
    for (int i = 0; i < count; i++) {
        CUuuid other;
        MLAI_TRY(MLAI_PEER_CU(p, err, cuDeviceGet, device, i));
        MLAI_TRY(MLAI_PEER_CU(p, err, cuDeviceGetUuid_v2, &other, *device));
        if (memcmp(&other, uuid, sizeof other) == 0) return MLA_OK;
    }
    *device = -1;
    return MLA_OK;
}

/* This rank's device can read the memory of rank q's. */
static mla_status_t reach(mlai_peer_t *p, int q, mlai_error_t *err)
{
    mlai_peer_rank_t *other = &p->of[q];
    if (memcmp(&other->uuid, &p->of[p->base.rank].uuid, sizeof other->uuid) == 0) return MLA_OK;
    CUdevice device = -1;
    int can = 1;
    MLAI_TRY(find_device(p, &other->uuid, &device, err));
    // Of a hidden device only the opening of its memory will tell.
    if (device >= 0)
        MLAI_TRY(MLAI_PEER_CU(p, err, cuDeviceCanAccessPeer, &can, p->device, device));
    if (!can)
        return mlai_fail(err, MLA_UNSUPPORTED,
                         "rank %d on device %d cannot reach the memory of rank %d on device %d: "
                         "the machine has no peer access between them",
                         p->base.rank, p->ordinal, q, other->ordinal);
    if (!other->local) return MLA_OK;
    CUresult result = p->cu->cuCtxEnablePeerAccess(other->context, 0);
    if (result == CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED) return MLA_OK;
    return mlai_cu_check(p->cu, err, p->ordinal, "cuCtxEnablePeerAccess", result);
}

static mla_status_t reach_all(mlai_peer_t *p, mlai_error_t *err)
{
    MLAI_PEER_SCOPE(p, err);
    for (int q = 0; q < p->base.nranks; q++) MLAI_TRY(reach(p, q, err));
    return MLA_OK;
}

static mla_status_t meet_ranks(mlai_peer_t *p, mlai_error_t *err)
{
    card_t mine;
    memset(&mine, 0, sizeof mine);
    mla_status_t st = open_device(p, &mine, err);
    MLAI_TRY(share(p, st, err));
    MLAI_TRY(mlai_board_meet(&p->board, &mine, sizeof mine, err));
    for (int q = 0; q < p->base.nranks; q++) {
        const card_t *card = mlai_board_note(&p->board, q);
        p->of[q].local = mlai_same_process(&card->process, &mine.process);
        p->of[q].ordinal = card->ordinal;
        p->of[q].uuid = card->uuid;
        p->of[q].context = card->context;
    }
    return share(p, reach_all(p, err), err);
}

static bool all_local(const mlai_peer_t *p)
{
    for (int q = 0; q < p->base.nranks; q++)
        if (!p->of[q].local) return false;
    return true;
}

/* ---- events ------------------------------------------------------------------------------ */

/* Note of events number i. */
typedef struct events {
    CUevent ready, done; /* NULL: this rank has failed */
    CUipcEventHandle ready_handle, done_handle;
} events_t;

static mla_status_t create_events(mlai_peer_t *p, bool shared, mlai_error_t *err)
{
    MLAI_PEER_SCOPE(p, err);
    mlai_peer_rank_t *mine = &p->of[p->base.rank];
    unsigned flags = CU_EVENT_DISABLE_TIMING | (shared ? CU_EVENT_INTERPROCESS : 0);
    for (int i = 0; i < MLAI_PEER_EVENTS; i++) {
        MLAI_TRY(MLAI_PEER_CU(p, err, cuEventCreate, &mine->ready[i], flags));
        MLAI_TRY(MLAI_PEER_CU(p, err, cuEventCreate, &mine->done[i], flags));
    }
    return MLA_OK;
}

static mla_status_t export_events(mlai_peer_t *p, int i, bool shared, events_t *e,
                                  mlai_error_t *err)
{
    MLAI_PEER_SCOPE(p, err);
    const mlai_peer_rank_t *mine = &p->of[p->base.rank];
    if (shared) {
        MLAI_TRY(MLAI_PEER_CU(p, err, cuIpcGetEventHandle, &e->ready_handle, mine->ready[i]));
        MLAI_TRY(MLAI_PEER_CU(p, err, cuIpcGetEventHandle, &e->done_handle, mine->done[i]));
    }
    e->ready = mine->ready[i];
    e->done = mine->done[i];
    return MLA_OK;
}

static mla_status_t import_events(mlai_peer_t *p, int i, mlai_error_t *err)
{
    MLAI_PEER_SCOPE(p, err);
    for (int q = 0; q < p->base.nranks; q++) {
        const events_t *e = mlai_board_note(&p->board, q);
        mlai_peer_rank_t *other = &p->of[q];
        if (q == p->base.rank || !e->ready) continue;
        if (other->local) {
            other->ready[i] = e->ready;
            other->done[i] = e->done;
            continue;
        }
        MLAI_TRY(MLAI_PEER_CU(p, err, cuIpcOpenEventHandle, &other->ready[i], e->ready_handle));
        MLAI_TRY(MLAI_PEER_CU(p, err, cuIpcOpenEventHandle, &other->done[i], e->done_handle));
    }
    return MLA_OK;
}

mla_status_t mlai_peer_connect(mlai_peer_t *p, mlai_error_t *err)
{
    MLAI_TRY(meet_ranks(p, err));
    bool shared = !all_local(p);
    mla_status_t st = create_events(p, shared, err);
    for (int i = 0; i < MLAI_PEER_EVENTS; i++) {
        events_t e;
        memset(&e, 0, sizeof e);
        if (st == MLA_OK) st = export_events(p, i, shared, &e, err);
        MLAI_TRY(mlai_board_meet(&p->board, &e, sizeof e, err));
        if (st == MLA_OK) st = import_events(p, i, err);
    }
    return share(p, st, err);
}

/* ---- windows ----------------------------------------------------------------------------- */

enum { GRANULE = 2 << 20 }; /* of the driver: an exported block is not shared with others' data */

typedef struct window {
    CUdeviceptr ptr;
    CUipcMemHandle handle;
} window_t;

/* Waits until the device has done all reads of this rank, for the time limit at most. */
static mla_status_t drain(mlai_peer_t *p, mlai_error_t *err)
{
    MLAI_PEER_SCOPE(p, err);
    CUevent last = p->of[p->base.rank].done[p->ended % MLAI_PEER_EVENTS];
    struct timespec start, now, nap = {0, 20000};
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        CUresult result = last ? p->cu->cuEventQuery(last) : CUDA_SUCCESS;
        if (result != CUDA_ERROR_NOT_READY)
            return mlai_cu_check(p->cu, err, p->ordinal, "cuEventQuery", result);
        nanosleep(&nap, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        double t =
            (double)(now.tv_sec - start.tv_sec) + 1e-9 * (double)(now.tv_nsec - start.tv_nsec);
        if (t > p->board.timeout_s)
            return mlai_fail(err, MLA_COMM, "rank %d waited %.3g s for its device %d",
                             p->base.rank, p->board.timeout_s, p->ordinal);
    }
}

static mla_status_t close_windows(mlai_peer_t *p, mlai_error_t *err)
{
    MLAI_PEER_SCOPE(p, err);
    mla_status_t st = MLA_OK;
    p->bytes = 0;
    for (int q = 0; q < p->base.nranks; q++) {
        if (q == p->base.rank) continue;
        if (p->of[q].win && !p->of[q].local)
            MLAI_KEEP_FIRST(st, MLAI_PEER_CU(p, err, cuIpcCloseMemHandle, p->of[q].win));
        p->of[q].win = 0;
    }
    return st;
}

static mla_status_t free_window(mlai_peer_t *p, mlai_error_t *err)
{
    MLAI_PEER_SCOPE(p, err);
    CUdeviceptr win = p->of[p->base.rank].win;
    p->of[p->base.rank].win = 0;
    return win ? MLAI_PEER_CU(p, err, cuMemFree_v2, win) : MLA_OK;
}

static mla_status_t new_window(mlai_peer_t *p, size_t bytes, window_t *w, mlai_error_t *err)
{
    MLAI_TRY(free_window(p, err));
    MLAI_PEER_SCOPE(p, err);
    MLAI_TRY(MLAI_PEER_CU(p, err, cuMemAlloc_v2, &w->ptr, bytes));
    p->of[p->base.rank].win = w->ptr;
    if (all_local(p)) return MLA_OK;
    return MLAI_PEER_CU(p, err, cuIpcGetMemHandle, &w->handle, w->ptr);
}

static mla_status_t open_windows(mlai_peer_t *p, mlai_error_t *err)
{
    MLAI_PEER_SCOPE(p, err);
    for (int q = 0; q < p->base.nranks; q++) {
        const window_t *w = mlai_board_note(&p->board, q);
        if (q == p->base.rank) continue;
        if (p->of[q].local) {
            p->of[q].win = w->ptr;
            continue;
        }
        mlai_error_t why = {.status = MLA_OK};
        if (MLAI_PEER_CU(p, &why, cuIpcOpenMemHandle_v2, &p->of[q].win, w->handle,
                         CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) == MLA_OK)
            continue;
        p->of[q].win = 0;
        return mlai_fail(err, MLA_UNSUPPORTED,
                         "rank %d on device %d cannot open the memory of rank %d on device %d of "
                         "another process: %.200s",
                         p->base.rank, p->ordinal, q, p->of[q].ordinal, why.message);
    }
    return MLA_OK;
}

mla_status_t mlai_peer_grow(mlai_peer_t *p, size_t bytes, mlai_error_t *err)
{
    // Nobody reads a window any more when all have come and their devices are through.
    MLAI_TRY(share(p, drain(p, err), err));
    MLAI_TRY(share(p, close_windows(p, err), err));
    window_t mine;
    memset(&mine, 0, sizeof mine);
    size_t round = mlai_size_add(bytes, GRANULE - 1) / GRANULE * GRANULE;
    MLAI_TRY(share(p, new_window(p, round, &mine, err), err));
    MLAI_TRY(mlai_board_meet(&p->board, &mine, sizeof mine, err));
    mla_status_t st = share(p, open_windows(p, err), err);
    if (st == MLA_OK) p->bytes = bytes;
    return st;
}

/* ---- leaving ----------------------------------------------------------------------------- */

static pthread_mutex_t left_lock = PTHREAD_MUTEX_INITIALIZER;
static mlai_peer_t *left; /* communicators that wait for the last of their ranks */

/* Events: of this rank, or the opened ones of rank q. */
static void destroy_events(mlai_peer_t *p, mlai_peer_rank_t *of)
{
    for (int i = 0; i < MLAI_PEER_EVENTS; i++) {
        if (of->ready[i]) (void)p->cu->cuEventDestroy_v2(of->ready[i]);
        if (of->done[i]) (void)p->cu->cuEventDestroy_v2(of->done[i]);
    }
}

static mla_status_t destroy_own(mlai_peer_t *p)
{
    MLAI_PEER_SCOPE(p, NULL);
    destroy_events(p, &p->of[p->base.rank]);
    return free_window(p, NULL);
}

static mla_status_t close_others(mlai_peer_t *p)
{
    MLAI_PEER_SCOPE(p, NULL);
    for (int q = 0; q < p->base.nranks; q++)
        if (!p->of[q].local && q != p->base.rank) destroy_events(p, &p->of[q]);
    return close_windows(p, NULL);
}

/* The device may be broken: then nothing more can be done than to go on. */
static void destroy(mlai_peer_t *p)
{
    if (p->context) {
        (void)destroy_own(p);
        (void)p->cu->cuDevicePrimaryCtxRelease_v2(p->device);
    }
    mlai_segment_close(&p->seg);
    free(p->of);
    free(p);
}

static void sweep(void)
{
    mlai_peer_t *gone = NULL, **at = &left;
    pthread_mutex_lock(&left_lock);
    while (*at) {
        mlai_peer_t *p = *at;
        if (mlai_board_empty(&p->board)) {
            *at = p->next;
            p->next = gone;
            gone = p;
        } else {
            at = &p->next;
        }
    }
    pthread_mutex_unlock(&left_lock);
    while (gone) {
        mlai_peer_t *p = gone;
        gone = p->next;
        destroy(p);
    }
}

void mlai_peer_leave(mlai_peer_t *p)
{
    // A device that does not end its reads keeps the memory of the others: they are not told.
    mla_status_t st = p->context ? drain(p, NULL) : MLA_OK;
    if (st == MLA_COMM) {
        mlai_board_fail(&p->board, "a rank has left while its device was busy");
    } else {
        if (p->context) (void)close_others(p);
        mlai_board_leave(&p->board);
    }
    pthread_mutex_lock(&left_lock);
    p->next = left;
    left = p;
    pthread_mutex_unlock(&left_lock);
    sweep();
}
