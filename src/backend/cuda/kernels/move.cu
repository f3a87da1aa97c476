/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/move.cu: kernels that are bound by memory: copies of parts, constants,
 * NaN, transposes, row permutations, sums, and what is read off a diagonal.
 *
 * Blocks are (tx, ty): x runs over rows, y over columns, and both loop with the size of the grid,
 * so any grid is right; mlai_cuda_grid chooses. A thread has MOVE_UNROLL loads in flight before
 * its first store, each of 16 bytes where the arguments allow it. */
#include "backend/cuda/kernels/element.cuh"
#include "backend/cuda/kernels/position.cuh"

enum { MOVE_UNROLL = 4 };

/* Rows [first, end) of column j belong to the part. */
typedef struct mlai_span {
    int64_t first, end;
} mlai_span_t;

MLAI_DEVICE mlai_span_t part_rows(int uplo, int64_t m, int64_t j)
{
    mlai_span_t span;
    span.first = uplo == 'L' ? mlai_least(j, m) : 0;
    span.end = uplo == 'U' ? mlai_least(j + 1, m) : m;
    return span;
}

#define FIRST_ROW ((int64_t)blockIdx.x * blockDim.x * MOVE_UNROLL + threadIdx.x)
#define STEP_ROWS ((int64_t)gridDim.x * blockDim.x * MOVE_UNROLL)
#define FIRST_COLUMN ((int64_t)blockIdx.y * blockDim.y + threadIdx.y)
#define STEP_COLUMNS ((int64_t)gridDim.y * blockDim.y)

/* Position of natural row i in elimination order. */
MLAI_DEVICE uint32_t row_position(const mlai_permute_args_t *a, uint32_t i)
{
    uint32_t lc = (uint32_t)a->lc, nb = (uint32_t)a->nb, p = i / lc, jl = i - p * lc, s = jl / nb;
    return mlai_slot_position(lc, nb, (uint32_t)a->full, (uint32_t)a->rest, p, s) + (jl - s * nb);
}

#define MLAI_TEMPLATE "backend/cuda/kernels/move_tmpl.cuh"
#include "backend/cuda/kernels/four_types.cuh"
#undef MLAI_TEMPLATE

#define MLAI_TEMPLATE "backend/cuda/kernels/sum_tmpl.cuh"
#include "backend/cuda/kernels/real_types.cuh"
#undef MLAI_TEMPLATE

#undef FIRST_ROW
#undef STEP_ROWS
#undef FIRST_COLUMN
#undef STEP_COLUMNS
