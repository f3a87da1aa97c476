/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_he2hb.c: the QR of a panel, and the reduction to a band with its way back, against
 * their definitions in double, for the four types.
 *
 *     unit_he2hb [--type s|d|c|z] [--device host|cuda] [--ordinal 0] [--quick]
 *     unit_he2hb --time N [--type s|d|c|z] [--kd 32] [--device ...]      times of one rank
 *
 * Panels of every kind: random, ill-conditioned, of low rank, zero, graded, with an Inf. The
 * reduction: every rank makes its columns of Q1 from those of I; Q1^H Q1 = I and Q1 (band) Q1^H =
 * B' are then checked element by element. */
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

static mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
static int failures, cases;
static const char letters[] = "sdcz";

static void expect(double got, double tol, const char *what, const char *name)
{
    cases++;
    if (got <= tol) return;
    if (failures++ < 30) printf("FAIL %s, %s: %g, allowed %g\n", what, name, got, tol);
}

static void must(mla_status_t st, const mla_context_t *x, const char *what)
{
    if (st == MLA_OK) return;
    fprintf(stderr, "unit_he2hb: %s: %s: %s\n", what, mla_status_name(st), mla_message(x));
    exit(1);
}

static gen_z *vec(int64_t n)
{
    gen_z *z = calloc((size_t)n + 1, sizeof *z);
    if (!z) exit(1);
    return z;
}

/* Device memory for `count` elements of z. */
static void *upload(mla_context_t *x, mla_dtype_t dt, int64_t count, const gen_z *z)
{
    size_t bytes = mlai_size_mat(count, 1, mlai_sizeof(dt));
    void *dev = NULL, *host = malloc(bytes + 64);
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    for (int64_t k = 0; k < count; k++) gen_put(dt, host, k, z[k]);
    must(MLAI_BE(x, alloc, bytes + 64, &dev), x, "alloc");
    must(MLAI_BE(x, from_host, st, dev, host, bytes), x, "from_host");
    must(MLAI_BE(x, sync, st), x, "sync");
    free(host);
    return dev;
}

/* Frees it, too. */
static void download(mla_context_t *x, mla_dtype_t dt, int64_t count, void *dev, gen_z *z)
{
    size_t bytes = mlai_size_mat(count, 1, mlai_sizeof(dt));
    void *host = malloc(bytes + 64);
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    must(MLAI_BE(x, to_host, st, host, dev, bytes), x, "to_host");
    must(MLAI_BE(x, sync, st), x, "sync");
    for (int64_t k = 0; k < count; k++) z[k] = gen_get(dt, host, k);
    x->be->ops->free(x->be, dev);
    free(host);
}

/* ---- geqrt --------------------------------------------------------------------------------- */

enum { RANDOM, SAME, NEAR, CLOSE, LOW, ZERO, GRADED, TINY, COLUMN, TRIANGLE, KINDS };
static const char *const kinds[KINDS] = {"random", "same",   "near", "close",  "low rank",
                                         "zero",   "graded", "tiny", "column", "triangle"};

static gen_z panel_element(int kind, mla_dtype_t dt, int64_t i, int64_t j)
{
    gen_z z = CMPLX(gen_hash(7, i, j), gen_hash(8, i, j));
    double eps = check_eps(dt);
    switch (kind) {
    case SAME: z = 1; break; // what is left of each is 1e-16 of the one before
    case NEAR: z = gen_hash(9, i, 0) + 0.08 * z; break;
    case CLOSE: z = gen_hash(9, i, 0) + 30 * eps * z; break; // columns differ by little
    case LOW: z = gen_hash(9, i, j % 3) * (double)(1 + j); break;
    case ZERO: z = 0; break;
    case GRADED: z *= pow(10, -(double)(j % 15)); break;
    case TINY: z *= dt == MLA_FLOAT32 || dt == MLA_COMPLEX64 ? 1e-30 : 1e-250; break;
    case COLUMN: z = j == 1 ? 0 : z; break;
    case TRIANGLE: z = i > j ? 0 : z; break;
    }
    return gen_rounded(dt, z);
}

/* c (m x n) := a b, a: m x k, or a^H b, a: k x m. */
static void product(bool adjoint, int64_t m, int64_t n, int64_t k, const gen_z *a, int64_t lda,
                    const gen_z *b, int64_t ldb, gen_z *c)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) {
            gen_z s = 0;
            for (int64_t l = 0; l < k; l++)
                s += (adjoint ? conj(a[l + i * lda]) : a[i + l * lda]) * b[l + j * ldb];
            c[i + j * m] = s;
        }
}

