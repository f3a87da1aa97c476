/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_qr.c: QR, products with Q and least squares, against the definition: residual,
 * orthogonality, and R against a Householder QR of one thread in double.
 *
 *     unit_qr [--device host|cuda] [--ordinal 0] [--ranks P] [--stride K]
 *     unit_qr --time M --columns N [--ranks P] [--type s|d|c|z] [--nb 0] [--kind K] [--device ..]
 *
 * --stride: one case of K. Results in units of max(m, n) u; a column of the residual counts by
 * the norm of its own. */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "algo/algo.h"
#include "check.h"
#include "gen.h"

enum { MOST_RANKS = 8, SIDES = 3 };

static mla_device_t device = MLA_HOST;
static int ordinal;
static int failures, cases;
static double worst[5];

typedef enum kind {
    RAND,
    LOW_RANK,    /* rank 3 */
    GRADED,      /* columns from 1 down to the square root of the smallest number */
    GRADED_ROWS, /* rows */
    ZEROS,       /* every third column */
    ZERO,
    IDENTITY,
    TRIANGLE,
    HILBERT,
    CLOSE, /* columns all but equal */
    KAHAN,
    HUGE_ONE, /* elements near the largest number's square root and above */
    TINY,
    BAD, /* a NaN */
    KINDS
} kind_t;
static const char *const kind_name[KINDS] = {
    "rand",     "low-rank", "graded", "graded-rows", "zeros", "zero", "identity",
    "triangle", "hilbert",  "close",  "kahan",       "huge",  "tiny", "nan"};

typedef struct shape {
    mla_dtype_t dt;
    int64_t m, n, nb, pad;
    int nranks;
    kind_t kind;
} shape_t;

typedef struct run {
    shape_t s;
    int64_t lr, k, kc, nc;
    gen_z *a, *f, *q, *inplace, *qc, *r, *rr, *c, *qhc, *back, *b, *x, *xx; /* whole, row-major */
    double seconds[MOST_RANKS];
    mla_status_t status[MOST_RANKS];
    char message[MOST_RANKS][256];
    pthread_barrier_t meet;
    bool timed;
} run_t;

typedef struct rank {
    run_t *run;
    int p;
    mla_comm_t *comm;
    mla_context_t *x;
} rank_t;

/* ---- matrices ---------------------------------------------------------------------------- */

static gen_z noise(uint64_t seed, int64_t i, int64_t j)
{
    return CMPLX(gen_hash(seed, i, j), gen_hash(seed + 1, i, j));
}

static gen_z element(const shape_t *s, int64_t i, int64_t j)
{
    bool single = mlai_real(s->dt) == MLA_FLOAT32;
    double span = single ? 18 : 150, x = s->n > 1 ? (double)j / (double)(s->n - 1) : 0;
    double y = s->m > 1 ? (double)i / (double)(s->m - 1) : 0;
    switch (s->kind) {
    case LOW_RANK: {
        gen_z sum = 0;
        for (int64_t l = 0; l < 3; l++) sum += noise(3, i, l) * noise(5, l, j);
        return sum;
    }
    case GRADED: return noise(1, i, j) * pow(10, -span * x);
    case GRADED_ROWS: return noise(1, i, j) * pow(10, -span * y);
    case ZEROS: return j % 3 == 1 ? 0 : noise(1, i, j);
    case ZERO: return 0;
    case IDENTITY: return i == j;
    case TRIANGLE: return i > j ? 0 : noise(1, i, j);
    case HILBERT: return 1.0 / (double)(i + j + 1);
    case CLOSE: return noise(1, i, 0) + (single ? 1e-5 : 1e-12) * noise(1, i, j + 1);
    case KAHAN: return pow(0.8, (double)i) * (i == j ? 1 : i < j ? -0.6 : 0);
    case HUGE_ONE: return noise(1, i, j) * (single ? 1e30 : 1e250);
    case TINY: return noise(1, i, j) * (single ? 1e-30 : 1e-250);
    case BAD: return i == s->m / 2 && j == s->n / 2 ? NAN : noise(1, i, j);
    default: return noise(1, i, j);
    }
}

