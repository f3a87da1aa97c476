/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_trd.c: the table's entries for the reduction to tridiagonal form, against the
 * definition in double, for the four types.
 *
 *     unit_trd [--device host|cuda] [--ordinal 0] [--quick]
 *     unit_trd --time N [--type s|d|c|z] [--device ...]      times of one rank, first columns of
 * N
 *
 * A panel is reduced column by column by P ranks that live in this thread, one after the other,
 * over one window y. What does not count holds NaN: rows of padding, elements above the diagonal,
 * contributions before they are made. The ranks' panels must be equal bit for bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/backend.h"
#include "check.h"
#include "gen.h"

enum { PAD = 3, MOST_RANKS = 8 };

static mlai_backend_t *be;
static mlai_error_t error;
static int failures, cases;

#define BE(op, ...) must(be->ops->op(be, __VA_ARGS__), #op)
#define ST be->ops->stream(be, MLAI_STREAM_MAIN)

static void must(mla_status_t st, const char *what)
{
    if (st == MLA_OK) return;
    fprintf(stderr, "unit_trd: %s: %s: %s\n", what, mla_status_name(st), error.message);
    exit(1);
}

static void report(const char *what, mla_dtype_t dt, const char *text)
{
    failures++;
    if (failures < 30) printf("FAIL %s, type %c: %s\n", what, "sdcz"[dt], text);
}

/* Device memory for `count` elements, all NaN. */
static void *make(mla_dtype_t dt, int64_t count)
{
    size_t bytes = mlai_size_mat(count, 1, mlai_sizeof(dt)) + 512;
    void *dev = NULL, *host = malloc(bytes);
    memset(host, 0xff, bytes);
    BE(alloc, bytes, &dev);
    BE(from_host, ST, dev, host, bytes);
    BE(sync, ST);
    free(host);
    return dev;
}

static void write_elements(mla_dtype_t dt, void *dev, int64_t count, const gen_z *z)
{
    size_t bytes = mlai_size_mat(count, 1, mlai_sizeof(dt));
    void *host = malloc(bytes + 1);
    for (int64_t k = 0; k < count; k++) gen_put(dt, host, k, z[k]);
    BE(from_host, ST, dev, host, bytes);
    BE(sync, ST);
    free(host);
}

static void read_elements(mla_dtype_t dt, const void *dev, int64_t count, gen_z *z)
{
    size_t bytes = mlai_size_mat(count, 1, mlai_sizeof(dt));
    void *host = malloc(bytes + 1);
    BE(to_host, ST, host, dev, bytes);
    BE(sync, ST);
    for (int64_t k = 0; k < count; k++) z[k] = gen_get(dt, host, k);
    free(host);
}

static gen_z *vec(int64_t n)
{
    return calloc((size_t)n + 1, sizeof(gen_z));
}

/* ---- the definition ------------------------------------------------------------------------ */

/* A panel of an m x m matrix: v, w m x width; d, e, tau of its columns. */
typedef struct panel {
    int64_t m, width;
    gen_z *v, *w, *tau;
    double *d, *e;
} panel_t;

static panel_t panel_make(int64_t m, int64_t width)
{
    return (panel_t){.m = m,
                     .width = width,
                     .v = vec(m * width),
                     .w = vec(m * width),
                     .tau = vec(width),
                     .d = calloc((size_t)width + 1, sizeof(double)),
                     .e = calloc((size_t)width + 1, sizeof(double))};
}

static void panel_free(panel_t *p)
{
    free(p->v);
    free(p->w);
    free(p->tau);
    free(p->d);
    free(p->e);
}

static gen_z dot(int64_t from, int64_t m, const gen_z *a, const gen_z *b)
{
    gen_z s = 0;
    for (int64_t i = from; i < m; i++) s += conj(a[i]) * b[i];
    return s;
}

