/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_dc.c: tridiagonal divide and conquer on a CPU. The O(k^2) loops run over
 * LANES independent sums, so that they vectorise without a change of the order of additions. */
#include "backend/host/host_dc.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/size.h"
#include "core/tridiag.h"

enum { LANES = 8, STRIDE = 4 };

/* ---- leaves: implicit QL ----------------------------------------------------------------- */

/* Applies the rotations of a sweep over l .. m to the columns of v (n x n). */
static void turn_columns(int64_t n, double *v, int64_t l, int64_t m, const double *cosine,
                         const double *sine)
{
    for (int64_t i = m - 1; i >= l; i--) {
        const double c = cosine[i], s = sine[i];
        double *a = v + i * n, *b = a + n;
        for (int64_t r = 0; r < n; r++) {
            const double x = a[r], y = b[r];
            a[r] = c * x - s * y;
            b[r] = s * x + c * y;
        }
    }
}

/* d: eigenvalues, v: eigenvectors (n x n) of the tridiagonal d, e. False: not converged. */
static bool leaf(int64_t n, double *d, double *e, double *v)
{
    double cosine[MLAI_DC_LEAF], sine[MLAI_DC_LEAF], norm = 0;
    memset(v, 0, (size_t)(n * n) * sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        v[i * n + i] = 1;
        norm = fmax(norm, fmax(fabs(d[i]), i < n - 1 ? fabs(e[i]) : 0));
    }
    const double floor = MLAI_ROUNDOFF / 5 * norm;
    int64_t sweeps = 40 * n + 10;
    for (int64_t l = 0; l < n;) {
        int64_t m = l;
        while (m < n - 1 && !mlai_ql_negligible(e[m], d[m], d[m + 1], floor)) m++;
        if (m == l) {
            l++;
            continue;
        }
        if (sweeps-- == 0) return false;
        if (m < n - 1) e[m] = 0;
        mlai_ql_sweep(d, e, (int)l, (int)m, cosine, sine);
        turn_columns(n, v, l, m, cosine, sine);
    }
    return true;
}

static void store(mla_dtype_t dt, void *q, double value)
{
    if (dt == MLA_FLOAT32)
        *(float *)q = (float)value;
    else
        *(double *)q = value;
}

mla_status_t mlai_host_dc_leaves(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, bool ends,
                                 int64_t count, const int64_t *first, int64_t nmax,
                                 const double *d, const double *e, double *w, void *q,
                                 int64_t ldq)
{
    (void)be, (void)st, (void)nmax;
    double v[MLAI_DC_LEAF * MLAI_DC_LEAF], dl[MLAI_DC_LEAF], el[MLAI_DC_LEAF];
    for (int64_t b = 0; b < count; b++) {
        const int64_t o = first[b];
        const int64_t n = first[b + 1] - o;
        memcpy(dl, d + o, (size_t)n * sizeof *d);
        memcpy(el, e + o, (size_t)n * sizeof *e);
        const bool ok = leaf(n, dl, el, v);
        for (int64_t c = 0; c < n; c++) {
            w[o + c] = ok ? dl[c] : NAN;
            for (int64_t r = 0; r < n && !ends; r++)
                store(dt, mlai_at(q, dt, ldq, o + r, o + c), v[c * n + r]);
            if (ends) {
                store(dt, mlai_at(q, dt, ldq, 0, o + c), v[c * n]);
                store(dt, mlai_at(q, dt, ldq, 1, o + c), v[c * n + n - 1]);
            }
        }
    }
    return MLA_OK;
}

/* ---- columns of Q ------------------------------------------------------------------------ */

mla_status_t mlai_host_dc_border(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dc_level_t *lv, bool take, void *q, int64_t ldq,
                                 double *z)
{
    (void)be, (void)st;
    for (int64_t i = 0; i < lv->nodes; i++) {
        const mlai_dc_node_t *node = &lv->dev.nodes[i];
        for (int64_t c = node->o; c < node->o + node->m; c++) {
            const int64_t row = c < node->o + node->n1 ? node->z1 : node->z2;
            if (row < 0) continue;
            void *at = mlai_at(q, dt, ldq, row, c);
            z[c] = dt == MLA_FLOAT32 ? (double)*(float *)at : *(double *)at;
            if (take) store(dt, at, 0);
        }
    }
    return MLA_OK;
}

