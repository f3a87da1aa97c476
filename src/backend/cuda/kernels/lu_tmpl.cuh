/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/lu_tmpl.cuh: the kernels of lu.cu for elements T (four_types.cuh). */

extern "C" __global__ void KERNEL(pivot_list)(const mlai_pivot_list_args_t a)
{
    __shared__ int32_t first[MLAI_DIAG_THREADS], swaps[MLAI_DIAG_THREADS];
    const T *diag = (const T *)a.a;
    const int t = (int)threadIdx.x, n = a.n;
    int32_t bad = n, count = 0;
    for (int j = t; j < n; j += MLAI_DIAG_THREADS) {
        T d = diag[(int64_t)j * (a.lda + 1)];
        R size = fabs(t_real(d)) + fabs(t_imag(d));
        if (!(size > 0) && j < bad) bad = j;
        a.pivot[j] = (int32_t)(a.ipiv[j] - 1);
        count += a.pivot[j] != j;
    }
    first[t] = bad;
    swaps[t] = count;
    for (int half = MLAI_DIAG_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t >= half) continue;
        if (first[t + half] < first[t]) first[t] = first[t + half];
        swaps[t] += swaps[t + half];
    }
    __syncthreads();
    if (t == 0) {
        *a.nan = isnan(*a.norm);
        if (*a.nan) first[0] = 0;
        if (first[0] < n && a.state[0] == 0) a.state[0] = (int32_t)(a.first + first[0] + 1);
        a.state[1] += swaps[0];
    }
    lu_list(n, a.pivot, a.pivot + n, a.pivot + 2 * n, a.list);
}

/* t := the rows that enter the first n. */
extern "C" __global__ void KERNEL(laswp_take)(const mlai_laswp_args_t a)
{
    const T *from = (const T *)a.a;
    T *to = (T *)a.t;
    for (int64_t i = LU_ROW; i < a.n; i += LU_ROWS) {
        const int64_t row = a.list[i];
        for (int64_t j = LU_COLUMN; j < a.cols; j += LU_COLUMNS)
            to[i + j * a.n] = from[row + j * a.lda];
    }
}

/* The rows that leave the first n go to their places, those that enter come from t. */
extern "C" __global__ void KERNEL(laswp_put)(const mlai_laswp_args_t a)
{
    const T *from = (const T *)a.t;
    T *to = (T *)a.a;
    for (int64_t i = LU_ROW; i < a.n; i += LU_ROWS) {
        const int64_t row = a.list[a.n + i];
        for (int64_t j = LU_COLUMN; j < a.cols; j += LU_COLUMNS) {
            if (row >= 0) to[row + j * a.lda] = to[i + j * a.lda];
            to[i + j * a.lda] = from[i + j * a.n];
        }
    }
}

extern "C" __global__ void KERNEL(take_cols)(const mlai_cols_args_t a)
{
    for (int64_t j = LU_COLUMN; j < a.n; j += LU_COLUMNS) {
        const int64_t from = a.index[j];
        const T *column = (const T *)a.a + (from - a.lo) * a.lda;
        T *to = (T *)a.b + j * a.ldb, zero;
        t_set(&zero, (R)0);
        const bool inside = from >= a.lo && from < a.hi;
        for (int64_t i = LU_ROW; i < a.m; i += LU_ROWS) to[i] = inside ? column[i] : zero;
    }
}

extern "C" __global__ void KERNEL(put_cols)(const mlai_cols_args_t a)
{
    for (int64_t j = LU_COLUMN; j < a.n; j += LU_COLUMNS) {
        const int64_t to = a.index[j];
        if (to < a.lo || to >= a.hi) continue;
        const T *from = (const T *)a.a + j * a.lda;
        T *column = (T *)a.b + (to - a.lo) * a.ldb;
        for (int64_t i = LU_ROW; i < a.m; i += LU_ROWS) column[i] = from[i];
    }
}

/* z := z w / |z w|, or 0. */
MLAI_DEVICE void NAME(turn)(double2 *z, double2 w)
{
    double2 p = t_mul(*z, w);
    double size = hypot(p.x, p.y);
    if (size > 0) p.x /= size, p.y /= size;
    *z = p;
}

/* The order of sums and products depends on n alone. */
extern "C" __global__ void KERNEL(lu_det)(const mlai_lu_det_args_t a)
{
    __shared__ double part[MLAI_DIAG_THREADS];
    __shared__ double2 phase[MLAI_DIAG_THREADS];
    __shared__ int zeros;
    const T *diag = (const T *)a.diag;
    const int t = (int)threadIdx.x;
    double sum = 0;
    double2 z = make_double2(1.0, 0.0);
    if (t == 0) zeros = 0;
    __syncthreads();
    for (int64_t j = t; j < a.n; j += MLAI_DIAG_THREADS) {
        double2 w = make_double2((double)t_real(diag[j]), (double)t_imag(diag[j]));
        double size = hypot(w.x, w.y);
        if (size == 0) zeros = 1;
        sum += log(size);
        if (size > 0) w.x /= size, w.y /= size;
        NAME(turn)(&z, w);
    }
    part[t] = sum;
    phase[t] = z;
    for (int half = MLAI_DIAG_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t >= half) continue;
        part[t] += part[t + half];
        NAME(turn)(&phase[t], phase[t + half]);
    }
    if (t != 0) return;
    const double sign = *a.swaps % 2 ? -a.sign : a.sign;
    const bool invalid = isnan(part[0]), zero = zeros != 0;
    double none;
    mlai_set_nan(&none);
    a.det[0] = part[0];
    a.det[1] = invalid ? none : zero ? 0 : sign * phase[0].x;
    a.det[2] = invalid && sizeof(T) > sizeof(R) ? none : invalid || zero ? 0 : sign * phase[0].y;
}
