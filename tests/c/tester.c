/* SPDX-License-Identifier: Apache-2.0
 * tests/c/tester.c: runs routines over types, sizes, tiles, ranks and matrix kinds, checks the
 * scaled residual of each, and times it. Test and benchmark in one.
 *
 *     tester [potrf|posv|poinv|potri|syevd|syevj ...] --type s,d,c,z --n 1,7,100:400:100
 *            --nb 0,16 --ranks 1,2,3,4 --kind rand,cond:1e4 --nrhs 1,5 --device host|cuda
 *            --order cyclic|natural --repeat 3 --check y|n --json --tol 30
 *
 * `syevj` is syevd without vectors. Ranks are threads. Kinds are those of gen.h; for "indef:J"
 * and "nan:J" a routine passes when info is J + 1 (syevd: not 0 for nan) and the results are NaN.
 * Last line: "N passed, M failed"; exit status 1 when a case failed or none ran. */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "algo/algo.h"
#include "check.h"
#include "gen.h"

enum { MAX_LIST = 64, MAX_RANKS = 64 };

typedef struct list {
    int count;
    char *item[MAX_LIST];
} list_t;

typedef struct config {
    const char *routine, *kind;
    mla_dtype_t dt;
    mla_order_t order;
    mla_device_t device;
    mla_rhs_t rhs;
    int64_t n, nb, nrhs, pad;
    int nranks, repeat;
    bool check;
    double tol;
} config_t;

/* One case: what the ranks share. */
typedef struct run {
    const config_t *cfg;
    const gen_t *gen;
    mla_desc_t desc;
    int64_t lc;
    gen_z *result; /* n x n: factor, inverse or vectors */
    gen_z *x;      /* nrhs x n */
    double *w;     /* n */
    double logdet;
    int32_t info;
    pthread_barrier_t start;
    double best[MAX_RANKS];
    mla_status_t status[MAX_RANKS];
    char message[MAX_RANKS][256];
    mla_comm_t *comm[MAX_RANKS];
    int mismatch; /* a scalar that was not equal on all ranks */
} run_t;

typedef struct rank {
    run_t *run;
    int p;
} rank_t;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void put(mla_dtype_t dt, void *a, int64_t k, gen_z z)
{
    if (dt == MLA_FLOAT32) ((float *)a)[k] = (float)creal(z);
    if (dt == MLA_FLOAT64) ((double *)a)[k] = creal(z);
    if (dt == MLA_COMPLEX64) ((float _Complex *)a)[k] = (float _Complex)z;
    if (dt == MLA_COMPLEX128) ((gen_z *)a)[k] = z;
}

static gen_z get(mla_dtype_t dt, const void *a, int64_t k)
{
    if (dt == MLA_FLOAT32) return ((const float *)a)[k];
    if (dt == MLA_FLOAT64) return ((const double *)a)[k];
    if (dt == MLA_COMPLEX64) return ((const float _Complex *)a)[k];
    return ((const gen_z *)a)[k];
}

/* Right-hand side k, column j. */
static gen_z rhs_at(const config_t *cfg, int64_t k, int64_t j)
{
    double im = mlai_is_complex(cfg->dt) ? gen_hash(32, k, j) : 0.0;
    gen_z z = gen_hash(31, k, j) + im * I;
    return mlai_real(cfg->dt) == MLA_FLOAT32 ? (gen_z)(float _Complex)z : z;
}

/* ---- one rank ------------------------------------------------------------------------------ */

typedef struct buffers {
    void *a, *z, *w, *c, *host;
    double *logdet;
    int32_t *info;
    size_t block, rhs;
} buffers_t;

static bool wants(const config_t *cfg, const char *routine)
{
    return strcmp(cfg->routine, routine) == 0;
}

