/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_stedc.c: tridiagonal divide and conquer, against the definition: residual,
 * orthogonality, and eigenvalues by Sturm counts in long double.
 *
 *     unit_stedc [--device host|cuda] [--ordinal 0] [--ranks P] [--most N] [--stride K]
 *     unit_stedc --time N [--ranks P] [--type s|d] [--kind NAME] [--device ...]
 *
 * --ranks: that P alone; --most: no larger n; --stride: one matrix of K.
 *
 * Every rank must return the same eigenvalues, bit for bit, and the same info. */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "algo/algo.h"
#include "check.h"
#include "gen.h"

enum { PAD = 3, MOST_RANKS = 8 };

static mla_device_t device = MLA_HOST;
static int ordinal;
static int failures, cases;
static double worst_residual, worst_orthogonality, worst_value;

/* ---- matrices ---------------------------------------------------------------------------- */

typedef struct tri {
    const char *kind;
    int64_t n;
    double *d, *e; /* n each */
} tri_t;

static uint64_t seed = 1;

static double rnd(void)
{
    return gen_hash(seed++, 7, 11);
}

static double normal(void)
{
    return sqrt(-2 * log(0.5 + 0.5 * fabs(rnd()) + 1e-300)) * cos(M_PI * rnd());
}

static const char *kinds[] = {
    "random",   "toeplitz", "wilkinson", "glued8",   "glued14",  "graded",  "degraded",
    "constant", "zero",     "identity",  "diagonal", "legendre", "hermite", "laguerre",
    "goe",      "big",      "tiny",      "negative", "split",    "clement", "halves",
    "rankone",  "clusters", "arrow",     "one-big",  "geometric"};
enum { KINDS = (int)(sizeof kinds / sizeof *kinds) };

/* Element i of the diagonal and the off-diagonal of kind k. */
static void element(int k, int64_t n, int64_t i, double *d, double *e)
{
    const double x = n > 1 ? (double)i / (double)(n - 1) : 0, j = (double)(i + 1);
    *d = *e = 0;
    switch (k) {
    case 0: *d = rnd(), *e = rnd(); break;
    case 1: *d = 2, *e = 1; break;
    case 2: *d = fabs((double)i - (double)(n - 1) / 2), *e = 1; break;
    case 3: *d = fabs((double)(i % 21) - 10), *e = i % 21 == 20 ? 1e-8 : 1; break;
    case 4: *d = fabs((double)(i % 21) - 10), *e = i % 21 == 20 ? 1e-14 : 1; break;
    case 5: *d = pow(10, -300 * x), *e = 0.5 * *d * rnd(), *d *= 1 + 0.5 * rnd(); break;
    case 6: *d = pow(10, -300 * (1 - x)), *e = 0.5 * *d * rnd(), *d *= 1 + 0.5 * rnd(); break;
    case 7: *d = 1, *e = 1e-9 * rnd(); break;
    case 8: break;
    case 9: *d = 1 + 1e-15 * rnd(), *e = 1e-15 * rnd(); break;
    case 10: *d = rnd(); break;
    case 11: *e = j / sqrt(4 * j * j - 1); break;
    case 12: *e = sqrt(j / 2); break;
    case 13: *d = 2 * j - 1, *e = j; break;
    case 14: { // tridiagonal form of a Gaussian matrix (Dumitriu, Edelman), chi by its limit
        const double degrees = (double)(n - 1 - i);
        *d = normal();
        *e = degrees > 0 ? fabs(sqrt(degrees / 2) + 0.5 * normal()) : 0;
        break;
    }
    case 15: *d = 1e250 * rnd(), *e = 1e250 * rnd(); break;
    case 16: *d = 1e-250 * rnd(), *e = 1e-250 * rnd(); break;
    case 17: *d = -2, *e = i % 2 ? -1 : 1; break;
    case 18: *d = rnd(), *e = i % 37 == 0 ? 0 : i % 23 == 0 ? 1e-17 : rnd(); break;
    case 19: *e = sqrt(j * (double)(n - 1 - i)); break;
    case 20: // two equal halves, weakly coupled
        *d = cos((double)(i % mlai_max(1, n / 2)));
        *e = i + 1 == n / 2 ? 1e-10 : sin((double)(i % mlai_max(1, n / 2)) + 1);
        break;
    case 21: *d = i == n / 2 ? 1 : 0, *e = i == n / 2 ? 0.5 : 0; break;
    case 22: *d = (double)(i % 4) + 1e-13 * rnd(), *e = 1e-12 * rnd(); break;
    case 23: *d = (double)i, *e = i < 3 ? 1 : 1e-7; break;
    case 24: *d = i == 0 ? 1e12 : rnd(), *e = rnd(); break;
    default: *d = pow(2, -(double)(i % 40)), *e = pow(2, -(double)(i % 31)); break;
    }
}