static gen_z *zeros(int64_t m, int64_t n)
{
    gen_z *a = calloc((size_t)(m * n) + 1, sizeof *a);
    if (!a) exit(1);
    return a;
}

/* ---- running on P ranks ------------------------------------------------------------------ */

/* This rank's rows [first, first + rows) of a whole matrix to device memory, and back. */
static mla_status_t put(rank_t *r, const gen_z *a, int64_t first, int64_t rows, int64_t n,
                        int64_t ld, void **dev)
{
    mla_dtype_t dt = r->run->s.dt;
    size_t bytes = mlai_size_mat(rows, ld, mlai_sizeof(dt));
    void *host = calloc(1, bytes > 0 ? bytes : 1);
    for (int64_t i = 0; a && i < rows; i++)
        for (int64_t j = 0; j < n; j++) gen_put(dt, host, i * ld + j, a[(first + i) * n + j]);
    mla_status_t st = r->x->be->ops->alloc(r->x->be, bytes, dev);
    if (st == MLA_OK) st = MLAI_BE(r->x, from_host, mlai_stream(r->x, 0), *dev, host, bytes);
    free(host);
    return st;
}

static mla_status_t get(rank_t *r, gen_z *a, int64_t first, int64_t rows, int64_t n, int64_t ld,
                        const void *dev)
{
    mla_dtype_t dt = r->run->s.dt;
    size_t bytes = mlai_size_mat(rows, ld, mlai_sizeof(dt));
    void *host = calloc(1, bytes > 0 ? bytes : 1);
    mla_status_t st = MLAI_BE(r->x, to_host, mlai_stream(r->x, 0), host, dev, bytes);
    if (st == MLA_OK) st = mla_context_sync(r->x);
    for (int64_t i = 0; st == MLA_OK && i < rows; i++)
        for (int64_t j = 0; j < n; j++) a[(first + i) * n + j] = gen_get(dt, host, i * ld + j);
    free(host);
    return st;
}

