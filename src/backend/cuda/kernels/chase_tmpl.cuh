/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/chase_tmpl.cuh: the sweeps of chase.cu for elements T over reals R
 * (four_types.cuh). `kd` is a constant where the functions are expanded: 32 or 64. */

/* A block's shared memory. v, w, z: a copy for each warp. */
typedef struct NAME(chase_place) {
    T *d;           /* D, all of it, [column][row], columns kd + 1 apart */
    T *bsum, *dsum; /* sums over a warp's columns, [warp][row] */
    T *v, *w, *z;
    int32_t *control; /* sweep; a wait that failed */
} NAME(chase_place_t);

MLAI_DEVICE NAME(chase_place_t) NAME(chase_place)(const int kd)
{
    const int warps = kd / 8, each = warps * kd, warp = (int)threadIdx.x / 32;
    NAME(chase_place_t) p;
    p.d = (T *)chase_shared();
    p.bsum = p.d + kd * (kd + 1);
    p.dsum = p.bsum + each;
    p.v = p.dsum + each + warp * kd;
    p.w = p.dsum + 2 * each + warp * kd;
    p.z = p.dsum + 3 * each + warp * 8;
    p.control = (int32_t *)(p.dsum + 3 * each + warps * 8);
    return p;
}

MLAI_DEVICE R NAME(chase_warp_sum)(R x)
{
#pragma unroll
    for (int with = 16; with > 0; with /= 2) x += t_shuffle_xor(x, with);
    return x;
}

/* The column x, in lanes, becomes a reflector v, its first element 1; -> tau as LAPACK larfg's,
 * and beta. What is nothing against a matrix of norm about 1 is dropped: its square underflows.
 */
MLAI_DEVICE T NAME(chase_reflector)(const int kd, T *x, R *beta)
{
    const int lane = (int)threadIdx.x % 32;
    R below = lane == 0 ? (R)0 : t_square(x[0]);
    if (kd == 64) below += t_square(x[1]);
    below = NAME(chase_warp_sum)(below);
    const T alpha = t_shuffle(x[0], 0);
    const R re = t_real(alpha), im = t_imag(alpha),
            nothing = sizeof(R) == 4 ? (R)1e-15 : (R)1e-140;
    const R size = sqrt(t_square(alpha) + below);
    T tau, scale;
    t_set(&tau, (R)0);
    t_set(&scale, (R)0);
    *beta = re;
    if (!(below == 0 && im == 0) && !(size < nothing)) {
        const R b = re < 0 ? size : -size;
        *beta = b;
        t_set_parts(&tau, (b - re) / b, -im / b);
        t_set_parts(&scale, re - b, im);
        scale = t_inverse(scale);
    }
    for (int p = 0; p < kd / 32; p++) x[p] = t_mul(x[p], scale);
    if (lane == 0) t_set(&x[0], (R)1);
    return tau;
}

/* z_c = v^H B(:, c) for the warp's 8 columns, in lane c and those that follow it by 8. */
MLAI_DEVICE T NAME(chase_column_sums)(T *z)
{
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int half = 4; half > 0; half /= 2) {
        const bool upper = lane & half;
#pragma unroll
        for (int i = 0; i < half; i++) {
            T keep = upper ? z[i + half] : z[i], send = upper ? z[i] : z[i + half];
            z[i] = t_add(keep, t_shuffle_xor(send, half));
        }
    }
    T sum = t_add(z[0], t_shuffle_xor(z[0], 8));
    return t_add(sum, t_shuffle_xor(sum, 16));
}

/* A hop of a sweep, rows [first, first + m): the first one (head), or the one after that whose
 * reflector is in p->v and *tau. Out: its own there; column: where the sweep's reflectors go, its
 * element for row `first`, or NULL. Ends when all threads have issued their stores. */
