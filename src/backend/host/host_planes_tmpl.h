/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_planes_tmpl.h: a reflector H = I - tau v v^H times a block, from the
 * right, from the left and from both sides, for one real type R and one vector width; included by
 * host_chase_tmpl.h with VECTOR (bytes), TARGET (a function attribute) and SIMD(f) defined. m is
 * a multiple of the vector's length. Planes of real and, for nv = 2, imaginary parts, so that no
 * element is shuffled; the order of every sum is that of the source. */

typedef R SIMD(vec) __attribute__((vector_size(VECTOR), aligned(sizeof(R)), may_alias));
#define V SIMD(vec)
enum { SIMD(lanes) = VECTOR / sizeof(R) };
#define LANES SIMD(lanes)
#define AT(p) (*(V *)(p))
#define INLINE static inline __attribute__((always_inline)) TARGET

INLINE R SIMD(total)(V x)
{
    R sum = 0;
    for (int l = 0; l < LANES; l++) sum += x[l];
    return sum;
}

/* y += c x */
INLINE void SIMD(axpy)(const int nv, int64_t m, R cr, R ci, const R *xr, const R *xi, R *yr,
                       R *yi)
{
    for (int64_t r = 0; r < m; r += LANES) {
        V re = AT(yr + r) + cr * AT(xr + r);
        if (nv == 2) {
            re -= ci * AT(xi + r);
            AT(yi + r) += cr * AT(xi + r) + ci * AT(xr + r);
        }
        AT(yr + r) = re;
    }
}

/* sum := x^H y */
INLINE void SIMD(dot)(const int nv, int64_t m, const R *xr, const R *xi, const R *yr, const R *yi,
                      R *sum)
{
    V re = {0}, im = {0};
    for (int64_t r = 0; r < m; r += LANES) {
        re += AT(xr + r) * AT(yr + r);
        if (nv == 1) continue;
        re += AT(xi + r) * AT(yi + r);
        im += AT(xr + r) * AT(yi + r) - AT(xi + r) * AT(yr + r);
    }
    sum[0] = SIMD(total)(re);
    sum[1] = nv == 2 ? SIMD(total)(im) : 0;
}

/* (re, im) := (a + b i) (c + d i) */
INLINE void SIMD(multiply)(R a, R b, R c, R d, R *re, R *im)
{
    *re = a * c - b * d;
    *im = a * d + b * c;
}

/* b (m x n) := b H; a: m */
INLINE void SIMD(right_of)(const int nv, int64_t m, int64_t n, R *const *b, int64_t ld,
                           R *const *v, const R *tau, R *const *a)
{
    for (int k = 0; k < nv; k++) memset(a[k], 0, (size_t)m * sizeof(R));
    for (int64_t c = 0; c < n; c++) SIMD(axpy)
    (nv, m, v[0][c], nv == 2 ? v[1][c] : 0, b[0] + c * ld, nv == 2 ? b[1] + c * ld : NULL, a[0],
     a[1]);
    for (int64_t c = 0; c < n; c++) { // -= tau conj(v_c) a
        R re, im;
        SIMD(multiply)(-tau[0], -tau[1], v[0][c], nv == 2 ? -v[1][c] : 0, &re, &im);
        SIMD(axpy)(nv, m, re, im, a[0], a[1], b[0] + c * ld, nv == 2 ? b[1] + c * ld : NULL);
    }
}

/* b (m x n) := H^H b */
INLINE void SIMD(left_of)(const int nv, int64_t m, int64_t n, R *const *b, int64_t ld,
                          R *const *v, const R *tau)
{
    for (int64_t c = 0; c < n; c++) {
        R *br = b[0] + c * ld, *bi = nv == 2 ? b[1] + c * ld : NULL, sum[2], re, im;
        SIMD(dot)(nv, m, v[0], v[1], br, bi, sum);
        SIMD(multiply)(-tau[0], tau[1], sum[0], sum[1], &re, &im);
        SIMD(axpy)(nv, m, re, im, v[0], v[1], br, bi);
    }
}