mla_status_t mlai_host_dc_rotate(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dc_level_t *lv, void *q, int64_t ldq)
{
    (void)be, (void)st;
    for (int64_t i = 0; i < lv->chains; i++) {
        const mlai_dc_chain_t *chain = &lv->dev.chains[i];
        const mlai_dc_node_t *node = &lv->dev.nodes[chain->node];
        for (int64_t t = chain->first; t < chain->first + chain->count; t++) {
            const mlai_dc_rotation_t *rot = &lv->dev.rotations[t];
            const double c = rot->c, s = rot->s;
            void *p = mlai_at(q, dt, ldq, node->row, rot->p);
            void *j = mlai_at(q, dt, ldq, node->row, rot->j);
            for (int64_t r = 0; r < node->r1 + node->r2; r++) {
                if (dt == MLA_FLOAT32) {
                    const float x = ((float *)p)[r], y = ((float *)j)[r];
                    ((float *)p)[r] = (float)(c * x + s * y);
                    ((float *)j)[r] = (float)(c * y - s * x);
                } else {
                    const double x = ((double *)p)[r], y = ((double *)j)[r];
                    ((double *)p)[r] = c * x + s * y;
                    ((double *)j)[r] = c * y - s * x;
                }
            }
        }
    }
    return MLA_OK;
}

mla_status_t mlai_host_dc_gather(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dc_level_t *lv, const void *q, void *q2, int64_t ldq)
{
    (void)be, (void)st;
    for (int64_t i = 0; i < lv->nodes; i++) {
        const mlai_dc_node_t *node = &lv->dev.nodes[i];
        for (int64_t s = 0; s < node->m; s++) {
            const bool upper = s < node->c1 + node->c2 || s >= node->k, lower = s >= node->c1;
            const int64_t row = node->row + (upper ? 0 : node->r1);
            const int64_t rows = (upper ? node->r1 : 0) + (lower ? node->r2 : 0);
            memcpy(mlai_at(q2, dt, ldq, row, node->o + s),
                   mlai_at(q, dt, ldq, row, lv->dev.src[node->o + s]),
                   (size_t)rows * mlai_sizeof(dt));
        }
    }
    return MLA_OK;
}

mla_status_t mlai_host_dc_restore(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                  const mlai_dc_level_t *lv, const void *q2, const double *rows,
                                  void *q, int64_t ldq)
{
    for (int64_t i = 0; i < lv->nodes; i++) {
        const mlai_dc_node_t *node = &lv->dev.nodes[i];
        const int64_t c = node->o + node->k;
        MLAI_TRY(be->ops->lacpy(be, st, dt, MLAI_FULL, node->r1 + node->r2, node->m - node->k,
                                mlai_at(q2, dt, ldq, node->row, c), ldq,
                                mlai_at(q, dt, ldq, node->row, c), ldq));
        if (rows)
            MLAI_TRY(be->ops->lacpy(be, st, dt, MLAI_FULL, 2, node->k, rows + 2 * node->at, 2,
                                    mlai_at(q, dt, ldq, 0, node->o), ldq));
    }
    return MLA_OK;
}

/* ---- secular equation -------------------------------------------------------------------- */

/* *sum of weight_i / (pole_i - w) and *slope of weight_i / (pole_i - w)^2, w = origin + tau. */
static void add_terms(int64_t count, const double *pole, const double *weight, double origin,
                      double tau, double *sum, double *slope)
{
    double a[LANES] = {0}, b[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int l = 0; l < LANES; l++) {
            const double r = 1 / ((pole[i + l] - origin) - tau), t = weight[i + l] * r;
            a[l] += t;
            b[l] += t * r;
        }
    for (int l = 0; i < count; i++, l++) {
        const double r = 1 / ((pole[i] - origin) - tau), t = weight[i] * r;
        a[l] += t;
        b[l] += t * r;
    }
    *sum = *slope = 0;
    for (int l = 0; l < LANES; l++) *sum += a[l], *slope += b[l];
}

static mlai_sums_t sums(const mlai_secular_t *r, int64_t k, int64_t split, const double *pole,
                        const double *weight)
{
    mlai_sums_t f;
    const int64_t low = split + 1;
    add_terms(low, pole, weight, r->origin, r->tau, &f.psi, &f.dpsi);
    add_terms(k - low, pole + low, weight + low, r->origin, r->tau, &f.phi, &f.dphi);
    return f;
}

