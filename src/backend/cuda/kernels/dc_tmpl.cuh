/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/dc_tmpl.cuh: the kernels of dc.cu for vectors of reals T
 * (real_types.cuh). */

/* ---- leaves: a block solves one by implicit QL
 *
 * Warp 0 makes the rotations of sweep t: all lanes look for negligible elements, lane 0 runs the
 * recurrence. Meanwhile the other warps apply those of sweep t - 1, a thread for each row. */
extern "C" __global__ void __launch_bounds__(MLAI_DC_LEAF_THREADS)
    KERNEL(dc_leaves)(const mlai_dc_leaves_args_t a)
{
    __shared__ double v[MLAI_DC_LEAF * MLAI_DC_LEAF]; // column-major
    __shared__ double d[MLAI_DC_LEAF], e[MLAI_DC_LEAF];
    __shared__ double cosine[2][MLAI_DC_LEAF], sine[2][MLAI_DC_LEAF];
    __shared__ int block[2][2]; // of sweep t: l and m; l < 0: there is none
    __shared__ int failed;
    const int64_t o = a.first[blockIdx.x];
    const int n = (int)(a.first[blockIdx.x + 1] - o), tid = (int)threadIdx.x;
    const int lane = tid % 32, row = tid - 32;
    for (int i = tid; i < n * n; i += (int)blockDim.x) v[i] = i / n == i % n ? 1 : 0;
    for (int i = tid; i < n; i += (int)blockDim.x) {
        d[i] = a.d[o + i];
        e[i] = i < n - 1 ? a.e[o + i] : 0;
    }
    if (tid == 0) failed = 0;
    __syncthreads();
    double norm = 0;
    for (int i = lane; i < n; i += 32) norm = fmax(norm, fmax(fabs(d[i]), fabs(e[i])));
    for (int s = 16; s > 0; s /= 2) norm = fmax(norm, __shfl_xor_sync(ALL_LANES, norm, s));
    const double floor = MLAI_ROUNDOFF / 5 * norm;
    const int most = 40 * n + 10;
    int l = 0;
    for (int t = 0;; t++) {
        int *now = block[t % 2];
        if (tid < 32) {
            int m = l;
            // The first negligible element from l on; if that is l itself, from l + 1 on.
            while (l < n) {
                m = n - 1;
                for (int i0 = l; i0 < n - 1; i0 += 32) {
                    const int i = i0 + lane;
                    const unsigned small = __ballot_sync(
                        ALL_LANES, i < n - 1 && mlai_ql_negligible(e[i], d[i], d[i + 1], floor));
                    if (small) {
                        m = i0 + __ffs((int)small) - 1;
                        break;
                    }
                }
                if (m > l) break;
                l++;
            }
            __syncwarp();
            if (lane == 0) {
                if (l < n && t >= most) failed = 1;
                now[0] = l < n && t < most ? l : -1;
                now[1] = m;
                if (now[0] >= 0) {
                    if (m < n - 1) e[m] = 0;
                    mlai_ql_sweep(d, e, l, m, cosine[t % 2], sine[t % 2]);
                }
            }
            __syncwarp();
        } else if (t > 0 && row < n) {
            const int *last = block[(t - 1) % 2];
            const double *c = cosine[(t - 1) % 2], *s = sine[(t - 1) % 2];
            double y = v[last[1] * n + row];
            for (int i = last[1] - 1; i >= last[0]; i--) {
                const double x = v[i * n + row];
                v[(i + 1) * n + row] = s[i] * x + c[i] * y;
                y = c[i] * x - s[i] * y;
            }
            v[last[0] * n + row] = y;
        }
        __syncthreads();
        if (now[0] < 0) break;
    }
    for (int i = tid; i < n; i += (int)blockDim.x) {
        a.w[o + i] = d[i];
        if (failed) mlai_set_nan(&a.w[o + i]);
    }
    T *q = (T *)a.q;
    if (a.ends)
        for (int c = tid; c < n; c += (int)blockDim.x) {
            q[(o + c) * a.ldq] = (T)v[c * n];
            q[(o + c) * a.ldq + 1] = (T)v[c * n + n - 1];
        }
    else
        for (int i = tid; i < n * n; i += (int)blockDim.x)
            q[o + i % n + (o + i / n) * a.ldq] = (T)v[i];
}

/* ---- columns of Q -------------------------------------------------------------------------- */

extern "C" __global__ void KERNEL(dc_border)(const mlai_dc_args_t a)
{
    const int64_t c = a.g0 + (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= a.g1) return;
    const mlai_dc_node_t *node = dc_node_of_column(&a.lv, c);
    if (c >= node->o + node->m) return;
    const int64_t row = c < node->o + node->n1 ? node->z1 : node->z2;
    if (row < 0) return;
    T *at = (T *)a.q + row + c * a.ldq;
    a.out[c] = (double)*at;
    if (a.take) *at = 0;
}

