/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_comm.c: communicators in host memory. Random sequences of collectives, the same
 * on all ranks, are checked byte by byte against what they should have moved; ranks are delayed
 * at random and sources are overwritten as soon as `reuse` allows. Then failures: each must reach
 * all ranks, in time, with the sentence. Ranks are threads, and processes.
 *
 *     unit_comm                 the test
 *     unit_comm time P bytes    microseconds of a bcast and an allgather, threads and processes
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "comm/comm.h"
#include "core/size.h"

static int passed, failed;

#define CHECK(cond, ...)                                   \
    do {                                                   \
        if (cond) {                                        \
            passed++;                                      \
        } else if (failed++ < 10) {                        \
            printf("FAIL line %d: %s: ", __LINE__, #cond); \
            printf(__VA_ARGS__);                           \
            printf("\n");                                  \
        }                                                  \
    } while (0)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void sleep_s(double s)
{
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
    nanosleep(&t, NULL);
}

/* ---- running P ranks --------------------------------------------------------------------- */

enum { MAX_RANKS = 16 };
typedef enum kind { THREADS, PROCESSES } kind_t;
static const char *const kind_name[] = {"threads", "processes"};

/* What a rank hands back, in memory that all processes share. */
typedef struct result {
    mla_status_t status;
    int wrong; /* bytes */
    double seconds;
    char why[MLAI_MESSAGE_MAX];
} result_t;

typedef void (*body_t)(mla_comm_t *c, unsigned seed, result_t *r);

typedef struct job {
    kind_t kind;
    body_t body;
    unsigned seed;
    double timeout_s;
    int nranks, absent; /* absent: rank that never comes; -1 */
    char name[64];
    result_t *result;
    mla_comm_t *comm[MAX_RANKS]; /* THREADS */
} job_t;

typedef struct seat {
    job_t *job;
    int rank;
} seat_t;

static void *run_rank(void *arg)
{
    job_t *job = ((seat_t *)arg)->job;
    int rank = ((seat_t *)arg)->rank;
    result_t *r = &job->result[rank];
    mla_comm_t *c = job->comm[rank];
    double t = now();
    r->status = MLA_OK;
    if (job->kind == PROCESSES)
        r->status = mla_comm_create_shm(job->name, job->nranks, rank, job->timeout_s, &c);
    if (r->status != MLA_OK)
        snprintf(r->why, sizeof r->why, "%s", mla_message(NULL));
    else
        job->body(c, job->seed, r);
    r->seconds = now() - t;
    mla_comm_free(c);
    return NULL;
}

static void run_threads(job_t *job)
{
    pthread_t thread[MAX_RANKS];
    seat_t seat[MAX_RANKS];
    if (mla_comm_create_threads(job->nranks, job->timeout_s, job->comm) != MLA_OK) {
        CHECK(0, "%s", mla_message(NULL));
        return;
    }
    for (int p = 0; p < job->nranks; p++) {
        seat[p] = (seat_t){job, p};
        if (p != job->absent) pthread_create(&thread[p], NULL, run_rank, &seat[p]);
    }
    for (int p = 0; p < job->nranks; p++)
        if (p != job->absent) pthread_join(thread[p], NULL);
    if (job->absent >= 0) mla_comm_free(job->comm[job->absent]);
}

static void run_processes(job_t *job)
{
    pid_t child[MAX_RANKS];
    fflush(stdout);
    for (int p = 0; p < job->nranks; p++) {
        child[p] = -1;
        if (p == job->absent) continue;
        child[p] = fork();
        if (child[p] == 0) {
            seat_t seat = {job, p};
            run_rank(&seat);
            exit(0); // runs the leak checker
        }
        CHECK(child[p] > 0, "fork");
    }
    for (int p = 0; p < job->nranks; p++) {
        int status = 0;
        if (child[p] > 0) waitpid(child[p], &status, 0);
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        CHECK(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0), "rank %d: status %x", p,
              (unsigned)status);
    }
}