static int64_t own(int64_t each, int64_t count, int p)
{
    return mlai_max(0, mlai_min(each, count - p * each));
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static mla_status_t work(rank_t *r)
{
    run_t *run = r->run;
    const shape_t *s = &run->s;
    int p = r->p;
    int64_t m = s->m, n = s->n, first = p * run->lr, rows = own(run->lr, m, p), ld = n + s->pad;
    int64_t ldt = MLA_QR_TILE, kr = own(run->kc, run->k, p), nr = own(run->nc, n, p);
    mla_rows_t d = MLA_ROWS_INIT(s->dt, m, n);
    d.nb = s->nb;
    d.ld = mlai_max(1, ld);
    void *a, *t, *q, *qc, *rd, *rr, *c, *b, *x;
    MLAI_TRY(put(r, run->a, first, rows, n, ld, &a));
    MLAI_TRY(put(r, NULL, 0, run->k, 0, ldt, &t));
    MLAI_TRY(put(r, NULL, 0, kr, 0, n + 1, &rd));
    MLAI_TRY(put(r, NULL, 0, rows, 0, run->k + 2, &q));
    // R by rows, then once more replicated
    MLAI_TRY(mla_geqrf(r->x, &d, a, t, ldt, MLA_RHS_ROWS, rd, n + 1));
    MLAI_TRY(get(r, run->f, first, rows, n, ld, a));
    MLAI_TRY(get(r, run->r, p * run->kc, kr, n, n + 1, rd));
    MLAI_TRY(mla_ungqr(r->x, &d, a, t, ldt, run->k, q, run->k + 2));
    MLAI_TRY(get(r, run->q, first, rows, run->k, run->k + 2, q));
    MLAI_TRY(put(r, NULL, 0, rows, 0, m + 1, &qc));
    MLAI_TRY(mla_ungqr(r->x, &d, a, t, ldt, m, qc, m + 1));
    MLAI_TRY(get(r, run->qc, first, rows, m, m + 1, qc));
    MLAI_TRY(put(r, run->c, first, rows, SIDES, SIDES, &c));
    MLAI_TRY(mla_unmqr(r->x, &d, 1, a, t, ldt, SIDES, c, SIDES));
    MLAI_TRY(get(r, run->qhc, first, rows, SIDES, SIDES, c));
    MLAI_TRY(mla_unmqr(r->x, &d, 0, a, t, ldt, SIDES, c, SIDES));
    MLAI_TRY(get(r, run->back, first, rows, SIDES, SIDES, c));
    void *in_place = a;
    if (m >= n) MLAI_TRY(mla_ungqr(r->x, &d, a, t, ldt, n, in_place, d.ld));
    MLAI_TRY(put(r, NULL, 0, mlai_max(1, run->k), 0, n + 1, &rr));
    if (m >= n) MLAI_TRY(get(r, run->inplace, first, rows, n, ld, a));
    r->x->be->ops->free(r->x->be, a);
    MLAI_TRY(put(r, run->a, first, rows, n, ld, &a));
    MLAI_TRY(mla_geqrf(r->x, &d, a, t, ldt, MLA_RHS_REPLICATED, rr, n + 1));
    if (p == s->nranks - 1) MLAI_TRY(get(r, run->rr, 0, run->k, n, n + 1, rr));
    if (m >= n) {
        r->x->be->ops->free(r->x->be, a);
        r->x->be->ops->free(r->x->be, c);
        MLAI_TRY(put(r, run->a, first, rows, n, ld, &a));
        MLAI_TRY(put(r, run->b, first, rows, SIDES, SIDES, &c));
        MLAI_TRY(put(r, NULL, 0, nr, 0, SIDES, &x));
        MLAI_TRY(mla_gels(r->x, &d, a, SIDES, c, SIDES, MLA_RHS_ROWS, x, SIDES));
        MLAI_TRY(get(r, run->x, p * run->nc, nr, SIDES, SIDES, x));
        r->x->be->ops->free(r->x->be, a);
        MLAI_TRY(put(r, run->a, first, rows, n, ld, &a));
        MLAI_TRY(put(r, NULL, 0, n, 0, SIDES, &b));
        r->x->be->ops->free(r->x->be, c);
        MLAI_TRY(put(r, run->b, first, rows, SIDES, SIDES, &c));
        MLAI_TRY(mla_gels(r->x, &d, a, SIDES, c, SIDES, MLA_RHS_REPLICATED, b, SIDES));
        if (p == 0) MLAI_TRY(get(r, run->xx, 0, n, SIDES, SIDES, b));
        r->x->be->ops->free(r->x->be, x);
        r->x->be->ops->free(r->x->be, b);
    }
    void *all[] = {a, t, q, qc, rd, rr, c};
    for (int i = 0; i < 7; i++) r->x->be->ops->free(r->x->be, all[i]);
    return MLA_OK;
}

/* geqrf and ungqr, and gels with one right-hand side, the better of three runs. */
static mla_status_t time_with(rank_t *r, void *host, size_t bytes)
{
    run_t *run = r->run;
    const shape_t *s = &run->s;
    int64_t first = r->p * run->lr, rows = own(run->lr, s->m, r->p);
    mla_rows_t d = MLA_ROWS_INIT(s->dt, s->m, s->n);
    d.nb = s->nb;
    void *a, *t, *rd, *c;
    double best[3] = {INFINITY, INFINITY, INFINITY};
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < s->n; j++)
            gen_put(s->dt, host, i * s->n + j, element(s, first + i, j));
    MLAI_TRY(put(r, NULL, 0, rows, 0, s->n, &a));
    MLAI_TRY(put(r, NULL, 0, run->k, 0, MLA_QR_TILE, &t));
    MLAI_TRY(put(r, NULL, 0, run->k, 0, s->n, &rd));
    MLAI_TRY(put(r, NULL, 0, rows, 0, 1, &c));
    for (int rep = 0; rep < 9; rep++) {
        int what = rep % 3;
        if (what != 1) MLAI_TRY(MLAI_BE(r->x, from_host, mlai_stream(r->x, 0), a, host, bytes));
        MLAI_TRY(mla_context_sync(r->x));
        pthread_barrier_wait(&run->meet);
        double start = now();
        if (what == 0)
            MLAI_TRY(mla_geqrf(r->x, &d, a, t, MLA_QR_TILE, MLA_RHS_REPLICATED, rd, s->n));
        if (what == 1 && s->m >= s->n)
            MLAI_TRY(mla_ungqr(r->x, &d, a, t, MLA_QR_TILE, s->n, a, s->n));
        if (what == 2 && s->m >= s->n)
            MLAI_TRY(mla_gels(r->x, &d, a, 1, c, 1, MLA_RHS_REPLICATED, rd, 1));
        MLAI_TRY(mla_context_sync(r->x));
        best[what] = fmin(best[what], now() - start);
    }
    if (r->p == 0)
        printf("m %lld n %lld P %d type %c %s: geqrf %.4f s, ungqr %.4f s, gels %.4f s\n",
               (long long)s->m, (long long)s->n, s->nranks, "sdcz"[s->dt], kind_name[s->kind],
               best[0], best[1], best[2]);
    return MLA_OK;
}

