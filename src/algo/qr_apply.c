/* SPDX-License-Identifier: Apache-2.0
 * src/algo/qr_apply.c: panels of reflectors on shards of rows, and their application,
 *
 *     C := C - (C V) op(T) V^H        (C: cols x rows, each rank its columns)
 *
 * C V is a sum over the ranks: for large ones each rank adds up one part of it (all-to-all) and
 * the parts are gathered; small ones are gathered at once. Both in rank order.
 *
 * 4 w cols rows flops; 2 w cols words received. */
#include "algo/qr.h"

enum { GRAIN = 16 }; /* elements: parts start aligned */

static int64_t chunk_of(const mlai_dist_t *d, int64_t most)
{
    int64_t count = mlai_ceil_div(most, d->nranks) * d->nb + d->nb;
    return mlai_ceil_div(count, GRAIN) * GRAIN;
}

/* Elements of the place for gathered terms: parts of a large sum, or small sums whole. */
static int64_t gather_of(const mlai_dist_t *d, int64_t most)
{
    return mlai_max(chunk_of(d, most), d->nb * d->nb + 2 * d->nb) * d->nranks;
}

/* Of the place for a term and of that for the sum. */
static int64_t term_of(const mlai_dist_t *d, int64_t most)
{
    return mlai_max(chunk_of(d, most) * d->nranks, d->nb * d->nb + 2 * d->nb);
}

mlai_space_t mlai_qr_space(const mla_rows_t *rows, const mlai_dist_t *d, int64_t most)
{
    size_t es = mlai_sizeof(rows->dtype);
    size_t term = mlai_size_align(mlai_size_mat(term_of(d, most), 1, es));
    size_t gather = mlai_size_align(mlai_size_mat(gather_of(d, most), 1, es));
    return (mlai_space_t){
        .work = mlai_size_add(mlai_size_align(mlai_size_mat(mlai_max(1, d->lc), d->nb, es)),
                              mlai_size_align(mlai_size_mat(mlai_max(1, most), d->nb, es))),
        .window = mlai_size_add(mlai_size_mul(term, 2), gather)};
}

void mlai_qr_begin(mlai_qr_t *f, mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d,
                   int64_t most, void *work, void *base)
{
    size_t es = mlai_sizeof(rows->dtype);
    *f = (mlai_qr_t){.x = x,
                     .d = d,
                     .dt = rows->dtype,
                     .m = rows->m,
                     .n = rows->n,
                     .k = mlai_min(rows->m, rows->n),
                     .lda = rows->ld,
                     .most = most,
                     .st = mlai_stream(x, MLAI_STREAM_MAIN),
                     .v = work,
                     .ldv = mlai_max(1, d->lc),
                     .base = base,
                     .chunk = chunk_of(d, most),
                     .sent_term = x->comm->seq,
                     .sent_sum = x->comm->seq};
    if (work) f->w = f->v + mlai_size_align(mlai_size_mat(f->ldv, d->nb, es));
    f->gather = mlai_size_align(mlai_size_mat(term_of(d, most), 1, es));
    f->sum = f->gather + mlai_size_align(mlai_size_mat(gather_of(d, most), 1, es));
    f->extra = f->sum + f->gather;
}

mlai_qr_panel_t mlai_qr_panel(const mlai_qr_t *f, int64_t t)
{
    const mlai_dist_t *d = f->d;
    int64_t off = mlai_dist_off(d, t);
    mlai_qr_panel_t p = {.off = off,
                         .w = mlai_max(0, mlai_min(mlai_dist_width(d, t), f->k - off)),
                         .owner = mlai_dist_owner(d, t)};
    int rank = f->x->comm->rank;
    p.mine = rank == p.owner;
    p.row = p.mine ? mlai_dist_local(d, t) : 0;
    p.rows = rank < p.owner ? 0 : mlai_dist_cols(d, rank) - p.row;
    return p;
}

