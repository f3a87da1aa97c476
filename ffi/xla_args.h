/* SPDX-License-Identifier: Apache-2.0
 * ffi/xla_args.h: operands, results and attributes of one handler call. */
#ifndef MLAI_XLA_ARGS_H
#define MLAI_XLA_ARGS_H

#include <stdbool.h>

#include "meshlinalg.h"
#include "xla_abi.h"

enum { MLAI_XLA_MESSAGE = 768 };

/* Code and sentence of the first failure of a call; code 0: none. */
typedef struct mlai_xla_status {
    int code;
    char message[MLAI_XLA_MESSAGE];
} mlai_xla_status_t;

/* Records the first failure; returns false, for `return mlai_xla_fail(...)`. */
bool mlai_xla_fail(mlai_xla_status_t *st, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Attributes that every call has. All are equal on all ranks: they are part of the program. */
typedef struct mlai_xla_call {
    mla_device_t device; /* which platform called; not an attribute */
    mla_order_t order;   /* elimination order */
    mla_rhs_t rhs;       /* how right-hand sides lie */
    mla_op_t op;         /* of solutions by LU */
    mla_precision_t precision;
    mla_engine_t engine;  /* who runs the routine */
    int nranks;           /* P */
    int64_t n, nb;        /* order of the matrix, tile width (0: automatic) */
    int64_t first;        /* eigenvector; 0 where there is none */
    int64_t call;         /* call site */
    int64_t group;        /* the mesh and axes, hashed */
    const int64_t *table; /* (process, ordinal) of each rank of each group, or NULL */
    size_t npairs;
} mlai_xla_call_t;

bool mlai_xla_decode_call(const xla_frame_t *frame, const char *routine, mlai_xla_call_t *call,
                          mlai_xla_status_t *st);

/* Number of operands and results. */
bool mlai_xla_expect_counts(const xla_frame_t *frame, const char *routine, int64_t nargs,
                            int64_t nrets, mlai_xla_status_t *st);

/* A shard of the matrix: [lc, ld], of one of the four types; fills the descriptor. */
bool mlai_xla_matrix(const xla_buffer_t *a, const char *routine, const mlai_xla_call_t *call,
                     mla_desc_t *desc, mlai_xla_status_t *st);

/* `b` has the given type and two dimensions (cols < 0: any number). */
bool mlai_xla_shape2(const xla_buffer_t *b, const char *routine, const char *name, int dtype,
                     int64_t rows, int64_t cols, mlai_xla_status_t *st);
/* `b` has the given type and one dimension of at least `len` elements. */
bool mlai_xla_shape1(const xla_buffer_t *b, const char *routine, const char *name, int dtype,
                     int64_t len, mlai_xla_status_t *st);

/* XLA's type of the real numbers that go with an XLA type of a matrix. */
int mlai_xla_real(int dtype);

#endif
