/* SPDX-License-Identifier: Apache-2.0
 * tests/c/gen.c: test matrices by index (kinds in gen.h). */
#include "gen.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double gen_hash(uint64_t seed, int64_t i, int64_t j)
{
    uint64_t z = seed * 0x9E3779B97F4A7C15u + (uint64_t)i * 0xD1342543DE82EF95u +
                 (uint64_t)j * 0xAF251AF3B0F025B5u + 0x632BE59BD9B4E019u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-52 - 1.0;
}

/* ---- elements ------------------------------------------------------------------------------ */

static int is_complex(mla_dtype_t dt)
{
    return dt == MLA_COMPLEX64 || dt == MLA_COMPLEX128;
}

gen_z gen_rounded(mla_dtype_t dt, gen_z z)
{
    if (!is_complex(dt)) z = creal(z);
    return dt == MLA_FLOAT32 || dt == MLA_COMPLEX64 ? (gen_z)(float _Complex)z : z;
}

void gen_put(mla_dtype_t dt, void *a, int64_t k, gen_z z)
{
    switch (dt) {
    case MLA_FLOAT32: ((float *)a)[k] = (float)creal(z); break;
    case MLA_FLOAT64: ((double *)a)[k] = creal(z); break;
    case MLA_COMPLEX64: ((float _Complex *)a)[k] = (float _Complex)z; break;
    case MLA_COMPLEX128: ((gen_z *)a)[k] = z; break;
    }
}

gen_z gen_get(mla_dtype_t dt, const void *a, int64_t k)
{
    switch (dt) {
    case MLA_FLOAT32: return ((const float *)a)[k];
    case MLA_FLOAT64: return ((const double *)a)[k];
    case MLA_COMPLEX64: return ((const float _Complex *)a)[k];
    default: return ((const gen_z *)a)[k];
    }
}

/* ---- kinds --------------------------------------------------------------------------------- */

static int parse(gen_t *g, const char *kind)
{
    static const char *const names[] = {"rand",     "goe",     "cond:",   "cluster",  "graded",
                                        "identity", "diag",    "zero",    "onesplus", "wilkinson",
                                        "indef:",   "nan:",    "scaled:", "kernel:",  "general",
                                        "zerocol:", "nangen:", "growth",  "ties"};
    for (int k = 0; k < (int)(sizeof names / sizeof *names); k++) {
        size_t length = strlen(names[k]);
        int argument = names[k][length - 1] == ':';
        if (argument ? strncmp(kind, names[k], length) : strcmp(kind, names[k])) continue;
        g->kind = (gen_kind_t)k;
        if (g->kind == GEN_COND) g->condition = strtod(kind + length, NULL);
        if (g->kind == GEN_GRADED) g->condition = 1e12;
        if (g->kind == GEN_SCALED || g->kind == GEN_KERNEL)
            g->factor = strtod(kind + length, NULL);
        if (g->kind == GEN_INDEF || g->kind == GEN_NAN || g->kind == GEN_ZEROCOL ||
            g->kind == GEN_NANGEN) {
            long long j = strtoll(kind + length, NULL, 10);
            g->bad = j == -1 ? g->n - 1 : j == -2 ? g->n / 2 : j;
            if (g->bad >= g->n) g->bad = -1;
        }
        return 0;
    }
    return -1;
}

static double eigenvalue(const gen_t *g, int64_t i)
{
    double x = g->n > 1 ? (double)i / (double)(g->n - 1) : 0.0;
    if (g->kind == GEN_CLUSTER) return 1.0 + (double)(i % 3) + 1e-9 * gen_hash(5, i, 0);
    return pow(g->condition, -x);
}

/* dv := M v with M the matrix before reflection `which`. */
static void reflect(gen_t *g, int which)
{
    gen_z *out = g->dv[which], *v = g->v[which];
    for (int64_t i = 0; i < g->n; i++) out[i] = g->lambda[i] * v[i];
    if (which == 1) { /* M = H1 D H1 = D - 2 v0 dv0^H - 2 dv0 v0^H + 4 q0 v0 v0^H */
        gen_z a = 0, b = 0;
        for (int64_t i = 0; i < g->n; i++) {
            a += conj(g->dv[0][i]) * v[i];
            b += conj(g->v[0][i]) * v[i];
        }
        for (int64_t i = 0; i < g->n; i++)
            out[i] += -2 * g->v[0][i] * a - 2 * g->dv[0][i] * b + 4 * g->q[0] * g->v[0][i] * b;
    }
    g->q[which] = 0;
    for (int64_t i = 0; i < g->n; i++) g->q[which] += creal(conj(v[i]) * out[i]);
}

static int make_spectrum(gen_t *g)
{
    size_t count = (size_t)(g->n > 0 ? g->n : 1);
    g->lambda = malloc(count * sizeof *g->lambda);
    for (int r = 0; r < 2; r++) {
        g->v[r] = malloc(count * sizeof(gen_z));
        g->dv[r] = malloc(count * sizeof(gen_z));
    }
    if (!g->lambda || !g->v[0] || !g->v[1] || !g->dv[0] || !g->dv[1]) return -1;
    for (int64_t i = 0; i < g->n; i++) g->lambda[i] = eigenvalue(g, i);
    for (uint64_t r = 0; r < 2; r++) {
        double norm = 0;
        for (int64_t i = 0; i < g->n; i++) {
            double im = is_complex(g->dt) ? gen_hash(21 + r, i, 2) : 0.0;
            g->v[r][i] = gen_hash(11 + r, i, 1) + im * I;
            norm += creal(g->v[r][i] * conj(g->v[r][i]));
        }
        for (int64_t i = 0; i < g->n; i++) g->v[r][i] /= sqrt(norm);
        reflect(g, (int)r);
    }
    return 0;
}

