/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_args.c: the public functions with wrong, empty and extreme arguments: the status,
 * the sentence that names the argument, on every rank, also when one rank alone is wrong; quick
 * returns; work space, as announced, as taken, and against the size of a shard. */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/algo.h"

static int failures, passed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define CHECK(cond, ...)                                   \
    do {                                                   \
        bool ok_ = (cond);                                 \
        pthread_mutex_lock(&lock);                         \
        if (ok_)                                           \
            passed++;                                      \
        else if (failures++ < 20) {                        \
            printf("FAIL line %d: %s: ", __LINE__, #cond); \
            printf(__VA_ARGS__);                           \
            printf("\n");                                  \
        }                                                  \
        pthread_mutex_unlock(&lock);                       \
    } while (0)

/* ---- a call and its mistakes ----------------------------------------------------------------
 */

enum { N = 5, NRHS = 2, MAX_P = 8 };
enum { POTRF = 1, POTRS = 2, POSV = 4, POTRI = 8, POINV = 16, SYEVD = 32 };
enum { GETRF = 64, GETRS = 128, GESV = 256, GETRI = 512, GEINV = 1024, ALL = 2047 };
enum { LU = GETRF | GETRS | GESV | GETRI | GEINV, RHS = POTRS | POSV | GETRS | GESV };
enum { INFO = POTRF | POSV | POINV | SYEVD | GETRF | GESV | GEINV };
static const int routines[] = {POTRF, POTRS, POSV, POTRI, POINV, SYEVD,
                               GETRF, GETRS, GESV, GETRI, GEINV};
static const char *const names[] = {"potrf", "potrs", "posv", "potri", "poinv", "syevd",
                                    "getrf", "getrs", "gesv", "getri", "geinv"};
enum { ROUTINES = 11 };

typedef struct args {
    const mla_desc_t *desc;
    mla_desc_t own;
    void *a, *c, *w, *z;
    double *logdet;
    int32_t *info, *perm;
    mla_op_t op;
    mla_rhs_t rhs;
    int64_t nrhs, ldc;
} args_t;

static mla_status_t call(mla_context_t *x, int routine, const args_t *f)
{
    switch (routine) {
    case POTRF: return mla_potrf(x, f->desc, f->a, f->logdet, f->info);
    case POTRS: return mla_potrs(x, f->desc, f->a, f->rhs, f->nrhs, f->c, f->ldc);
    case POSV:
        return mla_posv(x, f->desc, f->a, f->rhs, f->nrhs, f->c, f->ldc, f->logdet, f->info);
    case POTRI: return mla_potri(x, f->desc, f->a);
    case POINV: return mla_poinv(x, f->desc, f->a, f->logdet, f->info);
    case GETRF: return mla_getrf(x, f->desc, f->a, f->perm, f->logdet, f->info);
    case GETRS: return mla_getrs(x, f->desc, f->op, f->a, f->perm, f->rhs, f->nrhs, f->c, f->ldc);
    case GESV:
        return mla_gesv(x, f->desc, f->op, f->a, f->perm, f->rhs, f->nrhs, f->c, f->ldc,
                        f->logdet, f->info);
    case GETRI: return mla_getri(x, f->desc, f->a, f->perm);
    case GEINV: return mla_geinv(x, f->desc, f->a, f->perm, f->logdet, f->info);
    default: return mla_syevd(x, f->desc, f->a, f->w, f->z, f->info);
    }
}

// clang-format off
#define MISTAKES(XX) \
    XX("desc", ALL, f->desc = NULL) \
    XX("desc->size", ALL, f->own.size = 8) \
    XX("desc->dtype", ALL, f->own.dtype = (mla_dtype_t)4) \
    XX("desc->dtype", ALL, f->own.dtype = (mla_dtype_t)-1) \
    XX("desc->order", ALL, f->own.order = (mla_order_t)2) \
    XX("desc->order", SYEVD, f->own.order = MLA_NATURAL) \
    XX("desc->n", ALL, f->own.n = -1) \
    XX("desc->n", ALL, f->own.n = (int64_t)1 << 31) \
    XX("desc->lc", ALL, f->own.lc = -1) \
    XX("desc->lc", ALL, f->own.lc = 1) \
    XX("desc->lc", ALL, f->own.lc = INT64_MAX) \
    XX("desc->ld", ALL, f->own.ld = N - 1) \
    XX("desc->ld", ALL, f->own.ld = -1) \
    XX("desc->nb", ALL, f->own.nb = -1) \
    XX("a", ALL, f->a = NULL) \
    XX("info", INFO, f->info = NULL) \
    XX("perm", LU, f->perm = NULL) \
    XX("op", GETRS | GESV, f->op = (mla_op_t)3) \
    XX("rhs", RHS, f->rhs = (mla_rhs_t)2) \
    XX("nrhs", RHS, f->nrhs = -1) \
    XX("nrhs", RHS, f->nrhs = (int64_t)1 << 31) \
    XX("ldc", RHS, f->ldc = NRHS - 1) \
    XX("ldc", RHS, (f->nrhs = 0, f->ldc = 0)) \
    XX("c", RHS, f->c = NULL) \
    XX("c", RHS, (f->c = NULL, f->rhs = MLA_RHS_REPLICATED)) \
    XX("w", SYEVD, f->w = NULL)
// clang-format on

enum {
    MISTAKE_COUNT = 0
#define XX(name, which, mistake) +1
    MISTAKES(XX)
#undef XX
};

/* Makes mistake k; the argument's name, or NULL if `routine` has no such argument. */
static const char *make_mistake(args_t *f, int k, int routine)
{
    int at = 0;
#define XX(name, which, mistake)             \
    if (k == at++) {                         \
        if (!((which)&routine)) return NULL; \
        mistake;                             \
        return name;                         \
    }
    MISTAKES(XX)
#undef XX
    return NULL;
}

/* The sentence begins with the name, or comes from another rank and goes on with it. */
static bool names_it(const char *sentence, const char *name)
{
    char at_once[64], later[64];
    snprintf(at_once, sizeof at_once, "%s ", name);
    snprintf(later, sizeof later, ": %s ", name);
    return strncmp(sentence, at_once, strlen(at_once)) == 0 || strstr(sentence, later) != NULL;
}

/* ---- ranks -----------------------------------------------------------------------------------
 */

typedef struct rank {
    mla_comm_t *comm;
    int p, nranks;
    mla_context_t *x;
} rank_t;

typedef void body_fn(rank_t *r);

typedef struct job {
    rank_t rank;
    body_fn *body;
} job_t;

static void *job_main(void *arg)
{
    job_t *job = arg;
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    options.comm = job->rank.comm;
    CHECK(mla_context_create(&options, &job->rank.x) == MLA_OK, "%s", mla_message(NULL));
    if (job->rank.x) job->body(&job->rank);
    mla_context_free(job->rank.x);
    return NULL;
}

/* `body` on P ranks; P = 1: without communicator. */
static void on_ranks(int nranks, body_fn *body)
{
    mla_comm_t *comm[MAX_P] = {NULL};
    pthread_t thread[MAX_P];
    job_t job[MAX_P];
    if (nranks > 1)
        CHECK(mla_comm_create_threads(nranks, 20, comm) == MLA_OK, "%s", mla_message(NULL));
    for (int p = 0; p < nranks; p++) {
        job[p] = (job_t){.rank = {.comm = comm[p], .p = p, .nranks = nranks}, .body = body};
        if (pthread_create(&thread[p], NULL, job_main, &job[p])) exit(1);
    }
    for (int p = 0; p < nranks; p++) pthread_join(thread[p], NULL);
    for (int p = 0; p < nranks; p++) mla_comm_free(comm[p]);
}

/* Arguments that are right, for the identity of order N; buffers are large enough for any rank.
 */
typedef struct buffers {
    double a[N * N], c[NRHS * N], w[N], z[N * N], logdet[3];
    int32_t info, perm[N];
} buffers_t;

static args_t good_args(const rank_t *r, buffers_t *b)
{
    int64_t lc = mlai_ceil_div(N, r->nranks);
    *b = (buffers_t){.logdet = {-1}, .info = -1};
    for (int64_t jl = 0; jl < lc && r->p * lc + jl < N; jl++) b->a[r->p * lc + jl + jl * N] = 1;
    for (int k = 0; k < NRHS * N; k++) b->c[k] = k;
    args_t f = {.own = MLA_DESC_INIT(MLA_FLOAT64, N),
                .a = b->a,
                .c = b->c,
                .w = b->w,
                .z = b->z,
                .logdet = b->logdet,
                .info = &b->info,
                .perm = b->perm,
                .nrhs = NRHS,
                .ldc = NRHS};
    f.own.nb = 1;
    return f;
}

/* `who` < 0: all ranks make the mistake. */
static void one_mistake(rank_t *r, int k, int which, int who)
{
    buffers_t b;
    args_t f = good_args(r, &b), wrong = f;
    f.desc = &f.own;
    wrong.desc = &wrong.own;
    const char *name = make_mistake(&wrong, k, routines[which]);
    if (!name) return;
    bool mine = who < 0 || who == r->p;
    mla_status_t st = call(r->x, routines[which], mine ? &wrong : &f);
    CHECK(st == (mine ? MLA_ARG : MLA_PEER), "%s, %s wrong on rank %d: rank %d of %d: %s",
          names[which], name, who, r->p, r->nranks, mla_status_name(st));
    CHECK(names_it(mla_message(r->x), name), "%s, %s: the sentence is '%s'", names[which], name,
          mla_message(r->x));
}

/* All went well before: the same communicator still works. */
static void one_success(rank_t *r, int which)
{
    buffers_t b;
    args_t f = good_args(r, &b);
    f.desc = &f.own;
    if (routines[which] & (GETRS | GETRI))
        CHECK(call(r->x, GETRF, &f) == MLA_OK, "getrf: %s", mla_message(r->x));
    if (routines[which] & (POTRS | POTRI))
        CHECK(call(r->x, POTRF, &f) == MLA_OK, "potrf: %s", mla_message(r->x));
    mla_status_t st = call(r->x, routines[which], &f);
    CHECK(st == MLA_OK, "%s: %s", names[which], mla_message(r->x));
    CHECK(!strcmp(mla_message(r->x), ""), "a sentence after success");
    if (routines[which] & INFO) CHECK(b.info == 0, "%s: info %d", names[which], b.info);
    if (routines[which] & RHS)
        for (int k = 0; k < NRHS; k++) CHECK(b.c[k] == k, "%s: x is wrong", names[which]);
}

static void test_mistakes(rank_t *r)
{
    for (int which = 0; which < ROUTINES; which++) {
        for (int k = 0; k < MISTAKE_COUNT; k++) {
            one_mistake(r, k, which, -1);
            if (r->nranks > 1) one_mistake(r, k, which, 1);
        }
        one_success(r, which);
    }
}

/* ---- quick returns ----------------------------------------------------------------------------
 */

static void test_empty(rank_t *r)
{
    for (int which = 0; which < ROUTINES; which++)
        for (int dt = 0; dt < 4; dt++) {
            double logdet[3] = {-1};
            int32_t info = -1;
            args_t f = {.own = MLA_DESC_INIT((mla_dtype_t)dt, 0), .nrhs = 3, .ldc = 3};
            f.desc = &f.own;
            f.logdet = logdet;
            f.info = &info;
            mla_status_t st = call(r->x, routines[which], &f);
            CHECK(st == MLA_OK, "%s, n = 0: %s", names[which], mla_message(r->x));
            if (routines[which] & INFO & ~SYEVD)
                CHECK(info == 0 && logdet[0] == 0, "%s, n = 0: info %d", names[which], info);
            if (routines[which] & (GETRF | GESV | GEINV))
                CHECK(logdet[1] == 1 && logdet[2] == 0, "%s, n = 0: the sign", names[which]);
            if (routines[which] == SYEVD) CHECK(info == 0, "syevd, n = 0: info %d", info);
        }
    // No right-hand sides: posv still factors, c may be NULL.
    buffers_t b;
    args_t f = good_args(r, &b);
    f.desc = &f.own;
    f.nrhs = 0;
    f.c = NULL;
    f.ldc = 1;
    CHECK(call(r->x, POSV, &f) == MLA_OK, "posv, nrhs = 0: %s", mla_message(r->x));
    CHECK(b.info == 0 && b.logdet[0] == 0, "posv, nrhs = 0: info %d", b.info);
    CHECK(call(r->x, POTRS, &f) == MLA_OK, "potrs, nrhs = 0: %s", mla_message(r->x));
    // logdet is optional.
    f = good_args(r, &b);
    f.desc = &f.own;
    f.logdet = NULL;
    CHECK(call(r->x, POSV, &f) == MLA_OK, "posv, no logdet: %s", mla_message(r->x));
}

/* Ranks without columns pass NULL for what they do not have. */
static void test_few_columns(rank_t *r)
{
    int64_t n = 3, have = r->p < n;
    double a[3] = {0, 0, 0}, c = 7, logdet = -1;
    if (have) a[r->p] = 2;
    int32_t info = -1;
    mla_desc_t desc = MLA_DESC_INIT(MLA_FLOAT64, n);
    mla_status_t st = mla_posv(r->x, &desc, have ? a : NULL, MLA_RHS_ROWS, 1, have ? &c : NULL, 1,
                               &logdet, &info);
    CHECK(st == MLA_OK, "n < P: %s", mla_message(r->x));
    CHECK(info == 0 && fabs(logdet - 3 * log(2)) < 1e-13, "n < P: logdet %g", logdet);
    const double tiny = 1e-14;
    CHECK(!have || fabs(c - 3.5) < tiny, "n < P: x is %g", c);
    int32_t perm[3];
    double det[3];
    if (have) a[0] = a[1] = a[2] = 0, a[(r->p + 1) % 3] = 2;
    st = mla_geinv(r->x, &desc, have ? a : NULL, perm, det, &info);
    CHECK(st == MLA_OK && (!have || fabs(a[(r->p + 2) % 3] - 0.5) < tiny), "n < P: geinv: %s",
          mla_message(r->x));
    CHECK(fabs(det[0] - 3 * log(2)) < 1e-13 && det[1] == 1, "n < P: det %g %g", det[0], det[1]);
    if (have) a[0] = a[1] = a[2] = 0, a[r->p] = 2;
    st = mla_poinv(r->x, &desc, have ? a : NULL, NULL, &info);
    CHECK(st == MLA_OK && (!have || fabs(a[r->p] - 0.5) < tiny), "n < P: poinv: %s",
          mla_message(r->x));
}

/* ---- without context
 * --------------------------------------------------------------------------- */

static void expect(mla_status_t st, mla_status_t want, const char *name)
{
    CHECK(st == want, "%s: %s", name, mla_status_name(st));
    CHECK(strstr(mla_message(NULL), name) != NULL, "%s: the sentence is '%s'", name,
          mla_message(NULL));
}

static void *no_memory(void *user, size_t bytes)
{
    (void)user;
    (void)bytes;
    return NULL;
}

static void no_free(void *user, void *ptr)
{
    (void)user;
    (void)ptr;
}

static void test_context(void)
{
    mla_context_options_t o = MLA_CONTEXT_OPTIONS_INIT, bad = o;
    mla_context_t *x = NULL;
    expect(mla_context_create(&o, NULL), MLA_ARG, "ctx");
    expect(mla_context_create(NULL, &x), MLA_ARG, "options");
    bad.size = 4;
    expect(mla_context_create(&bad, &x), MLA_ARG, "options->size");
    bad = o;
    bad.device = (mla_device_t)7;
    expect(mla_context_create(&bad, &x), MLA_ARG, "options->device");
    bad = o;
    bad.alloc = no_memory;
    expect(mla_context_create(&bad, &x), MLA_ARG, "options->free");
    bad = o;
    bad.free = no_free;
    expect(mla_context_create(&bad, &x), MLA_ARG, "options->alloc");
    mlai_comm_ops_t ops = {.name = "other", .device = MLA_CUDA};
    mla_comm_t other = {.ops = &ops, .nranks = 1};
    bad = o;
    bad.comm = &other;
    expect(mla_context_create(&bad, &x), MLA_ARG, "options->comm");
    CHECK(!x, "a context in spite of a mistake");
    expect(mla_context_sync(NULL), MLA_ARG, "ctx");
    args_t f = {.own = MLA_DESC_INIT(MLA_FLOAT64, 1)};
    f.desc = &f.own;
    for (int which = 0; which < ROUTINES; which++)
        expect(call(NULL, routines[which], &f), MLA_ARG, "ctx");
    mla_context_free(NULL);
    expect(mla_host_blas(NULL, NULL, 3), MLA_ARG, "table");
    // An allocator that has nothing: a sentence, and the context is good for a smaller problem.
    bad = o;
    bad.alloc = no_memory;
    bad.free = no_free;
    CHECK(mla_context_create(&bad, &x) == MLA_OK, "%s", mla_message(NULL));
    rank_t r = {.nranks = 1, .x = x};
    buffers_t b;
    f = good_args(&r, &b);
    f.desc = &f.own;
    CHECK(call(x, POTRF, &f) == MLA_NOMEM, "no memory is not MLA_NOMEM");
    CHECK(strstr(mla_message(x), "memory") != NULL, "the sentence is '%s'", mla_message(x));
    f.own.n = 0;
    CHECK(call(x, POTRF, &f) == MLA_OK, "n = 0 after MLA_NOMEM: %s", mla_message(x));
    mla_context_free(x);
}

static void test_names(void)
{
#define XX(name, value, text)                                                    \
    CHECK(!strcmp(mla_status_name(MLA_##name), "MLA_" #name), "name of " #name); \
    CHECK(!strcmp(mla_status_text(MLA_##name), text), "text of " #name);
    MLA_STATUS_LIST(XX)
#undef XX
    CHECK(mla_status_name((mla_status_t)99)[0] != 0, "an unknown status has no name");
    CHECK(mla_status_text((mla_status_t)99)[0] != 0, "an unknown status has no text");
    CHECK(mla_version() ==
              10000 * MLA_VERSION_MAJOR + 100 * MLA_VERSION_MINOR + MLA_VERSION_PATCH,
          "version %d", mla_version());
}

/* ---- work space
 * -------------------------------------------------------------------------------- */

static void test_workspace_mistakes(void)
{
    mla_desc_t desc = MLA_DESC_INIT(MLA_FLOAT64, 100), bad = desc;
    size_t bytes = 1;
    expect(mla_workspace(MLA_POTRF, &desc, 2, MLA_HOST, 1, NULL), MLA_ARG, "bytes");
    expect(mla_workspace(MLA_POTRF, NULL, 2, MLA_HOST, 1, &bytes), MLA_ARG, "desc");
    expect(mla_workspace(MLA_POTRF, &desc, 0, MLA_HOST, 1, &bytes), MLA_ARG, "nranks");
    expect(mla_workspace(MLA_POTRF, &desc, 2, MLA_HOST, -1, &bytes), MLA_ARG, "nrhs");
    expect(mla_workspace((mla_routine_t)99, &desc, 2, MLA_HOST, 1, &bytes), MLA_ARG, "routine");
    expect(mla_workspace(MLA_POTRF, &desc, 2, (mla_device_t)5, 1, &bytes), MLA_ARG, "device");
    bad.ld = 3;
    expect(mla_workspace(MLA_POTRF, &bad, 2, MLA_HOST, 1, &bytes), MLA_ARG, "desc->ld");
    bad = desc;
    bad.n = INT32_MAX;
    bad.ld = INT64_MAX / 16;
    expect(mla_workspace(MLA_POTRF, &bad, 1, MLA_HOST, 1, &bytes), MLA_SIZE, "desc");
    CHECK(bytes == 0, "bytes is %zu after a mistake", bytes);
    CHECK(mla_tile_size(NULL, 1, MLA_HOST) == 1, "tile without desc");
}

/* A fifth of the shard and one tile column, for what fills a device's memory. */
static void test_workspace_share(void)
{
    static const mla_routine_t list[] = {MLA_POTRF, MLA_POTRS, MLA_POTRI, MLA_POINV,
                                         MLA_GETRF, MLA_GETRS, MLA_GETRI, MLA_GEINV};
    for (int dt = 0; dt < 4; dt++)
        for (int64_t n = 4096; n <= 524288; n += n / 2 + 17)
            for (int nranks = 1; nranks <= 8; nranks++)
                for (int device = MLA_HOST; device <= MLA_CUDA; device++) {
                    mla_desc_t desc = MLA_DESC_INIT((mla_dtype_t)dt, n);
                    double es = (double)mlai_sizeof(desc.dtype);
                    double shard = (double)n * (double)mlai_ceil_div(n, nranks) * es;
                    int64_t nb = mla_tile_size(&desc, nranks, (mla_device_t)device);
                    double most = 0.2 * shard + (double)n * (double)nb * es;
                    if (device == MLA_CUDA && (n / nranks < 1500 || nb == n)) continue;
                    if (device == MLA_HOST && n / nranks < 704) continue;
                    for (size_t k = 0; k < sizeof list / sizeof list[0]; k++)
                        for (int64_t nrhs = 1; nrhs <= 1000; nrhs += 999) {
                            size_t bytes = 0;
                            mla_status_t st = mla_workspace(list[k], &desc, nranks,
                                                            (mla_device_t)device, nrhs, &bytes);
                            CHECK(st == MLA_OK && bytes > 0 && (double)bytes <= most,
                                  "routine %d n %lld P %d device %d nb %lld: %.3g bytes, at most "
                                  "%.3g",
                                  (int)list[k], (long long)n, nranks, device, (long long)nb,
                                  (double)bytes, most);
                        }
                }
}

/* What a rank takes: scratch through the context's allocator, windows through the table. */
typedef struct meter {
    size_t live, most, window;
} meter_t;
static _Thread_local meter_t meter;
static const mlai_comm_ops_t *inner_ops;

static void *metered_alloc(void *user, size_t bytes)
{
    (void)user;
    size_t *block = aligned_alloc(64, bytes + 256);
    if (!block) return NULL;
    *block = bytes;
    meter.live += bytes;
    if (meter.live > meter.most) meter.most = meter.live;
    return (char *)block + 256;
}

static void metered_free(void *user, void *ptr)
{
    (void)user;
    size_t *block = (size_t *)(void *)((char *)ptr - 256);
    meter.live -= *block;
    free(block);
}

static mla_status_t metered_window(mla_comm_t *c, size_t bytes, void **base, mlai_error_t *err)
{
    if (bytes > meter.window) meter.window = bytes;
    return inner_ops->window(c, bytes, base, err);
}

static void measure(const rank_t *r, mla_comm_t *comm, int which, mla_routine_t routine, int dt,
                    int64_t nb, int64_t nrhs)
{
    enum { ORDER = 61 };
    mla_context_options_t o = MLA_CONTEXT_OPTIONS_INIT;
    o.comm = comm;
    o.alloc = metered_alloc;
    o.free = metered_free;
    mla_context_t *x = NULL;
    meter = (meter_t){0};
    CHECK(mla_context_create(&o, &x) == MLA_OK, "%s", mla_message(NULL));
    int64_t lc = mlai_ceil_div(ORDER, r->nranks);
    size_t es = mlai_sizeof((mla_dtype_t)dt);
    double logdet[3];
    int32_t info, perm[ORDER];
    for (int i = 0; i < ORDER; i++) perm[i] = i;
    args_t f = {.own = MLA_DESC_INIT((mla_dtype_t)dt, ORDER),
                .a = calloc((size_t)(ORDER * lc), es),
                .c = calloc((size_t)(nrhs * lc), es),
                .w = calloc(ORDER, es),
                .z = calloc((size_t)(ORDER * lc), es),
                .logdet = logdet,
                .info = &info,
                .perm = perm,
                .nrhs = nrhs,
                .ldc = nrhs};
    f.own.nb = nb;
    f.desc = &f.own;
    if (routine == MLA_SYEVD_VALUES) {
        free(f.z);
        f.z = NULL;
    }
    CHECK(call(x, routines[which], &f) == MLA_OK, "%s", mla_message(x));
    size_t taken = meter.most + meter.window, bytes = 0;
    CHECK(mla_workspace(routine, &f.own, r->nranks, MLA_HOST, nrhs, &bytes) == MLA_OK, "%s",
          mla_message(NULL));
    // Each piece may be rounded up to 256 bytes.
    CHECK(taken <= bytes + 512 && bytes <= taken + 512,
          "%s, type %c, P %d, nb %lld: takes %zu, announced %zu", names[which], "sdcz"[dt],
          r -> nranks, (long long)nb, taken, bytes);
    mla_context_free(x);
    CHECK(meter.live == 0, "%s: %zu bytes live at the end", names[which], meter.live);
    free(f.a);
    free(f.c);
    free(f.w);
    free(f.z);
}

static void test_workspace_taken(rank_t *r)
{
    static const struct {
        int which;
        mla_routine_t routine;
        int64_t nrhs;
    } list[] = {{0, MLA_POTRF, 1},   {1, MLA_POTRS, 1},        {1, MLA_POTRS, 70},
                {1, MLA_POTRS, 700}, {3, MLA_POTRI, 1},        {4, MLA_POINV, 1},
                {5, MLA_SYEVD, 1},   {5, MLA_SYEVD_VALUES, 1}, {6, MLA_GETRF, 1},
                {7, MLA_GETRS, 1},   {7, MLA_GETRS, 700},      {9, MLA_GETRI, 1},
                {10, MLA_GEINV, 1}};
    mlai_comm_ops_t outer = r->comm ? *r->comm->ops : (mlai_comm_ops_t){0};
    outer.window = metered_window;
    if (r->comm) r->comm->ops = &outer;
    for (size_t k = 0; k < sizeof list / sizeof list[0]; k++)
        for (int dt = 0; dt < 4; dt++)
            for (int64_t nb = 0; nb <= 14; nb += 7)
                measure(r, r->comm, list[k].which, list[k].routine, dt, nb, list[k].nrhs);
    if (r->comm) r->comm->ops = inner_ops;
}

int main(void)
{
    mla_comm_t *comm[1];
    if (mla_comm_create_threads(1, 1, comm)) return 1;
    inner_ops = comm[0]->ops;
    mla_comm_free(comm[0]);
    test_names();
    test_context();
    test_workspace_mistakes();
    test_workspace_share();
    static const int nranks[] = {1, 2, 3};
    for (int k = 0; k < 3; k++) {
        on_ranks(nranks[k], test_mistakes);
        on_ranks(nranks[k], test_empty);
        on_ranks(nranks[k], test_workspace_taken);
    }
    on_ranks(5, test_few_columns);
    on_ranks(8, test_empty);
    printf("unit_args: %d passed, %d failed\n", passed, failures);
    return failures != 0;
}
