/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_backend.c: every entry of the backend table against a naive loop in double, for
 * the four types, odd sizes and zero extents. What an entry must not write is checked too: each
 * matrix carries rows of padding, and triangles that do not count hold NaN.
 *
 *     unit_backend [--device host|cuda] [--ordinal 0]
 *
 * The entries of the eigensolver have tests of their own. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "check.h"
#include "core/size.h"
#include "gen.h"

static mlai_backend_t *be;
static mlai_error_t error;
static int failures, cases;

#define BE(op, ...) must(be->ops->op(be, __VA_ARGS__), #op)
#define NOT CMPLX(NAN, NAN)
#define ST be->ops->stream(be, MLAI_STREAM_MAIN)

static void must(mla_status_t st, const char *what)
{
    if (st == MLA_OK) return;
    fprintf(stderr, "unit_backend: %s: %s: %s\n", what, mla_status_name(st), error.message);
    exit(1);
}

static void report(const char *what, mla_dtype_t dt, const char *text)
{
    failures++;
    printf("FAIL %s, type %c: %s\n", what, "sdcz"[dt], text);
}

/* ---- matrices: a host image in double and the same on the device ----------------------------
 */

enum { PAD = 3 };

typedef struct mat {
    mla_dtype_t dt;
    int64_t m, n, ld;
    gen_z *v;  /* what the device should hold; ld x n */
    void *dev; /* 256 bytes of slack */
} mat_t;

static size_t mat_bytes(const mat_t *a)
{
    return mlai_size_mat(a->ld, a->n, mlai_sizeof(a->dt));
}

static void upload(const mat_t *a)
{
    void *host = malloc(mat_bytes(a) + 1);
    for (int64_t k = 0; k < a->ld * a->n; k++) gen_put(a->dt, host, k, a->v[k]);
    BE(from_host, ST, a->dev, host, mat_bytes(a));
    free(host);
}

/* Random elements, padding included. */
static mat_t make(mla_dtype_t dt, int64_t m, int64_t n, uint64_t seed)
{
    mat_t a = {.dt = dt, .m = m, .n = n, .ld = m + PAD};
    a.v = malloc((size_t)(a.ld * n + 1) * sizeof *a.v);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < a.ld; i++)
            a.v[i + j * a.ld] =
                gen_rounded(dt, gen_hash(seed, i, j) + gen_hash(seed + 1000, i, j) * I);
    BE(alloc, mat_bytes(&a) + 256, &a.dev);
    upload(&a);
    return a;
}

static void drop(mat_t *a)
{
    be->ops->free(be, a->dev);
    free(a->v);
}

static gen_z *at(const mat_t *a, int64_t i, int64_t j)
{
    return &a->v[i + j * a->ld];
}

/* The device must hold a->v within `tol` (absolute); NaN equals NaN. */
static void expect(const mat_t *a, double tol, const char *what)
{
    cases++;
    void *host = malloc(mat_bytes(a) + 1);
    BE(to_host, ST, host, a->dev, mat_bytes(a));
    BE(sync, ST);
    for (int64_t k = 0; k < a->ld * a->n; k++) {
        gen_z got = gen_get(a->dt, host, k), want = a->v[k];
        bool inside = k % a->ld < a->m;
        bool same = isnan(creal(want))
                        ? isnan(creal(got)) && (!mlai_is_complex(a->dt) || isnan(cimag(got)))
                        : cabs(got - want) <= (inside ? tol : 0);
        if (same) continue;
        char text[256];
        snprintf(text, sizeof text, "%lld x %lld: (%lld, %lld) is %g%+gi, expected %g%+gi",
                 (long long)a->m, (long long)a->n, (long long)(k % a->ld), (long long)(k / a->ld),
                 creal(got), cimag(got), creal(want), cimag(want));
        report(what, a->dt, text);
        break;
    }
    free(host);
}

static gen_z op_at(const mat_t *a, mlai_op_t op, int64_t i, int64_t j)
{
    return op == MLAI_N ? *at(a, i, j) : op == MLAI_T ? *at(a, j, i) : conj(*at(a, j, i));
}

/* x y without the tests for infinities that C asks for. */
static gen_z mul(gen_z x, gen_z y)
{
    return CMPLX(creal(x) * creal(y) - cimag(x) * cimag(y),
                 creal(x) * cimag(y) + cimag(x) * creal(y));
}

static bool in_part(mlai_uplo_t uplo, int64_t i, int64_t j)
{
    return uplo == MLAI_FULL || (uplo == MLAI_LOWER ? i >= j : i <= j);
}

