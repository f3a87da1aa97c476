/* SPDX-License-Identifier: Apache-2.0
 * src/engine/cusolvermg.c: whole routines by cuSOLVERMg, which works on column-major matrices in
 * 1D block-cyclic columns. That is what a shard is after its rows are in elimination order, if
 * all tiles but the last of the matrix are full (mlai_full_tiles): nothing moves between GPUs.
 *
 *     potrf   rows permuted; library (lower triangle); info, log det
 *     potrs   right-hand sides to columns of C^H, tb to a rank: all-to-all (ROWS) or a copy;
 *             library; and back (ROWS) or to all ranks: all-gather (REPLICATED)
 *     potri   library (lower triangle); rows back; the other triangle by mlai_mirror
 *     syevd   scaled, rows permuted; library: V' over A, block-cyclic columns; rows back;
 *             all-to-all of one tile column of every rank at a time to rows of V
 *
 * Host-bound: each call waits for all GPUs. Work space as the library asks. */
#include <math.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/mg_drive.h"

enum { TILE = 512, GROUP = 512 }; /* columns of a tile; right-hand sides of a rank at a time */

static void fit(mla_desc_t *desc, mlai_dist_t *d, int64_t asked)
{
    // Natural order is block cyclic only where a rank has one tile.
    bool whole = desc->order == MLA_NATURAL && d->nranks > 1;
    desc->nb = whole ? d->lc : mlai_full_tiles(d, asked > 0 ? asked : TILE, INT64_MAX);
    *d = mlai_dist(desc->n, d->lc, desc->nb, d->nranks, desc->order);
}

/* ---- what the routines share -----------------------------------------------------------------
 */

typedef struct mg {
    mla_context_t *x;
    const mla_desc_t *desc;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    int64_t n, ld, cols; /* columns of this rank */
    mlai_stream_t st;
    char *a, *work, *base;
} mg_t;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t bytes_of(const mg_t *f, int64_t m, int64_t n)
{
    return mlai_size_align(mlai_size_mat(m, n, mlai_sizeof(f->dt)));
}

/* Scratch and window on all ranks or on none; `window` beyond what the drive needs. */
static mla_status_t begin(mg_t *f, mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                          const void *a, size_t scratch, size_t window)
{
    *f = (mg_t){.x = x,
                .desc = desc,
                .d = d,
                .dt = desc->dtype,
                .n = desc->n,
                .ld = desc->ld,
                .cols = mlai_dist_cols(d, x->comm->rank),
                .st = mlai_stream(x, MLAI_STREAM_MAIN),
                .a = (char *)(uintptr_t)a};
    size_t least = larger(mlai_mg_window(d->nranks), sizeof(double) * (size_t)d->nranks);
    void *work = NULL, *base = NULL;
    MLAI_TRY(mlai_reserve(x, scratch, larger(least, window), &work, &base));
    f->work = work;
    f->base = base;
    return MLA_OK;
}

static mlai_mg_call_t call_of(const mg_t *f, mlai_mg_routine_t routine)
{
    return (mlai_mg_call_t){
        .routine = routine, .desc = f->desc, .d = f->d, .a = f->a, .base = f->base};
}

/* A column for each that is permuted at a time. */
static int64_t permute_cols(const mlai_dist_t *d)
{
    return mlai_dist_is_identity(d) ? 0 : mlai_min(d->nb, 64);
}

static mla_status_t store_info(mg_t *f, int32_t value, int32_t *info)
{
    return MLAI_BE(f->x, from_host, f->st, info, &value, sizeof value);
}

/* ---- factor ----------------------------------------------------------------------------------
 */

static mla_status_t factor(mg_t *f, double *logdet, int32_t *info)
{
    mla_context_t *x = f->x;
    mlai_mg_call_t call = call_of(f, MLAI_MG_POTRF);
    int failed = 0;
    MLAI_TRY(mlai_permute(x, f->desc, f->d, true, f->a, f->work, permute_cols(f->d)));
    MLAI_TRY(mlai_mg_run(x, &call, &failed));
    MLAI_TRY(store_info(f, failed > 0 ? (int32_t)mlai_dist_nat(f->d, failed - 1) + 1 : 0, info));
    if (logdet) {
        MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
        MLAI_TRY(mlai_potrf_logdet(x, f->desc, f->d, f->a, info, f->base, 0, logdet));
    }
    if (f->desc->order == MLA_NATURAL) MLAI_TRY(mlai_clear_upper(x, f->desc, f->d, f->a));
    return MLAI_BE(x, nan_if, f->st, f->dt, info, f->n, f->cols, f->a, f->ld);
}

