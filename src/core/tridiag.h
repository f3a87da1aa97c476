/* SPDX-License-Identifier: Apache-2.0
 * src/core/tridiag.h: the scalar steps of the tridiagonal eigensolver, for C11 and for CUDA C:
 * one sweep of implicit QL, and the roots of the secular equation. A backend brings the loops.
 *
 * Secular equation of D + rho z z^T, |z| = 1, d_0 < d_1 < ... < d_{k-1}, weights z_i^2 > 0:
 *
 *     g(w) = 1/rho + sum_i z_i^2 / (d_i - w) = 0,      d_j < w_j < d_{j+1},  w_{k-1} < d_{k-1} +
 * rho
 *
 * A root is found and kept as w_j = origin + tau with the pole next to it as origin, so that all
 * differences d_i - w_j = (d_i - origin) - tau are accurate to the last digits. The sign of tau
 * names the origin: tau > 0 pole j, tau < 0 pole j + 1. An iteration needs the two sums
 *
 *     psi = sum over i <= s of z_i^2 / (d_i - w),  phi = sum over i > s,  s = min(j, k - 2)
 *
 * and their derivatives; it interpolates with the poles s and s + 1 (R.-C. Li, LAPACK working
 * note 89: fixed weight and middle way), inside a bracket, and bisects where that is slow. */
#ifndef MLAI_TRIDIAG_H
#define MLAI_TRIDIAG_H

#ifdef __CUDACC__
#define MLAI_SCALAR static __device__ __forceinline__
#define MLAI_RSQRT(x) rsqrt(x)
#else
#include <math.h>
#define MLAI_SCALAR static inline
#define MLAI_RSQRT(x) (1 / sqrt(x))
#endif

enum { MLAI_SECULAR_MAX = 120 }; /* evaluations of one root */
#define MLAI_ROUNDOFF 0x1p-53    /* unit roundoff of double */

/* Geometric mean while the ends are far apart; they have the same sign and are not zero. */
MLAI_SCALAR double mlai_secular_middle(double lo, double hi)
{
    if (lo > 0 && hi > 4 * lo) return sqrt(lo) * sqrt(hi);
    if (hi < 0 && lo < 4 * hi) return -sqrt(-lo) * sqrt(-hi);
    return lo + 0.5 * (hi - lo);
}

typedef struct mlai_sums {
    double psi, dpsi, phi, dphi;
} mlai_sums_t;

typedef struct mlai_secular {
    double rho, rhoinv;
    double dl, dr, zl, zr;      /* poles s and s + 1 and their weights */
    double origin, tau, lo, hi; /* the root lies in origin + [lo, hi] */
    double previous;            /* |g| one evaluation ago */
    int evaluations;
    int last, left; /* the last root; origin is the left pole */
    int middle_way;
} mlai_secular_t;

/* Where to form the sums first. k >= 2. */
MLAI_SCALAR mlai_secular_t mlai_secular_start(int last, double rho, double dl, double dr,
                                              double zl, double zr)
{
    mlai_secular_t r;
    r.rho = rho, r.rhoinv = 1 / rho;
    r.dl = dl, r.dr = dr, r.zl = zl, r.zr = zr;
    r.origin = last ? dr : dl;
    r.tau = last ? 0.5 * rho : 0.5 * (dr - dl);
    r.lo = 0, r.hi = 0;
    r.previous = 1e300;
    r.evaluations = 0;
    r.last = last, r.left = 1, r.middle_way = 0;
    return r;
}

/* With the sums at the starting point: origin, bracket and first tau, from the two poles at their
 * places and the rest as a constant. */
MLAI_SCALAR void mlai_secular_guess(mlai_secular_t *r, mlai_sums_t f)
{
    const double gap = r->dr - r->dl, w = r->rhoinv + f.psi + f.phi;
    if (r->last) {
        const double middle = r->tau;
        r->lo = 0.9 * r->zr * r->rho;
        r->hi = r->rho * (1 + 1e-12);
        if (middle > r->lo) {
            if (w < 0)
                r->lo = middle;
            else
                r->hi = middle;
        }
        // c + zl / (-gap - t) - zr / t = 0
        const double c = w - r->zl / ((r->dl - r->dr) - middle) + r->zr / middle;
        const double a = c * gap - r->zl - r->zr, q = sqrt(fabs(a * a + 4 * c * r->zr * gap));
        r->tau = a < 0 ? (-a + q) / (2 * c) : 2 * r->zr * gap / (a + q);
    } else {
        const double c = w + 2 * (r->zl - r->zr) / gap;
        r->left = w >= 0;
        if (r->left) {
            const double a = c * gap + r->zl + r->zr, b = r->zl * gap;
            const double q = sqrt(fabs(a * a - 4 * b * c));
            r->origin = r->dl;
            r->tau = a <= 0 ? (a - q) / (2 * c) : 2 * b / (a + q);
            r->lo = 0.9 * r->zl / (r->rhoinv + f.phi);
            r->hi = 0.5 * gap;
            if (!(r->lo < r->hi)) r->lo = 0.5 * r->hi;
        } else {
            const double a = c * gap - r->zl - r->zr, b = r->zr * gap;
            const double q = sqrt(fabs(a * a + 4 * b * c));
            r->origin = r->dr;
            r->tau = a < 0 ? 2 * b / (a - q) : -(a + q) / (2 * c);
            r->hi = -0.9 * r->zr / fabs(f.psi);
            r->lo = -0.5 * gap;
            if (!(r->lo < r->hi)) r->hi = 0.5 * r->lo;
        }
    }
    if (!(r->tau > r->lo && r->tau < r->hi)) r->tau = mlai_secular_middle(r->lo, r->hi);
}

