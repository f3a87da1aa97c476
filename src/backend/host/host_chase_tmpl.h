/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_chase_tmpl.h: the hops of a bulge chase for one real type R; included by
 * host_chase.c with R and NAME(f) defined. The band of a complex matrix has interleaved parts,
 * nv = 2 reals an element; a hop works on planes, one for the real and one for the imaginary
 * parts, with `ld` rows, a multiple of any vector's length: what lies beyond a block is 0. */

typedef struct NAME(chase) {
    int64_t n, kd, ldab, ld;
    R *ab;
    R *b[2], *d[2]; /* planes ld x kd: A[rows, rows of the hop before]; below D's diagonal */
    R *diag;        /* of D */
    R *w[2];
    R *v[AHEAD][2]; /* of the sweeps on the way: the last reflector */
    R tau[AHEAD][2];
} NAME(chase_t);

/* What the loops of a hop are made of; m: rows, a multiple of every vector's length. */
typedef struct NAME(planes) {
    void (*right)(int nv, int64_t m, int64_t n, R *const *b, int64_t ld, R *const *v,
                  const R *tau, R *const *a);
    void (*left)(int nv, int64_t m, int64_t n, R *const *b, int64_t ld, R *const *v,
                 const R *tau);
    void (*both)(int nv, int64_t m, int64_t n, R *const *d, R *diag, int64_t ld, R *const *v,
                 const R *tau, R *const *w);
} NAME(planes_t);

#define SIMD(f) NAME(f##_any)
#define VECTOR 16
#define TARGET
#include "backend/host/host_planes_tmpl.h"
#undef SIMD
#undef VECTOR
#undef TARGET
#ifdef __x86_64__
#define SIMD(f) NAME(f##_avx2)
#define VECTOR 32
#define TARGET __attribute__((target("avx2,fma")))
#include "backend/host/host_planes_tmpl.h"
#undef SIMD
#undef VECTOR
#undef TARGET
#define SIMD(f) NAME(f##_avx512)
#define VECTOR 64
#define TARGET __attribute__((target("avx512f,avx512dq")))
#include "backend/host/host_planes_tmpl.h"
#undef SIMD
#undef VECTOR
#undef TARGET
#endif

static const NAME(planes_t) * NAME(planes)(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512dq")) return &NAME(planes_avx512);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &NAME(planes_avx2);
#endif
    return &NAME(planes_any);
}

static R *NAME(element)(const NAME(chase_t) * f, int nv, int64_t i, int64_t j)
{
    return f->ab + nv * (i - j + j * f->ldab);
}

/* Column of m elements to planes, and zeros to their ends; and back. */
static void NAME(load)(int nv, int64_t m, int64_t ld, const R *from, R *re, R *im)
{
    for (int64_t r = 0; r < m; r++) re[r] = from[nv * r];
    for (int64_t r = m; r < ld; r++) re[r] = 0;
    if (nv == 1) return;
    for (int64_t r = 0; r < m; r++) im[r] = from[2 * r + 1];
    for (int64_t r = m; r < ld; r++) im[r] = 0;
}

static void NAME(store)(int nv, int64_t m, const R *re, const R *im, R *to)
{
    for (int64_t r = 0; r < m; r++) to[nv * r] = re[r];
    for (int64_t r = 0; nv == 2 && r < m; r++) to[2 * r + 1] = im[r];
}

/* x (planes re, im; m elements) := reflector (1, v), tau as LAPACK larfg's; -> beta. A column
 * that is nothing against a matrix of norm about 1 is dropped: its squares underflow. */
static R NAME(reflector)(int nv, int64_t m, R *re, R *im, R *tau)
{
    double below = 0, a = (double)re[0], b = nv == 2 ? (double)im[0] : 0;
    for (int64_t r = 1; r < m; r++) below += (double)re[r] * (double)re[r];
    for (int64_t r = 1; nv == 2 && r < m; r++) below += (double)im[r] * (double)im[r];
    double beta = -copysign(sqrt(a * a + b * b + below), a), nothing = 1e-140;
    tau[0] = tau[1] = 0;
    double sr = 0, si = 0;
    if ((below == 0 && b == 0) || fabs(beta) < nothing) {
        beta = a;
    } else {
        tau[0] = (R)((beta - a) / beta);
        tau[1] = (R)(-b / beta);
        double square = (a - beta) * (a - beta) + b * b; // sr + i si = 1 / (alpha - beta)
        sr = (a - beta) / square;
        si = -b / square;
    }
    for (int64_t r = 1; r < m; r++) {
        double x = (double)re[r], y = nv == 2 ? (double)im[r] : 0;
        re[r] = (R)(x * sr - y * si);
        if (nv == 2) im[r] = (R)(x * si + y * sr);
    }
    re[0] = 1;
    if (nv == 2) im[0] = 0;
    return (R)beta;
}

