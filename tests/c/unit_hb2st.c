/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_hb2st.c: band to tridiagonal form by bulge chasing, and its back-transformation,
 * against the definition: |B Q - Q T| / (n |B| eps), |Q^H Q - I| / (n eps), Q = Q2 I formed in
 * uneven blocks of columns by P ranks.
 *
 *     unit_hb2st [--device host|cuda] [--ordinal 0] [--quick] [--kd KD]
 *     unit_hb2st --time N [--kd 32] [--type s|d|c|z] [--ranks P] [--device ...]
 *
 * All ranks must have the same T, bit for bit, with and without reflectors. What does not count
 * holds NaN: imaginary parts of the diagonal, storage below the bulges' rows and beyond the last
 * row, memory for reflectors, rows of padding. */
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

enum { PAD = 3, MOST_RANKS = 4, PROBES = 4 };

static mla_device_t device = MLA_HOST;
static int ordinal;
static int failures, cases;
static double worst_residual, worst_orthogonality;

typedef struct problem problem_t;
typedef struct rank {
    problem_t *p;
    int rank;
    mla_comm_t *comm;
    double *diag, *off, *diag2, *off2; /* with reflectors, and without */
    gen_z *z;                          /* out: own columns, ld = n */
    mla_status_t status;
    char message[256];
    double chase, values, back; /* seconds */
} rank_t;

struct problem {
    mla_dtype_t dt;
    int64_t n, kd, ldab;
    int nranks;
    const char *kind;
    bool timed; /* n is large: a few probes instead of the identity */
    gen_z *ab;
    char name[64];
    rank_t rank[MOST_RANKS];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const problem_t *p, const char *what, double value)
{
    if (failures++ < 30)
        printf("FAIL %s type %c n %lld kd %lld P %d: %s %.3g\n", p->kind, "sdcz"[p->dt],
               (long long)p -> n, (long long)p -> kd, p -> nranks, what, value);
}

/* ---- the band ------------------------------------------------------------------------------ */

static gen_z element(const problem_t *p, int64_t i, int64_t j)
{
    gen_z z = CMPLX(gen_hash(1, i, j), mlai_is_complex(p->dt) ? gen_hash(2, i, j) : 0);
    if (i == j) z = creal(z);
    if (!strcmp(p->kind, "zero")) z = 0;
    if (!strcmp(p->kind, "diagonal") && i != j) z = 0;
    if (!strcmp(p->kind, "tridiagonal") && i - j > 1) z = 0;
    if (!strcmp(p->kind, "holes") && i != j && (j % 3 == 0 || i % 7 == 0)) z = 0;
    if (!strcmp(p->kind, "blocks") && i / 11 != j / 11) z = 0;
    if (!strcmp(p->kind, "tiny") && i != j)
        z *= j % 2 ? 1e-30 : 1e-9; // squares vanish in float32
    if (!strcmp(p->kind, "ones")) z = 1;
    return gen_rounded(p->dt, z);
}

/* In the storage; where nothing may be read, NaN. */
static void fill_band(problem_t *p)
{
    p->ab = calloc((size_t)(p->ldab * p->n) + 1, sizeof *p->ab);
    for (int64_t j = 0; j < p->n; j++)
        for (int64_t d = 0; d < p->ldab; d++) {
            gen_z *to = &p->ab[d + j * p->ldab];
            *to = CMPLX(NAN, NAN);
            if (j + d < p->n && d < 2 * p->kd) *to = d <= p->kd ? element(p, j + d, j) : 0;
            if (d == 0) *to = CMPLX(creal(*to), NAN);
        }
}

/* y := B x */
static void multiply(const problem_t *p, const gen_z *x, gen_z *y)
{
    for (int64_t i = 0; i < p->n; i++) y[i] = 0;
    for (int64_t j = 0; j < p->n; j++) {
        y[j] += creal(p->ab[j * p->ldab]) * x[j];
        for (int64_t i = j + 1; i < p->n && i <= j + p->kd; i++) {
            gen_z b = p->ab[i - j + j * p->ldab];
            y[i] += b * x[j];
            y[j] += conj(b) * x[i];
        }
    }
}

static double norm(const problem_t *p)
{
    gen_z *x = calloc((size_t)p->n + 1, sizeof *x);
    double most = 0;
    for (int64_t j = 0; j < p->n; j++) {
        x[j] = fabs(creal(p->ab[j * p->ldab])) + creal(x[j]);
        for (int64_t i = j + 1; i < p->n && i <= j + p->kd; i++) {
            x[j] += cabs(p->ab[i - j + j * p->ldab]);
            x[i] += cabs(p->ab[i - j + j * p->ldab]);
        }
    }
    for (int64_t j = 0; j < p->n; j++) most = fmax(most, creal(x[j]));
    free(x);
    return most;
}

