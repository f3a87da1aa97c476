/* SPDX-License-Identifier: Apache-2.0
 * tests/c/ranks.c: see ranks.h. */
#include "ranks.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *const ranks_name[RANKS_KINDS] = {"threads", "shm", "peer, processes",
                                             "peer, threads"};

typedef struct job {
    ranks_kind_t kind;
    ranks_body_t body;
    unsigned seed;
    double timeout_s;
    int nranks, absent;
    char name[64];
    ranks_result_t *result; /* in memory that all processes share */
    mla_comm_t *comm[RANKS_MAX];
} job_t;

typedef struct seat {
    job_t *job;
    int rank;
} seat_t;

double ranks_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ranks_sleep(double seconds)
{
    time_t whole = (time_t)seconds;
    struct timespec t = {whole, (long)((seconds - (double)whole) * 1e9)};
    nanosleep(&t, NULL);
}

void ranks_finish(ranks_self_t *self, mla_status_t st, const mlai_error_t *err)
{
    self->result->status = st;
    snprintf(self->result->why, sizeof self->result->why, "%s", err->message);
}

static bool on_gpu(ranks_kind_t kind)
{
    return kind == RANKS_PEER_THREADS || kind == RANKS_PEER_PROCESSES;
}

bool ranks_are_processes(ranks_kind_t kind)
{
    return kind == RANKS_SHM || kind == RANKS_PEER_PROCESSES;
}

bool ranks_can(ranks_kind_t kind)
{
    static int have = -1;
    if (!on_gpu(kind)) return true;
    if (have >= 0) return have;
    // The driver is asked in a process of its own, as it does not survive a fork.
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        const mlai_cu_t *cu;
        _exit(mlai_cu_load(&cu, NULL) == MLA_OK ? 0 : 1);
    }
    int status = 1;
    have = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    return have;
}

/* ---- memory ------------------------------------------------------------------------------ */

#define SELF_CU(self, name, ...) \
    MLAI_CU((self)->cu, &(self)->err, (self)->device, name, __VA_ARGS__)

static CUdeviceptr dev(const void *ptr)
{
    return (CUdeviceptr)(uintptr_t)ptr;
}

static CUstream stream_of(const ranks_self_t *self, int st)
{
    return (CUstream)(void *)self->stream[st];
}

static mla_status_t open_device(ranks_self_t *self, int ordinal)
{
    MLAI_TRY(mlai_cu_load(&self->cu, &self->err));
    MLAI_TRY(SELF_CU(self, cuDeviceGet, &self->device, ordinal));
    MLAI_TRY(SELF_CU(self, cuDevicePrimaryCtxRetain, &self->context, self->device));
    MLAI_TRY(SELF_CU(self, cuCtxPushCurrent_v2, self->context));
    for (int i = 0; i < RANKS_STREAMS; i++)
        MLAI_TRY(SELF_CU(self, cuStreamCreateWithPriority, (CUstream *)(void *)&self->stream[i],
                         CU_STREAM_NON_BLOCKING, 0));
    return MLA_OK;
}

static void close_device(ranks_self_t *self)
{
    CUcontext gone;
    if (!self->context) return;
    for (int i = 0; i < RANKS_STREAMS; i++)
        if (self->stream[i]) (void)self->cu->cuStreamDestroy_v2(stream_of(self, i));
    (void)self->cu->cuCtxPopCurrent_v2(&gone);
    (void)self->cu->cuDevicePrimaryCtxRelease_v2(self->device);
}

mla_status_t ranks_alloc(ranks_self_t *self, size_t bytes, void **ptr)
{
    if (self->cu) {
        CUdeviceptr p = 0;
        mla_status_t st = SELF_CU(self, cuMemAlloc_v2, &p, bytes);
        *ptr = (void *)(uintptr_t)p;
        return st;
    }
    *ptr = malloc(bytes);
    return *ptr ? MLA_OK : MLA_NOMEM;
}

void ranks_free(ranks_self_t *self, void *ptr)
{
    if (!self->cu)
        free(ptr);
    else if (ptr)
        (void)self->cu->cuMemFree_v2(dev(ptr));
}

mla_status_t ranks_copy(ranks_self_t *self, int st, void *dst, const void *src, size_t bytes)
{
    if (bytes == 0) return MLA_OK;
    if (self->cu)
        return SELF_CU(self, cuMemcpyDtoDAsync_v2, dev(dst), dev(src), bytes,
                       stream_of(self, st));
    memcpy(dst, src, bytes);
    return MLA_OK;
}

mla_status_t ranks_sync(ranks_self_t *self, int st)
{
    return self->cu ? SELF_CU(self, cuStreamSynchronize, stream_of(self, st)) : MLA_OK;
}