/* One scalar in device memory. */
static void *scalar(const void *value, size_t bytes)
{
    void *dev = NULL;
    BE(alloc, 256, &dev);
    BE(from_host, ST, dev, value, bytes);
    return dev;
}

static void fetch(void *dev, void *value, size_t bytes)
{
    BE(to_host, ST, value, dev, bytes);
    BE(sync, ST);
}

/* ---- memory, streams, events ----------------------------------------------------------------
 */

static void test_memory(void)
{
    enum { N = 1000 };
    unsigned char host[N], back[N];
    for (int k = 0; k < N; k++) host[k] = (unsigned char)(k * 7);
    void *a = NULL, *b = NULL;
    BE(alloc, N, &a);
    BE(alloc, N, &b);
    BE(from_host, ST, a, host, N);
    BE(copy, ST, b, a, N);
    BE(zero, ST, (char *)b + 10, 90);
    BE(zero, ST, b, 0);
    BE(copy, ST, b, a, 0);
    memset(host + 10, 0, 90);
    fetch(b, back, N);
    cases++;
    if (memcmp(host, back, N) != 0) report("copy and zero", MLA_FLOAT64, "bytes differ");
    be->ops->free(be, a);
    be->ops->free(be, b);
    be->ops->free(be, NULL);
    const size_t absurd[] = {SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 50};
    for (int k = 0; k < 3; k++) {
        a = NULL;
        mla_status_t st = be->ops->alloc(be, absurd[k], &a);
        cases++;
        if (st != MLA_NOMEM || a || !error.message[0])
            report("alloc", MLA_FLOAT64, "an absurd size is not MLA_NOMEM with a sentence");
        error = (mlai_error_t){.status = MLA_OK};
    }
}

/* Work on one stream, awaited by another through an event. */
static void test_events(void)
{
    double one = 1, got = 0;
    void *a = scalar(&one, sizeof one), *b = scalar(&got, sizeof got);
    for (int s = 0; s < MLAI_STREAMS; s++)
        for (int e = 0; e < MLAI_EVENTS; e++) {
            mlai_stream_t st = be->ops->stream(be, s), to = be->ops->stream(be, 0);
            one = s * 100 + e;
            BE(from_host, st, a, &one, sizeof one);
            BE(copy, st, b, a, sizeof one);
            BE(record, be->ops->event(be, e), st);
            BE(wait, to, be->ops->event(be, e));
            BE(to_host, to, &got, b, sizeof got);
            BE(sync, to);
            cases++;
            if (got != one) report("record and wait", MLA_FLOAT64, "the copy was not awaited");
        }
    be->ops->free(be, a);
    be->ops->free(be, b);
}

/* ---- moving and setting ----------------------------------------------------------------------
 */

static void test_lacpy_laset(mla_dtype_t dt, int64_t m, int64_t n)
{
    static const mlai_uplo_t parts[] = {MLAI_FULL, MLAI_LOWER, MLAI_UPPER};
    for (int k = 0; k < 3; k++) {
        mat_t a = make(dt, m, n, 1), b = make(dt, m, n, 2);
        BE(lacpy, ST, dt, parts[k], m, n, a.dev, a.ld, b.dev, b.ld);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++)
                if (in_part(parts[k], i, j)) *at(&b, i, j) = *at(&a, i, j);
        expect(&b, 0, "lacpy");
        BE(laset, ST, dt, parts[k], m, n, 0.5, -2.0, a.dev, a.ld);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++)
                if (in_part(parts[k], i, j)) *at(&a, i, j) = i == j ? -2.0 : 0.5;
        expect(&a, 0, "laset");
        drop(&a);
        drop(&b);
    }
}

static void test_transpose(mla_dtype_t dt, int64_t m, int64_t n)
{
    static const mlai_op_t ops[] = {MLAI_T, MLAI_C};
    for (int k = 0; k < 2; k++) {
        mat_t a = make(dt, m, n, 3), b = make(dt, n, m, 4);
        BE(transpose, ST, dt, ops[k], m, n, a.dev, a.ld, b.dev, b.ld);
        for (int64_t j = 0; j < m; j++)
            for (int64_t i = 0; i < n; i++) *at(&b, i, j) = op_at(&a, ops[k], i, j);
        expect(&b, 0, "transpose");
        drop(&a);
        drop(&b);
    }
}