/* tau of root j of k, or NaN. */
static double secular_root(int64_t k, int64_t j, double rho, const double *pole,
                           const double *weight)
{
    if (k == 1) return rho;
    const int64_t s = mlai_min(j, k - 2);
    mlai_secular_t r =
        mlai_secular_start(j == k - 1, rho, pole[s], pole[s + 1], weight[s], weight[s + 1]);
    mlai_secular_guess(&r, sums(&r, k, s, pole, weight));
    for (int it = 0; it < MLAI_SECULAR_MAX; it++)
        if (mlai_secular_step(&r, sums(&r, k, s, pole, weight))) return r.tau;
    return NAN;
}

/* The first node whose list of roots ends after g. */
static int64_t find_node(const mlai_dc_level_t *lv, int64_t g)
{
    int64_t i = 0;
    while (i < lv->nodes && lv->dev.nodes[i].at + lv->dev.nodes[i].k <= g) i++;
    return i;
}

mla_status_t mlai_host_dc_secular(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                                  int64_t g0, int64_t g1)
{
    (void)be, (void)st;
    int64_t i = find_node(lv, g0);
    for (int64_t g = g0; g < g1; g++) {
        while (lv->dev.nodes[i].at + lv->dev.nodes[i].k <= g) i++;
        const mlai_dc_node_t *node = &lv->dev.nodes[i];
        lv->tau[g] = secular_root(node->k, g - node->at, node->rho, lv->dev.pole + node->at,
                                  lv->dev.weight + node->at);
    }
    return MLA_OK;
}

/* Product of (d - w_j) / (d - pole_j). A division for each STRIDE numbers of a lane. */
static double ratios(int64_t count, double d, const double *pole, const double *origin,
                     const double *tau)
{
    const int64_t step = STRIDE * (int64_t)LANES;
    double p[LANES], product = 1;
    for (int l = 0; l < LANES; l++) p[l] = 1;
    int64_t j = 0;
    for (; j + step <= count; j += step)
        for (int l = 0; l < LANES; l++) {
            double num = 1, den = 1;
            for (int u = 0; u < STRIDE; u++) {
                const int64_t i = j + u * (int64_t)LANES + l;
                num *= (d - origin[i]) - tau[i];
                den *= d - pole[i];
            }
            p[l] *= num / den;
        }
    for (; j < count; j++) product *= ((d - origin[j]) - tau[j]) / (d - pole[j]);
    for (int l = 0; l < LANES; l++) product *= p[l];
    return product;
}

mla_status_t mlai_host_dc_zhat(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                               int64_t g0, int64_t g1)
{
    (void)be, (void)st;
    for (int64_t i = 0; i < lv->nodes; i++) {
        const mlai_dc_node_t *node = &lv->dev.nodes[i];
        const double *pole = lv->dev.pole + node->at;
        for (int64_t j = 0; j < node->k; j++)
            lv->origin[node->at + j] = pole[j + (lv->tau[node->at + j] < 0)];
    }
    int64_t i = find_node(lv, g0);
    for (int64_t g = g0; g < g1; g++) {
        while (lv->dev.nodes[i].at + lv->dev.nodes[i].k <= g) i++;
        const mlai_dc_node_t *node = &lv->dev.nodes[i];
        const double *pole = lv->dev.pole + node->at, *origin = lv->origin + node->at;
        const double *tau = lv->tau + node->at, d = lv->dev.spole[g];
        const int64_t own = (lv->dev.row[g] < 0 ? -lv->dev.row[g] : lv->dev.row[g]) - 1;
        const int64_t after = own + 1;
        // All (d - w_j), over all (d - pole_j) but its own, which is zero.
        double p = ratios(own, d, pole, origin, tau) * ((d - origin[own]) - tau[own]) *
                   ratios(node->k - after, d, pole + after, origin + after, tau + after);
        p = sqrt(fabs(p));
        lv->zhat[g] = lv->dev.row[g] < 0 ? -p : p;
    }
    return MLA_OK;
}

/* ---- S ----------------------------------------------------------------------------------- */

/* 1 / norm of the vector zhat_r / (pole_r - w). */
static double column_scale(int64_t k, const double *pole, const double *zhat, double origin,
                           double tau)
{
    double a[LANES] = {0}, sum = 0;
    int64_t r = 0;
    for (; r + LANES <= k; r += LANES)
        for (int l = 0; l < LANES; l++) {
            const double v = zhat[r + l] / ((pole[r + l] - origin) - tau);
            a[l] += v * v;
        }
    for (int l = 0; r < k; r++, l++) {
        const double v = zhat[r] / ((pole[r] - origin) - tau);
        a[l] += v * v;
    }
    for (int l = 0; l < LANES; l++) sum += a[l];
    return 1 / sqrt(sum);
}

