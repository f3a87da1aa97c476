/* SPDX-License-Identifier: Apache-2.0
 * src/comm/shm.c: ranks as processes of one machine. The windows lie behind the board in the same
 * nameless segment, which grows:
 *
 *     | board, to a page | window of rank 0 | window of rank 1 | ...
 *
 * Each rank maps all of them. It reserves its own, which also places those pages near it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "comm/host_pull.h"
#include "comm/segment.h"
#include "core/size.h"

typedef struct shm_comm {
    mlai_host_comm_t host;
    mlai_segment_t seg;
    void *map; /* all windows; NULL: none */
    size_t map_bytes;
} shm_comm_t;

static void unmap(shm_comm_t *s)
{
    if (s->map) munmap(s->map, s->map_bytes);
    s->map = NULL;
    s->host.bytes = 0;
}

/* Windows of `stride` bytes: reserves this rank's and maps all. */
static mla_status_t grow(shm_comm_t *s, size_t stride, mlai_error_t *err)
{
    mla_comm_t *c = &s->host.base;
    size_t page = mlai_segment_page();
    size_t first = (s->seg.bytes + page - 1) / page * page;
    size_t all = mlai_size_mul(stride, (size_t)c->nranks);
    if (all > SIZE_MAX / 4)
        return mlai_fail(err, MLA_SIZE, "%d windows of %zu bytes are too large", c->nranks,
                         stride);
    MLAI_TRY(mlai_segment_reserve(&s->seg, first + (size_t)c->rank * stride, stride, err));
    void *map = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, s->seg.fd, (off_t)first);
    if (map == MAP_FAILED)
        return mlai_fail(err, MLA_NOMEM, "cannot map %zu bytes of shared memory: %s", all,
                         strerror(errno));
    s->map = map;
    s->map_bytes = all;
    for (int q = 0; q < c->nranks; q++) s->host.win[q] = (char *)map + (size_t)q * stride;
    return MLA_OK;
}

static mla_status_t shm_window(mla_comm_t *c, size_t bytes, void **base, mlai_error_t *err)
{
    shm_comm_t *s = (shm_comm_t *)(void *)c;
    if (bytes > s->host.bytes) {
        // Nobody reads a window any more when all are here.
        MLAI_TRY(mlai_board_meet(&s->host.board, NULL, 0, err));
        unmap(s);
        size_t page = mlai_segment_page();
        size_t stride = mlai_size_add(bytes, page - 1) / page * page;
        mla_status_t st = grow(s, stride, err);
        st = mlai_board_agree(&s->host.board, st, err);
        if (st != MLA_OK) {
            unmap(s);
            return st;
        }
        s->host.bytes = bytes;
    }
    *base = s->map ? s->host.win[c->rank] : NULL;
    return MLA_OK;
}

static void shm_free(mla_comm_t *c)
{
    shm_comm_t *s = (shm_comm_t *)(void *)c;
    mlai_board_leave(&s->host.board);
    unmap(s);
    mlai_segment_close(&s->seg);
    free(s->host.win);
    free(s);
}

static const mlai_comm_ops_t shm_ops = {.name = "shm",
                                        .device = MLA_HOST,
                                        .window = shm_window,
                                        .bcast = mlai_host_bcast,
                                        .allgather = mlai_host_allgather,
                                        .alltoall = mlai_host_alltoall,
                                        .reuse = mlai_host_reuse,
                                        .agree = mlai_host_agree,
                                        .abort = mlai_host_abort,
                                        .free = shm_free};

mla_status_t mla_comm_create_shm(const char *name, int nranks, int rank, double timeout_s,
                                 mla_comm_t **comm)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if (!comm) return mlai_fail(err, MLA_ARG, "comm is NULL");
    *comm = NULL;
    MLAI_TRY(mlai_board_args(nranks, rank, timeout_s, err));
    shm_comm_t *s = calloc(1, sizeof *s);
    char **win = calloc((size_t)nranks, sizeof *win);
    mla_status_t st = MLA_NOMEM;
    if (!s || !win) {
        mlai_fail(err, st, "out of host memory for %d ranks", nranks);
        goto fail;
    }
    s->host.base = (mla_comm_t){.ops = &shm_ops, .rank = rank, .nranks = nranks};
    s->host.win = win;
    MLAI_TRY_GOTO(
        st, mlai_segment_join(&s->seg, name, nranks, rank, timeout_s, &s->host.board, err), fail);
    *comm = &s->host.base;
    return MLA_OK;
fail:
    free(win);
    free(s);
    return st;
}
