/* SPDX-License-Identifier: Apache-2.0
 * tests/c/tester_case.c: one case of the tester: P ranks as threads, each with its context and
 * its own part of the data; they make the matrix, run the routine, and check it together. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "algo/algo.h"
#include "api/api.h"
#include "engine/engine.h"
#include "tester.h"

/* What the ranks share. */
typedef struct run {
    const config_t *cfg;
    mla_desc_t desc;
    check_t check; /* its blocks are the ranks' host buffers */
    char name[64]; /* of the communicator */
    char id[MLA_NCCL_ID_BYTES];
    gen_z *x;  /* nrhs x n */
    double *w; /* n */
    double logdet, phase[2];
    int32_t info;
    int32_t *perm; /* n */
    pthread_barrier_t meet;
    double best[MAX_RANKS];
    mla_status_t status[MAX_RANKS];
    char message[MAX_RANKS][256];
    mla_comm_t *comm[MAX_RANKS];
    bool mismatch[MAX_RANKS]; /* a scalar that is not equal on all ranks */
    outcome_t out;
} run_t;

typedef struct rank {
    run_t *run;
    int p;
    mla_context_t *x;
    void *a, *z, *w, *c; /* device memory */
    double *logdet;
    int32_t *info, *perm;
    size_t block, rhs; /* bytes */
    void *host;        /* as large as a, c and w */
} rank_t;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool is_eigen(const config_t *cfg)
{
    return cfg->routine == SYEVD || cfg->routine == SYEVJ;
}

static bool is_lu(const config_t *cfg)
{
    return cfg->routine == GETRF || cfg->routine == GESV || cfg->routine == GEINV;
}

static bool has_rhs(const config_t *cfg)
{
    return cfg->routine == POSV || cfg->routine == GESV;
}

/* Right-hand side k, column j. */
static gen_z rhs_at(const void *cfg, int64_t k, int64_t j)
{
    return gen_rounded(((const config_t *)cfg)->dt,
                       CMPLX(gen_hash(31, k, j), gen_hash(32, k, j)));
}

/* Columns of this rank, and of its right-hand side: natural numbers [first, end). */
static void own_columns(const rank_t *r, bool rhs, int64_t *first, int64_t *end)
{
    bool all = rhs && r->run->cfg->rhs == MLA_RHS_REPLICATED;
    *first = all ? 0 : r->p * r->run->desc.lc;
    *end = all ? r->run->cfg->n : *first + mlai_dist_cols(&r->run->check.d, r->p);
}

/* ---- before and after ---------------------------------------------------------------------- */

static mla_status_t allocate(rank_t *r)
{
    const config_t *cfg = r->run->cfg;
    mla_context_t *x = r->x;
    size_t es = mlai_sizeof(cfg->dt);
    r->block = mlai_size_mat(r->run->desc.ld, r->run->desc.lc, es);
    r->rhs =
        mlai_size_mat(cfg->nrhs, cfg->rhs == MLA_RHS_REPLICATED ? cfg->n : r->run->desc.lc, es);
    r->host = malloc((r->block > r->rhs ? r->block : r->rhs) + 8 * (size_t)cfg->n + 64);
    if (!r->host) return mlai_fail(&x->err, MLA_NOMEM, "the tester is out of host memory");
    r->run->check.block[r->p] = r->host;
    MLAI_TRY(MLAI_BE(x, alloc, r->block + 64, &r->a));
    if (has_rhs(cfg)) MLAI_TRY(MLAI_BE(x, alloc, r->rhs + 64, &r->c));
    if (is_lu(cfg)) MLAI_TRY(MLAI_BE(x, alloc, 4 * (size_t)cfg->n + 64, (void **)&r->perm));
    if (is_eigen(cfg)) MLAI_TRY(MLAI_BE(x, alloc, 8 * (size_t)cfg->n + 64, &r->w));
    if (cfg->routine == SYEVD) MLAI_TRY(MLAI_BE(x, alloc, r->block + 64, &r->z));
    MLAI_TRY(MLAI_BE(x, alloc, 64, (void **)&r->logdet));
    return MLAI_BE(x, alloc, 64, (void **)&r->info);
}