/* Rows [r0, r1) of the column of S for root g. */
static void column(const mlai_dc_level_t *lv, const mlai_dc_node_t *node, int64_t g, double scale,
                   int64_t r0, int64_t r1, mla_dtype_t dt, void *s)
{
    const double *pole = lv->dev.spole + node->at + r0, *zhat = lv->zhat + node->at + r0;
    const double origin = lv->origin[g], tau = lv->tau[g];
    float *out32 = s;
    double *out64 = s;
    if (dt == MLA_FLOAT32)
        for (int64_t r = 0; r < r1 - r0; r++)
            out32[r] = (float)(zhat[r] * scale / ((pole[r] - origin) - tau));
    else
        for (int64_t r = 0; r < r1 - r0; r++)
            out64[r] = zhat[r] * scale / ((pole[r] - origin) - tau);
}

static void form_tile(const mlai_dc_level_t *lv, const mlai_dc_tile_t *tile, mla_dtype_t dt,
                      void *s)
{
    const mlai_dc_node_t *node = &lv->dev.nodes[tile->node];
    for (int64_t j = 0; j < tile->width; j++) {
        const int64_t g = node->at + tile->first + j;
        const double scale = column_scale(node->k, lv->dev.spole + node->at, lv->zhat + node->at,
                                          lv->origin[g], lv->tau[g]);
        if (tile->ld1 > 0)
            column(lv, node, g, scale, 0, node->c1 + node->c2, dt,
                   mlai_at(s, dt, tile->ld1, tile->at1, j));
        if (tile->ld2 > 0)
            column(lv, node, g, scale, node->c1, node->k, dt,
                   mlai_at(s, dt, tile->ld2, tile->at2, j));
    }
}

mla_status_t mlai_host_dc_merge(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                const mlai_dc_level_t *lv, int64_t t0, int64_t t1, void *s,
                                const void *q2, void *q, int64_t ldq)
{
    for (int64_t t = t0; t < t1; t++) {
        const mlai_dc_tile_t *tile = &lv->dev.tiles[t];
        const mlai_dc_node_t *node = &lv->dev.nodes[tile->node];
        const int64_t c1 = node->c1, o = node->o, out = o + tile->first;
        const int64_t upper = node->row, lower = node->row + node->r1;
        form_tile(lv, tile, dt, s);
        if (tile->ld1 > 0)
            MLAI_TRY(be->ops->gemm(be, st, dt, MLAI_N, MLAI_N, node->r1, tile->width,
                                   c1 + node->c2, 1.0, mlai_at(q2, dt, ldq, upper, o), ldq,
                                   mlai_at(s, dt, 1, tile->at1, 0), tile->ld1, 0.0,
                                   mlai_at(q, dt, ldq, upper, out), ldq));
        if (tile->ld2 > 0)
            MLAI_TRY(be->ops->gemm(be, st, dt, MLAI_N, MLAI_N, node->r2, tile->width,
                                   node->k - c1, 1.0, mlai_at(q2, dt, ldq, lower, o + c1), ldq,
                                   mlai_at(s, dt, 1, tile->at2, 0), tile->ld2, 0.0,
                                   mlai_at(q, dt, ldq, lower, out), ldq));
    }
    return MLA_OK;
}

mla_status_t mlai_host_dc_rows(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                               int64_t g0, int64_t g1, const double *q2, double *rows)
{
    (void)be, (void)st;
    int64_t i = find_node(lv, g0);
    for (int64_t g = g0; g < g1; g++) {
        while (lv->dev.nodes[i].at + lv->dev.nodes[i].k <= g) i++;
        const mlai_dc_node_t *node = &lv->dev.nodes[i];
        const double *pole = lv->dev.spole + node->at, *zhat = lv->zhat + node->at;
        const double origin = lv->origin[g], tau = lv->tau[g], *f = q2 + 2 * node->o;
        const double scale = column_scale(node->k, pole, zhat, origin, tau);
        double upper = 0, lower = 0;
        for (int64_t r = 0; r < node->k; r++) {
            const double v = zhat[r] * scale / ((pole[r] - origin) - tau);
            if (r < node->c1 + node->c2) upper += v * f[2 * r];
            if (r >= node->c1) lower += v * f[2 * r + 1];
        }
        rows[2 * g] = upper;
        rows[2 * g + 1] = lower;
    }
    return MLA_OK;
}