static void test_permute(mla_dtype_t dt, int64_t n, int64_t cols)
{
    for (int nranks = 1; nranks <= 5; nranks += 2)
        for (int64_t nb = 1; nb <= 17; nb += 8)
            for (int64_t wcols = 1; wcols <= 4; wcols += 3) {
                int64_t lc = mlai_max(1, mlai_ceil_div(n, nranks));
                mlai_dist_t d = mlai_dist(n, lc, mlai_min(nb, lc), nranks, MLA_CYCLIC);
                mat_t a = make(dt, n, cols, 5), b = make(dt, n, cols, 5);
                void *work = NULL;
                BE(alloc, mlai_size_mat(n, wcols, mlai_sizeof(dt)) + 256, &work);
                BE(permute_rows, ST, dt, &d, true, cols, a.dev, a.ld, work, wcols);
                for (int64_t j = 0; j < cols; j++)
                    for (int64_t i = 0; i < n; i++)
                        *at(&a, mlai_dist_pos(&d, i), j) = *at(&b, i, j);
                expect(&a, 0, "permute_rows forward");
                BE(permute_rows, ST, dt, &d, false, cols, a.dev, a.ld, work, wcols);
                memcpy(a.v, b.v, (size_t)(a.ld * cols) * sizeof *a.v);
                expect(&a, 0, "permute_rows back");
                be->ops->free(be, work);
                drop(&a);
                drop(&b);
            }
}

static void test_sum(mla_dtype_t dt, int64_t m, int64_t n)
{
    for (int nblk = 0; nblk <= 4; nblk += 2) {
        mat_t in = make(dt, m, n * nblk, 6), out = make(dt, m, n, 7);
        BE(sum_blocks, ST, dt, m, n, nblk, in.dev, in.ld, in.ld * n, out.dev, out.ld);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++) {
                gen_z s = 0;
                for (int b = 0; b < nblk; b++) s = gen_rounded(dt, s + *at(&in, i, j + b * n));
                *at(&out, i, j) = s;
            }
        expect(&out, 0, "sum_blocks");
        drop(&in);
        drop(&out);
    }
}

static void test_nan_if(mla_dtype_t dt, int64_t m, int64_t n)
{
    for (int32_t info = 0; info < 2; info++) {
        mat_t a = make(dt, m, n, 8);
        void *flag = scalar(&info, sizeof info);
        BE(nan_if, ST, dt, flag, m, n, a.dev, a.ld);
        for (int64_t j = 0; info && j < n; j++)
            for (int64_t i = 0; i < m; i++) *at(&a, i, j) = NOT;
        expect(&a, 0, "nan_if");
        be->ops->free(be, flag);
        drop(&a);
    }
}

static void test_log_diag(mla_dtype_t dt, int64_t n)
{
    mat_t a = make(dt, n, n, 9);
    double want = 0.25, got = 0.25, size = 1;
    for (int64_t j = 0; j < n; j++) {
        *at(&a, j, j) = gen_rounded(dt, creal(*at(&a, j, j)) + 1.5);
        want += log(creal(*at(&a, j, j)));
        size += fabs(log(creal(*at(&a, j, j))));
    }
    upload(&a);
    void *acc = scalar(&got, sizeof got);
    BE(log_diag, ST, dt, n, a.dev, a.ld, acc);
    fetch(acc, &got, sizeof got);
    cases++;
    if (!(fabs(got - want) <= 8 * DBL_EPSILON * size)) report("log_diag", dt, "wrong sum");
    be->ops->free(be, acc);
    drop(&a);
}

/* ---- BLAS-3 -----------------------------------------------------------------------------------
 */

static void test_gemm(mla_dtype_t dt, int64_t m, int64_t n, int64_t k)
{
    static const mlai_op_t ops[] = {MLAI_N, MLAI_T, MLAI_C};
    static const double betas[] = {0, 1, -0.5};
    for (int v = 0; v < 9; v++) {
        mlai_op_t opa = ops[v / 3], opb = ops[v % 3];
        double alpha = v % 2 ? -1 : 0.75, beta = betas[(v + v / 3) % 3];
        mat_t a = opa == MLAI_N ? make(dt, m, k, 10) : make(dt, k, m, 10);
        mat_t b = opb == MLAI_N ? make(dt, k, n, 11) : make(dt, n, k, 11);
        mat_t c = make(dt, m, n, 12);
        if (beta == 0) { // C is not read
            for (int64_t j = 0; j < n; j++)
                for (int64_t i = 0; i < m; i++) *at(&c, i, j) = NOT;
            upload(&c);
        }
        BE(gemm, ST, dt, opa, opb, m, n, k, alpha, a.dev, a.ld, b.dev, b.ld, beta, c.dev, c.ld);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++) {
                gen_z s = 0;
                for (int64_t l = 0; l < k; l++)
                    s += mul(op_at(&a, opa, i, l), op_at(&b, opb, l, j));
                *at(&c, i, j) = alpha * s + (beta == 0 ? 0 : beta * *at(&c, i, j));
            }
        expect(&c, 8 * (double)(k + 2) * check_eps(dt), "gemm");
        drop(&a);
        drop(&b);
        drop(&c);
    }
}

