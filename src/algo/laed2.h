/* SPDX-License-Identifier: Apache-2.0
 * src/algo/laed2.h: the host's part of a merge of divide and conquer: which columns deflate, and
 * in what order the columns stand. O(m) for a node of m columns, no arithmetic on vectors. */
#ifndef MLAI_LAED2_H
#define MLAI_LAED2_H

#include "backend/backend.h"

/* Arrays of n entries. A node's columns are [o, o+m); order[o .. o+m) lists them by ascending d.
 */
typedef struct mlai_columns {
    double eps;     /* unit roundoff of the vectors */
    double *d;      /* eigenvalue of each column */
    double *z;      /* its entry of z, before a merge */
    int32_t *order; /* absolute column numbers */
    int32_t *kept, *gone, *tmp;
    uint8_t *half; /* in whose rows the column is not zero: 1, 2, or 3 for both */
} mlai_columns_t;

/* Sorts a list of `count` columns by d, stable; fast if it consists of few ascending runs. */
void mlai_columns_sort(const mlai_columns_t *cols, int32_t *list, int64_t count);

/* Deflates the merge of `node` (o, n1, m and its rows are set) with the off-diagonal element
 * `off` between the children: sorted order and z of both children in, and out: another node at
 * the end of the level's lists, with its rotations, and d of the deflated columns o + k ... A
 * merge in which all deflates changes no column and is not added: its order is complete. */
void mlai_laed2(mlai_columns_t *cols, mlai_dc_level_t *lv, mlai_dc_node_t node, double off);

/* With the roots of a node that mlai_laed2 has added (tau: all of the level's): d and order.
 * False if a root is NaN. */
bool mlai_laed2_roots(mlai_columns_t *cols, const mlai_dc_level_t *lv, int64_t node,
                      const double *tau);

#endif