static mla_status_t time_it(rank_t *r)
{
    const shape_t *s = &r->run->s;
    size_t bytes = mlai_size_mat(own(r->run->lr, s->m, r->p), s->n, mlai_sizeof(s->dt));
    void *host = malloc(bytes > 0 ? bytes : 1);
    mla_status_t st = host ? time_with(r, host, bytes) : MLA_NOMEM;
    free(host);
    return st;
}

static void *rank_main(void *arg)
{
    rank_t *r = arg;
    mla_context_options_t o = MLA_CONTEXT_OPTIONS_INIT;
    o.device = device;
    o.ordinal = ordinal;
    o.comm = r->comm;
    mla_status_t st = MLA_OK;
    char name[64];
    snprintf(name, sizeof name, "unit-qr-%d-%d", (int)(uintptr_t)r->run % 100000, cases);
    if (device == MLA_CUDA && r->run->s.nranks > 1)
        st = mla_comm_create_peer(name, r->run->s.nranks, r->p, ordinal, 60, &r->comm);
    o.comm = r->comm;
    if (st == MLA_OK) st = mla_context_create(&o, &r->x);
    if (st == MLA_OK) st = r->run->timed ? time_it(r) : work(r);
    r->run->status[r->p] = st;
    if (st != MLA_OK) {
        snprintf(r->run->message[r->p], 256, "%s", mla_message(r->x));
        if (r->comm) mla_comm_abort(r->comm, r->run->message[r->p]);
    }
    mla_context_free(r->x);
    mla_comm_free(r->comm);
    return NULL;
}

static bool launch(run_t *run)
{
    rank_t rank[MOST_RANKS];
    pthread_t thread[MOST_RANKS];
    mla_comm_t *comm[MOST_RANKS] = {NULL};
    int nranks = run->s.nranks;
    if (device == MLA_HOST && mla_comm_create_threads(nranks, 60, comm) != MLA_OK) return false;
    pthread_barrier_init(&run->meet, NULL, (unsigned)nranks);
    for (int p = 0; p < nranks; p++) {
        rank[p] = (rank_t){.run = run, .p = p, .comm = comm[p]};
        if (pthread_create(&thread[p], NULL, rank_main, &rank[p])) abort(); // others would wait
    }
    for (int p = 0; p < nranks; p++) pthread_join(thread[p], NULL);
    pthread_barrier_destroy(&run->meet);
    for (int p = 0; p < nranks; p++)
        if (run->status[p] != MLA_OK) {
            printf("FAIL rank %d: %s %s\n", p, mla_status_name(run->status[p]), run->message[p]);
            return false;
        }
    return true;
}

/* ---- checks ---------------------------------------------------------------------------------
 */

static double norm(int64_t m, int64_t n, const gen_z *a)
{
    double most = 0, sum = 0;
    for (int64_t i = 0; i < m * n; i++)
        if (cabs(a[i]) > most || isnan(cabs(a[i]))) most = cabs(a[i]);
    if (!(most > 0)) return most;
    for (int64_t i = 0; i < m * n; i++) sum += creal(a[i] / most * conj(a[i] / most));
    return most * sqrt(sum);
}

