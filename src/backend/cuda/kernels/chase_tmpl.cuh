/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/chase_tmpl.cuh: the sweeps of chase.cu for elements T over reals R
 * (four_types.cuh). `kd` is a constant where the functions are expanded: 32 or 64. */

/* A block's shared memory. v, w, z: a copy for each warp. */
typedef struct NAME(chase_place) {
    T *d;           /* D, all of it, [column][row], columns kd + 1 apart */
    T *bsum, *dsum; /* sums over a warp's columns, [warp][row] */
    T *v, *w, *z;
    T *late;          /* the element of B in its last row and column */
    int32_t *control; /* sweep; waits before the first, the second barrier of a hop that failed */
} NAME(chase_place_t);

MLAI_DEVICE NAME(chase_place_t) NAME(chase_place)(const int kd)
{
    const int warps = kd / 8, each = warps * kd, warp = (int)threadIdx.x / 32 % warps;
    NAME(chase_place_t) p;
    p.d = (T *)chase_shared();
    p.bsum = p.d + kd * (kd + 1);
    p.dsum = p.bsum + each;
    p.v = p.dsum + each + warp * kd;
    p.w = p.dsum + 2 * each + warp * kd;
    p.z = p.dsum + 3 * each + warp * 8;
    p.late = p.dsum + 3 * each + warps * 8;
    p.control = (int32_t *)(p.late + 1);
    return p;
}

/* Letter c of hop k: kd from the first row of B, one of D. */
MLAI_DEVICE mlai_chase_letter_t *NAME(chase_letter)(const mlai_chase_args_t *a, const int kd,
                                                    int32_t k, int c)
{
    enum { PLANES = sizeof(T) / sizeof(R) };
    return a->mail + ((int64_t)k * (kd + 1) + c) * PLANES;
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

/* A sweep as all threads of a block know it. */
typedef struct NAME(chase_sweep) {
    int64_t q;
    int32_t hops, before; /* its own, and those of the sweep before */
    T *column;            /* where its reflectors go, element q first; or NULL */
} NAME(chase_sweep_t);

/* A thread's part of a hop's blocks. */
typedef struct NAME(chase_part) {
    T b[2][8], d[2][8], x[2]; /* x: the column that becomes a reflector, or that of B */
} NAME(chase_part_t);

/* Whether hop k's last row comes by mail. */
MLAI_DEVICE bool NAME(chase_mailed)(const NAME(chase_sweep_t) * s, int32_t k)
{
    return k + 1 < s->before;
}

/* B and D of hop k, but for what comes by mail. */
MLAI_DEVICE void NAME(chase_load)(const mlai_chase_args_t *a, const int kd,
                                  const NAME(chase_sweep_t) * s, int32_t k,
                                  NAME(chase_part_t) * f)
{
    const int lane = (int)threadIdx.x % 32, c0 = (int)threadIdx.x / 32 * 8;
    const int64_t first = s->q + (int64_t)k * kd, step = a->t.ldab - 1;
    const int m = (int)mlai_least(NAME(chase_mailed)(s, k) ? kd - 1 : kd, a->t.n - first);
    const T *dp = (const T *)a->t.ab + first * a->t.ldab;
    const T *bp = k == 0 ? dp - step : dp - kd * step;
    T zero;
    t_set(&zero, (R)0);
#pragma unroll
    for (int q = 0; q < kd / 32; q++) {
        const int r = lane + 32 * q;
        f->x[q] = r < m ? __ldcg(bp + r) : zero;
#pragma unroll
        for (int i = 0; i < 8; i++)
            f->b[q][i] = k > 0 && r < m ? __ldcg(bp + r + (c0 + i) * step) : zero;
#pragma unroll
        for (int i = 0; i < 8; i++)
            f->d[q][i] = r < m && c0 + i <= r ? __ldcg(dp + r + (c0 + i) * step) : zero;
    }
}

/* D to shared memory, and sums of B v over the warp's columns, v of the hop before. */
MLAI_DEVICE void NAME(chase_deposit)(const int kd, const NAME(chase_place_t) * p, int32_t k,
                                     bool mailed, NAME(chase_part_t) * f)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, c0 = warp * 8;
    const int ld = kd + 1;
#pragma unroll
    for (int q = 0; q < kd / 32; q++) {
        const int r = lane + 32 * q;
        T sum;
        t_set(&sum, (R)0);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const int c = c0 + i;
            if (k > 0) sum = t_add_mul(sum, f->b[q][i], p->v[c]);
            if (c > r || (mailed && r == kd - 1)) continue;
            T value = f->d[q][i];
            if (c == r) t_set(&value, t_real(value));
            p->d[c * ld + r] = value;
            p->d[r * ld + c] = t_conj(value);
        }
        p->bsum[warp * kd + r] = sum;
    }
}