mla_status_t mlai_qr_unpack(mlai_qr_t *f, const mlai_qr_panel_t *p)
{
    mla_context_t *x = f->x;
    MLAI_TRY(MLAI_BE(x, transpose, f->st, f->dt, MLAI_C, p->w, p->rows,
                     mlai_at(f->a, f->dt, f->lda, p->off, p->row), f->lda, f->v, f->ldv));
    if (!p->mine) return MLA_OK;
    return MLAI_BE(x, laset, f->st, f->dt, MLAI_UPPER, p->w, p->w, 0.0, 1.0, f->v, f->ldv);
}

mla_status_t mlai_qr_term(mlai_qr_t *f, void **term)
{
    *term = f->base;
    return MLAI_COMM(f->x, reuse, f->st, f->sent_term);
}

/* Each rank adds up `chunk` elements, which lie `stride` apart from rank to rank. */
static mla_status_t add_up(mlai_qr_t *f, int first, int64_t chunk, void *out)
{
    MLAI_TRY(MLAI_COMM(f->x, reuse, f->st, f->sent_sum));
    const void *in = mlai_at(f->base + f->gather, f->dt, 1, first * chunk, 0);
    return MLAI_BE(f->x, sum_blocks, f->st, f->dt, chunk, 1, f->x->comm->nranks - first, in,
                   chunk, chunk, out, chunk);
}

mla_status_t mlai_qr_sum(mlai_qr_t *f, int first, int64_t count, void **sum)
{
    mla_context_t *x = f->x;
    size_t es = mlai_sizeof(f->dt);
    *sum = f->base + f->sum;
    if (x->comm->nranks == 1) {
        *sum = f->base;
        return MLA_OK;
    }
    if (count <= f->d->nb * f->d->nb) {
        MLAI_TRY(MLAI_COMM(x, allgather, f->st, 0, f->gather, mlai_size_mat(count, 1, es)));
        f->sent_term = x->comm->seq;
        return add_up(f, first, count, *sum);
    }
    int64_t chunk = mlai_ceil_div(mlai_ceil_div(count, x->comm->nranks), GRAIN) * GRAIN;
    size_t bytes = mlai_size_mat(chunk, 1, es);
    size_t mine = f->sum + (size_t)x->comm->rank * bytes;
    MLAI_TRY(MLAI_COMM(x, alltoall, f->st, 0, f->gather, bytes));
    f->sent_term = x->comm->seq;
    MLAI_TRY(add_up(f, first, chunk, f->base + mine));
    MLAI_TRY(MLAI_COMM(x, allgather, f->st, mine, f->sum, bytes));
    f->sent_sum = x->comm->seq;
    return MLA_OK;
}

mla_status_t mlai_qr_apply(mlai_qr_t *f, const mlai_qr_panel_t *p, mlai_op_t op, int64_t cols,
                           void *c, int64_t ldc)
{
    mla_context_t *x = f->x;
    for (int64_t j = 0; j < cols; j += f->most) {
        int64_t count = mlai_min(f->most, cols - j);
        char *cj = mlai_at(c, f->dt, ldc, j, 0);
        void *w;
        MLAI_TRY(mlai_qr_term(f, &w));
        if (p->rows > 0)
            MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_N, count, p->w, p->rows, 1.0, cj,
                             ldc, f->v, f->ldv, 0.0, w, count));
        else
            MLAI_TRY(MLAI_BE(x, zero, f->st, w, mlai_size_mat(count, p->w, mlai_sizeof(f->dt))));
        MLAI_TRY(mlai_qr_sum(f, p->owner, count * p->w, &w));
        if (p->rows == 0) continue;
        MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, op == MLAI_N ? MLAI_C : MLAI_N, count,
                         p->w, p->w, 1.0, w, count, mlai_at(f->t, f->dt, f->ldt, 0, p->off),
                         f->ldt, 0.0, f->w, count));
        MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_C, count, p->rows, p->w, -1.0, f->w,
                         count, f->v, f->ldv, 1.0, cj, ldc));
    }
    return MLA_OK;
}