/* A block has a chain of rotations, a thread a row: it goes from column to column. */
extern "C" __global__ void KERNEL(dc_rotate)(const mlai_dc_args_t a)
{
    for (int64_t i = blockIdx.x; i < a.lv.chains; i += gridDim.x) {
        const mlai_dc_chain_t chain = a.lv.dev.chains[i];
        const mlai_dc_node_t *node = a.lv.dev.nodes + chain.node;
        const mlai_dc_rotation_t *turn = a.lv.dev.rotations + chain.first;
        const int64_t rows = node->r1 + node->r2;
        for (int64_t r = (int64_t)blockIdx.y * blockDim.x + threadIdx.x; r < rows;
             r += (int64_t)gridDim.y * blockDim.x) {
            T *q = (T *)a.q + node->row + r;
            double x = (double)q[turn[0].p * a.ldq];
#pragma unroll 4
            for (int64_t t = 0; t < chain.count; t++) {
                const double y = (double)q[turn[t].j * a.ldq], c = turn[t].c, s = turn[t].s;
                q[turn[t].p * a.ldq] = (T)(c * x + s * y);
                x = c * y - s * x;
            }
            q[turn[chain.count - 1].j * a.ldq] = (T)x;
        }
    }
}

/* Rows [r0, r1) of a column, those of this block: MLAI_DC_ROWS of them. */
static __device__ __forceinline__ void NAME(dc_copy)(const T *__restrict__ from,
                                                     T *__restrict__ to, int64_t r0, int64_t r1)
{
    const int64_t start = (int64_t)blockIdx.y * MLAI_DC_ROWS;
    const int64_t end = mlai_least(r1, start + MLAI_DC_ROWS);
    // Lanes keep their rows whatever r0 is.
#pragma unroll 8
    for (int64_t r = start + threadIdx.x; r < end; r += 32)
        if (r >= r0) to[r] = from[r];
}

extern "C" __global__ void KERNEL(dc_gather)(const mlai_dc_args_t a)
{
    for (int64_t c = a.g0 + (int64_t)blockIdx.x * blockDim.y + threadIdx.y; c < a.g1;
         c += (int64_t)gridDim.x * blockDim.y) {
        const mlai_dc_node_t *node = dc_node_of_column(&a.lv, c);
        const int64_t s = c - node->o;
        if (s >= node->m) continue;
        const bool upper = s < node->c1 + node->c2 || s >= node->k, lower = s >= node->c1;
        const T *from = (const T *)a.from + node->row + a.lv.dev.src[c] * a.ldq;
        NAME(dc_copy)
        (from, (T *)a.q + node->row + c * a.ldq, upper ? 0 : node->r1,
         node->r1 + (lower ? node->r2 : 0));
    }
}

extern "C" __global__ void KERNEL(dc_restore)(const mlai_dc_args_t a)
{
    for (int64_t c = a.g0 + (int64_t)blockIdx.x * blockDim.y + threadIdx.y; c < a.g1;
         c += (int64_t)gridDim.x * blockDim.y) {
        const mlai_dc_node_t *node = dc_node_of_column(&a.lv, c);
        const int64_t s = c - node->o;
        T *to = (T *)a.q + node->row + c * a.ldq;
        if (s < node->k && a.out && threadIdx.x < 2 && blockIdx.y == 0)
            to[threadIdx.x] = (T)a.out[2 * (node->at + s) + threadIdx.x];
        if (s < node->k || s >= node->m) continue;
        NAME(dc_copy)((const T *)a.from + node->row + c * a.ldq, to, 0, node->r1 + node->r2);
    }
}

/* ---- S ------------------------------------------------------------------------------------- */