static mla_status_t mg_potrf(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                             void *a, double *logdet, int32_t *info)
{
    MLAI_RANGE(x, "potrf, cusolvermg");
    mg_t f = {.dt = desc->dtype};
    MLAI_TRY(begin(&f, x, desc, d, a, bytes_of(&f, desc->n, 64), 0));
    mla_status_t st = factor(&f, logdet, info);
    mlai_release(x, f.work);
    return st;
}

/* ---- solve -----------------------------------------------------------------------------------
 */

/* A group of right-hand sides: those of all ranks, tb to each. */
typedef struct sides {
    mla_rhs_t rhs;
    int64_t nrhs, tb, ldc;
    char *c;
    char *b;      /* n x tb: this rank's, as columns of C^H */
    char *turned; /* tb x n */
    size_t block; /* bytes: tb x lc, what two ranks exchange */
} sides_t;

/* Right-hand sides of rank q in this group. */
static int64_t sides_of(const sides_t *r, int q)
{
    return mlai_max(0, mlai_min(r->tb, r->nrhs - q * r->tb));
}

/* C to b, rows in elimination order. */
static mla_status_t sides_in(mg_t *f, const sides_t *r)
{
    mla_context_t *x = f->x;
    int me = x->comm->rank, nranks = f->d->nranks;
    int64_t mine = sides_of(r, me), lc = f->d->lc;
    if (r->rhs == MLA_RHS_REPLICATED) {
        MLAI_TRY(MLAI_BE(x, transpose, f->st, f->dt, MLAI_C, mine, f->n,
                         mlai_at(r->c, f->dt, r->ldc, me * r->tb, 0), r->ldc, r->b, f->n));
    } else {
        MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
        for (int q = 0; q < nranks; q++)
            MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, sides_of(r, q), f->cols,
                             mlai_at(r->c, f->dt, r->ldc, q * r->tb, 0), r->ldc,
                             f->base + (size_t)q * r->block, r->tb));
        size_t in = (size_t)nranks * r->block;
        MLAI_TRY(MLAI_COMM(x, alltoall, f->st, 0, in, r->block));
        for (int q = 0; q < nranks; q++)
            MLAI_TRY(MLAI_BE(x, transpose, f->st, f->dt, MLAI_C, mine, mlai_dist_cols(f->d, q),
                             f->base + in + (size_t)q * r->block, r->tb,
                             mlai_at(r->b, f->dt, f->n, q * lc, 0), f->n));
    }
    if (mlai_dist_is_identity(f->d)) return MLA_OK;
    return MLAI_BE(x, permute_rows, f->st, f->dt, f->d, true, mine, r->b, f->n, r->turned, r->tb);
}

/* And back. */
static mla_status_t sides_out(mg_t *f, const sides_t *r)
{
    mla_context_t *x = f->x;
    int me = x->comm->rank, nranks = f->d->nranks;
    int64_t mine = sides_of(r, me);
    size_t all = bytes_of(f, r->tb, f->n), in = (size_t)nranks * r->block;
    if (!mlai_dist_is_identity(f->d))
        MLAI_TRY(MLAI_BE(x, permute_rows, f->st, f->dt, f->d, false, mine, r->b, f->n, r->turned,
                         r->tb));
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
    if (r->rhs == MLA_RHS_REPLICATED) {
        MLAI_TRY(MLAI_BE(x, transpose, f->st, f->dt, MLAI_C, f->n, mine, r->b, f->n,
                         f->base + (size_t)me * all, r->tb));
        MLAI_TRY(MLAI_COMM(x, allgather, f->st, (size_t)me * all, 0, all));
        for (int q = 0; q < nranks; q++)
            MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, sides_of(r, q), f->n,
                             f->base + (size_t)q * all, r->tb,
                             mlai_at(r->c, f->dt, r->ldc, q * r->tb, 0), r->ldc));
        return MLA_OK;
    }
    for (int q = 0; q < nranks; q++)
        MLAI_TRY(MLAI_BE(x, transpose, f->st, f->dt, MLAI_C, mlai_dist_cols(f->d, q), mine,
                         mlai_at(r->b, f->dt, f->n, q * f->d->lc, 0), f->n,
                         f->base + (size_t)q * r->block, r->tb));
    MLAI_TRY(MLAI_COMM(x, alltoall, f->st, 0, in, r->block));
    for (int q = 0; q < nranks; q++)
        MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, sides_of(r, q), f->cols,
                         f->base + in + (size_t)q * r->block, r->tb,
                         mlai_at(r->c, f->dt, r->ldc, q * r->tb, 0), r->ldc));
    return MLA_OK;
}