/* Reflector of x[from .. m): x := v. */
static void reflect(panel_t *p, int64_t j, gen_z *x, int64_t from)
{
    double below = 0;
    for (int64_t i = from + 1; i < p->m; i++) below += creal(x[i] * conj(x[i]));
    gen_z alpha = x[from];
    double size = sqrt(creal(alpha * conj(alpha)) + below);
    if (size < 1e-12 || (below == 0 && cimag(alpha) == 0)) {
        for (int64_t i = from; i < p->m; i++) x[i] = 0;
        p->e[j] = creal(alpha);
    } else {
        double beta = -copysign(size, creal(alpha));
        p->tau[j] = CMPLX((beta - creal(alpha)) / beta, -cimag(alpha) / beta);
        for (int64_t i = from; i < p->m; i++) x[i] /= alpha - beta;
        p->e[j] = beta;
    }
    x[from] = 1;
}

/* a: m x m, Hermitian. */
static void define(const gen_z *a, panel_t *p)
{
    int64_t m = p->m;
    for (int64_t j = 0; j < p->width; j++) {
        gen_z *v = p->v + j * m, *w = p->w + j * m;
        for (int64_t i = j; i < m; i++) {
            v[i] = a[i + j * m];
            for (int64_t k = 0; k < j; k++)
                v[i] -= p->v[i + k * m] * conj(p->w[j + k * m]) +
                        p->w[i + k * m] * conj(p->v[j + k * m]);
        }
        p->d[j] = creal(v[j]);
        if (j == m - 1) return;
        reflect(p, j, v, j + 1);
        for (int64_t i = j + 1; i < m; i++) {
            gen_z s = 0;
            for (int64_t k = j + 1; k < m; k++) s += a[i + k * m] * v[k];
            w[i] = s;
        }
        for (int64_t k = j - 1; k >= 0; k--) {
            gen_z wv = dot(j + 1, m, p->w + k * m, v), vv = dot(j + 1, m, p->v + k * m, v);
            for (int64_t i = j + 1; i < m; i++)
                w[i] -= p->v[i + k * m] * wv + p->w[i + k * m] * vv;
        }
        for (int64_t i = j + 1; i < m; i++) w[i] *= p->tau[j];
        gen_z alpha = -0.5 * p->tau[j] * dot(j + 1, m, w, v);
        for (int64_t i = j + 1; i < m; i++) w[i] += alpha * v[i];
    }
}

/* ---- the ranks ----------------------------------------------------------------------------- */

typedef struct problem {
    mla_dtype_t dt;
    mlai_dist_t d;
    int64_t first, width, lda;
    gen_z *b;                /* n x n, elimination order */
    void *a[MOST_RANKS], *y; /* device */
    mlai_trd_t t[MOST_RANKS];
    char name[128];
} problem_t;

/* Own columns in elimination order; NaN where nothing may be read. */
static void fill(problem_t *p, int rank)
{
    int64_t n = p->d.n, cols = mlai_dist_cols(&p->d, rank);
    gen_z *block = vec(p->lda * cols);
    for (int64_t jl = 0; jl < cols; jl++) {
        int64_t pos = mlai_dist_pos(&p->d, rank * p->d.lc + jl);
        for (int64_t i = 0; i < p->lda; i++)
            block[i + jl * p->lda] = i >= pos && i < n ? p->b[i + pos * n] : CMPLX(NAN, NAN);
        // The imaginary part of the diagonal does not count.
        if (pos < n) block[pos + jl * p->lda] += CMPLX(0, 7);
    }
    write_elements(p->dt, p->a[rank], p->lda * cols, block);
    free(block);
}