/* ---- a rank -------------------------------------------------------------------------------- */

/* Columns of Z of rank r: [first, first + count), of different sizes, 0 among them. */
static int64_t first_column(const problem_t *p, int r)
{
    static const int64_t cut[MOST_RANKS + 1][MOST_RANKS + 1] = {
        {0}, {0, 6}, {0, 2, 6}, {0, 0, 3, 6}, {0, 1, 1, 5, 6}};
    return p->n * cut[p->nranks][r] / 6;
}

static mla_status_t upload(mla_context_t *x, mla_dtype_t dt, int64_t count, const gen_z *z,
                           void *dev)
{
    size_t bytes = mlai_size_mat(count, 1, mlai_sizeof(dt));
    void *host = malloc(bytes + 1);
    for (int64_t k = 0; k < count; k++) gen_put(dt, host, k, z[k]);
    mla_status_t st = MLAI_BE(x, from_host, mlai_stream(x, MLAI_STREAM_MAIN), dev, host, bytes);
    if (st == MLA_OK) st = mla_context_sync(x);
    free(host);
    return st;
}

static mla_status_t download(mla_context_t *x, mla_dtype_t dt, int64_t count, const void *dev,
                             gen_z *z)
{
    size_t bytes = mlai_size_mat(count, 1, mlai_sizeof(dt));
    void *host = malloc(bytes + 1);
    mla_status_t st = MLAI_BE(x, to_host, mlai_stream(x, MLAI_STREAM_MAIN), host, dev, bytes);
    if (st == MLA_OK) st = mla_context_sync(x);
    for (int64_t k = 0; k < count; k++) z[k] = gen_get(dt, host, k);
    free(host);
    return st;
}

/* Probe k: of a pair, a random column and T times it. */
static void probe(const problem_t *p, const rank_t *r, int64_t k, gen_z *z)
{
    for (int64_t i = 0; i < p->n; i++) {
        z[i] = gen_rounded(p->dt, CMPLX(gen_hash(5, i, k / 2), gen_hash(6, i, k / 2)));
        if (k % 2 == 0) continue;
        z[i] *= r->diag[i];
        for (int64_t j = mlai_max(0, i - 1); j < mlai_min(p->n, i + 2); j++)
            if (j != i)
                z[i] += r->off[mlai_min(i, j)] *
                        gen_rounded(p->dt, CMPLX(gen_hash(5, j, k / 2), gen_hash(6, j, k / 2)));
    }
}

/* What Z is before. */
static mla_status_t start_z(rank_t *r, mla_context_t *x, int64_t cols, int64_t ldz, void *z)
{
    const problem_t *p = r->p;
    gen_z *column = malloc((size_t)ldz * sizeof *column);
    mla_status_t st = MLA_OK;
    for (int64_t j = 0; j < cols && st == MLA_OK; j++) {
        if (p->timed && j >= PROBES) break;
        for (int64_t i = 0; i < ldz; i++) column[i] = i < p->n ? 0 : CMPLX(NAN, NAN);
        if (p->timed)
            probe(p, r, j, column);
        else
            column[first_column(p, r->rank) + j] = 1;
        st = upload(x, p->dt, ldz, column, mlai_at(z, p->dt, ldz, 0, j));
    }
    free(column);
    return st;
}

static mla_status_t read_z(rank_t *r, mla_context_t *x, int64_t cols, int64_t ldz, const void *z)
{
    const problem_t *p = r->p;
    int64_t count = p->timed ? mlai_min(PROBES, cols) : cols;
    gen_z *all = malloc((size_t)(ldz * count) * sizeof *all + 1);
    mla_status_t st = download(x, p->dt, ldz * count, z, all);
    r->z = malloc((size_t)(p->n * count) * sizeof *r->z + 1);
    for (int64_t j = 0; j < count; j++)
        for (int64_t i = 0; i < ldz; i++)
            if (i < p->n)
                r->z[i + j * p->n] = all[i + j * ldz];
            else if (!isnan(creal(all[i + j * ldz])))
                fail(p, "rows of padding were written, rank", r->rank);
    free(all);
    return st;
}

typedef struct device_memory {
    void *ab, *v, *z, *work, *base;
} device_memory_t;

