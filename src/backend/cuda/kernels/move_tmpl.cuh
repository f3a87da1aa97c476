/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/move_tmpl.cuh: the kernels of move.cu for elements T (four_types.cuh).
 * WIDE: elements of a 16-byte word. A word that is partly outside is moved by elements. */
#define WIDE ((int)(16 / sizeof(T)))

static __device__ void NAME(lacpy_words)(const mlai_lacpy_args_t *a, int64_t j, mlai_span_t rows)
{
    const T *from = (const T *)a->a + j * a->lda;
    T *to = (T *)a->b + j * a->ldb;
    int64_t words = (rows.end + WIDE - 1) / WIDE;
    for (int64_t w = FIRST_ROW; w < words; w += STEP_ROWS) {
        uint4 value[MOVE_UNROLL];
#pragma unroll
        for (int u = 0; u < MOVE_UNROLL; u++) {
            int64_t i = (w + (int64_t)u * blockDim.x) * WIDE;
            if (i >= rows.first && i + WIDE <= rows.end) value[u] = *(const uint4 *)(from + i);
        }
#pragma unroll
        for (int u = 0; u < MOVE_UNROLL; u++) {
            int64_t i = (w + (int64_t)u * blockDim.x) * WIDE;
            if (i >= rows.first && i + WIDE <= rows.end)
                *(uint4 *)(to + i) = value[u];
            else
                for (int64_t r = i; r < i + WIDE; r++)
                    if (r >= rows.first && r < rows.end) to[r] = from[r];
        }
    }
}

static __device__ void NAME(lacpy_elements)(const mlai_lacpy_args_t *a, int64_t j,
                                            mlai_span_t rows)
{
    const T *from = (const T *)a->a + j * a->lda;
    T *to = (T *)a->b + j * a->ldb;
    for (int64_t w = FIRST_ROW; w < rows.end; w += STEP_ROWS) {
        T value[MOVE_UNROLL];
#pragma unroll
        for (int u = 0; u < MOVE_UNROLL; u++) {
            int64_t i = w + (int64_t)u * blockDim.x;
            if (i >= rows.first && i < rows.end) value[u] = from[i];
        }
#pragma unroll
        for (int u = 0; u < MOVE_UNROLL; u++) {
            int64_t i = w + (int64_t)u * blockDim.x;
            if (i >= rows.first && i < rows.end) to[i] = value[u];
        }
    }
}

extern "C" __global__ void KERNEL(lacpy)(const mlai_lacpy_args_t a)
{
    for (int64_t j = FIRST_COLUMN; j < a.n; j += STEP_COLUMNS) {
        mlai_span_t rows = part_rows(a.uplo, a.m, j);
        if (a.wide)
            NAME(lacpy_words)(&a, j, rows);
        else
            NAME(lacpy_elements)(&a, j, rows);
    }
}

extern "C" __global__ void KERNEL(fill)(const mlai_fill_args_t a)
{
    if (a.flag && *a.flag == 0) return;
    union {
        T element[WIDE];
        uint4 word;
    } off;
    T diag;
    for (int r = 0; r < WIDE; r++)
        if (a.nan)
            t_set_nan(&off.element[r]);
        else
            t_set(&off.element[r], (R)a.off);
    t_set(&diag, (R)a.diag);
    if (a.nan) diag = off.element[0];
    int wide = a.wide ? WIDE : 1;
    for (int64_t j = FIRST_COLUMN; j < a.n; j += STEP_COLUMNS) {
        mlai_span_t rows = part_rows(a.uplo, a.m, j);
        T *column = (T *)a.a + j * a.lda;
        for (int64_t w = FIRST_ROW; w * wide < rows.end; w += STEP_ROWS)
#pragma unroll
            for (int u = 0; u < MOVE_UNROLL; u++) {
                int64_t i = (w + (int64_t)u * blockDim.x) * wide;
                bool inside = i >= rows.first && i + wide <= rows.end;
                if (inside && wide > 1 && (j < i || j >= i + wide))
                    *(uint4 *)(column + i) = off.word;
                else
                    for (int64_t r = i; r < i + wide; r++)
                        if (r >= rows.first && r < rows.end)
                            column[r] = r == j ? diag : off.element[0];
            }
    }
}

