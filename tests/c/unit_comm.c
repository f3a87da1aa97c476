/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_comm.c: communicators of every kind. Random sequences of collectives, the same on
 * all ranks, are checked byte by byte against what they should have moved; ranks are delayed at
 * random, and sources are overwritten as soon as `reuse` allows. Then failures: each must reach
 * all ranks, in time, with the sentence.
 *
 *     unit_comm                 the test; GPUs only if there are any
 *     unit_comm peer [quick]    GPUs alone; fewer sizes
 *     unit_comm time P bytes [pieces]
 *                               microseconds of a bcast and of an allgather; GPUs: of a bcast
 * that goes in pieces from so many bytes on
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "comm/peer_link.h"
#include "core/size.h"
#include "ranks.h"

static int passed, failed;

/* ---- random sequences ----------------------------------------------------------------------
 * Each stream of a rank has two regions of the window for itself. What a step sends is copied
 * there from memory of the rank that was filled before, what it receives is copied away, and all
 * of it is compared in the end: on a GPU the host waits for nothing in between. */

enum { REGIONS = 2 * RANKS_STREAMS, BLOCK = 512, STEPS = 200 };

/* Cheap generator; every rank draws the same numbers from the same state. */
static unsigned draw(unsigned *state, unsigned n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % n;
}

/* Byte i of what rank q sends in step s. */
static unsigned char pattern(int q, int s, size_t i)
{
    return (unsigned char)(131 * (unsigned)q + 29 * (unsigned)s + 7 * (unsigned)i +
                           ((unsigned)i >> 8));
}

typedef struct step {
    bool used, from_all;
    int root;
    size_t bytes, first; /* of each source, from byte `first` of its pattern */
} step_t;

typedef struct walk {
    ranks_self_t *self;
    mla_comm_t *c;
    unsigned common, own; /* random states: of all ranks; of this one */
    char *base, *sent, *got;
    size_t region, bytes;
    uint64_t read[REGIONS]; /* collective for which the region was read last */
    step_t step[STEPS];
} walk_t;

/* Delays the host, and on a GPU the stream. */
static mla_status_t dawdle(walk_t *w, int st)
{
    unsigned what = draw(&w->own, 16);
    if (what == 0) ranks_sleep(1e-6 * draw(&w->own, 300));
    if (what == 1)
        for (int i = 0; i < 20; i++)
            MLAI_TRY(ranks_copy(w->self, st, w->got + STEPS * w->region,
                                w->got + (STEPS + 256) * w->region, 256 * w->region));
    return MLA_OK;
}

/* This rank's bytes of step s to `off` in region i, which others may still read. */
static mla_status_t send_bytes(walk_t *w, int s, size_t i, size_t off, size_t bytes)
{
    ranks_self_t *self = w->self;
    int st = (int)i / 2;
    MLAI_TRY(w->c->ops->reuse(w->c, self->stream[st], w->read[i], &self->err));
    MLAI_TRY(ranks_copy(self, st, w->base + off, w->sent + (size_t)s * w->region, bytes));
    return dawdle(w, st);
}

static mla_status_t bcast_step(walk_t *w, int s, size_t i, size_t bytes)
{
    ranks_self_t *self = w->self;
    mla_comm_t *c = w->c;
    int st = (int)i / 2, root = (int)draw(&w->common, (unsigned)c->nranks);
    size_t skip = draw(&w->common, 64), off = i * w->region + skip;
    if (skip + bytes > w->region) bytes = w->region - skip;
    if (c->rank == root)
        MLAI_TRY(send_bytes(w, s, i, off, bytes));
    else
        MLAI_TRY(dawdle(w, st));
    MLAI_TRY(c->ops->bcast(c, self->stream[st], off, bytes, root, &self->err));
    w->read[i] = c->seq;
    w->step[s] = (step_t){.used = true, .root = root, .bytes = bytes};
    return ranks_copy(self, st, w->got + (size_t)s * w->region, w->base + off, bytes);
}

