/* SPDX-License-Identifier: Apache-2.0
 * src/comm/threads.c: ranks as threads of one process. Board and windows are heap memory of the
 * group; the last endpoint to be freed frees them, so that a rank may leave while others still
 * read its window. */
#include <stdatomic.h>
#include <stdlib.h>

#include "comm/host_pull.h"
#include "core/size.h"

enum { ALIGN = 64 };

typedef struct group {
    atomic_int members;
    mlai_board_memory_t *board;
    char *win[]; /* by rank: set by the rank between two meetings, read by all after them */
} group_t;

typedef struct threads_comm {
    mlai_host_comm_t host;
    group_t *group;
} threads_comm_t;

static size_t round_up(size_t bytes)
{
    return mlai_size_add(bytes, ALIGN - 1) / ALIGN * ALIGN;
}

static mla_status_t threads_window(mla_comm_t *c, size_t bytes, void **base, mlai_error_t *err)
{
    threads_comm_t *t = (threads_comm_t *)(void *)c;
    mlai_host_comm_t *h = &t->host;
    if (bytes > h->bytes) {
        // Nobody reads a window any more when all are here.
        MLAI_TRY(mlai_board_meet(&h->board, NULL, 0, err));
        char **mine = &t->group->win[c->rank];
        free(*mine);
        *mine = bytes < SIZE_MAX / 2 ? aligned_alloc(ALIGN, round_up(bytes)) : NULL;
        h->bytes = 0;
        mla_status_t st = MLA_OK;
        if (!*mine)
            st = mlai_fail(err, MLA_NOMEM, "out of host memory for a window of %zu bytes", bytes);
        MLAI_TRY(mlai_board_agree(&h->board, st, err));
        h->bytes = bytes;
    }
    *base = t->group->win[c->rank];
    return MLA_OK;
}

static void group_free(group_t *g, int nranks)
{
    if (!g) return;
    for (int q = 0; q < nranks; q++) free(g->win[q]);
    free((void *)g->board);
    free(g);
}

static void threads_free(mla_comm_t *c)
{
    threads_comm_t *t = (threads_comm_t *)(void *)c;
    mlai_board_leave(&t->host.board);
    if (atomic_fetch_sub(&t->group->members, 1) == 1) group_free(t->group, c->nranks);
    free(t);
}

static const mlai_comm_ops_t threads_ops = {.name = "threads",
                                            .device = MLA_HOST,
                                            .window = threads_window,
                                            .bcast = mlai_host_bcast,
                                            .allgather = mlai_host_allgather,
                                            .alltoall = mlai_host_alltoall,
                                            .reuse = mlai_host_reuse,
                                            .agree = mlai_host_agree,
                                            .abort = mlai_host_abort,
                                            .free = threads_free};

static group_t *group_create(int nranks)
{
    size_t bytes = round_up(mlai_board_bytes(nranks));
    size_t win = mlai_size_mul((size_t)nranks, sizeof(char *));
    group_t *g = calloc(1, mlai_size_add(sizeof *g, win));
    if (!g) return NULL;
    g->board = aligned_alloc(ALIGN, bytes);
    if (!g->board) {
        free(g);
        return NULL;
    }
    mlai_board_format(g->board, nranks);
    atomic_store(&g->members, nranks);
    return g;
}

mla_status_t mla_comm_create_threads(int nranks, double timeout_s, mla_comm_t **comms)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if (!comms) return mlai_fail(err, MLA_ARG, "comms is NULL");
    MLAI_TRY(mlai_board_args(nranks, 0, timeout_s, err));
    for (int p = 0; p < nranks; p++) comms[p] = NULL;
    group_t *g = group_create(nranks);
    mla_status_t st = MLA_NOMEM;
    if (!g) goto fail;
    for (int p = 0; p < nranks; p++) {
        threads_comm_t *t = calloc(1, sizeof *t);
        if (!t) goto fail;
        comms[p] = &t->host.base;
        t->group = g;
        t->host.base = (mla_comm_t){.ops = &threads_ops, .rank = p, .nranks = nranks};
        t->host.win = g->win;
        MLAI_TRY_GOTO(st, mlai_board_open(&t->host.board, g->board, p, timeout_s, false, err),
                      fail);
        st = MLA_NOMEM;
    }
    return MLA_OK;
fail:
    mlai_fail(err, st, "out of host memory for %d ranks", nranks);
    for (int p = 0; p < nranks; p++) {
        free(comms[p]);
        comms[p] = NULL;
    }
    group_free(g, nranks);
    return st;
}