static tri_t make(int k, int64_t n)
{
    tri_t t = {.kind = kinds[k], .n = n};
    t.d = calloc((size_t)n + 1, sizeof *t.d);
    t.e = calloc((size_t)n + 1, sizeof *t.e);
    for (int64_t i = 0; i < n; i++) element(k, n, i, &t.d[i], &t.e[i]);
    if (n > 0) t.e[n - 1] = 0;
    return t;
}

static void drop(tri_t *t)
{
    free(t->d);
    free(t->e);
}

static double norm(const tri_t *t)
{
    double most = 0;
    for (int64_t i = 0; i < t->n; i++) {
        double row = fabs(t->d[i]) + (i > 0 ? fabs(t->e[i - 1]) : 0) + fabs(t->e[i]);
        most = fmax(most, row);
    }
    return most;
}

/* ---- running on P ranks ------------------------------------------------------------------ */

typedef struct run run_t;
typedef struct rank {
    run_t *run;
    int p;
    mla_comm_t *comm;
    double *d, *e;
    int32_t info;
    mla_status_t status;
    char message[256];
    bool overrun;
    double cpu; /* seconds of this rank's thread */
} rank_t;

struct run {
    const tri_t *t;
    int nranks;
    mla_dtype_t real;
    bool vectors;
    int broken; /* rank whose `fault` is injected, or -1 */
    int fault;
    int repeat;
    char name[64];
    double *w, *q;       /* results: n, n x n (float64) */
    double seconds, cpu; /* of rank 0; the most of a rank */
    int32_t info;
    rank_t rank[MOST_RANKS];
};

enum { FAULT_LEAF = 1, FAULT_ROOT = 2 };

/* A table in which the leaves, or the roots, of this rank do not converge. */
static _Thread_local const mlai_backend_ops_t *whole;
static mla_status_t bad_leaves(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, bool ends,
                               int64_t count, const int64_t *first, int64_t nmax, const double *d,
                               const double *e, double *w, void *q, int64_t ldq)
{
    MLAI_TRY(whole->dc_leaves(be, st, dt, ends, count, first, nmax, d, e, w, q, ldq));
    const double nan = NAN;
    return whole->from_host(be, st, w, &nan, sizeof nan);
}
static mla_status_t bad_secular(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                                int64_t g0, int64_t g1)
{
    MLAI_TRY(whole->dc_secular(be, st, lv, g0, g1));
    const double nan = NAN;
    return g0 < g1 ? whole->from_host(be, st, lv->tau + g0, &nan, sizeof nan) : MLA_OK;
}

static double now(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Fills q with a value that no one may leave in it, beyond the rows too. */
static mla_status_t fill(mla_context_t *x, mla_dtype_t dt, int64_t ld, int64_t n, void *q)
{
    return MLAI_BE(x, laset, mlai_stream(x, MLAI_STREAM_MAIN), dt, MLAI_FULL, ld, n, 77.0, 77.0,
                   q, ld);
}

/* This rank's rows of q to their place in the whole. */
static mla_status_t collect(rank_t *r, mla_context_t *x, const void *q, int64_t ld, int64_t row0,
                            int64_t rows)
{
    run_t *run = r->run;
    const int64_t n = run->t->n;
    const size_t bytes = mlai_size_mat(ld, n, mlai_sizeof(run->real));
    char *host = malloc(bytes + 1);
    MLAI_TRY(MLAI_BE(x, to_host, mlai_stream(x, MLAI_STREAM_MAIN), host, q, bytes));
    MLAI_TRY(mla_context_sync(x));
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < ld; i++) {
            const void *at = mlai_at(host, run->real, ld, i, j);
            double v = run->real == MLA_FLOAT32 ? *(const float *)at : *(const double *)at;
            if (i < rows)
                run->q[row0 + i + j * n] = v;
            else if (v != 77)
                r->overrun = true;
        }
    free(host);
    return MLA_OK;
}

