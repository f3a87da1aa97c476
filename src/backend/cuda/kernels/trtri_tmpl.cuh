/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/trtri_tmpl.cuh: trtri_leaf for elements T (four_types.cuh).
 *
 * L X = I by forward substitution. A warp has COLUMNS columns of X, lane i row i of them:
 *
 *     for k = 0 .. 31:   x_k = r_k / l_kk on lane k, handed to all;   r_i -= l_ik x_k for i > k
 *
 * L is in shared memory; the last block is filled up with the identity. */
enum { NAME(COLUMNS) = MLAI_LEAF / MLAI_LEAF_WARPS };

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
    T x[NAME(COLUMNS)], inverse = t_inverse(l[lane][lane]);
#pragma unroll
    for (int q = 0; q < NAME(COLUMNS); q++)
        t_set(&x[q], lane == warp + q * MLAI_LEAF_WARPS ? (R)1 : (R)0);
    for (int k = 0; k < MLAI_LEAF; k++) {
        T lik = l[k][lane], ikk = t_shuffle(inverse, k);
#pragma unroll
        for (int q = 0; q < NAME(COLUMNS); q++) {
            T xk = t_mul(t_shuffle(x[q], k), ikk);
            if (lane == k) x[q] = xk;
            if (lane > k && k >= warp + q * MLAI_LEAF_WARPS) x[q] = t_sub_mul(x[q], lik, xk);
        }
    }
#pragma unroll
    for (int q = 0; q < NAME(COLUMNS); q++) {
        int64_t j = d + warp + q * MLAI_LEAF_WARPS;
        if (j >= a.n) continue;
        T zero;
        t_set(&zero, (R)0);
        for (int64_t i = lane; i < d; i += MLAI_LEAF) to[i + j * a.ldb] = zero;
        if (d + lane < a.n) to[d + lane + j * a.ldb] = d + lane < j ? zero : x[q];
    }
}
