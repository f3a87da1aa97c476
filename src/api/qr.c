/* SPDX-License-Identifier: Apache-2.0
 * src/api/qr.c: public QR and least squares: checks, quick returns, calls. */
#include "api/api.h"

#include "algo/qr.h"

/* On the host a panel is mostly messages and small products, on a GPU the panel's chain is long:
 * the width at which the products after it are fast already. */
static int64_t panel_width(const mla_rows_t *rows, mla_device_t device)
{
    int64_t nb = device == MLA_CUDA ? MLAI_QR_TILE : 64;
    return mlai_max(1, mlai_min(nb, mlai_min(rows->m, rows->n)));
}

static mla_status_t complete(const mla_rows_t *rows, int nranks, mla_device_t device,
                             mla_rows_t *out, mlai_dist_t *d, mlai_error_t *err)
{
    if (!rows) return mlai_fail(err, MLA_ARG, "rows is NULL");
    if (rows->size != sizeof *rows)
        return mlai_fail(err, MLA_ARG, "rows->size is %zu, expected %zu: use MLA_ROWS_INIT",
                         rows->size, sizeof *rows);
    if (!mlai_dtype_valid(rows->dtype))
        return mlai_fail(err, MLA_ARG,
                         "rows->dtype is %d, expected one of the four of "
                         "mla_dtype_t",
                         (int)rows->dtype);
    if (rows->m < 0 || rows->n < 0 || rows->m > INT32_MAX || rows->n > INT32_MAX)
        return mlai_fail(err, MLA_ARG, "rows: %lld x %lld, expected 0 .. 2147483647",
                         (long long)rows->m, (long long)rows->n);
    mla_rows_t full = *rows;
    if (full.lr == 0) full.lr = mlai_max(1, mlai_ceil_div(full.m, nranks));
    if (full.lr < 0 || full.lr > INT32_MAX || full.lr * nranks < full.m)
        return mlai_fail(err, MLA_ARG,
                         "rows->lr is %lld: %d ranks of that many rows do not hold "
                         "m = %lld",
                         (long long)rows->lr, nranks, (long long)full.m);
    if (full.ld == 0) full.ld = mlai_max(1, full.n);
    if (full.ld < mlai_max(1, full.n))
        return mlai_fail(err, MLA_ARG, "rows->ld is %lld, expected at least max(1, n) = %lld",
                         (long long)rows->ld, (long long)mlai_max(1, full.n));
    if (full.nb < 0 || full.nb > MLAI_QR_TILE)
        return mlai_fail(err, MLA_ARG, "rows->nb is %lld, expected 0 .. %d", (long long)rows->nb,
                         MLAI_QR_TILE);
    if (full.nb == 0) full.nb = panel_width(&full, device);
    full.nb = mlai_min(full.nb, full.lr);
    if (mlai_size_mat(full.ld, full.lr, mlai_sizeof(full.dtype)) > SIZE_MAX / 2)
        return mlai_fail(err, MLA_SIZE, "rows: a block of %lld x %lld is too large",
                         (long long)full.lr, (long long)full.ld);
    *out = full;
    *d = mlai_dist(full.m, full.lr, full.nb, nranks, MLA_NATURAL);
    return MLA_OK;
}

/* The arguments of one call, of which a routine has some. */
typedef struct call {
    mla_rows_t rows;
    mlai_dist_t d;
    const void *a, *t, *c, *out;
    bool has_t, has_c, has_out;
    int64_t ldt, cols, ldc, out_cols, ldout; /* c, which lies as A does: cols wide */
    mla_rhs_t where;
} call_t;

static mla_status_t check(mla_context_t *ctx, const call_t *f)
{
    bool empty = mlai_dist_cols(&f->d, ctx->comm->rank) == 0;
    MLAI_TRY(mlai_require(ctx, f->a || empty || f->rows.n == 0, "a", "is NULL"));
    if (f->has_t) {
        bool none = f->rows.m == 0 || f->rows.n == 0;
        MLAI_TRY(mlai_require(ctx, f->t || none, "t", "is NULL"));
        MLAI_TRY(mlai_require(ctx, f->ldt >= f->rows.nb, "ldt", "is less than the panel width"));
    }
    if (f->has_c) {
        MLAI_TRY(mlai_require(ctx, f->cols >= 0 && f->cols <= INT32_MAX, "columns",
                              "is not in 0 .. 2147483647"));
        MLAI_TRY(mlai_require(ctx, f->ldc >= mlai_max(1, f->cols), "leading dimension",
                              "is less than the number of columns"));
        MLAI_TRY(mlai_require(ctx, f->c || empty || f->cols == 0, "matrix", "is NULL"));
    }
    if (!f->has_out) return MLA_OK;
    MLAI_TRY(mlai_require(ctx, f->where == MLA_RHS_ROWS || f->where == MLA_RHS_REPLICATED,
                          "where", "is neither MLA_RHS_ROWS nor MLA_RHS_REPLICATED"));
    return mlai_require(ctx, f->ldout >= mlai_max(1, f->out_cols), "leading dimension",
                        "is less than the number of columns");
}

