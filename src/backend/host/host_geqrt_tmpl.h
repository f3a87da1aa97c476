/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_geqrt_tmpl.h: QR of a panel for one real type R; included by
 * host_trd_tmpl.h. A complex matrix is handled as there, nv = 2 reals an element.
 *
 * Left-looking, so that every step is a product with the columns before:
 *
 *     a_j := (I - V T^H V^H) a_j;   v_j, tau_j of what is below row j;   t_j := -tau_j T V^H v_j
 */

/* z += a b, or z += conj(a) b */
static void NAME(multiply)(int nv, R *z, const R *a, const R *b, bool conjugate)
{
    R im = nv == 2 ? (conjugate ? -a[1] : a[1]) : 0;
    z[0] += a[0] * b[0];
    if (nv == 1) return;
    z[0] -= im * b[1];
    z[1] += a[0] * b[1] + im * b[0];
}

/* The panel, and scratch: x1, y1 as in host_simd_tmpl.h, y and z of n elements. */
typedef struct NAME(qr) {
    const NAME(simd_t) * simd;
    int nv;
    int64_t m, ld, ldt; /* ld, ldt in reals */
    R *a, *t, *x1, *y1, *y, *z;
} NAME(qr_t);

/* y := V^H x over the columns before j, where x is column j from row j on and `top` what it has
 * above that row. */
static void NAME(qr_dots)(const NAME(qr_t) * q, int64_t j, const R *x, const R *top)
{
    int nv = q->nv;
    int64_t rows = q->m - j;
    for (int64_t r = 0; nv == 2 && r < rows; r++) {
        q->x1[2 * r] = x[2 * r + 1];
        q->x1[2 * r + 1] = -x[2 * r];
    }
    const R *const xs[2] = {x, q->x1};
    memset(q->y, 0, (size_t)(nv * j) * sizeof(R));
    q->simd->dot(nv, nv * rows, j, q->a + nv * j, q->ld, xs, q->y);
    for (int64_t k = 0; top && k < j; k++) {
        for (int v = 0; v < nv; v++) q->y[nv * k + v] += top[nv * k + v];
        for (int64_t r = k + 1; r < j; r++)
            NAME(multiply)(nv, q->y + nv * k, q->a + nv * r + k * q->ld, top + nv * r, true);
    }
}

/* Column j := (I - V T^H V^H) column j. */
static void NAME(qr_apply)(const NAME(qr_t) * q, int64_t j)
{
    int nv = q->nv;
    R *x = q->a + j * q->ld, *below = x + nv * j;
    NAME(qr_dots)(q, j, below, x);
    memset(q->z, 0, (size_t)(nv * j) * sizeof(R));
    for (int64_t k = 0; k < j; k++) // z := -T^H y
        for (int64_t i = 0; i <= k; i++)
            NAME(multiply)(nv, q->z + nv * k, q->t + nv * i + k * q->ldt, q->y + nv * i, true);
    for (int64_t k = 0; k < nv * j; k++) q->z[k] = -q->z[k];
    for (int64_t k = 0; k < j; k++) {
        for (int v = 0; v < nv; v++) x[nv * k + v] += q->z[nv * k + v];
        for (int64_t i = 0; i < k; i++)
            NAME(multiply)(nv, x + nv * k, q->a + nv * k + i * q->ld, q->z + nv * i, false);
    }
    int64_t rows = q->m - j;
    R *const ys[2] = {below, q->y1};
    if (nv == 2) memset(q->y1, 0, (size_t)rows * 2 * sizeof(R));
    q->simd->axpy(nv, nv * rows, j, q->a + nv * j, q->ld, q->z, ys);
    for (int64_t r = 0; nv == 2 && r < rows; r++) {
        below[2 * r] -= q->y1[2 * r + 1];
        below[2 * r + 1] += q->y1[2 * r];
    }
}

/* x (rows elements) := beta and, below, the reflector (1, v) without its 1; as LAPACK larfg, with
 * squares of numbers that are scaled to about 1. */
static void NAME(qr_reflect)(int nv, int64_t rows, R *x, R *tau)
{
    double most = 0, below = 0;
    for (int64_t k = 0; k < nv * rows; k++) most = fmax(most, fabs((double)x[k]));
    int e = 0;
    (void)frexp(most, &e);
    if (e < -1000) e = -1000;
    double scale = ldexp(1, -e), re = (double)x[0] * scale, im = 0;
    if (nv == 2) im = (double)x[1] * scale;
    for (int64_t k = nv; k < nv * rows; k++) {
        double y = (double)x[k] * scale;
        below += y * y;
    }
    tau[0] = tau[nv - 1] = 0;
    if (below == 0 && im == 0) return;
    double beta = -copysign(sqrt(re * re + im * im + below), re), ar = re - beta;
    double d = ar * ar + im * im, sr = ar / d, si = -im / d;
    for (int64_t r = 1; nv == 1 && r < rows; r++) x[r] = (R)((double)x[r] * scale * sr);
    for (int64_t r = 1; nv == 2 && r < rows; r++) {
        double a = (double)x[2 * r] * scale, b = (double)x[2 * r + 1] * scale;
        x[2 * r] = (R)(a * sr - b * si);
        x[2 * r + 1] = (R)(a * si + b * sr);
    }
    x[0] = (R)ldexp(beta, e);
    tau[0] = (R)(-ar / beta);
    if (nv == 2) x[1] = 0;
    if (nv == 2) tau[1] = (R)(-im / beta);
}

/* Column j of T, whose tau is there. */
static void NAME(qr_factor)(const NAME(qr_t) * q, int64_t j)
{
    int nv = q->nv;
    R *x = q->a + nv * j + j * q->ld, *t = q->t + j * q->ldt, *tau = t + nv * j;
    R keep[2] = {x[0], x[nv - 1]};
    x[0] = 1;
    if (nv == 2) x[1] = 0;
    NAME(qr_dots)(q, j, x, NULL);
    x[nv - 1] = keep[1];
    x[0] = keep[0];
    memset(q->z, 0, (size_t)(nv * j) * sizeof(R));
    for (int64_t i = 0; i < j; i++)
        for (int64_t k = i; k < j; k++)
            NAME(multiply)(nv, q->z + nv * i, q->t + nv * i + k * q->ldt, q->y + nv * k, false);
    memset(t, 0, (size_t)(nv * j) * sizeof(R));
    for (int64_t i = 0; i < j; i++) NAME(multiply)(nv, t + nv * i, q->z + nv * i, tau, false);
    for (int64_t i = 0; i < nv * j; i++) t[i] = -t[i];
}

static void NAME(geqrt)(int nv, int64_t m, int64_t n, R *a, int64_t lda, R *t, int64_t ldt,
                        R *scratch)
{
    NAME(qr_t)
    q = {.simd = NAME(simd)(), .nv = nv, .m = m, .ld = nv * lda, .ldt = nv * ldt, .a = a, .t = t};
    q.x1 = scratch;
    q.y1 = q.x1 + 2 * m;
    q.y = q.y1 + 2 * m;
    q.z = q.y + 2 * n;
    for (int64_t j = 0; j < n; j++) {
        R *tau = t + nv * j + j * q.ldt;
        if (j > 0) NAME(qr_apply)(&q, j);
        NAME(qr_reflect)(nv, m - j, a + nv * j + j * q.ld, tau);
        NAME(qr_factor)(&q, j);
        memset(tau + nv, 0, (size_t)(nv * (n - j - 1)) * sizeof(R));
    }
}