/* Column j of |A - Q R| over that of |A|, the largest; columns that count for nothing: none. */
static double residual(const run_t *run, const gen_z *q, int64_t cols, const gen_z *r)
{
    int64_t m = run->s.m, n = run->s.n;
    gen_z *d = zeros(m, 1), *a = zeros(m, 1);
    double most = 0;
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < m; i++) {
            a[i] = d[i] = run->a[i * n + j];
            for (int64_t l = 0; l <= mlai_min(j, cols - 1); l++)
                d[i] -= q[i * cols + l] * r[l * n + j];
        }
        double size = norm(m, 1, a), wrong = norm(m, 1, d);
        if (size == 0 ? wrong != 0 : !(wrong / size <= most))
            most = size == 0 ? INFINITY : wrong / size;
    }
    free(a);
    free(d);
    return most;
}

static double ratio(double a, double b)
{
    return a == 0 ? 0 : a / b;
}

static double orthogonality(int64_t m, int64_t n, const gen_z *q)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            gen_z dot = i == j ? -1 : 0;
            for (int64_t l = 0; l < m; l++) dot += conj(q[l * n + i]) * q[l * n + j];
            sum += creal(dot * conj(dot));
        }
    return sqrt(sum);
}

/* R by LAPACK's geqr2 in double, from columns of moderate size. */
static void reference(const run_t *run, gen_z *r)
{
    int64_t m = run->s.m, n = run->s.n;
    memcpy(r, run->a, (size_t)(m * n) * sizeof *r);
    for (int64_t j = 0; j < mlai_min(m, n); j++) {
        double below = 0;
        for (int64_t i = j + 1; i < m; i++) below += creal(r[i * n + j] * conj(r[i * n + j]));
        gen_z alpha = r[j * n + j];
        if (below == 0 && cimag(alpha) == 0) continue;
        double beta = -copysign(sqrt(creal(alpha * conj(alpha)) + below), creal(alpha));
        gen_z tau = CMPLX((beta - creal(alpha)) / beta, -cimag(alpha) / beta);
        for (int64_t i = j + 1; i < m; i++) r[i * n + j] /= alpha - beta;
        r[j * n + j] = beta;
        for (int64_t l = j + 1; l < n; l++) {
            gen_z sum = r[j * n + l];
            for (int64_t i = j + 1; i < m; i++) sum += conj(r[i * n + j]) * r[i * n + l];
            sum *= conj(tau);
            r[j * n + l] -= sum;
            for (int64_t i = j + 1; i < m; i++) r[i * n + l] -= sum * r[i * n + j];
        }
        for (int64_t i = j + 1; i < m; i++) r[i * n + j] = 0;
    }
}

static void expect(const run_t *run, const char *what, int which, double value, double limit)
{
    const shape_t *s = &run->s;
    if (value > worst[which]) worst[which] = value;
    if (value <= limit) return;
    if (failures++ < 20)
        printf("FAIL %s %c m=%lld n=%lld nb=%lld P=%d: %s %.3g > %g\n", kind_name[s->kind],
               "sdcz"[s->dt], (long long)s -> m, (long long)s -> n, (long long)s -> nb,
               s -> nranks, what, value, limit);
}

static bool same(int64_t count, const gen_z *a, const gen_z *b)
{
    for (int64_t i = 0; i < count; i++)
        if (a[i] != b[i] && !(isnan(cabs(a[i])) && isnan(cabs(b[i])))) return false;
    return true;
}

/* The copies of R: equal, and zero below the diagonal. */
static bool same_r(const run_t *run)
{
    int64_t n = run->s.n;
    for (int64_t i = 0; i < run->k; i++)
        for (int64_t j = 0; j < n; j++) {
            gen_z f = j < i ? 0 : run->f[i * n + j];
            if (!same(1, &run->r[i * n + j], &run->rr[i * n + j])) return false;
            if (!same(1, &run->r[i * n + j], &f)) return false;
        }
    return true;
}