static void test_herk(mla_dtype_t dt, int64_t n, int64_t k)
{
    for (int v = 0; v < 4; v++) {
        mlai_op_t op = v % 2 ? MLAI_C : MLAI_N;
        double alpha = v % 2 ? -1 : 0.75, beta = v / 2;
        mat_t a = op == MLAI_N ? make(dt, n, k, 13) : make(dt, k, n, 13);
        mat_t c = make(dt, n, n, 14), lower = make(dt, n, n, 15);
        for (int64_t j = 0; j < n; j++) *at(&c, j, j) = creal(*at(&c, j, j));
        upload(&c);
        BE(herk, ST, dt, op, n, k, alpha, a.dev, a.ld, beta, c.dev, c.ld);
        // What is above the diagonal may be anything.
        BE(lacpy, ST, dt, MLAI_LOWER, n, n, c.dev, c.ld, lower.dev, lower.ld);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = j; i < n; i++) {
                gen_z s = 0;
                for (int64_t l = 0; l < k; l++)
                    s += mul(op_at(&a, op, i, l), conj(op_at(&a, op, j, l)));
                *at(&lower, i, j) = alpha * s + beta * *at(&c, i, j);
            }
        expect(&lower, 8 * (double)(k + 2) * sqrt((double)k + 1) * check_eps(dt), "herk");
        drop(&a);
        drop(&c);
        drop(&lower);
    }
}

/* Lower triangular with a safe diagonal; NaN above it. */
static mat_t make_lower(mla_dtype_t dt, int64_t n, uint64_t seed)
{
    mat_t a = make(dt, n, n, seed);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < n; i++) {
            gen_z z = *at(&a, i, j) / sqrt((double)n);
            *at(&a, i, j) = i < j ? NOT : gen_rounded(dt, i == j ? creal(z) + 2 : z);
        }
    upload(&a);
    return a;
}

/* What trsm is told of a triangle. */
typedef struct triangle {
    mlai_side_t side;
    mlai_uplo_t uplo;
    mlai_op_t op;
    mlai_diag_t diag;
} triangle_t;

/* An upper triangle, NaN below it, or a diagonal of NaN that does not count. */
static mat_t make_triangle(mla_dtype_t dt, int64_t n, triangle_t t)
{
    mat_t a = make_lower(dt, n, 16);
    for (int64_t j = 0; t.uplo == MLAI_UPPER && j < n; j++)
        for (int64_t i = 0; i < j; i++) {
            *at(&a, i, j) = *at(&a, j, i);
            *at(&a, j, i) = NOT;
        }
    for (int64_t j = 0; t.diag == MLAI_UNIT && j < n; j++) *at(&a, j, j) = NOT;
    upload(&a);
    return a;
}

/* Element of op(l) x or x op(l). */
static gen_z triangle_times(const mat_t *l, triangle_t t, const mat_t *x, int64_t i, int64_t j)
{
    gen_z s = 0;
    for (int64_t k = 0; k < l->n; k++) {
        int64_t r = t.side == MLAI_LEFT ? i : k, c = t.side == MLAI_LEFT ? k : j;
        if ((t.op == MLAI_N) == (t.uplo == MLAI_LOWER) ? r < c : r > c) continue;
        gen_z rc = r == c && t.diag == MLAI_UNIT ? 1 : op_at(l, t.op, r, c);
        s += mul(rc, t.side == MLAI_LEFT ? *at(x, k, j) : *at(x, i, k));
    }
    return s;
}

/* Solves for an X that is known: b := op(l) X / alpha or X op(l) / alpha. Of many systems a few
 * are distinct, and of large ones a type has a quarter of the variants: the naive product is
 * slow. */
