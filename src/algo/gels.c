/* SPDX-License-Identifier: Apache-2.0
 * src/algo/gels.c: the triangular solve of least squares, R x = c, R and c on shards of rows
 * (qr.h). In memory R is lower triangular, L = R^T, and x and c lie as rows:
 *
 *     X L = C     X_t = (C_t - sum_{u>t} X_u L[u,t]) L_tt^-1     from the last panel to the first
 *
 * The owner of panel t has the columns L[>=t, t] and needs all later X, which are broadcast as
 * they come. Right-hand sides go in groups. n^2 nrhs flops; n nrhs words and T messages a group
 * received. */
#include "algo/qr.h"

static int64_t group_of(const mlai_dist_t *d, int64_t nrhs)
{
    return mlai_max(1, mlai_rhs_group(d, nrhs));
}

mlai_space_t mlai_trsr_space(const mla_rows_t *rows, const mlai_dist_t *d, int64_t nrhs)
{
    return (mlai_space_t){
        .work = 0, .window = mlai_size_mat(group_of(d, nrhs), rows->n, mlai_sizeof(rows->dtype))};
}

/* X of panel [off, off + w) of the group, nrhs rows, into its place on all ranks. */
static mla_status_t solve_panel(mla_context_t *x, const mlai_qr_t *f, const mlai_qr_panel_t *p,
                                int64_t nrhs, const void *c, int64_t ldc)
{
    size_t es = mlai_sizeof(f->dt);
    int64_t next = p->off + p->w;
    char *xt = mlai_at(f->base, f->dt, nrhs, 0, p->off);
    if (p->mine) {
        const void *l = mlai_at(f->a, f->dt, f->lda, p->off, p->row);
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, nrhs, p->w,
                         mlai_at(c, f->dt, ldc, 0, p->row), ldc, xt, nrhs));
        if (f->n > next)
            MLAI_TRY(MLAI_BE(x, gemm, f->st, f->dt, MLAI_N, MLAI_N, nrhs, p->w, f->n - next, -1.0,
                             mlai_at(f->base, f->dt, nrhs, 0, next), nrhs,
                             mlai_at(f->a, f->dt, f->lda, next, p->row), f->lda, 1.0, xt, nrhs));
        MLAI_TRY(MLAI_BE(x, trsm, f->st, f->dt, MLAI_RIGHT, MLAI_LOWER, MLAI_N, MLAI_NONUNIT,
                         nrhs, p->w, 1.0, l, f->lda, xt, nrhs));
    }
    return MLAI_COMM(x, bcast, f->st, (size_t)(xt - f->base), mlai_size_mat(nrhs, p->w, es),
                     p->owner);
}

mla_status_t mlai_trsr(mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d,
                       const void *a, int64_t nrhs, const void *c, int64_t ldc, mla_rhs_t where,
                       void *out, int64_t ldout)
{
    MLAI_RANGE(x, "trsr");
    mlai_space_t space = mlai_trsr_space(rows, d, nrhs);
    int64_t group = group_of(d, nrhs), first = 0, end = rows->n;
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    mlai_qr_t f;
    mlai_qr_begin(&f, x, rows, d, 1, NULL, base);
    f.a = mlai_at(a, f.dt, 1, 0, 0);
    if (where == MLA_RHS_ROWS) {
        int64_t each = mlai_ceil_div(rows->n, x->comm->nranks);
        first = mlai_min(x->comm->rank * each, rows->n);
        end = mlai_min(first + each, rows->n);
    }
    for (int64_t from = 0; from < nrhs; from += group) {
        int64_t count = mlai_min(group, nrhs - from);
        // The group before may still be on its way to the others.
        MLAI_TRY(MLAI_COMM(x, reuse, f.st, x->comm->seq));
        for (int64_t tile = mlai_dist_tiles(d) - 1; tile >= 0; tile--) {
            mlai_qr_panel_t p = mlai_qr_panel(&f, tile);
            if (p.w > 0)
                MLAI_TRY(solve_panel(x, &f, &p, count, mlai_at(c, f.dt, ldc, from, 0), ldc));
        }
        MLAI_TRY(MLAI_BE(x, lacpy, f.st, f.dt, MLAI_FULL, count, end - first,
                         mlai_at(base, f.dt, count, 0, first), count,
                         mlai_at(out, f.dt, ldout, from, 0), ldout));
    }
    return MLA_OK;
}