static void check_least_squares(const run_t *run, double unit)
{
    int64_t m = run->s.m, n = run->s.n;
    gen_z *d = zeros(m, SIDES), *g = zeros(n, SIDES);
    for (int64_t i = 0; i < m; i++)
        for (int64_t c = 0; c < SIDES; c++) {
            d[i * SIDES + c] = run->b[i * SIDES + c];
            for (int64_t l = 0; l < n; l++)
                d[i * SIDES + c] -= run->a[i * n + l] * run->x[l * SIDES + c];
        }
    for (int64_t l = 0; l < n; l++)
        for (int64_t c = 0; c < SIDES; c++)
            for (int64_t i = 0; i < m; i++)
                g[l * SIDES + c] += conj(run->a[i * n + l]) * d[i * SIDES + c];
    double a = norm(m, n, run->a), scale = a * (a * norm(n, SIDES, run->x) + norm(m, SIDES, d));
    expect(run, "least squares", 3, ratio(norm(n, SIDES, g), scale * unit), 2);
    expect(run, "x by rows and replicated", 3, same(n * SIDES, run->x, run->xx) ? 0 : INFINITY,
           0);
    free(d);
    free(g);
}

static void check_products(const run_t *run, double unit)
{
    int64_t m = run->s.m;
    gen_z *d = zeros(m, SIDES);
    for (int64_t i = 0; i < m; i++)
        for (int64_t c = 0; c < SIDES; c++) {
            d[i * SIDES + c] = run->qhc[i * SIDES + c];
            for (int64_t l = 0; l < m; l++)
                d[i * SIDES + c] -= conj(run->qc[l * m + i]) * run->c[l * SIDES + c];
        }
    double c = norm(m, SIDES, run->c);
    expect(run, "Q^H C", 2, ratio(norm(m, SIDES, d), c * unit), 3);
    for (int64_t i = 0; i < m * SIDES; i++) d[i] = run->back[i] - run->c[i];
    expect(run, "Q Q^H C", 2, ratio(norm(m, SIDES, d), c * unit), 3);
    free(d);
}

static void judge(const run_t *run)
{
    const shape_t *s = &run->s;
    int64_t m = s->m, n = s->n, k = run->k;
    double unit = (double)mlai_max(8, mlai_max(m, n)) * check_eps(s->dt);
    if (m >= n) expect(run, "Q in place", 0, same(m * n, run->q, run->inplace) ? 0 : INFINITY, 0);
    expect(run, "copies of R", 0, same_r(run) ? 0 : INFINITY, 0);
    if (s->kind == BAD) {
        expect(run, "NaN in R", 0, isnan(norm(k, n, run->r)) ? 0 : INFINITY, 0);
        return;
    }
    expect(run, "residual", 0, residual(run, run->q, k, run->r) / unit, 3);
    expect(run, "residual of all of Q", 0, residual(run, run->qc, m, run->f) / unit, 3);
    expect(run, "orthogonality", 1, ratio(orthogonality(m, k, run->q), unit * sqrt((double)k)),
           3);
    expect(run, "orthogonality of all of Q", 1,
           ratio(orthogonality(m, m, run->qc), unit * sqrt((double)m)), 3);
    check_products(run, unit);
    if (s->kind == RAND && m >= n) check_least_squares(run, unit);
    // Signs: where R is determined by A, and where it is A.
    if (s->kind != RAND && s->kind != IDENTITY && s->kind != TRIANGLE) return;
    gen_z *r = zeros(m, n), *d = zeros(k, n);
    reference(run, r);
    for (int64_t i = 0; i < k * n; i++) d[i] = run->r[i] - r[i];
    double limit = s->kind == RAND ? 2e3 : 3; // times the condition of a square random matrix
    expect(run, "R against LAPACK's", 4, ratio(norm(k, n, d), norm(k, n, r) * unit), limit);
    free(r);
    free(d);
}

