/* SPDX-License-Identifier: Apache-2.0
 * src/core/status.h: errors as a status and a sentence. Every internal function returns
 * mla_status_t; the first failure writes its sentence to an mlai_error_t, later ones do not
 * overwrite it. An mlai_error_t may be NULL where nobody will read the sentence. */
#ifndef MLAI_STATUS_H
#define MLAI_STATUS_H

#include "meshlinalg.h"

enum { MLAI_MESSAGE_MAX = 512 };

typedef struct mlai_error {
    mla_status_t status; /* MLA_OK: nothing recorded */
    char message[MLAI_MESSAGE_MAX];
} mlai_error_t;

/* Records status and sentence unless one is recorded already; returns status. */
mla_status_t mlai_fail(mlai_error_t *err, mla_status_t status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The error of this thread for functions that have no context. */
mlai_error_t *mlai_thread_error(void);

/* Return on failure. */
#define MLAI_TRY(expr)                             \
    do {                                           \
        mla_status_t mlai_try_ = (expr);           \
        if (mlai_try_ != MLA_OK) return mlai_try_; \
    } while (0)

/* On failure set `st` and jump. */
#define MLAI_TRY_GOTO(st, expr, label)  \
    do {                                \
        (st) = (expr);                  \
        if ((st) != MLA_OK) goto label; \
    } while (0)

/* In clean-up: run `expr`, keep the first failure in `st`. */
#define MLAI_KEEP_FIRST(st, expr)              \
    do {                                       \
        mla_status_t mlai_keep_ = (expr);      \
        if ((st) == MLA_OK) (st) = mlai_keep_; \
    } while (0)

#endif