static void start(problem_t *p, int rank)
{
    int64_t n = p->d.n, m = n - p->first, ld = m + PAD;
    p->a[rank] = make(p->dt, p->lda * mlai_dist_cols(&p->d, rank));
    fill(p, rank);
    p->t[rank] = (mlai_trd_t){.d = &p->d,
                              .rank = rank,
                              .first = p->first,
                              .width = p->width,
                              .a = p->a[rank],
                              .lda = p->lda,
                              .v = make(p->dt, ld * p->width),
                              .w = make(p->dt, ld * p->width),
                              .ld = ld,
                              .y = p->y,
                              .stride = n + 1 + PAD,
                              .tau = make(p->dt, n),
                              .diag = make(MLA_FLOAT64, n),
                              .off = make(MLA_FLOAT64, n),
                              .scratch = NULL};
    BE(alloc, mlai_trd_scratch(&p->d, p->dt), &p->t[rank].scratch);
    // A reduction begins with the panel at position 0.
    mlai_trd_t zero = p->t[rank];
    zero.first = 0;
    zero.width = 1;
    gen_z *v = vec(ld * p->width);
    zero.v = make(p->dt, n);
    for (int64_t i = 0; i < n; i++) v[i % (ld * p->width)] = 1;
    write_elements(p->dt, zero.v, mlai_min(n, ld * p->width), v);
    BE(hetrd_column, ST, p->dt, &zero, 0);
    for (int64_t j = 0; j < p->width; j++)
        for (int64_t i = 0; i < ld; i++)
            v[i + j * ld] =
                i >= j && i < m ? p->b[p->first + i + (p->first + j) * n] : CMPLX(NAN, NAN);
    write_elements(p->dt, p->t[rank].v, ld * p->width, v);
    free(v);
    BE(sync, ST);
    be->ops->free(be, zero.v);
}

static void stop(problem_t *p, int rank)
{
    mlai_trd_t *t = &p->t[rank];
    void *dev[] = {p->a[rank], t->v, t->w, t->tau, t->diag, t->off, t->scratch};
    for (size_t k = 0; k < sizeof dev / sizeof *dev; k++) be->ops->free(be, dev[k]);
}

/* Largest difference of rows j + below .. of the columns of got (ld) and want (m). */
static double distance(const panel_t *p, int64_t columns, int64_t below, const gen_z *got,
                       int64_t ld, const gen_z *want)
{
    double most = 0;
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = j + below; i < p->m; i++) {
            double x = cabs(got[i + j * ld] - want[i + j * p->m]);
            if (!(x <= most)) most = isnan(x) ? INFINITY : x;
        }
    return most;
}

static void expect(const problem_t *p, const char *what, double got, double tol)
{
    char text[256];
    cases++;
    if (got <= tol) return;
    snprintf(text, sizeof text, "%s: %g, allowed %g", p->name, got, tol);
    report(what, p->dt, text);
}

static void compare(problem_t *p, int rank, const panel_t *want, gen_z *first_v, gen_z *first_w)
{
    const mlai_trd_t *t = &p->t[rank];
    int64_t m = want->m, n = p->d.n, ld = t->ld, reflectors = mlai_min(p->width, m - 1);
    double tol = check_eps(p->dt) * 40 * (double)(m + 10);
    gen_z *v = vec(ld * p->width), *w = vec(ld * p->width), *tau = vec(n), *d = vec(n);
    gen_z *e = vec(n);
    read_elements(p->dt, t->v, ld * p->width, v);
    read_elements(p->dt, t->w, ld * p->width, w);
    read_elements(p->dt, t->tau, n, tau);
    read_elements(MLA_FLOAT64, t->diag, n, d);
    read_elements(MLA_FLOAT64, t->off, n, e);
    expect(p, "v", distance(want, reflectors, 1, v, ld, want->v), tol);
    expect(p, "w", distance(want, reflectors, 1, w, ld, want->w), tol);
    for (int64_t j = 0; j < p->width; j++) {
        expect(p, "diag", cabs(d[p->first + j] - want->d[j]), tol);
        expect(p, "off", cabs(e[p->first + j] - want->e[j]), tol);
        // A short column has a reflector as inexact as its length is against that of the matrix.
        double length = fabs(creal(want->e[j])), looser = length > 0 ? fmax(1, 1 / length) : 1;
        expect(p, "tau", cabs(tau[p->first + j] - want->tau[j]), tol * looser);
    }
    for (int64_t j = 0; j < reflectors; j++)
        for (int64_t i = j + 1; i < m; i++) {
            if (rank == 0) {
                first_v[i + j * m] = v[i + j * ld];
                first_w[i + j * m] = w[i + j * ld];
            }
            if (v[i + j * ld] != first_v[i + j * m] || w[i + j * ld] != first_w[i + j * m])
                report("ranks differ", p->dt, p->name);
        }
    free(v);
    free(w);
    free(tau);
    free(d);
    free(e);
}