static mla_status_t on_rank(rank_t *r, mla_context_t *x)
{
    run_t *run = r->run;
    const int64_t n = run->t->n, lr = mlai_ceil_div(n, run->nranks);
    const int64_t row0 = mlai_min(n, r->p * lr), rows = mlai_min(lr, n - row0), ld = rows + PAD;
    mlai_space_t space = mlai_stedc_space(run->nranks, run->real, n, run->vectors);
    void *work, *base, *q = NULL, *q2 = NULL;
    size_t slab = mlai_size_mat(ld, n, mlai_sizeof(run->real));
    if (run->vectors) {
        MLAI_TRY(x->be->ops->alloc(x->be, slab, &q));
        MLAI_TRY(x->be->ops->alloc(x->be, slab, &q2));
    }
    mlai_backend_ops_t ops = *x->be->ops;
    whole = x->be->ops;
    if (run->broken == r->p && run->fault == FAULT_LEAF) ops.dc_leaves = bad_leaves;
    if (run->broken == r->p && run->fault == FAULT_ROOT) ops.dc_secular = bad_secular;
    x->be->ops = &ops;
    mla_status_t st = MLA_OK;
    for (int k = 0; k < run->repeat && st == MLA_OK; k++) {
        memcpy(r->d, run->t->d, (size_t)n * sizeof *r->d);
        memcpy(r->e, run->t->e, (size_t)n * sizeof *r->e);
        if (run->vectors) MLAI_TRY(fill(x, run->real, ld, n, q));
        MLAI_TRY(mlai_reserve(x, space.work, space.window, &work, &base));
        MLAI_TRY(mla_context_sync(x));
        const double t0 = now(CLOCK_MONOTONIC), c0 = now(CLOCK_THREAD_CPUTIME_ID);
        st = mlai_stedc(x, run->real, n, r->d, r->e, q, ld, q2, work, base, &r->info);
        if (st == MLA_OK) st = mla_context_sync(x);
        r->cpu = fmin(r->cpu, now(CLOCK_THREAD_CPUTIME_ID) - c0);
        if (r->p == 0) run->seconds = fmin(run->seconds, now(CLOCK_MONOTONIC) - t0);
        mlai_release(x, work);
    }
    if (st == MLA_OK && run->vectors) st = collect(r, x, q, ld, row0, rows);
    x->be->ops->free(x->be, q);
    x->be->ops->free(x->be, q2);
    x->be->ops = whole;
    return st;
}

static void *rank_main(void *arg)
{
    rank_t *r = arg;
    run_t *run = r->run;
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    options.device = device;
    options.ordinal = ordinal;
    mla_context_t *x = NULL;
    if (device == MLA_CUDA && run->nranks > 1)
        r->status = mla_comm_create_peer(run->name, run->nranks, r->p, ordinal, 60, &r->comm);
    options.comm = r->comm;
    if (r->status == MLA_OK) r->status = mla_context_create(&options, &x);
    if (r->status == MLA_OK) r->status = on_rank(r, x);
    if (r->status != MLA_OK) snprintf(r->message, sizeof r->message, "%s", mla_message(x));
    mla_context_free(x);
    return NULL;
}

static void fail(const run_t *run, const char *text, double value)
{
    failures++;
    printf("FAIL %s n %lld P %d %s %s: %s %.3g\n", run->t->kind, (long long)run->t->n,
           run->nranks, run->real == MLA_FLOAT32 ? "f32" : "f64",
           run->vectors ? "vectors" : "values", text, value);
}

/* Runs stedc on all ranks; w and q are the caller's to free. */
static bool launch(run_t *run)
{
    static int serial;
    const size_t n = (size_t)run->t->n;
    mla_comm_t *comm[MOST_RANKS] = {NULL};
    pthread_t thread[MOST_RANKS];
    run->w = malloc(n * sizeof *run->w + 1);
    run->q = run->vectors ? malloc(n * n * sizeof *run->q + 1) : NULL;
    run->seconds = HUGE_VAL;
    if (run->repeat == 0) run->repeat = 1;
    snprintf(run->name, sizeof run->name, "unit_stedc-%d-%d", (int)getpid(), serial++);
    if (device == MLA_HOST && run->nranks > 1 &&
        mla_comm_create_threads(run->nranks, 60, comm) != MLA_OK)
        exit(1);
    for (int p = 0; p < run->nranks; p++) {
        rank_t *r = &run->rank[p];
        *r = (rank_t){.run = run, .p = p, .comm = comm[p], .cpu = HUGE_VAL};
        r->d = malloc(n * sizeof(double) + 1);
        r->e = malloc(n * sizeof(double) + 1);
        pthread_create(&thread[p], NULL, rank_main, r);
    }
    for (int p = 0; p < run->nranks; p++) pthread_join(thread[p], NULL);
    bool ok = true;
    const rank_t *first = &run->rank[0];
    for (int p = 0; p < run->nranks; p++) {
        rank_t *r = &run->rank[p];
        run->cpu = fmax(run->cpu, r->cpu);
        if (r->status != MLA_OK) printf("rank %d: %s\n", p, r->message);
        if (r->status != MLA_OK) fail(run, "status", r->status), ok = false;
        if (r->overrun) fail(run, "rows beyond the slab were written, rank", p);
        if (r->info != first->info) fail(run, "info differs on rank", p);
        if (!r->info && memcmp(r->d, first->d, n * sizeof(double)))
            fail(run, "eigenvalues differ on rank", p);
    }
    memcpy(run->w, first->d, n * sizeof(double));
    run->info = first->info;
    for (int p = 0; p < run->nranks; p++) {
        free(run->rank[p].d);
        free(run->rank[p].e);
        mla_comm_free(run->rank[p].comm);
    }
    return ok;
}

