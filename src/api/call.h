/* SPDX-License-Identifier: Apache-2.0
 * src/api/call.h: the arguments that factorisations, solutions and inverses share, and their
 * checks. */
#ifndef MLAI_CALL_H
#define MLAI_CALL_H

#include "api/api.h"

/* The arguments of one call, of which a routine has some. */
typedef struct mlai_call {
    mla_desc_t desc; /* complete, with its map, after mlai_call_begin */
    mlai_dist_t d;
    const void *a;
    bool has_info, has_rhs, has_perm;
    double *logdet;
    int32_t *info;
    const int32_t *perm;
    mla_op_t op;
    mla_rhs_t rhs;
    int64_t nrhs, ldc;
    const void *c;
} mlai_call_t;

/* mlai_begin, then the other arguments; MLA_OK on all ranks or on none. */
mla_status_t mlai_call_begin(mla_context_t *ctx, const mla_desc_t *desc, mlai_call_t *f);

#endif
