/* SPDX-License-Identifier: Apache-2.0
 * src/comm/board.c: meetings of P ranks with C11 atomics and futexes.
 *
 * Why no wake-up is lost: a rank writes its wish, sets `asleep`, looks at the counters once more
 * and sleeps only while `asleep` is 1. Who publishes writes its counter and then looks at
 * `asleep`. All of these are sequentially consistent: one of the two sees the other; and of two
 * ranks that publish at once, the later sees both counters. */
#include "comm/board.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/size.h"

enum { LINE = 64, PROGRESS = 0, MET = 1, YIELDS = 10, NO_YIELD = 200, MAX_RANKS = 1 << 16 };
enum { ALIVE = 0, FAILING = 1, FAILED = 2 };
enum { ABSENT = 0, PRESENT = 1, LEFT = 2 };
/* Yields that take longer do not pay; how often a sleeper looks whether the processes it waits
 * for are alive. */
static const int64_t SLOW_NS = 50 * 1000LL, SLICE_NS = 50 * 1000000LL;

typedef struct slot {
    alignas(LINE) _Atomic uint64_t count[2]; /* PROGRESS, MET: written by the rank itself */
    _Atomic uint32_t state;
    alignas(LINE) _Atomic uint32_t asleep; /* the word it sleeps on */
    _Atomic int32_t wish_count, wish_who;
    _Atomic uint64_t wish_value;
    alignas(LINE) unsigned char note[2][MLAI_NOTE_MAX]; /* of meetings of either parity */
} slot_t;

struct mlai_board_memory {
    alignas(LINE) _Atomic int32_t nranks; /* set last: the board is formatted */
    _Atomic uint32_t failed;
    alignas(LINE) char why[MLAI_MESSAGE_MAX];
    slot_t slot[];
};

/* ---- time and sleep ---------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t limit_ns(double seconds)
{
    return (int64_t)((seconds < 1e9 ? seconds : 1e9) * 1e9);
}

/* Sleeps while *word is 1, for `ns` at most; may return early. True when the time is over. */
static bool futex_wait(_Atomic uint32_t *word, bool shared, int64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000LL), (long)(ns % 1000000000LL)};
    int op = shared ? FUTEX_WAIT : FUTEX_WAIT_PRIVATE;
    return syscall(SYS_futex, (void *)word, op, 1u, &t, NULL, 0) != 0 && errno == ETIMEDOUT;
}