static mla_status_t chase(rank_t *r, mla_context_t *x, device_memory_t *m, bool keep,
                          double *diag, double *off, double *seconds)
{
    const problem_t *p = r->p;
    MLAI_TRY(upload(x, p->dt, p->ldab * p->n, p->ab, m->ab));
    double t = now();
    MLAI_TRY(mlai_hb2st(x, p->dt, p->n, p->kd, m->ab, p->ldab, keep ? m->v : NULL, diag, off,
                        m->work));
    *seconds = now() - t;
    return MLA_OK;
}

static mla_status_t back(rank_t *r, mla_context_t *x, device_memory_t *m)
{
    const problem_t *p = r->p;
    int64_t cols = first_column(p, r->rank + 1) - first_column(p, r->rank);
    int64_t ldz = p->n + (p->timed ? 0 : PAD);
    if (p->timed) cols = p->n / p->nranks;
    size_t bytes = mlai_size_mat(ldz, cols, mlai_sizeof(p->dt));
    MLAI_TRY(x->be->ops->alloc(x->be, bytes, &m->z));
    MLAI_TRY(MLAI_BE(x, zero, mlai_stream(x, MLAI_STREAM_MAIN), m->z, bytes));
    for (int k = p->timed ? 0 : 1; k < 2; k++) {
        MLAI_TRY(start_z(r, x, cols, ldz, m->z));
        MLAI_TRY(mla_context_sync(x));
        double t = now();
        MLAI_TRY(
            mlai_unmtr_hb2st(x, p->dt, p->n, p->kd, m->v, cols, m->z, ldz, m->work, m->base));
        MLAI_TRY(mla_context_sync(x));
        r->back = now() - t;
    }
    return read_z(r, x, cols, ldz, m->z);
}

static mla_status_t on_rank(rank_t *r, mla_context_t *x, device_memory_t *m)
{
    const problem_t *p = r->p;
    mlai_space_t one = mlai_hb2st_space(p->dt, p->n, p->kd);
    mlai_space_t two = mlai_unmtr_hb2st_space(p->dt, p->n, p->kd, p->nranks);
    size_t keep = mlai_hb2st_keep(p->dt, p->n, p->nranks);
    int64_t reals = (int64_t)(keep / sizeof(float));
    MLAI_TRY(mlai_reserve(x, one.work > two.work ? one.work : two.work,
                          one.window > two.window ? one.window : two.window, &m->work, &m->base));
    MLAI_TRY(x->be->ops->alloc(x->be, mlai_size_mat(p->ldab, p->n, mlai_sizeof(p->dt)), &m->ab));
    MLAI_TRY(x->be->ops->alloc(x->be, keep, &m->v));
    MLAI_TRY(MLAI_BE(x, laset, mlai_stream(x, MLAI_STREAM_MAIN), MLA_FLOAT32, MLAI_FULL, reals, 1,
                     NAN, NAN, m->v, mlai_max(1, reals)));
    if (p->timed) MLAI_TRY(chase(r, x, m, true, r->diag, r->off, &r->chase));
    MLAI_TRY(chase(r, x, m, true, r->diag, r->off, &r->chase));
    MLAI_TRY(chase(r, x, m, false, r->diag2, r->off2, &r->values));
    return back(r, x, m);
}

static void *rank_main(void *arg)
{
    rank_t *r = arg;
    const problem_t *p = r->p;
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    options.device = device;
    options.ordinal = ordinal;
    device_memory_t m = {0};
    mla_context_t *x = NULL;
    if (device == MLA_CUDA && p->nranks > 1)
        r->status = mla_comm_create_peer(p->name, p->nranks, r->rank, ordinal, 60, &r->comm);
    options.comm = r->comm;
    if (r->status == MLA_OK) r->status = mla_context_create(&options, &x);
    if (r->status == MLA_OK) r->status = on_rank(r, x, &m);
    if (r->status != MLA_OK) snprintf(r->message, sizeof r->message, "%s", mla_message(x));
    if (x) {
        x->be->ops->free(x->be, m.ab);
        x->be->ops->free(x->be, m.v);
        x->be->ops->free(x->be, m.z);
        mlai_release(x, m.work);
    }
    mla_context_free(x);
    return NULL;
}