/* Results of all ranks; of one that died: status 1. */
static result_t *run(kind_t kind, int nranks, int absent, double timeout_s, unsigned seed,
                     body_t body)
{
    static int number;
    static result_t *result;
    static job_t job;
    if (!result)
        result = mmap(NULL, MAX_RANKS * sizeof *result, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(result, 0, MAX_RANKS * sizeof *result);
    for (int p = 0; p < nranks; p++) result[p].status = (mla_status_t)1;
    job = (job_t){.kind = kind,
                  .body = body,
                  .seed = seed,
                  .timeout_s = timeout_s,
                  .nranks = nranks,
                  .absent = absent,
                  .result = result};
    snprintf(job.name, sizeof job.name, "unit-comm-%d-%d", (int)getpid(), number++);
    if (kind == THREADS)
        run_threads(&job);
    else
        run_processes(&job);
    return result;
}

/* ---- random sequences -------------------------------------------------------------------- */

enum { REGIONS = 4, BLOCK = 512, STEPS = 300 };

/* Cheap generator; every rank draws the same numbers from `seed`. */
static unsigned draw(unsigned *state, unsigned n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % n;
}

/* Byte i of what rank q has in its source for step s. */
static unsigned char pattern(int q, int s, size_t i)
{
    return (unsigned char)(131 * (unsigned)q + 29 * (unsigned)s + 7 * (unsigned)i +
                           ((unsigned)i >> 8));
}

static void fill(unsigned char *a, size_t n, int q, int s)
{
    for (size_t i = 0; i < n; i++) a[i] = pattern(q, s, i);
}

/* a[0..n-1] against bytes first.. of the source of rank q. */
static int differ(const unsigned char *a, size_t n, int q, int s, size_t first)
{
    int wrong = 0;
    for (size_t i = 0; i < n; i++) wrong += a[i] != pattern(q, s, first + i);
    return wrong;
}

typedef struct walk {
    mla_comm_t *c;
    unsigned common, own; /* random states: of all ranks; of this one */
    unsigned char *base;
    size_t region, bytes;
    uint64_t read[REGIONS]; /* collective that read the region last */
    mlai_error_t err;
    int wrong;
} walk_t;

static void dawdle(walk_t *w)
{
    if (draw(&w->own, 16) == 0) sleep_s(1e-6 * draw(&w->own, 300));
}

static mla_status_t bcast_step(walk_t *w, int s, size_t i, size_t bytes)
{
    mla_comm_t *c = w->c;
    int root = (int)draw(&w->common, (unsigned)c->nranks);
    size_t skip = draw(&w->common, 64), off = i * w->region + skip;
    if (skip + bytes > w->region) bytes = w->region - skip;
    if (c->rank == root) {
        MLAI_TRY(c->ops->reuse(c, NULL, w->read[i], &w->err));
        fill(w->base + off, bytes, root, s);
    }
    dawdle(w);
    MLAI_TRY(c->ops->bcast(c, NULL, off, bytes, root, &w->err));
    if (c->rank == root) w->read[i] = c->seq;
    w->wrong += differ(w->base + off, bytes, root, s, 0);
    return MLA_OK;
}

static mla_status_t all_step(walk_t *w, int s, size_t i, size_t bytes)
{
    mla_comm_t *c = w->c;
    bool gather = draw(&w->common, 2), in_place = gather && draw(&w->common, 2);
    size_t j = (i + 1 + draw(&w->common, REGIONS - 1)) % REGIONS, p = (size_t)c->rank;
    size_t nranks = (size_t)c->nranks;
    if (bytes > BLOCK) bytes = BLOCK;
    size_t dst = j * w->region, src = in_place ? dst + p * bytes : i * w->region;
    if (in_place) i = j;
    MLAI_TRY(c->ops->reuse(c, NULL, w->read[i], &w->err));
    fill(w->base + src, gather ? bytes : nranks * bytes, c->rank, s);
    dawdle(w);
    if (gather)
        MLAI_TRY(c->ops->allgather(c, NULL, src, dst, bytes, &w->err));
    else
        MLAI_TRY(c->ops->alltoall(c, NULL, src, dst, bytes, &w->err));
    w->read[i] = c->seq;
    for (size_t q = 0; q < nranks; q++)
        w->wrong += differ(w->base + dst + q * bytes, bytes, (int)q, s, gather ? 0 : p * bytes);
    return MLA_OK;
}

static mla_status_t grow_step(walk_t *w, size_t bytes)
{
    void *base;
    MLAI_TRY(w->c->ops->window(w->c, bytes, &base, &w->err));
    w->base = base;
    if (bytes > w->bytes) {
        memset(base, 0, bytes);
        w->bytes = bytes;
    }
    return MLA_OK;
}

static mla_status_t walk_steps(walk_t *w)
{
    size_t all = REGIONS * w->region;
    MLAI_TRY(grow_step(w, all));
    for (int s = 0; s < STEPS; s++) {
        size_t i = draw(&w->common, REGIONS);
        size_t bytes = draw(&w->common, 8) ? draw(&w->common, (unsigned)w->region) : 0;
        switch (draw(&w->common, 12)) {
        case 0: MLAI_TRY(w->c->ops->agree(w->c, MLA_OK, &w->err)); break;
        case 1: MLAI_TRY(grow_step(w, all + (size_t)draw(&w->common, 100) * 1000)); break;
        case 2:
        case 3:
        case 4:
        case 5: MLAI_TRY(all_step(w, s, i, bytes)); break;
        default: MLAI_TRY(bcast_step(w, s, i, bytes)); break;
        }
    }
    return MLA_OK;
}

static void finish(result_t *r, mla_status_t st, const mlai_error_t *err)
{
    r->status = st;
    snprintf(r->why, sizeof r->why, "%s", err->message);
}

static void random_walk(mla_comm_t *c, unsigned seed, result_t *r)
{
    walk_t w = {.c = c,
                .common = seed,
                .own = seed ^ (77777u * (unsigned)(c->rank + 1)),
                .region = BLOCK * (size_t)c->nranks + 64};
    mla_status_t st = walk_steps(&w);
    r->wrong = w.wrong;
    finish(r, st, &w.err);
}

static void test_random(kind_t kind)
{
    static const int sizes[] = {1, 2, 3, 5, 8};
    for (int i = 0; i < 5; i++)
        for (unsigned seed = 1; seed <= 3; seed++) {
            const result_t *r = run(kind, sizes[i], -1, 30.0, seed, random_walk);
            for (int p = 0; p < sizes[i]; p++) {
                CHECK(r[p].status == MLA_OK, "%s P %d rank %d: %s", kind_name[kind], sizes[i], p,
                      r[p].why);
                CHECK(r[p].wrong == 0, "%s P %d rank %d: %d bytes", kind_name[kind], sizes[i], p,
                      r[p].wrong);
            }
        }
}

/* ---- failures ---------------------------------------------------------------------------- */

enum { P = 3, BAD = 1 }; /* the rank that misbehaves */

static mla_status_t one_round(mla_comm_t *c, mlai_error_t *err)
{
    void *base;
    MLAI_TRY(c->ops->window(c, 1000, &base, err));
    memset(base, c->rank, 1000);
    return c->ops->allgather(c, NULL, 0, 500, 100, err);
}

/* After a failure everything fails at once, with the first sentence. */
static mla_status_t still_failed(mla_comm_t *c, mla_status_t st, const mlai_error_t *err)
{
    void *base;
    mlai_error_t again[6] = {{.status = MLA_OK}};
    double t = now();
    mla_status_t all[6] = {c->ops->bcast(c, NULL, 0, 8, 0, &again[0]),
                           c->ops->allgather(c, NULL, 0, 500, 8, &again[1]),
                           c->ops->alltoall(c, NULL, 0, 500, 8, &again[2]),
                           c->ops->window(c, 100000, &base, &again[3]),
                           c->ops->reuse(c, NULL, 1, &again[4]),
                           c->ops->agree(c, MLA_OK, &again[5])};
    for (int i = 0; i < 6; i++)
        if (all[i] != MLA_PEER || strcmp(again[i].message, err->message) != 0) return MLA_ARG;
    return now() - t < 0.1 ? st : MLA_SIZE;
}

static void good_rank(mla_comm_t *c, result_t *r)
{
    mlai_error_t err = {.status = MLA_OK};
    mla_status_t st = one_round(c, &err);
    if (st == MLA_OK) st = c->ops->bcast(c, NULL, 0, 100, BAD, &err);
    if (st == MLA_PEER || st == MLA_COMM) st = still_failed(c, st, &err);
    finish(r, st, &err);
}

static void bad_rank(mla_comm_t *c, result_t *r, mla_status_t expect)
{
    mlai_error_t err = {.status = MLA_OK};
    finish(r, one_round(c, &err), &err);
    if (r->status == MLA_OK) r->status = expect;
}

static void aborts(mla_comm_t *c, unsigned seed, result_t *r)
{
    (void)seed;
    if (c->rank != BAD) {
        good_rank(c, r);
        return;
    }
    bad_rank(c, r, MLA_PEER);
    sleep_s(0.05);
    mla_comm_abort(c, "rank 1: no ink");
    mla_comm_abort(c, "a second reason");
    snprintf(r->why, sizeof r->why, "rank 1: no ink");
    sleep_s(0.05); // the others read the sentence before this rank leaves, and after
}

static void leaves(mla_comm_t *c, unsigned seed, result_t *r)
{
    (void)seed;
    if (c->rank != BAD)
        good_rank(c, r);
    else
        bad_rank(c, r, MLA_OK);
}

static void dawdles(mla_comm_t *c, unsigned seed, result_t *r)
{
    (void)seed;
    if (c->rank != BAD) {
        good_rank(c, r);
        return;
    }
    bad_rank(c, r, MLA_PEER);
    sleep_s(1.0);
    mlai_error_t err = {.status = MLA_OK};
    mla_status_t st = c->ops->bcast(c, NULL, 0, 100, BAD, &err);
    finish(r, still_failed(c, st, &err), &err);
}

static void dies(mla_comm_t *c, unsigned seed, result_t *r)
{
    (void)seed;
    if (c->rank != BAD) {
        good_rank(c, r);
        return;
    }
    bad_rank(c, r, MLA_PEER);
    kill(getpid(), SIGKILL);
}

static void comes(mla_comm_t *c, unsigned seed, result_t *r)
{
    (void)seed;
    good_rank(c, r);
}

static void expect_failure(kind_t kind, const char *what, body_t body, int absent, double limit,
                           double seconds, const char *sentence)
{
    const result_t *r = run(kind, P, absent, limit, 1, body);
    int detectors = 0;
    for (int p = 0; p < P; p++) {
        if (p == absent || ((body == dies || body == leaves) && p == BAD)) continue;
        CHECK(r[p].status == MLA_PEER || r[p].status == MLA_COMM, "%s, %s, rank %d: %s (%s)",
              kind_name[kind], what, p, mla_status_name(r[p].status), r[p].why);
        CHECK(strstr(r[p].why, sentence), "%s, %s, rank %d: \"%s\"", kind_name[kind], what, p,
              r[p].why);
        CHECK(r[p].seconds < seconds, "%s, %s, rank %d: %g s", kind_name[kind], what, p,
              r[p].seconds);
        detectors += r[p].status == MLA_COMM;
    }
    CHECK(body == aborts ? detectors == 0 : detectors == 1, "%s, %s: %d found it",
          kind_name[kind], what, detectors);
}

/* A rank that cannot start: agree tells all, and the communicator goes on. */
static void disagrees(mla_comm_t *c, unsigned seed, result_t *r)
{
    mlai_error_t err = {.status = MLA_OK};
    bool bad = c->rank >= (int)seed;
    mla_status_t mine = bad ? mlai_fail(&err, MLA_NOMEM, "no paper on %d", c->rank) : MLA_OK;
    mla_status_t st = c->ops->agree(c, mine, &err);
    char expected[80];
    snprintf(expected, sizeof expected, bad ? "no paper on %d" : "rank %d: no paper on %d",
             bad ? c->rank : (int)seed, (int)seed);
    r->wrong = st != (bad ? MLA_NOMEM : MLA_PEER) || strcmp(err.message, expected) != 0;
    err = (mlai_error_t){.status = MLA_OK};
    finish(r, one_round(c, &err), &err);
}

/* Windows that cannot be had: all are told, and a smaller one can be had later. */
static void wants_too_much(mla_comm_t *c, unsigned seed, result_t *r)
{
    (void)seed;
    void *base;
    mlai_error_t err = {.status = MLA_OK};
    finish(r, one_round(c, &err), &err);
    mla_status_t st = c->ops->window(c, SIZE_MAX - 5000, &base, &err);
    r->wrong = st == MLA_OK || st == MLA_COMM || err.message[0] == '\0';
    err = (mlai_error_t){.status = MLA_OK};
    if (r->status == MLA_OK) finish(r, one_round(c, &err), &err);
    // Outside of the window: refused on all ranks alike, before anything is sent.
    r->wrong += c->ops->bcast(c, NULL, 999, 2, 0, NULL) != MLA_ARG;
    r->wrong += c->ops->bcast(c, NULL, SIZE_MAX, 2, 0, NULL) != MLA_ARG;
    r->wrong += c->ops->bcast(c, NULL, 0, 2, c->nranks, NULL) != MLA_ARG;
    r->wrong += c->ops->allgather(c, NULL, 0, 900, 100, NULL) != MLA_ARG;
    r->wrong += c->ops->alltoall(c, NULL, 600, 0, 200, NULL) != MLA_ARG;
}

static void expect_success(kind_t kind, const char *what, body_t body, unsigned seed)
{
    const result_t *r = run(kind, P, -1, 10.0, seed, body);
    for (int p = 0; p < P; p++)
        CHECK(r[p].status == MLA_OK && r[p].wrong == 0, "%s, %s, rank %d: %s, wrong %d",
              kind_name[kind], what, p, r[p].why, r[p].wrong);
}

/* The first to leave: the others still read its window. */
static void last_word(mla_comm_t *c, unsigned seed, result_t *r)
{
    (void)seed;
    void *base;
    mlai_error_t err = {.status = MLA_OK};
    mla_status_t st = c->ops->window(c, 1 << 20, &base, &err);
    if (st == MLA_OK && c->rank == BAD) memset(base, 42, 1 << 20);
    if (st == MLA_OK && c->rank != BAD) sleep_s(0.05);
    if (st == MLA_OK) st = c->ops->bcast(c, NULL, 0, 1 << 20, BAD, &err);
    if (st == MLA_OK)
        for (int i = 0; i < 1 << 20; i++) r->wrong += ((char *)base)[i] != 42;
    finish(r, st, &err);
}

static void test_failures(kind_t kind)
{
    expect_failure(kind, "a rank aborts", aborts, -1, 20.0, 2.0, "rank 1: no ink");
    expect_failure(kind, "a rank leaves", leaves, -1, 20.0, 2.0, "rank 1 has left");
    expect_failure(kind, "a rank is late", dawdles, -1, 0.5, 2.0, "for rank 1 at collective 2");
    expect_failure(kind, "a rank never comes", comes, 1, 0.5, 1.0, "for rank 1 at meeting 1");
    if (kind == PROCESSES) {
        expect_failure(kind, "a rank dies", dies, -1, 20.0, 2.0, "rank 1: its process has died");
        const result_t *r = run(kind, P, 0, 0.5, 1, comes);
        for (int p = 1; p < P; p++)
            CHECK(r[p].status == MLA_COMM && r[p].seconds < 1.0 && strstr(r[p].why, "rank 0"),
                  "rank %d without rank 0: %s, %g s", p, r[p].why, r[p].seconds);
    }
    for (unsigned bad = 0; bad < P; bad++) expect_success(kind, "agree", disagrees, bad);
    expect_success(kind, "window", wants_too_much, 0);
    expect_success(kind, "last word", last_word, 0);
}

/* ---- names ------------------------------------------------------------------------------- */

static void path_of(char *path, size_t size, const char *name)
{
    snprintf(path, size, "/meshlinalg-%s", name);
}

static void test_names(void)
{
    mla_comm_t *c = NULL, *other = NULL;
    char name[64], path[96];
    snprintf(name, sizeof name, "unit-comm-%d-name", (int)getpid());
    path_of(path, sizeof path, name);
    CHECK(mla_comm_create_shm("", 1, 0, 1.0, &c) == MLA_ARG, "empty name");
    CHECK(mla_comm_create_shm("a/b", 1, 0, 1.0, &c) == MLA_ARG, "slash");
    CHECK(mla_comm_create_shm(NULL, 1, 0, 1.0, &c) == MLA_ARG, "no name");
    CHECK(mla_comm_create_shm(name, 0, 0, 1.0, &c) == MLA_ARG, "no ranks");
    CHECK(mla_comm_create_shm(name, 2, 2, 1.0, &c) == MLA_ARG, "rank");
    CHECK(mla_comm_create_shm(name, 1, 0, 0.0, &c) == MLA_ARG, "time limit");
    CHECK(mla_comm_create_threads(0, 1.0, &c) == MLA_ARG, "no ranks");
    // What a dead group has left behind: half made, and complete.
    for (int bytes = 0; bytes <= 100000; bytes += 50000) {
        int fd = shm_open(path, O_CREAT | O_RDWR, 0600);
        CHECK(fd >= 0 && ftruncate(fd, bytes) == 0, "%s", path);
        if (fd >= 0) close(fd);
        mla_status_t st = mla_comm_create_shm(name, 1, 0, 1.0, &c);
        CHECK(st == MLA_OK && shm_open(path, O_RDWR, 0600) < 0, "%s", mla_message(NULL));
        // The name is free again while the group lives.
        CHECK(mla_comm_create_shm(name, 1, 0, 1.0, &other) == MLA_OK, "%s", mla_message(NULL));
        mla_comm_free(c);
        mla_comm_free(other);
        other = NULL;
    }
    CHECK(mla_comm_create_shm(name, 2, 0, 0.1, &c) == MLA_COMM && !c, "rank 1 never comes");
    CHECK(strstr(mla_message(NULL), "rank 1"), "%s", mla_message(NULL));
    CHECK(shm_open(path, O_RDWR, 0600) < 0, "the name is still there");
}

/* ---- time -------------------------------------------------------------------------------- */

static size_t time_bytes = 64;

static void take_time(mla_comm_t *c, unsigned rounds, result_t *r)
{
    void *base;
    mlai_error_t err = {.status = MLA_OK};
    size_t nranks = (size_t)c->nranks;
    mla_status_t st = c->ops->window(c, (2 * nranks + 1) * time_bytes, &base, &err);
    double t = now();
    for (unsigned i = 0; i < rounds && st == MLA_OK; i++) {
        st = c->ops->bcast(c, NULL, 0, time_bytes, (int)(i % nranks), &err);
        if (st == MLA_OK)
            st = c->ops->allgather(c, NULL, time_bytes, 2 * time_bytes, time_bytes, &err);
    }
    t = now() - t;
    finish(r, st, &err);
    if (st == MLA_OK && c->rank == 0)
        printf("%s, %d ranks, %zu bytes: %.1f us for a bcast and an allgather\n", c->ops->name,
               c->nranks, time_bytes, 1e6 * t / rounds);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "time") == 0) {
        int nranks = atoi(argv[2]);
        time_bytes = (size_t)atoll(argv[3]);
        if (nranks < 1 || nranks > MAX_RANKS) return 2;
        run(THREADS, nranks, -1, 30.0, 20000, take_time);
        run(PROCESSES, nranks, -1, 30.0, 20000, take_time);
        return 0;
    }
    double t = now();
    for (int kind = THREADS; kind <= PROCESSES; kind++) {
        test_random((kind_t)kind);
        test_failures((kind_t)kind);
    }
    test_names();
    printf("%d passed, %d failed, %.1f s\n", passed, failed, now() - t);
    return failed != 0 || passed == 0;
}
