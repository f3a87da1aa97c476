/* SPDX-License-Identifier: Apache-2.0
 * tests/c/gen.c: test matrices by index (kinds in gen.h). */
#include "gen.h"

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

static int starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int has_spectrum(const char *kind)
{
    return starts(kind, "cond:") || !strcmp(kind, "cluster") || !strcmp(kind, "graded");
}

static double eigenvalue(const char *kind, int64_t n, int64_t i)
{
    double x = n > 1 ? (double)i / (double)(n - 1) : 0.0;
    if (starts(kind, "cond:")) return pow(atof(kind + 5), -x);
    if (!strcmp(kind, "cluster")) return 1.0 + (double)(i % 3) + 1e-9 * gen_hash(5, i, 0);
    return pow(10.0, -12.0 * x); /* graded */
}

/* dv := M v with M the matrix before reflection `which`. */
static void apply(gen_t *g, int which)
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

int gen_init(gen_t *g, const char *kind, int64_t n, int is_complex)
{
    static const char *const plain[] = {"rand", "goe",      "identity", "diag",
                                        "zero", "onesplus", "wilkinson"};
    *g = (gen_t){.kind = kind, .n = n, .is_complex = is_complex, .bad = -1};
    if (starts(kind, "indef:") || starts(kind, "nan:")) {
        long long j = atoll(strchr(kind, ':') + 1);
        g->bad = j == -1 ? n - 1 : j == -2 ? n / 2 : j;
        return 0;
    }
    for (size_t k = 0; k < sizeof plain / sizeof *plain; k++)
        if (!strcmp(kind, plain[k])) return 0;
    if (!has_spectrum(kind)) return -1;
    size_t count = (size_t)(n > 0 ? n : 1);
    g->lambda = malloc(count * sizeof *g->lambda);
    for (int r = 0; r < 2; r++) {
        g->v[r] = malloc(count * sizeof(gen_z));
        g->dv[r] = malloc(count * sizeof(gen_z));
    }
    if (!g->lambda || !g->v[0] || !g->v[1] || !g->dv[0] || !g->dv[1]) return -1;
    for (int64_t i = 0; i < n; i++) g->lambda[i] = eigenvalue(kind, n, i);
    for (int r = 0; r < 2; r++) {
        double norm = 0;
        for (int64_t i = 0; i < n; i++) {
            double re = gen_hash(11 + (uint64_t)r, i, 1), im = gen_hash(21 + (uint64_t)r, i, 2);
            g->v[r][i] = re + (is_complex ? im : 0.0) * I;
            norm += creal(g->v[r][i] * conj(g->v[r][i]));
        }
        for (int64_t i = 0; i < n; i++) g->v[r][i] /= sqrt(norm);
        apply(g, r);
    }
    return 0;
}

void gen_free(gen_t *g)
{
    free(g->lambda);
    for (int r = 0; r < 2; r++) {
        free(g->v[r]);
        free(g->dv[r]);
    }
}

static gen_z random_hermitian(const gen_t *g, int64_t i, int64_t j)
{
    if (i == j) return gen_hash(1, i, i);
    int64_t hi = i > j ? i : j, lo = i > j ? j : i;
    double re = gen_hash(1, hi, lo), im = g->is_complex ? gen_hash(2, hi, lo) : 0.0;
    return re + (i > j ? im : -im) * I;
}

gen_z gen_at(const gen_t *g, int64_t i, int64_t j)
{
    double n = (double)g->n;
    if (g->lambda) {
        gen_z a = i == j ? g->lambda[i] : 0.0;
        for (int r = 0; r < 2; r++) {
            const gen_z *v = g->v[r], *dv = g->dv[r];
            a += -2 * v[i] * conj(dv[j]) - 2 * dv[i] * conj(v[j]) +
                 4 * g->q[r] * v[i] * conj(v[j]);
        }
        return i == j ? creal(a) : a;
    }
    if (!strcmp(g->kind, "goe")) return random_hermitian(g, i, j);
    if (!strcmp(g->kind, "identity")) return i == j;
    if (!strcmp(g->kind, "diag")) return i == j ? 1.0 + (double)(i % 97) : 0.0;
    if (!strcmp(g->kind, "onesplus")) return (i == j ? 1.0 : 0.0) + 1.0;
    if (!strcmp(g->kind, "zero")) return 0.0;
    if (!strcmp(g->kind, "wilkinson"))
        return i == j ? fabs((n - 1) / 2 - (double)i) : (i - j == 1 || j - i == 1) ? 1.0 : 0.0;
    /* rand, indef, nan: the random part has norm < 1.7 sqrt(n) */
    gen_z a = random_hermitian(g, i, j);
    if (i == j) a += 2.0 * sqrt(n) + 1.0;
    if (i == g->bad && j == g->bad) a = g->kind[0] == 'n' ? NAN : -4.0 * sqrt(n) - 4.0;
    return a;
}