MLAI_DEVICE void NAME(chase_hop)(const mlai_chase_args_t *a, const int kd,
                                 const NAME(chase_place_t) * p, int64_t first, bool head, T *tau,
                                 T *column)
{
    const int rows = kd / 32, warps = kd / 8, ld = kd + 1;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, c0 = warp * 8;
    const int m = (int)mlai_least(kd, a->t.n - first);
    const int64_t step = a->t.ldab - 1; // from (i, j) to (i, j + 1)
    T *const dp = (T *)a->t.ab + first * a->t.ldab;
    T *const bp =
        head ? dp - step : dp - kd * step; // (first, column before), (first, first - kd)
    T b[2][8], d[2][8], x[2], vp[8], zero, one;
    t_set(&zero, (R)0);
    t_set(&one, (R)1);
#pragma unroll
    for (int q = 0; q < rows; q++) {
        const int r = lane + 32 * q;
        x[q] = r < m ? __ldcg(bp + r) : zero;
#pragma unroll
        for (int i = 0; i < 8; i++)
            b[q][i] = !head && r < m ? __ldcg(bp + r + (c0 + i) * step) : zero;
    }
#pragma unroll
    for (int q = 0; q < rows; q++) {
        const int r = lane + 32 * q;
#pragma unroll
        for (int i = 0; i < 8; i++)
            d[q][i] = r < m && c0 + i <= r ? __ldcg(dp + r + (c0 + i) * step) : zero;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) vp[i] = head ? zero : p->v[c0 + i];
#pragma unroll
    for (int q = 0; q < rows; q++) {
        const int r = lane + 32 * q;
        T sum = zero;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const int c = c0 + i;
            sum = t_add_mul(sum, b[q][i], vp[i]);
            if (c > r) continue;
            if (c == r) t_set(&d[q][i], t_real(d[q][i]));
            p->d[c * ld + r] = d[q][i];
            p->d[r * ld + c] = t_conj(d[q][i]);
        }
        p->bsum[warp * kd + r] = sum;
    }
    __syncthreads(); // bsum and D are there; the v of the hop before has been read
#pragma unroll
    for (int q = 0; q < rows && !head; q++) {
        T sum = zero;
#pragma unroll
        for (int w = 0; w < warps; w++) sum = t_add(sum, p->bsum[w * kd + lane + 32 * q]);
        sum = t_mul(*tau, sum);
        x[q] = t_sub_mul(x[q], sum, one); // v_0 = 1
#pragma unroll
        for (int i = 0; i < 8; i++) b[q][i] = t_sub_mul(b[q][i], sum, t_conj(vp[i]));
    }
    R beta;
    *tau = NAME(chase_reflector)(kd, x, &beta);
#pragma unroll
    for (int q = 0; q < rows; q++) p->v[lane + 32 * q] = x[q];
    __syncwarp();
#pragma unroll
    for (int q = 0; q < rows; q++) {
        const int r = lane + 32 * q;
        T sum = zero;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            d[q][i] = p->d[(c0 + i) * ld + r];
            sum = t_add_mul(sum, d[q][i], p->v[c0 + i]);
        }
        p->dsum[warp * kd + r] = sum;
    }
    if (!head) {
        T z[8];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            z[i] = zero;
#pragma unroll
            for (int q = 0; q < rows; q++) z[i] = t_add_mul(z[i], t_conj(x[q]), b[q][i]);
        }
        T mine = t_mul(t_conj(*tau), NAME(chase_column_sums)(z));
        if (lane < 8) p->z[lane] = mine;
        __syncwarp();
    }
#pragma unroll
    for (int q = 0; q < rows; q++) {
        const int r = lane + 32 * q;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const int c = c0 + i;
            if (head && c > 0) continue;
            T value = zero;
            if (c == 0)
                t_set(&value, r == 0 ? beta : (R)0);
            else
                value = t_sub_mul(b[q][i], x[q], p->z[i]);
            if (r < m) __stcg(bp + r + c * step, value);
        }
    }
    __syncthreads(); // dsum is there
    T w[2];
    R dot = 0;