int gen_init(gen_t *g, const char *kind, int64_t n, mla_dtype_t dt)
{
    *g = (gen_t){.dt = dt, .n = n, .bad = -1};
    if (parse(g, kind)) return -1;
    int spectrum = g->kind == GEN_COND || g->kind == GEN_CLUSTER || g->kind == GEN_GRADED;
    if (!spectrum || make_spectrum(g) == 0) return 0;
    gen_free(g);
    return -1;
}

void gen_free(gen_t *g)
{
    free(g->lambda);
    for (int r = 0; r < 2; r++) {
        free(g->v[r]);
        free(g->dv[r]);
    }
}

/* ---- columns ------------------------------------------------------------------------------- */

/* Real and imaginary parts of column j of a random Hermitian matrix: |elements| < sqrt(2). */
static void random_column(const gen_t *g, int64_t j, gen_z *out)
{
    for (int64_t i = 0; i < g->n; i++) out[i] = gen_hash(1, i > j ? i : j, i > j ? j : i);
    if (!is_complex(g->dt)) return;
    for (int64_t i = 0; i < g->n; i++) {
        double im = i == j ? 0 : gen_hash(2, i > j ? i : j, i > j ? j : i);
        out[i] = CMPLX(creal(out[i]), i > j ? im : -im);
    }
}

/* a conj(b) */
static gen_z outer(gen_z a, gen_z b)
{
    return CMPLX(creal(a) * creal(b) + cimag(a) * cimag(b),
                 cimag(a) * creal(b) - creal(a) * cimag(b));
}

/* Written so that (i, j) and (j, i) are conjugates to the last bit. */
static void spectrum_column(const gen_t *g, int64_t j, gen_z *out)
{
    for (int r = 0; r < 2; r++) {
        const gen_z *v = g->v[r], *dv = g->dv[r];
        for (int64_t i = 0; i < g->n; i++)
            out[i] +=
                4 * g->q[r] * outer(v[i], v[j]) - 2 * (outer(v[i], dv[j]) + outer(dv[i], v[j]));
    }
    out[j] = creal(out[j]) + g->lambda[j];
}

/* D K D^H, K_ij = 1 / (x_i + x_j + 0.1), x = 0 .. 1, D = diag(exp(i k)), k = 0 .. n-1. */
static void kernel_column(const gen_t *g, int64_t j, gen_z *out)
{
    double n = (double)g->n;
    double eps = g->dt == MLA_FLOAT32 || g->dt == MLA_COMPLEX64 ? FLT_EPSILON : DBL_EPSILON;
    for (int64_t i = 0; i < g->n; i++) {
        double k = 1 / ((double)(i + j) / n + 0.1), turn = (double)(i - j);
        out[i] = is_complex(g->dt) ? k * CMPLX(cos(turn), sin(turn)) : k;
    }
    out[j] = creal(out[j]) + g->factor * n * eps;
}

/* Entries of the kinds that are not Hermitian. */
static gen_z general(const gen_t *g, int64_t i, int64_t j)
{
    double re = gen_hash(3, i, j), im = is_complex(g->dt) ? gen_hash(4, i, j) : 0;
    switch (g->kind) {
    case GEN_GROWTH: return i == j || j == g->n - 1 ? 1 : i > j ? -1 : 0;
    case GEN_TIES: return im < 0 ? CMPLX(0, re < 0 ? -1 : 1) : re < 0 ? -1 : 1;
    case GEN_ZEROCOL:
        if (j == g->bad) return 0;
        break;
    case GEN_NANGEN:
        if (j == g->bad && i == g->n - 1 - j) return NAN;
        break;
    default: break;
    }
    return CMPLX(re, im);
}

void gen_column(const gen_t *g, int64_t j, gen_z *out)
{
    double n = (double)g->n, middle = (n - 1) / 2;
    for (int64_t i = 0; i < g->n; i++) out[i] = 0;
    switch (g->kind) {
    case GEN_COND:
    case GEN_CLUSTER:
    case GEN_GRADED: spectrum_column(g, j, out); break;
    case GEN_GOE: random_column(g, j, out); break;
    case GEN_SCALED:
        random_column(g, j, out);
        for (int64_t i = 0; i < g->n; i++) out[i] *= g->factor;
        break;
    case GEN_KERNEL: kernel_column(g, j, out); break;
    case GEN_GENERAL:
    case GEN_ZEROCOL:
    case GEN_NANGEN:
    case GEN_GROWTH:
    case GEN_TIES:
        for (int64_t i = 0; i < g->n; i++) out[i] = general(g, i, j);
        break;
    case GEN_IDENTITY: out[j] = 1; break;
    case GEN_DIAG: out[j] = 1.0 + (double)(j % 97); break;
    case GEN_ZERO: break;
    case GEN_ONESPLUS:
        for (int64_t i = 0; i < g->n; i++) out[i] = i == j ? 2 : 1;
        break;
    case GEN_WILKINSON:
        out[j] = fabs(middle - (double)j);
        if (j > 0) out[j - 1] = 1;
        if (j + 1 < g->n) out[j + 1] = 1;
        break;
    case GEN_RAND:
    case GEN_INDEF:
    case GEN_NAN:
        random_column(g, j, out); // of norm < 1.7 sqrt(n)
        out[j] += 2.0 * sqrt(n) + 1.0;
        if (j == g->bad) out[j] = g->kind == GEN_NAN ? NAN : -4.0 * sqrt(n) - 4.0;
        break;
    }
    for (int64_t i = 0; i < g->n; i++) out[i] = gen_rounded(g->dt, out[i]);
}
