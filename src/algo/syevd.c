/* SPDX-License-Identifier: Apache-2.0
 * src/algo/syevd.c: eigenvalues and eigenvectors of a Hermitian matrix.
 *
 *     tridiag   Q^H B' Q = T                B' = B in elimination order; in one or two stages
 *     stedc     T = U diag(w) U^T           U real, in slabs of rows
 *     slabs to columns                      all-to-all: a rank gets whole columns of U
 *     back      V' = Q U                    own columns; then rows back to natural order
 *     columns to rows                       all-to-all: a rank gets its rows of conj(V)
 *
 * What the caller wants is Z = conj(V), B V = V diag(w), cut by rows: as columns of Z^T = V^H,
 * all or a run of them: stedc finds all of U, the others handle what is wanted alone. No rank
 * holds more than shards:
 *
 *     a        B  ->  reflectors of Q
 *     z             U's slab (real)           ->  Z
 *     scratch       stedc's second slab  ->  V' by columns
 *
 * The matrix is scaled by a power of two when its largest element is far from 1, so that squares
 * neither overflow nor vanish. NaN or Inf: info = 1. Waits on the host for the norm, for T, and
 * in stedc. Flops 4/3 n^3 + stedc's (at most 4/3 n^3) + 2 n^3. */
#include "algo/algo.h"

#include <math.h>
#include <stdlib.h>

enum { FAR = 16, MOST = 1000 }; /* binary orders of magnitude */

typedef struct syevd {
    mla_context_t *x;
    const mla_desc_t *desc;
    const mlai_dist_t *d;
    mla_dtype_t dt, real;
    mlai_eigen_t what;
    int64_t n, lr, lv; /* lr: rows of U's slab of a rank; lv: columns of V' */
    mlai_stream_t st;
    void *a, *w, *z, *base;
    int64_t ldz;
    int32_t *info;
    /* scratch: what Q is made of beside a, a norm, work of the steps; with vectors also V' by
     * columns and U's slab, which is z where z is large enough */
    char *kept, *norm, *work, *shard, *slab;
    double *diag, *off; /* host: T, then w; off: a number of each rank */
    int exponent;       /* B was scaled by 2^-exponent */
} syevd_t;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int64_t slab_rows(const mlai_dist_t *d)
{
    return mlai_ceil_div(d->n, d->nranks);
}

static int64_t vector_cols(const mlai_dist_t *d, const mlai_eigen_t *what)
{
    return mlai_ceil_div(what->count, d->nranks);
}

/* Whether U's slab fits z. */
static bool slab_in_z(const mlai_dist_t *d, const mlai_eigen_t *what)
{
    return what->shard && d->lc == slab_rows(d);
}

/* Rows of U's slab of rank p. */
static int64_t slab_of(const syevd_t *f, int p)
{
    return mlai_max(0, mlai_min(f->lr, f->n - p * f->lr));
}

/* Columns of V' of rank p, those after the first c of them, at most `most`. */
static int64_t vectors_of(const syevd_t *f, int p, int64_t c, int64_t most)
{
    int64_t own = mlai_min(f->lv, f->what.count - p * f->lv);
    return mlai_max(0, mlai_min(most, own - c));
}

/* Columns a rank sends to another at a time: the window takes a fifth of a shard. */
static int64_t chunk_of(const mlai_dist_t *d)
{
    return mlai_min(mlai_max(slab_rows(d) / 10, 1), 256);
}

static size_t bytes_of(const mla_desc_t *desc, int64_t m, int64_t n)
{
    return mlai_size_align(mlai_size_mat(m, n, mlai_sizeof(desc->dtype)));
}

static size_t slab_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    mla_dtype_t real = mlai_real(desc->dtype);
    return mlai_size_align(mlai_size_mat(slab_rows(d), d->n, mlai_sizeof(real)));
}

/* V' by columns; before, stedc's second slab. */
static size_t shard_bytes(const mla_desc_t *desc, const mlai_dist_t *d, const mlai_eigen_t *what)
{
    return larger(bytes_of(desc, d->n, vector_cols(d, what)), slab_bytes(desc, d));
}

/* A rank's part of an all-to-all. */
static size_t block_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    return bytes_of(desc, d->lc, chunk_of(d));
}