/* Completes f->rows; `more` is a demand of the routine's own. MLA_OK on all ranks or on none. */
static mla_status_t begin(mla_context_t *ctx, const mla_rows_t *rows, call_t *f)
{
    const mla_desc_t any = MLA_DESC_INIT(MLA_FLOAT64, 0);
    mla_desc_t desc;
    mlai_dist_t unused;
    mla_status_t st = mlai_begin(ctx, &any, &desc, &unused);
    if (!ctx) return st;
    if (st == MLA_OK)
        st = complete(rows, ctx->comm->nranks, ctx->be->ops->device, &f->rows, &f->d, &ctx->err);
    if (st == MLA_OK) st = check(ctx, f);
    return st;
}

mla_status_t mla_geqrf(mla_context_t *ctx, const mla_rows_t *rows, void *a, void *t, int64_t ldt,
                       mla_rhs_t where, void *r, int64_t ldr)
{
    call_t f = {.a = a,
                .t = t,
                .has_t = true,
                .ldt = ldt,
                .has_out = r != NULL,
                .where = where,
                .ldout = ldr,
                .out_cols = rows ? rows->n : 0};
    mla_status_t st = begin(ctx, rows, &f);
    if (!ctx) return st;
    st = mlai_agree(ctx, st);
    if (st == MLA_OK && f.rows.m > 0 && f.rows.n > 0)
        st = mlai_geqrf(ctx, &f.rows, &f.d, a, t, ldt, where, r, ldr);
    return mlai_end(ctx, st);
}

mla_status_t mla_ungqr(mla_context_t *ctx, const mla_rows_t *rows, const void *a, const void *t,
                       int64_t ldt, int64_t cols, void *q, int64_t ldq)
{
    call_t f = {.a = a,
                .t = t,
                .has_t = true,
                .ldt = ldt,
                .has_c = true,
                .c = q,
                .cols = cols,
                .ldc = ldq};
    mla_status_t st = begin(ctx, rows, &f);
    if (!ctx) return st;
    int64_t k = mlai_min(f.rows.m, f.rows.n);
    if (st == MLA_OK)
        st = mlai_require(ctx, cols >= k && cols <= f.rows.m, "cols", "is not in min(m, n) .. m");
    st = mlai_agree(ctx, st);
    if (st == MLA_OK && f.rows.m > 0 && cols > 0)
        st = mlai_ungqr(ctx, &f.rows, &f.d, a, t, ldt, cols, q, ldq);
    return mlai_end(ctx, st);
}

mla_status_t mla_unmqr(mla_context_t *ctx, const mla_rows_t *rows, int adjoint, const void *a,
                       const void *t, int64_t ldt, int64_t nrhs, void *c, int64_t ldc)
{
    call_t f = {.a = a,
                .t = t,
                .has_t = true,
                .ldt = ldt,
                .has_c = true,
                .c = c,
                .cols = nrhs,
                .ldc = ldc};
    mla_status_t st = begin(ctx, rows, &f);
    if (!ctx) return st;
    st = mlai_agree(ctx, st);
    if (st == MLA_OK && f.rows.m > 0 && f.rows.n > 0 && nrhs > 0)
        st = mlai_unmqr(ctx, &f.rows, &f.d, adjoint != 0, a, t, ldt, nrhs, c, ldc);
    return mlai_end(ctx, st);
}

/* Factors with a t of its own. */
static mla_status_t gels(mla_context_t *ctx, const call_t *f, void *a, void *c, void *out)
{
    void *t, *base;
    int64_t nb = f->rows.nb;
    size_t bytes = mlai_size_mat(nb, f->rows.n, mlai_sizeof(f->rows.dtype));
    mla_status_t st;
    MLAI_TRY(mlai_reserve(ctx, bytes, 0, &t, &base));
    MLAI_TRY_GOTO(st, mlai_geqrf(ctx, &f->rows, &f->d, a, t, nb, f->where, NULL, 0), done);
    MLAI_TRY_GOTO(st, mlai_unmqr(ctx, &f->rows, &f->d, true, a, t, nb, f->cols, c, f->ldc), done);
    st = mlai_trsr(ctx, &f->rows, &f->d, a, f->cols, c, f->ldc, f->where, out, f->ldout);
done:
    mlai_release(ctx, t);
    return st;
}

mla_status_t mla_gels(mla_context_t *ctx, const mla_rows_t *rows, void *a, int64_t nrhs, void *c,
                      int64_t ldc, mla_rhs_t where, void *x, int64_t ldx)
{
    call_t f = {.a = a,
                .has_c = true,
                .c = c,
                .cols = nrhs,
                .ldc = ldc,
                .has_out = true,
                .where = where,
                .ldout = ldx,
                .out_cols = nrhs};
    mla_status_t st = begin(ctx, rows, &f);
    if (!ctx) return st;
    if (st == MLA_OK) st = mlai_require(ctx, f.rows.m >= f.rows.n, "rows", "has m < n");
    st = mlai_agree(ctx, st);
    if (st == MLA_OK && f.rows.n > 0 && nrhs > 0) st = gels(ctx, &f, a, c, x);
    return mlai_end(ctx, st);
}