/* ---- measures ---------------------------------------------------------------------------- */

/* Eigenvalues below x. */
static int64_t sturm(const tri_t *t, long double x)
{
    int64_t count = 0;
    long double pivot = 1;
    for (int64_t i = 0; i < t->n; i++) {
        const long double e = i > 0 ? t->e[i - 1] : 0;
        pivot = t->d[i] - x - (e == 0 ? 0 : e * e / pivot);
        if (pivot == 0) pivot = LDBL_MIN;
        count += pivot < 0;
    }
    return count;
}

/* Largest distance of w_j from the eigenvalue it stands for, in units of n |T| eps (a power of
 * 2 too large at most); samples where n is large. */
static double value_error(const tri_t *t, const double *w, double unit)
{
    const int64_t step = mlai_ceil_div(t->n, 150);
    double worst = 0;
    for (int64_t j = 0; j < t->n; j += step) {
        double f = 0.015625;
        while (f < 1e6 && (sturm(t, (long double)w[j] - (long double)f * unit) > j ||
                           sturm(t, (long double)w[j] + (long double)f * unit) < j + 1))
            f *= 2;
        worst = fmax(worst, isnan(w[j]) ? HUGE_VAL : f);
    }
    return worst;
}

static double residual(const tri_t *t, const double *w, const double *q)
{
    const int64_t n = t->n;
    double worst = 0;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < n; i++) {
            const double *c = q + j * n;
            double v = (t->d[i] - w[j]) * c[i];
            if (i > 0) v += t->e[i - 1] * c[i - 1];
            if (i < n - 1) v += t->e[i] * c[i + 1];
            v = fabs(v);
            if (!(v <= worst)) worst = v;
        }
    return worst;
}

/* |Q^T Q - I|: all elements, or for large n those near the diagonal and a probe of the rest. */
static double orthogonality(int64_t n, const double *q)
{
    const int64_t band = n <= 260 ? n : 12;
    double worst = 0;
    for (int64_t j = 0; j < n; j++)
        for (int64_t c = j; c < mlai_min(n, j + band); c++) {
            double dot = c == j ? -1 : 0;
            for (int64_t i = 0; i < n; i++) dot += q[i + j * n] * q[i + c * n];
            if (!(fabs(dot) <= worst)) worst = fabs(dot);
        }
    if (band == n) return worst;
    double *x = malloc((size_t)n * sizeof *x), *y = calloc((size_t)n, sizeof *y);
    for (int64_t j = 0; j < n; j++) {
        x[j] = rnd() < 0 ? -1 : 1;
        for (int64_t i = 0; i < n; i++) y[i] += q[i + j * n] * x[j];
    }
    for (int64_t j = 0; j < n; j++) {
        double dot = -x[j];
        for (int64_t i = 0; i < n; i++) dot += q[i + j * n] * y[i];
        if (!(fabs(dot) / sqrt((double)n) <= worst)) worst = fabs(dot) / sqrt((double)n);
    }
    free(x);
    free(y);
    return worst;
}

static void limit(const run_t *run, const char *what, double value, double most, double *worst)
{
    if (!(value < most)) fail(run, what, value);
    if (!(value <= *worst)) *worst = value;
}