static mla_status_t fill(rank_t *r)
{
    const config_t *cfg = r->run->cfg;
    mlai_stream_t st = mlai_stream(r->x, MLAI_STREAM_MAIN);
    gen_z *column = malloc((size_t)(cfg->n + 1) * sizeof *column);
    if (!column) return mlai_fail(&r->x->err, MLA_NOMEM, "the tester is out of host memory");
    int64_t first, end;
    own_columns(r, false, &first, &end);
    memset(r->host, 0xff, r->block); // whatever lies outside the matrix must not matter
    for (int64_t j = first; j < end; j++) {
        gen_column(r->run->check.gen, j, column);
        for (int64_t i = 0; i < cfg->n; i++)
            gen_put(cfg->dt, r->host, i + (j - first) * r->run->desc.ld, column[i]);
    }
    free(column);
    MLAI_TRY(MLAI_BE(r->x, from_host, st, r->a, r->host, r->block));
    if (!has_rhs(cfg)) return MLA_OK;
    own_columns(r, true, &first, &end);
    for (int64_t j = first; j < end; j++)
        for (int64_t k = 0; k < cfg->nrhs; k++)
            gen_put(cfg->dt, r->host, k + (j - first) * cfg->nrhs, rhs_at(cfg, k, j));
    return MLAI_BE(r->x, from_host, st, r->c, r->host, r->rhs);
}

static mla_status_t call(rank_t *r)
{
    const config_t *cfg = r->run->cfg;
    const mla_desc_t *d = &r->run->desc;
    switch (cfg->routine) {
    case POTRF: return mla_potrf(r->x, d, r->a, r->logdet, r->info);
    case POSV:
        return mla_posv(r->x, d, r->a, cfg->rhs, cfg->nrhs, r->c, mlai_max(1, cfg->nrhs),
                        r->logdet, r->info);
    case POINV: return mla_poinv(r->x, d, r->a, r->logdet, r->info);
    case POTRI:
        MLAI_TRY(mla_potrf(r->x, d, r->a, r->logdet, r->info));
        return mla_potri(r->x, d, r->a);
    case SYEVJ: return mla_syevd(r->x, d, r->a, r->w, NULL, r->info);
    case GETRF: return mla_getrf(r->x, d, r->a, r->perm, r->logdet, r->info);
    case GESV:
        return mla_gesv(r->x, d, cfg->op, r->a, r->perm, cfg->rhs, cfg->nrhs, r->c,
                        mlai_max(1, cfg->nrhs), r->logdet, r->info);
    case GEINV: return mla_geinv(r->x, d, r->a, r->perm, r->logdet, r->info);
    default: return mla_syevd(r->x, d, r->a, r->w, r->z, r->info);
    }
}

static mla_status_t to_host(rank_t *r, const void *dev, size_t bytes)
{
    mlai_stream_t st = mlai_stream(r->x, MLAI_STREAM_MAIN);
    MLAI_TRY(MLAI_BE(r->x, to_host, st, r->host, dev, bytes));
    return MLAI_BE(r->x, sync, st);
}

