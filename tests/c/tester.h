/* SPDX-License-Identifier: Apache-2.0
 * tests/c/tester.h: one case of the tester: what is run, and what came out. */
#ifndef TESTER_H
#define TESTER_H

#include <stdbool.h>

#include "check.h"

typedef enum routine {
    POTRF,
    POSV,
    POINV,
    POTRI,
    SYEVD,
    SYEVJ,
    GETRF,
    GESV,
    GEINV,
    ROUTINES
} routine_t;

enum { MAX_RANKS = CHECK_RANKS };

typedef struct config {
    routine_t routine;
    const char *kind, *comm; /* comm: "threads", "shm", "peer", "self" */
    mla_dtype_t dt;
    mla_order_t order;
    mla_device_t device;
    mla_rhs_t rhs;
    mla_precision_t precision;
    mla_op_t op; /* of GESV */
    mla_engine_t engine;
    int64_t n, nb, nrhs, pad, lc; /* lc: 0, or at least ceil(n / nranks) */
    int nranks, repeat;
    int ordinal_count, ordinal[MAX_RANKS]; /* devices of the ranks, in turn */
    bool check;
    double tol;
} config_t;

typedef struct outcome {
    double seconds, residual; /* residual in units where tol is 30 or so */
    bool ok;
    char why[320]; /* it is not */
} outcome_t;

/* Runs cfg->repeat times, the best time counts; checks the last. */
outcome_t run_case(const config_t *cfg);

#endif