/* What has come by mail to its place; B := B H of the hop before, and its first column in x. */
MLAI_DEVICE void NAME(chase_right)(const int kd, const NAME(chase_place_t) * p, int32_t k,
                                   bool mailed, T tau, NAME(chase_part_t) * f)
{
    const int rows = kd / 32, warps = kd / 8;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, c0 = warp * 8;
    T one;
    t_set(&one, (R)1);
    if (mailed && k == 0 && lane == 31) f->x[rows - 1] = *p->late;
    if (mailed && k > 0 && lane == 31 && warp == warps - 1) f->b[rows - 1][7] = *p->late;
#pragma unroll
    for (int q = 0; q < rows && k > 0; q++) {
        const int r = lane + 32 * q;
        T sum;
        t_set(&sum, (R)0);
#pragma unroll
        for (int w = 0; w < warps; w++) sum = t_add(sum, p->bsum[w * kd + r]);
        if (mailed && r == kd - 1) sum = t_mul(*p->late, p->v[r]); // the row's only element
        sum = t_mul(tau, sum);
        f->x[q] = t_sub_mul(f->x[q], sum, one); // v_0 = 1
#pragma unroll
        for (int i = 0; i < 8; i++) f->b[q][i] = t_sub_mul(f->b[q][i], sum, t_conj(p->v[c0 + i]));
    }
}

/* B := H^H B goes out: its first row by mail, its first column as (beta, 0 ...). */
MLAI_DEVICE void NAME(chase_left)(const mlai_chase_args_t *a, const int kd,
                                  const NAME(chase_place_t) * p, const NAME(chase_sweep_t) * s,
                                  int32_t k, T tau, R beta, const NAME(chase_part_t) * f)
{
    const int rows = kd / 32, lane = (int)threadIdx.x % 32, c0 = (int)threadIdx.x / 32 * 8;
    const int64_t first = s->q + (int64_t)k * kd, step = a->t.ldab - 1;
    const int m = (int)mlai_least(kd, a->t.n - first);
    T *const bp = (T *)a->t.ab + first * a->t.ldab - kd * step;
    T z[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
        t_set(&z[i], (R)0);
#pragma unroll
        for (int q = 0; q < rows; q++) z[i] = t_add_mul(z[i], t_conj(f->x[q]), f->b[q][i]);
    }
    T mine = t_mul(t_conj(tau), NAME(chase_column_sums)(z));
    if (lane < 8) p->z[lane] = mine;
    __syncwarp();
#pragma unroll
    for (int q = 0; q < rows; q++) {
        const int r = lane + 32 * q;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            T value = t_sub_mul(f->b[q][i], f->x[q], p->z[i]);
            if (c0 + i == 0) t_set(&value, r == 0 ? beta : (R)0);
            if (r == 0)
                chase_send(NAME(chase_letter)(a, kd, k, c0 + i), value, (int32_t)s->q);
            else if (r < m)
                __stcg(bp + r + (c0 + i) * step, value);
        }
    }
}

/* The column of a sweep's first hop goes out. */
MLAI_DEVICE void NAME(chase_head)(const mlai_chase_args_t *a, const int kd,
                                  const NAME(chase_sweep_t) * s, R beta)
{
    const int m = (int)mlai_least(kd, a->t.n - s->q);
    T *const column = (T *)a->t.ab + (s->q - 1) * a->t.ldab + 1, value;
    const int r = (int)threadIdx.x; // the block has more threads than the column has rows
    t_set(&value, r == 0 ? beta : (R)0);
    if (r < m) __stcg(column + r, value);
}

/* From the first barrier to the second: the reflector, left in p->v and f->x, and its *tau; D
 * into f->d and sums of D v over the warp's columns; B goes out. */