static mla_status_t all_step(walk_t *w, int s, size_t i, size_t bytes)
{
    ranks_self_t *self = w->self;
    mla_comm_t *c = w->c;
    bool gather = draw(&w->common, 2), in_place = gather && draw(&w->common, 2);
    size_t j = i ^ 1, p = (size_t)c->rank, nranks = (size_t)c->nranks;
    if (bytes > BLOCK) bytes = BLOCK;
    size_t dst = j * w->region, src = in_place ? dst + p * bytes : i * w->region;
    if (in_place) i = j;
    int st = (int)i / 2;
    mlai_stream_t stream = self->stream[st];
    MLAI_TRY(send_bytes(w, s, i, src, gather ? bytes : nranks * bytes));
    if (gather)
        MLAI_TRY(c->ops->allgather(c, stream, src, dst, bytes, &self->err));
    else
        MLAI_TRY(c->ops->alltoall(c, stream, src, dst, bytes, &self->err));
    w->read[i] = c->seq;
    w->step[s] =
        (step_t){.used = true, .from_all = true, .bytes = bytes, .first = gather ? 0 : p * bytes};
    return ranks_copy(self, st, w->got + (size_t)s * w->region, w->base + dst, nranks * bytes);
}

static mla_status_t grow_step(walk_t *w, size_t bytes)
{
    void *base;
    MLAI_TRY(w->c->ops->window(w->c, bytes, &base, &w->self->err));
    w->base = base;
    return MLA_OK;
}

static mla_status_t walk_steps(walk_t *w)
{
    size_t all = REGIONS * w->region;
    MLAI_TRY(grow_step(w, all));
    for (int s = 0; s < STEPS; s++) {
        size_t i = draw(&w->common, REGIONS);
        size_t bytes = draw(&w->common, 8) ? draw(&w->common, (unsigned)w->region) : 0;
        switch (draw(&w->common, 24)) {
        case 0: MLAI_TRY(w->c->ops->agree(w->c, MLA_OK, &w->self->err)); break;
        case 1: MLAI_TRY(grow_step(w, all + (size_t)draw(&w->common, 100) * 100000)); break;
        default:
            if (draw(&w->common, 2))
                MLAI_TRY(all_step(w, s, i, bytes));
            else
                MLAI_TRY(bcast_step(w, s, i, bytes));
            break;
        }
    }
    for (int st = 0; st < RANKS_STREAMS; st++) MLAI_TRY(ranks_sync(w->self, st));
    return MLA_OK;
}

/* Bytes received that are not what was sent. */
static int compare(const walk_t *w, const unsigned char *got)
{
    int wrong = 0;
    for (int s = 0; s < STEPS; s++) {
        const step_t *t = &w->step[s];
        int sources = !t->used ? 0 : t->from_all ? w->c->nranks : 1;
        for (int q = 0; q < sources; q++)
            for (size_t i = 0; i < t->bytes; i++)
                wrong += got[(size_t)s * w->region + (size_t)q * t->bytes + i] !=
                         pattern(t->from_all ? q : t->root, s, t->first + i);
    }
    return wrong;
}

static mla_status_t walk_all(walk_t *w, unsigned char *host)
{
    ranks_self_t *self = w->self;
    size_t all = STEPS * w->region;
    for (size_t i = 0; i < all; i++)
        host[i] = pattern(w->c->rank, (int)(i / w->region), i % w->region);
    MLAI_TRY(ranks_upload(self, w->sent, host, all));
    MLAI_TRY(walk_steps(w));
    MLAI_TRY(ranks_download(self, host, w->got, all));
    self->result->wrong = compare(w, host);
    return MLA_OK;
}

