/* SPDX-License-Identifier: Apache-2.0
 * src/algo/laed2.c: deflation. With the children T1 = Q1 D1 Q1^T, T2 = Q2 D2 Q2^T,
 *
 *     diag(Q1, Q2)^T T diag(Q1, Q2) = D + rho z z^T,
 *     rho = 2 |off|,  z = [last row of Q1, sign(off) first row of Q2] / sqrt(2),  |z| = 1
 *
 * (the diagonal elements beside the cut were lowered by |off|). A column is finished, an
 * eigenpair of the whole, when rho |z_j| is below tol = 8 eps max(|d|, |z|); and of two columns
 * whose d are so close that a rotation which makes one of their z zero leaves an off-diagonal
 * element below tol, that one is. What remains has distinct d and z that are not small: the
 * secular equation's case.
 *
 * The criteria are those of LAPACK's dlaed2 (Dongarra and Sorensen 1987). All ranks decide from
 * bitwise equal data, and so alike. */
#include "algo/laed2.h"

#include <math.h>
#include <string.h>

/* End of the ascending run that starts at i. A NaN counts as ascending. */
static int64_t run_end(const double *d, const int32_t *list, int64_t i, int64_t count)
{
    for (i++; i < count && !(d[list[i]] < d[list[i - 1]]); i++) {
    }
    return i;
}

void mlai_columns_sort(const mlai_columns_t *cols, int32_t *list, int64_t count)
{
    const double *d = cols->d;
    int32_t *from = list, *to = cols->tmp;
    // Merge neighbouring runs until one is left.
    while (count > 0 && run_end(d, from, 0, count) < count) {
        for (int64_t i = 0; i < count;) {
            const int64_t middle = run_end(d, from, i, count);
            const int64_t end = middle < count ? run_end(d, from, middle, count) : count;
            int64_t a = i, b = middle, q = i;
            while (a < middle && b < end)
                to[q++] = d[from[b]] < d[from[a]] ? from[b++] : from[a++];
            while (a < middle) to[q++] = from[a++];
            while (b < end) to[q++] = from[b++];
            i = end;
        }
        int32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != list) memcpy(list, from, (size_t)count * sizeof *list);
}

/* z of the merge from the rows of Q1 and Q2; -> the tolerance, and whether anything exceeds it.
 */
static bool prepare(mlai_columns_t *cols, const mlai_dc_node_t *node, double off, double *tol)
{
    const double scale = sqrt(0.5), sign = off < 0 ? -1 : 1;
    double zmax = 0, dmax = 0;
    for (int64_t c = node->o; c < node->o + node->m; c++) {
        const bool first = c < node->o + node->n1;
        cols->z[c] *= first ? scale : sign * scale;
        cols->half[c] = first ? 1 : 2;
        zmax = fmax(zmax, fabs(cols->z[c]));
        dmax = fmax(dmax, fabs(cols->d[c]));
    }
    *tol = 8 * cols->eps * fmax(dmax, zmax);
    return !(2 * fabs(off) * zmax <= *tol);
}

/* Rotates column p out of the merge, into column j; false if that is not accurate. */
static bool rotate(mlai_columns_t *cols, mlai_dc_level_t *lv, int32_t p, int32_t j, double tol)
{
    double *d = cols->d, *z = cols->z;
    const double s0 = z[p], c0 = z[j], h = c0 * c0 + s0 * s0;
    if (!(fabs((d[j] - d[p]) * c0 * s0) <= tol * h)) return false;
    const double length = sqrt(h), c = c0 / length, s = -s0 / length;
    const double dp = d[p], dj = d[j];
    z[j] = length;
    z[p] = 0;
    d[p] = dp * c * c + dj * s * s;
    d[j] = dp * s * s + dj * c * c;
    cols->half[p] = cols->half[j] = cols->half[p] | cols->half[j];

    mlai_dc_lists_t *out = &lv->host;
    const bool joins = lv->chains > 0 && out->chains[lv->chains - 1].node == lv->nodes &&
                       out->rotations[lv->rotations - 1].j == p;
    if (!joins)
        out->chains[lv->chains++] =
            (mlai_dc_chain_t){.node = lv->nodes, .first = lv->rotations, .count = 0};
    out->chains[lv->chains - 1].count++;
    out->rotations[lv->rotations++] = (mlai_dc_rotation_t){.c = c, .s = s, .p = p, .j = j};
    return true;
}

