/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/qr_tmpl.cuh: the kernels of qr.cu for elements T over reals R.
 *
 * unhr: elimination without pivoting, Q - (S; 0) = V U, the signs S chosen on the way. Thread
 * (x, y) keeps the elements (x + 32 a, y + 32 b), a, b < 4, in registers. A step hands out column
 * and row j as they are, in one of two buffers, so that a step costs one barrier; each thread
 * divides what it needs. */
extern "C" __global__ void __launch_bounds__(MLAI_UNHR_THREADS)
    KERNEL(unhr)(const mlai_unhr_args_t a)
{
    enum { SIDE = MLAI_UNHR_SIDE, EACH = MLAI_UNHR_EACH };
    __shared__ double part[MLAI_UNHR_THREADS];
    __shared__ T column[2][SIDE * EACH], row[2][SIDE * EACH];
    __shared__ R signs[SIDE * EACH];
    __shared__ int doubtful;
    const int n = (int)a.n, x = (int)threadIdx.x % SIDE, y = (int)threadIdx.x / SIDE;
    T *q = (T *)a.q, *u = (T *)a.u, *r = (T *)a.r, *t = (T *)a.t, e[EACH][EACH];
    const R near =
        64 * (R)n * (sizeof(R) == 4 ? (R)5.9604644775390625e-8 : (R)1.1102230246251565e-16);
    if (threadIdx.x == 0) doubtful = 0;
    double sum = 0;
    const T *gram = (const T *)a.gram;
#pragma unroll
    for (int c = 0; c < EACH; c++)
#pragma unroll
        for (int b = 0; b < EACH; b++) {
            int i = x + b * SIDE, l = y + c * SIDE;
            t_set(&e[b][c], (R)0);
            if (i >= n || l >= n) continue;
            e[b][c] = q[i + l * a.ldq];
            if (i < l) continue;
            T g = gram[i + (int64_t)l * n];
            double re = (double)t_real(g) - (i == l ? 1.0 : 0.0), im = (double)t_imag(g);
            sum += (re * re + im * im) * (i == l ? 1.0 : 2.0);
        }
    part[threadIdx.x] = sum;
    if (y == 0)
        for (int b = 0; b < EACH; b++) column[0][x + b * SIDE] = e[b][0];
    if (x == 0)
        for (int c = 0; c < EACH; c++) row[0][y + c * SIDE] = e[0][c];
    for (int half = MLAI_UNHR_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    }
    __syncthreads();
    for (int j = 0; j < n; j++) {
        const T *col = column[j % 2], *here = row[j % 2], qjj = col[j];
        R re = t_real(qjj), im = t_imag(qjj);
        bool keep = a.last && j == n - 1 && im == 0;
        R s = (re < 0) == keep ? (R)-1 : (R)1;
        T pivot, inverse;
        t_set_parts(&pivot, keep ? (R)1 : re - s, im);
        inverse = t_inverse(pivot);
        if (x == j % SIDE && y == j % SIDE) {
            bool clear = keep || 1 - (re * re + im * im) > near;
            if (!clear) doubtful = 1;
            signs[j] = s;
            t_set_parts(&t[j + (int64_t)j * n], keep ? (R)0 : -s * t_real(pivot), s * im);
            u[j + (int64_t)j * n] = t_conj(pivot);
        }
#pragma unroll
        for (int b = 0; b < EACH; b++) {
            int i = x + b * SIDE;
            if (i <= j) continue;
            T l = t_mul(col[i], inverse);
#pragma unroll
            for (int c = 0; c < EACH; c++) {
                int k = y + c * SIDE;
                if (k > j) e[b][c] = t_sub_mul(e[b][c], l, here[k]);
                if (k == j) e[b][c] = l;
                if (k == j + 1) column[(j + 1) % 2][i] = e[b][c];
                if (i == j + 1) row[(j + 1) % 2][k] = e[b][c];
            }
        }
        for (int i = j + (int)threadIdx.x; i < n; i += MLAI_UNHR_THREADS) {
            T scaled, sign;
            t_set(&sign, s);
            scaled = t_mul(r[i + (int64_t)j * n], sign);
            r[i + (int64_t)j * n] = scaled;
        }
        __syncthreads();
    }
#pragma unroll
    for (int c = 0; c < EACH; c++)
#pragma unroll
        for (int b = 0; b < EACH; b++) {
            int i = x + b * SIDE, l = y + c * SIDE;
            if (i >= n || l >= n) continue;
            if (i < l) {
                T sign;
                t_set(&sign, -signs[l]);
                u[l + (int64_t)i * n] = t_conj(e[b][c]);
                t[l + (int64_t)i * n] = t_mul(sign, t_conj(e[b][c]));
            }
            if (i <= l) t_set(&e[b][c], i == l ? (R)1 : (R)0);
            q[i + l * a.ldq] = e[b][c];
        }
    if (threadIdx.x == 0) *a.flag = doubtful || !(part[0] <= 0.01);
}

/* Element l of the sum of the parts, in double. */
static __device__ double2 NAME(geqr2_sum)(const mlai_geqr2_args_t *a, int64_t l)
{
    T sum;
    t_set(&sum, (R)0);
    for (int b = 0; b < a->nblk; b++) sum = t_add(sum, ((const T *)a->part)[b * a->stride + l]);
    return make_double2((double)t_real(sum), (double)t_imag(sum));
}

/* A thread for each column; all form the scalars. */
extern "C" __global__ void KERNEL(geqr2)(const mlai_geqr2_args_t a)
{
    double2 y = NAME(geqr2_sum)(&a, 0), p = NAME(geqr2_sum)(&a, a.n);
    double beta = p.x;
    double2 tau = make_double2(0, 0), f = make_double2(0, 0);
    if (!(y.x == 0 && p.y == 0)) {
        beta = -copysign(sqrt(p.x * p.x + p.y * p.y + y.x), p.x);
        tau = make_double2((beta - p.x) / beta, -p.y / beta);
        double re = p.x - beta, d = re * re + p.y * p.y;
        f = make_double2(re / d, -p.y / d);
    }
    T *pivot = (T *)a.pivot, *coef = (T *)a.coef;
    if (threadIdx.x == 0) {
        t_set_parts((T *)a.tau, (R)tau.x, (R)tau.y);
        t_set_parts((T *)a.scale, (R)f.x, (R)f.y);
        t_set(&pivot[0], (R)beta);
        t_set(&coef[0], (R)0);
    }
    for (int64_t l = 1 + threadIdx.x; l < a.n; l += blockDim.x) {
        y = NAME(geqr2_sum)(&a, l);
        p = NAME(geqr2_sum)(&a, a.n + l);
        double2 s = t_add_mul(p, t_conj(f), y), z = t_mul(t_conj(tau), s), c = t_mul(z, f);
        t_set_parts(&pivot[l], (R)(p.x - z.x), (R)(p.y - z.y));
        t_set_parts(&coef[l], (R)c.x, (R)c.y);
    }
}