static void test_panel(const char *kind, mla_dtype_t dt, int64_t n, int64_t nb, int nranks,
                       int64_t first, int64_t width, int64_t pad)
{
    int64_t lc = mlai_ceil_div(n, nranks), m = n - first;
    problem_t p = {.dt = dt,
                   .d = mlai_dist(n, lc, mlai_min(nb, lc), nranks, MLA_CYCLIC),
                   .first = first,
                   .width = mlai_min(width, m),
                   .lda = n + pad,
                   .b = vec(n * n)};
    snprintf(p.name, sizeof p.name, "%s n=%lld nb=%lld ranks=%d first=%lld width=%lld", kind,
             (long long)n, (long long)nb, nranks, (long long)first, (long long)width);
    gen_t g;
    if (gen_init(&g, kind, n, dt)) exit(1);
    for (int64_t j = 0; j < n; j++) {
        gen_column(&g, j, p.b + j * n);
        for (int64_t i = 0; i < n; i++) p.b[i + j * n] = gen_rounded(dt, p.b[i + j * n]);
    }
    gen_free(&g);
    p.y = make(dt, (n + 1 + PAD) * nranks);
    for (int q = 0; q < nranks; q++) start(&p, q);
    for (int64_t j = 0; j <= p.width; j++) {
        for (int q = 0; q < nranks; q++) BE(hetrd_column, ST, dt, &p.t[q], j);
        if (j == p.width || first + j == n - 1) continue;
        for (int q = 0; q < nranks; q++) BE(hetrd_product, ST, dt, &p.t[q], j);
    }
    panel_t want = panel_make(m, p.width);
    gen_z *trailing = vec(m * m), *v = vec(m * p.width), *w = vec(m * p.width);
    for (int64_t j = 0; j < m; j++)
        for (int64_t i = 0; i < m; i++)
            trailing[i + j * m] = i >= j ? p.b[first + i + (first + j) * n]
                                         : conj(p.b[first + j + (first + i) * n]);
    define(trailing, &want);
    for (int q = 0; q < nranks; q++) compare(&p, q, &want, v, w);
    for (int q = 0; q < nranks; q++) stop(&p, q);
    be->ops->free(be, p.y);
    free(trailing);
    free(v);
    free(w);
    free(p.b);
    panel_free(&want);
}

/* ---- the other entries --------------------------------------------------------------------- */

static void test_elementwise(mla_dtype_t dt, int64_t m, int64_t n)
{
    mla_dtype_t real = mlai_real(dt);
    int64_t ld = m + PAD;
    problem_t p = {.dt = dt};
    snprintf(p.name, sizeof p.name, "%lld x %lld", (long long)m, (long long)n);
    gen_z *z = vec(ld * n), *got = vec(ld * n), *narrow = vec(ld * n);
    double most = 0, *out = make(MLA_FLOAT64, 1);
    for (int64_t k = 0; k < ld * n; k++) {
        z[k] = gen_rounded(dt, CMPLX(gen_hash(3, k, 1), gen_hash(3, k, 2)) * 3);
        narrow[k] = gen_rounded(real, creal(z[k]));
        if (k % ld >= m) z[k] = CMPLX(NAN, NAN);
        if (k % ld < m) most = fmax(most, fmax(fabs(creal(z[k])), fabs(cimag(z[k]))));
    }
    void *a = make(dt, ld * n), *b = make(real, ld * n);
    gen_z norm = 0;
    for (int bad = 0; bad < 3; bad++) { // none, Inf, NaN
        if (bad && m * n == 0) continue;
        int64_t at = ld * (n / 2) + m / 2;
        gen_z keep = z[at];
        if (bad == 1) z[at] = gen_rounded(dt, CMPLX(-INFINITY, 0));
        if (bad == 2) z[at] = mlai_is_complex(dt) ? CMPLX(0, NAN) : CMPLX(NAN, 0);
        write_elements(dt, a, ld * n, z);
        BE(norm_max, ST, dt, m, n, a, ld, out);
        read_elements(MLA_FLOAT64, out, 1, &norm);
        z[at] = keep;
        bool ok = bad == 0   ? m * n == 0 || creal(norm) == most
                  : bad == 1 ? isinf(creal(norm))
                             : isnan(creal(norm));
        expect(&p, "norm_max", !ok, 0);
    }
    write_elements(dt, a, ld * n, z);
    BE(lascl, ST, dt, m, n, 0.25, a, ld);
    read_elements(dt, a, ld * n, got);
    for (int64_t k = 0; k < ld * n; k++)
        expect(&p, "lascl", k % ld < m ? got[k] != 0.25 * z[k] : !isnan(creal(got[k])), 0);
    write_elements(dt, a, ld * n, z);
    write_elements(real, b, ld * n, narrow);
    BE(lacpy_real, ST, dt, m, n, b, ld, a, ld);
    read_elements(dt, a, ld * n, got);
    for (int64_t k = 0; k < ld * n; k++)
        expect(&p, "lacpy_real", k % ld < m ? got[k] != narrow[k] : !isnan(creal(got[k])), 0);
    be->ops->free(be, a);
    be->ops->free(be, b);
    be->ops->free(be, out);
    free(z);
    free(got);
    free(narrow);
}

