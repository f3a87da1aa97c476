/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/dc.cu: tridiagonal divide and conquer (backend.h, dc_level.h). All
 * merges of a level in one launch: a block finds its merge by a search in the list of nodes.
 *
 * Secular equation and z: a group of `lanes` threads of a warp, 8, 16 or 32, has a root; each
 * lane adds every lanes-th term. Warps stay together: a group that is done, or has no root, goes
 * through the motions. S: a warp has a column. Copies: a warp has a column, 8 rows a lane. */
#include "backend/cuda/kernels/element.cuh"
#include "core/tridiag.h"

#define ALL_LANES 0xffffffffu

/* 1 / x to an ulp, for normal x: what a division costs most are zeros, infinities, denormals. */
MLAI_DEVICE double dc_reciprocal(double x)
{
#ifdef __CUDACC__
    double r;
    asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(r) : "d"(x));
    r = fma(fma(-x, r, 1.0), r, r);
    return fma(fma(-x, r, 1.0), r, r);
#else
    return 1 / x;
#endif
}

/* The last node whose first root (column) is not after g (c). */
MLAI_DEVICE const mlai_dc_node_t *dc_node_of_root(const mlai_dc_level_t *lv, int64_t g)
{
    int64_t lo = 0, hi = lv->nodes;
    while (hi - lo > 1) {
        int64_t middle = (lo + hi) / 2;
        if (lv->dev.nodes[middle].at <= g)
            lo = middle;
        else
            hi = middle;
    }
    return lv->dev.nodes + lo;
}

MLAI_DEVICE const mlai_dc_node_t *dc_node_of_column(const mlai_dc_level_t *lv, int64_t c)
{
    int64_t lo = 0, hi = lv->nodes;
    while (hi - lo > 1) {
        int64_t middle = (lo + hi) / 2;
        if (lv->dev.nodes[middle].o <= c)
            lo = middle;
        else
            hi = middle;
    }
    return lv->dev.nodes + lo;
}

/* Sum, and product, over the lanes of a group; all get it. */
MLAI_DEVICE double dc_sum(double v, int lanes)
{
    for (int s = lanes / 2; s > 0; s /= 2) v += __shfl_xor_sync(ALL_LANES, v, s);
    return v;
}

MLAI_DEVICE double dc_product(double v, int lanes)
{
    for (int s = lanes / 2; s > 0; s /= 2) v *= __shfl_xor_sync(ALL_LANES, v, s);
    return v;
}

/* ---- roots --------------------------------------------------------------------------------- */

/* The root or row of S of this thread's group: entry g of the lists, j of the node's. */
typedef struct dc_place {
    const mlai_dc_node_t *node;
    int64_t g, j;
    int lane;
    bool active; /* g lies in the range */
} dc_place_t;

MLAI_DEVICE dc_place_t dc_place(const mlai_dc_args_t *a)
{
    dc_place_t p;
    const int64_t g = a->g0 + ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / a->lanes;
    p.active = g < a->g1;
    p.g = p.active ? g : a->g1 - 1;
    p.node = dc_node_of_root(&a->lv, p.g);
    p.j = p.g - p.node->at;
    p.lane = (int)(threadIdx.x % a->lanes);
    return p;
}

/* *sum of weight_i / (pole_i - w) and *slope of weight_i / (pole_i - w)^2 over i0 <= i < i1. */
MLAI_DEVICE void dc_add_terms(int64_t i0, int64_t i1, const double *pole, const double *weight,
                              double origin, double tau, int lane, int lanes, double *sum,
                              double *slope)
{
    double a = 0, b = 0;
#pragma unroll 4
    for (int64_t i = i0 + lane; i < i1; i += lanes) {
        const double r = dc_reciprocal((pole[i] - origin) - tau), t = weight[i] * r;
        a += t;
        b = fma(t, r, b);
    }
    *sum = dc_sum(a, lanes);
    *slope = dc_sum(b, lanes);
}

MLAI_DEVICE mlai_sums_t dc_sums(const mlai_secular_t *r, int64_t k, int64_t split,
                                const double *pole, const double *weight, int lane, int lanes)
{
    mlai_sums_t f;
    dc_add_terms(0, split + 1, pole, weight, r->origin, r->tau, lane, lanes, &f.psi, &f.dpsi);
    dc_add_terms(split + 1, k, pole, weight, r->origin, r->tau, lane, lanes, &f.phi, &f.dphi);
    return f;
}

