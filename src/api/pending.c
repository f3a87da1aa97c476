/* SPDX-License-Identifier: Apache-2.0
 * src/api/pending.c: weak definitions that let the library link until the real ones are there. */
#include "algo/algo.h"

#define WEAK __attribute__((weak))
WEAK mla_status_t mla_comm_create_peer(const char *s, int n, int r, int o, double t,
                                       mla_comm_t **c)
{
    (void)s;
    (void)n;
    (void)r;
    (void)o;
    (void)t;
    (void)c;
    return MLA_UNSUPPORTED;
}
WEAK mlai_space_t mlai_stedc_space(int nranks, mla_dtype_t real, int64_t n, bool vectors)
{
    (void)nranks;
    (void)real;
    (void)n;
    (void)vectors;
    return (mlai_space_t){0, 0};
}
WEAK mla_status_t mlai_stedc(mla_context_t *x, mla_dtype_t real, int64_t n, double *d, double *e,
                             void *q, int64_t ldq, void *q2, void *work, void *base,
                             int32_t *info)
{
    (void)real;
    (void)n;
    (void)d;
    (void)e;
    (void)q;
    (void)ldq;
    (void)q2;
    (void)work;
    (void)base;
    (void)info;
    return mlai_fail(&x->err, MLA_UNSUPPORTED, "pending");
}
