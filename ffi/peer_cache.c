/* SPDX-License-Identifier: Apache-2.0
 * ffi/peer_cache.c: see peer_cache.h. One mutex guards both lists. An entry that is in use is in
 * nobody else's way; what is freed is taken out of the list first. */
#include "peer_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct mlai_team {
    int nranks, users; /* meetings that have it */
    bool failed;
    mlai_fabric_t fabric;
    bool has_id;
    char id[MLA_NCCL_ID_BYTES]; /* of an NCCL communicator */
    uint64_t number;            /* of this process */
    int *ordinal;
    mla_comm_t **comm; /* each set and used by its rank alone */
    struct mlai_team *next;
};

struct mlai_link {
    char name[MLAI_GROUP_NAME];
    int nranks, rank, ordinal;
    bool used, failed;
    mlai_fabric_t fabric; /* of comm */
    uint64_t calls;
    mla_comm_t *comm;
    struct mlai_link *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mlai_team_t *teams; /* last used first */
static mlai_link_t *links; /* last used first */
static uint64_t made;
static mlai_fabric_t fabric = MLAI_FABRIC_PEER;
static mla_xla_exchange_t *exchange; /* carries an id from rank 0 to the others */

mlai_fabric_t mlai_fabric(void)
{
    pthread_mutex_lock(&lock);
    mlai_fabric_t now = fabric;
    pthread_mutex_unlock(&lock);
    return now;
}

int mla_xla_set_fabric(int which, mla_xla_exchange_t *carry)
{
    if (which != MLAI_FABRIC_PEER && which != MLAI_FABRIC_NCCL) return -1;
    pthread_mutex_lock(&lock);
    fabric = (mlai_fabric_t)which;
    exchange = carry;
    pthread_mutex_unlock(&lock);
    return 0;
}

/* ---- teams ------------------------------------------------------------------------------- */

static void team_free(mlai_team_t *t)
{
    for (int p = 0; t->comm && p < t->nranks; p++) mla_comm_free(t->comm[p]);
    free(t->comm);
    free(t->ordinal);
    free(t);
}

static mlai_team_t *team_new(const int *ordinals, int nranks)
{
    mlai_team_t *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->nranks = nranks;
    t->ordinal = calloc((size_t)nranks, sizeof *t->ordinal);
    t->comm = calloc((size_t)nranks, sizeof(mla_comm_t *));
    if (!t->ordinal || !t->comm) {
        team_free(t);
        return NULL;
    }
    memcpy(t->ordinal, ordinals, (size_t)nranks * sizeof *ordinals);
    return t;
}

mlai_team_t *mlai_team_take(const int *ordinals, int nranks)
{
    size_t bytes = (size_t)nranks * sizeof *ordinals;
    pthread_mutex_lock(&lock);
    mlai_team_t **at = &teams, *t = NULL;
    for (; *at && !t; at = t ? at : &(*at)->next)
        if (!(*at)->failed && (*at)->nranks == nranks && (*at)->fabric == fabric &&
            memcmp((*at)->ordinal, ordinals, bytes) == 0)
            t = *at;
    if (t) {
        *at = t->next;
    } else if ((t = team_new(ordinals, nranks))) {
        t->number = made++;
        t->fabric = fabric;
    }
    if (t) {
        t->users++;
        t->next = teams;
        teams = t;
    }
    pthread_mutex_unlock(&lock);
    return t;
}

void mlai_team_give(mlai_team_t *t, bool failed)
{
    if (!t) return;
    pthread_mutex_lock(&lock);
    t->users--;
    if (failed) t->failed = true;
    pthread_mutex_unlock(&lock);
}

/* The id of the team's NCCL communicator, made by whoever comes first. */
static mla_status_t team_id(mlai_team_t *t)
{
    pthread_mutex_lock(&lock);
    mla_status_t st = t->has_id ? MLA_OK : mla_nccl_id(t->id);
    t->has_id = st == MLA_OK;
    pthread_mutex_unlock(&lock);
    return st;
}

mla_status_t mlai_team_comm(mlai_team_t *t, int rank, double limit, mla_comm_t **comm)
{
    mla_status_t st = MLA_OK;
    if (!t->comm[rank] && t->fabric == MLAI_FABRIC_NCCL) {
        st = team_id(t);
        if (st == MLA_OK)
            st = mla_comm_create_nccl(t->id, t->nranks, rank, t->ordinal[rank], limit,
                                      &t->comm[rank]);
    } else if (!t->comm[rank]) {
        char name[64];
        snprintf(name, sizeof name, "mla-team-%ld-%llu", (long)getpid(),
                 (unsigned long long)t->number);
        st = mla_comm_create_peer(name, t->nranks, rank, t->ordinal[rank], limit, &t->comm[rank]);
    }
    *comm = t->comm[rank];
    return st;
}

/* ---- links ------------------------------------------------------------------------------- */

static mlai_link_t *find_link(const char *name, int nranks, int rank, int ordinal)
{
    mlai_link_t **at = &links, *l = NULL;
    for (; *at && !l; at = l ? at : &(*at)->next)
        if ((*at)->nranks == nranks && (*at)->rank == rank && (*at)->ordinal == ordinal &&
            strcmp((*at)->name, name) == 0)
            l = *at;
    if (l) {
        *at = l->next;
    } else if ((l = calloc(1, sizeof *l))) {
        snprintf(l->name, sizeof l->name, "%s", name);
        l->nranks = nranks;
        l->rank = rank;
        l->ordinal = ordinal;
    }
    if (l) {
        l->next = links;
        links = l;
        l->used = true;
        l->calls++;
    }
    return l;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Rank 0 makes an id, the others get it from the caller's store under the name of the call. */
static mla_status_t link_nccl(mlai_link_t *l, const char *name, double limit)
{
    char id[MLA_NCCL_ID_BYTES] = "";
    pthread_mutex_lock(&lock);
    mla_xla_exchange_t *carry = exchange;
    pthread_mutex_unlock(&lock);
    mla_status_t st = l->rank == 0 ? mla_nccl_id(id) : MLA_OK;
    if (st != MLA_OK) return st;
    if (!carry || carry(name, l->rank == 0, id, limit) != 0) return MLA_COMM;
    return mla_comm_create_nccl(id, l->nranks, l->rank, l->ordinal, limit, &l->comm);
}

mla_status_t mlai_link_take(const char *name, int nranks, int rank, int ordinal, double limit,
                            mlai_link_t **link, mla_comm_t **comm)
{
    pthread_mutex_lock(&lock);
    mlai_link_t *l = find_link(name, nranks, rank, ordinal);
    pthread_mutex_unlock(&lock);
    *link = l;
    *comm = NULL;
    if (!l) return MLA_NOMEM;
    double start = now();
    mla_status_t st = MLA_OK;
    mlai_fabric_t by = mlai_fabric();
    if (l->comm && l->fabric != by) l->failed = true; // on all ranks: all have changed
    if (l->comm && !l->failed) st = mla_comm_barrier(l->comm);
    if (l->comm && (l->failed || st != MLA_OK)) {
        // A rank that does not come now will not come to another meeting either. But a failure
        // in the last call is seen by some ranks only here: all of them make a new one.
        if (!l->failed && now() - start > 0.5 * limit) return st;
        mla_comm_free(l->comm);
        l->comm = NULL;
    }
    if (!l->comm) {
        char full[200];
        snprintf(full, sizeof full, "%s-%llu", l->name, (unsigned long long)l->calls);
        l->failed = false;
        l->fabric = by;
        st = by == MLAI_FABRIC_NCCL
                 ? link_nccl(l, full, limit)
                 : mla_comm_create_peer(full, nranks, rank, ordinal, limit, &l->comm);
    }
    *comm = l->comm;
    return st;
}

void mlai_link_give(mlai_link_t *l, bool failed)
{
    if (!l) return;
    pthread_mutex_lock(&lock);
    l->used = false;
    if (failed) l->failed = true;
    pthread_mutex_unlock(&lock);
}

/* ---- freeing ----------------------------------------------------------------------------- */

/* Takes what goes out of the lists: of teams that are not in use all but the first `keep`. */
static mlai_team_t *old_teams(int keep)
{
    mlai_team_t *old = NULL, **at = &teams;
    for (int kept = 0; *at;) {
        mlai_team_t *t = *at;
        if (t->users > 0 || (!t->failed && kept < keep)) {
            kept++;
            at = &t->next;
        } else {
            *at = t->next;
            t->next = old;
            old = t;
        }
    }
    return old;
}

/* The same for links, whose counts of calls stay. Returns one communicator at a time. */
static mla_comm_t *old_link(int keep)
{
    int kept = 0;
    for (mlai_link_t *l = links; l; l = l->next) {
        if (!l->comm) continue;
        if (!l->used && kept >= keep) {
            mla_comm_t *comm = l->comm;
            l->comm = NULL;
            return comm;
        }
        kept++;
    }
    return NULL;
}

static void sweep(int keep)
{
    mla_comm_t *comm = NULL;
    pthread_mutex_lock(&lock);
    mlai_team_t *team = old_teams(keep);
    pthread_mutex_unlock(&lock);
    while (team) {
        mlai_team_t *t = team;
        team = t->next;
        team_free(t);
    }
    do {
        pthread_mutex_lock(&lock);
        comm = old_link(keep);
        pthread_mutex_unlock(&lock);
        mla_comm_free(comm);
    } while (comm);
}

void mlai_peer_cache_sweep(void)
{
    sweep(MLAI_PEER_CACHE);
}

void mla_xla_release(void)
{
    sweep(0);
}
