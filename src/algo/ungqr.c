/* SPDX-License-Identifier: Apache-2.0
 * src/algo/ungqr.c: Q itself, or Q and its adjoint times a matrix, from the reflectors of geqrf.c
 * on shards of rows (qr.h has the layout).
 *
 *     Q = (I - V T V^H) of panel 0, 1, ...
 *
 * Q: from the last panel to the first, the panel's columns := those of I, then all columns from
 * there on := (I - V T V^H) of them; before, they are those of I below too. A panel's V is taken
 * out of its columns before they are set, so Q may lie where the reflectors are.
 *
 * 4 m cols k - 2 (m + cols) k^2 + 4/3 k^3 flops; 2 cols k words received (Q: half of it). */
#include "algo/qr.h"

enum { MOST = 4096 }; /* columns at a time: bounds the window */

static int64_t group_of(const mla_rows_t *rows, int64_t cols)
{
    return mlai_max(1, mlai_min(cols, mlai_max(rows->n, MOST)));
}

mlai_space_t mlai_ungqr_space(const mla_rows_t *rows, const mlai_dist_t *d, int64_t cols)
{
    return mlai_qr_space(rows, d, group_of(rows, cols));
}

/* Columns [from, end) of I in q. */
static mla_status_t set_identity(mlai_qr_t *f, int64_t from, int64_t end, void *q, int64_t ldq)
{
    int rank = f->x->comm->rank;
    int64_t own = mlai_dist_cols(f->d, rank), base = rank * f->d->lc;
    int64_t lo = mlai_max(from, base), hi = mlai_min(end, base + own);
    MLAI_TRY(MLAI_BE(f->x, laset, f->st, f->dt, MLAI_FULL, end - from, own, 0.0, 0.0,
                     mlai_at(q, f->dt, ldq, from, 0), ldq));
    if (lo >= hi) return MLA_OK;
    return MLAI_BE(f->x, laset, f->st, f->dt, MLAI_FULL, hi - lo, hi - lo, 0.0, 1.0,
                   mlai_at(q, f->dt, ldq, lo, lo - base), ldq);
}

mla_status_t mlai_ungqr(mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d,
                        const void *a, const void *t, int64_t ldt, int64_t cols, void *q,
                        int64_t ldq)
{
    MLAI_RANGE(x, "ungqr");
    int64_t group = group_of(rows, cols);
    mlai_space_t space = mlai_ungqr_space(rows, d, cols);
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    mlai_qr_t f;
    mlai_qr_begin(&f, x, rows, d, group, work, base);
    f.a = mlai_at(a, f.dt, 1, 0, 0);
    f.t = mlai_at(t, f.dt, 1, 0, 0);
    f.ldt = ldt;
    mla_status_t st = MLA_OK;
    if (cols > f.k) MLAI_TRY_GOTO(st, set_identity(&f, f.k, cols, q, ldq), done);
    for (int64_t tile = mlai_dist_tiles(d) - 1; tile >= 0; tile--) {
        mlai_qr_panel_t p = mlai_qr_panel(&f, tile);
        if (p.w == 0) continue;
        MLAI_TRY_GOTO(st, mlai_qr_unpack(&f, &p), done);
        MLAI_TRY_GOTO(st, set_identity(&f, p.off, p.off + p.w, q, ldq), done);
        MLAI_TRY_GOTO(
            st,
            mlai_qr_apply(&f, &p, MLAI_C, cols - p.off, mlai_at(q, f.dt, ldq, p.off, p.row), ldq),
            done);
    }
done:
    mlai_release(x, work);
    return st;
}

mla_status_t mlai_unmqr(mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d,
                        bool adjoint, const void *a, const void *t, int64_t ldt, int64_t nrhs,
                        void *c, int64_t ldc)
{
    MLAI_RANGE(x, "unmqr");
    int64_t group = group_of(rows, nrhs), tiles = mlai_dist_tiles(d);
    mlai_space_t space = mlai_ungqr_space(rows, d, nrhs);
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
    mlai_qr_t f;
    mlai_qr_begin(&f, x, rows, d, group, work, base);
    f.a = mlai_at(a, f.dt, 1, 0, 0);
    f.t = mlai_at(t, f.dt, 1, 0, 0);
    f.ldt = ldt;
    mla_status_t st = MLA_OK;
    for (int64_t i = 0; i < tiles; i++) {
        mlai_qr_panel_t p = mlai_qr_panel(&f, adjoint ? i : tiles - 1 - i);
        if (p.w == 0) continue;
        MLAI_TRY_GOTO(st, mlai_qr_unpack(&f, &p), done);
        MLAI_TRY_GOTO(st,
                      mlai_qr_apply(&f, &p, adjoint ? MLAI_N : MLAI_C, nrhs,
                                    mlai_at(c, f.dt, ldc, 0, p.row), ldc),
                      done);
    }
done:
    mlai_release(x, work);
    return st;
}
