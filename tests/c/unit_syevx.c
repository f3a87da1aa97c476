/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_syevx.c: some of the eigenvectors: residual and orthogonality of every run that is
 * asked for, in one stage and in two, and arguments that are refused. Threads as ranks. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "core/dtype.h"
#include "core/size.h"
#include "gen.h"

enum { MOST_RANKS = 8 };

static int failures, cases;

typedef struct problem {
    mla_dtype_t dt;
    int64_t n, first, count;
    int nranks;
    gen_z *b, *v; /* B, n x n; V by columns, n x count */
    double *w;
    mla_comm_t *comm[MOST_RANKS];
    mla_status_t status[MOST_RANKS];
    int32_t info[MOST_RANKS];
} problem_t;

typedef struct rank {
    problem_t *f;
    int p;
} rank_t;

static void expect(const problem_t *f, const char *what, double got, double tol)
{
    cases++;
    if (got <= tol) return;
    if (failures++ < 20)
        printf("FAIL %s, type %c, n = %lld, P = %d, %lld from %lld on: %g, allowed %g\n", what,
               "sdcz"[f->dt], (long long)f -> n, f -> nranks, (long long)f -> count,
               (long long)f -> first, got, tol);
}

static void *rank_main(void *arg)
{
    problem_t *f = ((rank_t *)arg)->f;
    int p = ((rank_t *)arg)->p;
    mla_context_options_t o = MLA_CONTEXT_OPTIONS_INIT;
    mla_desc_t desc = MLA_DESC_INIT(f->dt, f->n);
    mla_context_t *x = NULL;
    int64_t n = f->n, lc = mlai_ceil_div(n, f->nranks), own = p * lc, ldz = f->count + 2;
    int64_t cols = mlai_max(0, mlai_min(lc, n - own));
    size_t es = mlai_sizeof(f->dt);
    char *a = calloc((size_t)(n * lc) + 1, es), *z = calloc((size_t)(ldz * lc) + 1, es);
    double *w = malloc((size_t)(n + 1) * sizeof *w);
    for (int64_t k = 0; k < n * cols; k++) gen_put(f->dt, a, k, f->b[k + own * n]);
    for (int64_t k = 0; k < ldz * cols; k++) gen_put(f->dt, z, k, 7);
    o.comm = f->comm[p];
    desc.nb = 5;
    f->status[p] = mla_context_create(&o, &x);
    if (f->status[p] == MLA_OK)
        f->status[p] = mla_syevx(x, &desc, f->first, f->count, a, w, z, ldz, &f->info[p]);
    if (f->status[p] != MLA_OK) printf("%s\n", mla_message(x));
    // Z = conj(V), by rows.
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < ldz; i++) {
            gen_z e = gen_get(f->dt, z, i + j * ldz);
            if (i < f->count)
                f->v[own + j + i * n] = conj(e);
            else if (e != 7)
                f->status[p] = MLA_SIZE; // wrote where it may not
        }
    for (int64_t i = 0; p == 0 && i < n; i++) f->w[i] = creal(gen_get(mlai_real(f->dt), w, i));
    mla_context_free(x);
    mla_comm_free(f->comm[p]);
    free(a);
    free(z);
    free(w);
    return NULL;
}

static void compare(const problem_t *f)
{
    int64_t n = f->n;
    double residual = 0, cross = 0, tol = 30 * (double)n * check_eps(f->dt);
    for (int64_t k = 0; k < f->count; k++) {
        const gen_z *v = f->v + k * n;
        for (int64_t i = 0; i < n; i++) {
            gen_z s = -f->w[f->first + k] * v[i];
            for (int64_t j = 0; j < n; j++) s += f->b[i + j * n] * v[j];
            residual = fmax(residual, isnan(cabs(s)) ? INFINITY : cabs(s));
        }
        for (int64_t l = 0; l <= k; l++) {
            gen_z s = k == l ? -1 : 0;
            for (int64_t i = 0; i < n; i++) s += conj(f->v[i + l * n]) * v[i];
            cross = fmax(cross, isnan(cabs(s)) ? INFINITY : cabs(s));
        }
    }
    for (int64_t i = 1; i < n; i++) expect(f, "order", f->w[i] < f->w[i - 1], 0);
    double size = fmax(fabs(f->w[0]), fabs(f->w[n - 1]));
    expect(f, "B V - V diag(w)", residual, tol * size);
    expect(f, "I - V^H V", cross, tol);
}

