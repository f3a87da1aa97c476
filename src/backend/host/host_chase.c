/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_chase.c: the bulge chase on a CPU, and its back-transformation.
 *
 * The chase is own loops, the same bits on every rank (host_chase_tmpl.h). AHEAD sweeps are on
 * the way together, each two hops behind the one before, so that the part of the band they work
 * on stays in the cache: the band is read n / AHEAD times and not n times.
 *
 * Back: DIAMOND sweeps or fewer make diamonds V, W = V T, which are multiplied out for the whole
 * group first; then Z is taken COLUMNS columns at a time, so that the rows that two diamonds
 * share stay in the cache, and a diamond is two products of BLAS: Y = V^H Z, Z -= W Y. */
#include "backend/host/host_chase.h"

#include <math.h>
#include <string.h>

#include "backend/host/host_backend.h"
#include "backend/host/host_loops.h"

enum { AHEAD = 8, DIAMOND = 32, COLUMNS = 192 };

/* Diamonds of `width` sweeps, the first of which is `first`: number k has the rows [first + k kd,
 * first + k kd + rows), rows = kd + width - 1 or what is left. */
typedef struct diamonds {
    mla_dtype_t dt;
    int64_t n, kd, first, width, count, rows;
    void *vh, *w, *v, *s, *t, *y; /* vh, w: one after the other, rows x width each */
} diamonds_t;

#define NAME(f) f##_f32
#define R float
#include "backend/host/host_chase_tmpl.h"
#undef NAME
#undef R
#define NAME(f) f##_f64
#define R double
#include "backend/host/host_chase_tmpl.h"

#define BY_REAL(dt, f, ...) \
    (mlai_real(dt) == MLA_FLOAT32 ? f##_f32(__VA_ARGS__) : f##_f64(__VA_ARGS__))

static int parts(mla_dtype_t dt)
{
    return mlai_is_complex(dt) ? 2 : 1;
}

mla_status_t mlai_host_hb2st(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                             const mlai_chase_t *t, double *diag, double *off)
{
    (void)be, (void)st;
    BY_REAL(dt, chase, t, parts(dt));
    BY_REAL(dt, tridiagonal, t, parts(dt), diag, off);
    return MLA_OK;
}

/* ---- back ---------------------------------------------------------------------------------- */

static int64_t rows_of(const diamonds_t *f, int64_t k)
{
    return mlai_min(f->rows, f->n - f->first - k * f->kd);
}

static void *block_of(const diamonds_t *f, void *blocks, int64_t k)
{
    return mlai_at(blocks, f->dt, f->rows * f->width, 0, k);
}

/* vh = V^H and w of all diamonds out of the group's block u, whose row 0 is the row of sweep g
 * GROUP. */
static void expand(mlai_host_t *h, const diamonds_t *f, const void *u, int64_t g)
{
    int64_t ldu = f->n - g * MLAI_CHASE_GROUP, at = f->first - g * MLAI_CHASE_GROUP;
    mlai_scalar_t one = mlai_scalar(f->dt, 1), zero = mlai_scalar(f->dt, 0);
    for (int64_t k = 0; k < f->count; k++) {
        int64_t m = rows_of(f, k);
        void *vh = block_of(f, f->vh, k), *w = block_of(f, f->w, k);
        memset(f->v, 0, mlai_size_mat(f->rows, f->width, mlai_sizeof(f->dt)));
        BY_REAL(f->dt, unpack, parts(f->dt), f, k, mlai_at(u, f->dt, ldu, at + k * f->kd, at),
                ldu, f->v, f->t);
        mlai_host_transpose(f->dt, true, m, f->width, f->v, f->rows, vh, f->width);
        MLAI_BLAS(h, gemm, f->dt, "N", "N", &f->width, &f->width, &m, &one, vh, &f->width, f->v,
                  &f->rows, &zero, f->s, &f->width, 1, 1);
        BY_REAL(f->dt, larft, parts(f->dt), f->width, f->s, f->t);
        MLAI_BLAS(h, gemm, f->dt, "N", "N", &m, &f->width, &f->width, &one, f->v, &f->rows, f->t,
                  &f->width, &zero, w, &f->rows, 1, 1);
    }
}

/* z := (I - W V^H) z for all diamonds, k ascending, on `cols` columns. Neither product
 * transposes: OpenBLAS takes small ones as they lie then. */
static void apply(mlai_host_t *h, const diamonds_t *f, int64_t cols, void *z, int64_t ldz)
{
    mlai_scalar_t one = mlai_scalar(f->dt, 1), minus = mlai_scalar(f->dt, -1);
    mlai_scalar_t zero = mlai_scalar(f->dt, 0);
    for (int64_t k = 0; k < f->count; k++) {
        int64_t m = rows_of(f, k);
        void *to = mlai_at(z, f->dt, ldz, f->first + k * f->kd, 0);
        MLAI_BLAS(h, gemm, f->dt, "N", "N", &f->width, &cols, &m, &one, block_of(f, f->vh, k),
                  &f->width, to, &ldz, &zero, f->y, &f->width, 1, 1);
        MLAI_BLAS(h, gemm, f->dt, "N", "N", &m, &cols, &f->width, &minus, block_of(f, f->w, k),
                  &f->rows, f->y, &f->width, &one, to, &ldz, 1, 1);
    }
}

static void *take(char **next, size_t bytes)
{
    void *piece = *next;
    *next += mlai_size_align(bytes);
    return piece;
}

/* Sweeps [first, first + width) of the group. */
static diamonds_t diamonds(mla_dtype_t dt, const mlai_chase_t *t, int64_t first, int64_t width,
                           void *work)
{
    char *next = work;
    size_t es = mlai_sizeof(dt);
    diamonds_t f = {.dt = dt, .n = t->n, .kd = mlai_min(t->kd, t->n), .first = first};
    f.width = width;
    f.count = mlai_chase_hops(f.n, f.kd, first);
    f.rows = f.kd + width - 1;
    f.vh = take(&next, mlai_size_mat(f.rows * width, f.count, es));
    f.w = take(&next, mlai_size_mat(f.rows * width, f.count, es));
    f.v = take(&next, mlai_size_mat(f.rows, width, es));
    f.s = take(&next, mlai_size_mat(width, width, es));
    f.t = take(&next, mlai_size_mat(width, width, es));
    f.y = take(&next, mlai_size_mat(width, COLUMNS, es));
    return f;
}

mla_status_t mlai_host_unmtr_hb2st(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                   const mlai_chase_t *t, int64_t g, const void *v, int64_t cols,
                                   void *z, int64_t ldz, void *work)
{
    (void)st;
    mlai_host_t *h = mlai_host(be);
    int64_t first = mlai_max(1, g * MLAI_CHASE_GROUP);
    int64_t end = mlai_min(t->n, (g + 1) * MLAI_CHASE_GROUP);
    MLAI_TRY(MLAI_HOST_FITS(be, t->n, ldz));
    int64_t most = mlai_max(8, mlai_min(DIAMOND, t->kd));
    while (end > first) {
        int64_t width = mlai_min(most, end - first);
        diamonds_t f = diamonds(dt, t, end - width, width, work);
        expand(h, &f, v, g);
        for (int64_t c = 0; c < cols; c += COLUMNS)
            apply(h, &f, mlai_min(COLUMNS, cols - c), mlai_at(z, dt, ldz, 0, c), ldz);
        end -= width;
    }
    return MLA_OK;
}