static void wake(slot_t *sleeper, bool shared)
{
    if (atomic_exchange(&sleeper->asleep, 0u))
        (void)syscall(SYS_futex, (void *)&sleeper->asleep,
                      shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- failure ----------------------------------------------------------------------------- */

bool mlai_board_fail(mlai_board_t *b, const char *why)
{
    uint32_t expected = ALIVE;
    if (!atomic_compare_exchange_strong(&b->mem->failed, &expected, FAILING)) return false;
    snprintf(b->mem->why, sizeof b->mem->why, "%s", why);
    atomic_store(&b->mem->failed, FAILED);
    for (int q = 0; q < b->nranks; q++) wake(&b->mem->slot[q], b->shared);
    return true;
}

mla_status_t mlai_board_check(const mlai_board_t *b, mlai_error_t *err)
{
    uint32_t failed = atomic_load(&b->mem->failed);
    if (failed == ALIVE) return MLA_OK;
    // The sentence is being written; its writer may have been killed just then.
    for (int i = 0; failed == FAILING && i < 100; i++) {
        struct timespec t = {0, 100000};
        nanosleep(&t, NULL);
        failed = atomic_load(&b->mem->failed);
    }
    return mlai_fail(err, MLA_PEER, "%s",
                     failed == FAILED ? b->mem->why : "a rank died while it reported a failure");
}

/* The board fails by what this rank has found, or has failed already. */
static mla_status_t find_failure(mlai_board_t *b, const char *why, mlai_error_t *err)
{
    if (mlai_board_fail(b, why)) return mlai_fail(err, MLA_COMM, "%s", why);
    return mlai_board_check(b, err);
}

/* ---- counters ---------------------------------------------------------------------------- */

static bool reached(const mlai_board_t *b, int count, int who, uint64_t value)
{
    if (who >= 0) return atomic_load(&b->mem->slot[who].count[count]) >= value;
    for (int q = 0; q < b->nranks; q++)
        if (atomic_load(&b->mem->slot[q].count[count]) < value) return false;
    return true;
}

static void publish(mlai_board_t *b, int count, uint64_t value)
{
    atomic_store(&b->mem->slot[b->rank].count[count], value);
    for (int q = 0; q < b->nranks; q++) {
        slot_t *s = &b->mem->slot[q];
        if (atomic_load(&s->asleep) &&
            reached(b, atomic_load(&s->wish_count), atomic_load(&s->wish_who),
                    atomic_load(&s->wish_value)))
            wake(s, b->shared);
    }
}

/* Ranks whose counter is short of the value, as "rank 3" or "ranks 1, 2"; their number. */
static int name_missing(const mlai_board_t *b, int count, int who, uint64_t value, char *text,
                        size_t size)
{
    int missing = 0;
    size_t at = 0;
    text[0] = '\0';
    for (int q = 0; q < b->nranks; q++) {
        if ((who >= 0 && q != who) || reached(b, count, q, value)) continue;
        if (at + 16 < size)
            at += (size_t)snprintf(text + at, size - at, "%s%d", missing ? ", " : "", q);
        missing++;
    }
    return missing;
}

static mla_status_t too_late(mlai_board_t *b, int count, int who, uint64_t value,
                             mlai_error_t *err)
{
    char names[200], why[400];
    int missing = name_missing(b, count, who, value, names, sizeof names);
    if (missing == 0) return MLA_OK; // came at the last moment
    snprintf(why, sizeof why, "rank %d waited %.3g s for %s %s at %s %llu", b->rank, b->timeout_s,
             missing == 1 ? "rank" : "ranks", names, count == MET ? "meeting" : "collective",
             (unsigned long long)(count == MET ? value : (value + 1) / 2));
    return find_failure(b, why, err);
}

/* Fails if a rank that is short of the value will never reach it: it has left, or, which costs a
 * system call to know, its process has died. */
static mla_status_t look_for_lost(mlai_board_t *b, int count, int who, uint64_t value,
                                  bool processes, mlai_error_t *err)
{
    for (int q = 0; q < b->nranks; q++) {
        if (who >= 0 && q != who) continue;
        uint32_t state = atomic_load(&b->mem->slot[q].state);
        bool left = state == LEFT;
        bool died = processes && state == PRESENT && q != b->rank && !b->alive(b->owner, q);
        // The counter is read last: it is final now.
        if ((!left && !died) || reached(b, count, q, value)) continue;
        char why[160];
        snprintf(why, sizeof why, left ? "rank %d has left" : "rank %d: its process has died", q);
        return find_failure(b, why, err);
    }
    return MLA_OK;
}

/* Lets other threads run a few times, microseconds in all: with more ranks than cores the one
 * that is waited for runs at once, ten times as fast as by sleep and wake-up. Where that takes
 * long, others want the core: then this rank sleeps, to be preferred when it wakes, for some
 * time. */
static bool reached_soon(mlai_board_t *b, int count, int who, uint64_t value)
{
    if (b->no_yield > 0) {
        b->no_yield--;
        return false;
    }
    int64_t start = now_ns();
    for (int i = 0; i < YIELDS; i++) {
        sched_yield();
        bool slow = now_ns() - start > SLOW_NS;
        if (slow) b->no_yield = NO_YIELD;
        if (reached(b, count, who, value)) return true;
        if (slow) return false;
    }
    return false;
}

static mla_status_t wait_for(mlai_board_t *b, int count, int who, uint64_t value,
                             mlai_error_t *err)
{
    if (reached(b, count, who, value) || reached_soon(b, count, who, value)) return MLA_OK;
    slot_t *me = &b->mem->slot[b->rank];
    int64_t until = now_ns() + limit_ns(b->timeout_s);
    bool slept_long = false;
    mla_status_t st = MLA_OK;
    atomic_store(&me->wish_count, count);
    atomic_store(&me->wish_who, who);
    atomic_store(&me->wish_value, value);
    for (;;) {
        atomic_store(&me->asleep, 1u);
        if (reached(b, count, who, value)) break;
        MLAI_TRY_GOTO(st, mlai_board_check(b, err), done);
        MLAI_TRY_GOTO(st, look_for_lost(b, count, who, value, slept_long && b->alive, err), done);
        int64_t left = until - now_ns();
        if (left <= 0) {
            MLAI_TRY_GOTO(st, too_late(b, count, who, value, err), done);
            break;
        }
        slept_long =
            futex_wait(&me->asleep, b->shared, b->alive && left > SLICE_NS ? SLICE_NS : left);
        if (reached(b, count, who, value)) break;
    }
done:
    atomic_store(&me->asleep, 0u);
    return st;
}

void mlai_board_post(mlai_board_t *b, uint64_t value)
{
    publish(b, PROGRESS, value);
}

mla_status_t mlai_board_wait(mlai_board_t *b, int who, uint64_t value, mlai_error_t *err)
{
    return wait_for(b, PROGRESS, who, value, err);
}

uint64_t mlai_board_progress(const mlai_board_t *b, int who)
{
    return atomic_load(&b->mem->slot[who].count[PROGRESS]);
}

/* ---- meetings ---------------------------------------------------------------------------- */

mla_status_t mlai_board_meet(mlai_board_t *b, const void *note, size_t bytes, mlai_error_t *err)
{
    if (bytes > MLAI_NOTE_MAX)
        return mlai_fail(err, MLA_SIZE, "a note of %zu bytes, at most %d", bytes, MLAI_NOTE_MAX);
    MLAI_TRY(mlai_board_check(b, err));
    // Note k + 2 takes the place of note k: who has come to meeting k + 1 has read that.
    uint64_t k = ++b->meetings;
    if (bytes) memcpy(b->mem->slot[b->rank].note[k % 2], note, bytes);
    publish(b, MET, k);
    return wait_for(b, MET, MLAI_ALL_RANKS, k, err);
}

const void *mlai_board_note(const mlai_board_t *b, int rank)
{
    return b->mem->slot[rank].note[b->meetings % 2];
}

typedef struct verdict {
    mla_status_t status;
    char why[MLAI_MESSAGE_MAX];
} verdict_t;

mla_status_t mlai_board_agree(mlai_board_t *b, mla_status_t mine, mlai_error_t *err)
{
    verdict_t v = {.status = mine, .why = ""};
    if (mine != MLA_OK)
        snprintf(v.why, sizeof v.why, "%s",
                 err && err->status != MLA_OK ? err->message : mla_status_text(mine));
    MLAI_TRY(mlai_board_meet(b, &v, sizeof v, err));
    if (mine != MLA_OK) return mlai_fail(err, mine, "%s", v.why);
    for (int q = 0; q < b->nranks; q++) {
        const verdict_t *other = mlai_board_note(b, q);
        if (other->status != MLA_OK)
            return mlai_fail(err, MLA_PEER, "rank %d: %s", q, other->why);
    }
    return MLA_OK;
}

/* ---- life -------------------------------------------------------------------------------- */

size_t mlai_board_bytes(int nranks)
{
    return mlai_size_add(sizeof(mlai_board_memory_t),
                         mlai_size_mul((size_t)nranks, sizeof(slot_t)));
}

void mlai_board_format(mlai_board_memory_t *mem, int nranks)
{
    memset((void *)mem, 0, mlai_board_bytes(nranks));
    atomic_store(&mem->nranks, nranks);
}

int mlai_board_nranks(const mlai_board_memory_t *mem)
{
    return atomic_load(&mem->nranks);
}

mla_status_t mlai_board_args(int nranks, int rank, double timeout_s, mlai_error_t *err)
{
    if (nranks < 1 || nranks > MAX_RANKS)
        return mlai_fail(err, MLA_ARG, "nranks is %d, expected 1 .. %d", nranks, MAX_RANKS);
    if (rank < 0 || rank >= nranks)
        return mlai_fail(err, MLA_ARG, "rank is %d, expected 0 .. %d", rank, nranks - 1);
    if (!(timeout_s > 0.0))
        return mlai_fail(err, MLA_ARG, "timeout_s is %g, expected more than 0", timeout_s);
    return MLA_OK;
}

mla_status_t mlai_board_open(mlai_board_t *b, mlai_board_memory_t *mem, int rank,
                             double timeout_s, bool shared, mlai_error_t *err)
{
    uint32_t absent = ABSENT;
    if (!atomic_compare_exchange_strong(&mem->slot[rank].state, &absent, PRESENT))
        return mlai_fail(err, MLA_ARG, "rank %d has come twice", rank);
    int nranks = mlai_board_nranks(mem);
    *b = (mlai_board_t){
        .mem = mem, .rank = rank, .nranks = nranks, .timeout_s = timeout_s, .shared = shared};
    return MLA_OK;
}

void mlai_board_leave(mlai_board_t *b)
{
    atomic_store(&b->mem->slot[b->rank].state, LEFT);
    for (int q = 0; q < b->nranks; q++) wake(&b->mem->slot[q], b->shared);
}

bool mlai_board_empty(const mlai_board_t *b)
{
    for (int q = 0; q < b->nranks; q++)
        if (atomic_load(&b->mem->slot[q].state) != LEFT &&
            (q == b->rank || !b->alive || b->alive(b->owner, q)))
            return false;
    return true;
}