static void test_trsm(mla_dtype_t dt, int64_t m, int64_t n)
{
    enum { DISTINCT = 13 };
    static const mlai_op_t ops[] = {MLAI_N, MLAI_T, MLAI_C};
    int large = m * n > 10000;
    for (int v = large ? (int)dt : 0; v < 24; v += large ? 4 : 1) {
        triangle_t t = {.side = v / 3 % 2 ? MLAI_RIGHT : MLAI_LEFT,
                        .uplo = v / 6 % 2 ? MLAI_UPPER : MLAI_LOWER,
                        .op = ops[v % 3],
                        .diag = v / 12 ? MLAI_UNIT : MLAI_NONUNIT};
        mlai_side_t side = t.side;
        int64_t order = side == MLAI_LEFT ? m : n;
        double alpha = v % 2 ? -1 : 0.5;
        mat_t l = make_triangle(dt, order, t), x = make(dt, m, n, 17), b = make(dt, m, n, 17);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++) {
                int64_t other = side == MLAI_LEFT ? j : i;
                if (other >= DISTINCT) {
                    int64_t is = side == MLAI_LEFT ? i : i % DISTINCT;
                    int64_t js = side == MLAI_LEFT ? j % DISTINCT : j;
                    *at(&x, i, j) = *at(&x, is, js);
                    *at(&b, i, j) = *at(&b, is, js);
                } else {
                    *at(&b, i, j) = triangle_times(&l, t, &x, i, j) / alpha;
                }
            }
        upload(&b);
        BE(trsm, ST, dt, side, t.uplo, t.op, t.diag, m, n, alpha, l.dev, l.ld, b.dev, b.ld);
        memcpy(b.v, x.v, (size_t)(b.ld * n) * sizeof *b.v);
        expect(&b, 40 * (double)(order + 2) * check_eps(dt), "trsm");
        drop(&l);
        drop(&x);
        drop(&b);
    }
}

/* ---- tiles ------------------------------------------------------------------------------------
 */

static mat_t make_positive(mla_dtype_t dt, int64_t n)
{
    gen_t g;
    if (gen_init(&g, "rand", n, dt)) exit(1);
    mat_t a = make(dt, n, n, 18);
    gen_z *column = malloc((size_t)(n + 1) * sizeof *column);
    for (int64_t j = 0; j < n; j++) {
        gen_column(&g, j, column);
        for (int64_t i = 0; i < n; i++) *at(&a, i, j) = i < j ? NOT : column[i];
    }
    free(column);
    gen_free(&g);
    upload(&a);
    return a;
}

/* In place, in double, column by column. */
static void naive_potrf(const mat_t *a)
{
    for (int64_t j = 0; j < a->n; j++) {
        for (int64_t k = 0; k < j; k++)
            for (int64_t i = j; i < a->n; i++)
                *at(a, i, j) -= mul(*at(a, i, k), conj(*at(a, j, k)));
        double d = sqrt(creal(*at(a, j, j)));
        for (int64_t i = j; i < a->n; i++) *at(a, i, j) = i == j ? d : *at(a, i, j) / d;
    }
}

/* Rows [i, m) times rows [j, j + cols): as the Cholesky factorisation asks, and a block below. */
static void test_split(mla_dtype_t dt, int terms, int64_t m, int64_t k, int64_t i, int64_t j)
{
    if (!be->ops->split || mlai_real(dt) != MLA_FLOAT32) return;
    int64_t cols = mlai_min(m - j, 5);
    mat_t w = make(dt, m, k, 31), c = make(dt, m - i, cols, 32);
    for (int64_t q = 0; q < k; q++) // graded, and one element that has no third piece
        for (int64_t r = 0; r < m; r++)
            *at(&w, r, q) = gen_rounded(dt, *at(&w, r, q) * exp2(-(double)(q % 7)));
    if (m > 0 && k > 0) *at(&w, 0, 0) = gen_rounded(dt, 0x1p-120);
    upload(&w);
    void *pieces;
    BE(alloc, mlai_split_bytes(dt, terms, m, k) + 256, &pieces);
    BE(split, ST, dt, terms, m, k, w.dev, w.ld, pieces);
    BE(gemm_split, ST, dt, terms, m, k, pieces, i, m - i, j, cols, c.dev, c.ld);
    for (int64_t q = 0; q < cols; q++)
        for (int64_t r = 0; r < m - i; r++)
            for (int64_t l = 0; l < k; l++)
                *at(&c, r, q) -= mul(*at(&w, i + r, l), conj(*at(&w, j + q, l)));
    double unit = terms == 6 ? check_eps(dt) : terms == 3 ? 0x1p-15 : 0x1p-7;
    expect(&c, 4 * (sqrt((double)k) + 4) * unit, "gemm_split");
    be->ops->free(be, pieces);
    drop(&w);
    drop(&c);
}

static int32_t run_potrf(mat_t *a, int64_t first, int32_t before)
{
    int32_t got = before;
    void *info = scalar(&got, sizeof got);
    BE(potrf_tile, ST, a->dt, a->n, a->dev, a->ld, first, info);
    fetch(info, &got, sizeof got);
    be->ops->free(be, info);
    return got;
}

