/* SPDX-License-Identifier: Apache-2.0
 * ffi/rendezvous.c: meetings of rank threads, and names of meetings of processes.
 *
 * One mutex guards the list of meetings; nothing slow happens under it. Rules:
 *   - a meeting is over when all its ranks have left: then its endpoints are freed;
 *   - a rank that fails before it arrives cannot say so: the others stop at the time limit
 *     with a sentence that names it;
 *   - a failed meeting keeps its sentence for ranks that come late, which fail at once. At most
 *     MAX_FAILED of them are kept.
 */
#include "rendezvous.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peer_cache.h"

enum { MAX_FAILED = 64, JOB_NAME = 64 };
/* XLA ends a process one of whose devices is 40 s later than another at the next launch. */
static const double GPU_ARRIVAL_S = 30.0;

struct mlai_meeting {
    mlai_meeting_key_t key;
    bool shared;        /* across processes: only comms[0], this rank's, is used */
    int inside, joined; /* ranks between join and leave; ranks that have joined */
    bool failed;
    int code; /* what a rank that comes late gets */
    char why[512];
    bool *has_joined;   /* by rank */
    mla_comm_t **comms; /* by rank; NULL on GPUs of one process, and after a failure */
    int *ordinal;       /* by rank: its GPU; NULL: host memory */
    mlai_team_t *team;  /* GPUs of one process, from when all have arrived */
    mlai_link_t *link;  /* GPUs across processes */
    pthread_cond_t all_here;
    struct mlai_meeting *next;
};

typedef struct lane { /* calls that a rank has made with one key, across processes */
    mlai_meeting_key_t key;
    int rank;
    uint64_t count;
    struct lane *next;
} lane_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_cond_t gone; /* a meeting is over, or has failed */
static struct mlai_meeting *meetings;
static lane_t *lanes;
static struct {
    int index, count;
    char job[JOB_NAME];
} process = {0, 1, ""};
static double timeout_s;

static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static double default_timeout(void)
{
    const char *text = getenv("MESHLINALG_TIMEOUT_S");
    char *end = NULL;
    double value = text ? strtod(text, &end) : 0.0;
    return text && end != text && *end == '\0' && value > 0.0 && value < 1e9 ? value : 300.0;
}

static void init(void)
{
    cond_init(&gone);
    timeout_s = default_timeout();
}