static double largest(int64_t count, const gen_z *z)
{
    double most = 0;
    for (int64_t k = 0; k < count; k++)
        if (!(cabs(z[k]) <= most)) most = isnan(cabs(z[k])) ? INFINITY : cabs(z[k]);
    return most;
}

/* Q of m rows and n columns, I - V T V^H, and R, from what geqrt has left in a and t. */
static void form_qr(int64_t m, int64_t n, const gen_z *a, int64_t lda, const gen_z *t,
                    int64_t ldt, gen_z *q, gen_z *r)
{
    gen_z *v = vec(m * n), *top = vec(n * n), *tv = vec(n * n);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) {
            v[i + j * m] = i < j ? 0 : i == j ? 1 : a[i + j * lda];
            if (i <= j && i < n) r[i + j * n] = a[i + j * lda];
        }
    for (int64_t j = 0; j < n; j++) // V^H of the first n columns of I
        for (int64_t i = 0; i < n; i++) top[i + j * n] = conj(v[j + i * m]);
    product(false, n, n, n, t, ldt, top, n, tv);
    product(false, m, n, n, v, m, tv, n, q);
    for (int64_t k = 0; k < m * n; k++) q[k] = -q[k];
    for (int64_t j = 0; j < n; j++) q[j + j * m] += 1;
    free(v);
    free(top);
    free(tv);
}

static void test_geqrt(mla_context_t *x, mla_dtype_t dt, int kind, int64_t m, int64_t n)
{
    int64_t lda = m + PAD, ldt = n + 1;
    gen_z *a = vec(lda * n), *out = vec(lda * n), *t = vec(ldt * n);
    gen_z *q = vec(m * n), *r = vec(n * n), *qr = vec(m * n), *qq = vec(n * n);
    char name[96];
    snprintf(name, sizeof name, "%s %lld x %lld, type %c", kinds[kind], (long long)m,
             (long long)n, letters[dt]);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < lda; i++)
            a[i + j * lda] = i < m ? panel_element(kind, dt, i, j) : CMPLX(NAN, NAN);
    for (int64_t k = 0; k < ldt * n; k++) t[k] = CMPLX(NAN, NAN);
    void *da = upload(x, dt, lda * n, a), *tau = upload(x, dt, ldt * n, t), *work;
    must(MLAI_BE(x, alloc, mlai_geqrt_work(m, n, dt), &work), x, "alloc");
    must(MLAI_BE(x, geqrt, mlai_stream(x, MLAI_STREAM_MAIN), dt, m, n, da, lda, tau, ldt, work),
         x, "geqrt");
    download(x, dt, lda * n, da, out);
    download(x, dt, ldt * n, tau, t);
    x->be->ops->free(x->be, work);
    form_qr(m, n, out, lda, t, ldt, q, r);
    double tol = 40 * check_eps(dt) * sqrt((double)(m + 10)), size = 0;
    product(false, m, n, n, q, m, r, n, qr);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) {
            qr[i + j * m] -= a[i + j * lda];
            size = fmax(size, cabs(a[i + j * lda]));
        }
    if (size == 0) size = 1;
    expect(largest(m * n, qr) / size, tol * sqrt((double)n), "A - Q R", name);
    product(true, n, n, m, q, m, q, m, qq);
    for (int64_t j = 0; j < n; j++) qq[j + j * n] -= 1;
    expect(largest(n * n, qq), tol, "I - Q^H Q", name);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = j + 1; i < n; i++) expect(cabs(t[i + j * ldt]), 0, "T below", name);
        for (int64_t i = m; i < lda; i++) expect(isnan(creal(out[i + j * lda])), 1, "pad", name);
        expect(cabs(t[j + j * ldt]), 2.001, "tau", name);
    }
    gen_z *all[] = {a, out, t, q, r, qr, qq};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
}

/* ---- he2hb and unmtr ------------------------------------------------------------------------
 */

typedef struct problem {
    mla_dtype_t dt;
    mla_desc_t desc;
    mlai_dist_t d;
    int64_t n, kd, ldab;
    gen_z *b, *q, *ab[MOST_RANKS]; /* B' in elimination order; Q1; the band of each rank */
    char name[128], comm_name[64];
    mla_comm_t *comm[MOST_RANKS];
} problem_t;

typedef struct rank {
    problem_t *f;
    int p;
} rank_t;