static void random_walk(ranks_self_t *self)
{
    static _Thread_local walk_t w;
    mla_comm_t *c = self->comm;
    w = (walk_t){.self = self,
                 .c = c,
                 .common = self->seed,
                 .own = self->seed ^ (77777u * (unsigned)(c->rank + 1)),
                 .region = BLOCK * (size_t)c->nranks + 64};
    // On GPUs broadcasts go in pieces from some size on.
    if (self->cu) ((mlai_peer_t *)(void *)c)->pieces = self->seed % 2 ? 1000 : 1;
    unsigned char *host = malloc(STEPS * w.region);
    void *sent = NULL, *got = NULL;
    mla_status_t st = host ? MLA_OK : MLA_NOMEM;
    if (st == MLA_OK) st = ranks_alloc(self, STEPS * w.region, &sent);
    if (st == MLA_OK) st = ranks_alloc(self, (STEPS + 512) * w.region, &got);
    w.sent = sent;
    w.got = got;
    if (st == MLA_OK) st = walk_all(&w, host);
    ranks_finish(self, st, &self->err);
    ranks_free(self, got);
    ranks_free(self, sent);
    free(host);
}

static void test_random(ranks_kind_t kind, bool quick)
{
    static const int sizes[] = {3, 2, 1, 5, 8};
    for (int i = 0; i < (quick ? 2 : 5); i++)
        for (unsigned seed = 1; seed <= 2; seed++) {
            const ranks_result_t *r = ranks_run(kind, sizes[i], -1, 30.0, seed, random_walk);
            CHECK(r, "%s", ranks_name[kind]);
            for (int p = 0; r && p < sizes[i]; p++) {
                CHECK(r[p].status == MLA_OK, "%s P %d rank %d: %s", ranks_name[kind], sizes[i], p,
                      r[p].why);
                CHECK(r[p].wrong == 0, "%s P %d rank %d: %d bytes", ranks_name[kind], sizes[i], p,
                      r[p].wrong);
            }
        }
}

/* ---- failures ---------------------------------------------------------------------------- */

enum { P = 3, BAD = 1 }; /* the rank that misbehaves */

static mla_status_t one_round(ranks_self_t *self, mlai_error_t *err)
{
    void *base;
    mla_comm_t *c = self->comm;
    MLAI_TRY(c->ops->window(c, 1000, &base, err));
    return c->ops->allgather(c, self->stream[0], 0, 500, 100, err);
}

/* After a failure everything fails at once, with the first sentence. */
static mla_status_t still_failed(ranks_self_t *self, mla_status_t st, const mlai_error_t *err)
{
    void *base;
    mla_comm_t *c = self->comm;
    mlai_stream_t stream = self->stream[0];
    mlai_error_t again[6] = {{.status = MLA_OK}};
    double t = ranks_now();
    mla_status_t all[6] = {c->ops->bcast(c, stream, 0, 8, 0, &again[0]),
                           c->ops->allgather(c, stream, 0, 500, 8, &again[1]),
                           c->ops->alltoall(c, stream, 0, 500, 8, &again[2]),
                           c->ops->window(c, 100000, &base, &again[3]),
                           c->ops->reuse(c, stream, 1, &again[4]),
                           c->ops->agree(c, MLA_OK, &again[5])};
    for (int i = 0; i < 6; i++)
        if (all[i] != MLA_PEER || strcmp(again[i].message, err->message) != 0) return MLA_ARG;
    return ranks_now() - t < 0.1 ? st : MLA_SIZE;
}

static void good_rank(ranks_self_t *self)
{
    mlai_error_t err = {.status = MLA_OK};
    mla_comm_t *c = self->comm;
    mla_status_t st = one_round(self, &err);
    if (st == MLA_OK) st = c->ops->bcast(c, self->stream[0], 0, 100, BAD, &err);
    if (st == MLA_PEER || st == MLA_COMM) st = still_failed(self, st, &err);
    ranks_finish(self, st, &err);
}

