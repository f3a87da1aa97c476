/* SPDX-License-Identifier: Apache-2.0
 * src/backend/dc_level.h: one level of the tree of divide and conquer, as the backends see it:
 * plain data for C11 and CUDA C. algo/laed2.c makes it, algo/stedc.c says what it means.
 *
 * The level's merges have k roots each, `roots` together; root j of a merge is entry at + j of
 * the lists of roots. S, of one merge, is k x k: column j belongs to root j, row r to a column of
 * the children's Q:
 *
 *     rows [0, c1)         columns that are zero in the rows of child 2
 *     rows [c1, c1+c2)     columns with both parts
 *     rows [c1+c2, k)      columns that are zero in the rows of child 1 */
#ifndef MLAI_DC_LEVEL_H
#define MLAI_DC_LEVEL_H

#ifndef __CUDACC_RTC__
#include <stdint.h>
#endif

enum {
    MLAI_DC_LEAF = 64,  /* largest leaf */
    MLAI_DC_TILE = 512, /* columns of S at a time */
    MLAI_DC_ROUND = 8   /* leading dimensions of S are multiples of this */
};

/* The merge of the nodes [o, o+n1) and [o+n1, o+m) of the tridiagonal matrix. */
typedef struct mlai_dc_node {
    int64_t o, n1, m;
    int64_t k, c1, c2;
    int64_t at;
    int64_t row, r1, r2; /* rows of q: the first, and how many of child 1 and of child 2 */
    int64_t z1, z2;      /* rows of q that hold child 1's last and child 2's first row, or -1 */
    double rho;          /* D + rho z z^T, |z| = 1 */
} mlai_dc_node_t;

/* Columns (p, j) of q := (c p + s j, c j - s p). */
typedef struct mlai_dc_rotation {
    double c, s;
    int64_t p, j;
} mlai_dc_rotation_t;

/* Rotations to be applied in order; different chains share no column. */
typedef struct mlai_dc_chain {
    int64_t node, first, count;
} mlai_dc_chain_t;

/* Columns [first, first + width) of the S of a node, in two blocks for the two products: rows
 * [0, c1+c2) for those of child 1 and rows [c1, k) for those of child 2, at elements at1 and at2
 * of the work space, with leading dimensions ld1 and ld2; 0 where there are no such rows of q. */
typedef struct mlai_dc_tile {
    int64_t node, first, width;
    int64_t at1, ld1, at2, ld2;
} mlai_dc_tile_t;

/* Made on the host, copied to the device. */
typedef struct mlai_dc_lists {
    mlai_dc_node_t *nodes;
    double *pole;   /* by root: d_j, ascending within a merge */
    double *weight; /* by root: z_j^2 */
    double *spole;  /* the pole of each row of S */
    int32_t *row;   /* for row r of S: +-(j + 1), its pole is j, the sign that of z_j */
    int32_t *src;   /* entry o + s: the column of q that goes to column o + s of q2: rows of S
                       first, then deflated columns */
    mlai_dc_rotation_t *rotations;
    mlai_dc_chain_t *chains;
    mlai_dc_tile_t *tiles;
} mlai_dc_lists_t;

typedef struct mlai_dc_level {
    int64_t nodes, roots, rotations, chains, tiles;
    mlai_dc_lists_t host, dev;
    double *tau;    /* device, by root: w_j = pole + tau_j, see core/tridiag.h; NaN: not found */
    double *origin; /* device, by root: that pole */
    double *zhat;   /* device, by row of S */
} mlai_dc_level_t;

#endif
