/* SPDX-License-Identifier: Apache-2.0
 * src/comm/comm.h: the communicator table. A communicator moves bytes between the windows of
 * P ranks; it does no arithmetic (sums are formed by the backend, in rank order).
 *
 * A window is memory that the other ranks can read: one on each rank, of equal size, owned by
 * the communicator. Collectives name data by offset into it:
 *
 *     bcast      [off, off+bytes) of root          ->  [off, off+bytes) of every rank
 *     allgather  [src, src+bytes) of each rank q   ->  [dst + q*bytes, ...) of every rank
 *     alltoall   [src + q*bytes, ...) of rank p    ->  [dst + p*bytes, ...) of rank q
 *
 * Every rank issues the same collectives in the same order. They are numbered 1, 2, ... ;
 * a collective orders itself after what its stream holds, and its result is there for what the
 * stream gets next. Ranks pull: the others may still be reading a rank's source when its own
 * call has returned, and also what it has received. Before a rank overwrites in its window what
 * collective number s has sent from there or brought there, it calls `reuse(c, st, s)`; where a
 * collective overwrites it, the communicator does so by itself. src and dst regions of one call
 * do not overlap, except that in allgather the own part may lie in place,
 * src == dst + rank*bytes.
 *
 * Waits have a limit; when it is passed, or a rank fails, all ranks get MLA_PEER or MLA_COMM and
 * a sentence that names the rank, and the communicator stays failed.
 */
#ifndef MLAI_COMM_H
#define MLAI_COMM_H

#include "core/status.h"

/* A stream of the backend the ranks work on; NULL on the host. */
typedef struct mlai_stream *mlai_stream_t;

typedef struct mlai_comm_ops {
    const char *name; /* "threads", "shm", "peer", "nccl" */
    mla_device_t device;

    /* Collective: the window holds at least `bytes` on every rank from now on; *base is this
     * rank's. Blocks on the host. The address may change; contents are lost when it grows.
     * MLA_NOMEM on one rank is MLA_PEER on the others, as in agree. */
    mla_status_t (*window)(mla_comm_t *c, size_t bytes, void **base, mlai_error_t *err);

    mla_status_t (*bcast)(mla_comm_t *c, mlai_stream_t st, size_t off, size_t bytes, int root,
                          mlai_error_t *err);
    mla_status_t (*allgather)(mla_comm_t *c, mlai_stream_t st, size_t src, size_t dst,
                              size_t bytes, mlai_error_t *err);
    mla_status_t (*alltoall)(mla_comm_t *c, mlai_stream_t st, size_t src, size_t dst,
                             size_t bytes, mlai_error_t *err);

    /* After this call, in stream order, no rank reads from this rank's window for collective
     * `seq`. seq 0 means none. */
    mla_status_t (*reuse)(mla_comm_t *c, mlai_stream_t st, uint64_t seq, mlai_error_t *err);

    /* Collective, on the host: all ranks get the first (lowest rank) status that is not MLA_OK,
     * the failing rank its own and the others MLA_PEER with its sentence; the communicator
     * does not fail. Used where a rank may refuse before work starts (allocations). */
    mla_status_t (*agree)(mla_comm_t *c, mla_status_t mine, mlai_error_t *err);

    /* Marks the communicator failed with a sentence; never blocks. */
    void (*abort)(mla_comm_t *c, const char *why);
    void (*free)(mla_comm_t *c);
} mlai_comm_ops_t;

/* First member of every communicator. */
struct mla_comm {
    const mlai_comm_ops_t *ops;
    int rank, nranks;
    uint64_t seq; /* number of the last collective this rank has issued (bcast, allgather,
                     alltoall), kept by the implementation */
};

/* A communicator of one rank, for contexts without one: windows are allocated through the
 * given functions, collectives copy nothing (bcast) or use `copy`. */
typedef struct mlai_self_memory {
    void *owner;
    mla_status_t (*alloc)(void *owner, size_t bytes, void **ptr, mlai_error_t *err);
    void (*free)(void *owner, void *ptr);
    mla_status_t (*copy)(void *owner, mlai_stream_t st, void *dst, const void *src, size_t bytes,
                         mlai_error_t *err);
} mlai_self_memory_t;
mla_status_t mlai_comm_create_self(const mlai_self_memory_t *memory, mla_device_t device,
                                   mla_comm_t **comm, mlai_error_t *err);

#endif
