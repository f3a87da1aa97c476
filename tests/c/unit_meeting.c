/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_meeting.c: how the ranks of handler calls find one another, without XLA: call
 * after call, with one that fails, as threads and as processes, in host memory and, if there are
 * any, on GPUs. In every call the ranks gather one byte of each.
 *
 *     unit_meeting          all
 *     unit_meeting peer     GPUs alone
 *     unit_meeting nccl     GPUs alone, threads, by NCCL: a GPU for each rank, up to 4 ranks */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer_cache.h"
#include "ranks.h"
#include "rendezvous.h"

enum { CALLS = 24, FAILS = 7, LATE = 9, RELEASES = 12, BAD = 1 };

static int passed, failed;

/* Number of the first byte that is wrong, or -1; a status in *st. */
static int gather(ranks_self_t *self, mla_comm_t *c, int call, mla_status_t *st)
{
    unsigned char byte = (unsigned char)(16 * call + c->rank), got[RANKS_MAX];
    void *base = NULL;
    size_t nranks = (size_t)c->nranks;
    mlai_stream_t stream = self->stream[0];
    *st = c->ops->reuse(c, stream, c->seq, &self->err);
    if (*st == MLA_OK) *st = c->ops->window(c, 1000 + (size_t)call, &base, &self->err);
    if (*st == MLA_OK) *st = ranks_upload(self, base, &byte, 1);
    if (*st == MLA_OK) *st = c->ops->allgather(c, stream, 0, 64, 1, &self->err);
    if (*st == MLA_OK) *st = ranks_download(self, got, (char *)base + 64, nranks);
    for (int q = 0; *st == MLA_OK && q < c->nranks; q++)
        if (got[q] != (unsigned char)(16 * call + q)) return q;
    return -1;
}

/* One call; false if it did not go as it should. */
static bool one_call(ranks_self_t *self, int call, mla_comm_t **comm)
{
    int rank = self->comm->rank, nranks = self->comm->nranks;
    bool processes = self->seed == 1;
    mlai_meeting_key_t key = {.run = processes ? 0 : call / 5,
                              .call = call % 3,
                              .group = -77,
                              .index = 2,
                              .nranks = nranks};
    int gpu = self->cu ? self->device : -1;
    mlai_meeting_t *meeting = NULL;
    mlai_xla_status_t st = {0};
    self->err = (mlai_error_t){.status = MLA_OK};
    if (call == LATE && rank == BAD) ranks_sleep(0.05);
    bool joined = processes
                      ? mlai_meeting_join_processes(&key, rank, gpu, "test", &meeting, comm, &st)
                      : mlai_meeting_join(&key, rank, gpu, "test", &meeting, comm, &st);
    if (!joined) {
        // Rank BAD may have come and failed before this rank has looked; by NCCL, which carries
        // no sentences, also one that has failed because of it.
        bool told = strstr(st.message, "made to fail") || mlai_fabric() == MLAI_FABRIC_NCCL;
        if (call == FAILS && rank != BAD && told) return true;
        snprintf(self->result->why, sizeof self->result->why, "call %d: %.400s", call,
                 st.message);
        return false;
    }
    mla_status_t status = MLA_OK;
    if (call == FAILS && rank == BAD) {
        mla_comm_abort(*comm, "made to fail");
        mlai_meeting_leave(meeting, rank, "made to fail");
        return true;
    }
    int wrong = gather(self, *comm, call, &status);
    mlai_meeting_leave(meeting, rank, status == MLA_OK ? NULL : self->err.message);
    // NCCL carries no sentences.
    if (call == FAILS && mlai_fabric() == MLAI_FABRIC_NCCL) return status != MLA_OK;
    if (call == FAILS) return status == MLA_PEER && strstr(self->err.message, "made to fail");
    snprintf(self->result->why, sizeof self->result->why, "call %d: rank %d; %.400s", call, wrong,
             self->err.message);
    return status == MLA_OK && wrong < 0;
}

static void calls(ranks_self_t *self)
{
    mla_comm_t *comm[CALLS] = {NULL};
    for (int call = 0; call < CALLS; call++) {
        if (!one_call(self, call, &comm[call])) {
            self->result->wrong++;
            return;
        }
        if (call == RELEASES && self->comm->rank == 0) mla_xla_release();
    }
    // On GPUs the communicator is kept, but for the failure and the release.
    for (int call = 1; self->cu && call < CALLS; call++)
        if (call != FAILS && call != FAILS + 1 && call != RELEASES + 1 &&
            comm[call] != comm[call - 1])
            self->result->wrong += 100;
    snprintf(self->result->why, sizeof self->result->why, "%d", self->result->wrong);
}

int main(int argc, char **argv)
{
    char job[32];
    bool can[RANKS_KINDS];
    snprintf(job, sizeof job, "test-%ld", (long)getpid());
    for (int kind = 0; kind < RANKS_KINDS; kind++) can[kind] = ranks_can((ranks_kind_t)kind);
    bool nccl = argc > 1 && strcmp(argv[1], "nccl") == 0;
    if (argc > 1) can[RANKS_THREADS] = can[RANKS_SHM] = false;
    if (nccl) can[RANKS_PEER_PROCESSES] = false;
    CHECK(mla_xla_set_fabric(2, NULL) == -1, "fabric 2");
    CHECK(mla_xla_set_fabric(nccl ? MLAI_FABRIC_NCCL : MLAI_FABRIC_PEER, NULL) == 0, "fabric");
    CHECK(mla_xla_set_process(0, 1, job) == 0, "%s", job);
    mla_xla_set_timeout(10.0);
    for (int kind = 0; kind < RANKS_KINDS; kind++)
        for (int nranks = 2; can[kind] && nranks <= (nccl ? 4 : 5); nranks++) {
            bool processes = ranks_are_processes((ranks_kind_t)kind);
            const ranks_result_t *r =
                ranks_run((ranks_kind_t)kind, nranks, -1, 10.0, processes, calls);
            CHECK(r, "%s", ranks_name[kind]);
            for (int p = 0; r && p < nranks; p++)
                CHECK(r[p].status == MLA_OK && r[p].wrong == 0, "%s, %d ranks, rank %d: %s",
                      ranks_name[kind], nranks, p, r[p].why);
            CHECK(mla_xla_meetings() == 0, "%d meetings", (int)mla_xla_meetings());
        }
    mla_xla_release();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