/* Columns that are permuted at a time. */
static int64_t permute_cols(const mlai_dist_t *d)
{
    return mlai_dist_is_identity(d) ? 0 : mlai_min(d->nb, 64);
}

/* Of the steps, one after another in the same place. */
static mlai_space_t steps_space(const mla_desc_t *desc, const mlai_dist_t *d,
                                const mlai_eigen_t *what)
{
    bool vectors = what->count > 0;
    mlai_space_t s = mlai_tridiag_space(desc, d, what->kd);
    mlai_space_t t = mlai_stedc_space(d->nranks, mlai_real(desc->dtype), desc->n, vectors);
    s.work = larger(larger(s.work, t.work), bytes_of(desc, desc->n, permute_cols(d)));
    s.window = larger(larger(s.window, t.window), sizeof(double) * (size_t)d->nranks);
    if (vectors) {
        t = mlai_tridiag_back_space(desc, d, what->kd, vector_cols(d, what));
        s.work = larger(s.work, t.work);
        s.window = larger(s.window, t.window);
        s.window = larger(s.window, mlai_size_mul(block_bytes(desc, d), 2 * (size_t)d->nranks));
    }
    return (mlai_space_t){mlai_size_align(s.work), s.window};
}

mlai_space_t mlai_syevd_space(const mla_desc_t *desc, const mlai_dist_t *d,
                              const mlai_eigen_t *what)
{
    mlai_space_t s = steps_space(desc, d, what);
    s.work = mlai_size_add(s.work, mlai_tridiag_kept(desc, d, what->kd, what->count > 0));
    s.work = mlai_size_add(s.work, 256); // norm
    if (what->count == 0) return s;
    s.work = mlai_size_add(s.work, shard_bytes(desc, d, what));
    if (!slab_in_z(d, what)) s.work = mlai_size_add(s.work, slab_bytes(desc, d));
    return s;
}

mla_status_t mlai_syevd_scale(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                              double most, void *a, int *exponent)
{
    int e = 0;
    (void)frexp(most, &e);
    *exponent = abs(e) <= FAR ? 0 : (int)mlai_max(-MOST, mlai_min(e, MOST));
    if (*exponent == 0) return MLA_OK;
    return MLAI_BE(x, lascl, mlai_stream(x, MLAI_STREAM_MAIN), desc->dtype, desc->n,
                   mlai_dist_cols(d, x->comm->rank), ldexp(1, -*exponent), a, desc->ld);
}

/* Largest element of B; then B is scaled. */
static mla_status_t norm_and_scale(syevd_t *f, double *most)
{
    MLAI_TRY(mlai_norm_max(f->x, f->desc, f->d, f->a, (double *)(void *)f->norm, f->base, f->off,
                           most));
    if (!isfinite(*most)) return MLA_OK;
    return mlai_syevd_scale(f->x, f->desc, f->d, *most, f->a, &f->exponent);
}

/* Eigenvalues to the device, in the real type; off is free now. */
static mla_status_t store_values(syevd_t *f)
{
    float *single = (float *)f->off;
    for (int64_t i = 0; i < f->n; i++) {
        f->diag[i] = ldexp(f->diag[i], f->exponent);
        single[i] = (float)f->diag[i];
    }
    const void *src = f->real == MLA_FLOAT32 ? (void *)single : (void *)f->diag;
    return MLAI_BE(f->x, from_host, f->st, f->w, src, (size_t)f->n * mlai_sizeof(f->real));
}

/* NaN in all results if *f->info is not 0. */
static mla_status_t nan_if_failed(syevd_t *f)
{
    mla_context_t *x = f->x;
    MLAI_TRY(MLAI_BE(x, nan_if, f->st, f->real, f->info, f->n, 1, f->w, f->n));
    return MLAI_BE(x, nan_if, f->st, f->dt, f->info, f->what.count,
                   mlai_dist_cols(f->d, x->comm->rank), f->z, f->ldz);
}

static mla_status_t store_info(syevd_t *f, int32_t info)
{
    MLAI_TRY(MLAI_BE(f->x, from_host, f->st, f->info, &info, sizeof info));
    return info == 0 ? MLA_OK : nan_if_failed(f);
}