static mla_status_t fill(run_t *run, int p, mla_context_t *x, buffers_t *b)
{
    const config_t *cfg = run->cfg;
    int64_t n = cfg->n, ld = run->desc.ld;
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    // Whatever lies outside the matrix must not matter.
    memset(b->host, 0xff, b->block);
    for (int64_t jl = 0; jl < run->lc && p * run->lc + jl < n; jl++)
        for (int64_t i = 0; i < n; i++)
            put(cfg->dt, b->host, i + jl * ld, gen_at(run->gen, i, p * run->lc + jl));
    MLAI_TRY(MLAI_BE(x, from_host, st, b->a, b->host, b->block));
    if (!wants(cfg, "posv")) return MLA_OK;
    int64_t first = cfg->rhs == MLA_RHS_REPLICATED ? 0 : p * run->lc;
    int64_t cols = cfg->rhs == MLA_RHS_REPLICATED ? n : mlai_min(run->lc, mlai_max(0, n - first));
    for (int64_t j = 0; j < cols; j++)
        for (int64_t k = 0; k < cfg->nrhs; k++)
            put(cfg->dt, b->host, k + j * cfg->nrhs, rhs_at(cfg, k, first + j));
    return MLAI_BE(x, from_host, st, b->c, b->host, b->rhs);
}

static mla_status_t call(run_t *run, mla_context_t *x, buffers_t *b)
{
    const config_t *cfg = run->cfg;
    const mla_desc_t *d = &run->desc;
    if (wants(cfg, "potrf")) return mla_potrf(x, d, b->a, b->logdet, b->info);
    if (wants(cfg, "posv"))
        return mla_posv(x, d, b->a, cfg->rhs, cfg->nrhs, b->c, mlai_max(1, cfg->nrhs), b->logdet,
                        b->info);
    if (wants(cfg, "poinv")) return mla_poinv(x, d, b->a, b->logdet, b->info);
    if (wants(cfg, "potri")) {
        MLAI_TRY(mla_potrf(x, d, b->a, b->logdet, b->info));
        return mla_potri(x, d, b->a);
    }
    if (wants(cfg, "syevj")) return mla_syevd(x, d, b->a, b->w, NULL, b->info);
    return mla_syevd(x, d, b->a, b->w, b->z, b->info);
}

/* Local results into the shared host arrays. */
static mla_status_t collect(run_t *run, int p, mla_context_t *x, buffers_t *b)
{
    const config_t *cfg = run->cfg;
    int64_t n = cfg->n, ld = run->desc.ld, first = p * run->lc;
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    int32_t info;
    double logdet = 0;
    MLAI_TRY(MLAI_BE(x, to_host, st, &info, b->info, sizeof info));
    bool eigen = wants(cfg, "syevd") || wants(cfg, "syevj");
    if (!eigen) MLAI_TRY(MLAI_BE(x, to_host, st, &logdet, b->logdet, sizeof logdet));
    MLAI_TRY(MLAI_BE(x, sync, st));
    pthread_barrier_wait(&run->start);
    if (p == 0) {
        run->info = info;
        run->logdet = logdet;
    }
    pthread_barrier_wait(&run->start);
    if (run->info != info || memcmp(&run->logdet, &logdet, sizeof logdet)) run->mismatch = 1;
    if (wants(cfg, "syevd"))
        MLAI_TRY(MLAI_BE(x, to_host, st, b->host, b->z, b->block));
    else
        MLAI_TRY(MLAI_BE(x, to_host, st, b->host, b->a, b->block));
    MLAI_TRY(MLAI_BE(x, sync, st));
    bool vectors = wants(cfg, "syevd");
    for (int64_t jl = 0; jl < run->lc && first + jl < n; jl++)
        for (int64_t i = 0; i < n; i++) {
            gen_z z = get(cfg->dt, b->host, i + jl * ld);
            run->result[vectors ? first + jl + i * n : i + (first + jl) * n] = z;
        }
    if (eigen) {
        mla_dtype_t real = mlai_real(cfg->dt);
        MLAI_TRY(MLAI_BE(x, to_host, st, b->host, b->w, mlai_size_mat(n, 1, mlai_sizeof(real))));
        MLAI_TRY(MLAI_BE(x, sync, st));
        for (int64_t i = 0; p == 0 && i < n; i++) run->w[i] = creal(get(real, b->host, i));
    }
    if (!wants(cfg, "posv")) return MLA_OK;
    MLAI_TRY(MLAI_BE(x, to_host, st, b->host, b->c, b->rhs));
    MLAI_TRY(MLAI_BE(x, sync, st));
    bool all = cfg->rhs == MLA_RHS_REPLICATED;
    if (all && p != run->cfg->nranks - 1) return MLA_OK;
    for (int64_t j = 0; j < (all ? n : mlai_min(run->lc, mlai_max(0, n - first))); j++)
        for (int64_t k = 0; k < cfg->nrhs; k++)
            run->x[k + ((all ? 0 : first) + j) * cfg->nrhs] =
                get(cfg->dt, b->host, k + j * cfg->nrhs);
    return MLA_OK;
}

