/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/geqrt_tmpl.cuh: the kernels of geqrt.cu for elements T over reals R
 * (four_types.cuh). Small matrices: blocks of MLAI_GEQRT_THREADS = 32 x 32 threads. Tall ones:
 * tiles of ROWS rows in shared memory, blocks of MLAI_GEQRT_TALL = 256 threads, of which each has
 * rows r and r + HALF and COLS columns. */
enum {
    NAME(ROWS) = MLAI_GEQRT_ROWS(sizeof(T)),
    NAME(HALF) = NAME(ROWS) / 2,
    NAME(COLS) = 32 * NAME(HALF) / MLAI_GEQRT_TALL
};

MLAI_DEVICE T NAME(geqrt_real)(R re)
{
    T x;
    t_set(&x, re);
    return x;
}

/* x: element (warp, lane) of a positive definite matrix of order n. Out: above the diagonal U,
 * U^H U = matrix; on it and below, U^-H. *diag: U's diagonal element of this row. Whether all
 * pivots are positive. */
MLAI_DEVICE bool NAME(geqrt_chol)(int n, T *x, R *diag, T (*row)[32])
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    bool good = true;
    *diag = 1;
    for (int k = 0; k < n; k++) {
        if (warp == k) {
            double pivot = (double)t_real(t_shuffle(*x, k));
            if (!(pivot > 0)) {
                good = false;
                pivot = 1;
            }
            double root = sqrt(pivot);
            T inverse = NAME(geqrt_real)((R)(1 / root));
            *diag = (R)root;
            *x = lane == k ? inverse : t_mul(*x, inverse);
            row[k % 2][lane] = *x;
        }
        __syncthreads();
        if (warp > k) {
            T l = t_mul(t_shuffle(*x, k), row[k % 2][k]);
            T before = lane == k ? NAME(geqrt_real)(0) : *x;
            *x = t_sub_mul(before, l, row[k % 2][lane]);
        }
    }
    return good;
}

/* ---- tall matrices ------------------------------------------------------------------------- */

typedef struct NAME(geqrt_tile) {
    T x[32][NAME(ROWS) + 1], w[32][32]; /* by columns; by rows */
} NAME(geqrt_tile_t);

/* Rows from `row` on of an m x n matrix; zeros outside. */
MLAI_DEVICE void NAME(geqrt_load_tile)(NAME(geqrt_tile_t) * s, int64_t m, int n, int64_t row,
                                       const T *x, int64_t ld)
{
#pragma unroll 4
    for (int k = (int)threadIdx.x; k < 32 * NAME(ROWS); k += MLAI_GEQRT_TALL) {
        const int i = k % NAME(ROWS), j = k / NAME(ROWS);
        const bool in = j < n && row + i < m;
        s->x[j][i] = in ? x[row + i + j * ld] : NAME(geqrt_real)(0);
    }
}

MLAI_DEVICE void NAME(geqrt_load_w)(NAME(geqrt_tile_t) * s, int n, const T *w)
{
    for (int k = (int)threadIdx.x; k < 32 * 32; k += MLAI_GEQRT_TALL) {
        const int i = k % 32, j = k / 32;
        s->w[i][j] = i < n && j < n ? w[i + j * n] : NAME(geqrt_real)(0);
    }
}

/* The tile times w, to the same rows of `to` (m x n). keep: also to the tile. */
MLAI_DEVICE void NAME(geqrt_multiply)(NAME(geqrt_tile_t) * s, int64_t m, int n, int64_t row,
                                      T *to, int64_t ld, bool keep)
{
    const int r = (int)threadIdx.x % NAME(HALF), c = (int)threadIdx.x / NAME(HALF) * NAME(COLS);
    T sum[2][NAME(COLS)];
#pragma unroll
    for (int q = 0; q < NAME(COLS); q++) sum[0][q] = sum[1][q] = NAME(geqrt_real)(0);
    for (int k = 0; k < n; k++) {
        const T x0 = s->x[k][r], x1 = s->x[k][r + NAME(HALF)];
#pragma unroll
        for (int q = 0; q < NAME(COLS); q++) {
            const T w = s->w[k][c + q];
            sum[0][q] = t_add_mul(sum[0][q], x0, w);
            sum[1][q] = t_add_mul(sum[1][q], x1, w);
        }
    }
    if (keep) __syncthreads();
#pragma unroll
    for (int q = 0; q < NAME(COLS); q++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int64_t i = row + r + h * NAME(HALF);
            if (keep) s->x[c + q][r + h * NAME(HALF)] = sum[h][q];
            if (i < m && c + q < n) to[i + (c + q) * ld] = sum[h][q];
        }
}