/* True for the rank that misbehaves, after a round in which it did not. */
static bool goes_bad(ranks_self_t *self)
{
    if (self->comm->rank != BAD) {
        good_rank(self);
        return false;
    }
    mlai_error_t err = {.status = MLA_OK};
    ranks_finish(self, one_round(self, &err), &err);
    return self->result->status == MLA_OK;
}

static void aborts(ranks_self_t *self)
{
    if (!goes_bad(self)) return;
    ranks_sleep(0.05);
    mla_comm_abort(self->comm, "rank 1: no ink");
    mla_comm_abort(self->comm, "a second reason");
    self->result->status = MLA_PEER;
    snprintf(self->result->why, sizeof self->result->why, "rank 1: no ink");
    ranks_sleep(0.05); // the others look before this rank leaves
}

static void leaves(ranks_self_t *self)
{
    (void)goes_bad(self);
}

static void dawdles(ranks_self_t *self)
{
    if (!goes_bad(self)) return;
    ranks_sleep(1.0);
    mlai_error_t err = {.status = MLA_OK};
    mla_status_t st = self->comm->ops->bcast(self->comm, self->stream[0], 0, 100, BAD, &err);
    ranks_finish(self, still_failed(self, st, &err), &err);
}

static void dies(ranks_self_t *self)
{
    if (goes_bad(self)) kill(getpid(), SIGKILL);
}

static void expect_failure(ranks_kind_t kind, const char *what, ranks_body_t body, int absent,
                           double limit, double seconds, const char *sentence)
{
    const ranks_result_t *r = ranks_run(kind, P, absent, limit, 1, body);
    const char *name = ranks_name[kind];
    int detectors = 0;
    CHECK(r, "%s, %s", name, what);
    for (int p = 0; r && p < P; p++) {
        if (p == absent || ((body == dies || body == leaves) && p == BAD)) continue;
        CHECK(r[p].status == MLA_PEER || r[p].status == MLA_COMM, "%s, %s, rank %d: %s (%s)",
              name, what, p, mla_status_name(r[p].status), r[p].why);
        CHECK(strstr(r[p].why, sentence), "%s, %s, rank %d: \"%s\"", name, what, p, r[p].why);
        CHECK(r[p].seconds < seconds, "%s, %s, rank %d: %g s", name, what, p, r[p].seconds);
        detectors += r[p].status == MLA_COMM;
    }
    CHECK(body == aborts ? detectors == 0 : detectors == 1, "%s, %s: %d found it", name, what,
          detectors);
}

/* A rank that cannot start: agree tells all, and the communicator goes on. */
static void disagrees(ranks_self_t *self)
{
    mla_comm_t *c = self->comm;
    mlai_error_t err = {.status = MLA_OK};
    bool bad = c->rank >= (int)self->seed;
    mla_status_t mine = bad ? mlai_fail(&err, MLA_NOMEM, "no paper on %d", c->rank) : MLA_OK;
    mla_status_t st = c->ops->agree(c, mine, &err);
    char expected[80];
    if (bad)
        snprintf(expected, sizeof expected, "no paper on %d", c->rank);
    else
        snprintf(expected, sizeof expected, "rank %u: no paper on %u", self->seed, self->seed);
    self->result->wrong =
        st != (bad ? MLA_NOMEM : MLA_PEER) || strcmp(err.message, expected) != 0;
    err = (mlai_error_t){.status = MLA_OK};
    ranks_finish(self, one_round(self, &err), &err);
}