static mla_status_t mg_potrs(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                             const void *a, mla_rhs_t rhs, int64_t nrhs, void *c, int64_t ldc)
{
    MLAI_RANGE(x, "potrs, cusolvermg");
    mg_t f = {.dt = desc->dtype};
    int64_t tb = mlai_min(mlai_ceil_div(nrhs, d->nranks), GROUP);
    sides_t r = {.rhs = rhs, .tb = tb, .ldc = ldc, .block = bytes_of(&f, tb, d->lc)};
    size_t all = bytes_of(&f, tb, desc->n), p = (size_t)d->nranks;
    size_t window = rhs == MLA_RHS_ROWS ? mlai_size_mul(r.block, 2 * p) : mlai_size_mul(all, p);
    MLAI_TRY(begin(&f, x, desc, d, a, mlai_size_mul(all, 2), window));
    r.b = f.work;
    r.turned = f.work + all;
    mlai_mg_call_t call = call_of(&f, MLAI_MG_POTRS);
    call.b = r.b;
    call.tb = tb;
    mla_status_t st = MLA_OK;
    for (int64_t first = 0; first < nrhs && st == MLA_OK; first += tb * d->nranks) {
        int failed = 0;
        r.nrhs = call.nrhs = mlai_min(nrhs - first, tb * d->nranks);
        r.c = mlai_at(c, desc->dtype, ldc, first, 0);
        MLAI_TRY_GOTO(st, sides_in(&f, &r), done);
        MLAI_TRY_GOTO(st, mlai_mg_run(x, &call, &failed), done);
        MLAI_TRY_GOTO(st, sides_out(&f, &r), done);
    }
done:
    mlai_release(x, f.work);
    return st;
}

/* ---- inverse ---------------------------------------------------------------------------------
 */

static mla_status_t mg_potri(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                             void *a)
{
    MLAI_RANGE(x, "potri, cusolvermg");
    mg_t f = {.dt = desc->dtype};
    mlai_space_t mirror = mlai_mirror_space(desc, d);
    size_t scratch = larger(bytes_of(&f, desc->n, 64), mirror.work);
    MLAI_TRY(begin(&f, x, desc, d, a, scratch, mirror.window));
    mlai_mg_call_t call = call_of(&f, MLAI_MG_POTRI);
    int failed = 0; // a zero on the diagonal: the factor is NaN already
    mla_status_t st;
    MLAI_TRY_GOTO(st, mlai_mg_run(x, &call, &failed), done);
    MLAI_TRY_GOTO(st, mlai_permute(x, desc, d, false, a, f.work, permute_cols(d)), done);
    st = mlai_mirror(x, desc, d, a, f.work, f.base);
done:
    mlai_release(x, f.work);
    return st;
}

static mla_status_t mg_poinv(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                             void *a, double *logdet, int32_t *info)
{
    MLAI_TRY(mg_potrf(x, desc, d, a, logdet, info));
    MLAI_TRY(mg_potri(x, desc, d, a));
    return MLAI_BE(x, nan_if, mlai_stream(x, MLAI_STREAM_MAIN), desc->dtype, info, desc->n,
                   mlai_dist_cols(d, x->comm->rank), a, desc->ld);
}

/* ---- eigenproblem ----------------------------------------------------------------------------
 */

static size_t tile_block(const mg_t *f, const mlai_dist_t *d)
{
    return bytes_of(f, d->lc, d->nb);
}

/* V from block-cyclic columns in A, rows in natural order, to z: own columns of V^H. */
static mla_status_t columns_to_rows(mg_t *f, void *z)
{
    mla_context_t *x = f->x;
    const mlai_dist_t *d = f->d;
    int me = x->comm->rank, nranks = d->nranks;
    size_t block = tile_block(f, d), in = block * (size_t)nranks;
    for (int64_t s = 0; s < d->slots; s++) {
        int64_t width = mlai_dist_width(d, mlai_dist_tile(d, me, s));
        MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
        for (int r = 0; r < nranks; r++) {
            int64_t rows = mlai_dist_cols(d, r);
            MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, rows, width,
                             mlai_at(f->a, f->dt, f->ld, r * d->lc, s * d->nb), f->ld,
                             f->base + (size_t)r * block, mlai_max(1, rows)));
        }
        MLAI_TRY(MLAI_COMM(x, alltoall, f->st, 0, in, block));
        for (int q = 0; q < nranks; q++) {
            int64_t t = mlai_dist_tile(d, q, s);
            MLAI_TRY(MLAI_BE(x, transpose, f->st, f->dt, MLAI_C, f->cols, mlai_dist_width(d, t),
                             f->base + in + (size_t)q * block, mlai_max(1, f->cols),
                             mlai_at(z, f->dt, f->ld, mlai_dist_off(d, t), 0), f->ld));
        }
    }
    return MLA_OK;
}

