/* SPDX-License-Identifier: Apache-2.0
 * src/comm/peer.c: ranks on the GPUs of one machine that reach one another's memory; ranks are
 * threads of one process, processes, or a mixture, also several on one GPU.
 *
 * Data move by copies from the others' windows, on the stream of the call. Order between ranks:
 *
 *     source, host:  record `ready` of s on its stream;  then publish s on the board
 *     reader, host:  wait until s is published;  its stream waits for `ready`;  copies;
 *                    record `done` of s;  publish that
 *
 * The host waits for nothing but that another host has enqueued; so all that can go wrong (a rank
 * that does not come) goes wrong there, where waits have a limit. On the devices every wait is
 * for an event that had been recorded before: it comes to an end whatever the hardware runs
 * first, also with several ranks on one GPU. No kernel spins on a flag.
 *
 * A large broadcast goes in P - 1 pieces: each reader takes one from the root and the others from
 * the other readers. The root sends its data once, and not P - 1 times: about 2 bytes/rate
 * instead of (P - 1) bytes/rate.
 *
 * Collectives of one rank follow one another on its device, on whatever streams they are issued:
 * so `done` of s says that this rank has read what s and all before it read. */
#include <stdlib.h>
#include <string.h>

#include "comm/host_pull.h"
#include "comm/peer_link.h"
#include "core/size.h"

/* Below this the copies of pieces take longer to start than to run. */
enum { PIECES = 4 << 20 };

static mlai_peer_t *peer_of(mla_comm_t *c)
{
    return (mlai_peer_t *)(void *)c;
}

/* ---- waits on the device ----------------------------------------------------------------- */

static mla_status_t stream_wait(mlai_peer_t *p, CUstream st, CUevent event, mlai_error_t *err)
{
    return MLAI_PEER_CU(p, err, cuStreamWaitEvent, st, event, 0);
}

/* Where it is kept what `st` has waited for; an entry that knows nothing if there is none. */
static mlai_peer_cover_t *cover_of(mlai_peer_t *p, CUstream st)
{
    mlai_peer_cover_t *least = &p->cover[0];
    for (int i = 0; i < MLAI_PEER_STREAMS; i++) {
        mlai_peer_cover_t *c = &p->cover[i];
        if (c->seq > 0 && c->stream == st) return c;
        if (c->seq < least->seq) least = c;
    }
    *least = (mlai_peer_cover_t){st, 0};
    return least;
}

/* What follows on `st` comes after all reads by others of collective `seq` and before. */
static mla_status_t after_readers(mlai_peer_t *p, CUstream st, uint64_t seq, mlai_error_t *err)
{
    MLAI_TRY(mlai_board_wait(&p->board, MLAI_ALL_RANKS, 2 * seq, err));
    mlai_peer_cover_t *cover = cover_of(p, st);
    if (seq <= cover->seq) return MLA_OK;
    // Events of collectives long past may be in use again; later ones will do as well.
    uint64_t known = p->base.seq >= MLAI_IN_FLIGHT ? p->base.seq - MLAI_IN_FLIGHT + 1 : 0;
    uint64_t s = seq > known ? seq : known;
    for (int q = 0; q < p->base.nranks; q++)
        if (q != p->base.rank)
            MLAI_TRY(stream_wait(p, st, p->of[q].done[s % MLAI_PEER_EVENTS], err));
    cover->seq = s;
    return MLA_OK;
}

/* ---- collectives ------------------------------------------------------------------------- */

/* Collective *s begins on `st`: after those before it, and nobody reads any more what it
 * overwrites here. */