static void test_larft_diag(mla_dtype_t dt, int64_t n)
{
    problem_t p = {.dt = dt};
    snprintf(p.name, sizeof p.name, "n=%lld", (long long)n);
    int64_t ld = n + PAD;
    gen_z *tau = vec(n), *z = vec(ld * n), *got = vec(ld * n);
    for (int64_t j = 0; j < n; j++)
        if (j % 3 != 1) tau[j] = gen_rounded(dt, CMPLX(1.5 + gen_hash(4, j, 1) / 2, 0.25));
    for (int64_t k = 0; k < ld * n; k++) z[k] = gen_rounded(dt, gen_hash(5, k, 0));
    void *a = make(dt, ld * n), *t = make(dt, n);
    write_elements(dt, a, ld * n, z);
    write_elements(dt, t, n, tau);
    BE(larft_diag, ST, dt, n, t, a, ld);
    read_elements(dt, a, ld * n, got);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < ld; i++) {
            gen_z want = z[i + j * ld], have = got[i + j * ld];
            if (i == j && tau[j] != 0) want = 1 / conj(tau[j]);
            if (i == j && tau[j] == 0) want = creal(have) > 1e20 ? have : 0;
            expect(&p, "larft_diag", cabs(have - want) / (1 + cabs(want)),
                   i == j ? 8 * check_eps(dt) : 0);
        }
    be->ops->free(be, a);
    be->ops->free(be, t);
    free(tau);
    free(z);
    free(got);
}

static void test_type(mla_dtype_t dt, bool quick)
{
    static const int64_t size[] = {1, 2, 3, 5, 33, 70};
    for (int k = 0; k < (quick ? 5 : 6); k++)
        for (int nranks = 1; nranks <= 4; nranks += quick ? 2 : 1)
            for (int64_t nb = 1; nb <= 16; nb += quick ? 8 : 5) {
                int64_t n = size[k];
                test_panel("goe", dt, n, nb, nranks, 0, quick ? 3 : 1 + nb, k % 3);
                if (n > 2) test_panel("goe", dt, n, nb, nranks, n / 2, quick ? 5 : n, PAD);
            }
    // Several chunks, strips and runs of rows.
    test_panel("goe", dt, 330, 16, 1, 0, quick ? 3 : 12, 2);
    test_panel("goe", dt, 601, 8, 3, 200, quick ? 2 : 7, 0);
    test_panel("goe", dt, 640, 64, 1, 5, quick ? 2 : 4, 0);
    test_panel("goe", dt, 1100, 64, 1, 3, 2, 0); // chunks that no diagonal meets,
    test_panel("goe", dt, 1101, 64, 2, 3, 1, 0); // and with odd leading dimension
    if (!quick) test_panel("goe", dt, 330, 70, 2, 21, 33, 6);
    if (!quick) test_panel("goe", dt, 640, 32, 2, 63, 32, 0);
    test_panel("identity", dt, 40, 4, 2, 3, 3, 1);
    test_panel("zero", dt, 40, 4, 1, 0, 3, 1);
    test_panel("wilkinson", dt, 20, 4, 3, 0, 20, 1);
    test_elementwise(dt, 0, 3);
    test_elementwise(dt, 7, 5);
    test_elementwise(dt, 300, 9);
    test_larft_diag(dt, 1);
    test_larft_diag(dt, 150);
}