static void test_potrf(mla_dtype_t dt, int64_t n)
{
    mat_t a = make_positive(dt, n);
    int32_t info = run_potrf(&a, 1000, 0);
    cases++;
    if (info != 0) report("potrf_tile", dt, "info of a positive definite tile is not 0");
    naive_potrf(&a);
    expect(&a, 10 * (double)(n + 2) * sqrt((double)n + 1) * check_eps(dt), "potrf_tile");
    drop(&a);
    // Failure at column j: negative, zero or NaN; an earlier info stays.
    for (int64_t j = 0; j < n; j += mlai_max(1, n / 5))
        for (int v = 0; v < 4; v++) {
            a = make_positive(dt, n);
            *at(&a, j, j) = v == 0 ? -1e3 : v == 1 ? NAN : 0;
            upload(&a);
            info = run_potrf(&a, 1000, v == 3 ? 5 : 0);
            cases++;
            if (info != (v == 3 ? 5 : 1000 + j + 1))
                report("potrf_tile", dt, "info is not first + j + 1, or not the earlier one");
            for (int64_t c = 0; c < n; c++)
                for (int64_t i = c; i < n; i++) *at(&a, i, c) = NOT;
            expect(&a, 0, "potrf_tile, not positive definite");
            drop(&a);
        }
}

static void test_trtri(mla_dtype_t dt, int64_t n)
{
    mat_t l = make_lower(dt, n, 19), x = make(dt, n, n, 20);
    BE(trtri_tile, ST, dt, n, l.dev, l.ld, x.dev, x.ld);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < n; i++) {
            gen_z s = i == j;
            for (int64_t k = j; k < i; k++) s -= mul(*at(&l, i, k), *at(&x, k, j));
            *at(&x, i, j) = i < j ? 0 : s / *at(&l, i, i);
        }
    expect(&x, 10 * (double)(n + 2) * check_eps(dt), "trtri_tile");
    for (int v = 0; n > 0 && v < 2; v++) { // the diagonal that failed is not finite in the result
        int64_t j = n / 2;
        *at(&l, j, j) = v ? NAN : 0;
        upload(&l);
        BE(trtri_tile, ST, dt, n, l.dev, l.ld, x.dev, x.ld);
        char host[16];
        fetch(mlai_at(x.dev, dt, x.ld, j, j), host, mlai_sizeof(dt));
        cases++;
        if (isfinite(creal(gen_get(dt, host, 0))))
            report("trtri_tile", dt, "a zero or NaN on the diagonal gives a finite number");
    }
    drop(&l);
    drop(&x);
}

/* ---- LU ---------------------------------------------------------------------------------------
 */

enum { PLAIN, ZERO_COLUMN, NAN_COLUMN, TIES, LU_KINDS };

static mat_t make_panel(mla_dtype_t dt, int64_t m, int64_t n, int kind)
{
    mat_t a = make(dt, m, n, 21);
    for (int64_t i = 0; i < m; i++) {
        if (kind == ZERO_COLUMN && n > 0) *at(&a, i, n / 2) = 0;
        for (int64_t j = 0; kind == TIES && j < n; j++)
            *at(&a, i, j) = gen_hash(22, i, j) < 0 ? -1 : 1;
    }
    if (kind == NAN_COLUMN && n > 0) *at(&a, m - 1, n / 2) = NAN;
    upload(&a);
    return a;
}

/* Whether `list` says the same about every row that it moves; *swaps: of how many exchanges its
 * parity is. */
static bool list_fits(const int32_t *list, int64_t m, int64_t n, int *parity)
{
    int64_t *now = malloc((size_t)(m + 1) * sizeof *now); // row i of P a is row now[i] of a
    bool *seen = calloc((size_t)(m + 1), sizeof *seen);
    for (int64_t i = 0; i < m; i++) now[i] = i;
    for (int64_t i = 0; i < n; i++) now[i] = list[i];
    bool fits = true;
    for (int64_t i = 0; i < n; i++) {
        int32_t to = list[n + i];
        fits = fits && (to == -1 || (to >= n && to < m)) && list[i] >= 0 && list[i] < m;
        if (fits && to >= 0) now[to] = i;
    }
    *parity = 0;
    for (int64_t i = 0; fits && i < m; i++) {
        fits = !seen[now[i]];
        seen[now[i]] = true;
    }
    for (int64_t i = 0; fits && i < m; i++)
        for (; now[i] != i; (*parity)++) {
            int64_t t = now[now[i]];
            now[now[i]] = now[i];
            now[i] = t;
        }
    free(now);
    free(seen);
    return fits;
}

