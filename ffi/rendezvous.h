/* SPDX-License-Identifier: Apache-2.0
 * ffi/rendezvous.h: how the ranks of one handler call find one another.
 *
 * Inside a process XLA runs the same handler once for each device, on threads of its own, in
 * any order. All these calls name their meeting by a key; the first to arrive makes one
 * communicator endpoint a rank, each takes its own, and a rank goes on when all are there.
 * A call inside a loop has the same key each time round: a rank that was in a meeting already
 * waits until that one is over and opens the next.
 *
 * Across processes the key becomes the name of a communicator in shared memory, numbered by
 * the calls that the rank has made with this key: every rank counts alike.
 *
 * That holds for host memory. On GPUs the ranks of one process meet in the same way, but the
 * communicator is one that is kept (peer_cache.h); across processes the kept communicator itself
 * is where they meet.
 */
#ifndef MLAI_XLA_RENDEZVOUS_H
#define MLAI_XLA_RENDEZVOUS_H

#include <stdbool.h>

#include "meshlinalg.h"
#include "xla_args.h"

typedef struct mlai_meeting_key {
    int64_t run;      /* launch; 0 across processes, where it differs */
    int64_t call;     /* call site, given when the program was traced */
    int64_t instance; /* which copy of this call site: a jitted function may be called twice */
    int64_t group;    /* mesh and axes */
    int64_t index;    /* which of the groups of this mesh */
    int64_t nranks;
} mlai_meeting_key_t;

typedef struct mlai_meeting mlai_meeting_t;

/* Arrives and waits for the others. `ordinal` is this rank's GPU; -1: host memory. On success
 * *comm is this rank's endpoint, valid until mlai_meeting_leave. On failure (time limit, or the
 * meeting has failed before) all ranks that have arrived or arrive later fail too, and nothing is
 * to be left. */
bool mlai_meeting_join(const mlai_meeting_key_t *key, int rank, int ordinal, const char *routine,
                       mlai_meeting_t **meeting, mla_comm_t **comm, mlai_xla_status_t *st);
/* The same across processes (and threads of them). */
bool mlai_meeting_join_processes(const mlai_meeting_key_t *key, int rank, int ordinal,
                                 const char *routine, mlai_meeting_t **meeting, mla_comm_t **comm,
                                 mlai_xla_status_t *st);
/* `why` is NULL after success. After a failure of this rank it is what the others are told. */
void mlai_meeting_leave(mlai_meeting_t *meeting, int rank, const char *why);

/* Process of this library: index, and number of processes of the job. */
void mlai_process(int *index, int *count);

/* Called from Python. ------------------------------------------------------------------- */

/* This process is number `index` of `count`; `job` names the job, alike on all of them, and
 * unlike that of any other job of this machine. Once, before the first call. */
MLA_API int mla_xla_set_process(int index, int count, const char *job);
/* Time limit of every wait from now on, seconds; 0: MESHLINALG_TIMEOUT_S, or 300. For GPUs of one
 * process to arrive it is 30 s at most: XLA ends a process whose devices are 40 s apart. */
MLA_API void mla_xla_set_timeout(double seconds);
/* Meetings that exist: 0 when nothing runs and nothing has failed. */
MLA_API int64_t mla_xla_meetings(void);

#endif