/* Goes through the columns by ascending d: kept[0 .. k-1] and gone[0 .. m-k-1]; -> k. */
static int64_t scan(mlai_columns_t *cols, mlai_dc_level_t *lv, const mlai_dc_node_t *node,
                    double rho, double tol)
{
    const int32_t *order = cols->order + node->o;
    int64_t k = 0, gone = 0;
    int32_t candidate = -1;
    for (int64_t q = 0; q < node->m; q++) {
        const int32_t c = order[q];
        if (rho * fabs(cols->z[c]) <= tol) {
            cols->gone[gone++] = c;
            continue;
        }
        if (candidate >= 0) {
            if (rotate(cols, lv, candidate, c, tol))
                cols->gone[gone++] = candidate;
            else
                cols->kept[k++] = candidate;
        }
        candidate = c;
    }
    if (candidate >= 0) cols->kept[k++] = candidate;
    return k;
}

/* Fills the lists of the merge from kept and gone. */
static void list(mlai_columns_t *cols, mlai_dc_level_t *lv, mlai_dc_node_t *node, double rho)
{
    mlai_dc_lists_t *out = &lv->host;
    const int64_t o = node->o, k = node->k, at = lv->roots;
    double zz = 0;
    int64_t types[4] = {0};
    for (int64_t i = 0; i < k; i++) {
        const int32_t c = cols->kept[i];
        zz += cols->z[c] * cols->z[c];
        types[cols->half[c]]++;
    }
    node->c1 = types[1];
    node->c2 = types[3];
    node->at = at;
    node->rho = rho * zz;
    int64_t next[4] = {0, 0, types[1] + types[3], types[1]}; // row of S, by half
    for (int64_t i = 0; i < k; i++) {
        const int32_t c = cols->kept[i];
        const int64_t r = next[cols->half[c]]++;
        const double z = cols->z[c];
        out->pole[at + i] = cols->d[c];
        out->weight[at + i] = z * z / zz;
        out->spole[at + r] = cols->d[c];
        out->row[at + r] = (int32_t)(z < 0 ? -(i + 1) : i + 1);
        out->src[o + r] = c;
    }
    // Deflated columns behind the roots; d is read from all over the node, so by way of z.
    mlai_columns_sort(cols, cols->gone, node->m - k);
    for (int64_t q = 0; q < node->m - k; q++) {
        out->src[o + k + q] = cols->gone[q];
        cols->z[o + q] = cols->d[cols->gone[q]];
    }
    memcpy(cols->d + o + k, cols->z + o, (size_t)(node->m - k) * sizeof *cols->d);
}

void mlai_laed2(mlai_columns_t *cols, mlai_dc_level_t *lv, mlai_dc_node_t node, double off)
{
    const double rho = 2 * fabs(off);
    double tol;
    mlai_columns_sort(cols, cols->order + node.o, node.m);
    if (!prepare(cols, &node, off, &tol)) return;
    node.k = scan(cols, lv, &node, rho, tol);
    if (node.k == 0) return;
    list(cols, lv, &node, rho);
    lv->host.nodes[lv->nodes++] = node;
    lv->roots += node.k;
}

bool mlai_laed2_roots(mlai_columns_t *cols, const mlai_dc_level_t *lv, int64_t node,
                      const double *tau)
{
    const mlai_dc_node_t *nd = &lv->host.nodes[node];
    const double *pole = lv->host.pole + nd->at;
    bool ok = true;
    tau += nd->at;
    for (int64_t j = 0; j < nd->k; j++) {
        cols->d[nd->o + j] = pole[j + (tau[j] < 0)] + tau[j];
        if (isnan(cols->d[nd->o + j])) ok = false;
    }
    for (int64_t c = nd->o; c < nd->o + nd->m; c++) cols->order[c] = (int32_t)c;
    mlai_columns_sort(cols, cols->order + nd->o, nd->m);
    return ok;
}