MLAI_DEVICE void NAME(chase_reflect)(const mlai_chase_args_t *a, const int kd,
                                     const NAME(chase_place_t) * p, const NAME(chase_sweep_t) * s,
                                     int32_t k, NAME(chase_part_t) * f, T *tau)
{
    const int rows = kd / 32, warp = (int)threadIdx.x / 32, c0 = warp * 8, ld = kd + 1;
    const int lane = (int)threadIdx.x % 32;
    R beta;
    NAME(chase_right)(kd, p, k, NAME(chase_mailed)(s, k), *tau, f);
    __syncwarp(); // p->v has been read
    *tau = NAME(chase_reflector)(kd, f->x, &beta);
#pragma unroll
    for (int q = 0; q < rows; q++) p->v[lane + 32 * q] = f->x[q];
    __syncwarp();
#pragma unroll
    for (int q = 0; q < rows; q++) {
        const int r = lane + 32 * q;
        T sum;
        t_set(&sum, (R)0);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            f->d[q][i] = p->d[(c0 + i) * ld + r];
            sum = t_add_mul(sum, f->d[q][i], p->v[c0 + i]);
        }
        p->dsum[warp * kd + r] = sum;
    }
    if (k > 0)
        NAME(chase_left)(a, kd, p, s, k, *tau, beta, f);
    else
        NAME(chase_head)(a, kd, s, beta);
}

/* After the second barrier: D := H^H D H goes out. */
MLAI_DEVICE void NAME(chase_finish)(const mlai_chase_args_t *a, const int kd,
                                    const NAME(chase_place_t) * p, const NAME(chase_sweep_t) * s,
                                    int32_t k, const T d[][8], const T *x, T tau)
{
    const int rows = kd / 32, warps = kd / 8;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, c0 = warp * 8;
    const int64_t first = s->q + (int64_t)k * kd, step = a->t.ldab - 1;
    const int m = (int)mlai_least(kd, a->t.n - first);
    T *const dp = (T *)a->t.ab + first * a->t.ldab;
    T w[2];
    R dot = 0;
#pragma unroll
    for (int q = 0; q < rows; q++) {
        T sum;
        t_set(&sum, (R)0);
#pragma unroll
        for (int i = 0; i < warps; i++) sum = t_add(sum, p->dsum[i * kd + lane + 32 * q]);
        dot += t_real(t_mul(t_conj(x[q]), sum));
        w[q] = t_mul(tau, sum);
    }
    T half; // -1/2 |tau|^2 v^H D v
    t_set(&half, (R)-0.5 * t_square(tau) * NAME(chase_warp_sum)(dot));
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
            if (r == 0 && k > 0)
                chase_send(NAME(chase_letter)(a, kd, k, kd), value, (int32_t)s->q);
            else
                __stcg(dp + r + c * step, value);
        }
    }
    if (s->column && warp == warps - 1) {
        T *column = s->column + (int64_t)k * kd;
#pragma unroll
        for (int q = 0; q < rows; q++)
            if (lane + 32 * q < m) column[lane + 32 * q] = lane + 32 * q == 0 ? tau : x[q];
    }
}

/* A sweep by the warps that compute; false: a wait has failed. */
MLAI_DEVICE bool NAME(chase_compute)(const mlai_chase_args_t *a, const int kd,
                                     const NAME(chase_place_t) * p, const NAME(chase_sweep_t) * s)
{
    NAME(chase_part_t) f;
    T tau;
    t_set(&tau, (R)0);
    NAME(chase_load)(a, kd, s, 0, &f);
    for (int32_t k = 0; k < s->hops; k++) {
        T d[2][8], x[2];
        NAME(chase_deposit)(kd, p, k, NAME(chase_mailed)(s, k), &f);
        chase_meet();
        if (p->control[1]) return false;
        NAME(chase_reflect)(a, kd, p, s, k, &f, &tau);
        chase_meet();
        if (p->control[2]) return false;
#pragma unroll
        for (int q = 0; q < kd / 32; q++) {
            x[q] = f.x[q];
#pragma unroll
            for (int i = 0; i < 8; i++) d[q][i] = f.d[q][i];
        }
        if (k + 1 < s->hops) NAME(chase_load)(a, kd, s, k + 1, &f);
        NAME(chase_finish)(a, kd, p, s, k, d, x, tau);
    }
    chase_meet();
    return true;
}

/* The last row of hop k's D, and the last element of B, out of the mail of hop k + 1 of the sweep
 * before: its B's first row, then D's first element. By one warp. */