/* D := H^H D H, n x n, d its part below the diagonal and 0 elsewhere; w: m. With w = tau D v -
 * 1/2 |tau|^2 (v^H D v) v this is D - w v^H - v w^H. */
INLINE void SIMD(both_of)(const int nv, int64_t m, int64_t n, R *const *d, R *diag, int64_t ld,
                          R *const *v, const R *tau, R *const *w)
{
    R *wr = w[0], *wi = w[1], *vr = v[0], *vi = v[1], sum[2];
    for (int k = 0; k < nv; k++) memset(w[k], 0, (size_t)m * sizeof(R));
    for (int64_t c = 0; c < n; c++) {
        int64_t top = c / LANES * LANES;
        R *dr = d[0] + c * ld, *di = nv == 2 ? d[1] + c * ld : NULL;
        const R *xi = nv == 2 ? vi + top : NULL, *ei = nv == 2 ? di + top : NULL;
        SIMD(dot)(nv, m - top, dr + top, ei, vr + top, xi, sum);
        wr[c] += sum[0] + diag[c] * vr[c];
        if (nv == 2) wi[c] += sum[1] + diag[c] * vi[c];
        SIMD(axpy)
        (nv, m - top, vr[c], nv == 2 ? vi[c] : 0, dr + top, ei, wr + top,
         nv == 2 ? wi + top : NULL);
    }
    SIMD(dot)(nv, m, vr, vi, wr, wi, sum); // real
    R half = (R)-0.5 * (tau[0] * tau[0] + tau[1] * tau[1]) * sum[0];
    for (int64_t r = 0; r < m; r++) {
        R re = wr[r], im = nv == 2 ? wi[r] : 0;
        wr[r] = tau[0] * re - tau[1] * im + half * vr[r];
        if (nv == 2) wi[r] = tau[0] * im + tau[1] * re + half * vi[r];
    }
    for (int64_t c = 0; c < n; c++) {
        int64_t top = c / LANES * LANES;
        R *dr = d[0] + c * ld + top, *di = nv == 2 ? d[1] + c * ld + top : NULL;
        R vc = nv == 2 ? vi[c] : 0, wc = nv == 2 ? wi[c] : 0;
        SIMD(axpy)(nv, m - top, -vr[c], vc, wr + top, nv == 2 ? wi + top : NULL, dr, di);
        SIMD(axpy)(nv, m - top, -wr[c], wc, vr + top, nv == 2 ? vi + top : NULL, dr, di);
        diag[c] -= 2 * (vr[c] * wr[c] + vc * wc);
    }
}

static TARGET void SIMD(right)(int nv, int64_t m, int64_t n, R *const *b, int64_t ld, R *const *v,
                               const R *tau, R *const *a)
{
    if (nv == 1)
        SIMD(right_of)(1, m, n, b, ld, v, tau, a);
    else
        SIMD(right_of)(2, m, n, b, ld, v, tau, a);
}

static TARGET void SIMD(left)(int nv, int64_t m, int64_t n, R *const *b, int64_t ld, R *const *v,
                              const R *tau)
{
    if (nv == 1)
        SIMD(left_of)(1, m, n, b, ld, v, tau);
    else
        SIMD(left_of)(2, m, n, b, ld, v, tau);
}

static TARGET void SIMD(both)(int nv, int64_t m, int64_t n, R *const *d, R *diag, int64_t ld,
                              R *const *v, const R *tau, R *const *w)
{
    if (nv == 1)
        SIMD(both_of)(1, m, n, d, diag, ld, v, tau, w);
    else
        SIMD(both_of)(2, m, n, d, diag, ld, v, tau, w);
}

static const NAME(planes_t) SIMD(planes) = {SIMD(right), SIMD(left), SIMD(both)};

#undef V
#undef LANES
#undef AT
#undef INLINE
