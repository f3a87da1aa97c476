/* SPDX-License-Identifier: Apache-2.0
 * src/backend/chase.h: a bulge chase, band to tridiagonal form, as the backends see it: plain
 * data for C11 and CUDA C. algo/hb2st.c says what it means.
 *
 * Sweep q = 1 .. n-1 makes column q - 1 tridiagonal. Its hop k, k = 0, 1, ..., has the rows
 * [q + k kd, q + (k+1) kd), as far as they are less than n, and one reflector H = I - tau v v^H
 * on them, v = (1, ...). The hops of a sweep meet no common row: v's of sweep q fill the rows
 * [q, n) of one column, each with tau in the place of its 1.
 *
 * GROUP sweeps are a group: group g has the sweeps [g GROUP, (g+1) GROUP) and is a matrix of n -
 * g GROUP rows, the first one for row g GROUP, with a column for each sweep:
 *
 *         sweep  gG  gG+1  gG+2 ..       rows above a sweep's first, and the columns of sweep 0
 * and row gG     tau  .     .            of sweeps from n on, are not used: the chase does not
 * set v    tau   .            them, and who applies the group does not read them v    v     tau
 *
 * Group g belongs to rank g mod nranks, which keeps its groups one after the other. */
#ifndef MLAI_CHASE_H
#define MLAI_CHASE_H

#ifndef __CUDACC_RTC__
#include <stdint.h>
#endif

enum { MLAI_CHASE_GROUP = 96 }; /* a multiple of 32 */

/* Lower band storage: element (i, j), 0 <= i - j < 2 kd, at ab[i - j + j ldab]. */
typedef struct mlai_chase {
    int64_t n, kd, ldab;
    void *ab, *v; /* v: this rank's groups; NULL: none are kept */
    void *work;   /* mlai_chase_work bytes */
    int32_t rank, nranks;
} mlai_chase_t;

/* For device code too. */
#ifdef __CUDACC__
#define MLAI_CHASE_INLINE static __host__ __device__ __forceinline__
#else
#define MLAI_CHASE_INLINE static inline
#endif

/* Hops of sweep q < n; elements before the rank's group number `own`, which is group rank + own
 * nranks. */
MLAI_CHASE_INLINE int64_t mlai_chase_hops(int64_t n, int64_t kd, int64_t q)
{
    return (n - q + kd - 1) / kd;
}
MLAI_CHASE_INLINE int64_t mlai_chase_offset(int64_t n, int rank, int nranks, int64_t own)
{
    return MLAI_CHASE_GROUP * (own * (n - (int64_t)rank * MLAI_CHASE_GROUP) -
                               own * (own - 1) / 2 * nranks * MLAI_CHASE_GROUP);
}
/* Where the column of sweep q begins, or -1 if it is not this rank's; row q is element q % GROUP
 * of it. */
MLAI_CHASE_INLINE int64_t mlai_chase_column(int64_t n, int rank, int nranks, int64_t q)
{
    int64_t g = q / MLAI_CHASE_GROUP;
    if (g % nranks != rank) return -1;
    return mlai_chase_offset(n, rank, nranks, g / nranks) +
           q % MLAI_CHASE_GROUP * (n - g * MLAI_CHASE_GROUP);
}

#endif