static mla_status_t begin(mlai_peer_t *p, CUstream st, mlai_span_t src, mlai_span_t dst,
                          uint64_t *s, mlai_error_t *err)
{
    uint64_t read = 0;
    *s = p->base.seq + 1;
    // So that events are free: all are through with s - MLAI_IN_FLIGHT + 1.
    if (*s >= MLAI_IN_FLIGHT)
        MLAI_TRY(mlai_board_wait(&p->board, MLAI_ALL_RANKS, 2 * (*s - MLAI_IN_FLIGHT + 1), err));
    p->base.seq = *s;
    if (p->ended > 0 && !(p->has_last && p->last == st))
        MLAI_TRY(stream_wait(p, st, p->of[p->base.rank].done[p->ended % MLAI_PEER_EVENTS], err));
    if (dst.bytes > 0) read = mlai_read_log_overwrite(&p->log, dst);
    mlai_read_log_add(&p->log, *s, src);
    return read > 0 ? after_readers(p, st, read, err) : MLA_OK;
}

static mla_status_t record(mlai_peer_t *p, CUstream st, CUevent *ring, uint64_t s,
                           mlai_error_t *err)
{
    return MLAI_PEER_CU(p, err, cuEventRecord, ring[s % MLAI_PEER_EVENTS], st);
}

/* This rank's part of s is enqueued. */
static mla_status_t end(mlai_peer_t *p, CUstream st, uint64_t s, mlai_error_t *err)
{
    MLAI_TRY(record(p, st, p->of[p->base.rank].done, s, err));
    p->ended = s;
    p->last = st;
    p->has_last = true;
    mlai_board_post(&p->board, 2 * s);
    return MLA_OK;
}

static mla_status_t copy(mlai_peer_t *p, CUstream st, CUdeviceptr dst, CUdeviceptr src,
                         size_t bytes, mlai_error_t *err)
{
    return dst == src || bytes == 0 ? MLA_OK
                                    : MLAI_PEER_CU(p, err, cuMemcpyAsync, dst, src, bytes, st);
}

/* Piece of the reader q of a broadcast: they are numbered from the root on. */
static mlai_span_t piece_of(const mla_comm_t *c, int q, int root, size_t off, size_t bytes)
{
    size_t i = (size_t)((q - root - 1 + c->nranks) % c->nranks);
    size_t each = mlai_size_align(bytes / (size_t)(c->nranks - 1) + 1);
    size_t first = i * each < bytes ? i * each : bytes;
    size_t end = first + each < bytes ? first + each : bytes;
    return (mlai_span_t){off + first, end - first};
}

static mla_status_t pull(mlai_peer_t *p, CUstream st, int q, mlai_span_t span, mlai_error_t *err)
{
    return copy(p, st, p->of[p->base.rank].win + span.off, p->of[q].win + span.off, span.bytes,
                err);
}

/* A reader of broadcast s, in pieces. */
static mla_status_t pull_pieces(mlai_peer_t *p, CUstream st, uint64_t s, size_t off, size_t bytes,
                                int root, mlai_error_t *err)
{
    mla_comm_t *c = &p->base;
    MLAI_TRY(pull(p, st, root, piece_of(c, c->rank, root, off, bytes), err));
    MLAI_TRY(record(p, st, p->of[c->rank].ready, s, err));
    mlai_board_post(&p->board, 2 * s - 1);
    MLAI_TRY(mlai_board_wait(&p->board, MLAI_ALL_RANKS, 2 * s - 1, err));
    for (int i = 1; i < c->nranks; i++) {
        int q = (c->rank + i) % c->nranks;
        if (q == root) continue;
        MLAI_TRY(stream_wait(p, st, p->of[q].ready[s % MLAI_PEER_EVENTS], err));
        MLAI_TRY(pull(p, st, q, piece_of(c, q, root, off, bytes), err));
    }
    // This stream has waited for all: `ready`, and `done` of the root, come after reads before s.
    if (s > 1) cover_of(p, st)->seq = s - 1;
    return MLA_OK;
}