/* ---- times --------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of one column's two entries, on a matrix of zeros and a column of ones. */
static void time_column(const mlai_trd_t *t, mla_dtype_t dt, int64_t j, double seconds[2])
{
    enum { TIMES = 20 };
    for (int which = 0; which < 2; which++)
        for (int k = -3; k < TIMES; k++) {
            if (k == 0) {
                BE(sync, ST);
                seconds[which] = -now();
            }
            if (which == 0)
                BE(hetrd_column, ST, dt, t, j);
            else
                BE(hetrd_product, ST, dt, t, j);
            if (k == TIMES - 1) {
                BE(sync, ST);
                seconds[which] = (seconds[which] + now()) / TIMES;
            }
        }
}

static void run_times(mla_dtype_t dt, int64_t n)
{
    enum { WIDTH = 32 };
    mlai_dist_t d = mlai_dist(n, n, n, 1, MLA_CYCLIC);
    mlai_trd_t t = {.d = &d, .width = WIDTH, .lda = n, .ld = n, .stride = n + 1};
    size_t es = mlai_sizeof(dt), column = mlai_size_mat(n + 1, 1, 16);
    void *a, *scratch;
    BE(alloc, mlai_size_mat(n, n, es), &a);
    BE(alloc, mlai_trd_scratch(&d, dt), &scratch);
    BE(alloc, mlai_size_mat(n, WIDTH, es), &t.v);
    BE(alloc, mlai_size_mat(n, WIDTH, es), &t.w);
    BE(alloc, column, &t.y);
    BE(alloc, column, &t.tau);
    BE(alloc, column, (void **)&t.diag);
    BE(alloc, column, (void **)&t.off);
    t.a = a;
    t.scratch = scratch;
    BE(zero, ST, a, mlai_size_mat(n, n, es));
    BE(zero, ST, t.y, column);
    BE(zero, ST, t.tau, column);
    BE(laset, ST, dt, MLAI_FULL, n, WIDTH, 1.0, 1.0, t.v, n);
    BE(laset, ST, dt, MLAI_FULL, n, WIDTH, 0.0, 0.0, t.w, n);
    BE(hetrd_column, ST, dt, &t, 0);
    double bytes = (double)n * (double)n / 2 * (double)es;
    for (int64_t j = 0; j < WIDTH; j += WIDTH - 1) {
        double seconds[2];
        time_column(&t, dt, j, seconds);
        printf("type %c, n = %lld, column %lld: column %.1f us, product %.1f us, %.0f GB/s\n",
               "sdcz"[dt], (long long)n, (long long)j, seconds[0] * 1e6, seconds[1] * 1e6,
               bytes / seconds[1] * 1e-9);
    }
    void *dev[] = {a, scratch, t.v, t.w, t.y, t.tau, t.diag, t.off};
    for (size_t k = 0; k < sizeof dev / sizeof *dev; k++) be->ops->free(be, dev[k]);
}

int main(int argc, char **argv)
{
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    bool quick = false;
    int64_t time_n = 0;
    int type = 1;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--quick")) quick = true;
        if (!strcmp(argv[i], "--device")) options.device = value[0] == 'c' ? MLA_CUDA : MLA_HOST;
        if (!strcmp(argv[i], "--ordinal")) options.ordinal = atoi(value);
        if (!strcmp(argv[i], "--time")) time_n = atoll(value);
        if (!strcmp(argv[i], "--type") && *value && strchr("sdcz", *value))
            type = (int)(strchr("sdcz", *value) - "sdcz");
    }
    must(options.device == MLA_CUDA ? mlai_backend_create_cuda(&options, &error, &be)
                                    : mlai_backend_create_host(&options, &error, &be),
         "create");
    if (time_n > 0)
        run_times((mla_dtype_t)type, time_n);
    else
        for (int dt = 0; dt < 4; dt++) test_type((mla_dtype_t)dt, quick);
    be->ops->free_backend(be);
    if (time_n > 0) return 0;
    printf("unit_trd: %d cases, %d failed\n", cases, failures);
    return failures != 0;
}