static struct timespec deadline_after(double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    time_t whole = (time_t)seconds;
    t.tv_sec += whole;
    t.tv_nsec += (long)((seconds - (double)whole) * 1e9);
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

static bool same_key(const mlai_meeting_key_t *a, const mlai_meeting_key_t *b)
{
    return a->run == b->run && a->call == b->call && a->instance == b->instance &&
           a->group == b->group && a->index == b->index && a->nranks == b->nranks;
}

/* ---- life of a meeting; all under the lock ---- */

static mlai_meeting_t *find(const mlai_meeting_key_t *key)
{
    mlai_meeting_t *m = meetings;
    while (m && !same_key(&m->key, key)) m = m->next;
    return m;
}

static void free_comms(mlai_meeting_t *m)
{
    mlai_team_give(m->team, m->failed);
    m->team = NULL;
    if (!m->comms) return;
    for (int64_t p = 0; p < (m->shared ? 1 : m->key.nranks); p++) mla_comm_free(m->comms[p]);
    free(m->comms);
    m->comms = NULL;
}

static void destroy(mlai_meeting_t *m)
{
    free_comms(m);
    free(m->has_joined);
    free(m->ordinal);
    pthread_cond_destroy(&m->all_here);
    free(m);
}

static void remove_meeting(mlai_meeting_t *m)
{
    mlai_meeting_t **at = &meetings;
    while (*at != m) at = &(*at)->next;
    *at = m->next;
    destroy(m);
    pthread_cond_broadcast(&gone);
}

/* Endpoints in host memory. A failure is remembered: the others must not wait for a second try.
 */
static void make_comms(mlai_meeting_t *m, double limit)
{
    mla_status_t made = mla_comm_create_threads((int)m->key.nranks, limit, m->comms);
    if (made == MLA_OK) return;
    m->failed = true;
    m->code = made == MLA_NOMEM ? XLA_RESOURCE_EXHAUSTED : XLA_INTERNAL;
    snprintf(m->why, sizeof m->why, "communicator of %d ranks: %s", (int)m->key.nranks,
             mla_message(NULL));
    free(m->comms);
    m->comms = NULL;
}

static mlai_meeting_t *create(const mlai_meeting_key_t *key, bool gpu, const char *routine,
                              double limit, mlai_xla_status_t *st)
{
    size_t nranks = (size_t)key->nranks;
    mlai_meeting_t *m = calloc(1, sizeof *m);
    if (!m) {
        mlai_xla_fail(st, XLA_RESOURCE_EXHAUSTED, "%s: out of host memory", routine);
        return NULL;
    }
    m->key = *key;
    cond_init(&m->all_here);
    m->has_joined = calloc(nranks, sizeof *m->has_joined);
    if (gpu)
        m->ordinal = calloc(nranks, sizeof *m->ordinal);
    else
        m->comms = calloc(nranks, sizeof(mla_comm_t *));
    if (!m->has_joined || (!m->ordinal && !m->comms)) {
        mlai_xla_fail(st, XLA_RESOURCE_EXHAUSTED, "%s: out of host memory", routine);
        destroy(m);
        return NULL;
    }
    if (!gpu) make_comms(m, limit);
    m->next = meetings;
    meetings = m;
    return m;
}

static void fail_meeting(mlai_meeting_t *m, int code, const char *why)
{
    if (m->failed) return;
    m->failed = true;
    m->code = code;
    snprintf(m->why, sizeof m->why, "%s", why);
    pthread_cond_broadcast(&m->all_here);
    pthread_cond_broadcast(&gone);
}

/* After a rank has gone: the meeting ends, or stays for ranks that are still to come. */
static void settle(mlai_meeting_t *m)
{
    if (m->inside > 0) return;
    if (m->joined == m->key.nranks) {
        remove_meeting(m);
        return;
    }
    if (!m->failed) return;
    free_comms(m);
    pthread_cond_broadcast(&gone);
    int kept = 0;
    mlai_meeting_t *oldest = NULL;
    for (mlai_meeting_t *i = meetings; i; i = i->next)
        if (i->failed && i->inside == 0) {
            kept++;
            oldest = i; /* new ones are put in front */
        }
    if (kept > MAX_FAILED) remove_meeting(oldest);
}

static void name_missing(const mlai_meeting_t *m, double limit, char *text, size_t size)
{
    int at = snprintf(text, size,
                      "only %d of %d ranks arrived within %g s (MESHLINALG_TIMEOUT_S); missing:",
                      m->joined, (int)m->key.nranks, limit);
    for (int64_t p = 0; p < m->key.nranks && at > 0 && (size_t)at + 24 < size; p++)
        if (!m->has_joined[p]) at += snprintf(text + at, size - (size_t)at, " %d", (int)p);
}

/* ---- joining and leaving ---- */

/* No communicator could be made; its sentence is that of the thread. */
static bool fail_link(mla_status_t made, const mlai_meeting_key_t *key, int rank,
                      const char *routine, mlai_xla_status_t *st)
{
    int code = made == MLA_NOMEM         ? XLA_RESOURCE_EXHAUSTED
               : made == MLA_UNSUPPORTED ? XLA_UNIMPLEMENTED
               : made == MLA_BACKEND     ? XLA_INTERNAL
                                         : XLA_DEADLINE_EXCEEDED;
    return mlai_xla_fail(st, code, "%s: rank %d of %d: %s", routine, rank, (int)key->nranks,
                         mla_message(NULL));
}

/* Under the lock: arrives and waits; NULL after a failure. */
static mlai_meeting_t *arrive(const mlai_meeting_key_t *key, int rank, int ordinal,
                              const char *routine, mlai_xla_status_t *st)
{
    bool gpu = ordinal >= 0;
    double limit = gpu && timeout_s > GPU_ARRIVAL_S ? GPU_ARRIVAL_S : timeout_s;
    struct timespec until = deadline_after(limit);

    // A meeting that this rank has been in must end first: it belongs to the previous call.
    mlai_meeting_t *m = find(key);
    while (m && m->has_joined[rank]) {
        if (m->failed && m->inside == 0) {
            remove_meeting(m);
        } else if (pthread_cond_timedwait(&gone, &lock, &until) == ETIMEDOUT) {
            m = find(key);
            if (!m || !m->has_joined[rank]) break;
            char why[256];
            name_missing(m, limit, why, sizeof why);
            fail_meeting(m, XLA_DEADLINE_EXCEEDED, why);
            mlai_xla_fail(st, XLA_DEADLINE_EXCEEDED,
                          "%s: rank %d waits for the end of its previous call: %s", routine, rank,
                          why);
            return NULL;
        }
        m = find(key);
    }
    if (!m) m = create(key, gpu, routine, timeout_s, st);
    if (!m) return NULL;

    m->has_joined[rank] = true;
    m->joined++;
    m->inside++;
    if (gpu) m->ordinal[rank] = ordinal;
    if (m->joined == key->nranks) {
        if (gpu) m->team = mlai_team_take(m->ordinal, (int)key->nranks);
        if (gpu && !m->team) fail_meeting(m, XLA_RESOURCE_EXHAUSTED, "out of host memory");
        pthread_cond_broadcast(&m->all_here);
    }
    while (!m->failed && m->joined < key->nranks)
        if (pthread_cond_timedwait(&m->all_here, &lock, &until) == ETIMEDOUT &&
            m->joined < key->nranks) {
            char why[512];
            name_missing(m, limit, why, sizeof why);
            fail_meeting(m, XLA_DEADLINE_EXCEEDED, why);
        }
    if (!m->failed && (m->comms || m->team)) return m;
    mlai_xla_fail(st, m->code, "%s: rank %d: %s", routine, rank, m->why);
    m->inside--;
    settle(m);
    return NULL;
}

bool mlai_meeting_join(const mlai_meeting_key_t *key, int rank, int ordinal, const char *routine,
                       mlai_meeting_t **meeting, mla_comm_t **comm, mlai_xla_status_t *st)
{
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);
    double limit = timeout_s;
    mlai_meeting_t *m = arrive(key, rank, ordinal, routine, st);
    if (m && m->comms) *comm = m->comms[rank];
    pthread_mutex_unlock(&lock);
    if (!m) return false;
    if (ordinal >= 0) {
        mla_status_t made = mlai_team_comm(m->team, rank, limit, comm);
        if (made != MLA_OK) {
            fail_link(made, key, rank, routine, st);
            mlai_meeting_leave(m, rank, st->message);
            return false;
        }
    }
    *meeting = m;
    return true;
}