/* a, z := columns of the identity, by he2hb and unmtr. */
static mla_status_t reduce(mla_context_t *x, problem_t *f, void *a, void *tau, void *ab,
                           int64_t cols, void *z)
{
    mlai_space_t s = mlai_he2hb_space(&f->desc, &f->d, f->kd);
    mlai_space_t t = mlai_unmtr_space(&f->desc, &f->d, mlai_ceil_div(f->n, f->d.nranks));
    void *work, *base;
    MLAI_TRY(mlai_reserve(x, s.work > t.work ? s.work : t.work,
                          s.window > t.window ? s.window : t.window, &work, &base));
    mla_status_t st = mlai_he2hb(x, &f->desc, &f->d, f->kd, a, tau, ab, f->ldab, work, base);
    if (st == MLA_OK) st = MLAI_COMM(x, reuse, mlai_stream(x, MLAI_STREAM_MAIN), x->comm->seq);
    if (st == MLA_OK)
        st =
            mlai_unmtr(x, &f->desc, &f->d, f->kd, a, tau, cols, z, mlai_max(1, f->n), work, base);
    mlai_release(x, work);
    return st;
}

static void *rank_main(void *arg)
{
    problem_t *f = ((rank_t *)arg)->f;
    int p = ((rank_t *)arg)->p;
    int64_t n = f->n, lda = f->desc.ld, cols = mlai_dist_cols(&f->d, p);
    int64_t lr = mlai_ceil_div(n, f->d.nranks), zs = mlai_max(0, mlai_min(lr, n - p * lr));
    mla_context_options_t o = options;
    mla_context_t *x = NULL;
    if (o.device == MLA_CUDA && f->d.nranks > 1)
        must(mla_comm_create_peer(f->comm_name, f->d.nranks, p, o.ordinal, 60, &f->comm[p]), NULL,
             "peer");
    o.comm = f->comm[p];
    must(mla_context_create(&o, &x), NULL, "context");
    gen_z *a = vec(lda * cols), *z = vec(n * zs), *ab = vec(f->ldab * n), *tau = vec(n);
    for (int64_t jl = 0; jl < cols; jl++) {
        int64_t pos = mlai_dist_pos(&f->d, p * f->d.lc + jl);
        for (int64_t i = 0; i < lda; i++)
            a[i + jl * lda] = i < n ? f->b[i + pos * n] : CMPLX(NAN, NAN);
    }
    for (int64_t j = 0; j < zs; j++) z[j + p * lr + j * n] = 1;
    for (int64_t k = 0; k < f->ldab * n; k++) ab[k] = CMPLX(NAN, NAN);
    void *da = upload(x, f->dt, lda * cols, a), *dz = upload(x, f->dt, n * zs, z);
    void *dab = upload(x, f->dt, f->ldab * n, ab), *dt = upload(x, f->dt, n, tau);
    must(reduce(x, f, da, dt, dab, zs, dz), x, f->name);
    download(x, f->dt, lda * cols, da, a);
    download(x, f->dt, n, dt, tau);
    download(x, f->dt, f->ldab * n, dab, f->ab[p]);
    download(x, f->dt, n * zs, dz, f->q + p * lr * n);
    free(a);
    free(z);
    free(ab);
    free(tau);
    mla_context_free(x);
    mla_comm_free(f->comm[p]);
    return NULL;
}

static void compare(problem_t *f)
{
    int64_t n = f->n;
    gen_z *band = vec(n * n), *qb = vec(n * n), *back = vec(n * n), *qq = vec(n * n);
    gen_z *qh = vec(n * n);
    double tol = 20 * check_eps(f->dt) * (double)(n + 10), size = largest(n * n, f->b);
    for (int q = 1; q < f->d.nranks; q++)
        expect(memcmp(f->ab[0], f->ab[q], (size_t)(f->ldab * n) * sizeof(gen_z)) != 0, 0,
               "the ranks' bands differ", f->name);
    for (int64_t j = 0; j < n; j++)
        for (int64_t k = 0; k < f->ldab; k++) {
            gen_z e = f->ab[0][k + j * f->ldab];
            bool in = k <= f->kd && j + k < n;
            if (!in) expect(e != 0, 0, "outside the band", f->name);
            if (!in) continue;
            band[j + k + j * n] = e;
            band[j + (j + k) * n] = conj(e);
            if (k == 0) band[j + j * n] = creal(e);
        }
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < n; i++) qh[j + i * n] = conj(f->q[i + j * n]);
    product(false, n, n, n, f->q, n, band, n, qb);
    product(false, n, n, n, qb, n, qh, n, back);
    product(false, n, n, n, qh, n, f->q, n, qq);
    for (int64_t k = 0; k < n * n; k++) back[k] -= f->b[k];
    for (int64_t j = 0; j < n; j++) qq[j + j * n] -= 1;
    expect(largest(n * n, back) / (size > 0 ? size : 1), tol, "B - Q band Q^H", f->name);
    expect(largest(n * n, qq), tol, "I - Q^H Q", f->name);
    free(band);
    free(qb);
    free(back);
    free(qq);
    free(qh);
}

