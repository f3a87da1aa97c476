/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/geqrt.cu: the QR of a leaf of at most 32 columns (cuda_geqrt.c). Its
 * small matrices are one element a thread, row = warp, column = lane.
 *
 * All eliminations are done in place: at step k column k of the matrix is used up, and column k
 * of the inverse of the left factor appears where it was. A step costs one barrier: warp k hands
 * its row to all, in two buffers in turn.
 *
 *     geqrt_gram     parts of the Gram matrix A^H A
 *     geqrt_first    its factor R1 and R1^-1; is A good enough?
 *     geqrt_gram     Q = A R1^-1, parts of Q^H Q
 *     geqrt_second   R2 of it; then Q R2^-1 - S = Y U, S = diag(+-1), by elimination without
 *                    pivots: R = S R2 R1, T = -U S Y1^-H, and M = R2^-1 U^-1
 *     geqrt_apply    the rest of Y = Q M
 *     geqrt_finish   if A was not good enough: all of it by reflectors, one by one, in one block
 */
#include "backend/cuda/kernels/element.cuh"

/* Sum, or largest, over the block; in all threads. part: one number a warp. */
MLAI_DEVICE double geqrt_reduce(double x, bool largest, double *part)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
#pragma unroll
    for (int with = 16; with > 0; with /= 2) {
        double y = __shfl_xor_sync(0xffffffffu, x, with);
        x = largest ? fmax(x, y) : x + y;
    }
    __syncthreads(); // part may still be read
    if (lane == 0) part[warp] = x;
    __syncthreads();
    x = part[lane];
#pragma unroll
    for (int with = 16; with > 0; with /= 2) {
        double y = __shfl_xor_sync(0xffffffffu, x, with);
        x = largest ? fmax(x, y) : x + y;
    }
    return x;
}

#define MLAI_TEMPLATE "backend/cuda/kernels/geqrt_tmpl.cuh"
#include "backend/cuda/kernels/four_types.cuh"
#undef MLAI_TEMPLATE
