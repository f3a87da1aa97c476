/* SPDX-License-Identifier: Apache-2.0
 * src/algo/collective.c: what every routine does around its loop: scratch and window on all
 * ranks or on none, and the reduction of one number per rank. Sums are formed in rank order, so
 * results are bitwise equal on all ranks. */
#include <math.h>

#include "algo/algo.h"

mla_status_t mlai_agree(mla_context_t *x, mla_status_t mine)
{
    mla_status_t st = MLAI_COMM(x, agree, mine);
    x->told = st != MLA_OK && st == mine;
    return st;
}

mla_status_t mlai_reserve(mla_context_t *x, size_t bytes, size_t window, void **work, void **base)
{
    *work = NULL;
    *base = NULL;
    // A previous routine may have left with others still reading this rank's window.
    MLAI_TRY(MLAI_COMM(x, reuse, mlai_stream(x, MLAI_STREAM_MAIN), x->comm->seq));
    mla_status_t st = bytes ? x->be->ops->alloc(x->be, bytes, work) : MLA_OK;
    st = mlai_agree(x, st);
    if (st == MLA_OK) {
        st = MLAI_COMM(x, window, window, base);
        x->told = st == MLA_NOMEM; // found out together, as in agree
    }
    if (st == MLA_OK) return MLA_OK;
    mlai_release(x, *work);
    *work = NULL;
    return st;
}

void mlai_release(mla_context_t *x, void *work)
{
    x->be->ops->free(x->be, work);
}

/* One `bytes`-long item of each rank to window[off + rank*bytes] of all ranks. */
static mla_status_t gather_item(mla_context_t *x, mlai_stream_t st, void *base, size_t off,
                                size_t bytes, const void *item)
{
    size_t mine = off + (size_t)x->comm->rank * bytes;
    MLAI_TRY(MLAI_BE(x, copy, st, (char *)base + mine, item, bytes));
    return MLAI_COMM(x, allgather, st, mine, off, bytes);
}

mla_status_t mlai_sum_reduce(mla_context_t *x, mlai_stream_t st, void *base, size_t off,
                             double *value)
{
    MLAI_TRY(gather_item(x, st, base, off, sizeof *value, value));
    return MLAI_BE(x, sum_blocks, st, MLA_FLOAT64, 1, 1, x->comm->nranks, (char *)base + off, 1,
                   1, value, 1);
}

mla_status_t mlai_norm_max(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                           const void *a, double *scratch, void *base, double *all, double *most)
{
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    MLAI_TRY(MLAI_BE(x, zero, st, scratch, sizeof *scratch));
    MLAI_TRY(MLAI_BE(x, norm_max, st, desc->dtype, desc->n, mlai_dist_cols(d, x->comm->rank), a,
                     desc->ld, scratch));
    MLAI_TRY(gather_item(x, st, base, 0, sizeof *scratch, scratch));
    MLAI_TRY(MLAI_BE(x, to_host, st, all, base, (size_t)d->nranks * sizeof *all));
    MLAI_TRY(MLAI_BE(x, sync, st));
    *most = 0;
    for (int q = 0; q < d->nranks; q++)
        if (!(all[q] <= *most) && !isnan(*most)) *most = all[q];
    return MLA_OK;
}