/* Vectors and values of one matrix. */
static void check(const tri_t *t, int nranks, mla_dtype_t real)
{
    const double eps = check_eps(real), n = (double)mlai_max(1, t->n);
    const double unit = n * eps * fmax(norm(t), 1e-280);
    run_t v = {.t = t, .nranks = nranks, .real = real, .vectors = true, .broken = -1};
    run_t w = {.t = t, .nranks = nranks, .real = real, .vectors = false, .broken = -1};
    cases++;
    if (launch(&v) && launch(&w)) {
        if (v.info) fail(&v, "info", v.info);
        if (w.info) fail(&w, "info", w.info);
        for (int64_t i = 1; i < t->n; i++)
            if (!(v.w[i] >= v.w[i - 1] && w.w[i] >= w.w[i - 1])) fail(&v, "order", (double)i);
        limit(&v, "residual", residual(t, v.w, v.q) / unit, 4, &worst_residual);
        limit(&v, "orthogonality", orthogonality(t->n, v.q) / (n * eps), 4, &worst_orthogonality);
        limit(&v, "eigenvalues", value_error(t, v.w, unit), 6, &worst_value);
        limit(&w, "eigenvalues", value_error(t, w.w, unit), 6, &worst_value);
    }
    free(v.w), free(v.q), free(w.w);
}

/* ---- tests ------------------------------------------------------------------------------- */

/* Matrices that nobody chose. */
static tri_t make_fuzz(int64_t n)
{
    tri_t t = {.kind = "fuzz", .n = n};
    t.d = calloc((size_t)n + 1, sizeof *t.d);
    t.e = calloc((size_t)n + 1, sizeof *t.e);
    const int mode = (int)(4 + 4 * rnd()) % 8;
    const double range = rnd() < -0.3 ? 18 : rnd() < 0 ? 8 : 3;
    const double base[4] = {rnd(), rnd(), rnd(), 1e-8 * rnd()};
    for (int64_t i = 0; i < n; i++) {
        switch (mode) {
        case 0: t.d[i] = base[(int)(2 + 2 * rnd()) % 4]; break;
        case 1: t.d[i] = rnd(); break;
        case 2: t.d[i] = (double)i * 1e-3; break;
        case 3: t.d[i] = base[0] + 1e-15 * (double)(i % 7); break;
        case 4: t.d[i] = pow(10, -range * fabs(rnd())); break;
        case 5: t.d[i] = 0; break;
        case 6: t.d[i] = base[0] * (1 + 1e-12 * (double)i); break;
        default: t.d[i] = fabs((double)(i % 11) - 5); break;
        }
        t.e[i] = pow(10, -range * fabs(rnd())) * (rnd() < 0 ? -1 : 1);
        if (rnd() < -0.6) t.e[i] *= 1e-6;
        if (rnd() < -0.9) t.e[i] = 0;
    }
    t.e[n - 1] = 0;
    if (rnd() < -0.5)
        for (int64_t i = 0; i < n / 2; i++) {
            t.d[n - 1 - i] = t.d[i];
            if (i < n / 2 - 1) t.e[n - 2 - i] = t.e[i];
        }
    if (rnd() < -0.7)
        for (int64_t i = 0; i < n; i++) t.d[i] *= 1e-160, t.e[i] *= 1e-160;
    return t;
}

/* What is tested: P (0: all), largest n, one matrix of `stride`. */
typedef struct extent {
    int nranks, stride;
    int64_t most;
} extent_t;

static void sweep(extent_t ext)
{
    static const int64_t sizes[] = {0, 1, 2, 3, 5, 31, 32, 33, 64, 65, 127, 257, 500, 1000};
    static const int ranks[] = {1, 2, 3, 4, 7};
    int turn = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int k = 0; k < KINDS; k++, turn++) {
            const int64_t n = sizes[s];
            if (n > ext.most || turn % ext.stride) continue;
            tri_t t = make(k, n);
            // Every P for small n; large ones take turns, so that all pairs occur in a sweep.
            for (int r = 0; r < 5; r++)
                for (int real = 0; real < 2; real++) {
                    const bool mine = n <= 65 || ext.nranks || r == turn % 5;
                    if (ext.nranks && ranks[r] != ext.nranks) continue;
                    if (!mine || (n > 127 && real != turn / 5 % 2)) continue;
                    check(&t, ranks[r], (mla_dtype_t)real);
                }
            drop(&t);
        }
}

static void fuzz(int count, extent_t ext)
{
    for (int c = 0; c < count; c++) {
        tri_t t = make_fuzz(12 + (int64_t)(200 * fabs(rnd())));
        if (t.n <= ext.most && c % ext.stride == 0)
            check(&t, ext.nranks ? ext.nranks : 1 + c / ext.stride % 5,
                  c % 4 == 3 ? MLA_FLOAT32 : MLA_FLOAT64);
        drop(&t);
    }
}

