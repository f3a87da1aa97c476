/* SPDX-License-Identifier: Apache-2.0
 * src/dist/dist.h: tile <-> rank <-> column maps. Pure index arithmetic, 64 bit.
 *
 * Rank p holds the natural columns [p*lc, p*lc + cols(p)), cols(p) = clamp(n - p*lc, 0, lc).
 * They are cut into slots of nb columns, S = ceil(lc/nb) slots on every rank. Tile t is
 *
 *     MLA_CYCLIC    slot t div P of rank t mod P       T = S*P tiles
 *     MLA_NATURAL   slot t mod S of rank t div S
 *
 * of width w(t) = clamp(cols(p) - slot*nb, 0, nb), which may be 0 at the ragged end. The
 * position `pos` of a column in the elimination order is off(t) + (its offset in the tile),
 * off(t) = sum of w(u) over u < t. Indices: i, j natural; pos permuted; jl local column. A
 * rank's local columns are in ascending order of pos in both orders.
 *
 *     P=2, nb=2, n=8: natural 0 1 2 3 | 4 5 6 7 is eliminated as 0 1 4 5 2 3 6 7
 */
#ifndef MLAI_DIST_H
#define MLAI_DIST_H

#include "meshlinalg.h"

typedef struct mlai_dist {
    int64_t n, lc, nb, slots; /* slots of every rank; tiles = slots * nranks */
    int nranks;
    mla_order_t order;
} mlai_dist_t;

/* n >= 0, lc * nranks >= n, nb >= 1. */
mlai_dist_t mlai_dist(int64_t n, int64_t lc, int64_t nb, int nranks, mla_order_t order);

int64_t mlai_dist_tiles(const mlai_dist_t *d);
/* Columns that rank p holds. */
int64_t mlai_dist_cols(const mlai_dist_t *d, int p);
/* Of tile t: its rank, its slot, its width, its first pos, its first local column. */
int mlai_dist_owner(const mlai_dist_t *d, int64_t t);
int64_t mlai_dist_slot(const mlai_dist_t *d, int64_t t);
int64_t mlai_dist_width(const mlai_dist_t *d, int64_t t);
int64_t mlai_dist_off(const mlai_dist_t *d, int64_t t);
int64_t mlai_dist_local(const mlai_dist_t *d, int64_t t);
/* The tile in slot s of rank p. */
int64_t mlai_dist_tile(const mlai_dist_t *d, int p, int64_t s);
/* First slot of rank p whose tile is >= t: p's trailing columns start there. */
int64_t mlai_dist_first_slot(const mlai_dist_t *d, int p, int64_t t);
/* Natural index <-> position. 0 <= i, pos < n. */
int64_t mlai_dist_pos(const mlai_dist_t *d, int64_t i);
int64_t mlai_dist_nat(const mlai_dist_t *d, int64_t pos);
/* Whether pos(i) == i for all i: one rank, or natural order. */
int mlai_dist_is_identity(const mlai_dist_t *d);

#endif