static mla_status_t allocate(run_t *run, mla_context_t *x, buffers_t *b)
{
    const config_t *cfg = run->cfg;
    size_t es = mlai_sizeof(cfg->dt);
    b->block = mlai_size_mat(run->desc.ld, run->lc, es);
    b->rhs = mlai_size_mat(cfg->nrhs, cfg->rhs == MLA_RHS_REPLICATED ? cfg->n : run->lc, es);
    size_t host = mlai_max((int64_t)b->block, (int64_t)b->rhs) + 16 * (size_t)cfg->n + 64;
    b->host = malloc(host);
    if (!b->host) return mlai_fail(&x->err, MLA_NOMEM, "out of host memory");
    MLAI_TRY(MLAI_BE(x, alloc, b->block + 64, &b->a));
    MLAI_TRY(MLAI_BE(x, alloc, b->rhs + 64, &b->c));
    MLAI_TRY(MLAI_BE(x, alloc, 8 * (size_t)cfg->n + 64, &b->w));
    if (wants(cfg, "syevd")) MLAI_TRY(MLAI_BE(x, alloc, b->block + 64, &b->z));
    MLAI_TRY(MLAI_BE(x, alloc, 64, (void **)&b->logdet));
    return MLAI_BE(x, alloc, 64, (void **)&b->info);
}

static void *rank_main(void *arg)
{
    run_t *run = ((rank_t *)arg)->run;
    int p = ((rank_t *)arg)->p;
    const config_t *cfg = run->cfg;
    mla_context_options_t opt = MLA_CONTEXT_OPTIONS_INIT;
    opt.device = cfg->device;
    opt.comm = run->comm[p];
    mla_context_t *x = NULL;
    buffers_t b = {0};
    mla_status_t st = mla_context_create(&opt, &x);
    if (st == MLA_OK) st = allocate(run, x, &b);
    if (st != MLA_OK && run->comm[p]) mla_comm_abort(run->comm[p], "the tester has no memory");
    run->best[p] = INFINITY;
    for (int rep = 0; rep < cfg->repeat; rep++) {
        if (st == MLA_OK) st = fill(run, p, x, &b);
        if (st == MLA_OK) st = mla_context_sync(x);
        pthread_barrier_wait(&run->start);
        double t = now();
        if (st == MLA_OK) st = call(run, x, &b);
        if (st == MLA_OK) st = mla_context_sync(x);
        t = now() - t;
        if (t < run->best[p]) run->best[p] = t;
        pthread_barrier_wait(&run->start);
    }
    run->status[p] = st;
    snprintf(run->message[p], sizeof run->message[p], "%s", mla_message(st ? x : NULL));
    pthread_barrier_wait(&run->start);
    bool ok = true;
    for (int q = 0; q < cfg->nranks; q++) ok = ok && run->status[q] == MLA_OK;
    if (ok && cfg->check) {
        st = collect(run, p, x, &b);
        if (st != MLA_OK) run->status[p] = st;
    }
    if (x) {
        void *dev[] = {b.a, b.c, b.w, b.z, b.logdet, b.info};
        for (int k = 0; k < 6; k++) x->be->ops->free(x->be, dev[k]);
    }
    free(b.host);
    mla_context_free(x);
    return NULL;
}

/* ---- one case ------------------------------------------------------------------------------ */

static double flops(const config_t *cfg)
{
    double n = (double)cfg->n, f = mlai_is_complex(cfg->dt) ? 4.0 : 1.0;
    if (wants(cfg, "potrf")) return f * n * n * n / 3;
    if (wants(cfg, "posv")) return f * (n * n * n / 3 + 2 * n * n * (double)cfg->nrhs);
    if (wants(cfg, "poinv") || wants(cfg, "potri")) return f * n * n * n;
    return f * n * n * n * (wants(cfg, "syevj") ? 4.0 / 3 : 14.0 / 3);
}