void mlai_meeting_leave(mlai_meeting_t *m, int rank, const char *why)
{
    bool gpu = m->ordinal || m->link;
    if (m->shared) {
        mlai_link_give(m->link, why != NULL);
        destroy(m);
        if (gpu) mlai_peer_cache_sweep();
        return;
    }
    pthread_mutex_lock(&lock);
    if (why) {
        char text[512];
        snprintf(text, sizeof text, "rank %d failed: %.440s", rank, why);
        fail_meeting(m, XLA_ABORTED, text);
    }
    m->inside--;
    settle(m);
    pthread_mutex_unlock(&lock);
    if (gpu) mlai_peer_cache_sweep();
}

/* ---- across processes ---- */

/* How often this rank has called with this key, this call included; 0: out of memory. */
static uint64_t next_call(const mlai_meeting_key_t *key, int rank)
{
    pthread_mutex_lock(&lock);
    lane_t *lane = lanes;
    while (lane && !(lane->rank == rank && same_key(&lane->key, key))) lane = lane->next;
    if (!lane && (lane = calloc(1, sizeof *lane))) {
        lane->key = *key;
        lane->rank = rank;
        lane->next = lanes;
        lanes = lane;
    }
    uint64_t count = lane ? ++lane->count : 0;
    pthread_mutex_unlock(&lock);
    return count;
}