/* The wanted columns of U from slabs of rows to whole columns, in f->shard and of B's type. */
static mla_status_t slabs_to_columns(syevd_t *f)
{
    mla_context_t *x = f->x;
    int p = x->comm->rank, nranks = f->d->nranks;
    int64_t rows = slab_of(f, p), ldq = mlai_max(1, rows), chunk = chunk_of(f->d);
    size_t block = mlai_size_align(mlai_size_mat(f->lr, chunk, mlai_sizeof(f->real)));
    size_t in = block * (size_t)nranks;
    char *base = f->base;
    for (int64_t c = 0; c < f->lv; c += chunk) {
        MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
        for (int r = 0; r < nranks; r++)
            MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->real, MLAI_FULL, rows,
                             vectors_of(f, r, c, chunk),
                             mlai_at(f->slab, f->real, ldq, 0, f->what.first + r * f->lv + c),
                             ldq, base + (size_t)r * block, ldq));
        MLAI_TRY(MLAI_COMM(x, alltoall, f->st, 0, in, block));
        for (int q = 0; q < nranks; q++)
            MLAI_TRY(MLAI_BE(x, lacpy_real, f->st, f->dt, slab_of(f, q),
                             vectors_of(f, p, c, chunk), base + in + (size_t)q * block,
                             mlai_max(1, slab_of(f, q)),
                             mlai_at(f->shard, f->dt, f->n, q * f->lr, c), f->n));
    }
    return MLA_OK;
}

/* V from whole columns, rows in natural order, to z: own columns of V^H. */
static mla_status_t columns_to_rows(syevd_t *f)
{
    mla_context_t *x = f->x;
    int p = x->comm->rank, nranks = f->d->nranks;
    int64_t cols = mlai_dist_cols(f->d, p), chunk = chunk_of(f->d);
    size_t block = block_bytes(f->desc, f->d), in = block * (size_t)nranks;
    char *base = f->base;
    for (int64_t c = 0; c < f->lv; c += chunk) {
        MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
        for (int r = 0; r < nranks; r++) {
            int64_t rows = mlai_dist_cols(f->d, r);
            MLAI_TRY(MLAI_BE(x, lacpy, f->st, f->dt, MLAI_FULL, rows, vectors_of(f, p, c, chunk),
                             mlai_at(f->shard, f->dt, f->n, r * f->d->lc, c), f->n,
                             base + (size_t)r * block, mlai_max(1, rows)));
        }
        MLAI_TRY(MLAI_COMM(x, alltoall, f->st, 0, in, block));
        for (int q = 0; q < nranks; q++)
            MLAI_TRY(MLAI_BE(x, transpose, f->st, f->dt, MLAI_C, cols, vectors_of(f, q, c, chunk),
                             base + in + (size_t)q * block, mlai_max(1, cols),
                             mlai_at(f->z, f->dt, f->ldz, q * f->lv + c, 0), f->ldz));
    }
    return MLA_OK;
}

static mla_status_t vectors(syevd_t *f)
{
    mla_context_t *x = f->x;
    int64_t cols = vectors_of(f, x->comm->rank, 0, f->lv);
    MLAI_TRY(slabs_to_columns(f));
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
    MLAI_TRY(mlai_tridiag_back(x, f->desc, f->d, f->what.kd, f->a, f->kept, cols, f->shard, f->n,
                               f->work, f->base));
    if (!mlai_dist_is_identity(f->d))
        MLAI_TRY(MLAI_BE(x, permute_rows, f->st, f->dt, f->d, false, cols, f->shard, f->n,
                         f->work, permute_cols(f->d)));
    return columns_to_rows(f);
}

static mla_status_t solve(syevd_t *f)
{
    mla_context_t *x = f->x;
    int32_t info = 0;
    double most;
    bool vectors_too = f->what.count > 0;
    MLAI_TRY(norm_and_scale(f, &most));
    if (!isfinite(most)) return store_info(f, 1);
    MLAI_TRY(mlai_permute(x, f->desc, f->d, true, f->a, f->work, permute_cols(f->d)));
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
    MLAI_TRY(mlai_tridiag(x, f->desc, f->d, f->what.kd, vectors_too, f->a, f->kept, f->diag,
                          f->off, f->work, f->base));
    MLAI_TRY(MLAI_COMM(x, reuse, f->st, x->comm->seq));
    int64_t ldq = mlai_max(1, slab_of(f, x->comm->rank));
    MLAI_TRY(mlai_stedc(x, f->real, f->n, f->diag, f->off, vectors_too ? f->slab : NULL, ldq,
                        f->shard, f->work, f->base, &info));
    if (info != 0) return store_info(f, info);
    MLAI_TRY(store_values(f));
    if (vectors_too) MLAI_TRY(vectors(f));
    return store_info(f, 0);
}

