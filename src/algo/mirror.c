/* SPDX-License-Identifier: Apache-2.0
 * src/algo/mirror.c: the other triangle of a distributed Hermitian matrix.
 *
 * Rows are in natural order; set are the elements with pos(row) >= pos(column). Slot by slot:
 * the ranks' tiles t_p = tile(p, s) are completed at the same time. Rank q packs, for each p, the
 * rows of t_p in its columns that come before t_p (w(t_p) x before(q, t_p)); an all-to-all
 * brings them to the owners, where the block from q becomes, transposed, the rows
 * q*lc .. of column t_p. n^2/2 words received in all; window 2 n nb words. */
#include "algo/algo.h"

static size_t block_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    return mlai_size_align(mlai_size_mat(d->nb, d->lc, mlai_sizeof(desc->dtype)));
}

mlai_space_t mlai_mirror_space(const mla_desc_t *desc, const mlai_dist_t *d)
{
    size_t side = mlai_size_mul(block_bytes(desc, d), (size_t)d->nranks);
    return (mlai_space_t){.work = mlai_size_mat(d->nb, d->nb, mlai_sizeof(desc->dtype)),
                          .window = mlai_size_mul(side, 2)};
}

static int64_t before(const mlai_dist_t *d, int p, int64_t t)
{
    return mlai_min(mlai_dist_first_slot(d, p, t) * d->nb, mlai_dist_cols(d, p));
}

/* First natural row of tile t. */
static int64_t first_row(const mlai_dist_t *d, int64_t t)
{
    return mlai_dist_owner(d, t) * d->lc + mlai_dist_local(d, t);
}

mla_status_t mlai_mirror(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                         void *work, void *base)
{
    mla_dtype_t dt = desc->dtype;
    int64_t ld = desc->ld;
    int me = x->comm->rank, nranks = d->nranks;
    size_t block = block_bytes(desc, d), in = block * (size_t)nranks;
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    for (int64_t s = 0; s < d->slots; s++) {
        MLAI_TRY(MLAI_COMM(x, reuse, st, x->comm->seq));
        for (int p = 0; p < nranks; p++) {
            int64_t t = mlai_dist_tile(d, p, s), w = mlai_dist_width(d, t);
            MLAI_TRY(MLAI_BE(x, lacpy, st, dt, MLAI_FULL, w, before(d, me, t),
                             mlai_at(a, dt, ld, first_row(d, t), 0), ld,
                             (char *)base + (size_t)p * block, mlai_max(1, w)));
        }
        MLAI_TRY(MLAI_COMM(x, alltoall, st, 0, in, block));
        int64_t t = mlai_dist_tile(d, me, s), w = mlai_dist_width(d, t);
        int64_t jl = mlai_dist_local(d, t);
        if (w == 0) continue;
        for (int q = 0; q < nranks; q++)
            MLAI_TRY(MLAI_BE(x, transpose, st, dt, MLAI_C, w, before(d, q, t),
                             (char *)base + in + (size_t)q * block, w,
                             mlai_at(a, dt, ld, q * d->lc, jl), ld));
        void *diag = mlai_at(a, dt, ld, first_row(d, t), jl);
        MLAI_TRY(MLAI_BE(x, transpose, st, dt, MLAI_C, w, w, diag, ld, work, w));
        if (w > 1)
            MLAI_TRY(MLAI_BE(x, lacpy, st, dt, MLAI_UPPER, w - 1, w - 1,
                             mlai_at(work, dt, w, 0, 1), w, mlai_at(diag, dt, ld, 0, 1), ld));
    }
    return MLA_OK;
}
