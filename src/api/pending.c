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
WEAK mlai_space_t mlai_syevd_space(const mla_desc_t *desc, const mlai_dist_t *d, bool v)
{
    (void)desc;
    (void)d;
    (void)v;
    return (mlai_space_t){0, 0};
}
WEAK mla_status_t mlai_syevd(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                             void *a, void *w, void *z, int32_t *info)
{
    (void)desc;
    (void)d;
    (void)a;
    (void)w;
    (void)z;
    (void)info;
    return mlai_fail(&x->err, MLA_UNSUPPORTED, "pending");
}
