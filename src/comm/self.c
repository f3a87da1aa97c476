/* SPDX-License-Identifier: Apache-2.0
 * src/comm/self.c: the communicator of a single rank. Nobody to wait for: a failure is the
 * caller's own, who knows it, and does not stick. */
#include <stdlib.h>

#include "comm/comm.h"
#include "comm/host_pull.h"

typedef struct self_comm {
    mla_comm_t base;
    mlai_self_memory_t memory;
    char *win;
    size_t bytes;
} self_comm_t;

static mla_status_t self_window(mla_comm_t *c, size_t bytes, void **base, mlai_error_t *err)
{
    self_comm_t *s = (self_comm_t *)(void *)c;
    if (bytes > s->bytes) {
        if (s->win) s->memory.free(s->memory.owner, s->win);
        s->win = NULL;
        s->bytes = 0;
        void *win = NULL;
        MLAI_TRY(s->memory.alloc(s->memory.owner, bytes, &win, err));
        s->win = win;
        s->bytes = bytes;
    }
    *base = s->win;
    return MLA_OK;
}

static mla_status_t self_bcast(mla_comm_t *c, mlai_stream_t st, size_t off, size_t bytes,
                               int root, mlai_error_t *err)
{
    (void)st;
    MLAI_TRY(mlai_check_root(c, root, err));
    MLAI_TRY(mlai_check_range(((self_comm_t *)(void *)c)->bytes, off, bytes, 1, err));
    c->seq++;
    return MLA_OK;
}

/* allgather and alltoall of one rank. */
static mla_status_t self_copy(mla_comm_t *c, mlai_stream_t st, size_t src, size_t dst,
                              size_t bytes, mlai_error_t *err)
{
    self_comm_t *s = (self_comm_t *)(void *)c;
    MLAI_TRY(mlai_check_range(s->bytes, src, bytes, 1, err));
    MLAI_TRY(mlai_check_range(s->bytes, dst, bytes, 1, err));
    c->seq++;
    if (bytes == 0 || src == dst) return MLA_OK;
    return s->memory.copy(s->memory.owner, st, s->win + dst, s->win + src, bytes, err);
}

static mla_status_t self_reuse(mla_comm_t *c, mlai_stream_t st, uint64_t seq, mlai_error_t *err)
{
    (void)c;
    (void)st;
    (void)seq;
    (void)err;
    return MLA_OK;
}

static mla_status_t self_agree(mla_comm_t *c, mla_status_t mine, mlai_error_t *err)
{
    (void)c;
    if (mine == MLA_OK) return MLA_OK;
    return mlai_fail(err, mine, "%s", mla_status_text(mine));
}

static void self_abort(mla_comm_t *c, const char *why)
{
    (void)c;
    (void)why;
}

static void self_free(mla_comm_t *c)
{
    self_comm_t *s = (self_comm_t *)(void *)c;
    if (s->win) s->memory.free(s->memory.owner, s->win);
    free(s);
}

static const mlai_comm_ops_t host_ops = {"self",     MLA_HOST,  self_window, self_bcast,
                                         self_copy,  self_copy, self_reuse,  self_agree,
                                         self_abort, self_free};
static const mlai_comm_ops_t cuda_ops = {"self",     MLA_CUDA,  self_window, self_bcast,
                                         self_copy,  self_copy, self_reuse,  self_agree,
                                         self_abort, self_free};

mla_status_t mlai_comm_create_self(const mlai_self_memory_t *memory, mla_device_t device,
                                   mla_comm_t **comm, mlai_error_t *err)
{
    *comm = NULL;
    self_comm_t *s = calloc(1, sizeof *s);
    if (!s) return mlai_fail(err, MLA_NOMEM, "out of host memory for a communicator");
    s->base = (mla_comm_t){.ops = device == MLA_CUDA ? &cuda_ops : &host_ops, .nranks = 1};
    s->memory = *memory;
    *comm = &s->base;
    return MLA_OK;
}