/* NaN and Inf, and failures of one rank: the same info everywhere, and no waiting. */
static void failing(extent_t ext)
{
    tri_t t = make(0, mlai_min(300, mlai_max(130, ext.most)));
    for (int vectors = 0; vectors < 2; vectors++)
        for (int p = ext.nranks ? ext.nranks : 1; p <= (ext.nranks ? ext.nranks : 4); p++)
            for (int f = 0; f < 4; f++) {
                run_t run = {.t = &t, .nranks = p, .vectors = vectors, .real = MLA_FLOAT64};
                run.broken = f > 0 && f < 3 ? p - 1 : -1;
                run.fault = f;
                const double saved = t.e[100];
                if (f == 0) t.e[100] = INFINITY;
                if (f == 3) t.e[100] = NAN;
                cases++;
                if (launch(&run) && run.info <= 0) fail(&run, "no info for fault", f);
                t.e[100] = saved;
                free(run.w), free(run.q);
            }
    drop(&t);
}

/* Bit for bit the same, again. */
static void repeatable(extent_t ext)
{
    const int64_t n = mlai_min(333, ext.most);
    tri_t t = make(14, n);
    run_t a = {.t = &t,
               .nranks = ext.nranks ? ext.nranks : 3,
               .real = MLA_FLOAT64,
               .vectors = true,
               .broken = -1},
          b = a;
    cases++;
    if (launch(&a) && launch(&b) &&
        (memcmp(a.w, b.w, (size_t)n * sizeof(double)) ||
         memcmp(a.q, b.q, (size_t)(n * n) * sizeof(double))))
        fail(&a, "a second run differs", 0);
    free(a.w), free(a.q), free(b.w), free(b.q);
    drop(&t);
}

static void timing(int64_t n, int nranks, mla_dtype_t real, const char *kind)
{
    int k = 0;
    while (k < KINDS - 1 && strcmp(kinds[k], kind) != 0) k++;
    tri_t t = make(k, n);
    for (int vectors = 1; vectors >= 0; vectors--) {
        run_t run = {.t = &t, .nranks = nranks, .real = real, .vectors = vectors};
        run.broken = -1;
        run.repeat = 3;
        if (launch(&run))
            printf("%s n %lld P %d %s %s: %.4f s, CPU of a rank %.4f s\n", kinds[k], (long long)n,
                   nranks, real == MLA_FLOAT32 ? "f32" : "f64", vectors ? "vectors" : "values",
                   run.seconds, run.cpu);
        if (vectors)
            printf("residual %.2g orthogonality %.2g\n",
                   residual(&t, run.w, run.q) / ((double)n * check_eps(real) * norm(&t)),
                   orthogonality(n, run.q) / ((double)n * check_eps(real)));
        free(run.w), free(run.q);
    }
    drop(&t);
}

int main(int argc, char **argv)
{
    int64_t n = 0;
    extent_t ext = {.nranks = 0, .stride = 1, .most = INT32_MAX};
    mla_dtype_t real = MLA_FLOAT64;
    const char *kind = "goe";
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "--time")) n = atoll(value);
        if (!strcmp(argv[i], "--ranks")) ext.nranks = atoi(value);
        if (!strcmp(argv[i], "--most")) ext.most = atoll(value);
        if (!strcmp(argv[i], "--stride")) ext.stride = atoi(value);
        if (!strcmp(argv[i], "--type")) real = *value == 's' ? MLA_FLOAT32 : MLA_FLOAT64;
        if (!strcmp(argv[i], "--kind")) kind = value;
        if (!strcmp(argv[i], "--device")) device = !strcmp(value, "cuda") ? MLA_CUDA : MLA_HOST;
        if (!strcmp(argv[i], "--ordinal")) ordinal = atoi(value);
    }
    if (n > 0) {
        timing(n, ext.nranks ? ext.nranks : 1, real, kind);
        return failures != 0;
    }
    sweep(ext);
    fuzz(400, ext);
    failing(ext);
    repeatable(ext);
    printf("%d cases, %d failed; in units of n |T| eps: residual %.2g, orthogonality %.2g, "
           "eigenvalues <= %.2g\n",
           cases, failures, worst_residual, worst_orthogonality, worst_value);
    return failures != 0 || cases == 0;
}