/* Windows that cannot be had: all are told, and a smaller one can be had later. */
static void wants_too_much(ranks_self_t *self)
{
    void *base;
    mla_comm_t *c = self->comm;
    int *wrong = &self->result->wrong;
    mlai_stream_t stream = self->stream[0];
    mlai_error_t err = {.status = MLA_OK};
    ranks_finish(self, one_round(self, &err), &err);
    mla_status_t st = c->ops->window(c, SIZE_MAX - 5000, &base, &err);
    *wrong = st == MLA_OK || st == MLA_COMM || err.message[0] == '\0';
    err = (mlai_error_t){.status = MLA_OK};
    if (self->result->status == MLA_OK) ranks_finish(self, one_round(self, &err), &err);
    // Outside of the window: refused on all ranks alike, before anything is sent.
    *wrong += c->ops->bcast(c, stream, 999, 2, 0, NULL) != MLA_ARG;
    *wrong += c->ops->bcast(c, stream, SIZE_MAX, 2, 0, NULL) != MLA_ARG;
    *wrong += c->ops->bcast(c, stream, 0, 2, c->nranks, NULL) != MLA_ARG;
    *wrong += c->ops->allgather(c, stream, 0, 900, 100, NULL) != MLA_ARG;
    *wrong += c->ops->alltoall(c, stream, 600, 0, 200, NULL) != MLA_ARG;
}

/* The first to leave: the others still read its window. */
static void last_word(ranks_self_t *self)
{
    enum { MIB = 1 << 20 };
    void *base;
    mla_comm_t *c = self->comm;
    mlai_error_t err = {.status = MLA_OK};
    char *host = calloc(MIB, 1);
    mla_status_t st = host ? c->ops->window(c, MIB, &base, &err) : MLA_NOMEM;
    if (st == MLA_OK && c->rank == BAD) {
        memset(host, 42, MIB);
        st = ranks_upload(self, base, host, MIB);
    }
    if (c->rank != BAD) ranks_sleep(0.05);
    if (st == MLA_OK) st = c->ops->bcast(c, self->stream[0], 0, MIB, BAD, &err);
    if (st == MLA_OK) st = ranks_sync(self, 0);
    if (st == MLA_OK) st = ranks_download(self, host, base, MIB);
    for (int i = 0; st == MLA_OK && i < MIB; i++) self->result->wrong += host[i] != 42;
    ranks_finish(self, st, &err);
    free(host);
}

static void expect_success(ranks_kind_t kind, const char *what, ranks_body_t body, unsigned seed)
{
    const ranks_result_t *r = ranks_run(kind, P, -1, 10.0, seed, body);
    CHECK(r, "%s, %s", ranks_name[kind], what);
    for (int p = 0; r && p < P; p++)
        CHECK(r[p].status == MLA_OK && r[p].wrong == 0, "%s, %s, rank %d: %s, wrong %d",
              ranks_name[kind], what, p, r[p].why, r[p].wrong);
}

static void test_failures(ranks_kind_t kind)
{
    expect_failure(kind, "a rank aborts", aborts, -1, 20.0, 2.0, "rank 1: no ink");
    expect_failure(kind, "a rank leaves", leaves, -1, 20.0, 2.0, "rank 1 has left");
    expect_failure(kind, "a rank is late", dawdles, -1, 0.5, 2.0, "for rank 1 at collective 2");
    expect_failure(kind, "a rank never comes", good_rank, 1, 0.5, 1.0, "for rank 1 at meeting 1");
    if (ranks_are_processes(kind))
        expect_failure(kind, "a rank dies", dies, -1, 20.0, 2.0, "rank 1: its process has died");
    if (kind != RANKS_THREADS) {
        const ranks_result_t *r = ranks_run(kind, P, 0, 0.5, 1, good_rank);
        for (int p = 1; r && p < P; p++)
            CHECK(r[p].status == MLA_COMM && r[p].seconds < 1.0 && strstr(r[p].why, "rank 0"),
                  "rank %d without rank 0: %s, %g s", p, r[p].why, r[p].seconds);
    }
    for (unsigned bad = 0; bad < P; bad++) expect_success(kind, "agree", disagrees, bad);
    expect_success(kind, "window", wants_too_much, 0);
    expect_success(kind, "last word", last_word, 0);
}

/* ---- names ------------------------------------------------------------------------------- */