/* log det by an unblocked Cholesky in double: small n only. */
static double logdet_of(const gen_z *b, int64_t n)
{
    gen_z *l = malloc((size_t)(n * n + 1) * sizeof *l);
    memcpy(l, b, (size_t)(n * n) * sizeof *l);
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        double d = sqrt(creal(l[j + j * n]));
        sum += 2 * log(d);
        for (int64_t i = j; i < n; i++) l[i + j * n] /= d;
        for (int64_t k = j + 1; k < n; k++)
            for (int64_t i = k; i < n; i++) l[i + k * n] -= l[i + j * n] * conj(l[k + j * n]);
    }
    free(l);
    return sum;
}

static bool all_nan(const gen_z *a, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isnan(creal(a[i]))) return false;
    return true;
}

/* Residual in units where tol is 30 or so; Inf or NaN: wrong. */
static double judge(run_t *run, char *why, size_t size)
{
    const config_t *cfg = run->cfg;
    int64_t n = cfg->n;
    double eps = check_eps(cfg->dt), res = INFINITY;
    bool failing = run->gen->bad >= 0 && run->gen->bad < n;
    bool eigen = wants(cfg, "syevd") || wants(cfg, "syevj");
    if (run->mismatch) {
        snprintf(why, size, "info or logdet differ between ranks");
        return INFINITY;
    }
    if (failing && !(eigen && cfg->kind[0] == 'i')) {
        bool info_ok = eigen ? run->info != 0 : run->info == run->gen->bad + 1;
        bool nan_ok = wants(cfg, "syevj") ? isnan(run->w[0]) : all_nan(run->result, n * n);
        if (wants(cfg, "posv")) nan_ok = nan_ok && all_nan(run->x, cfg->nrhs * n);
        snprintf(why, size, "info %d, expected %lld; NaN %d", run->info,
                 (long long)run->gen->bad + 1, nan_ok);
        return info_ok && nan_ok ? 0 : INFINITY;
    }
    if (run->info != 0) {
        snprintf(why, size, "info %d", run->info);
        return INFINITY;
    }
    gen_z *b = check_matrix(run->gen, cfg->dt);
    if (wants(cfg, "potrf")) {
        res = cfg->order == MLA_NATURAL ? check_factor(b, n, run->result, eps) : 0;
    } else if (wants(cfg, "posv")) {
        gen_z *c = malloc((size_t)(cfg->nrhs * n + 1) * sizeof *c);
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < cfg->nrhs; k++) c[k + j * cfg->nrhs] = rhs_at(cfg, k, j);
        res = check_solve(b, n, cfg->nrhs, run->x, c, eps);
        free(c);
    } else if (wants(cfg, "syevd")) {
        res = check_eigen(b, n, run->w, run->result, eps);
    } else if (wants(cfg, "syevj")) {
        double trace = 0, sum = 0, size1 = 0;
        for (int64_t i = 0; i < n; i++) {
            trace += creal(b[i + i * n]);
            sum += run->w[i];
            size1 += fabs(run->w[i]);
        }
        res = size1 == 0 && trace == 0 ? 0 : fabs(trace - sum) / (size1 * (double)n * eps);
        for (int64_t i = 1; i < n; i++)
            if (!(run->w[i] >= run->w[i - 1])) res = INFINITY;
    } else {
        res = check_inverse(b, n, run->result, eps);
        double sym = check_hermitian(n, run->result, eps);
        if (!(sym <= 1)) {
            snprintf(why, size, "inverse is not Hermitian: %g eps", sym);
            res = INFINITY;
        }
    }
    if (!eigen && n <= 400) {
        double want = logdet_of(b, n);
        double err = fabs(run->logdet - want) / ((fabs(want) + (double)n) * eps);
        if (!(err <= cfg->tol * 1e3)) {
            snprintf(why, size, "logdet %.12g, expected %.12g", run->logdet, want);
            res = INFINITY;
        }
    }
    free(b);
    return res;
}