extern "C" __global__ void __launch_bounds__(MLAI_DC_THREADS)
    mlai_dc_secular(const mlai_dc_args_t a)
{
    const dc_place_t p = dc_place(&a);
    const int64_t k = p.node->k, first = p.node->at, last = k - 1;
    const double *pole = a.lv.dev.pole + first, *weight = a.lv.dev.weight + first;
    const int64_t s = k > 1 ? mlai_least(p.j, k - 2) : 0, t = mlai_least(s + 1, last);
    mlai_secular_t r =
        mlai_secular_start(p.j == last, p.node->rho, pole[s], pole[t], weight[s], weight[t]);
    const mlai_sums_t start = dc_sums(&r, k, s, pole, weight, p.lane, a.lanes);
    bool found = k == 1, idle = found || !p.active;
    if (!idle) mlai_secular_guess(&r, start);
    for (int it = 0; it < MLAI_SECULAR_MAX && !__all_sync(ALL_LANES, idle); it++) {
        const mlai_sums_t f = dc_sums(&r, k, s, pole, weight, p.lane, a.lanes);
        if (!idle) found = idle = mlai_secular_step(&r, f) != 0;
    }
    double tau = k == 1 ? p.node->rho : r.tau;
    if (!found) mlai_set_nan(&tau);
    if (p.active && p.lane == 0) a.lv.tau[p.g] = tau;
}

extern "C" __global__ void mlai_dc_origin(const mlai_dc_args_t a)
{
    const int64_t g = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (g < a.lv.roots) a.lv.origin[g] = a.lv.dev.pole[g + (a.lv.tau[g] < 0)];
}

/* zhat_i^2 = |(d_i - w_i) product over j != i of (d_i - w_j) / (d_i - d_j)|. A division for four
 * factors: none of them is so small or large that their product could over- or underflow. */
extern "C" __global__ void __launch_bounds__(MLAI_DC_THREADS) mlai_dc_zhat(const mlai_dc_args_t a)
{
    const dc_place_t p = dc_place(&a);
    const int64_t k = p.node->k, first = p.node->at;
    const double *pole = a.lv.dev.pole + first, *origin = a.lv.origin + first;
    const double *tau = a.lv.tau + first, d = a.lv.dev.spole[p.g];
    const int32_t row = a.lv.dev.row[p.g];
    const int64_t own = (row < 0 ? -row : row) - 1;
    double product = 1;
#pragma unroll 2
    for (int64_t j0 = p.lane; j0 < k; j0 += 4 * a.lanes) {
        double num = 1, den = 1;
#pragma unroll
        for (int u = 0; u < 4; u++) {
            const int64_t j = j0 + u * a.lanes;
            if (j >= k) continue;
            num *= (d - origin[j]) - tau[j];
            if (j != own) den *= d - pole[j];
        }
        product *= num * dc_reciprocal(den);
    }
    product = sqrt(fabs(dc_product(product, a.lanes)));
    if (p.active && p.lane == 0) a.lv.zhat[p.g] = row < 0 ? -product : product;
}

/* ---- values only --------------------------------------------------------------------------- */

/* A warp has a column of S: its product with the two rows q2. */
extern "C" __global__ void __launch_bounds__(MLAI_DC_THREADS) mlai_dc_rows(const mlai_dc_args_t a)
{
    const dc_place_t p = dc_place(&a);
    const int64_t k = p.node->k, first = p.node->at, c1 = p.node->c1, c12 = c1 + p.node->c2;
    const double *pole = a.lv.dev.spole + first, *zhat = a.lv.zhat + first;
    const double origin = a.lv.origin[p.g], tau = a.lv.tau[p.g];
    const double2 *ends = (const double2 *)a.from + p.node->o;
    double norm = 0, upper = 0, lower = 0;
#pragma unroll 4
    for (int64_t r = p.lane; r < k; r += 32) {
        const double v = zhat[r] * dc_reciprocal((pole[r] - origin) - tau);
        norm = fma(v, v, norm);
        if (r < c12) upper = fma(v, ends[r].x, upper);
        if (r >= c1) lower = fma(v, ends[r].y, lower);
    }
    norm = dc_sum(norm, 32);
    upper = dc_sum(upper, 32);
    lower = dc_sum(lower, 32);
    if (p.active && p.lane == 0) {
        a.out[2 * p.g] = upper / sqrt(norm);
        a.out[2 * p.g + 1] = lower / sqrt(norm);
    }
}

#define MLAI_TEMPLATE "backend/cuda/kernels/dc_tmpl.cuh"
#include "backend/cuda/kernels/real_types.cuh"
#undef MLAI_TEMPLATE
#undef ALL_LANES