/* Parts of A^H A; or, with `second`, Q = A w and parts of Q^H Q. A part is 32 x 32, by rows. */
extern "C" __global__ void __launch_bounds__(MLAI_GEQRT_TALL)
    KERNEL(geqrt_gram)(const mlai_geqrt_args_t a)
{
    __shared__ NAME(geqrt_tile_t) s;
    const int i = (int)threadIdx.x % 16, j = (int)threadIdx.x / 16, n = a.n;
    if (a.second && *a.bad) return;
    if (a.second) NAME(geqrt_load_w)(&s, n, (const T *)a.w);
    T sum[2][2], *part = (T *)a.part + (int64_t)blockIdx.x * 1024;
    for (int k = 0; k < 4; k++) sum[k / 2][k % 2] = NAME(geqrt_real)(0);
    for (int64_t row = (int64_t)blockIdx.x * NAME(ROWS); row < a.m;
         row += (int64_t)gridDim.x * NAME(ROWS)) {
        __syncthreads();
        NAME(geqrt_load_tile)(&s, a.m, n, row, (const T *)a.a, a.lda);
        __syncthreads();
        if (a.second) {
            NAME(geqrt_multiply)(&s, a.m, n, row, (T *)a.q, a.m, true);
            __syncthreads();
        }
#pragma unroll 4
        for (int r = 0; r < NAME(ROWS); r++) {
            const T p0 = t_conj(s.x[i][r]), p1 = t_conj(s.x[i + 16][r]);
            const T q0 = s.x[j][r], q1 = s.x[j + 16][r];
            sum[0][0] = t_add_mul(sum[0][0], p0, q0);
            sum[0][1] = t_add_mul(sum[0][1], p0, q1);
            sum[1][0] = t_add_mul(sum[1][0], p1, q0);
            sum[1][1] = t_add_mul(sum[1][1], p1, q1);
        }
    }
    for (int k = 0; k < 4; k++) part[(i + k / 2 * 16) * 32 + j + k % 2 * 16] = sum[k / 2][k % 2];
}

/* The rest of Y := Q M. */
extern "C" __global__ void __launch_bounds__(MLAI_GEQRT_TALL)
    KERNEL(geqrt_apply)(const mlai_geqrt_args_t a)
{
    __shared__ NAME(geqrt_tile_t) s;
    const int n = a.n;
    const int64_t rows = a.m - n;
    if (*a.bad) return;
    NAME(geqrt_load_w)(&s, n, (const T *)a.w);
    for (int64_t row = (int64_t)blockIdx.x * NAME(ROWS); row < rows;
         row += (int64_t)gridDim.x * NAME(ROWS)) {
        __syncthreads();
        NAME(geqrt_load_tile)(&s, rows, n, row, (const T *)a.q + n, a.m);
        __syncthreads();
        NAME(geqrt_multiply)(&s, rows, n, row, (T *)a.a + n, a.lda, false);
    }
}

/* ---- small matrices ------------------------------------------------------------------------ */

/* Element (warp, lane) of the sum of the parts, in their order; of the identity outside. The
 * triangle on and below the diagonal is read. */
MLAI_DEVICE T NAME(geqrt_sum_parts)(const mlai_geqrt_args_t *a, T (*s)[33])
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, n = a->n;
    const T *part = (const T *)a->part + threadIdx.x;
    T x = NAME(geqrt_real)(0);
    if (lane <= warp && warp < n) {
#pragma unroll 8
        for (int b = 0; b < a->parts; b++) x = t_add(x, part[b * 1024]);
    }
    s[warp][lane] = x;
    __syncthreads();
    if (lane > warp) x = t_conj(s[lane][warp]);
    if (lane >= n || warp >= n) x = NAME(geqrt_real)(lane == warp ? (R)1 : (R)0);
    return x;
}