static bool run_case(const config_t *cfg, bool json)
{
    static const char *const types = "sdcz";
    run_t *run = calloc(1, sizeof *run);
    gen_t gen;
    if (gen_init(&gen, cfg->kind, cfg->n, mlai_is_complex(cfg->dt))) {
        fprintf(stderr, "unknown kind %s\n", cfg->kind);
        exit(2);
    }
    run->cfg = cfg;
    run->gen = &gen;
    run->lc = mlai_max(1, mlai_ceil_div(cfg->n, cfg->nranks));
    run->desc = (mla_desc_t)MLA_DESC_INIT(cfg->dt, cfg->n);
    run->desc.order = cfg->order;
    run->desc.nb = cfg->nb;
    run->desc.ld = mlai_max(1, cfg->n) + cfg->pad;
    size_t nn = (size_t)(cfg->n * cfg->n) + 1;
    run->result = malloc(nn * sizeof(gen_z));
    run->x = malloc((size_t)(cfg->nrhs * cfg->n + 1) * sizeof(gen_z));
    run->w = malloc((size_t)(cfg->n + 1) * sizeof(double));
    pthread_barrier_init(&run->start, NULL, (unsigned)cfg->nranks);
    mla_status_t st = MLA_OK;
    if (cfg->device == MLA_HOST) st = mla_comm_create_threads(cfg->nranks, 60, run->comm);
    pthread_t thread[MAX_RANKS];
    rank_t rank[MAX_RANKS];
    for (int p = 0; st == MLA_OK && p < cfg->nranks; p++) {
        rank[p] = (rank_t){run, p};
        pthread_create(&thread[p], NULL, rank_main, &rank[p]);
    }
    for (int p = 0; st == MLA_OK && p < cfg->nranks; p++) pthread_join(thread[p], NULL);
    char why[256] = "";
    double seconds = 0, res = 0;
    for (int p = 0; p < cfg->nranks; p++) {
        mla_comm_free(run->comm[p]);
        if (run->best[p] > seconds) seconds = run->best[p];
        if (run->status[p] != MLA_OK && st == MLA_OK) {
            st = run->status[p];
            snprintf(why, sizeof why, "%s: %.200s", mla_status_name(st), run->message[p]);
        }
    }
    if (st == MLA_OK && cfg->check) res = judge(run, why, sizeof why);
    bool ok = st == MLA_OK && res < cfg->tol;
    double rate = flops(cfg) / seconds * 1e-9;
    if (json)
        printf(
            "{\"routine\": \"%s\", \"type\": \"%c\", \"n\": %lld, \"nb\": %lld, \"ranks\": %d, "
            "\"nrhs\": %lld, \"kind\": \"%s\", \"device\": \"%s\", \"seconds\": %.6g, "
            "\"gflops\": %.5g, \"residual\": %.3g, \"ok\": %s}\n",
            cfg->routine, types[cfg->dt], (long long)cfg->n, (long long)cfg->nb, cfg->nranks,
            (long long)cfg->nrhs, cfg->kind, cfg->device == MLA_HOST ? "host" : "cuda", seconds,
            rate, res, ok ? "true" : "false");
    else if (!ok || getenv("TESTER_VERBOSE"))
        printf("%s %s %c n=%lld nb=%lld ranks=%d nrhs=%lld %s %s: %.3g s %.1f GF/s residual %.3g "
               "%s\n",
               ok ? "ok  " : "FAIL", cfg->routine, types[cfg->dt], (long long)cfg->n,
               (long long)cfg->nb, cfg->nranks, (long long)cfg->nrhs, cfg->kind,
               cfg->order == MLA_NATURAL ? "natural" : "cyclic", seconds, rate, res, why);
    fflush(stdout);
    gen_free(&gen);
    pthread_barrier_destroy(&run->start);
    free(run->result);
    free(run->x);
    free(run->w);
    free(run);
    return ok;
}

/* ---- the sweep ----------------------------------------------------------------------------- */

static void split(char *text, list_t *out)
{
    out->count = 0;
    for (char *s = strtok(text, ","); s && out->count < MAX_LIST; s = strtok(NULL, ","))
        out->item[out->count++] = s;
}

/* "a", or "from:to:step" */
static void range(const char *s, long long *from, long long *to, long long *step)
{
    if (sscanf(s, "%lld:%lld:%lld", from, to, step) == 3) return;
    *from = *to = atoll(s);
    *step = 1;
}

