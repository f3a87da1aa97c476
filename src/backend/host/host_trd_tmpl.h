/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_trd_tmpl.h: columns of the reduction to tridiagonal form for one real
 * type R; included by host_trd.c with R and NAME(f) defined. A complex matrix is handled as the
 * real one of its interleaved parts, nv = 2 reals an element (host_simd_tmpl.h). */

typedef struct NAME(simd) {
    void (*fused)(int nv, int64_t m, int64_t n, const R *a, int64_t lda, const R *const *x,
                  const R *coef, R *const *y, R *out);
    void (*dot)(int nv, int64_t m, int64_t n, const R *a, int64_t lda, const R *const *x, R *out);
    void (*axpy)(int nv, int64_t m, int64_t n, const R *a, int64_t lda, const R *coef,
                 R *const *y);
} NAME(simd_t);

#define SIMD(f) NAME(f##_any)
#define VECTOR 16
#define TARGET
#include "backend/host/host_simd_tmpl.h"
#undef SIMD
#undef VECTOR
#undef TARGET
#ifdef __x86_64__
#define SIMD(f) NAME(f##_avx2)
#define VECTOR 32
#define TARGET __attribute__((target("avx2")))
#include "backend/host/host_simd_tmpl.h"
#undef SIMD
#undef VECTOR
#undef TARGET
#define SIMD(f) NAME(f##_avx512)
#define VECTOR 64
#define TARGET __attribute__((target("avx512f,avx512dq")))
#include "backend/host/host_simd_tmpl.h"
#undef SIMD
#undef VECTOR
#undef TARGET
#endif

static const NAME(simd_t) * NAME(simd)(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512dq")) return &NAME(table_avx512);
    if (__builtin_cpu_supports("avx2")) return &NAME(table_avx2);
#endif
    return &NAME(table_any);
}

/* A panel's pieces in reals. x1 and y1 as in host_simd_tmpl.h, for complex types. */
typedef struct NAME(panel) {
    const NAME(simd_t) * simd;
    int nv;
    int64_t rows, ld; /* ld in reals */
    R *v, *w, *x1, *y1, *coef;
} NAME(panel_t);

static NAME(panel_t) NAME(panel)(const mlai_trd_t *t, int nv)
{
    int64_t rows = t->d->n - t->first;
    R *scratch = t->scratch;
    return (NAME(panel_t)){.simd = NAME(simd)(),
                           .nv = nv,
                           .rows = rows,
                           .ld = nv * t->ld,
                           .v = t->v,
                           .w = t->w,
                           .x1 = scratch,
                           .y1 = scratch + nv * rows,
                           .coef = scratch + rows * 2 * nv};
}

/* x1 := -i x */
static void NAME(turn)(const NAME(panel_t) * p, int64_t m, const R *x)
{
    for (int64_t r = 0; p->nv == 2 && r < m; r++) {
        p->x1[2 * r] = x[2 * r + 1];
        p->x1[2 * r + 1] = -x[2 * r];
    }
}

static void NAME(open)(const NAME(panel_t) * p, int64_t m)
{
    if (p->nv == 2) memset(p->y1, 0, (size_t)m * 2 * sizeof(R));
}

/* y += i y1 */
static void NAME(fold)(const NAME(panel_t) * p, int64_t m, R *y)
{
    for (int64_t r = 0; p->nv == 2 && r < m; r++) {
        y[2 * r] -= p->y1[2 * r + 1];
        y[2 * r + 1] += p->y1[2 * r];
    }
}

/* coef := - (first n columns of a)^H x, m rows. */
static void NAME(project)(const NAME(panel_t) * p, int64_t m, int64_t n, const R *a, const R *x)
{
    const R *const xs[2] = {x, p->x1};
    memset(p->coef, 0, (size_t)(n * p->nv) * sizeof(R));
    p->simd->dot(p->nv, p->nv * m, n, a, p->ld, xs, p->coef);
    for (int64_t k = 0; k < n * p->nv; k++) p->coef[k] = -p->coef[k];
}

/* coef := - conj of row r of a, first n columns. */
static void NAME(row)(const NAME(panel_t) * p, int64_t n, const R *a, int64_t r)
{
    for (int64_t k = 0; k < n; k++) {
        const R *e = a + r * p->nv + k * p->ld;
        p->coef[k * p->nv] = -e[0];
        if (p->nv == 2) p->coef[k * 2 + 1] = e[1];
    }
}