MLAI_DEVICE bool NAME(chase_receive)(const mlai_chase_args_t *a, const int kd,
                                     const NAME(chase_place_t) * p, int64_t q, int32_t k)
{
    const int ld = kd + 1;
    bool good = true;
    for (int c = (int)threadIdx.x % 32; c <= kd && good; c += 32) {
        T value;
        good = chase_open(a, NAME(chase_letter)(a, kd, k + 1, c), &value, (int32_t)q - 1);
        if (c == 0) *p->late = value;
        if (c > 0) p->d[(c - 1) * ld + kd - 1] = value;
        if (c > 0) p->d[(kd - 1) * ld + c - 1] = t_conj(value);
    }
    return __all_sync(0xffffffffu, good) != 0;
}

/* The warp that waits for the sweep before. */
MLAI_DEVICE bool NAME(chase_look)(const mlai_chase_args_t *a, const int kd,
                                  const NAME(chase_place_t) * p, const NAME(chase_sweep_t) * s)
{
    const bool leader = threadIdx.x % 32 == 0;
    int32_t seen = 0;
    for (int32_t k = 0; k < s->hops; k++) {
        bool good = !NAME(chase_mailed)(s, k) || NAME(chase_receive)(a, kd, p, s->q, k);
        if (leader && !good) p->control[1] = 1;
        __syncwarp();
        chase_meet();
        if (p->control[1]) return false;
        // What hop k + 1 loads: the sweep before has done its own hop k + 1.
        const int32_t wanted = k + 2 < s->before ? k + 2 : s->before;
        if (leader && k + 1 < s->hops && seen < wanted) {
            seen = chase_wait(a, a->done + s->q - 1, wanted);
            if (seen < 0) p->control[2] = 1;
        }
        __syncwarp();
        chase_meet();
        if (p->control[2]) return false;
    }
    chase_meet();
    return true;
}

/* The warp that tells how far the sweep has got. */
MLAI_DEVICE bool NAME(chase_tell)(const mlai_chase_args_t *a, const NAME(chase_place_t) * p,
                                  const NAME(chase_sweep_t) * s)
{
    for (int32_t k = 0; k <= s->hops; k++) {
        chase_meet();
        if (k < s->hops && p->control[1]) return false;
        if (threadIdx.x % 32 == 0 && k > 0) chase_release(a->done + s->q, k);
        __syncwarp();
        if (k == s->hops) break;
        chase_meet();
        if (p->control[2]) return false;
    }
    return true;
}

/* kd / 8 warps compute, one looks, one tells. */
MLAI_DEVICE void NAME(chase_sweeps)(const mlai_chase_args_t *a, const int kd)
{
    const NAME(chase_place_t) p = NAME(chase_place)(kd);
    const int64_t n = a->t.n;
    const int role = (int)threadIdx.x / 32 - kd / 8;
    for (bool good = true; good;) {
        if (role == 0 && threadIdx.x % 32 == 0) {
            const int32_t q = atomicAdd(a->next, 1) + 1;
            p.control[0] = q;
            p.control[1] = p.control[2] = 0;
            if (q > 1 && q < n && chase_wait(a, a->done + q - 1, 1) < 0) p.control[1] = 1;
        }
        __syncwarp();
        chase_meet();
        NAME(chase_sweep_t) s;
        s.q = p.control[0];
        if (s.q >= n || p.control[1]) return;
        const int64_t at = a->t.v ? mlai_chase_column(n, a->t.rank, a->t.nranks, s.q) : -1;
        s.hops = (int32_t)mlai_chase_hops(n, kd, s.q);
        s.before = s.q == 1 ? 0 : (int32_t)mlai_chase_hops(n, kd, s.q - 1);
        s.column = at < 0 ? (T *)0 : (T *)a->t.v + at + s.q % MLAI_CHASE_GROUP;
        if (role < 0)
            good = NAME(chase_compute)(a, kd, &p, &s);
        else if (role == 0)
            good = NAME(chase_look)(a, kd, &p, &s);
        else
            good = NAME(chase_tell)(a, &p, &s);
        __syncwarp();
    }
}

extern "C" __global__ void __launch_bounds__(192, 1)
    KERNEL(chase_sweeps32)(const mlai_chase_args_t a)
{
    NAME(chase_sweeps)(&a, 32);
}

extern "C" __global__ void __launch_bounds__(320, 1)
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