/* Eigenvalues in host memory, B scaled by 2^-exponent, to the device. */
static mla_status_t store_values(mg_t *f, void *host, int exponent, void *w)
{
    mla_dtype_t real = mlai_real(f->dt);
    double *d = host;
    float *s = host;
    for (int64_t i = 0; i < f->n && exponent != 0; i++) {
        if (real == MLA_FLOAT32)
            s[i] = ldexpf(s[i], exponent);
        else
            d[i] = ldexp(d[i], exponent);
    }
    return MLAI_BE(f->x, from_host, f->st, w, host, (size_t)f->n * mlai_sizeof(real));
}

static mla_status_t eigen(mg_t *f, void *host, void *w, void *z, int32_t *info)
{
    mla_context_t *x = f->x;
    double all[MLAI_MG_GPUS], most = 0;
    double *scratch = (double *)(void *)(f->work + bytes_of(f, f->n, 64));
    int exponent = 0, failed = 1;
    MLAI_TRY(mlai_norm_max(x, f->desc, f->d, f->a, scratch, f->base, all, &most));
    if (isfinite(most)) {
        mlai_mg_call_t call = call_of(f, z ? MLAI_MG_SYEVD : MLAI_MG_SYEVD_VALUES);
        call.w = host;
        MLAI_TRY(mlai_syevd_scale(x, f->desc, f->d, most, f->a, &exponent));
        MLAI_TRY(mlai_permute(x, f->desc, f->d, true, f->a, f->work, permute_cols(f->d)));
        MLAI_TRY(mlai_mg_run(x, &call, &failed));
        MLAI_TRY(store_values(f, host, exponent, w));
    }
    MLAI_TRY(store_info(f, failed, info));
    MLAI_TRY(MLAI_BE(x, nan_if, f->st, mlai_real(f->dt), info, f->n, 1, w, f->n));
    if (!z) return MLA_OK;
    if (failed == 0) {
        MLAI_TRY(mlai_permute(x, f->desc, f->d, false, f->a, f->work, permute_cols(f->d)));
        MLAI_TRY(columns_to_rows(f, z));
    }
    return MLAI_BE(x, nan_if, f->st, f->dt, info, f->n, f->cols, z, f->ld);
}

static mla_status_t mg_syevd(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *given,
                             const mlai_eigen_t *what, void *a, void *w, void *z, int64_t ldz,
                             int32_t *info)
{
    MLAI_RANGE(x, "syevd, cusolvermg");
    (void)what, (void)ldz; // all vectors or none, in a way of the library's own; ldz is desc->ld
    mlai_dist_t d = *given;
    mla_desc_t own = *desc;
    mg_t f = {.dt = desc->dtype};
    if (d.nb > MLAI_MG_TILE) { // nothing is kept from one call to the next: another width will do
        own.nb = mlai_full_tiles(&d, d.nb, MLAI_MG_TILE);
        if (own.nb == 0)
            return mlai_fail(&x->err, MLA_UNSUPPORTED,
                             "the engine cusolvermg finds no tile width up to %d for the "
                             "eigenproblem of order %lld on %d ranks of %lld columns: let the "
                             "ranks divide n",
                             MLAI_MG_TILE, (long long)d.n, d.nranks, (long long)d.lc);
        d = mlai_dist(d.n, d.lc, own.nb, d.nranks, d.order);
    }
    size_t scratch = mlai_size_add(bytes_of(&f, desc->n, 64), 256);
    size_t window = z ? mlai_size_mul(tile_block(&f, &d), 2 * (size_t)d.nranks) : 0;
    void *host = malloc((size_t)mlai_max(1, desc->n) * sizeof(double));
    mla_status_t st = MLA_OK;
    if (!host) st = mlai_fail(&x->err, MLA_NOMEM, "out of host memory");
    MLAI_TRY_GOTO(st, mlai_agree(x, st), done);
    MLAI_TRY_GOTO(st, begin(&f, x, &own, &d, a, scratch, window), done);
    st = eigen(&f, host, w, z, info);
    mlai_release(x, f.work);
done:
    free(host);
    return st;
}

const mlai_engine_t mlai_engine_cusolvermg = {.name = "cusolvermg",
                                              .fit = fit,
                                              .potrf = mg_potrf,
                                              .potrs = mg_potrs,
                                              .potri = mg_potri,
                                              .poinv = mg_poinv,
                                              .syevd = mg_syevd};