/* (y, y1) += (first n columns of a) coef */
static void NAME(add)(const NAME(panel_t) * p, int64_t m, int64_t n, const R *a, R *y)
{
    R *const ys[2] = {y, p->y1};
    p->simd->axpy(p->nv, p->nv * m, n, a, p->ld, p->coef, ys);
}

/* w of column j from the ranks' contributions. */
static void NAME(finish_w)(const NAME(panel_t) * p, const mlai_trd_t *t, int64_t j)
{
    int nv = p->nv;
    int64_t m = p->rows - j - 1, top = nv * (j + 1);
    R *w = p->w + top + j * p->ld;
    const R *v = p->v + top + j * p->ld, *tau = (const R *)t->tau + nv * (t->first + j);
    memcpy(w, t->y, (size_t)(nv * m) * sizeof(R));
    for (int q = 1; q < t->d->nranks; q++) {
        const R *y = (const R *)t->y + nv * t->stride * q;
        for (int64_t r = 0; r < nv * m; r++) w[r] += y[r];
    }
    NAME(open)(p, m);
    NAME(project)(p, m, j, p->w + top, v);
    R *const keep = p->coef;
    NAME(panel_t) second = *p;
    second.coef = keep + nv * t->width;
    NAME(project)(&second, m, j, p->v + top, v);
    NAME(add)(p, m, j, p->v + top, w);
    NAME(add)(&second, m, j, p->w + top, w);
    NAME(fold)(p, m, w);
    R tr = tau[0], ti = nv == 2 ? tau[1] : 0;
    for (int64_t r = 0; nv == 1 && r < m; r++) w[r] *= tr;
    for (int64_t r = 0; nv == 2 && r < m; r++) {
        R re = w[2 * r], im = w[2 * r + 1];
        w[2 * r] = tr * re - ti * im;
        w[2 * r + 1] = tr * im + ti * re;
    }
    // tau w^H v is real.
    R dot[2] = {0, 0};
    const R *const xs[2] = {v, p->x1};
    p->simd->dot(nv, nv * m, 1, w, p->ld, xs, dot);
    R alpha = (R)-0.5 * (tr * dot[0] - ti * dot[1]);
    R *const ws[1] = {w};
    p->simd->axpy(1, nv * m, 1, v, p->ld, &alpha, ws);
}

/* x (m elements) := reflector (1, v); tau and off as LAPACK larfg's tau and beta. Where the whole
 * column is nothing against a matrix of norm about 1, it is dropped: its squares underflow. */
static void NAME(reflect)(const NAME(panel_t) * p, int64_t m, R *x, R *tau, double *off)
{
    int nv = p->nv;
    R *const rest = x + nv, sum = 0;
    const R *const xs[1] = {rest};
    p->simd->dot(1, nv * (m - 1), 1, rest, p->ld, xs, &sum);
    double re = (double)x[0], im = nv == 2 ? (double)x[1] : 0, below = (double)sum;
    double beta = -copysign(sqrt(re * re + im * im + below), re), tr = 0, ti = 0;
    double nothing = sizeof(R) == 4 ? 1e-13 : 1e-140;
    if ((below == 0 && im == 0) || fabs(beta) < nothing) {
        memset(x, 0, (size_t)(nv * m) * sizeof(R));
        *off = re;
    } else {
        tr = (beta - re) / beta;
        ti = -im / beta;
        double ar = re - beta, d = ar * ar + im * im;
        R sr = (R)(ar / d), si = (R)(-im / d); // 1 / (alpha - beta)
        for (int64_t r = 0; nv == 1 && r < m; r++) x[r] *= sr;
        for (int64_t r = 0; nv == 2 && r < m; r++) {
            R a = x[2 * r], b = x[2 * r + 1];
            x[2 * r] = a * sr - b * si;
            x[2 * r + 1] = a * si + b * sr;
        }
        *off = beta;
    }
    x[0] = 1;
    tau[0] = (R)tr;
    if (nv == 2) {
        x[1] = 0;
        tau[1] = (R)ti;
    }
}

static void NAME(column)(const mlai_trd_t *t, int nv, int64_t j)
{
    NAME(panel_t) p = NAME(panel)(t, nv);
    if (j > 0 && p.rows > j) NAME(finish_w)(&p, t, j - 1);
    if (j == t->width) return;
    int64_t m = p.rows - j, pos = t->first + j;
    R *x = p.v + nv * j + j * p.ld;
    NAME(open)(&p, m);
    NAME(row)(&p, j, p.w, j);
    NAME(add)(&p, m, j, p.v + nv * j, x);
    NAME(row)(&p, j, p.v, j);
    NAME(add)(&p, m, j, p.w + nv * j, x);
    NAME(fold)(&p, m, x);
    R *tau = (R *)t->tau + nv * pos;
    t->diag[pos] = (double)x[0];
    t->off[pos] = 0;
    tau[0] = tau[nv - 1] = 0;
    if (m == 1) return;
    NAME(reflect)(&p, m - 1, x + nv, tau, &t->off[pos]);
    NAME(turn)(&p, m - 1, x + nv);
}