/* Tile by tile through shared memory: whole lines are read and written. */
extern "C" __global__ void KERNEL(transpose)(const mlai_transpose_args_t a)
{
    enum { TILE = MLAI_TRANSPOSE_TILE(sizeof(T)) };
    __shared__ T tile[TILE][TILE + 1];
    const T *from = (const T *)a.a;
    T *to = (T *)a.b;
    int64_t down = (a.m + TILE - 1) / TILE, tiles = down * ((a.n + TILE - 1) / TILE);
    for (int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
        int64_t i0 = t % down * TILE, j0 = t / down * TILE;
#pragma unroll
        for (int c = 0; c < TILE; c += MLAI_TRANSPOSE_Y)
#pragma unroll
            for (int r = 0; r < TILE; r += MLAI_TRANSPOSE_X) {
                int64_t i = i0 + r + threadIdx.x, j = j0 + c + threadIdx.y;
                if (i < a.m && j < a.n)
                    tile[c + threadIdx.y][r + threadIdx.x] = from[i + j * a.lda];
            }
        __syncthreads();
#pragma unroll
        for (int r = 0; r < TILE; r += MLAI_TRANSPOSE_Y)
#pragma unroll
            for (int c = 0; c < TILE; c += MLAI_TRANSPOSE_X) {
                int64_t i = i0 + r + threadIdx.y, j = j0 + c + threadIdx.x;
                if (i < a.m && j < a.n) {
                    T value = tile[c + threadIdx.x][r + threadIdx.y];
                    to[j + i * a.ldb] = a.conjugate ? t_conj(value) : value;
                }
            }
        __syncthreads();
    }
}

/* A thread keeps its row and goes along the columns: one position for all of them. */
extern "C" __global__ void KERNEL(permute)(const mlai_permute_args_t a)
{
    const int64_t pieces = a.n / a.rows; // n is a multiple of rows
    for (int64_t w = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; w < pieces;
         w += (int64_t)gridDim.x * blockDim.x) {
        int64_t nat = w * a.rows, pos = row_position(&a, (uint32_t)nat);
        const T *from = (const T *)a.in + (a.forward ? nat : pos);
        T *to = (T *)a.out + (a.forward ? pos : nat);
        if (a.rows == WIDE) {
#pragma unroll MOVE_UNROLL
            for (int64_t j = FIRST_COLUMN; j < a.cols; j += STEP_COLUMNS)
                *(uint4 *)(to + j * a.ldout) = *(const uint4 *)(from + j * a.ldin);
        } else {
#pragma unroll MOVE_UNROLL
            for (int64_t j = FIRST_COLUMN; j < a.cols; j += STEP_COLUMNS)
                to[j * a.ldout] = from[j * a.ldin];
        }
    }
}

/* The order of the additions depends on n alone. */
extern "C" __global__ void KERNEL(log_diag)(const mlai_log_diag_args_t a)
{
    __shared__ double part[MLAI_DIAG_THREADS];
    const T *diag = (const T *)a.a;
    double sum = 0;
    for (int64_t j = threadIdx.x; j < a.n; j += MLAI_DIAG_THREADS)
        sum += log((double)t_real(diag[j * (a.lda + 1)]));
    part[threadIdx.x] = sum;
    for (int half = MLAI_DIAG_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    }
    if (threadIdx.x == 0) *a.acc += part[0];
}

/* cuSOLVER goes on when it meets a NaN; the first column of the factor with one is where LAPACK
 * stops. */
extern "C" __global__ void KERNEL(potrf_info)(const mlai_potrf_info_args_t a)
{
    __shared__ int64_t first[MLAI_DIAG_THREADS];
    const T *diag = (const T *)a.a;
    int64_t bad = *a.status > 0 ? *a.status - 1 : a.n;
    for (int64_t j = threadIdx.x; j < bad; j += MLAI_DIAG_THREADS)
        if (isnan(t_real(diag[j * (a.lda + 1)]))) bad = j;
    first[threadIdx.x] = bad;
    for (int half = MLAI_DIAG_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half && first[threadIdx.x + half] < first[threadIdx.x])
            first[threadIdx.x] = first[threadIdx.x + half];
    }
    if (threadIdx.x != 0) return;
    bad = first[0];
    *a.status = bad < a.n ? (int32_t)(bad + 1) : 0;
    if (bad < a.n && *a.info == 0) *a.info = (int32_t)(a.first + bad + 1);
}

#undef WIDE
