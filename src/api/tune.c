/* SPDX-License-Identifier: Apache-2.0
 * src/api/tune.c: choices that depend on sizes and device: tile widths and work space. */
#include <stdlib.h>

#include "api/api.h"

/* On one GPU a matrix of this order is one tile: cuSOLVER factors it in less time than a chain of
 * panels takes to run through (an estimate from the parts: 8192 in 7.3 ms and 9 ms, 16384 in 37
 * and 38), and what the inverse takes is little memory still. */
enum { ONE_TILE = 8192 };

/* Eleven slots a rank: then the inverse, which takes the most, 3 n nb words, stays within a fifth
 * of the shard and one tile column. Fewer where tiles would be too narrow for GEMM, four at least
 * for balance; no wider than what hides a panel. Host: from k = 64 on DGEMM runs at 85 % of its
 * rate at k = 192, and ranks copy panels, measured with OpenBLAS on AVX-512 cores. */
int64_t mla_tile_size(const mla_desc_t *desc, int nranks, mla_device_t device)
{
    if (!desc || desc->n <= 0 || nranks < 1) return 1;
    int64_t lc = desc->lc > 0 ? desc->lc : mlai_ceil_div(desc->n, nranks);
    if (device == MLA_CUDA && nranks == 1 && desc->n <= ONE_TILE) return lc;
    int64_t grain = device == MLA_CUDA ? 64 : 16;
    int64_t least = device == MLA_CUDA ? 128 : 64, most = device == MLA_CUDA ? 512 : 192;
    int64_t nb = mlai_min(mlai_max(lc / 11 / grain * grain, least), most);
    return mlai_min(nb, mlai_max(1, mlai_ceil_div(lc, 4)));
}

/* Milliseconds on an H200, one tile (cuSOLVER) against tiles of 512: factor of order 16384 36.5
 * and 41.1 in float64, 136 and 143 in complex128; inverse of order 8192 24.9 and 24.4 in
 * float64, 92.8 and 66.1 in complex128. float32 and complex64 of that order are updated from
 * bfloat16 pieces (split.h), in tiles. */
int64_t mlai_posv_tile(mla_dtype_t dt, int64_t n, bool inverse)
{
    enum { FACTOR_MOST = 16384, INVERSE_MOST = 4096, TILE = 512 };
    if (mlai_real(dt) != MLA_FLOAT64) return 0;
    if (!inverse) return n <= FACTOR_MOST ? n : 0;
    return dt == MLA_COMPLEX128 && n > INVERSE_MOST ? TILE : 0;
}

/* MESHLINALG_EIGH_BAND: for tests and measurements, 0 for one stage or a half-bandwidth for two,
 * at every n; the same on all ranks. -1: not set. */
static int64_t forced_band(void)
{
    const char *text = getenv("MESHLINALG_EIGH_BAND");
    char *end = NULL;
    if (!text || !text[0]) return -1;
    long long band = strtoll(text, &end, 10);
    return *end == 0 && band >= 0 && band <= 1024 ? band : -1;
}

/* On one H100, milliseconds in float64 with tiles of 128, 256, 512 and one tile: n = 4096 15.6,
 * 15.2, 15.4, 18.6; n = 8192 43.7, 40.6, 41.2, 56.6. In complex128 at 4096 256: 19.7, one: 23.7.
 */
int64_t mlai_lu_tile_size(const mla_desc_t *desc, int nranks, mla_device_t device)
{
    enum { WIDTH = 256, SMALL = 16384 };
    int64_t nb = mla_tile_size(desc, nranks, device);
    return device == MLA_CUDA && desc && desc->n <= SMALL ? mlai_min(nb, WIDTH) : nb;
}

/* Two stages on GPUs, from these orders on. Measured on an H100, float64, seconds, one stage /
 * two: one rank 4096 0.135 / 0.073, 8192 0.610 / 0.217; four ranks on one card 4096 1.05 / 0.336.
 * The host has one stage: the second way back costs its processors more than memory does. */
enum { BAND = 32, TWO_STAGES_ALONE = 4096, TWO_STAGES_SHARED = 1024 };

/* cuSOLVER's time at n = 4096 on an H200 is 0.110 s. */
int64_t mlai_syevd_whole_limit(void)
{
    return forced_band() >= 0 ? 0 : TWO_STAGES_ALONE - 1;
}

int64_t mlai_syevd_band(int64_t n, int nranks, mla_device_t device)
{
    int64_t forced = forced_band();
    if (forced >= 0) return forced;
    if (device != MLA_CUDA) return 0;
    return n >= (nranks == 1 ? TWO_STAGES_ALONE : TWO_STAGES_SHARED) ? BAND : 0;
}

/* Of two routines one after the other: scratch is given back in between, a window never shrinks.
 */
static mlai_space_t larger(mlai_space_t a, mlai_space_t b)
{
    return (mlai_space_t){.work = a.work > b.work ? a.work : b.work,
                          .window = a.window > b.window ? a.window : b.window};
}

mla_status_t mla_workspace(mla_routine_t routine, const mla_desc_t *desc, int nranks,
                           mla_device_t device, int64_t nrhs, size_t *bytes)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if (!bytes) return mlai_fail(err, MLA_ARG, "bytes is NULL");
    *bytes = 0;
    if (device != MLA_HOST && device != MLA_CUDA)
        return mlai_fail(err, MLA_ARG, "device is %d, expected MLA_HOST or MLA_CUDA",
                         (int)device);
    if (nranks < 1) return mlai_fail(err, MLA_ARG, "nranks is %d, expected at least 1", nranks);
    if (nrhs < 0)
        return mlai_fail(err, MLA_ARG, "nrhs is %lld, expected at least 0", (long long)nrhs);
    mla_desc_t full, own;
    mlai_dist_t d;
    if (desc && desc->nb == 0 && routine >= MLA_GETRF && routine <= MLA_GEINV) {
        own = *desc;
        own.nb = mlai_lu_tile_size(desc, nranks, device);
        desc = &own;
    }
    MLAI_TRY(mlai_complete(desc, nranks, device, &full, &d, err));
    mlai_space_t space;
    mlai_eigen_t what = {.kd = mlai_syevd_band(full.n, nranks, device)};
    switch (routine) {
    case MLA_POTRF: space = mlai_potrf_space(&full, &d); break;
    case MLA_POTRS: space = mlai_potrs_space(&full, &d, MLA_RHS_ROWS, nrhs); break;
    case MLA_POTRI: space = mlai_potri_space(&full, &d); break;
    case MLA_POINV:
        space = larger(mlai_potri_space(&full, &d), mlai_potrf_space(&full, &d));
        break;
    case MLA_SYEVD:
        what.count = full.n;
        what.shard = true;
        space = mlai_syevd_space(&full, &d, &what);
        break;
    case MLA_SYEVX:
        what.count = mlai_min(nrhs, full.n);
        space = mlai_syevd_space(&full, &d, &what);
        break;
    case MLA_GETRF: space = mlai_getrf_space(&full, &d); break;
    case MLA_GETRS: space = mlai_getrs_space(&full, &d, nrhs); break;
    case MLA_GETRI: space = mlai_getri_space(&full, &d); break;
    case MLA_GEINV:
        space = larger(mlai_getri_space(&full, &d), mlai_getrf_space(&full, &d));
        break;
    case MLA_SYEVD_VALUES: space = mlai_syevd_space(&full, &d, &what); break;
    default:
        return mlai_fail(err, MLA_ARG, "routine is %d, expected one of mla_routine_t",
                         (int)routine);
    }
    *bytes = mlai_size_add(space.work, space.window);
    return MLA_OK;
}
