/* SPDX-License-Identifier: Apache-2.0
 * src/engine/mg_drive.h: one call of cuSOLVERMg for all ranks of a process. */
#ifndef MLAI_MG_DRIVE_H
#define MLAI_MG_DRIVE_H

#include "algo/algo.h"

enum { MLAI_MG_GPUS = 16, MLAI_MG_TILE = 1024 }; /* the library's limits; TILE: of syevd */

typedef enum mlai_mg_routine {
    MLAI_MG_POTRF,
    MLAI_MG_POTRS,
    MLAI_MG_POTRI,
    MLAI_MG_SYEVD,
    MLAI_MG_SYEVD_VALUES
} mlai_mg_routine_t;

/* Equal on all ranks but for the addresses. */
typedef struct mlai_mg_call {
    mlai_mg_routine_t routine;
    const mla_desc_t *desc;
    const mlai_dist_t *d;
    void *a;      /* this rank's columns, rows in elimination order */
    void *b;      /* POTRS: n x tb, rows in elimination order, this rank's right-hand sides */
    int64_t nrhs; /* POTRS: of all ranks */
    int64_t tb;   /* POTRS: right-hand sides of a rank, the last ones may have fewer */
    void *w;      /* SYEVD: out, host, n values of the real type, on every rank */
    void *base; /* this rank's window, of mlai_mg_window bytes at least; what is there is lost */
} mlai_mg_call_t;

size_t mlai_mg_window(int nranks);

/* Collective: waits for the ranks' streams, then one rank drives all GPUs while the others wait;
 * results are there on return. *info: as the library returns it (host), equal on all ranks. */
mla_status_t mlai_mg_run(mla_context_t *x, const mlai_mg_call_t *call, int *info);

#endif