/* Element (warp, lane) of an n x n matrix with leading dimension ld; of the identity outside. */
MLAI_DEVICE T NAME(geqrt_load)(int n, const void *from, int64_t ld)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    if (lane >= n || warp >= n) return NAME(geqrt_real)(lane == warp ? (R)1 : (R)0);
    return ((const T *)from)[warp + lane * ld];
}

/* The condition of A with its columns scaled to length 1, in the Frobenius norm, bounds the error
 * of A - Q R1 in units of eps: GOOD is what we take. Squares must not underflow. */
extern "C" __global__ void __launch_bounds__(MLAI_GEQRT_THREADS, 1)
    KERNEL(geqrt_first)(const mlai_geqrt_args_t a)
{
    __shared__ T row[2][32], sums[32][33];
    __shared__ R size[32];
    __shared__ double part[32];
    const double GOOD = 512, tiny = sizeof(R) == 4 ? 1e-30 : 1e-290;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, n = a.n;
    T x = NAME(geqrt_sum_parts)(&a, sums);
    R diag;
    if (lane == warp) size[lane] = t_real(x);
    __syncthreads();
    bool bad = !((double)size[lane] > tiny);
    if (!NAME(geqrt_chol)(n, &x, &diag, row)) bad = true;
    bool in = lane < n && warp < n;
    double square = in && lane <= warp ? (double)t_square(x) * (double)size[lane] : 0;
    square = geqrt_reduce(square, false, part) * n;
    if (!(square <= GOOD * GOOD)) bad = true;
    bad = __syncthreads_or(bad);
    if (threadIdx.x == 0) *a.bad = bad;
    if (!in) return;
    T zero = NAME(geqrt_real)(0);
    ((T *)a.r)[warp + lane * n] = lane > warp ? x : lane == warp ? NAME(geqrt_real)(diag) : zero;
    ((T *)a.w)[lane + warp * n] = lane <= warp ? t_conj(x) : zero;
}

/* What the threads of geqrt_second share. */
typedef struct NAME(geqrt_small) {
    T row[2][32], l[32][33], u[32][33]; /* l: U^-H of R2, above it R2; u: R1, then Y^-1 and U */
    T inverse[32];                      /* of U's diagonal */
    R diag[32], sign[32];
    double part[32];
} NAME(geqrt_small_t);

/* x: element (warp, lane) of Q R2^-1. Out: U, and Y1^-1 below; returns Y1's element. */
MLAI_DEVICE T NAME(geqrt_rebuild)(int n, T *x, NAME(geqrt_small_t) * s)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    T y = NAME(geqrt_real)(0);
    for (int k = 0; k < n; k++) {
        if (warp == k) {
            T pivot = t_shuffle(*x, k);
            R sign = t_real(pivot) >= 0 ? (R)-1 : (R)1;
            pivot = t_add(pivot, NAME(geqrt_real)(-sign));
            if (lane == k) *x = pivot;
            s->row[k % 2][lane] = lane == k ? NAME(geqrt_real)(1) : *x;
            if (lane == k) {
                s->inverse[k] = t_inverse(pivot);
                s->sign[k] = sign;
            }
        }
        __syncthreads();
        if (warp > k) {
            T m = t_mul(t_shuffle(*x, k), s->inverse[k]);
            T before = lane == k ? NAME(geqrt_real)(0) : *x;
            if (lane == k) y = m;
            *x = t_sub_mul(before, m, s->row[k % 2][lane]);
        }
    }
    return y;
}

/* Sum over k of left_k (lane k has it) and right(k) of this lane, first <= k < end. */
#define GEQRT_SUM(sum, first, end, left, right)                                 \
    do {                                                                        \
        sum = NAME(geqrt_real)(0);                                              \
        for (int k = 0; k < n; k++) {                                           \
            T left_k = t_shuffle(left, k);                                      \
            if (k >= (first) && k < (end)) sum = t_add_mul(sum, left_k, right); \
        }                                                                       \
    } while (0)

