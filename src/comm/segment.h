/* SPDX-License-Identifier: Apache-2.0
 * src/comm/segment.h: a board in POSIX shared memory, found by name. Ranks are processes, threads
 * of one, or a mixture. The name is gone when mlai_segment_join returns, on success and on
 * failure: what remains is freed by the system with the last process. */
#ifndef MLAI_SEGMENT_H
#define MLAI_SEGMENT_H

#include "comm/board.h"

typedef struct mlai_segment {
    int fd; /* -1: none */
    mlai_board_memory_t *mem;
    size_t bytes;
} mlai_segment_t;

/* Collective: all ranks of the group `name` come together within the time limit. *board is this
 * rank's, with the look-out for dead processes. */
mla_status_t mlai_segment_join(mlai_segment_t *seg, const char *name, int nranks, int rank,
                               double timeout_s, mlai_board_t *board, mlai_error_t *err);
/* Accepts one that was never joined (fd -1, mem NULL). */
void mlai_segment_close(mlai_segment_t *seg);

/* Memory of `bytes` at offset `at` of the segment, behind the board: there, not only promised. */
mla_status_t mlai_segment_reserve(mlai_segment_t *seg, size_t at, size_t bytes,
                                  mlai_error_t *err);
/* Offset of the first byte behind the board, and a multiple of it: a page. */
size_t mlai_segment_page(void);

#endif