mla_status_t ranks_upload(ranks_self_t *self, void *dst, const void *host, size_t bytes)
{
    if (!self->cu) return ranks_copy(self, 0, dst, host, bytes);
    MLAI_TRY(SELF_CU(self, cuMemcpyHtoDAsync_v2, dev(dst), host, bytes, stream_of(self, 0)));
    return ranks_sync(self, 0);
}

mla_status_t ranks_download(ranks_self_t *self, void *host, const void *src, size_t bytes)
{
    if (!self->cu) return ranks_copy(self, 0, host, src, bytes);
    MLAI_TRY(SELF_CU(self, cuMemcpyDtoHAsync_v2, host, dev(src), bytes, stream_of(self, 0)));
    return ranks_sync(self, 0);
}

/* ---- running ----------------------------------------------------------------------------- */

/* The ranks take the devices in turn. */
static mla_status_t create_peer(job_t *job, int rank, ranks_self_t *self, mla_comm_t **comm)
{
    int count = 0;
    MLAI_TRY(mlai_cu_load(&self->cu, &self->err));
    MLAI_TRY(SELF_CU(self, cuDeviceGetCount, &count));
    MLAI_TRY(open_device(self, rank % count));
    mla_status_t st =
        mla_comm_create_peer(job->name, job->nranks, rank, rank % count, job->timeout_s, comm);
    return st == MLA_OK ? st : mlai_fail(&self->err, st, "%s", mla_message(NULL));
}

static mla_status_t create(job_t *job, int rank, ranks_self_t *self, mla_comm_t **comm)
{
    *comm = job->comm[rank];
    if (on_gpu(job->kind)) return create_peer(job, rank, self, comm);
    if (job->kind == RANKS_THREADS) return MLA_OK;
    mla_status_t st = mla_comm_create_shm(job->name, job->nranks, rank, job->timeout_s, comm);
    return st == MLA_OK ? st : mlai_fail(&self->err, st, "%s", mla_message(NULL));
}

static void *run_rank(void *arg)
{
    job_t *job = ((seat_t *)arg)->job;
    int rank = ((seat_t *)arg)->rank;
    ranks_self_t self = {.seed = job->seed, .result = &job->result[rank]};
    double t = ranks_now();
    mla_status_t st = create(job, rank, &self, &self.comm);
    ranks_finish(&self, st, &self.err);
    if (st == MLA_OK) job->body(&self);
    self.result->seconds = ranks_now() - t;
    mla_comm_free(self.comm);
    close_device(&self);
    return NULL;
}

static bool run_threads(job_t *job)
{
    pthread_t thread[RANKS_MAX];
    seat_t seat[RANKS_MAX];
    if (job->kind == RANKS_THREADS &&
        mla_comm_create_threads(job->nranks, job->timeout_s, job->comm) != MLA_OK) {
        printf("FAIL %s\n", mla_message(NULL));
        return false;
    }
    for (int p = 0; p < job->nranks; p++) {
        seat[p] = (seat_t){job, p};
        if (p != job->absent) pthread_create(&thread[p], NULL, run_rank, &seat[p]);
    }
    for (int p = 0; p < job->nranks; p++)
        if (p != job->absent) pthread_join(thread[p], NULL);
    if (job->absent >= 0) mla_comm_free(job->comm[job->absent]);
    return true;
}

static bool run_processes(job_t *job)
{
    pid_t child[RANKS_MAX];
    bool good = true;
    fflush(stdout);
    for (int p = 0; p < job->nranks; p++) {
        child[p] = p == job->absent ? -1 : fork();
        if (child[p] == 0) {
            seat_t seat = {job, p};
            run_rank(&seat);
            exit(0); // looks for leaks
        }
    }
    for (int p = 0; p < job->nranks; p++) {
        int status = 0;
        if (child[p] > 0) waitpid(child[p], &status, 0);
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        if (killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) continue;
        printf("FAIL rank %d: process ended with status %x\n", p, (unsigned)status);
        good = false;
    }
    return good;
}

const ranks_result_t *ranks_run(ranks_kind_t kind, int nranks, int absent, double timeout_s,
                                unsigned seed, ranks_body_t body)
{
    static int number;
    static ranks_result_t *result;
    static job_t job;
    if (!result) {
        result = mmap(NULL, RANKS_MAX * sizeof *result, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (result == MAP_FAILED) exit(1);
    }
    memset(result, 0, RANKS_MAX * sizeof *result);
    for (int p = 0; p < nranks; p++) result[p].status = (mla_status_t)1;
    job = (job_t){.kind = kind,
                  .body = body,
                  .seed = seed,
                  .timeout_s = timeout_s,
                  .nranks = nranks,
                  .absent = absent,
                  .result = result};
    snprintf(job.name, sizeof job.name, "ranks-%d-%d", (int)getpid(), number++);
    bool good = ranks_are_processes(kind) ? run_processes(&job) : run_threads(&job);
    return good ? result : NULL;
}