extern "C" __global__ void __launch_bounds__(MLAI_GEQRT_THREADS, 1)
    KERNEL(geqrt_second)(const mlai_geqrt_args_t a)
{
    __shared__ NAME(geqrt_small_t) s;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, n = a.n;
    if (*a.bad) return;
    T x = NAME(geqrt_sum_parts)(&a, s.l), one = NAME(geqrt_real)(1), zero = NAME(geqrt_real)(0);
    T q = NAME(geqrt_load)(n, a.q, a.m), r, t, sum;
    s.u[warp][lane] = NAME(geqrt_load)(n, a.r, n);
    R diag, away = t_square(lane == warp ? t_sub_mul(x, one, one) : x);
    const double most = geqrt_reduce(away <= 1 ? (double)away : 4.0, true, s.part);
    bool bad = most > 0.01;
    if (most * n < (sizeof(R) == 4 ? 1e-9 : 1e-18)) {
        // Q^H Q = I + E, and E^2 is nothing: R2 = I + (upper triangle of E, half its diagonal).
        R half = (R)0.5 * (t_real(x) - 1);
        diag = 1 + half;
        if (lane == warp) x = NAME(geqrt_real)(1 - half);
        if (lane < warp) x = t_sub_mul(zero, one, x);
    } else if (!NAME(geqrt_chol)(n, &x, &diag, s.row)) {
        bad = true;
    }
    bad = __syncthreads_or(bad);
    if (bad) {
        if (threadIdx.x == 0) *a.bad = 1;
        return;
    }
    s.l[warp][lane] = x;
    __syncthreads();
    // R2 R1; lanes from `warp` on of x are R2's row but for the diagonal.
    T upper = lane == warp ? NAME(geqrt_real)(diag) : x;
    GEQRT_SUM(r, warp, lane + 1, upper, s.u[k][lane]);
    GEQRT_SUM(sum, 0, lane + 1, q, t_conj(s.l[lane][k]));
    __syncthreads();
    T y = NAME(geqrt_rebuild)(n, &sum, &s);
    s.u[warp][lane] = sum;
    __syncthreads();
    // T = -U S Y1^-H
    T signed_u = t_mul(sum, NAME(geqrt_real)(lane < n ? -s.sign[lane] : (R)0));
    GEQRT_SUM(t, warp, lane + 1, signed_u, k == lane ? one : t_conj(s.u[lane][k]));
    // M = R2^-1 U^-1, by rows.
    T m = lane >= warp ? t_conj(s.l[lane][warp]) : zero;
    for (int k = 0; k < n; k++) {
        T mk = t_mul(t_shuffle(m, k), s.inverse[k]);
        if (lane == k) m = mk;
        if (lane > k) m = t_sub_mul(m, mk, s.u[k][lane]);
    }
    if (lane >= n || warp >= n) return;
    r = t_mul(r, NAME(geqrt_real)(s.sign[warp]));
    ((T *)a.a)[warp + lane * a.lda] = lane >= warp ? r : y;
    ((T *)a.t)[warp + lane * a.ldt] = lane >= warp ? t : zero;
    ((T *)a.w)[warp + lane * n] = m;
}
#undef GEQRT_SUM

/* ---- reflectors ---------------------------------------------------------------------------- */

typedef struct NAME(geqrt_panel) {
    T t[32][33], z[32]; /* T by rows; V^H v */
    double part[32];
} NAME(geqrt_panel_t);

/* Column x from row j on := beta and the reflector below; returns tau. As LAPACK larfg, with
 * squares of numbers that are scaled to about 1. */