/* The step from tau by interpolation, before any safeguard. */
MLAI_SCALAR double mlai_secular_interpolate(const mlai_secular_t *r, mlai_sums_t f, double w)
{
    const double dw = f.dpsi + f.dphi, gap = r->dr - r->dl;
    const double d1 = (r->dl - r->origin) - r->tau, d2 = (r->dr - r->origin) - r->tau;
    const double a = (d1 + d2) * w - d1 * d2 * dw, b = d1 * d2 * w;
    double c = w - d1 * f.dpsi - d2 * f.dphi, step;
    if (r->last) {
        c = fabs(c);
        const double q = sqrt(fabs(a * a - 4 * b * c));
        step = a >= 0 ? (a + q) / (2 * c) : 2 * b / (a - q);
    } else {
        if (!r->middle_way)
            c = r->left ? w - d2 * dw + gap * r->zl / (d1 * d1)
                        : w - d1 * dw - gap * r->zr / (d2 * d2);
        const double q = sqrt(fabs(a * a - 4 * b * c));
        step = a <= 0 ? (a - q) / (2 * c) : 2 * b / (a + q);
    }
    return w * step >= 0 ? -w / dw : step;
}

/* With the sums at tau: 1 when tau is the root, else 0 and a new tau. */
MLAI_SCALAR int mlai_secular_step(mlai_secular_t *r, mlai_sums_t f)
{
    const double w = r->rhoinv + f.psi + f.phi, dw = f.dpsi + f.dphi;
    const double size = r->rhoinv + fabs(f.psi) + fabs(f.phi), tau = r->tau;
    const int it = r->evaluations++;
    if (fabs(w) <= MLAI_ROUNDOFF * (8 * size + fabs(tau) * dw)) return 1;
    if (w < 0 && tau > r->lo) r->lo = tau;
    if (!(w < 0) && tau < r->hi) r->hi = tau;

    const int slow = it > 0 && fabs(w) > 0.1 * r->previous;
    if (slow) r->middle_way = !r->middle_way;
    r->previous = fabs(w);
    double next = tau + mlai_secular_interpolate(r, f, w);
    // Last root: Newton on the reciprocal of the sum, which is concave and so converges from
    // anywhere, where two poles are a poor model (close ones of little weight).
    if (r->last && (r->middle_way || !(next > r->lo && next < r->hi))) {
        const double newton = tau - (w / dw) * ((r->rhoinv - w) * r->rho);
        if (newton > r->lo && newton < r->hi) next = newton;
    }
    // A long step onto an end of the bracket: just inside of it.
    const double ulps = 4 * MLAI_ROUNDOFF * fabs(tau);
    if (fabs(next - tau) > 100 * ulps) {
        if (next <= r->lo && r->lo - next <= 2 * ulps)
            next = r->lo + ulps;
        else if (next >= r->hi && next - r->hi <= 2 * ulps)
            next = r->hi - ulps;
    }
    if (!(next > r->lo && next < r->hi) || (it >= 12 && slow) || (it >= 40 && (it & 1)))
        next = mlai_secular_middle(r->lo, r->hi);
    r->tau = next;
    return fabs(next - tau) <= MLAI_ROUNDOFF * fabs(tau) ||
           !(r->hi - r->lo > MLAI_ROUNDOFF * fabs(r->hi));
}

/* Whether e between the diagonal elements d and dnext may be set to zero; `floor` is a
 * fifth of the roundoff of the matrix's norm. */
MLAI_SCALAR int mlai_ql_negligible(double e, double d, double dnext, double floor)
{
    return fabs(e) <= floor || e * e <= MLAI_ROUNDOFF * MLAI_ROUNDOFF * fabs(d) * fabs(dnext);
}

/* One sweep of implicit QL over the unreduced block l .. m, l < m. Rotation i, for i = m-1 down
 * to l, is (cosine[i], sine[i]) and turns the columns i and i+1 of Q:
 * (q_i, q_i+1) := (c q_i - s q_i+1, s q_i + c q_i+1). */
MLAI_SCALAR void mlai_ql_sweep(double *d, double *e, int l, int m, double *cosine, double *sine)
{
    const double el = e[l];
    double g = (d[l + 1] - d[l]) / (2 * el), r = sqrt(g * g + 1);
    if (!(r < 1e300)) r = fabs(g);
    g = d[m] - d[l] + el / (g + (g >= 0 ? r : -r));
    double s = 1, c = 1, p = 0, dnext = d[m];
    for (int i = m - 1; i >= l; i--) {
        const double di = d[i], f = s * e[i], b = c * e[i];
        double h = f * f + g * g;
        if (h > 1e-280) {
            const double inverse = MLAI_RSQRT(h);
            c = g * inverse, s = f * inverse, r = h * inverse;
        } else {
            const double big = 0x1p600, f2 = f * big, g2 = g * big;
            h = sqrt(f2 * f2 + g2 * g2);
            r = h * 0x1p-600;
            c = h > 0 ? g2 / h : 1, s = h > 0 ? f2 / h : 0;
        }
        if (i != m - 1) e[i + 1] = r;
        g = dnext - p;
        r = (di - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        dnext = di;
        cosine[i] = c, sine[i] = s;
    }
    d[l] -= p;
    e[l] = g;
}

#endif
