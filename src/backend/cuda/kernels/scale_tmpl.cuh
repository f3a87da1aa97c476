/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/scale_tmpl.cuh: norm, scaling and widening of reals T
 * (real_types.cuh). Grids of mlai_cuda_grid with one row a thread: x along rows, y along columns.
 */
#define ROW ((int64_t)blockIdx.x * blockDim.x + threadIdx.x)
#define ROWS ((int64_t)gridDim.x * blockDim.x)
#define COLUMN ((int64_t)blockIdx.y * blockDim.y + threadIdx.y)
#define COLUMNS ((int64_t)gridDim.y * blockDim.y)

/* The bits of |x| as a double order as |x| does, and NaN comes last: a maximum of integers, which
 * no order of blocks changes. */
extern "C" __global__ void KERNEL(norm_max)(const mlai_norm_max_args_t a)
{
    unsigned long long most = 0;
    for (int64_t j = COLUMN; j < a.n; j += COLUMNS)
        for (int64_t i = ROW; i < a.m; i += ROWS) {
            double x = fabs((double)((const T *)a.a)[i + j * a.lda]);
            unsigned long long bits = (unsigned long long)__double_as_longlong(x);
            if (bits > most) most = bits;
        }
    if (most > 0) atomicMax((unsigned long long *)a.out, most);
}

extern "C" __global__ void KERNEL(lascl)(const mlai_lascl_args_t a)
{
    for (int64_t j = COLUMN; j < a.n; j += COLUMNS)
        for (int64_t i = ROW; i < a.m; i += ROWS) {
            T *e = (T *)a.a + i + j * a.lda;
            *e = (T)((double)*e * a.factor);
        }
}

extern "C" __global__ void KERNEL(lacpy_real)(const mlai_lacpy_real_args_t a)
{
    for (int64_t j = COLUMN; j < a.n; j += COLUMNS)
        for (int64_t i = ROW; i < a.m; i += ROWS) {
            T *to = (T *)a.b + 2 * (i + j * a.ldb);
            to[0] = ((const T *)a.a)[i + j * a.lda];
            to[1] = 0;
        }
}

#undef ROW
#undef ROWS
#undef COLUMN
#undef COLUMNS
