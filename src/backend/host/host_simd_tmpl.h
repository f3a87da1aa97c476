/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_simd_tmpl.h: products with a few columns, one pass over them, for one
 * real type R and one vector width; included by host_trd_tmpl.h with VECTOR (bytes), TARGET (a
 * function attribute) and SIMD(f) defined.
 *
 * Columns are arrays of reals, m long, lda apart. With nv = 1 they are real. With nv = 2 they are
 * complex with interleaved parts, and no element is ever shuffled: the caller passes
 *
 *     x0 = x, x1 = -i x       sum over r of a[r] x0[r], a[r] x1[r] = the parts of a^H x
 *     y0 += a re(c)           y0 + i y1 = a c
 *     y1 += a im(c)
 *
 * coef and out hold nv reals a column, which for nv = 2 is a complex number.
 * The order of every sum is that of the source, whatever the alignment: ranks that do the same
 * get the same bits. */

typedef R SIMD(vec) __attribute__((vector_size(VECTOR), aligned(sizeof(R)), may_alias));
#define V SIMD(vec)
enum { SIMD(lanes) = VECTOR / sizeof(R) };
#define LANES SIMD(lanes)

/* nc columns; nc, nv, dot and axpy are constants of the callers below. */
static inline __attribute__((always_inline)) TARGET void SIMD(block)(
    const int nc, const int nv, const bool dot, const bool axpy, int64_t m, const R *a,
    int64_t lda, const R *const *x, const R *coef, R *const *y, R *out)
{
    V sum[2][8], c[2][8];
    for (int v = 0; v < nv; v++)
        for (int k = 0; k < nc; k++) {
            sum[v][k] = (V){0};
            c[v][k] = (V){0};
            if (axpy) c[v][k] += coef[k * nv + v];
        }
    int64_t r = 0;
    for (; r + LANES <= m; r += LANES) {
        V e[8];
        for (int k = 0; k < nc; k++) e[k] = *(const V *)(a + r + k * lda);
        for (int v = 0; v < nv; v++) {
            if (axpy) {
                V t = *(V *)(y[v] + r);
                for (int k = 0; k < nc; k++) t += e[k] * c[v][k];
                *(V *)(y[v] + r) = t;
            }
            if (dot) {
                V xv = *(const V *)(x[v] + r);
                for (int k = 0; k < nc; k++) sum[v][k] += e[k] * xv;
            }
        }
    }
    for (int v = 0; v < nv; v++)
        for (int k = 0; k < nc; k++) {
            R s = 0;
            for (int l = 0; dot && l < LANES; l++) s += sum[v][k][l];
            for (int64_t q = r; q < m; q++) {
                R e = a[q + k * lda];
                if (axpy) y[v][q] += e * coef[k * nv + v];
                if (dot) s += e * x[v][q];
            }
            if (dot) out[k * nv + v] += s;
        }
}

/* n columns in groups of nc, the rest one by one. */
static inline __attribute__((always_inline)) TARGET void SIMD(groups)(
    const int nc, const int nv, const bool dot, const bool axpy, int64_t m, int64_t n, const R *a,
    int64_t lda, const R *const *x, const R *coef, R *const *y, R *out)
{
    int64_t k = 0;
    for (; k + nc <= n; k += nc) SIMD(block)
    (nc, nv, dot, axpy, m, a + k * lda, lda, x, axpy ? coef + k * nv : coef, y,
     dot ? out + k * nv : out);
    for (; k < n; k++) SIMD(block)
    (1, nv, dot, axpy, m, a + k * lda, lda, x, axpy ? coef + k * nv : coef, y,
     dot ? out + k * nv : out);
}

/* out += a^H x and y += a c in one pass over a. */
static TARGET void SIMD(fused)(int nv, int64_t m, int64_t n, const R *a, int64_t lda,
                               const R *const *x, const R *coef, R *const *y, R *out)
{
    if (nv == 1)
        SIMD(groups)(8, 1, true, true, m, n, a, lda, x, coef, y, out);
    else
        SIMD(groups)(4, 2, true, true, m, n, a, lda, x, coef, y, out);
}

/* out += a^H x */
static TARGET void SIMD(dot)(int nv, int64_t m, int64_t n, const R *a, int64_t lda,
                             const R *const *x, R *out)
{
    if (nv == 1)
        SIMD(groups)(8, 1, true, false, m, n, a, lda, x, NULL, NULL, out);
    else
        SIMD(groups)(4, 2, true, false, m, n, a, lda, x, NULL, NULL, out);
}

/* y += a c */
static TARGET void SIMD(axpy)(int nv, int64_t m, int64_t n, const R *a, int64_t lda,
                              const R *coef, R *const *y)
{
    if (nv == 1)
        SIMD(groups)(8, 1, false, true, m, n, a, lda, NULL, coef, y, NULL);
    else
        SIMD(groups)(4, 2, false, true, m, n, a, lda, NULL, coef, y, NULL);
}

static const NAME(simd_t) SIMD(table) = {SIMD(fused), SIMD(dot), SIMD(axpy)};

#undef V
#undef LANES
