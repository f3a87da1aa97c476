/* SPDX-License-Identifier: Apache-2.0
 * tests/c/ranks.h: runs the same function on P ranks with a communicator between them, as threads
 * or as processes, in host memory or on GPUs; memory of either kind behind one set of calls. */
#ifndef RANKS_H
#define RANKS_H

#include <stdbool.h>
#include <stdio.h>

#include "comm/comm.h"
#include "dl/cuda_dl.h"

enum { RANKS_MAX = 16, RANKS_STREAMS = 2 };

typedef enum ranks_kind {
    RANKS_THREADS,
    RANKS_SHM,
    RANKS_PEER_PROCESSES, /* GPUs, which the ranks take in turn */
    RANKS_PEER_THREADS,   /* the same; last, for a process that has used a GPU must not fork */
    RANKS_KINDS
} ranks_kind_t;
extern const char *const ranks_name[RANKS_KINDS];

/* What a rank hands back. */
typedef struct ranks_result {
    mla_status_t status; /* of the creation of its communicator, then the body's */
    int wrong;           /* the body's count */
    double seconds;
    char why[MLAI_MESSAGE_MAX];
} ranks_result_t;

typedef struct ranks_self {
    mla_comm_t *comm;
    unsigned seed;
    ranks_result_t *result;
    mlai_stream_t stream[RANKS_STREAMS]; /* NULL in host memory */
    mlai_error_t err;
    const mlai_cu_t *cu; /* NULL in host memory */
    CUdevice device;
    CUcontext context;
} ranks_self_t;
typedef void (*ranks_body_t)(ranks_self_t *self);

/* Whether this kind can run here: GPUs are needed for some. To be asked before any runs. */
bool ranks_can(ranks_kind_t kind);
bool ranks_are_processes(ranks_kind_t kind);

/* Runs all ranks but `absent` (-1: all). The results stand until the next call; status 1: the
 * rank died. Returns NULL, having said why, if it could not. */
const ranks_result_t *ranks_run(ranks_kind_t kind, int nranks, int absent, double timeout_s,
                                unsigned seed, ranks_body_t body);

void ranks_finish(ranks_self_t *self, mla_status_t st, const mlai_error_t *err);
double ranks_now(void);
void ranks_sleep(double seconds);

/* ---- memory of the rank: the host's, or its device's --------------------------------------- */

mla_status_t ranks_alloc(ranks_self_t *self, size_t bytes, void **ptr);
void ranks_free(ranks_self_t *self, void *ptr);
/* Within the rank's memory, on stream number `st`. */
mla_status_t ranks_copy(ranks_self_t *self, int st, void *dst, const void *src, size_t bytes);
/* These wait. */
mla_status_t ranks_upload(ranks_self_t *self, void *dst, const void *host, size_t bytes);
mla_status_t ranks_download(ranks_self_t *self, void *host, const void *src, size_t bytes);
mla_status_t ranks_sync(ranks_self_t *self, int st);

/* Counts a condition in the program's `passed` and `failed`; the first failures are printed. */
#define CHECK(cond, ...)                                   \
    do {                                                   \
        if (cond) {                                        \
            passed++;                                      \
        } else if (failed++ < 10) {                        \
            printf("FAIL line %d: %s: ", __LINE__, #cond); \
            printf(__VA_ARGS__);                           \
            printf("\n");                                  \
        }                                                  \
    } while (0)

#endif