#pragma unroll
    for (int q = 0; q < rows; q++) {
        T sum = zero;
#pragma unroll
        for (int k = 0; k < warps; k++) sum = t_add(sum, p->dsum[k * kd + lane + 32 * q]);
        dot += t_real(t_mul(t_conj(x[q]), sum));
        w[q] = t_mul(*tau, sum);
    }
    T half; // -1/2 |tau|^2 v^H D v
    t_set(&half, (R)-0.5 * t_square(*tau) * NAME(chase_warp_sum)(dot));
#pragma unroll
    for (int q = 0; q < rows; q++) {
        w[q] = t_add_mul(w[q], half, x[q]);
        p->w[lane + 32 * q] = w[q];
    }
    __syncwarp();
#pragma unroll
    for (int q = 0; q < rows; q++) {
        const int r = lane + 32 * q;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const int c = c0 + i;
            if (c > r || r >= m) continue;
            T value = t_sub_mul(d[q][i], x[q], t_conj(p->w[c]));
            value = t_sub_mul(value, w[q], t_conj(p->v[c]));
            if (c == r) t_set(&value, t_real(value));
            __stcg(dp + r + c * step, value);
        }
    }
    if (column && warp == warps - 1) {
#pragma unroll
        for (int q = 0; q < rows; q++)
            if (lane + 32 * q < m) column[lane + 32 * q] = lane + 32 * q == 0 ? *tau : x[q];
    }
    __syncthreads();
}

MLAI_DEVICE void NAME(chase_sweeps)(const mlai_chase_args_t *a, const int kd)
{
    const NAME(chase_place_t) p = NAME(chase_place)(kd);
    const int64_t n = a->t.n;
    const bool leader = threadIdx.x == 0;
    for (;;) {
        if (leader) p.control[0] = atomicAdd(a->next, 1) + 1;
        if (leader) p.control[1] = 0;
        __syncthreads();
        const int64_t q = p.control[0];
        if (q >= n) return;
        const int32_t hops = (int32_t)mlai_chase_hops(n, kd, q);
        const int32_t before = q == 1 ? 0 : (int32_t)mlai_chase_hops(n, kd, q - 1);
        const int64_t at = a->t.v ? mlai_chase_column(n, a->t.rank, a->t.nranks, q) : -1;
        T *column = at < 0 ? (T *)0 : (T *)a->t.v + at + q % MLAI_CHASE_GROUP;
        T tau;
        int32_t seen = 0;
        for (int32_t k = 0; k < hops; k++) {
            const int32_t wanted = (int32_t)mlai_least(k + 2, before);
            if (leader && seen < wanted) {
                seen = chase_wait(a, a->done + q - 1, wanted);
                if (seen < 0) p.control[1] = 1;
            }
            __syncthreads();
            if (p.control[1]) return;
            NAME(chase_hop)(a, kd, &p, q + (int64_t)k * kd, k == 0, &tau, column);
            if (column) column += kd;
            if (leader) chase_release(a->done + q, k + 1);
        }
    }
}

extern "C" __global__ void __launch_bounds__(128)
    KERNEL(chase_sweeps32)(const mlai_chase_args_t a)
{
    NAME(chase_sweeps)(&a, 32);
}

extern "C" __global__ void __launch_bounds__(256)
    KERNEL(chase_sweeps64)(const mlai_chase_args_t a)
{
    NAME(chase_sweeps)(&a, 64);
}

extern "C" __global__ void KERNEL(chase_tridiagonal)(const mlai_chase_args_t a)
{
    const T *ab = (const T *)a.t.ab;
    const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= a.t.n) return;
    a.diag[j] = (double)t_real(ab[j * a.t.ldab]);
    if (j < a.t.n - 1) a.off[j] = (double)t_real(ab[1 + j * a.t.ldab]);
}