/* P a against L U, with P a made by laswp; |L| as pivoting bounds it. */
static void check_panel(const mat_t *f, mat_t *pa)
{
    void *host = malloc(mat_bytes(f) + 1);
    double most = 0;
    BE(to_host, ST, host, f->dev, mat_bytes(f));
    BE(sync, ST);
    for (int64_t j = 0; j < f->n; j++)
        for (int64_t i = 0; i < f->m; i++) {
            *at(f, i, j) = gen_get(f->dt, host, i + j * f->ld);
            if (i > j) most = fmax(most, cabs(*at(f, i, j)));
        }
    free(host);
    for (int64_t j = 0; j < f->n; j++)
        for (int64_t i = 0; i < f->m; i++) {
            gen_z s = i <= j ? *at(f, i, j) : 0;
            for (int64_t k = 0; k < i && k <= j; k++) s += mul(*at(f, i, k), *at(f, k, j));
            *at(pa, i, j) = s;
        }
    expect(pa, 20 * (double)(f->n + 2) * check_eps(f->dt), "getrf_panel and laswp");
    if (most > (mlai_is_complex(f->dt) ? sqrt(2) : 1) * (1 + 1e-5))
        report("getrf_panel", f->dt, "an element of L is too large");
}

static void test_panel(mla_dtype_t dt, int64_t m, int64_t n, int kind)
{
    mat_t a = make_panel(dt, m, n, kind), pa = make_panel(dt, m, n, kind);
    int32_t *list = malloc((size_t)(2 * n + 1) * sizeof *list), state[2] = {0, 7};
    void *dlist = NULL, *dwork = NULL, *dstate = scalar(state, sizeof state);
    int parity = 0;
    BE(alloc, 8 * (size_t)n + 64, &dlist);
    BE(alloc, 32 * (size_t)n + 64, &dwork);
    BE(getrf_panel, ST, dt, m, n, a.dev, a.ld, 1000, dlist, dstate, dwork);
    BE(laswp, ST, dt, n, dlist, n, pa.dev, pa.ld, dwork);
    fetch(dstate, state, sizeof state);
    fetch(dlist, list, 8 * (size_t)n);
    cases++;
    if (!list_fits(list, m, n, &parity))
        report("getrf_panel", dt, "the list is no permutation");
    else if ((state[1] - 7) % 2 != parity % 2)
        report("getrf_panel", dt, "the number of interchanges is odd or even, wrongly");
    bool nan = state[0] > 1000 && state[0] <= 1000 + n; // or all is finite that counts
    bool want = n == 0 || kind == TIES ? true
                : kind == PLAIN        ? state[0] == 0
                : kind == ZERO_COLUMN  ? state[0] == 1000 + n / 2 + 1
                                       : nan || (n < m && state[0] == 0);
    if (!want) report("getrf_panel", dt, "the first bad pivot is another one");
    if (kind != NAN_COLUMN && n > 0) check_panel(&a, &pa);
    be->ops->free(be, dlist);
    be->ops->free(be, dwork);
    be->ops->free(be, dstate);
    free(list);
    drop(&a);
    drop(&pa);
}

static void test_cols(mla_dtype_t dt, int64_t m, int64_t n)
{
    int64_t all = 2 * n + 1, lo = 3, hi = lo + n;
    int32_t *index = malloc((size_t)all * sizeof *index);
    for (int64_t j = 0; j < all; j++) // once what lies in [lo, hi), in some order; else outside
        index[j] = (int32_t)(j % 2 ? lo + (j / 2 * 7 + 2) % mlai_max(1, n) : j % 4 ? -1 : hi);
    bool once = n % 7 != 0;
    void *dev = NULL;
    BE(alloc, 4 * (size_t)all + 64, &dev);
    BE(from_host, ST, dev, index, 4 * (size_t)all);
    mat_t a = make(dt, m, n, 23), b = make(dt, m, all, 24);
    BE(take_cols, ST, dt, m, all, dev, lo, hi, a.dev, a.ld, b.dev, b.ld);
    for (int64_t j = 0; j < all; j++)
        for (int64_t i = 0; i < m; i++)
            *at(&b, i, j) = index[j] >= lo && index[j] < hi ? *at(&a, i, index[j] - lo) : 0;
    expect(&b, 0, "take_cols");
    if (once) {
        mat_t c = make(dt, m, all, 25);
        BE(put_cols, ST, dt, m, all, dev, lo, hi, c.dev, c.ld, a.dev, a.ld);
        for (int64_t j = 0; j < all; j++)
            for (int64_t i = 0; i < m; i++)
                if (index[j] >= lo && index[j] < hi) *at(&a, i, index[j] - lo) = *at(&c, i, j);
        expect(&a, 0, "put_cols");
        drop(&c);
    }
    be->ops->free(be, dev);
    free(index);
    drop(&a);
    drop(&b);
}