typedef struct sweep {
    list_t routines, types, n, nb, ranks, kinds, nrhs;
    config_t base;
    bool json;
    int passed, failed;
} sweep_t;

static void sweep_sizes(sweep_t *s, config_t c)
{
    for (int i = 0; i < s->n.count; i++) {
        long long from, to, step;
        range(s->n.item[i], &from, &to, &step);
        for (long long n = from; n <= to; n += step)
            for (int j = 0; j < s->nb.count; j++)
                for (int r = 0; r < s->nrhs.count; r++) {
                    c.n = n;
                    c.nb = atoll(s->nb.item[j]);
                    c.nrhs = atoll(s->nrhs.item[r]);
                    if (run_case(&c, s->json))
                        s->passed++;
                    else
                        s->failed++;
                    if (!wants(&c, "posv")) break;
                }
    }
}

static void sweep(sweep_t *s)
{
    for (int a = 0; a < s->routines.count; a++)
        for (int t = 0; t < s->types.count; t++)
            for (int p = 0; p < s->ranks.count; p++)
                for (int k = 0; k < s->kinds.count; k++) {
                    config_t c = s->base;
                    c.routine = s->routines.item[a];
                    c.dt = (mla_dtype_t)(strchr("sdcz", s->types.item[t][0]) - "sdcz");
                    c.nranks = atoi(s->ranks.item[p]);
                    c.kind = s->kinds.item[k];
                    sweep_sizes(s, c);
                }
}

int main(int argc, char **argv)
{
    static char types[] = "s,d,c,z", n[] = "1,7,64,100", nb[] = "0,16", ranks[] = "1,2,3,4",
                kinds[] = "rand", nrhs[] = "1", all[] = "potrf,posv,poinv,potri,syevd,syevj";
    sweep_t s = {.base = {.device = MLA_HOST, .repeat = 1, .check = true, .tol = 30}};
    split(types, &s.types);
    split(n, &s.n);
    split(nb, &s.nb);
    split(ranks, &s.ranks);
    split(kinds, &s.kinds);
    split(nrhs, &s.nrhs);
    split(all, &s.routines);
    for (int i = 1; i < argc; i++) {
        char *v = i + 1 < argc ? argv[i + 1] : "";
        if (argv[i][0] != '-')
            split(argv[i], &s.routines);
        else if (!strcmp(argv[i], "--json"))
            s.json = true;
        else if (!strcmp(argv[i], "--type"))
            split(v, &s.types), i++;
        else if (!strcmp(argv[i], "--n"))
            split(v, &s.n), i++;
        else if (!strcmp(argv[i], "--nb"))
            split(v, &s.nb), i++;
        else if (!strcmp(argv[i], "--ranks"))
            split(v, &s.ranks), i++;
        else if (!strcmp(argv[i], "--kind"))
            split(v, &s.kinds), i++;
        else if (!strcmp(argv[i], "--nrhs"))
            split(v, &s.nrhs), i++;
        else if (!strcmp(argv[i], "--repeat"))
            s.base.repeat = atoi(v), i++;
        else if (!strcmp(argv[i], "--pad"))
            s.base.pad = atoll(v), i++;
        else if (!strcmp(argv[i], "--tol"))
            s.base.tol = atof(v), i++;
        else if (!strcmp(argv[i], "--check"))
            s.base.check = v[0] == 'y', i++;
        else if (!strcmp(argv[i], "--order"))
            s.base.order = v[0] == 'n' ? MLA_NATURAL : MLA_CYCLIC, i++;
        else if (!strcmp(argv[i], "--rhs"))
            s.base.rhs = v[0] == 'r' && v[1] == 'e' ? MLA_RHS_REPLICATED : MLA_RHS_ROWS, i++;
        else if (!strcmp(argv[i], "--device"))
            s.base.device = v[0] == 'c' ? MLA_CUDA : MLA_HOST, i++;
        else {
            fprintf(stderr, "tester: unknown argument %s\n", argv[i]);
            return 2;
        }
    }
    sweep(&s);
    printf("%d passed, %d failed\n", s.passed, s.failed);
    return s.failed || !s.passed;
}