static void test_names(void)
{
    mla_comm_t *c = NULL, *other = NULL;
    char name[64], path[96];
    snprintf(name, sizeof name, "unit-comm-%d", (int)getpid());
    snprintf(path, sizeof path, "/meshlinalg-%s", name);
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

static size_t time_bytes, time_pieces;

/* Seconds a round; of the host alone in *host. */
static double time_rounds(ranks_self_t *self, bool gather, int rounds, double *host,
                          mla_status_t *st)
{
    mla_comm_t *c = self->comm;
    mlai_stream_t stream = self->stream[0];
    if (*st == MLA_OK) *st = mla_comm_barrier(c);
    double t = ranks_now();
    for (int i = 0; i < rounds && *st == MLA_OK; i++)
        *st = gather ? c->ops->allgather(c, stream, time_bytes, 2 * time_bytes, time_bytes,
                                         &self->err)
                     : c->ops->bcast(c, stream, 0, time_bytes, i % c->nranks, &self->err);
    *host = (ranks_now() - t) / rounds;
    if (*st == MLA_OK) *st = ranks_sync(self, 0);
    return (ranks_now() - t) / rounds;
}

static void take_time(ranks_self_t *self)
{
    void *base;
    mla_comm_t *c = self->comm;
    size_t rounds = ((size_t)8 << 30) / (time_bytes + 1) / (size_t)c->nranks;
    int n = rounds > 20000 ? 20000 : rounds < 20 ? 20 : (int)rounds;
    double host[2], all[2];
    if (self->cu && time_pieces > 0) ((mlai_peer_t *)(void *)c)->pieces = time_pieces;
    mla_status_t st = c->ops->window(c, (2 + (size_t)c->nranks) * time_bytes, &base, &self->err);
    for (int warm = 0; warm < 2; warm++)
        for (int gather = 0; gather < 2; gather++)
            all[gather] = time_rounds(self, gather, warm ? n : 20, &host[gather], &st);
    ranks_finish(self, st, &self->err);
    if (st == MLA_OK && c->rank == 0)
        printf("%s, %d ranks, %zu bytes: bcast %.1f us, allgather %.1f us (host %.1f, %.1f)\n",
               ranks_name[self->seed], c->nranks, time_bytes, 1e6 * all[0], 1e6 * all[1],
               1e6 * host[0], 1e6 * host[1]);
}

static int time_all(int nranks, const bool *can)
{
    int bad = 0;
    if (nranks < 1 || nranks > RANKS_MAX) return 2;
    for (int kind = 0; kind < RANKS_KINDS; kind++) {
        if (!can[kind]) continue;
        const ranks_result_t *r =
            ranks_run((ranks_kind_t)kind, nranks, -1, 60.0, (unsigned)kind, take_time);
        if (r && r[0].status == MLA_OK) continue;
        printf("%s: %s\n", ranks_name[kind], r ? r[0].why : "");
        bad = 1;
    }
    return bad;
}

int main(int argc, char **argv)
{
    bool can[RANKS_KINDS];
    for (int kind = 0; kind < RANKS_KINDS; kind++) can[kind] = ranks_can((ranks_kind_t)kind);
    bool quick = argc > 2 && strcmp(argv[2], "quick") == 0;
    if (argc > 1 && strcmp(argv[1], "peer") == 0) can[RANKS_THREADS] = can[RANKS_SHM] = false;
    if (argc >= 4 && strcmp(argv[1], "time") == 0) {
        time_bytes = (size_t)atoll(argv[3]);
        time_pieces = argc > 4 ? (size_t)atoll(argv[4]) : 0;
        return time_all(atoi(argv[2]), can);
    }
    test_names();
    for (int kind = 0; kind < RANKS_KINDS; kind++) {
        if (!can[kind]) {
            printf("%s: no GPU here, left out\n", ranks_name[kind]);
            continue;
        }
        double t = ranks_now();
        test_random((ranks_kind_t)kind, quick);
        test_failures((ranks_kind_t)kind);
        printf("%s: %.1f s\n", ranks_name[kind], ranks_now() - t);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