MLAI_DEVICE T NAME(geqrt_reflect)(int64_t m, int64_t j, T *x, double *part)
{
    double most = 0, below = 0;
    for (int64_t i = j + threadIdx.x; i < m; i += MLAI_GEQRT_THREADS)
        most = fmax(most, fmax(fabs((double)t_real(x[i])), fabs((double)t_imag(x[i]))));
    int e = 0;
    (void)frexp(geqrt_reduce(most, true, part), &e);
    if (e < -1000) e = -1000;
    const double scale = ldexp(1.0, -e), re = (double)t_real(x[j]) * scale,
                 im = (double)t_imag(x[j]) * scale;
    for (int64_t i = j + 1 + threadIdx.x; i < m; i += MLAI_GEQRT_THREADS) {
        double p = (double)t_real(x[i]) * scale, q = (double)t_imag(x[i]) * scale;
        below += p * p + q * q;
    }
    below = geqrt_reduce(below, false, part);
    if (below == 0 && im == 0) return NAME(geqrt_real)(0);
    const double beta = -copysign(sqrt(re * re + im * im + below), re), ar = re - beta;
    const double d = ar * ar + im * im, sr = ar / d, si = -im / d;
    __syncthreads(); // all have read x[j]
    for (int64_t i = j + 1 + threadIdx.x; i < m; i += MLAI_GEQRT_THREADS) {
        double p = (double)t_real(x[i]) * scale, q = (double)t_imag(x[i]) * scale;
        t_set_parts(&x[i], (R)(p * sr - q * si), (R)(p * si + q * sr));
    }
    if (threadIdx.x == 0) x[j] = NAME(geqrt_real)((R)ldexp(beta, e));
    T tau;
    t_set_parts(&tau, (R)(-ar / beta), (R)(-im / beta));
    return tau;
}

/* Over rows j + 1 .. of two columns, by a warp: sum of conj(x) y, in all lanes. */
MLAI_DEVICE T NAME(geqrt_dot)(int64_t m, int64_t j, const T *x, const T *y)
{
    T sum = NAME(geqrt_real)(0);
#pragma unroll 4
    for (int64_t i = j + 1 + threadIdx.x % 32; i < m; i += 32)
        sum = t_add_mul(sum, t_conj(x[i]), y[i]);
#pragma unroll
    for (int with = 16; with > 0; with /= 2) sum = t_add(sum, t_shuffle_xor(sum, with));
    return sum;
}

/* Warp k: column k after j := H_j^H column k; before it: z_k. */
MLAI_DEVICE void NAME(geqrt_others)(const mlai_geqrt_args_t *a, int64_t j, T tau,
                                    NAME(geqrt_panel_t) * s)
{
    const int lane = (int)threadIdx.x % 32, k = (int)threadIdx.x / 32;
    T *v = (T *)a->a + j * a->lda, *x = (T *)a->a + k * a->lda;
    if (k < j) {
        T sum = NAME(geqrt_dot)(a->m, j, x, v);
        if (lane == 0) s->z[k] = t_add(sum, t_conj(x[j]));
    } else if (k > j && k < a->n) {
        T top = x[j], sum = t_add(NAME(geqrt_dot)(a->m, j, v, x), top);
        sum = t_mul(t_conj(tau), sum);
#pragma unroll 4
        for (int64_t i = j + 1 + lane; i < a->m; i += 32) x[i] = t_sub_mul(x[i], v[i], sum);
        T one = NAME(geqrt_real)(1);
        if (lane == 0) x[j] = t_sub_mul(top, one, sum);
    }
}

MLAI_DEVICE void NAME(geqrt_reflectors)(const mlai_geqrt_args_t *a, NAME(geqrt_panel_t) * s)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, n = a->n;
    s->t[warp][lane] = NAME(geqrt_real)(0);
    for (int j = 0; j < n; j++) {
        __syncthreads();
        T tau = NAME(geqrt_reflect)(a->m, j, (T *)a->a + j * a->lda, s->part);
        __syncthreads();
        NAME(geqrt_others)(a, j, tau, s);
        __syncthreads();
        if (warp > 0) continue;
        T sum = NAME(geqrt_real)(0);
        for (int k = 0; k < j; k++)
            if (lane <= k) sum = t_add_mul(sum, s->t[lane][k], s->z[k]);
        T zero = NAME(geqrt_real)(0);
        if (lane < j) s->t[lane][j] = t_sub_mul(zero, tau, sum);
        if (lane == j) s->t[lane][j] = tau;
    }
    __syncthreads();
    if (lane < n && warp < n) ((T *)a->t)[warp + lane * a->ldt] = s->t[warp][lane];
}

extern "C" __global__ void __launch_bounds__(MLAI_GEQRT_THREADS, 1)
    KERNEL(geqrt_finish)(const mlai_geqrt_args_t a)
{
    __shared__ NAME(geqrt_panel_t) s;
    if (*a.bad) NAME(geqrt_reflectors)(&a, &s);
}