static bool launch(problem_t *p)
{
    static int serial;
    size_t bytes = (size_t)(p->n + 1) * sizeof(double);
    mla_comm_t *comm[MOST_RANKS] = {NULL};
    pthread_t thread[MOST_RANKS];
    snprintf(p->name, sizeof p->name, "unit_hb2st-%d-%d", (int)getpid(), serial++);
    if (device == MLA_HOST && p->nranks > 1 &&
        mla_comm_create_threads(p->nranks, 60, comm) != MLA_OK)
        exit(1);
    for (int q = 0; q < p->nranks; q++) {
        rank_t *r = &p->rank[q];
        *r = (rank_t){.p = p, .rank = q, .comm = comm[q]};
        double **out[] = {&r->diag, &r->off, &r->diag2, &r->off2};
        for (int k = 0; k < 4; k++) *out[k] = memset(malloc(bytes), 0xff, bytes);
        pthread_create(&thread[q], NULL, rank_main, r);
    }
    for (int q = 0; q < p->nranks; q++) pthread_join(thread[q], NULL);
    bool good = true;
    for (int q = 0; q < p->nranks; q++) {
        rank_t *r = &p->rank[q], *first = &p->rank[0];
        mla_comm_free(r->comm);
        if (r->status != MLA_OK) printf("rank %d: %s\n", q, r->message);
        if (r->status != MLA_OK) fail(p, "status", r->status), good = false;
        if (memcmp(r->diag, first->diag, bytes) != 0 || memcmp(r->off, first->off, bytes) != 0)
            fail(p, "T differs on rank", q);
        if (memcmp(r->diag, r->diag2, bytes) != 0 || memcmp(r->off, r->off2, bytes) != 0)
            fail(p, "T differs without reflectors, rank", q);
        if (p->n > 0 && !isnan(r->off[p->n - 1])) fail(p, "off has been overrun, rank", q);
    }
    return good;
}

static void drop(problem_t *p)
{
    for (int q = 0; q < p->nranks; q++) {
        rank_t *r = &p->rank[q];
        double *out[] = {r->diag, r->off, r->diag2, r->off2};
        for (int k = 0; k < 4; k++) free(out[k]);
        free(r->z);
    }
    free(p->ab);
}

/* ---- measures ------------------------------------------------------------------------------ */

static void limit(const problem_t *p, const char *what, double value, double most, double *worst)
{
    if (!(value < most)) fail(p, what, value);
    if (!(value <= *worst)) *worst = value;
}

/* Largest column of B Q - Q T, and of Q^H Q - I. */
static void measure(const problem_t *p, const gen_z *q)
{
    int64_t n = p->n;
    const double *diag = p->rank[0].diag, *off = p->rank[0].off;
    double unit = (double)(n + 10) * check_eps(p->dt), residual = 0, apart = 0;
    gen_z *y = malloc((size_t)n * sizeof *y + 1);
    for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        multiply(p, q + j * n, y);
        for (int64_t i = 0; i < n; i++) {
            y[i] -= diag[j] * q[i + j * n];
            if (j > 0) y[i] -= off[j - 1] * q[i + (j - 1) * n];
            if (j < n - 1) y[i] -= off[j] * q[i + (j + 1) * n];
            sum += creal(y[i] * conj(y[i]));
        }
        if (!(sqrt(sum) <= residual)) residual = sqrt(sum);
        for (int64_t c = j; c < n; c++) {
            gen_z dot = c == j ? -1 : 0;
            for (int64_t i = 0; i < n; i++) dot += conj(q[i + j * n]) * q[i + c * n];
            if (!(cabs(dot) <= apart)) apart = cabs(dot);
        }
    }
    free(y);
    limit(p, "residual", residual / (unit * fmax(norm(p), 1e-30)), 1, &worst_residual);
    limit(p, "orthogonality", apart / unit, 1, &worst_orthogonality);
}

static void test(const char *kind, mla_dtype_t dt, int64_t n, int64_t kd, int nranks, int64_t pad)
{
    problem_t p = {.kind = kind, .dt = dt, .n = n, .kd = kd, .ldab = 2 * kd + pad};
    p.nranks = nranks;
    cases++;
    fill_band(&p);
    if (launch(&p)) {
        gen_z *q = malloc((size_t)(n * n) * sizeof *q + 1);
        for (int r = 0; r < nranks; r++) {
            int64_t from = first_column(&p, r), to = first_column(&p, r + 1);
            memcpy(q + from * n, p.rank[r].z, (size_t)((to - from) * n) * sizeof *q);
        }
        measure(&p, q);
        free(q);
    }
    drop(&p);
}