/* Results into what the ranks share; last the block, which stays in the host buffer. */
static mla_status_t collect(rank_t *r)
{
    run_t *run = r->run;
    const config_t *cfg = run->cfg;
    int64_t first, end;
    int32_t info;
    double det[3] = {0};
    MLAI_TRY(to_host(r, r->info, sizeof info));
    memcpy(&info, r->host, sizeof info);
    if (!is_eigen(cfg)) {
        size_t bytes = is_lu(cfg) ? sizeof det : sizeof det[0];
        MLAI_TRY(to_host(r, r->logdet, bytes));
        memcpy(det, r->host, bytes);
    }
    size_t order = is_lu(cfg) ? 4 * (size_t)cfg->n : 0;
    MLAI_TRY(to_host(r, r->perm, order));
    if (r->p == 0) {
        run->info = info;
        run->logdet = det[0];
        memcpy(run->phase, det + 1, sizeof run->phase);
        memcpy(run->perm, r->host, order);
    }
    pthread_barrier_wait(&run->meet);
    run->mismatch[r->p] = run->info != info || memcmp(&run->logdet, det, sizeof det[0]) != 0 ||
                          memcmp(run->phase, det + 1, sizeof run->phase) != 0 ||
                          memcmp(run->perm, r->host, order) != 0;
    if (is_eigen(cfg)) {
        mla_dtype_t real = mlai_real(cfg->dt);
        MLAI_TRY(to_host(r, r->w, mlai_size_mat(cfg->n, 1, mlai_sizeof(real))));
        for (int64_t i = 0; i < cfg->n; i++) {
            double wi = creal(gen_get(real, r->host, i));
            if (r->p == 0) run->w[i] = wi;
        }
    }
    if (has_rhs(cfg)) {
        MLAI_TRY(to_host(r, r->c, r->rhs));
        own_columns(r, true, &first, &end);
        bool mine = cfg->rhs != MLA_RHS_REPLICATED || r->p == cfg->nranks - 1;
        for (int64_t j = first; mine && j < end; j++)
            for (int64_t k = 0; k < cfg->nrhs; k++)
                run->x[k + j * cfg->nrhs] =
                    gen_get(cfg->dt, r->host, k + (j - first) * cfg->nrhs);
    }
    return to_host(r, cfg->routine == SYEVD ? r->z : r->a, r->block);
}

/* ---- is it right? -------------------------------------------------------------------------- */