/* Host memory, scratch and window, on all ranks or on none. */
static mla_status_t reserve(syevd_t *f, void **work)
{
    const mla_desc_t *desc = f->desc;
    size_t count = (size_t)mlai_max(f->n, f->d->nranks);
    f->diag = malloc(2 * count * sizeof *f->diag);
    mla_status_t st = MLA_OK;
    if (!f->diag) st = mlai_fail(&f->x->err, MLA_NOMEM, "out of host memory");
    MLAI_TRY(mlai_agree(f->x, st));
    f->off = f->diag + count;
    mlai_space_t space = mlai_syevd_space(desc, f->d, &f->what);
    MLAI_TRY(mlai_reserve(f->x, space.work, space.window, work, &f->base));
    f->kept = *work;
    f->norm = f->kept + mlai_tridiag_kept(desc, f->d, f->what.kd, f->what.count > 0);
    f->work = f->norm + 256;
    f->shard = f->work + steps_space(desc, f->d, &f->what).work;
    f->slab = slab_in_z(f->d, &f->what) ? f->z : f->shard + shard_bytes(desc, f->d, &f->what);
    return MLA_OK;
}

static syevd_t problem(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                       const mlai_eigen_t *what, void *a, void *w, void *z, int64_t ldz,
                       int32_t *info)
{
    return (syevd_t){.x = x,
                     .desc = desc,
                     .d = d,
                     .dt = desc->dtype,
                     .real = mlai_real(desc->dtype),
                     .n = desc->n,
                     .what = *what,
                     .lr = slab_rows(d),
                     .lv = vector_cols(d, what),
                     .st = mlai_stream(x, MLAI_STREAM_MAIN),
                     .a = a,
                     .w = w,
                     .z = z,
                     .ldz = ldz,
                     .info = info};
}

mla_status_t mlai_syevd(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        const mlai_eigen_t *what, void *a, void *w, void *z, int64_t ldz,
                        int32_t *info)
{
    void *work = NULL;
    syevd_t f = problem(x, desc, d, what, a, w, z, ldz, info);
    mla_status_t st;
    MLAI_TRY_GOTO(st, reserve(&f, &work), done);
    st = solve(&f);
done:
    mlai_release(x, work);
    free(f.diag);
    return st;
}

static mla_status_t solve_whole(syevd_t *f)
{
    mla_context_t *x = f->x;
    double most;
    MLAI_TRY(norm_and_scale(f, &most));
    if (!isfinite(most)) return store_info(f, 1);
    MLAI_TRY(MLAI_BE(x, syevd, f->st, f->dt, f->what.count > 0, f->n, f->a, f->desc->ld, f->w,
                     f->info));
    if (f->exponent != 0)
        MLAI_TRY(MLAI_BE(x, lascl, f->st, f->real, f->n, 1, ldexp(1, f->exponent), f->w, f->n));
    MLAI_TRY(MLAI_BE(x, transpose, f->st, f->dt, MLAI_C, f->n, f->what.count,
                     mlai_at(f->a, f->dt, f->desc->ld, 0, f->what.first), f->desc->ld, f->z,
                     f->ldz));
    return nan_if_failed(f);
}

mla_status_t mlai_syevd_whole(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                              const mlai_eigen_t *what, void *a, void *w, void *z, int64_t ldz,
                              int32_t *info)
{
    void *work = NULL;
    double most;
    syevd_t f = problem(x, desc, d, what, a, w, z, ldz, info);
    MLAI_TRY(mlai_reserve(x, sizeof most, sizeof most, &work, &f.base));
    f.norm = work;
    f.off = &most;
    mla_status_t st = solve_whole(&f);
    mlai_release(x, work);
    return st;
}
