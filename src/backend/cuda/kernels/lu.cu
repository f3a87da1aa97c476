/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/lu.cu: what LU factorisation does with rows and columns by index, the
 * list of a panel's row interchanges, the determinant. Loops run with the size of the grid. */
#include "backend/cuda/kernels/element.cuh"

#define LU_ROW ((int64_t)blockIdx.x * blockDim.x + threadIdx.x)
#define LU_ROWS ((int64_t)gridDim.x * blockDim.x)
#define LU_COLUMN ((int64_t)blockIdx.y * blockDim.y + threadIdx.y)
#define LU_COLUMNS ((int64_t)gridDim.y * blockDim.y)

/* The last step before i that has exchanged with row `row`, or -1. */
MLAI_DEVICE int32_t lu_last(const int32_t *pivot, int32_t i, int32_t row)
{
    do i--;
    while (i >= 0 && pivot[i] != row);
    return i;
}

/* Interchanges as a list, by all threads of a block. Step i exchanges rows i and pivot[i] >= i.
 * Before step i there is in row i what was in row `last` before step `last`, for the last step
 * that has exchanged with row i: the chain of such steps ends at the row of a that `held[i]`
 * names. Row i is final after step i. */
MLAI_DEVICE void lu_list(int32_t n, const int32_t *pivot, int32_t *link, int32_t *held,
                         int32_t *list)
{
    for (int32_t i = (int32_t)threadIdx.x; i < n; i += (int32_t)blockDim.x) {
        link[i] = lu_last(pivot, i, i);
        list[n + i] = -1;
    }
    __syncthreads();
    for (int32_t i = (int32_t)threadIdx.x; i < n; i += (int32_t)blockDim.x) {
        int32_t row = i;
        while (link[row] >= 0) row = link[row];
        held[i] = row;
    }
    __syncthreads();
    for (int32_t i = (int32_t)threadIdx.x; i < n; i += (int32_t)blockDim.x) {
        int32_t p = pivot[i], last = p == i ? i : lu_last(pivot, i, p), after = i + 1;
        list[i] = last >= 0 ? held[last] : p;
        while (after < n && pivot[after] != p) after++;
        if (p >= n && after == n) list[n + held[i]] = p;
    }
}

#define MLAI_TEMPLATE "backend/cuda/kernels/lu_tmpl.cuh"
#include "backend/cuda/kernels/four_types.cuh"
#undef MLAI_TEMPLATE

#undef LU_ROW
#undef LU_ROWS
#undef LU_COLUMN
#undef LU_COLUMNS