static void one(shape_t s)
{
    run_t run = {.s = s};
    int64_t m = s.m, n = s.n;
    run.lr = mlai_max(1, mlai_ceil_div(m, s.nranks));
    run.k = mlai_min(m, n);
    run.kc = mlai_ceil_div(run.k, s.nranks);
    run.nc = mlai_ceil_div(n, s.nranks);
    gen_z **part[] = {&run.a, &run.f,   &run.q,    &run.qc, &run.r,  &run.rr,     &run.c,
                      &run.b, &run.qhc, &run.back, &run.x,  &run.xx, &run.inplace};
    int64_t rows[] = {m, m, m, m, run.k, run.k, m, m, m, m, n, n, m};
    int64_t cols[] = {n, n, run.k, m, n, n, SIDES, SIDES, SIDES, SIDES, SIDES, SIDES, n};
    for (int i = 0; i < 13; i++) *part[i] = zeros(rows[i], cols[i]);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) run.a[i * n + j] = gen_rounded(s.dt, element(&s, i, j));
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < SIDES; j++) {
            run.c[i * SIDES + j] = gen_rounded(s.dt, noise(11, i, j));
            run.b[i * SIDES + j] = gen_rounded(s.dt, noise(13, i, j));
        }
    cases++;
    if (launch(&run))
        judge(&run);
    else if (failures++ < 20)
        printf("FAIL %s %c m=%lld n=%lld nb=%lld P=%d\n", kind_name[s.kind], "sdcz"[s.dt],
               (long long)m, (long long)n, (long long)s.nb, s.nranks);
    for (int i = 0; i < 13; i++) free(*part[i]);
}

/* ---- sweeps -----------------------------------------------------------------------------------
 */

static void sweep(int only, int stride)
{
    static const int64_t shapes[][3] = {
        {0, 3, 0},   {3, 0, 0},   {1, 1, 0},    {2, 5, 1},    {7, 7, 3},    {40, 13, 4},
        {13, 40, 5}, {33, 33, 8}, {100, 36, 0}, {61, 70, 16}, {150, 20, 7}, {140, 130, 128}};
    static const int ranks[] = {1, 2, 3, 4, 8};
    int shape_count = (int)(sizeof shapes / sizeof *shapes), count = 0;
    for (int i = 0; i < shape_count; i++)
        for (int p = 0; p < 5; p++)
            for (int dt = 0; dt < 4; dt++) {
                if ((only && ranks[p] != only) || (count++ % stride)) continue;
                one((shape_t){(mla_dtype_t)dt, shapes[i][0], shapes[i][1], shapes[i][2], i % 3,
                              ranks[p], RAND});
            }
    for (int kind = RAND; kind < KINDS; kind++)
        for (int i = 0; i < 6; i++)
            for (int dt = 0; dt < 4; dt++) {
                static const int64_t m[] = {36, 60, 20, 47, 64, 35},
                                     n[] = {36, 21, 45, 30, 64, 34};
                int p = (kind + i + dt) % 4 + 1;
                if ((only && p != only) || (count++ % stride)) continue;
                one((shape_t){(mla_dtype_t)dt, m[i], n[i], i % 2 ? 8 : 0, 0, p, (kind_t)kind});
            }
}

int main(int argc, char **argv)
{
    run_t timing = {.s = {.dt = MLA_FLOAT64, .nranks = 0}, .timed = true};
    int stride = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "--time")) timing.s.m = atoll(value);
        if (!strcmp(argv[i], "--columns")) timing.s.n = atoll(value);
        if (!strcmp(argv[i], "--nb")) timing.s.nb = atoll(value);
        if (!strcmp(argv[i], "--ranks")) timing.s.nranks = atoi(value);
        if (!strcmp(argv[i], "--stride")) stride = atoi(value);
        if (!strcmp(argv[i], "--type"))
            timing.s.dt = (mla_dtype_t)(strchr("sdcz", *value) - "sdcz");
        for (int k = 0; !strcmp(argv[i], "--kind") && k < KINDS; k++)
            if (!strcmp(kind_name[k], value)) timing.s.kind = (kind_t)k;
        if (!strcmp(argv[i], "--device")) device = !strcmp(value, "cuda") ? MLA_CUDA : MLA_HOST;
        if (!strcmp(argv[i], "--ordinal")) ordinal = atoi(value);
    }
    if (timing.s.m > 0) {
        if (timing.s.nranks == 0) timing.s.nranks = 1;
        timing.lr = mlai_ceil_div(timing.s.m, timing.s.nranks);
        timing.k = mlai_min(timing.s.m, timing.s.n);
        return !launch(&timing);
    }
    sweep(timing.s.nranks, stride);
    printf(
        "%d cases, %d failed; at most: residual %.2g, orthogonality %.2g, products %.2g, least "
        "squares %.2g, R %.2g\n",
        cases, failures, worst[0], worst[1], worst[2], worst[3], worst[4]);
    return failures != 0 || cases == 0;
}
