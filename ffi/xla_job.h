/* SPDX-License-Identifier: Apache-2.0
 * ffi/xla_job.h: one rank's part of a call of XLA: what the targets (xla_targets.c) and the way
 * there (xla_handler.c) share. */
#ifndef MLAI_XLA_JOB_H
#define MLAI_XLA_JOB_H

#include "meshlinalg.h"
#include "xla_args.h"

enum { MAX_IN = 3, MAX_OUT = 5 };

/* Operands and results while they are checked; XLA's memory. */
typedef struct buffers {
    const xla_buffer_t *in[MAX_IN], *out[MAX_OUT];
} buffers_t;

/* Which rank this is, and where it runs. */
typedef struct place {
    int64_t run, instance, index;
    int rank, ordinal;
    void *stream;
    bool local; /* all ranks of the group are devices of this process */
} place_t;

/* One rank's part of a call; nothing in it is XLA's memory but the data. */
typedef struct job job_t;
/* Checks the buffers' shapes and types, and fills desc, nrhs, aliased. */
typedef bool check_fn(job_t *job, const buffers_t *buf, mlai_xla_status_t *st);
typedef mla_status_t run_fn(mla_context_t *ctx, const job_t *job);

struct job {
    const xla_api_t *api;
    xla_context_t *ctx;   /* valid until the handler returns */
    xla_future_t *future; /* of a rank with a thread of its own */
    const char *routine;
    run_fn *run;
    mlai_xla_call_t call;
    place_t place;
    mla_desc_t desc;
    mla_rows_t rows; /* of a rectangular matrix */
    int64_t nrhs;
    int aliased; /* results 0, 1, .. are aliased to the last operands */
    void *in[MAX_IN], *out[MAX_OUT];
};

/* The whole of a handler: `nargs` operands, without `where`, and `nrets` results. */
xla_error_t *mlai_xla_handle(xla_frame_t *frame, mla_device_t device, const char *routine,
                             int64_t nargs, int64_t nrets, check_fn *check, run_fn *run);

/* The two handlers of a target: mla_xla_NAME for the CPU, mla_xla_NAME_cuda. */
#define TARGET(target, routine, nargs, nrets, check, run)                           \
    MLA_API xla_error_t *mla_xla_##target(xla_frame_t *frame);                      \
    MLA_API xla_error_t *mla_xla_##target##_cuda(xla_frame_t *frame);               \
    xla_error_t *mla_xla_##target(xla_frame_t *frame)                               \
    {                                                                               \
        return mlai_xla_handle(frame, MLA_HOST, routine, nargs, nrets, check, run); \
    }                                                                               \
    xla_error_t *mla_xla_##target##_cuda(xla_frame_t *frame)                        \
    {                                                                               \
        return mlai_xla_handle(frame, MLA_CUDA, routine, nargs, nrets, check, run); \
    }

#endif