/* The triangle on the diagonal of g columns. */
static void NAME(corner)(int nv, int64_t g, const R *a, int64_t lda, const R *x, R *y)
{
    for (int64_t k = 0; k < g; k++) {
        for (int v = 0; v < nv; v++) y[nv * k + v] += a[nv * (k + k * lda)] * x[nv * k + v];
        for (int64_t r = k + 1; r < g; r++) {
            const R *e = a + nv * (r + k * lda), *xk = x + nv * k, *xr = x + nv * r;
            R *yk = y + nv * k, *yr = y + nv * r, im = nv == 2 ? e[1] : 0;
            yr[0] += e[0] * xk[0];
            yk[0] += e[0] * xr[0];
            if (nv == 1) continue;
            yr[0] -= im * xk[1];
            yr[1] += e[0] * xk[1] + im * xk[0];
            yk[0] += im * xr[1];
            yk[1] += e[0] * xr[1] - im * xr[0];
        }
    }
}

static void NAME(product)(const mlai_trd_t *t, int nv, int64_t j)
{
    NAME(panel_t) p = NAME(panel)(t, nv);
    const mlai_dist_t *d = t->d;
    int64_t from = t->first + j + 1, m = d->n - from, group = nv == 1 ? 8 : 4;
    const R *x = p.v + nv * (j + 1) + j * p.ld;
    R *y = (R *)t->y + nv * t->stride * t->rank;
    memset(y, 0, (size_t)(nv * m) * sizeof(R));
    NAME(open)(&p, m);
    for (int64_t s = 0; s < d->slots; s++) {
        int64_t tile = mlai_dist_tile(d, t->rank, s), off = mlai_dist_off(d, tile);
        int64_t end = off + mlai_dist_width(d, tile), c = mlai_max(off, from);
        for (int64_t g; c < end; c += g) {
            g = mlai_min(group, end - c);
            int64_t at = nv * (c - from), below = at + nv * g;
            const R *a =
                (const R *)t->a + nv * (c + (mlai_dist_local(d, tile) + c - off) * t->lda);
            NAME(corner)(nv, g, a, t->lda, x + at, y + at);
            const R *const xs[2] = {x + below, p.x1 + below};
            R *const ys[2] = {y + below, p.y1 + below};
            p.simd->fused(nv, nv * (d->n - c - g), g, a + nv * g, nv * t->lda, xs, x + at, ys,
                          y + at);
        }
    }
    NAME(fold)(&p, m, y);
}

static void NAME(lascl)(int64_t m, int64_t n, double factor, R *a, int64_t lda)
{
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < m; i++) a[i + k * lda] = (R)((double)a[i + k * lda] * factor);
}

static void NAME(lacpy_real)(int64_t m, int64_t n, const R *a, int64_t lda, R *b, int64_t ldb)
{
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < m; i++) {
            b[2 * (i + k * ldb)] = a[i + k * lda];
            b[2 * (i + k * ldb) + 1] = 0;
        }
}

/* a_jj := 1 / conj(tau_j) = tau_j / |tau_j|^2 */
static void NAME(larft_diag)(int nv, int64_t n, const R *tau, R *a, int64_t lda)
{
    R huge = (R)(sizeof(R) == 4 ? 1e30 : 1e250);
    for (int64_t k = 0; k < n; k++) {
        R re = tau[nv * k], im = nv == 2 ? tau[2 * k + 1] : 0, square = re * re + im * im;
        R *e = a + nv * (k + k * lda);
        e[0] = square == 0 ? huge : re / square;
        if (nv == 2) e[1] = square == 0 ? 0 : im / square;
    }
}

/* The bits of |x| order as x does, and NaN comes last. */
static double NAME(norm_max)(int64_t m, int64_t n, const R *a, int64_t lda)
{
    BITS most = 0;
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < m; i++) {
            BITS b;
            memcpy(&b, a + i + k * lda, sizeof b);
            b &= ~(BITS)0 >> 1;
            most = b > most ? b : most;
        }
    R x;
    memcpy(&x, &most, sizeof x);
    return (double)x;
}

#include "backend/host/host_geqrt_tmpl.h"
