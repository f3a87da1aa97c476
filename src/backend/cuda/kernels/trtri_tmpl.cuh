/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/trtri_tmpl.cuh: trtri_leaf for elements T (four_types.cuh).
 *
 * X L = I by substitution, from the last column on, so that X L - I is small. A warp has
 * LEAF_ROWS rows of X, lane j column j of them:
 *
 *     for k = 31 .. 0:   x_k = r_k / l_kk on lane k, handed to all;   r_j -= x_k l_kj for j < k
 *
 * L is in shared memory; the last block is filled up with the identity. */
enum { NAME(LEAF_ROWS) = MLAI_LEAF / MLAI_LEAF_WARPS };

extern "C" __global__ void KERNEL(trtri_leaf)(const mlai_trtri_leaf_args_t a)
{
    __shared__ T l[MLAI_LEAF][MLAI_LEAF + 1]; // l[column][row]
    const T *from = (const T *)a.a;
    T *to = (T *)a.b;
    const int lane = (int)(threadIdx.x % MLAI_LEAF), warp = (int)(threadIdx.x / MLAI_LEAF);
    const int64_t d = (int64_t)blockIdx.x * MLAI_LEAF;
    for (int j = warp; j < MLAI_LEAF; j += MLAI_LEAF_WARPS) {
        T value;
        t_set(&value, lane == j ? (R)1 : (R)0);
        if (lane >= j && d + lane < a.n) value = from[d + lane + (d + j) * a.lda];
        l[j][lane] = value;
    }
    __syncthreads();
    T x[NAME(LEAF_ROWS)], inverse = t_inverse(l[lane][lane]);
#pragma unroll
    for (int q = 0; q < NAME(LEAF_ROWS); q++)
        t_set(&x[q], lane == warp + q * MLAI_LEAF_WARPS ? (R)1 : (R)0);
    for (int k = MLAI_LEAF - 1; k >= 0; k--) {
        T lkj = l[lane][k], ikk = t_shuffle(inverse, k);
#pragma unroll
        for (int q = 0; q < NAME(LEAF_ROWS); q++) {
            T xk = t_mul(t_shuffle(x[q], k), ikk);
            if (lane == k) x[q] = xk;
            if (lane < k && k <= warp + q * MLAI_LEAF_WARPS) x[q] = t_sub_mul(x[q], xk, lkj);
        }
    }
    T zero;
    t_set(&zero, (R)0);
#pragma unroll
    for (int q = 0; q < NAME(LEAF_ROWS); q++) {
        int r = warp + q * MLAI_LEAF_WARPS;
        if (d + r < a.n && d + lane < a.n)
            to[d + r + (d + lane) * a.ldb] = lane <= r ? x[q] : zero;
        if (d + r < a.n)
            for (int64_t i = lane; i < d; i += MLAI_LEAF) to[i + (d + r) * a.ldb] = zero;
    }
}
