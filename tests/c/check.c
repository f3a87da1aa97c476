/* SPDX-License-Identifier: Apache-2.0
 * tests/c/check.c: residuals by random probes (definitions in check.h). */
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { PROBES = 3 };

double check_eps(mla_dtype_t dt)
{
    return dt == MLA_FLOAT32 || dt == MLA_COMPLEX64 ? FLT_EPSILON / 2 : DBL_EPSILON / 2;
}

static gen_z *vec(int64_t n)
{
    return calloc((size_t)(n > 0 ? n : 1), sizeof(gen_z));
}

gen_z *check_matrix(const gen_t *g, mla_dtype_t dt)
{
    gen_z *b = vec(g->n * g->n);
    int low = dt == MLA_FLOAT32 || dt == MLA_COMPLEX64;
    for (int64_t j = 0; b && j < g->n; j++)
        for (int64_t i = 0; i < g->n; i++) {
            gen_z z = gen_at(g, i, j);
            b[i + j * g->n] = low ? (gen_z)(float _Complex)z : z;
        }
    return b;
}

static void probe(int k, int64_t n, gen_z *x)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = gen_hash(77 + (uint64_t)k, i, 3) + gen_hash(99 + (uint64_t)k, i, 4) * I;
}

/* y := op(a) x, op: 'N' a, 'H' its conjugate transpose, 'C' conj(a), 'T' its transpose; a: m x n
 */
static void apply(char op, int64_t m, int64_t n, const gen_z *a, const gen_z *x, gen_z *y)
{
    int64_t rows = op == 'N' || op == 'C' ? m : n;
    for (int64_t i = 0; i < rows; i++) y[i] = 0;
    for (int64_t j = 0; j < n; j++) {
        const gen_z *aj = a + j * m;
        if (op == 'N')
            for (int64_t i = 0; i < m; i++) y[i] += aj[i] * x[j];
        else if (op == 'C')
            for (int64_t i = 0; i < m; i++) y[i] += conj(aj[i]) * x[j];
        else if (op == 'H')
            for (int64_t i = 0; i < m; i++) y[j] += conj(aj[i]) * x[i];
        else
            for (int64_t i = 0; i < m; i++) y[j] += aj[i] * x[i];
    }
}

static double norm2(int64_t n, const gen_z *x)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += creal(x[i] * conj(x[i]));
    return sqrt(s);
}

/* Largest column sum. */
static double norm1(int64_t m, int64_t n, const gen_z *a)
{
    double most = 0;
    for (int64_t j = 0; j < n; j++) {
        double s = 0;
        for (int64_t i = 0; i < m; i++) s += cabs(a[i + j * m]);
        if (!(s <= most)) most = s;
    }
    return most;
}

static double larger(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

static double ratio(double a, double b)
{
    return a == 0 ? 0 : a / b;
}

double check_solve(const gen_z *b, int64_t n, int64_t nrhs, const gen_z *x, const gen_z *c,
                   double eps)
{
    gen_z *r = vec(nrhs * n);
    for (int64_t j = 0; j < n; j++)
        for (int64_t k = 0; k < nrhs; k++) {
            gen_z s = -c[k + j * nrhs];
            for (int64_t i = 0; i < n; i++) s += x[k + i * nrhs] * b[i + j * n];
            r[k + j * nrhs] = s;
        }
    double scale = norm1(n, n, b) * norm1(nrhs, n, x) * (double)n * eps;
    double res = ratio(norm1(nrhs, n, r), scale);
    free(r);
    return res;
}

double check_inverse(const gen_z *b, int64_t n, const gen_z *x, double eps)
{
    gen_z *p = vec(n), *y = vec(n), *r = vec(n);
    double res = 0, scale = norm1(n, n, b) * norm1(n, n, x) * (double)n * eps;
    for (int k = 0; k < PROBES; k++) {
        probe(k, n, p);
        apply('N', n, n, x, p, y);
        apply('N', n, n, b, y, r);
        for (int64_t i = 0; i < n; i++) r[i] -= p[i];
        res = larger(res, ratio(norm2(n, r), norm2(n, p) * scale));
    }
    free(p);
    free(y);
    free(r);
    return res;
}

double check_hermitian(int64_t n, const gen_z *x, double eps)
{
    double most = 0;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i <= j; i++)
            most = larger(most, cabs(x[i + j * n] - conj(x[j + i * n])));
    return ratio(most, norm1(n, n, x) * eps);
}

double check_factor(const gen_z *b, int64_t n, const gen_z *l, double eps)
{
    gen_z *p = vec(n), *y = vec(n), *r = vec(n), *s = vec(n);
    double res = 0, scale = norm1(n, n, b) * (double)n * eps;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < j; i++)
            if (l[i + j * n] != 0) res = INFINITY;
    for (int k = 0; k < PROBES; k++) {
        probe(k, n, p);
        apply('H', n, n, l, p, y);
        apply('N', n, n, l, y, r);
        apply('N', n, n, b, p, s);
        for (int64_t i = 0; i < n; i++) r[i] -= s[i];
        res = larger(res, ratio(norm2(n, r), norm2(n, p) * scale));
    }
    free(p);
    free(y);
    free(r);
    free(s);
    return res;
}

double check_eigen(const gen_z *b, int64_t n, const double *w, const gen_z *z, double eps)
{
    gen_z *p = vec(n), *y = vec(n), *r = vec(n), *s = vec(n);
    double res = 0, scale = norm1(n, n, b) * (double)n * eps;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(w[i]) || (i > 0 && !(w[i] >= w[i - 1]))) res = INFINITY;
    for (int k = 0; k < PROBES; k++) {
        probe(k, n, p);
        apply('N', n, n, z, p, y);
        apply('C', n, n, b, y, r);
        apply('H', n, n, z, y, s);
        for (int64_t i = 0; i < n; i++) s[i] -= p[i];
        res = larger(res, norm2(n, s) / (norm2(n, p) * (double)n * eps));
        for (int64_t i = 0; i < n; i++) p[i] *= w[i];
        apply('N', n, n, z, p, y);
        for (int64_t i = 0; i < n; i++) r[i] -= y[i];
        probe(k, n, p);
        res = larger(res, ratio(norm2(n, r), norm2(n, p) * scale));
    }
    free(p);
    free(y);
    free(r);
    free(s);
    return res;
}