static void test_reduction(const char *kind, mla_dtype_t dt, int64_t n, int64_t nb, int nranks,
                           int64_t kd)
{
    static int count;
    int64_t lc = mlai_max(1, mlai_ceil_div(n, nranks));
    problem_t f = {.dt = dt, .n = n, .kd = kd, .ldab = 2 * kd, .desc = MLA_DESC_INIT(dt, n)};
    pthread_t thread[MOST_RANKS] = {0};
    rank_t rank[MOST_RANKS];
    gen_t g;
    f.desc.lc = lc;
    f.desc.ld = n + 1 + nb % 3;
    f.desc.nb = mlai_min(nb, lc);
    f.d = mlai_dist(n, lc, f.desc.nb, nranks, MLA_CYCLIC);
    f.b = vec(n * n);
    f.q = vec(n * n);
    snprintf(f.name, sizeof f.name, "%s, type %c, n=%lld nb=%lld P=%d kd=%lld", kind, letters[dt],
             (long long)n, (long long)nb, nranks, (long long)kd);
    snprintf(f.comm_name, sizeof f.comm_name, "he2hb-%ld-%d", (long)getpid(), count++);
    if (gen_init(&g, kind, n, dt)) exit(1);
    gen_z *column = vec(n);
    for (int64_t j = 0; j < n; j++) {
        gen_column(&g, mlai_dist_nat(&f.d, j), column);
        for (int64_t i = 0; i < n; i++)
            f.b[i + j * n] = gen_rounded(dt, column[mlai_dist_nat(&f.d, i)]);
    }
    free(column);
    gen_free(&g);
    if (nranks > 1 && options.device == MLA_HOST)
        must(mla_comm_create_threads(nranks, 60, f.comm), NULL, "threads");
    for (int p = 0; p < nranks; p++) {
        f.ab[p] = vec(f.ldab * n);
        rank[p] = (rank_t){&f, p};
        if (pthread_create(&thread[p], NULL, rank_main, &rank[p])) exit(1);
    }
    for (int p = 0; p < nranks; p++) pthread_join(thread[p], NULL);
    compare(&f);
    for (int p = 0; p < nranks; p++) free(f.ab[p]);
    free(f.b);
    free(f.q);
}

static void test_type(mla_context_t *x, mla_dtype_t dt, bool quick)
{
    static const int64_t shape[][2] = {{1, 1},  {2, 1},   {2, 2},   {5, 5},
                                       {33, 7}, {64, 32}, {130, 64}};
    for (size_t k = 0; k < sizeof shape / sizeof *shape; k++)
        for (int kind = 0; kind < KINDS; kind++)
            if (!quick || k == 4 || kind == 0) test_geqrt(x, dt, kind, shape[k][0], shape[k][1]);
    test_geqrt(x, dt, RANDOM, 1037, 32);
    test_geqrt(x, dt, SAME, 168, 25);
    test_geqrt(x, dt, LOW, quick ? 230 : 1037, 13);
    static const int64_t sizes[] = {1, 2, 3, 7, 20, 41};
    for (int k = quick ? 4 : 0; k < 6; k++)
        for (int nranks = 1; nranks <= 3; nranks += quick ? 2 : 1)
            for (int64_t kd = 1; kd <= 9; kd += 4)
                if (!quick || kd == 9)
                    test_reduction("goe", dt, sizes[k], kd == 5 ? 3 : 7, nranks, kd);
    test_reduction("goe", dt, 97, 16, 1, 8); // P and R hold several panels
    if (quick) return;
    test_reduction("goe", dt, 131, 64, 1, 5);
    test_reduction("goe", dt, 97, 16, 2, 4);
    test_reduction("goe", dt, 150, 32, 8, 1);
    test_reduction("goe", dt, 200, 200, 1, 32);
    test_reduction("diag", dt, 40, 6, 2, 4);
    test_reduction("zero", dt, 40, 6, 3, 4);
    test_reduction("onesplus", dt, 40, 9, 2, 5);
    test_reduction("wilkinson", dt, 41, 9, 2, 5);
    test_reduction("cluster", dt, 60, 12, 3, 6);
    test_reduction("graded", dt, 60, 12, 2, 6);
}