/* Rows [first, first + m) of D: below its diagonal to the planes, whose other part is 0. */
static void NAME(load_diagonal)(const NAME(chase_t) * f, int nv, int64_t first, int64_t m)
{
    for (int64_t c = 0; c < m; c++) {
        const R *from = NAME(element)(f, nv, first + c, first + c);
        R *re = f->d[0] + c * f->ld, *im = nv == 2 ? f->d[1] + c * f->ld : NULL;
        f->diag[c] = from[0];
        memset(re, 0, (size_t)(c + 1) * sizeof(R));
        if (nv == 2) memset(im, 0, (size_t)(c + 1) * sizeof(R));
        NAME(load)
        (nv, m - c - 1, f->ld - c - 1, from + nv, re + c + 1, nv == 2 ? im + c + 1 : NULL);
    }
}

static void NAME(store_diagonal)(const NAME(chase_t) * f, int nv, int64_t first, int64_t m)
{
    for (int64_t c = 0; c < m; c++) {
        R *to = NAME(element)(f, nv, first + c, first + c);
        const R *re = f->d[0] + c * f->ld + c + 1;
        to[0] = f->diag[c];
        if (nv == 2) to[1] = 0;
        NAME(store)(nv, m - c - 1, re, nv == 2 ? f->d[1] + c * f->ld + c + 1 : NULL, to + nv);
    }
}

/* Hop k of sweep q, number c of those on the way; keep: where its reflector goes, or NULL. */
static void NAME(hop)(NAME(chase_t) * f, const NAME(planes_t) * p, int nv, int64_t q, int64_t k,
                      int64_t c, R *keep)
{
    int64_t first = q + k * f->kd, m = mlai_min(f->kd, f->n - first), ld = f->ld;
    R *re = f->v[c][0], *im = f->v[c][1], *tau = f->tau[c];
    R *column = NAME(element)(f, nv, first, k == 0 ? q - 1 : first - f->kd);
    if (k == 0) {
        NAME(load)(nv, m, ld, column, re, im);
    } else {
        for (int64_t j = 0; j < f->kd; j++) NAME(load)
        (nv, m, ld, NAME(element)(f, nv, first, first - f->kd + j), f->b[0] + j * ld,
         nv == 2 ? f->b[1] + j * ld : NULL);
        p->right(nv, ld, f->kd, f->b, ld, f->v[c], tau, f->w);
        memcpy(re, f->b[0], (size_t)ld * sizeof(R));
        if (nv == 2) memcpy(im, f->b[1], (size_t)ld * sizeof(R));
    }
    R beta = NAME(reflector)(nv, m, re, im, tau);
    if (k > 0) {
        p->left(nv, ld, f->kd - 1, (R *const[2]){f->b[0] + ld, f->b[1] ? f->b[1] + ld : NULL}, ld,
                f->v[c], tau);
        for (int64_t j = 1; j < f->kd; j++) NAME(store)
        (nv, m, f->b[0] + j * ld, nv == 2 ? f->b[1] + j * ld : NULL,
         NAME(element)(f, nv, first, first - f->kd + j));
    }
    memset(column, 0, (size_t)(m * nv) * sizeof(R));
    column[0] = beta;
    NAME(load_diagonal)(f, nv, first, m);
    p->both(nv, ld, m, f->d, f->diag, ld, f->v[c], tau, f->w);
    NAME(store_diagonal)(f, nv, first, m);
    if (!keep) return;
    NAME(store)(nv, m, re, im, keep);
    for (int v = 0; v < nv; v++) keep[v] = tau[v];
}

static R *NAME(plane)(R **next, int64_t ld, int64_t cols)
{
    R *piece = *next;
    *next += ld * cols;
    return piece;
}

