/* SPDX-License-Identifier: Apache-2.0
 * src/comm/host_pull.h: collectives between windows in host memory. A rank waits on the board
 * until the source is there and copies it itself; calls have finished when they return. Shared by
 * threads.c and shm.c, which differ in where board and windows live. */
#ifndef MLAI_HOST_PULL_H
#define MLAI_HOST_PULL_H

#include "comm/board.h"
#include "comm/comm.h"
#include "comm/read_log.h"

/* First member of the communicators of threads.c and shm.c. */
typedef struct mlai_host_comm {
    mla_comm_t base;
    mlai_board_t board;
    mlai_read_log_t log;
    size_t bytes; /* of a window */
    char **win;   /* address of each rank's window */
} mlai_host_comm_t;

mla_status_t mlai_host_bcast(mla_comm_t *c, mlai_stream_t st, size_t off, size_t bytes, int root,
                             mlai_error_t *err);
mla_status_t mlai_host_allgather(mla_comm_t *c, mlai_stream_t st, size_t src, size_t dst,
                                 size_t bytes, mlai_error_t *err);
mla_status_t mlai_host_alltoall(mla_comm_t *c, mlai_stream_t st, size_t src, size_t dst,
                                size_t bytes, mlai_error_t *err);
mla_status_t mlai_host_reuse(mla_comm_t *c, mlai_stream_t st, uint64_t seq, mlai_error_t *err);
mla_status_t mlai_host_agree(mla_comm_t *c, mla_status_t mine, mlai_error_t *err);
void mlai_host_abort(mla_comm_t *c, const char *why);

/* The arguments of a collective are within windows of `bytes` (also for peer.c). */
mla_status_t mlai_check_range(size_t window, size_t off, size_t bytes, int blocks,
                              mlai_error_t *err);
mla_status_t mlai_check_root(const mla_comm_t *c, int root, mlai_error_t *err);

#endif
