/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/trd.cu: one column of the reduction to tridiagonal form in three
 * launches, which leave no sum to the order in which blocks run:
 *
 *     hetrd_column    a thread a row: w of the column before, out of the ranks' contributions;
 *                     column j brought up to date, to x; sums of squares
 *     hetrd_product   all blocks: the reflector's scale out of the squares. Some: a run of rows
 * of v = scale x, to the panel, and their part of W^H v, V^H v. The others: own elements times v,
 * each read once hetrd_gather    the parts' sums: y, W^H v, V^H v, and v^H y in y's last element
 *
 * (all-gather of y), hetrd_column again, with j + 1. With the last column it finishes w alone.
 *
 * The product goes over units: a strip of 64 own columns by a chunk of 256 rows,
 *
 *              warp 0   warp 1  ..  warp 7
 *            +--------+--------+   +--------+
 *     rows   | 8 cols | 8 cols |   | 8 cols |   lanes along rows, 16 bytes each; 8 loads in
 * flight
 *            +--------+--------+   +--------+
 *
 * where a warp keeps the sums of its columns (A^H v) in registers and leaves the sums of its rows
 * (A v) in shared memory; the block adds the warps' rows once a unit. Strip s has units[s+1] -
 * units[s] chunks, from the one of its first column to the last. A block takes a run of
 * consecutive units; what a unit writes does not depend on whose it is.
 *
 * A reflector's scalars and alpha = -1/2 |tau|^2 v^H A v are formed by every block that needs
 * them, with v^H A v = v^H y - 2 re((V^H v)^H W^H v), so that no launch is there for one number.
 */
#include "backend/cuda/kernels/element.cuh"
#include "backend/cuda/kernels/position.cuh"

enum {
    TRD_WARPS = MLAI_TRD_THREADS / 32,
    TRD_COLS = MLAI_TRD_STRIP / TRD_WARPS, /* of a warp */
    TRD_NEVER = 0x7fffffff                 /* position of a column that does not count */
};

MLAI_DEVICE int32_t trd_slot(const mlai_hetrd_args_t *a, int32_t s)
{
    return (int32_t)mlai_slot_position((uint32_t)a->lc, (uint32_t)a->nb, (uint32_t)a->full,
                                       (uint32_t)a->rest, (uint32_t)a->rank, (uint32_t)s);
}

/* Position of own column jl. */
MLAI_DEVICE int32_t trd_position(const mlai_hetrd_args_t *a, int32_t jl)
{
    int32_t s = jl / a->nb;
    return trd_slot(a, s) + (jl - s * a->nb);
}

/* Own column at this position, or -1. */
MLAI_DEVICE int32_t trd_local(const mlai_hetrd_args_t *a, int32_t pos)
{
    int32_t lo = 0, hi = (a->cols + a->nb - 1) / a->nb; // slot lo starts at pos or before it
    if (hi == 0 || trd_slot(a, 0) > pos) return -1;
    while (hi - lo > 1) {
        int32_t mid = (lo + hi) / 2;
        if (trd_slot(a, mid) <= pos)
            lo = mid;
        else
            hi = mid;
    }
    int32_t r = pos - trd_slot(a, lo), jl = lo * a->nb + r;
    return r < a->nb && jl < a->cols ? jl : -1;
}

MLAI_DEVICE int32_t trd_chunks(const mlai_hetrd_args_t *a)
{
    return (a->n + MLAI_TRD_CHUNK - 1) / MLAI_TRD_CHUNK;
}

/* First chunk of strip s while the columns before `chunk` are done. */
MLAI_DEVICE int32_t trd_first_chunk(const mlai_hetrd_args_t *a, int32_t s)
{
    return s == a->strip ? a->chunk : trd_chunks(a) - (a->units[s + 1] - a->units[s]);
}

/* Largest s in [lo, hi) with units[s] <= u. */
MLAI_DEVICE int32_t trd_strip_of(const mlai_hetrd_args_t *a, int32_t u, int32_t lo, int32_t hi)
{
    while (hi - lo > 1) {
        int32_t mid = (lo + hi) / 2;
        if (a->units[mid] <= u)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* One thread, once a matrix. */
extern "C" __global__ void mlai_hetrd_units(const mlai_hetrd_args_t a)
{
    int32_t sum = 0;
    for (int32_t s = 0; s < a.strips; s++) {
        a.units[s] = sum;
        sum += trd_chunks(&a) - trd_position(&a, s * MLAI_TRD_STRIP) / MLAI_TRD_CHUNK;
    }
    a.units[a.strips] = sum;
}

#define MLAI_TEMPLATE "backend/cuda/kernels/trd_tmpl.cuh"
#include "backend/cuda/kernels/four_types.cuh"
#undef MLAI_TEMPLATE

#define MLAI_TEMPLATE "backend/cuda/kernels/scale_tmpl.cuh"
#include "backend/cuda/kernels/real_types.cuh"
#undef MLAI_TEMPLATE
