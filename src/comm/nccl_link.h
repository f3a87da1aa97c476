/* SPDX-License-Identifier: Apache-2.0
 * src/comm/nccl_link.h: what a rank of an NCCL communicator holds: the communicator itself,
 * events of the last collectives, memory for agreements. */
#ifndef MLAI_NCCL_LINK_H
#define MLAI_NCCL_LINK_H

#include <stdbool.h>

#include "comm/comm.h"
#include "dl/cuda_dl.h"

enum { MLAI_NCCL_EVENTS = 64 };

typedef struct mlai_nccl_verdict {
    mla_status_t status;
    char why[MLAI_MESSAGE_MAX];
} mlai_nccl_verdict_t;

typedef struct mlai_nccl_comm {
    mla_comm_t base;
    const mlai_cu_t *cu;
    const mlai_nccl_t *nccl;
    int ordinal;
    CUdevice device;
    CUcontext context; /* primary, retained; NULL: not yet */
    ncclComm_t comm;   /* NULL: none, or aborted */
    double timeout_s;
    CUdeviceptr win;
    size_t bytes;                   /* of the window */
    CUevent done[MLAI_NCCL_EVENTS]; /* number s mod MLAI_NCCL_EVENTS: collective s has ended */
    CUevent met;                    /* the last agreement has */
    uint64_t ended;                 /* the last collective whose event is recorded, on `last` */
    CUstream own, last;             /* own: of agreements */
    bool has_last;                  /* `last` is still the same stream */
    bool failed;
    char why[MLAI_MESSAGE_MAX];
    CUdeviceptr notes;         /* verdicts of all ranks, device memory */
    mlai_nccl_verdict_t *host; /* the same, pinned host memory */
} mlai_nccl_comm_t;

/* Collective: device, events, memory; then all ranks join the communicator `id`, within the time
 * limit. What is made in vain is freed by mlai_nccl_unlink. */
mla_status_t mlai_nccl_link(mlai_nccl_comm_t *n, const char *id, mlai_error_t *err);
/* Frees all, n too. Does not wait for others. */
void mlai_nccl_unlink(mlai_nccl_comm_t *n);

#endif