/* A communicator in host memory for this call, number `count`, alone. */
static mla_status_t join_shm(mlai_meeting_t *m, int rank, uint64_t count, double limit,
                             mla_comm_t **comm)
{
    const mlai_meeting_key_t *key = &m->key;
    char name[200];
    pthread_mutex_lock(&lock);
    snprintf(name, sizeof name,
             "mla-%s-%016" PRIx64 "-%" PRId64 "-%" PRId64 "-%" PRId64 "-%" PRIu64, process.job,
             (uint64_t)key->group, key->index, key->call, key->instance, count);
    pthread_mutex_unlock(&lock);
    mla_status_t made = mla_comm_create_shm(name, (int)key->nranks, rank, limit, &m->comms[0]);
    *comm = m->comms[0];
    return made;
}

/* The one that is kept for the group. */
static mla_status_t join_peers(mlai_meeting_t *m, int rank, int ordinal, double limit,
                               mla_comm_t **comm)
{
    char name[MLAI_GROUP_NAME];
    pthread_mutex_lock(&lock);
    snprintf(name, sizeof name, "mla-%s-%016" PRIx64 "-%" PRId64, process.job,
             (uint64_t)m->key.group, m->key.index);
    pthread_mutex_unlock(&lock);
    return mlai_link_take(name, (int)m->key.nranks, rank, ordinal, limit, &m->link, comm);
}

bool mlai_meeting_join_processes(const mlai_meeting_key_t *key, int rank, int ordinal,
                                 const char *routine, mlai_meeting_t **meeting, mla_comm_t **comm,
                                 mlai_xla_status_t *st)
{
    pthread_once(&once, init);
    uint64_t count = next_call(key, rank);
    mlai_meeting_t *m = calloc(1, sizeof *m);
    mla_comm_t **comms = calloc(1, sizeof(mla_comm_t *));
    if (!count || !m || !comms) {
        free(m);
        free(comms);
        return mlai_xla_fail(st, XLA_RESOURCE_EXHAUSTED, "%s: out of host memory", routine);
    }
    m->key = *key;
    m->shared = true;
    m->comms = comms;
    cond_init(&m->all_here);
    pthread_mutex_lock(&lock);
    double limit = timeout_s;
    pthread_mutex_unlock(&lock);
    mla_status_t made = ordinal >= 0 ? join_peers(m, rank, ordinal, limit, comm)
                                     : join_shm(m, rank, count, limit, comm);
    *meeting = m;
    if (made == MLA_OK) return true;
    fail_link(made, key, rank, routine, st);
    mlai_meeting_leave(m, rank, st->message);
    return false;
}

/* ---- settings ---- */

void mlai_process(int *index, int *count)
{
    pthread_mutex_lock(&lock);
    *index = process.index;
    *count = process.count;
    pthread_mutex_unlock(&lock);
}

int mla_xla_set_process(int index, int count, const char *job)
{
    if (count < 1 || index < 0 || index >= count || !job || strlen(job) >= JOB_NAME) return -1;
    pthread_mutex_lock(&lock);
    process.index = index;
    process.count = count;
    memcpy(process.job, job, strlen(job) + 1);
    pthread_mutex_unlock(&lock);
    return 0;
}

void mla_xla_set_timeout(double seconds)
{
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);
    timeout_s = seconds > 0.0 ? seconds : default_timeout();
    pthread_mutex_unlock(&lock);
}

int64_t mla_xla_meetings(void)
{
    pthread_mutex_lock(&lock);
    int64_t count = 0;
    for (mlai_meeting_t *m = meetings; m; m = m->next) count++;
    pthread_mutex_unlock(&lock);
    return count;
}