static void test(mla_dtype_t dt, int64_t n, int nranks, int64_t first, int64_t count)
{
    problem_t f = {.dt = dt, .n = n, .first = first, .count = count, .nranks = nranks};
    pthread_t thread[MOST_RANKS];
    rank_t rank[MOST_RANKS];
    gen_t g;
    f.b = calloc((size_t)(n * n + 1), sizeof *f.b);
    f.v = calloc((size_t)(n * count + 1), sizeof *f.v);
    f.w = calloc((size_t)n + 1, sizeof *f.w);
    if (gen_init(&g, "goe", n, dt) || mla_comm_create_threads(nranks, 60, f.comm)) exit(1);
    for (int64_t j = 0; j < n; j++) gen_column(&g, j, f.b + j * n);
    gen_free(&g);
    for (int p = 0; p < nranks; p++) {
        rank[p] = (rank_t){&f, p};
        if (pthread_create(&thread[p], NULL, rank_main, &rank[p])) exit(1);
    }
    for (int p = 0; p < nranks; p++) {
        pthread_join(thread[p], NULL);
        expect(&f, "status or info", f.status[p] != MLA_OK || f.info[p] != 0, 0);
    }
    compare(&f);
    free(f.b);
    free(f.v);
    free(f.w);
}

static void test_arguments(void)
{
    mla_context_options_t o = MLA_CONTEXT_OPTIONS_INIT;
    mla_desc_t desc = MLA_DESC_INIT(MLA_FLOAT64, 4);
    mla_context_t *x = NULL;
    problem_t f = {.n = 4};
    double a[16] = {1, 0, 0, 0, 0, 1}, w[4], z[16];
    int32_t info;
    if (mla_context_create(&o, &x) != MLA_OK) exit(1);
    static const int64_t bad[][3] = {{-1, 1, 4}, {5, 0, 4}, {3, 2, 4}, {0, -1, 4}, {0, 3, 2}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mla_status_t st = mla_syevx(x, &desc, bad[k][0], bad[k][1], a, w, z, bad[k][2], &info);
        expect(&f, "a bad range is taken", st != MLA_ARG, 0);
    }
    expect(&f, "no z is taken", mla_syevx(x, &desc, 0, 1, a, w, NULL, 1, &info) != MLA_ARG, 0);
    expect(&f, "no vectors", mla_syevx(x, &desc, 2, 0, a, w, NULL, 1, &info) != MLA_OK, 0);
    mla_context_free(x);
}

int main(void)
{
    static const char *const bands[] = {"0", "4"};
    static const int64_t runs[][3] = {{1, 0, 1},   {2, 1, 1},   {23, 0, 23}, {23, 0, 1},
                                      {23, 22, 1}, {23, 5, 11}, {40, 38, 2}, {40, 0, 39}};
    for (int stage = 0; stage < 2; stage++) {
        setenv("MESHLINALG_EIGH_BAND", bands[stage], 1);
        for (int dt = 0; dt < 4; dt++)
            for (int nranks = 1; nranks <= 4; nranks++)
                for (size_t k = 0; k < sizeof runs / sizeof *runs; k++)
                    test((mla_dtype_t)dt, runs[k][0], nranks, runs[k][1], runs[k][2]);
    }
    test_arguments();
    printf("unit_syevx: %d cases, %d failed\n", cases, failures);
    return failures != 0;
}
