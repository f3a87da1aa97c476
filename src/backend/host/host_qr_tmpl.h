/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_qr_tmpl.h: steps of QR for one real type R; included by host_qr.c with R,
 * NAME(f) and UNIT, its unit roundoff, defined. Complex matrices are interleaved parts, nv = 2
 * reals an element. */

/* |gram - I| in Frobenius' norm is small enough for a second pass of Cholesky QR. */
static bool NAME(nearly_orthonormal)(const mlai_unhr_t *t, int nv)
{
    double sum = 0;
    for (int64_t j = 0; j < t->n; j++)
        for (int64_t i = j; i < t->n; i++) {
            const R *g = (const R *)t->gram + nv * (i + j * t->n);
            double re = (double)g[0] - (i == j), im = nv == 2 ? (double)g[1] : 0;
            sum += (re * re + im * im) * (i == j ? 1 : 2);
        }
    return sum <= 0.01;
}

/* x := x / (re + im i), m elements; |re| >= 1. */
static void NAME(divide)(int nv, int64_t m, R re, R im, R *x)
{
    R d = re * re + im * im, sr = re / d, si = -im / d;
    for (int64_t i = 0; nv == 1 && i < m; i++) x[i] /= re;
    for (int64_t i = 0; nv == 2 && i < m; i++) {
        R a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * sr - b * si;
        x[2 * i + 1] = a * si + b * sr;
    }
}

/* y -= c x, m elements. */
static void NAME(subtract)(int nv, int64_t m, const R *c, const R *x, R *y)
{
    for (int64_t i = 0; nv == 1 && i < m; i++) y[i] -= c[0] * x[i];
    for (int64_t i = 0; nv == 2 && i < m; i++) {
        y[2 * i] -= c[0] * x[2 * i] - c[1] * x[2 * i + 1];
        y[2 * i + 1] -= c[0] * x[2 * i + 1] + c[1] * x[2 * i];
    }
}

/* Column j of the elimination; whether its sign is beyond doubt. */
static bool NAME(unhr_column)(const mlai_unhr_t *t, int nv, int64_t j)
{
    int64_t n = t->n, ld = nv * t->ldq, below = n - j - 1;
    R *q = (R *)t->q + nv * j + j * ld, *u = (R *)t->u + nv * (j + j * n);
    R *r = (R *)t->r + nv * (j + j * n);
    R re = q[0], im = nv == 2 ? q[1] : 0;
    bool keep = t->last && below == 0 && im == 0;
    R s = (re < 0) == keep ? (R)-1 : 1;
    bool clear = keep || 1 - (re * re + im * im) > 64 * (R)n * (R)UNIT;
    u[0] = keep ? 1 : re - s;
    if (nv == 2) u[1] = -im;
    for (int64_t i = 0; i <= j; i++) // row j of -S U^H
        for (int v = 0; v < nv; v++) {
            int64_t at = nv * (j + i * n) + v;
            ((R *)t->t)[at] = keep && i == j ? 0 : -s * ((const R *)t->u)[at];
        }
    NAME(divide)(nv, below, re - s, im, q + nv);
    for (int64_t l = 1; l <= below; l++) {
        R *qjl = q + l * ld;
        u[nv * l] = qjl[0];
        if (nv == 2) u[2 * l + 1] = -qjl[1];
        NAME(subtract)(nv, below, qjl, q + nv, qjl + nv);
        qjl[0] = qjl[nv - 1] = 0;
    }
    q[nv - 1] = 0;
    q[0] = 1;
    for (int64_t i = 0; i < nv * (n - j); i++) r[i] *= s;
    return clear;
}

static void NAME(unhr)(const mlai_unhr_t *t, int nv)
{
    bool good = NAME(nearly_orthonormal)(t, nv);
    for (int64_t j = 0; j < t->n; j++) good = NAME(unhr_column)(t, nv, j) && good;
    *t->flag = !good;
}

/* Sum of element l of the parts. */
static void NAME(geqr2_sum)(const mlai_geqr2_t *t, int nv, int64_t l, double out[2])
{
    R sum[2] = {0, 0};
    for (int b = 0; b < t->nblk; b++)
        for (int v = 0; v < nv; v++) sum[v] += ((const R *)t->part)[nv * (b * t->stride + l) + v];
    out[0] = (double)sum[0];
    out[1] = (double)sum[1];
}

static void NAME(geqr2_put)(int nv, void *to, int64_t l, double re, double im)
{
    R *z = (R *)to + nv * l;
    z[0] = (R)re;
    if (nv == 2) z[1] = (R)im;
}

/* tau, beta and scale as LAPACK larfg's tau, beta and 1 / (alpha - beta). */
static void NAME(geqr2)(const mlai_geqr2_t *t, int nv)
{
    double y[2], p[2], tr = 0, ti = 0, fr = 0, fi = 0;
    NAME(geqr2_sum)(t, nv, 0, y);
    NAME(geqr2_sum)(t, nv, t->n, p);
    double beta = p[0];
    if (!(y[0] == 0 && p[1] == 0)) {
        beta = -copysign(sqrt(p[0] * p[0] + p[1] * p[1] + y[0]), p[0]);
        tr = (beta - p[0]) / beta;
        ti = -p[1] / beta;
        double ar = p[0] - beta, d = ar * ar + p[1] * p[1];
        fr = ar / d;
        fi = -p[1] / d;
    }
    NAME(geqr2_put)(nv, t->tau, 0, tr, ti);
    NAME(geqr2_put)(nv, t->scale, 0, fr, fi);
    NAME(geqr2_put)(nv, t->pivot, 0, beta, 0);
    NAME(geqr2_put)(nv, t->coef, 0, 0, 0);
    for (int64_t l = 1; l < t->n; l++) {
        NAME(geqr2_sum)(t, nv, l, y);
        NAME(geqr2_sum)(t, nv, t->n + l, p);
        double sr = p[0] + fr * y[0] + fi * y[1], si = p[1] + fr * y[1] - fi * y[0]; // v^H x_l
        double zr = tr * sr + ti * si, zi = tr * si - ti * sr; // conj(tau) v^H x_l
        NAME(geqr2_put)(nv, t->pivot, l, p[0] - zr, p[1] - zi);
        NAME(geqr2_put)(nv, t->coef, l, zr * fr - zi * fi, zr * fi + zi * fr);
    }
}