/* Pairs of probes: B (Q y) = Q (T y), |Q y| = |y|. */
static void measure_probes(const problem_t *p)
{
    const rank_t *r = &p->rank[0];
    int64_t n = p->n;
    gen_z *y = malloc((size_t)n * sizeof *y + 1), *x = malloc((size_t)n * sizeof *x + 1);
    double unit = (double)(n + 10) * check_eps(p->dt), size = norm(p);
    for (int64_t k = 0; k < PROBES; k += 2) {
        const gen_z *q = r->z + k * n;
        double apart = 0, before = 0, after = 0;
        multiply(p, q, y);
        probe(p, r, k, x);
        for (int64_t i = 0; i < n; i++) {
            gen_z d = y[i] - q[n + i];
            apart += creal(d * conj(d));
            before += creal(x[i] * conj(x[i]));
            after += creal(q[i] * conj(q[i]));
        }
        limit(p, "residual", sqrt(apart / before) / (size * unit), 1, &worst_residual);
        limit(p, "norm", fabs(sqrt(after / before) - 1) / unit, 1, &worst_orthogonality);
    }
    free(x);
    free(y);
}

static void time_one(mla_dtype_t dt, int64_t n, int64_t kd, int nranks)
{
    problem_t p = {.kind = "random", .dt = dt, .n = n, .kd = kd, .ldab = 2 * kd, .timed = true};
    p.nranks = nranks;
    cases++;
    fill_band(&p);
    if (launch(&p)) {
        double size = (double)n, scale = mlai_is_complex(dt) ? 4 : 1;
        measure_probes(&p);
        for (int r = 0; r < nranks; r++)
            printf(
                "type %c n %lld kd %lld P %d rank %d: chase %.4f s (values %.4f), back %.4f s, "
                "%.2f TF/s as 2 n^2 cols\n",
                "sdcz"[dt], (long long)n, (long long)kd, nranks, r, p.rank[r].chase,
                p.rank[r].values, p.rank[r].back,
                2e-12 * scale * size * size * size / nranks / p.rank[r].back);
    }
    drop(&p);
}

/* A GPU knows two widths. */
static void test_type(mla_dtype_t dt, bool quick, int64_t only)
{
    static const int64_t host[] = {1, 2, 3, 5, 8, 32, 40, 64}, gpu[] = {32, 64};
    static const char *kinds[] = {"zero",   "diagonal", "tridiagonal", "holes",
                                  "blocks", "tiny",     "ones"};
    const bool any = device == MLA_HOST;
    for (int k = 0; k < (any ? 8 : 2); k++) {
        int64_t kd = any ? host[k] : gpu[k], pad = k % 3;
        if (only != 0 && kd != only) continue;
        // Fewer rows than a hop; hops that end where the matrix does, or one row before or after.
        int64_t size[] = {0,      1,      2,          3,          kd, kd + 1,
                          kd + 2, 2 * kd, 2 * kd + 1, 3 * kd + 2, 97, 131};
        for (int s = 0; s < 12; s++)
            if (!quick || (s + k) % 4 == 1) test("random", dt, size[s], kd, 1 + (s + k) % 3, pad);
    }
    for (int k = quick ? 3 : 0; k < 7; k += quick ? 2 : 1) // quick: holes, tiny
        test(kinds[k], dt, 75, only ? only : any ? 5 + k : 32, 1 + k % 3, 0);
    if (quick) return;
    test("random", dt, 200, only ? only : any ? 12 : 32, 2, 1); // three groups
    test("random", dt, 300, only ? only : any ? 32 : 64, 3, 0);
}

static int option(int argc, char **argv, const char *name, const char **value)
{
    for (int k = 1; k < argc; k++)
        if (!strcmp(argv[k], name)) {
            *value = k + 1 < argc ? argv[k + 1] : "";
            return 1;
        }
    return 0;
}

int main(int argc, char **argv)
{
    const char *value = "";
    if (option(argc, argv, "--device", &value) && !strcmp(value, "cuda")) device = MLA_CUDA;
    if (option(argc, argv, "--ordinal", &value)) ordinal = atoi(value);
    int64_t kd = option(argc, argv, "--kd", &value) ? atoll(value) : 0;
    int nranks = option(argc, argv, "--ranks", &value) ? atoi(value) : 1;
    int64_t n = option(argc, argv, "--time", &value) ? atoll(value) : 0;
    const char *type = option(argc, argv, "--type", &value) ? value : "sdcz";
    bool quick = option(argc, argv, "--quick", &value);
    for (int dt = 0; dt < 4; dt++) {
        if (!strchr(type, "sdcz"[dt])) continue;
        if (n > 0)
            time_one((mla_dtype_t)dt, n, kd ? kd : 32, nranks);
        else
            test_type((mla_dtype_t)dt, quick, kd);
    }
    printf("unit_hb2st: %d cases, %d failed; worst residual %.3g, orthogonality %.3g\n", cases,
           failures, worst_residual, worst_orthogonality);
    return failures > 0;
}