static NAME(chase_t) NAME(start)(const mlai_chase_t *t, int nv)
{
    enum { ROUND = 64 / sizeof(R) };
    int64_t kd = mlai_min(t->kd, t->n), ld = mlai_ceil_div(kd, ROUND) * ROUND;
    NAME(chase_t) f = {.n = t->n, .kd = kd, .ldab = t->ldab, .ld = ld, .ab = t->ab};
    R *next = t->work;
    f.diag = NAME(plane)(&next, ld, 1);
    for (int v = 0; v < nv; v++) {
        f.b[v] = NAME(plane)(&next, ld, kd);
        f.d[v] = NAME(plane)(&next, ld, kd);
        f.w[v] = NAME(plane)(&next, ld, 1);
        for (int c = 0; c < AHEAD; c++) f.v[c][v] = NAME(plane)(&next, ld, 1);
    }
    return f;
}

static void NAME(chase)(const mlai_chase_t *t, int nv)
{
    const NAME(planes_t) *p = NAME(planes)();
    NAME(chase_t) f = NAME(start)(t, nv);
    for (int64_t q0 = 1; q0 < f.n; q0 += AHEAD) {
        const int64_t count = mlai_min(AHEAD, f.n - q0);
        int64_t steps = mlai_chase_hops(f.n, f.kd, q0) + 2 * (count - 1);
        for (int64_t step = 0; step < steps; step++)
            for (int64_t c = 0; c < count; c++) {
                int64_t q = q0 + c, k = step - 2 * c;
                if (k < 0 || k >= mlai_chase_hops(f.n, f.kd, q)) continue;
                int64_t at = t->v ? mlai_chase_column(f.n, t->rank, t->nranks, q) : -1;
                int64_t row = q % MLAI_CHASE_GROUP + k * f.kd;
                NAME(hop)(&f, p, nv, q, k, c, at < 0 ? NULL : (R *)t->v + nv * (at + row));
            }
    }
}

static void NAME(tridiagonal)(const mlai_chase_t *t, int nv, double *diag, double *off)
{
    const R *ab = t->ab;
    for (int64_t j = 0; j < t->n; j++) diag[j] = (double)ab[nv * j * t->ldab];
    for (int64_t j = 0; j < t->n - 1; j++) off[j] = (double)ab[nv * (1 + j * t->ldab)];
}

/* ---- back ---------------------------------------------------------------------------------- */

/* Diamond k: v's columns, which are 0 before, and the taus on the diagonal of t. u: the element
 * of the group's block in the diamond's first row and sweep. */
static void NAME(unpack)(int nv, const diamonds_t *f, int64_t k, const R *u, int64_t ldu, R *v,
                         R *t)
{
    for (int64_t c = 0; c < f->width; c++) {
        int64_t m = mlai_min(f->kd, f->n - (f->first + c + k * f->kd));
        R *tau = t + nv * (c + c * f->width), *to = v + nv * (c + c * f->rows);
        const R *from = u + nv * (c + c * ldu);
        for (int p = 0; p < nv; p++) tau[p] = m > 0 ? from[p] : 0;
        if (m <= 0) continue;
        memcpy(to + nv, from + nv, (size_t)(nv * (m - 1)) * sizeof(R));
        to[0] = 1;
    }
}

/* T of H_0 H_1 ... = I - V T V^H out of s = V^H V and the taus on t's diagonal: t(0:c, c) =
 * -tau_c t(0:c, 0:c) s(0:c, c). */
static void NAME(larft)(int nv, int64_t width, const R *s, R *t)
{
    for (int64_t c = 0; c < width; c++) {
        R *column = t + nv * c * width;
        const R *sc = s + nv * c * width;
        R tr = column[nv * c], ti = nv == 2 ? column[2 * c + 1] : 0;
        for (int64_t i = 0; i < c; i++) {
            R re = 0, im = 0;
            for (int64_t l = i; l < c; l++) {
                const R *a = t + nv * (i + l * width), *b = sc + nv * l;
                re += a[0] * b[0];
                if (nv == 1) continue;
                re -= a[1] * b[1];
                im += a[0] * b[1] + a[1] * b[0];
            }
            column[nv * i] = -(tr * re - ti * im);
            if (nv == 2) column[2 * i + 1] = -(tr * im + ti * re);
        }
        for (int64_t i = c + 1; i < width; i++)
            for (int p = 0; p < nv; p++) column[nv * i + p] = 0;
    }
}