static mla_status_t peer_bcast(mla_comm_t *c, mlai_stream_t stream, size_t off, size_t bytes,
                               int root, mlai_error_t *err)
{
    mlai_peer_t *p = peer_of(c);
    CUstream st = (CUstream)(void *)stream;
    MLAI_TRY(mlai_board_check(&p->board, err));
    MLAI_TRY(mlai_check_root(c, root, err));
    MLAI_TRY(mlai_check_range(p->bytes, off, bytes, 1, err));
    MLAI_PEER_SCOPE(p, err);
    mlai_span_t all = {off, bytes}, none = {0, 0};
    bool source = c->rank == root, pieces = bytes >= p->pieces && c->nranks > 2;
    mlai_span_t sent = source ? all : pieces ? piece_of(c, c->rank, root, off, bytes) : none;
    uint64_t s;
    MLAI_TRY(begin(p, st, sent, source ? none : all, &s, err));
    // The root reads nothing: its `done` is its `ready`.
    if (!source && bytes > 0) {
        MLAI_TRY(mlai_board_wait(&p->board, root, 2 * s, err));
        MLAI_TRY(stream_wait(p, st, p->of[root].done[s % MLAI_PEER_EVENTS], err));
        MLAI_TRY(pieces ? pull_pieces(p, st, s, off, bytes, root, err)
                        : pull(p, st, root, all, err));
    }
    return end(p, st, s, err);
}

/* From each rank q its [src + step q, ...) to [dst + bytes q, ...). Collective s has begun. */
static mla_status_t pull_all(mlai_peer_t *p, CUstream st, uint64_t s, size_t src, size_t step,
                             size_t dst, size_t bytes, mlai_error_t *err)
{
    int me = p->base.rank, nranks = p->base.nranks;
    if (bytes == 0) return end(p, st, s, err);
    MLAI_TRY(record(p, st, p->of[me].ready, s, err));
    mlai_board_post(&p->board, 2 * s - 1);
    MLAI_TRY(mlai_board_wait(&p->board, MLAI_ALL_RANKS, 2 * s - 1, err));
    // Each rank begins with itself: they do not all read from one device at a time.
    for (int i = 0; i < nranks; i++) {
        int q = (me + i) % nranks;
        if (q != me) MLAI_TRY(stream_wait(p, st, p->of[q].ready[s % MLAI_PEER_EVENTS], err));
        MLAI_TRY(copy(p, st, p->of[me].win + dst + (size_t)q * bytes,
                      p->of[q].win + src + (size_t)q * step, bytes, err));
    }
    // `ready` of s comes after all reads before s.
    if (s > 1) cover_of(p, st)->seq = s - 1;
    return end(p, st, s, err);
}

static mla_status_t peer_allgather(mla_comm_t *c, mlai_stream_t stream, size_t src, size_t dst,
                                   size_t bytes, mlai_error_t *err)
{
    mlai_peer_t *p = peer_of(c);
    CUstream st = (CUstream)(void *)stream;
    MLAI_TRY(mlai_board_check(&p->board, err));
    MLAI_TRY(mlai_check_range(p->bytes, src, bytes, 1, err));
    MLAI_TRY(mlai_check_range(p->bytes, dst, bytes, c->nranks, err));
    MLAI_PEER_SCOPE(p, err);
    mlai_span_t in = {src, bytes}, out = {dst, (size_t)c->nranks * bytes};
    uint64_t s;
    MLAI_TRY(begin(p, st, in, out, &s, err));
    // In place on one rank is in place on all.
    bool in_place = src == dst + (size_t)c->rank * bytes;
    return pull_all(p, st, s, in_place ? dst : src, in_place ? bytes : 0, dst, bytes, err);
}