/* log det by an unblocked Cholesky in double: small n only. */
static double logdet_of(const gen_t *g)
{
    int64_t n = g->n;
    gen_z *l = malloc((size_t)(n * n + 1) * sizeof *l);
    double sum = 0;
    for (int64_t j = 0; j < n; j++) gen_column(g, j, l + j * n);
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

/* The determinant by unblocked LU in double: small n only. z: its phase. */
static double det_of(const gen_t *g, gen_z *z)
{
    int64_t n = g->n;
    gen_z *a = malloc((size_t)(n * n + 1) * sizeof *a), sign = 1;
    double sum = 0;
    for (int64_t j = 0; j < n; j++) gen_column(g, j, a + j * n);
    for (int64_t j = 0; j < n; j++) {
        int64_t p = j;
        for (int64_t i = j; i < n; i++)
            if (cabs(a[i + j * n]) > cabs(a[p + j * n])) p = i;
        for (int64_t k = 0; k < n; k++) {
            gen_z t = a[j + k * n];
            a[j + k * n] = a[p + k * n];
            a[p + k * n] = t;
        }
        gen_z d = p == j ? a[j + j * n] : -a[j + j * n];
        double size = cabs(d);
        sum += log(size);
        sign *= size > 0 ? d / size : 0;
        for (int64_t i = j + 1; size > 0 && i < n; i++) {
            gen_z l = a[i + j * n] / a[j + j * n];
            for (int64_t k = j + 1; k < n; k++) a[i + k * n] -= l * a[j + k * n];
        }
    }
    free(a);
    *z = sign;
    return sum;
}

static double judge_det(run_t *run, char *why, size_t size)
{
    const config_t *cfg = run->cfg;
    gen_z want, got = CMPLX(run->phase[0], run->phase[1]);
    double log_want = det_of(run->check.gen, &want), n = (double)cfg->n;
    double condition = run->check.gen->condition < 1e15 ? run->check.gen->condition : 1e15;
    double unit = (fabs(log_want) + n) * (n + 1) * check_eps(cfg->dt) * (1 + condition);
    double err = fabs(run->logdet - log_want) + cabs(got - want);
    if (run->logdet == log_want) err = cabs(got - want); // both may be -inf
    if (err <= cfg->tol * unit) return 0;
    snprintf(why, size, "log |det| %.12g, expected %.12g; phase %g%+gi, expected %g%+gi",
             run->logdet, log_want, creal(got), cimag(got), creal(want), cimag(want));
    return INFINITY;
}

/* A singular matrix, or one with NaN: info, NaN for what is solved; the factor is one. */
static double judge_lu_failure(run_t *run, int p, char *why, size_t size)
{
    const config_t *cfg = run->cfg;
    const gen_t *g = run->check.gen;
    bool nan = g->kind == GEN_NANGEN;
    bool info_ok = nan ? run->info > 0 && run->info <= cfg->n
                       : run->info == (g->kind == GEN_ZERO ? 1 : g->bad + 1);
    bool det_ok = nan ? isnan(run->logdet) && isnan(run->phase[0])
                      : run->logdet == -INFINITY && run->phase[0] == 0 && run->phase[1] == 0;
    bool nan_ok = cfg->routine != GEINV || check_all_nan(&run->check, p);
    for (int64_t i = 0; cfg->routine == GESV && i < cfg->nrhs * cfg->n; i++)
        nan_ok = nan_ok && isnan(creal(run->x[i]));
    snprintf(why, size, "info %d, log |det| %g, phase %g, NaN %d", run->info, run->logdet,
             run->phase[0], nan_ok);
    double res = cfg->routine == GETRF && !nan ? check_lu(&run->check, p, run->perm) : 0;
    return info_ok && det_ok && nan_ok ? res : INFINITY;
}

/* A matrix that is not positive definite, or holds NaN: info, and NaN for the results. */
static double judge_failure(run_t *run, int p, char *why, size_t size)
{
    const config_t *cfg = run->cfg;
    int64_t want = run->check.gen->bad + 1;
    bool nan_ok = cfg->routine == SYEVJ ? isnan(run->w[0]) : check_all_nan(&run->check, p);
    if (cfg->routine == POSV)
        for (int64_t i = 0; i < cfg->nrhs * cfg->n; i++)
            nan_ok = nan_ok && isnan(creal(run->x[i]));
    if (!is_eigen(cfg)) nan_ok = nan_ok && isnan(run->logdet);
    bool info_ok = is_eigen(cfg) ? run->info > 0 : run->info == want;
    snprintf(why, size, "info %d, expected %lld; NaN %d", run->info, (long long)want, nan_ok);
    return info_ok && nan_ok ? 0 : INFINITY;
}

/* Eigenvalues alone: their order, sum and sum of squares, which are those of the diagonal and of
 * all elements. */
static double judge_values(run_t *run)
{
    double trace = 0, square = 0, size = 0;
    int64_t n = run->cfg->n;
    gen_z *column = malloc((size_t)(n + 1) * sizeof *column);
    for (int64_t j = 0; j < n; j++) {
        gen_column(run->check.gen, j, column);
        trace += creal(column[j]) - run->w[j];
        for (int64_t i = 0; i < n; i++) square += creal(column[i] * conj(column[i]));
        size += fabs(run->w[j]);
        if (j > 0 && !(run->w[j] >= run->w[j - 1])) trace = INFINITY;
    }
    free(column);
    double squares = 0;
    for (int64_t j = 0; j < n; j++) squares += run->w[j] * run->w[j];
    double unit = (double)n * check_eps(run->cfg->dt);
    double first = trace == 0 ? 0 : fabs(trace) / (size * unit);
    double second = square == squares ? 0 : fabs(square - squares) / (square * unit);
    return isnan(second) || second > first ? second : first;
}

static double judge_logdet(run_t *run, char *why, size_t size)
{
    const config_t *cfg = run->cfg;
    double want = logdet_of(run->check.gen);
    double unit = (fabs(want) + (double)cfg->n) * check_eps(cfg->dt);
    double err = cfg->n == 0 ? fabs(run->logdet) : fabs(run->logdet - want) / unit;
    // Eigenvalues of size eps |B| are not determined: neither is their logarithm.
    double condition = run->check.gen->condition;
    double tol = cfg->tol * mlai_max(1, (int64_t)(condition < 1e15 ? condition : 1e15));
    if (err <= tol) return 0;
    snprintf(why, size, "logdet %.12g, expected %.12g", run->logdet, want);
    return INFINITY;
}

/* Collective over the ranks; rank 0 writes the outcome. */
static double judge(run_t *run, int p, char *why, size_t size)
{
    const config_t *cfg = run->cfg;
    check_t *c = &run->check;
    for (int q = 0; q < cfg->nranks; q++)
        if (run->mismatch[q]) {
            snprintf(why, size, "info or logdet of rank %d are not those of rank 0", q);
            return INFINITY;
        }
    if (is_lu(cfg) && (c->gen->bad >= 0 || (c->gen->kind == GEN_ZERO && cfg->n > 0)))
        return judge_lu_failure(run, p, why, size);
    bool failing = c->gen->bad >= 0 && !(is_eigen(cfg) && c->gen->kind == GEN_INDEF);
    if (failing) return judge_failure(run, p, why, size);
    if (run->info != 0) {
        snprintf(why, size, "info %d", run->info);
        return INFINITY;
    }
    double res = 0;
    switch (cfg->routine) {
    case POTRF: res = check_factor(c, p); break;
    case POSV: res = check_solve(c, p, MLA_N, cfg->nrhs, run->x, rhs_at, cfg); break;
    case GETRF: res = check_lu(c, p, run->perm); break;
    case GESV: res = check_solve(c, p, cfg->op, cfg->nrhs, run->x, rhs_at, cfg); break;
    case GEINV: res = check_inverse(c, p); break;
    case SYEVD: res = check_eigen(c, p, run->w); break;
    case SYEVJ: res = judge_values(run); break;
    default: {
        res = check_inverse(c, p);
        double skew = check_hermitian(c, p);
        if (!(skew <= 1)) {
            snprintf(why, size, "the inverse is not Hermitian: %g eps", skew);
            return INFINITY;
        }
    }
    }
    bool singular = c->gen->kind == GEN_KERNEL; // its log det has no correct digits
    if (p == 0 && !is_eigen(cfg) && cfg->n <= 400 && !singular)
        res += is_lu(cfg) ? judge_det(run, why, size) : judge_logdet(run, why, size);
    return res;
}

/* ---- a rank's life ------------------------------------------------------------------------- */

/* NCCL takes a second or so to make a communicator: one is kept for the next case with the same
 * ranks. Each endpoint is its rank's; a case that has gone wrong leaves none behind. */
static struct {
    mla_comm_t *comm[MAX_RANKS];
    int nranks, ordinal[MAX_RANKS];
} kept;

static bool is_kept(const config_t *cfg)
{
    bool same = kept.nranks == cfg->nranks;
    for (int p = 0; p < cfg->nranks && same && cfg->ordinal_count; p++)
        same = kept.ordinal[p] == cfg->ordinal[p % cfg->ordinal_count];
    return same;
}

static void drop_kept(void)
{
    for (int p = 0; p < kept.nranks; p++) mla_comm_free(kept.comm[p]);
    memset(&kept, 0, sizeof kept);
}

/* Before the ranks start: takes what is kept, or sees to an id. */
static mla_status_t prepare_nccl(run_t *run)
{
    const config_t *cfg = run->cfg;
    if (is_kept(cfg)) {
        memcpy(run->comm, kept.comm, sizeof kept.comm);
        kept.nranks = 0;
        return MLA_OK;
    }
    drop_kept();
    return mla_nccl_id(run->id);
}

/* After they have ended: keeps, or frees. */
static void keep_nccl(run_t *run, bool good)
{
    const config_t *cfg = run->cfg;
    static bool registered;
    if (!registered) registered = atexit(drop_kept) == 0;
    memcpy(kept.comm, run->comm, sizeof kept.comm);
    kept.nranks = cfg->nranks;
    for (int p = 0; p < cfg->nranks; p++)
        kept.ordinal[p] = cfg->ordinal_count ? cfg->ordinal[p % cfg->ordinal_count] : 0;
    if (!good) drop_kept();
}

static bool by_nccl(const config_t *cfg)
{
    return strcmp(cfg->comm, "nccl") == 0;
}

static mla_status_t connect(rank_t *r, int ordinal)
{
    const config_t *cfg = r->run->cfg;
    mla_comm_t **comm = &r->run->comm[r->p];
    if (!strcmp(cfg->comm, "shm"))
        return mla_comm_create_shm(r->run->name, cfg->nranks, r->p, 60, comm);
    if (by_nccl(cfg) && *comm) return MLA_OK;
    if (by_nccl(cfg))
        return mla_comm_create_nccl(r->run->id, cfg->nranks, r->p, ordinal, 60, comm);
    if (!strcmp(cfg->comm, "peer"))
        return mla_comm_create_peer(r->run->name, cfg->nranks, r->p, ordinal, 60, comm);
    return MLA_OK; // threads: made for all ranks at once
}

static void release(rank_t *r)
{
    if (r->x) {
        void *dev[] = {r->a, r->c, r->w, r->z, r->logdet, r->info, r->perm};
        for (int k = 0; k < 7; k++) r->x->be->ops->free(r->x->be, dev[k]);
    }
    mla_context_free(r->x);
    if (!by_nccl(r->run->cfg)) mla_comm_free(r->run->comm[r->p]);
    free(r->host);
}

static bool all_ok(const run_t *run)
{
    for (int q = 0; q < run->cfg->nranks; q++)
        if (run->status[q] != MLA_OK) return false;
    return true;
}

static mla_status_t timed_calls(rank_t *r, mla_status_t st)
{
    run_t *run = r->run;
    run->best[r->p] = INFINITY;
    for (int rep = 0; rep < run->cfg->repeat; rep++) {
        if (st == MLA_OK) st = fill(r);
        if (st == MLA_OK) st = mla_context_sync(r->x);
        pthread_barrier_wait(&run->meet);
        double t = now();
        if (st == MLA_OK) st = call(r);
        if (st == MLA_OK) st = mla_context_sync(r->x);
        t = now() - t;
        if (t < run->best[r->p]) run->best[r->p] = t;
        pthread_barrier_wait(&run->meet);
    }
    return st;
}

static void *rank_main(void *arg)
{
    rank_t *r = arg;
    run_t *run = r->run;
    const config_t *cfg = run->cfg;
    mla_context_options_t opt = MLA_CONTEXT_OPTIONS_INIT;
    opt.device = cfg->device;
    opt.ordinal = cfg->ordinal_count ? cfg->ordinal[r->p % cfg->ordinal_count] : 0;
    opt.engine = cfg->engine;
    mla_status_t st = connect(r, opt.ordinal);
    opt.comm = run->comm[r->p];
    if (st == MLA_OK) st = mla_context_create(&opt, &r->x);
    if (st == MLA_OK) st = allocate(r);
    if (st != MLA_OK && opt.comm) mla_comm_abort(opt.comm, "the tester cannot go on");
    st = timed_calls(r, st);
    for (int step = 0; step < 2; step++) { // the calls; the results to the host
        run->status[r->p] = st;
        if (st != MLA_OK)
            snprintf(run->message[r->p], sizeof run->message[r->p], "%s", mla_message(r->x));
        pthread_barrier_wait(&run->meet);
        bool go_on = all_ok(run) && cfg->check;
        pthread_barrier_wait(&run->meet);
        if (!go_on) break;
        if (step == 0) {
            st = collect(r);
            continue;
        }
        outcome_t mine = {0};
        mine.residual = judge(run, r->p, mine.why, sizeof mine.why);
        if (r->p == 0) run->out = mine;
        pthread_barrier_wait(&run->meet); // the others still read this rank's block
    }
    release(r);
    return NULL;
}

/* ---- the case ------------------------------------------------------------------------------ */

static void prepare(run_t *run, const config_t *cfg, gen_t *gen)
{
    static int count;
    run->cfg = cfg;
    run->desc = (mla_desc_t)MLA_DESC_INIT(cfg->dt, cfg->n);
    run->desc.order = cfg->order;
    run->desc.precision = cfg->precision;
    run->desc.lc = mlai_max(mlai_max(1, cfg->lc), mlai_ceil_div(cfg->n, cfg->nranks));
    run->desc.ld = mlai_max(1, cfg->n) + cfg->pad;
    run->desc.nb = cfg->nb      ? cfg->nb
                   : is_lu(cfg) ? mlai_lu_tile_size(&run->desc, cfg->nranks, cfg->device)
                                : mla_tile_size(&run->desc, cfg->nranks, cfg->device);
    run->check.gen = gen;
    run->check.d = mlai_dist(cfg->n, run->desc.lc, mlai_min(run->desc.nb, run->desc.lc),
                             cfg->nranks, cfg->order);
    const mlai_engine_t *engine;
    if (mlai_engine_find(cfg->engine, cfg->device, &engine, NULL) == MLA_OK && engine->fit)
        engine->fit(&run->desc, &run->check.d, run->desc.nb);
    run->check.ld = run->desc.ld;
    run->check.meet = &run->meet;
    snprintf(run->name, sizeof run->name, "tester-%ld-%d", (long)getpid(), count++);
    run->x = malloc((size_t)(cfg->nrhs * cfg->n + 1) * sizeof(gen_z));
    run->w = malloc((size_t)(cfg->n + 1) * sizeof(double));
    run->perm = malloc((size_t)(cfg->n + 1) * sizeof(int32_t));
}

static void summarise(run_t *run, mla_status_t st)
{
    outcome_t *out = &run->out;
    for (int p = 0; p < run->cfg->nranks; p++) {
        if (run->best[p] > out->seconds) out->seconds = run->best[p];
        // A rank with a sentence of its own rather than one that heard of it.
        if (run->status[p] == MLA_OK || (st != MLA_OK && run->status[p] == MLA_PEER)) continue;
        st = run->status[p];
        snprintf(out->why, sizeof out->why, "%s: %s", mla_status_name(st), run->message[p]);
    }
    out->ok = st == MLA_OK && out->residual < run->cfg->tol;
    if (out->ok) out->why[0] = 0;
}

outcome_t run_case(const config_t *cfg)
{
    run_t *run = calloc(1, sizeof *run);
    rank_t *rank = calloc(MAX_RANKS, sizeof *rank);
    pthread_t thread[MAX_RANKS];
    gen_t gen;
    outcome_t out = {.why = "unknown kind, or out of memory"};
    if (!run || !rank || gen_init(&gen, cfg->kind, cfg->n, cfg->dt)) goto done;
    prepare(run, cfg, &gen);
    pthread_barrier_init(&run->meet, NULL, (unsigned)cfg->nranks);
    mla_status_t st =
        check_init(&run->check) || !run->x || !run->w || !run->perm ? MLA_NOMEM : MLA_OK;
    if (st == MLA_OK && !strcmp(cfg->comm, "threads"))
        st = mla_comm_create_threads(cfg->nranks, 60, run->comm);
    if (st == MLA_OK && by_nccl(cfg)) st = prepare_nccl(run);
    for (int p = 0; st == MLA_OK && p < cfg->nranks; p++) {
        rank[p] = (rank_t){.run = run, .p = p};
        if (pthread_create(&thread[p], NULL, rank_main, &rank[p])) abort(); // others would wait
    }
    for (int p = 0; st == MLA_OK && p < cfg->nranks; p++) pthread_join(thread[p], NULL);
    if (by_nccl(cfg)) keep_nccl(run, st == MLA_OK && all_ok(run));
    summarise(run, st);
    out = run->out;
    pthread_barrier_destroy(&run->meet);
    check_free(&run->check);
    free(run->x);
    free(run->w);
    free(run->perm);
    gen_free(&gen);
done:
    free(rank);
    free(run);
    return out;
}
