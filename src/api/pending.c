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
