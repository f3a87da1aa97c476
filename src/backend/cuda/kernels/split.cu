/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/split.cu: single precision as a sum of bfloat16 pieces, for products
 * on tensor cores (cuda_split.c has the mathematics and the layout).
 *
 * A block turns a tile of SPLIT_ROWS rows and SPLIT_COLUMNS columns through shared memory: it is
 * read down the columns and written along the rows, in which the products want it. */
#include "backend/cuda/kernels/element.cuh"

enum { SPLIT_ROWS = 32, SPLIT_COLUMNS = 64, SPLIT_PIECES = 3 };

/* Nearest bfloat16, ties to even; NaN stays NaN. */
MLAI_DEVICE uint32_t to_bf16(float x)
{
    uint32_t u = __float_as_uint(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fc0u;
    return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}

/* x = p[0] + p[1] + p[2] to 24 bits; Inf has pieces Inf and NaN. */
MLAI_DEVICE void split(float x, uint32_t p[SPLIT_PIECES])
{
    for (int q = 0; q < SPLIT_PIECES; q++) {
        p[q] = to_bf16(x);
        x -= __uint_as_float(p[q] << 16);
    }
}

/* Terms t = first .. 5 of one row and the columns of x and y: left piece L[t] times right piece
 * R[t], the smallest first: 31, 13, 22, 21, 12, 11. Two neighbouring columns are one word. */
MLAI_DEVICE void write_terms(uint32_t *out, int64_t step, int first, int right, float x, float y)
{
    const uint32_t order = right ? 0x010120u : 0x001102u;
    uint32_t px[SPLIT_PIECES], py[SPLIT_PIECES];
    split(x, px);
    split(y, py);
    for (int t = first; t < 6; t++) {
        int q = (int)((order >> (4 * t)) & 15u);
        uint32_t low = q == 0 ? px[0] : q == 1 ? px[1] : px[2];
        uint32_t high = q == 0 ? py[0] : q == 1 ? py[1] : py[2];
        out[(t - first) * step] = low | high << 16;
    }
}

extern "C" __global__ void __launch_bounds__(256) mlai_split(const mlai_split_args_t a)
{
    __shared__ float tile[2][SPLIT_COLUMNS][SPLIT_ROWS + 1];
    int64_t half = a.depth / (a.complex ? 2 : 1); // columns, padded with zeros to a multiple of 8
    int64_t tiles = (a.m + SPLIT_ROWS - 1) / SPLIT_ROWS;
    int64_t column = (int64_t)blockIdx.y * SPLIT_COLUMNS;
    int tx = (int)threadIdx.x, ty = (int)threadIdx.y;
    for (int64_t at = blockIdx.x; at < tiles; at += gridDim.x) {
        int64_t row = at * SPLIT_ROWS, i = row + tx;
        for (int c = ty; c < SPLIT_COLUMNS; c += 8) {
            bool inside = i < a.m && column + c < a.k;
            int64_t e = i + (column + c) * a.lda;
            tile[0][c][tx] = !inside     ? 0
                             : a.complex ? ((const float2 *)a.a)[e].x
                                         : ((const float *)a.a)[e];
            if (a.complex) tile[1][c][tx] = inside ? ((const float2 *)a.a)[e].y : 0;
        }
        __syncthreads();
        int64_t c = column + 2 * tx;
        for (int r = ty; r < SPLIT_ROWS && row + r < a.m && c < half; r += 8)
            for (int part = 0; part < (a.complex ? 2 : 1); part++) {
                float x = tile[part][2 * tx][r], y = tile[part][2 * tx + 1][r];
                int64_t to = (part * half + c) / 2, step = a.depth / 2,
                        one = (6 - a.first) * step;
                uint32_t *left = (uint32_t *)a.left, *right = (uint32_t *)a.right;
                write_terms(right + (row + r) * one + to, step, a.first, 1, x, y);
                if (!a.complex) {
                    write_terms(left + (row + r) * one + to, step, a.first, 0, x, y);
                } else { // rows [re im], [im -re]
                    uint32_t *even = left + 2 * (row + r) * one;
                    int64_t other = ((1 - part) * half + c) / 2;
                    write_terms(even + to, step, a.first, 0, x, y);
                    float sign = part == 0 ? -1.0f : 1.0f;
                    write_terms(even + one + other, step, a.first, 0, sign * x, sign * y);
                }
            }
        __syncthreads();
    }
}