/* A warp has a column of a tile: its norm, then those of its rows that the product reads. */
extern "C" __global__ void KERNEL(dc_vectors)(const mlai_dc_args_t a)
{
    for (int64_t t = a.g0 + blockIdx.y; t < a.g1; t += gridDim.y) {
        const mlai_dc_tile_t tile = a.lv.dev.tiles[t];
        const mlai_dc_node_t *node = a.lv.dev.nodes + tile.node;
        const int64_t k = node->k, c1 = node->c1, c12 = c1 + node->c2;
        const double *__restrict__ pole = a.lv.dev.spole + node->at;
        const double *__restrict__ zhat = a.lv.zhat + node->at;
        for (int64_t j = (int64_t)blockIdx.x * blockDim.y + threadIdx.y; j < tile.width;
             j += (int64_t)gridDim.x * blockDim.y) {
            const int64_t g = node->at + tile.first + j;
            const double origin = a.lv.origin[g], tau = a.lv.tau[g];
            double norm = 0;
#pragma unroll 4
            for (int64_t r = threadIdx.x; r < k; r += 32) {
                const double x = zhat[r] * dc_reciprocal((pole[r] - origin) - tau);
                norm = fma(x, x, norm);
            }
            const double scale = 1 / sqrt(dc_sum(norm, 32));
            T *__restrict__ s1 = (T *)a.s + tile.at1 + j * tile.ld1;
            T *__restrict__ s2 = (T *)a.s + tile.at2 + j * tile.ld2;
            const int64_t end1 = tile.ld1 > 0 ? c12 : 0, begin2 = tile.ld2 > 0 ? c1 : k;
#pragma unroll 4
            for (int64_t r = threadIdx.x; r < k; r += 32) {
                const T x = (T)(zhat[r] * scale * dc_reciprocal((pole[r] - origin) - tau));
                if (r < end1) s1[r] = x;
                if (r >= begin2) s2[r - c1] = x;
            }
        }
    }
}

/* q := q2 S for many small tiles: blockIdx.y is 2 (tile - g0) + half, blockIdx.x a square of SIDE
 * x SIDE results, which 16 x 16 threads form, 4 x 4 each, DEPTH terms at a time. */
extern "C" __global__ void __launch_bounds__(256) KERNEL(dc_product)(const mlai_dc_args_t a)
{
    enum { SIDE = MLAI_DC_SIDE, DEPTH = 16, EACH = SIDE / 16 };
    __shared__ T left[DEPTH][SIDE], right[DEPTH][SIDE + 1];
    const mlai_dc_tile_t tile = a.lv.dev.tiles[a.g0 + blockIdx.y / 2];
    const mlai_dc_node_t *node = a.lv.dev.nodes + tile.node;
    const bool lower = blockIdx.y % 2;
    const int64_t c1 = lower ? node->c1 : 0, rows = lower ? node->r2 : node->r1;
    const int64_t depth = lower ? node->k - c1 : node->c1 + node->c2;
    const int64_t ld = lower ? tile.ld2 : tile.ld1;
    const int64_t down = (rows + SIDE - 1) / SIDE;
    if (down == 0) return;
    const int64_t i0 = blockIdx.x % down * SIDE, j0 = blockIdx.x / down * SIDE;
    if (j0 >= tile.width) return;
    const int64_t row = node->row + (lower ? node->r1 : 0) + i0;
    const T *q2 = (const T *)a.from + row + (node->o + c1) * a.ldq;
    const T *s = (const T *)a.s + (lower ? tile.at2 : tile.at1) + j0 * ld;
    T *q = (T *)a.q + row + (node->o + tile.first + j0) * a.ldq;
    const int tid = (int)threadIdx.x, x = tid % 16, y = tid / 16;
    T sum[EACH][EACH], next_left[EACH], next_right[EACH];
    for (int u = 0; u < EACH; u++)
        for (int w = 0; w < EACH; w++) sum[u][w] = 0;
    for (int64_t k0 = 0; k0 < depth + DEPTH; k0 += DEPTH) {
        // The terms of step k0 are on their way while those of the step before are added.
#pragma unroll
        for (int u = 0; u < EACH; u++) {
            const int l = tid + 256 * u, i = l % SIDE, j = l / DEPTH;
            const int64_t ki = k0 + l / SIDE, kj = k0 + l % DEPTH;
            next_left[u] = ki < depth && i0 + i < rows ? q2[i + ki * a.ldq] : (T)0;
            next_right[u] = kj < depth && j0 + j < tile.width ? s[kj + j * ld] : (T)0;
        }
        if (k0 > 0)
#pragma unroll
            for (int k = 0; k < DEPTH; k++) {
                T l[EACH], r[EACH];
#pragma unroll
                for (int u = 0; u < EACH; u++) l[u] = left[k][x + 16 * u];
#pragma unroll
                for (int u = 0; u < EACH; u++) r[u] = right[k][y + 16 * u];
#pragma unroll
                for (int u = 0; u < EACH; u++)
#pragma unroll
                    for (int w = 0; w < EACH; w++) sum[u][w] += l[u] * r[w];
            }
        __syncthreads();
#pragma unroll
        for (int u = 0; u < EACH; u++) {
            const int l = tid + 256 * u;
            left[l / SIDE][l % SIDE] = next_left[u];
            right[l % DEPTH][l / DEPTH] = next_right[u];
        }
        __syncthreads();
    }
#pragma unroll
    for (int w = 0; w < EACH; w++)
#pragma unroll
        for (int u = 0; u < EACH; u++) {
            const int i = x + 16 * u, j = y + 16 * w;
            if (i0 + i < rows && j0 + j < tile.width) q[i + j * a.ldq] = sum[u][w];
        }
}