static mla_status_t peer_alltoall(mla_comm_t *c, mlai_stream_t stream, size_t src, size_t dst,
                                  size_t bytes, mlai_error_t *err)
{
    mlai_peer_t *p = peer_of(c);
    CUstream st = (CUstream)(void *)stream;
    MLAI_TRY(mlai_board_check(&p->board, err));
    MLAI_TRY(mlai_check_range(p->bytes, src, bytes, c->nranks, err));
    MLAI_TRY(mlai_check_range(p->bytes, dst, bytes, c->nranks, err));
    MLAI_PEER_SCOPE(p, err);
    size_t all = (size_t)c->nranks * bytes;
    mlai_span_t in = {src, all}, out = {dst, all};
    uint64_t s;
    MLAI_TRY(begin(p, st, in, out, &s, err));
    return pull_all(p, st, s, src + (size_t)c->rank * bytes, 0, dst, bytes, err);
}

static mla_status_t peer_reuse(mla_comm_t *c, mlai_stream_t stream, uint64_t seq,
                               mlai_error_t *err)
{
    mlai_peer_t *p = peer_of(c);
    MLAI_TRY(mlai_board_check(&p->board, err));
    if (seq == 0) return MLA_OK;
    MLAI_PEER_SCOPE(p, err);
    return after_readers(p, (CUstream)(void *)stream, seq, err);
}

/* ---- the rest of the table --------------------------------------------------------------- */

static mla_status_t peer_window(mla_comm_t *c, size_t bytes, void **base, mlai_error_t *err)
{
    mlai_peer_t *p = peer_of(c);
    MLAI_TRY(mlai_board_check(&p->board, err));
    if (bytes > p->bytes) MLAI_TRY(mlai_peer_grow(p, bytes, err));
    // Another routine may come with other streams of the same address: nothing is known of them.
    memset(p->cover, 0, sizeof p->cover);
    p->has_last = false;
    *base = (void *)(uintptr_t)p->of[c->rank].win;
    return MLA_OK;
}

static mla_status_t peer_agree(mla_comm_t *c, mla_status_t mine, mlai_error_t *err)
{
    return mlai_board_agree(&peer_of(c)->board, mine, err);
}

static void peer_abort(mla_comm_t *c, const char *why)
{
    mlai_board_fail(&peer_of(c)->board, why);
}

static void peer_free(mla_comm_t *c)
{
    mlai_peer_leave(peer_of(c));
}

static const mlai_comm_ops_t peer_ops = {.name = "peer",
                                         .device = MLA_CUDA,
                                         .window = peer_window,
                                         .bcast = peer_bcast,
                                         .allgather = peer_allgather,
                                         .alltoall = peer_alltoall,
                                         .reuse = peer_reuse,
                                         .agree = peer_agree,
                                         .abort = peer_abort,
                                         .free = peer_free};

mla_status_t mla_comm_create_peer(const char *name, int nranks, int rank, int ordinal,
                                  double timeout_s, mla_comm_t **comm)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if (!comm) return mlai_fail(err, MLA_ARG, "comm is NULL");
    *comm = NULL;
    MLAI_TRY(mlai_board_args(nranks, rank, timeout_s, err));
    mlai_peer_t *p = calloc(1, sizeof *p);
    mlai_peer_rank_t *of = calloc((size_t)nranks, sizeof *of);
    mla_status_t st = MLA_NOMEM;
    if (!p || !of) {
        mlai_fail(err, st, "out of host memory for %d ranks", nranks);
        goto fail;
    }
    p->base = (mla_comm_t){.ops = &peer_ops, .rank = rank, .nranks = nranks};
    p->ordinal = ordinal;
    p->pieces = PIECES;
    p->of = of;
    MLAI_TRY_GOTO(st, mlai_segment_join(&p->seg, name, nranks, rank, timeout_s, &p->board, err),
                  fail);
    // From here on the others know this rank: it leaves as one of them.
    st = mlai_peer_connect(p, err);
    // A first window shows what cannot be asked: that memory of other processes opens.
    if (st == MLA_OK) st = mlai_peer_grow(p, 1, err);
    if (st != MLA_OK) {
        mlai_peer_leave(p);
        return st;
    }
    *comm = &p->base;
    return MLA_OK;
fail:
    free(of);
    free(p);
    return st;
}
