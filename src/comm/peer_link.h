/* SPDX-License-Identifier: Apache-2.0
 * src/comm/peer_link.h: what the ranks of a peer communicator hold of one another: windows in
 * device memory, and events.
 *
 * Addresses and events pass through notes of the board. Within a process they are used as they
 * are; between processes they travel as CUDA IPC handles, and are opened here.
 *
 * Every rank has two rings of MLAI_PEER_EVENTS events, number s mod MLAI_PEER_EVENTS belongs to
 * collective s:
 *
 *     ready    its source of s is complete, and it has read all of the collectives before s
 *     done     it has read what it reads in s, and all of those before
 *
 * The ring is twice as long as one rank may be ahead of another: an event that somebody may still
 * ask for is not recorded again. */
#ifndef MLAI_PEER_LINK_H
#define MLAI_PEER_LINK_H

#include "comm/comm.h"
#include "comm/read_log.h"
#include "comm/segment.h"
#include "dl/cuda_dl.h"

enum { MLAI_PEER_EVENTS = 2 * MLAI_IN_FLIGHT, MLAI_PEER_STREAMS = 4 };

/* Another rank, or this one. */
typedef struct mlai_peer_rank {
    bool local; /* in this process */
    int ordinal;
    CUuuid uuid;
    CUcontext context; /* local only */
    CUdeviceptr win;   /* 0: none */
    CUevent ready[MLAI_PEER_EVENTS], done[MLAI_PEER_EVENTS];
} mlai_peer_rank_t;

/* A stream of this rank and the collective whose readers, on all ranks, it has waited for. */
typedef struct mlai_peer_cover {
    CUstream stream;
    uint64_t seq; /* 0: nothing known */
} mlai_peer_cover_t;

typedef struct mlai_peer {
    mla_comm_t base;
    mlai_segment_t seg;
    mlai_board_t board;
    const mlai_cu_t *cu;
    int ordinal;
    CUdevice device;
    CUcontext context; /* primary, retained; NULL: not yet */
    size_t bytes;      /* of a window */
    size_t pieces;     /* a broadcast of so many bytes goes in pieces */
    mlai_peer_rank_t *of;
    mlai_read_log_t log;
    mlai_peer_cover_t cover[MLAI_PEER_STREAMS];
    uint64_t ended; /* the last collective whose `done` is recorded, on stream `last` */
    CUstream last;
    bool has_last;          /* `last` is still the same stream */
    struct mlai_peer *next; /* of those that have left (peer_link.c) */
} mlai_peer_t;

#define MLAI_PEER_CU(p, err, name, ...) MLAI_CU((p)->cu, err, (p)->ordinal, name, __VA_ARGS__)
#define MLAI_PEER_SCOPE(p, err) MLAI_CU_SCOPE((p)->cu, err, (p)->ordinal, (p)->context)

/* Collective: who is where, can everyone reach everyone, events. The same status on all ranks. */
mla_status_t mlai_peer_connect(mlai_peer_t *p, mlai_error_t *err);
/* Collective: windows of `bytes`. Waits for the devices. */
mla_status_t mlai_peer_grow(mlai_peer_t *p, size_t bytes, mlai_error_t *err);
/* Leaves and frees. What others still use is freed when the last of them in this process has
 * left, or at the next call here. */
void mlai_peer_leave(mlai_peer_t *p);

#endif