/* ---- times --------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The least of three runs on a random matrix, then of the way back. */
static void run_times(mla_context_t *x, mla_dtype_t dt, int64_t n, int64_t kd)
{
    problem_t f = {.dt = dt, .n = n, .kd = kd, .ldab = 2 * kd, .desc = MLA_DESC_INIT(dt, n)};
    f.desc.lc = f.desc.ld = n;
    f.desc.nb = mla_tile_size(&f.desc, 1, options.device);
    f.d = mlai_dist(n, n, f.desc.nb, 1, MLA_CYCLIC);
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    size_t es = mlai_sizeof(dt), bytes = mlai_size_mat(n, n, es);
    mlai_space_t s = mlai_he2hb_space(&f.desc, &f.d, kd), t = mlai_unmtr_space(&f.desc, &f.d, n);
    char *host = malloc(bytes);
    void *a, *z, *tau, *ab, *work, *base;
    if (!host) exit(1);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = j; i < n; i++) {
            gen_z e = CMPLX(gen_hash(1, i, j), i == j ? 0 : gen_hash(2, i, j));
            gen_put(dt, host, i + j * n, e);
            gen_put(dt, host, j + i * n, conj(e));
        }
    must(MLAI_BE(x, alloc, bytes, &a), x, "alloc");
    must(MLAI_BE(x, alloc, bytes, &z), x, "alloc");
    must(MLAI_BE(x, alloc, mlai_size_mat(n, 1, es), &tau), x, "alloc");
    must(MLAI_BE(x, alloc, mlai_size_mat(f.ldab, n, es), &ab), x, "alloc");
    must(mlai_reserve(x, s.work > t.work ? s.work : t.work,
                      s.window > t.window ? s.window : t.window, &work, &base),
         x, "reserve");
    double least[3] = {INFINITY, INFINITY, INFINITY};
    int64_t rows = n - kd;
    for (int k = 0; k < 3; k++) {
        must(MLAI_BE(x, from_host, st, a, host, bytes), x, "from_host");
        must(MLAI_BE(x, copy, st, z, a, bytes), x, "copy");
        must(MLAI_BE(x, sync, st), x, "sync");
        double start = now();
        must(MLAI_BE(x, geqrt, st, dt, rows, kd, z, n, ab, kd, work), x, "geqrt");
        must(MLAI_BE(x, sync, st), x, "sync");
        least[2] = fmin(least[2], now() - start);
        start = now();
        must(mlai_he2hb(x, &f.desc, &f.d, kd, a, tau, ab, f.ldab, work, base), x, "he2hb");
        must(MLAI_BE(x, sync, st), x, "sync");
        least[0] = fmin(least[0], now() - start);
        start = now();
        must(mlai_unmtr(x, &f.desc, &f.d, kd, a, tau, n, z, n, work, base), x, "unmtr");
        must(MLAI_BE(x, sync, st), x, "sync");
        least[1] = fmin(least[1], now() - start);
    }
    double cube = pow((double)n, 3) * 1e-12 * (mlai_is_complex(dt) ? 4 : 1);
    printf("type %c, n = %lld, kd = %lld: he2hb %.1f ms, %.1f TF/s; unmtr %.1f ms, %.1f TF/s; "
           "geqrt %.0f us\n",
           letters[dt], (long long)n, (long long)kd, least[0] * 1e3, 4 * cube / 3 / least[0],
           least[1] * 1e3, 2 * cube / least[1], least[2] * 1e6);
    void *dev[] = {a, z, tau, ab, work};
    for (size_t k = 0; k < sizeof dev / sizeof *dev; k++) x->be->ops->free(x->be, dev[k]);
    free(host);
}

int main(int argc, char **argv)
{
    bool quick = false;
    int64_t time_n = 0, kd = 32;
    int type = -1;
    mla_context_t *x = NULL;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--quick")) quick = true;
        if (!strcmp(argv[i], "--device")) options.device = value[0] == 'c' ? MLA_CUDA : MLA_HOST;
        if (!strcmp(argv[i], "--ordinal")) options.ordinal = atoi(value);
        if (!strcmp(argv[i], "--time")) time_n = atoll(value);
        if (!strcmp(argv[i], "--kd")) kd = atoll(value);
        if (!strcmp(argv[i], "--type") && *value && strchr(letters, *value))
            type = (int)(strchr(letters, *value) - letters);
    }
    must(mla_context_create(&options, &x), NULL, "context");
    if (time_n > 0)
        run_times(x, type < 0 ? MLA_FLOAT64 : (mla_dtype_t)type, time_n, kd);
    else
        for (int dt = 0; dt < 4; dt++)
            if (type < 0 || type == dt) test_type(x, (mla_dtype_t)dt, quick);
    mla_context_free(x);
    if (time_n > 0) return 0;
    printf("unit_he2hb: %d cases, %d failed\n", cases, failures);
    return failures != 0;
}
