/* SPDX-License-Identifier: Apache-2.0
 * src/comm/board.h: where P ranks meet on the host. A board is a block of memory that all ranks
 * see: the heap of a process, or shared memory of several. It knows no windows and moves no data.
 *
 *     +------------------+-----------------------------+-----------------------------+----
 *     | failed?  why     | rank 0: progress, met       | rank 1: ...                 | ...
 *     |                  |   what it sleeps for, notes |                             |
 *     +------------------+-----------------------------+-----------------------------+----
 *
 * Each rank writes its own two counters, which only grow:
 *
 *     progress   2s - 1: its data for collective s are there;  2s: it is through with s
 *     met        meetings it has come to
 *
 * and waits until the counter of one rank, or of all, has reached a value. A rank that goes to
 * sleep leaves word what it sleeps for; who changes a counter wakes those whose wish that
 * fulfils and nobody else, so that a wait costs one sleep at most, with any number of ranks.
 *
 * All waits end: fulfilled, at the time limit, or because the board has failed. It fails once
 * and for good, with the sentence of whoever is first: a rank that gives up (abort), that others
 * have waited for too long, that has left or whose process has died.
 */
#ifndef MLAI_BOARD_H
#define MLAI_BOARD_H

#include <stdbool.h>

#include "core/status.h"

enum { MLAI_NOTE_MAX = 640, MLAI_ALL_RANKS = -1 };

typedef struct mlai_board_memory mlai_board_memory_t;

/* One rank's view of a board. */
typedef struct mlai_board {
    mlai_board_memory_t *mem;
    int rank, nranks;
    double timeout_s;
    bool shared;  /* between processes */
    int no_yield; /* waits that go to sleep at once */
    uint64_t meetings;
    /* Whether the process of `rank` lives; NULL: all in one process. */
    bool (*alive)(void *owner, int rank);
    void *owner;
} mlai_board_t;

/* The memory of a board: bytes (SIZE_MAX: too many ranks), and its first state. */
size_t mlai_board_bytes(int nranks);
void mlai_board_format(mlai_board_memory_t *mem, int nranks);
/* Number of ranks of a formatted board; 0 while it is not. Reads the first MLAI_BOARD_HEAD
 * bytes only. */
enum { MLAI_BOARD_HEAD = 64 };
int mlai_board_nranks(const mlai_board_memory_t *mem);

/* nranks, rank and timeout_s as every public function checks them. */
mla_status_t mlai_board_args(int nranks, int rank, double timeout_s, mlai_error_t *err);

/* This rank takes its place. `alive` and `owner` may be set afterwards. */
mla_status_t mlai_board_open(mlai_board_t *b, mlai_board_memory_t *mem, int rank,
                             double timeout_s, bool shared, mlai_error_t *err);
/* The last use; who waits for this rank fails at once. */
void mlai_board_leave(mlai_board_t *b);
/* Whether all ranks have left or died. */
bool mlai_board_empty(const mlai_board_t *b);

/* MLA_PEER with the sentence if the board has failed. */
mla_status_t mlai_board_check(const mlai_board_t *b, mlai_error_t *err);
/* Fails the board, unless it has failed; never blocks. True if this was the first failure. */
bool mlai_board_fail(mlai_board_t *b, const char *why);

/* progress := value, and wakes who waits for that. */
void mlai_board_post(mlai_board_t *b, uint64_t value);
/* Until rank `who`, or MLAI_ALL_RANKS, has made `value` progress. */
mla_status_t mlai_board_wait(mlai_board_t *b, int who, uint64_t value, mlai_error_t *err);
/* What rank `who` has published, without waiting. */
uint64_t mlai_board_progress(const mlai_board_t *b, int who);

/* Collective: waits until all ranks have come; each brings a note of at most MLAI_NOTE_MAX
 * bytes. Then mlai_board_note gives that of any rank, until this rank's next meeting. */
mla_status_t mlai_board_meet(mlai_board_t *b, const void *note, size_t bytes, mlai_error_t *err);
const void *mlai_board_note(const mlai_board_t *b, int rank);

/* Collective: `agree` of the communicator table. */
mla_status_t mlai_board_agree(mlai_board_t *b, mla_status_t mine, mlai_error_t *err);

#endif
