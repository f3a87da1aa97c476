/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/panel.cu: a panel of Cholesky by substitution: the factor of its tile
 * in one launch, and rows times the inverse of a triangle in another.
 *
 * Rows are cut into blocks of 64; a block of threads takes one. For j = 0, 1, ... up to its
 * diagonal block (tile) or the tile's last one (rows):
 *
 *     X_ij = (A_ij - sum over k < j of X_ik X_jk^H) L_jj^-H
 *     L_ii = chol(A_ii - sum over k < i of X_ik X_ik^H)              tile
 *
 * In the tile X_jk and L_jj are other blocks' work: progress[j] says how many of its column
 * blocks row block j has finished. A block waits for lower ones alone, and blocks are numbered by
 * a ticket in the order in which they start, so what is waited for is on its way: no block is
 * waited for that has not begun. The last one to finish sets the counters back to 0.
 *
 * The tile's chain: factor of 64 columns, one block's substitution with it, one product, n/64
 * times; the rest runs beside it. Products with an inverse in place of the substitution would be
 * faster and not good enough: their error grows with the condition of L_jj, and smooth kernel
 * matrices of condition 1e12 then break down. n^3/3 and m n^2 flops; each row is read and written
 * once, the tile is read by all from the second-level cache. */
#include "backend/cuda/kernels/element.cuh"

enum { PANEL = MLAI_PANEL_BLOCK, PANEL_DEPTH = 16 };
enum { PANEL_COLS = PANEL / 4 }; /* columns of a thread that has a quarter of a row */

#ifndef MLAI_EMULATED
MLAI_DEVICE unsigned load_acquire(const unsigned *p)
{
    unsigned v;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
    return v;
}
MLAI_DEVICE void store_release(unsigned *p, unsigned v)
{
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}
#endif

/* Thread 0 has seen *counter >= value, and what was written before it is there for all. */
MLAI_DEVICE void wait_for(const unsigned *counter, unsigned value)
{
    if (threadIdx.x == 0)
        while (load_acquire(counter) < value) {
        }
    __syncthreads();
}

/* What all threads have written is there for who sees the counter. */
MLAI_DEVICE void publish(unsigned *counter, unsigned value)
{
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) store_release(counter, value);
}

#include "backend/cuda/kernels/panel_real.cuh"

#define MLAI_TEMPLATE "backend/cuda/kernels/panel_real_tmpl.cuh"
#include "backend/cuda/kernels/real_types.cuh"
#undef MLAI_TEMPLATE

#define MLAI_TEMPLATE "backend/cuda/kernels/panel_complex_tmpl.cuh"
#include "backend/cuda/kernels/complex_types.cuh"
#undef MLAI_TEMPLATE