/* special: 0 nothing, 1 a zero, 2 a NaN. */
static void test_lu_det(mla_dtype_t dt, int64_t n, int special)
{
    mat_t a = make(dt, n, 1, 26);
    if (special && n > 0) *at(&a, n / 2, 0) = special == 1 ? 0 : NAN;
    upload(&a);
    int32_t swaps = (int32_t)n;
    double det[3] = {0}, size = 0, tol = 8 * (double)(n + 1) * DBL_EPSILON;
    gen_z phase = n % 2 ? 1 : -1; // sign -1
    for (int64_t i = 0; i < n; i++) {
        double r = cabs(*at(&a, i, 0));
        size += log(r);
        phase = r > 0 ? mul(phase, *at(&a, i, 0) / r) : 0;
    }
    void *dswaps = scalar(&swaps, sizeof swaps), *ddet = scalar(det, sizeof det);
    BE(lu_det, ST, dt, n, a.dev, dswaps, -1, ddet);
    fetch(ddet, det, sizeof det);
    cases++;
    bool same = n > 0 && special == 2
                    ? isnan(det[0]) && isnan(det[1]) && isnan(det[2]) == mlai_is_complex(dt)
                    : (det[0] == size || fabs(det[0] - size) <= tol * (fabs(size) + 1)) &&
                          cabs(CMPLX(det[1], det[2]) - phase) <= tol;
    if (!same) report("lu_det", dt, "wrong determinant");
    be->ops->free(be, dswaps);
    be->ops->free(be, ddet);
    drop(&a);
}

static void test_lu(mla_dtype_t dt, const int64_t *size, int sizes)
{
    for (int i = 0; i < sizes; i++) {
        for (int kind = 0; kind < LU_KINDS; kind++) {
            test_panel(dt, size[i], size[i], kind);
            test_panel(dt, size[i] + 41, size[i], kind);
        }
        for (int j = 0; j < sizes; j++) test_cols(dt, size[i], size[j]);
        for (int special = 0; special < 3; special++) test_lu_det(dt, size[i], special);
    }
    // Several blocks of rows and of columns.
    for (int kind = 0; kind < LU_KINDS; kind++) test_panel(dt, 700, 150, kind);
    test_lu_det(dt, 900, 0);
}

int main(int argc, char **argv)
{
    static const int64_t size[] = {0, 1, 2, 7, 33, 70};
    enum { SIZES = sizeof size / sizeof size[0] };
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--device") && argv[i + 1][0] == 'c') options.device = MLA_CUDA;
        if (!strcmp(argv[i], "--ordinal")) options.ordinal = atoi(argv[i + 1]);
    }
    must(options.device == MLA_CUDA ? mlai_backend_create_cuda(&options, &error, &be)
                                    : mlai_backend_create_host(&options, &error, &be),
         "the backend");
    test_memory();
    test_events();
    for (int t = 0; t < 4; t++) {
        mla_dtype_t dt = (mla_dtype_t)t;
        for (int i = 0; i < SIZES; i++) {
            for (int j = 0; j < SIZES; j++) {
                test_lacpy_laset(dt, size[i], size[j]);
                test_transpose(dt, size[i], size[j]);
                test_sum(dt, size[i], size[j]);
                test_nan_if(dt, size[i], size[j]);
                test_trsm(dt, size[i], size[j]);
                test_herk(dt, size[i], size[j]);
                for (int k = 0; k < SIZES; k++) test_gemm(dt, size[i], size[j], size[k]);
            }
            test_permute(dt, size[i], 9);
            test_log_diag(dt, size[i]);
            test_potrf(dt, size[i]);
            test_trtri(dt, size[i]);
        }
        test_herk(dt, 9, 4133); // tall: in parts
        for (int terms = 1; terms <= 6; terms += terms == 1 ? 2 : 3) {
            test_split(dt, terms, 40, 33, 0, 0);
            test_split(dt, terms, 70, 64, 33, 33);
            test_split(dt, terms, 5, 7, 1, 0);
            test_split(dt, terms, 0, 3, 0, 0);
            test_split(dt, terms, 3, 0, 0, 0);
            test_split(dt, terms, 35, 600, 32, 1);
            test_split(dt, terms, 33, 512, 0, 30);
        }
        test_lu(dt, size, SIZES);
        // Where a device takes another way: tall, wide, few rows, more than one block.
        test_trsm(dt, 530, 150);
        test_trsm(dt, 150, 530);
        test_trsm(dt, 3, 200);
        test_trtri(dt, 290);
        test_potrf(dt, 290);
    }
    must(be->ops->sync(be, ST), "sync");
    be->ops->free_backend(be);
    printf("unit_backend: %d cases, %d failed\n", cases, failures);
    return failures != 0;
}
