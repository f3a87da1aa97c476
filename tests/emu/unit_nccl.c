/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/unit_nccl.c: the NCCL communicator over the fake library: what its ranks do not do in
 * the tester: they refuse, do not come, give up, share a device; every call is made to fail. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comm/comm.h"
#include "dl/cuda_dl.h"
#include "fake_cuda.h"

static int failures;

#define CHECK(condition, ...)                               \
    do {                                                    \
        if (condition) break;                               \
        failures++;                                         \
        printf("FAIL line %d: %s: ", __LINE__, #condition); \
        printf(__VA_ARGS__);                                \
        printf("\n");                                       \
    } while (0)

static struct {
    void (*fail_at)(long);
    long (*calls)(void);
    long (*live)(void);
    void (*drain)(void);
} fake;

static void find(void *handle, const char *name, void *slot)
{
    void *address = dlsym(handle, name);
    if (!address) exit(1);
    memcpy(slot, &address, sizeof address);
}

enum { RANKS = 3 };

typedef enum mode { WELL, REFUSE, ABSENT, GIVE_UP, SHARE } mode_t_;

typedef struct seat {
    mode_t_ mode;
    int rank;
    const char *id;
    double timeout_s;
    mla_status_t status, later;
    char message[MLAI_MESSAGE_MAX];
} seat_t;

/* Windows, an agreement, and one collective of each kind on two streams. */
static mla_status_t body(seat_t *s, mla_comm_t *c, mlai_error_t *err)
{
    void *base = NULL;
    int p = s->rank;
    if (s->mode == REFUSE) {
        mla_status_t st = p == 1 ? mlai_fail(err, MLA_NOMEM, "rank 1 is full") : MLA_OK;
        s->later = MLA_PEER;
        st = c->ops->agree(c, st, err);
        mlai_error_t other = {.status = MLA_OK};
        s->later = c->ops->agree(c, MLA_OK, &other); // it is good still
        return st;
    }
    if (s->mode == GIVE_UP && p == 1) {
        mla_comm_abort(c, "rank 1 has had enough");
        return c->ops->agree(c, MLA_OK, err);
    }
    MLAI_TRY(c->ops->window(c, 1, &base, err));
    MLAI_TRY(c->ops->window(c, 4096, &base, err));
    unsigned char *w = base; // the fake's memory is the host's
    for (int round = 0; round < 30; round++) {
        memset(w, 10 * p + 1, 64);
        MLAI_TRY(c->ops->allgather(c, NULL, 0, 64, 64, err));
        MLAI_TRY(c->ops->alltoall(c, NULL, 64, 512, 64, err));
        MLAI_TRY(c->ops->bcast(c, NULL, 512, 64, round % RANKS, err));
        MLAI_TRY(c->ops->reuse(c, NULL, c->seq, err));
        MLAI_TRY(c->ops->agree(c, MLA_OK, err));
        for (int q = 0; q < RANKS; q++)
            if (w[64 + 64 * q] != 10 * q + 1) return mlai_fail(err, MLA_BACKEND, "allgather");
        if (w[512] != 10 * (round % RANKS) + 1 || w[512 + 64 * RANKS - 1] != 10 * p + 1)
            return mlai_fail(err, MLA_BACKEND, "alltoall or bcast, round %d", round);
    }
    MLAI_TRY(c->ops->bcast(c, NULL, 4000, 97, 0, err) == MLA_ARG ? MLA_OK : MLA_BACKEND);
    return c->ops->bcast(c, NULL, 0, 8, RANKS, err) == MLA_ARG ? MLA_OK : MLA_BACKEND;
}

static void *rank_main(void *arg)
{
    seat_t *s = arg;
    mla_comm_t *c = NULL;
    mlai_error_t err = {.status = MLA_OK};
    int ordinal = s->mode == SHARE ? 0 : s->rank;
    if (s->mode == ABSENT && s->rank == 2) return NULL;
    s->status = mla_comm_create_nccl(s->id, RANKS, s->rank, ordinal, s->timeout_s, &c);
    snprintf(s->message, sizeof s->message, "%s", mla_message(NULL));
    if (s->status == MLA_OK) {
        s->status = body(s, c, &err);
        snprintf(s->message, sizeof s->message, "%s", err.message);
    }
    mla_comm_free(c);
    return NULL;
}

static void run(mode_t_ mode, seat_t *seat)
{
    pthread_t thread[RANKS];
    char id[MLA_NCCL_ID_BYTES];
    mla_status_t st = mla_nccl_id(id);
    for (int p = 0; p < RANKS; p++) {
        seat[p] = (seat_t){.mode = mode, .rank = p, .id = id, .timeout_s = 20, .status = st};
        if (mode == ABSENT) seat[p].timeout_s = 0.1;
        if (st == MLA_OK && pthread_create(&thread[p], NULL, rank_main, &seat[p])) exit(1);
    }
    for (int p = 0; p < RANKS && st == MLA_OK; p++) pthread_join(thread[p], NULL);
    fake.drain();
}

static void test_modes(void)
{
    seat_t s[RANKS];
    run(WELL, s);
    for (int p = 0; p < RANKS; p++) CHECK(s[p].status == MLA_OK, "rank %d: %s", p, s[p].message);
    run(REFUSE, s);
    CHECK(s[1].status == MLA_NOMEM, "%s", s[1].message);
    CHECK(s[0].status == MLA_PEER && strstr(s[0].message, "rank 1: rank 1 is full"), "%s",
          s[0].message);
    CHECK(s[2].later == MLA_OK, "an agreement to refuse is no failure");
    run(GIVE_UP, s);
    CHECK(s[1].status == MLA_PEER && strstr(s[1].message, "enough"), "%s", s[1].message);
    CHECK(s[0].status == MLA_COMM && s[2].status == MLA_COMM, "%s", s[0].message);
    run(SHARE, s);
    CHECK(s[0].status == MLA_COMM && strstr(s[0].message, "Duplicate"), "%s", s[0].message);
    run(ABSENT, s);
    CHECK(s[0].status == MLA_COMM && strstr(s[0].message, "rank 0 waited"), "%s", s[0].message);
}

/* Call number k fails on some rank, k = 1, 2, ...: no rank hangs, and nothing is left. */
static void test_failures(void)
{
    long k = 0, calls = 0;
    do {
        seat_t s[RANKS];
        fake.fail_at(k += 5);
        run(REFUSE, s);
        calls = fake.calls();
        fake.fail_at(0);
        for (int p = 0; p < RANKS; p++)
            CHECK(s[p].status != MLA_OK ? s[p].message[0] != 0 : p != 1, "call %ld: rank %d", k,
                  p);
        fake.drain();
        CHECK(fake.live() == 0, "call %ld (%s): %ld objects are left", k, s[0].message,
              fake.live());
    } while (k <= calls && failures < 10);
    printf("unit_nccl: %ld calls made to fail\n", k / 5);
}

int main(void)
{
    const mlai_cu_t *cu;
    mlai_error_t err = {.status = MLA_OK};
    CHECK(mlai_cu_load(&cu, &err) == MLA_OK, "%s", err.message);
    void *handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (!handle) return 1;
    find(handle, "fake_fail_at", &fake.fail_at);
    find(handle, "fake_calls", &fake.calls);
    find(handle, "fake_live", &fake.live);
    find(handle, "fake_drain", &fake.drain);
    test_modes();
    test_failures();
    dlclose(handle);
    printf("unit_nccl: %d failed\n", failures);
    return failures != 0;
}
