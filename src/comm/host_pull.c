/* SPDX-License-Identifier: Apache-2.0
 * src/comm/host_pull.c: bcast, allgather and alltoall by memcpy from the others' windows.
 *
 * Collective s of rank p:  progress := 2s - 1   my source is there
 *                          wait, copy
 *                          progress := 2s       I have read the others'
 *
 * A root reads nothing and says both at once; it may run ahead of the readers until it needs the
 * region again (reuse). Bytes moved: what the rank receives, once. */
#include "comm/host_pull.h"

#include <string.h>

#include "core/size.h"

static mlai_host_comm_t *host_of(mla_comm_t *c)
{
    return (mlai_host_comm_t *)(void *)c;
}

mla_status_t mlai_check_range(size_t window, size_t off, size_t bytes, int blocks,
                              mlai_error_t *err)
{
    if (mlai_size_add(off, mlai_size_mul(bytes, (size_t)blocks)) <= window) return MLA_OK;
    return mlai_fail(err, MLA_ARG, "%d x %zu bytes at %zu are not within a window of %zu", blocks,
                     bytes, off, window);
}

mla_status_t mlai_check_root(const mla_comm_t *c, int root, mlai_error_t *err)
{
    if (root >= 0 && root < c->nranks) return MLA_OK;
    return mlai_fail(err, MLA_ARG, "root is %d, expected 0 .. %d", root, c->nranks - 1);
}

/* Collective *s begins: nobody reads any more what it overwrites here. */
static mla_status_t begin(mlai_host_comm_t *h, mlai_span_t src, mlai_span_t dst, uint64_t *s,
                          mlai_error_t *err)
{
    *s = ++h->base.seq;
    uint64_t read = dst.bytes > 0 ? mlai_read_log_overwrite(&h->log, dst) : 0;
    uint64_t far = *s > MLAI_IN_FLIGHT ? *s - MLAI_IN_FLIGHT : 0;
    mlai_read_log_add(&h->log, *s, src);
    return mlai_board_wait(&h->board, MLAI_ALL_RANKS, 2 * (read > far ? read : far), err);
}

mla_status_t mlai_host_bcast(mla_comm_t *c, mlai_stream_t st, size_t off, size_t bytes, int root,
                             mlai_error_t *err)
{
    (void)st;
    mlai_host_comm_t *h = host_of(c);
    MLAI_TRY(mlai_board_check(&h->board, err));
    MLAI_TRY(mlai_check_root(c, root, err));
    MLAI_TRY(mlai_check_range(h->bytes, off, bytes, 1, err));
    mlai_span_t all = {off, bytes}, none = {0, 0};
    bool source = c->rank == root;
    uint64_t s;
    MLAI_TRY(begin(h, source ? all : none, source ? none : all, &s, err));
    if (!source && bytes > 0) {
        MLAI_TRY(mlai_board_wait(&h->board, root, 2 * s - 1, err));
        memcpy(h->win[c->rank] + off, h->win[root] + off, bytes);
    }
    mlai_board_post(&h->board, 2 * s);
    return MLA_OK;
}

/* From each rank q its [src + step q, ...) to [dst + bytes q, ...). Collective s has begun. */
static mla_status_t pull_all(mlai_host_comm_t *h, uint64_t s, size_t src, size_t step, size_t dst,
                             size_t bytes, mlai_error_t *err)
{
    int p = h->base.rank, nranks = h->base.nranks;
    if (bytes > 0) {
        mlai_board_post(&h->board, 2 * s - 1);
        MLAI_TRY(mlai_board_wait(&h->board, MLAI_ALL_RANKS, 2 * s - 1, err));
        // Each rank begins with itself: they do not all read from one window at a time.
        for (int i = 0; i < nranks; i++) {
            int q = (p + i) % nranks;
            char *to = h->win[p] + dst + (size_t)q * bytes;
            const char *from = h->win[q] + src + (size_t)q * step;
            if (to != from) memcpy(to, from, bytes);
        }
    }
    mlai_board_post(&h->board, 2 * s);
    return MLA_OK;
}

mla_status_t mlai_host_allgather(mla_comm_t *c, mlai_stream_t st, size_t src, size_t dst,
                                 size_t bytes, mlai_error_t *err)
{
    (void)st;
    mlai_host_comm_t *h = host_of(c);
    MLAI_TRY(mlai_board_check(&h->board, err));
    MLAI_TRY(mlai_check_range(h->bytes, src, bytes, 1, err));
    MLAI_TRY(mlai_check_range(h->bytes, dst, bytes, c->nranks, err));
    mlai_span_t in = {src, bytes}, out = {dst, (size_t)c->nranks * bytes};
    uint64_t s;
    MLAI_TRY(begin(h, in, out, &s, err));
    // In place on one rank is in place on all.
    if (src == dst + (size_t)c->rank * bytes) return pull_all(h, s, dst, bytes, dst, bytes, err);
    return pull_all(h, s, src, 0, dst, bytes, err);
}

mla_status_t mlai_host_alltoall(mla_comm_t *c, mlai_stream_t st, size_t src, size_t dst,
                                size_t bytes, mlai_error_t *err)
{
    (void)st;
    mlai_host_comm_t *h = host_of(c);
    MLAI_TRY(mlai_board_check(&h->board, err));
    MLAI_TRY(mlai_check_range(h->bytes, src, bytes, c->nranks, err));
    MLAI_TRY(mlai_check_range(h->bytes, dst, bytes, c->nranks, err));
    size_t all = (size_t)c->nranks * bytes;
    mlai_span_t in = {src, all}, out = {dst, all};
    uint64_t s;
    MLAI_TRY(begin(h, in, out, &s, err));
    return pull_all(h, s, src + (size_t)c->rank * bytes, 0, dst, bytes, err);
}

mla_status_t mlai_host_reuse(mla_comm_t *c, mlai_stream_t st, uint64_t seq, mlai_error_t *err)
{
    (void)st;
    mlai_host_comm_t *h = host_of(c);
    MLAI_TRY(mlai_board_check(&h->board, err));
    return mlai_board_wait(&h->board, MLAI_ALL_RANKS, 2 * seq, err);
}

mla_status_t mlai_host_agree(mla_comm_t *c, mla_status_t mine, mlai_error_t *err)
{
    return mlai_board_agree(&host_of(c)->board, mine, err);
}

void mlai_host_abort(mla_comm_t *c, const char *why)
{
    mlai_board_fail(&host_of(c)->board, why);
}
