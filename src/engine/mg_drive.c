/* SPDX-License-Identifier: Apache-2.0
 * src/engine/mg_drive.c: how the ranks of a process let one of them drive cuSOLVERMg, which knows
 * one host thread and all GPUs.
 *
 *     all     note {process, device, A, B, job} through the window: streams are through, too
 *     rank 0  handle, grid of 1 x P devices, descriptors; asks for the size of work space
 *     all     allocate work space of their device                         (agree)
 *     rank 0  calls the routine, waits for all devices
 *     all     take info, and eigenvalues, from rank 0                     (agree)
 *
 * Between the steps the others sleep on the job's condition variable: rank 0 is a thread of the
 * same process and always comes back. The job goes with the last rank that lets go of it. */
#include "engine/mg_drive.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/process.h"
#include "dl/cuda_dl.h"

/* ---- what ranks share ------------------------------------------------------------------------
 */

typedef struct job {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int users, step;     /* steps that rank 0 has done */
    mla_status_t status; /* of these */
    mlai_error_t why;
    int64_t lwork;
    int info;
    void *work[MLAI_MG_GPUS];
    const void *w; /* rank 0's */
} job_t;

typedef struct note {
    mlai_process_t process;
    int ordinal;
    void *a, *b;
    job_t *job; /* of rank 0 */
} note_t;

static job_t *job_new(int nranks)
{
    job_t *job = calloc(1, sizeof *job);
    if (!job) return NULL;
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->changed, NULL);
    job->users = nranks;
    return job;
}

static void job_release(job_t *job, int users)
{
    pthread_mutex_lock(&job->lock);
    int left = job->users -= users;
    pthread_mutex_unlock(&job->lock);
    if (left > 0) return;
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

/* Rank 0: a step is done. */
static void job_post(job_t *job, mla_status_t st, const mlai_error_t *err)
{
    pthread_mutex_lock(&job->lock);
    job->step++;
    job->status = st;
    if (st != MLA_OK) job->why = *err;
    pthread_cond_broadcast(&job->changed);
    pthread_mutex_unlock(&job->lock);
}

/* All: until rank 0 has done `step`; its status. */
static mla_status_t job_wait(job_t *job, int step, mlai_error_t *err)
{
    pthread_mutex_lock(&job->lock);
    while (job->step < step) pthread_cond_wait(&job->changed, &job->lock);
    mla_status_t st = job->status;
    if (st != MLA_OK) mlai_fail(err, st, "%s", job->why.message);
    pthread_mutex_unlock(&job->lock);
    return st;
}

size_t mlai_mg_window(int nranks)
{
    return mlai_size_align(sizeof(note_t) * (size_t)nranks);
}

/* ---- the library: rank 0 ---------------------------------------------------------------------
 */

typedef struct session {
    const mlai_mg_call_t *call;
    const note_t *note;
    mlai_error_t *err;
    int nranks;
    const mlai_cu_t *cu;
    const mlai_cusolvermg_t *mg;
    cusolverMgHandle_t handle;
    cudaLibMgGrid_t grid;
    cudaLibMgMatrixDesc_t desca, descb;
    CUdevice device[MLAI_MG_GPUS];
    CUcontext context[MLAI_MG_GPUS]; /* retained */
    bool entered;                    /* something of ours is on the stack of contexts */
} session_t;

#define MG(s, name, ...) MLAI_CUSOLVER((s)->mg, (s)->err, -1, name, __VA_ARGS__)
#define CU(s, p, name, ...) MLAI_CU((s)->cu, (s)->err, (s)->note[p].ordinal, name, __VA_ARGS__)

static const cudaDataType type_of[] = {CUDA_R_32F, CUDA_R_64F, CUDA_C_32F, CUDA_C_64F};

/* The library copies between devices: each reaches the memory of all others. */
static mla_status_t reach(session_t *s, int p, int q)
{
    int can = 0;
    MLAI_TRY(CU(s, p, cuDeviceCanAccessPeer, &can, s->device[p], s->device[q]));
    if (!can)
        return mlai_fail(s->err, MLA_UNSUPPORTED,
                         "cuSOLVERMg: device %d cannot reach the memory of device %d",
                         s->note[p].ordinal, s->note[q].ordinal);
    MLAI_CU_SCOPE(s->cu, s->err, s->note[p].ordinal, s->context[p]);
    CUresult result = s->cu->cuCtxEnablePeerAccess(s->context[q], 0);
    if (result == CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED) return MLA_OK;
    return mlai_cu_check(s->cu, s->err, s->note[p].ordinal, "cuCtxEnablePeerAccess", result);
}

/* Memory of a pool is reached by its own device alone unless the pool is told: those of rank p,
 * of whichever pool, from the devices of all ranks. Other memory is reached already. */
static mla_status_t open_pool(session_t *s, int p, const void *ptr)
{
    CUmemAccessDesc access[MLAI_MG_GPUS];
    CUmemoryPool pool = NULL;
    size_t count = 0;
    MLAI_CU_SCOPE(s->cu, s->err, s->note[p].ordinal, s->context[p]);
    CUdeviceptr at = (CUdeviceptr)(uintptr_t)ptr;
    CUresult result =
        s->cu->cuPointerGetAttribute(&pool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, at);
    if (result != CUDA_SUCCESS || !pool) return MLA_OK;
    for (int q = 0; q < s->nranks; q++)
        if (s->device[q] != s->device[p])
            access[count++] = (CUmemAccessDesc){{CU_MEM_LOCATION_TYPE_DEVICE, s->device[q]},
                                                CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    return count == 0 ? MLA_OK : CU(s, p, cuMemPoolSetAccess, pool, access, count);
}

static mla_status_t enter_devices(session_t *s)
{
    for (int p = 0; p < s->nranks; p++) {
        MLAI_TRY(CU(s, p, cuDeviceGet, &s->device[p], s->note[p].ordinal));
        MLAI_TRY(CU(s, p, cuDevicePrimaryCtxRetain, &s->context[p], s->device[p]));
    }
    for (int p = 0; p < s->nranks; p++)
        for (int q = 0; q < s->nranks; q++)
            if (s->device[p] != s->device[q]) MLAI_TRY(reach(s, p, q));
    for (int p = 0; p < s->nranks; p++) {
        MLAI_TRY(open_pool(s, p, s->note[p].a));
        MLAI_TRY(open_pool(s, p, s->note[p].b));
    }
    // The library sets the current device of this thread; what was current comes back below it.
    MLAI_TRY(CU(s, 0, cuCtxPushCurrent_v2, s->context[0]));
    s->entered = true;
    return MLA_OK;
}

static mla_status_t describe(session_t *s)
{
    const mlai_mg_call_t *c = s->call;
    int32_t ordinal[MLAI_MG_GPUS];
    for (int p = 0; p < s->nranks; p++) ordinal[p] = s->note[p].ordinal;
    cudaDataType type = type_of[c->desc->dtype];
    int64_t n = c->desc->n, ld = c->desc->ld;
    MLAI_TRY(MG(s, cusolverMgCreate, &s->handle));
    MLAI_TRY(MG(s, cusolverMgDeviceSelect, s->handle, s->nranks, ordinal));
    MLAI_TRY(MG(s, cusolverMgCreateDeviceGrid, &s->grid, 1, s->nranks, ordinal,
                CUDALIBMG_GRID_MAPPING_COL_MAJOR));
    MLAI_TRY(MG(s, cusolverMgCreateMatrixDesc, &s->desca, ld, n, ld, c->d->nb, type, s->grid));
    if (c->routine != MLAI_MG_POTRS) return MLA_OK;
    return MG(s, cusolverMgCreateMatrixDesc, &s->descb, n, c->nrhs, n, c->tb, type, s->grid);
}

/* Asks for the size of work space (work NULL), or runs the routine. */
static mla_status_t call_routine(session_t *s, void **work, job_t *job)
{
    const mlai_mg_call_t *c = s->call;
    const cublasFillMode_t lower = CUBLAS_FILL_MODE_LOWER;
    const cusolverEigMode_t mode =
        c->routine == MLAI_MG_SYEVD ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
    cudaDataType type = type_of[c->desc->dtype], real = type_of[mlai_real(c->desc->dtype)];
    cusolverMgHandle_t h = s->handle;
    int n = (int)c->desc->n, nrhs = (int)c->nrhs;
    void *a[MLAI_MG_GPUS], *b[MLAI_MG_GPUS];
    for (int p = 0; p < s->nranks; p++) {
        a[p] = s->note[p].a;
        b[p] = s->note[p].b;
    }
    int64_t size = job->lwork, *lwork = &job->lwork;
    int *info = &job->info;
    cudaLibMgMatrixDesc_t da = s->desca, db = s->descb;
    switch (c->routine) {
    case MLAI_MG_POTRF:
        return work ? MG(s, cusolverMgPotrf, h, lower, n, a, 1, 1, da, type, work, size, info)
                    : MG(s, cusolverMgPotrf_bufferSize, h, lower, n, a, 1, 1, da, type, lwork);
    case MLAI_MG_POTRS:
        return work ? MG(s, cusolverMgPotrs, h, lower, n, nrhs, a, 1, 1, da, b, 1, 1, db, type,
                         work, size, info)
                    : MG(s, cusolverMgPotrs_bufferSize, h, lower, n, nrhs, a, 1, 1, da, b, 1, 1,
                         db, type, lwork);
    case MLAI_MG_POTRI:
        return work ? MG(s, cusolverMgPotri, h, lower, n, a, 1, 1, da, type, work, size, info)
                    : MG(s, cusolverMgPotri_bufferSize, h, lower, n, a, 1, 1, da, type, lwork);
    default:
        return work ? MG(s, cusolverMgSyevd, h, mode, lower, n, a, 1, 1, da, c->w, real, type,
                         work, size, info)
                    : MG(s, cusolverMgSyevd_bufferSize, h, mode, lower, n, a, 1, 1, da, c->w,
                         real, type, lwork);
    }
}

static mla_status_t open_session(session_t *s, job_t *job)
{
    MLAI_TRY(mlai_cu_load(&s->cu, s->err));
    MLAI_TRY(mlai_cusolvermg_load(&s->mg, s->err));
    MLAI_TRY(enter_devices(s));
    MLAI_TRY(describe(s));
    MLAI_TRY(call_routine(s, NULL, job));
    if (job->lwork >= 0) return MLA_OK;
    return mlai_fail(s->err, MLA_SIZE, "cuSOLVERMg asks for %lld elements of work space",
                     (long long)job->lwork);
}

/* The routine, to its end on all devices. */
static mla_status_t run_session(session_t *s, job_t *job)
{
    mla_status_t st = MLA_OK;
    for (int p = 0; p < s->nranks && st == MLA_OK; p++) st = open_pool(s, p, job->work[p]);
    if (st == MLA_OK) st = call_routine(s, job->work, job);
    for (int p = 0; p < s->nranks; p++) {
        mlai_cu_scope_t scope = mlai_cu_enter(s->cu, s->err, s->note[p].ordinal, s->context[p]);
        MLAI_KEEP_FIRST(st, scope.status);
        if (scope.status == MLA_OK) MLAI_KEEP_FIRST(st, CU(s, p, cuCtxSynchronize));
        mlai_cu_leave(&scope);
    }
    // A pivot that is not positive is data: the library then returns an internal error and says
    // which one in info (version 12.0).
    if (st == MLA_BACKEND && s->call->routine == MLAI_MG_POTRF && job->info > 0) st = MLA_OK;
    if (st == MLA_OK && job->info < 0)
        st = mlai_fail(s->err, MLA_BACKEND, "cuSOLVERMg: argument %d is wrong", -job->info);
    return st;
}

/* Frees in reverse what there is; a failure here is one of a broken device. */
static void close_session(session_t *s)
{
    CUcontext gone;
    if (s->descb) (void)s->mg->cusolverMgDestroyMatrixDesc(s->descb);
    if (s->desca) (void)s->mg->cusolverMgDestroyMatrixDesc(s->desca);
    if (s->grid) (void)s->mg->cusolverMgDestroyGrid(s->grid);
    if (s->handle) (void)s->mg->cusolverMgDestroy(s->handle);
    if (s->entered) (void)s->cu->cuCtxPopCurrent_v2(&gone);
    for (int p = 0; p < s->nranks; p++)
        if (s->context[p]) (void)s->cu->cuDevicePrimaryCtxRelease_v2(s->device[p]);
}

/* ---- all ranks -------------------------------------------------------------------------------
 */

/* Everyone's note, on the host; what the streams hold is done on all devices. */
static mla_status_t exchange(mla_context_t *x, const mlai_mg_call_t *call, job_t *job,
                             note_t *all)
{
    int p = x->comm->rank;
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    size_t each = sizeof(note_t), mine = (size_t)p * each;
    note_t note;
    memset(&note, 0, sizeof note);
    note.process = mlai_this_process();
    note.ordinal = x->ordinal;
    // A rank without columns has some memory of its device all the same.
    note.a = call->a ? call->a : call->base;
    note.b = call->b ? call->b : call->base;
    note.job = job;
    MLAI_TRY(MLAI_COMM(x, reuse, st, x->comm->seq));
    MLAI_TRY(MLAI_BE(x, from_host, st, (char *)call->base + mine, &note, each));
    MLAI_TRY(MLAI_COMM(x, allgather, st, mine, 0, each));
    MLAI_TRY(MLAI_BE(x, to_host, st, all, call->base, (size_t)x->comm->nranks * each));
    return MLAI_BE(x, sync, st);
}

/* The same outcome on all ranks. */
static mla_status_t check_notes(mla_context_t *x, const note_t *all)
{
    for (int q = 0; q < x->comm->nranks; q++) {
        if (!mlai_same_process(&all[q].process, &all[0].process))
            return mlai_fail(
                &x->err, MLA_UNSUPPORTED,
                "the engine cusolvermg wants all ranks in one process; rank %d is in "
                "another than rank 0",
                q);
    }
    return MLA_OK;
}

/* From the notes on: rank 0 with a session, the others with its job. */
static mla_status_t take_part(mla_context_t *x, const mlai_mg_call_t *call, session_t *s,
                              job_t *job, void **work)
{
    bool leads = x->comm->rank == 0;
    if (leads) job_post(job, open_session(s, job), &x->err);
    MLAI_TRY(job_wait(job, 1, &x->err));
    size_t bytes = mlai_size_mul((size_t)job->lwork, mlai_sizeof(call->desc->dtype));
    mla_status_t st = x->be->ops->alloc(x->be, bytes ? bytes : 1, work);
    job->work[x->comm->rank] = *work;
    // Memory of a pool is there for its stream; the library has others.
    if (st == MLA_OK) st = MLAI_BE(x, sync, mlai_stream(x, MLAI_STREAM_MAIN));
    MLAI_TRY(mlai_agree(x, st));
    if (leads) {
        job->w = call->w;
        job_post(job, run_session(s, job), &x->err);
    }
    MLAI_TRY(job_wait(job, 2, &x->err));
    size_t values =
        mlai_size_mul((size_t)call->desc->n, mlai_sizeof(mlai_real(call->desc->dtype)));
    if (call->w && !leads) memcpy(call->w, job->w, values);
    return MLA_OK;
}

mla_status_t mlai_mg_run(mla_context_t *x, const mlai_mg_call_t *call, int *info)
{
    note_t all[MLAI_MG_GPUS] = {0};
    bool leads = x->comm->rank == 0;
    job_t *job = NULL;
    mla_status_t st = MLA_OK;
    void *work = NULL;
    if (x->comm->nranks > MLAI_MG_GPUS)
        return mlai_fail(&x->err, MLA_UNSUPPORTED, "cuSOLVERMg: %d ranks, at most %d",
                         x->comm->nranks, MLAI_MG_GPUS);
    if (leads && !(job = job_new(x->comm->nranks)))
        st = mlai_fail(&x->err, MLA_NOMEM, "out of host memory");
    MLAI_TRY(mlai_agree(x, st));
    // Nobody may wait for a job of which another has not heard.
    st = mlai_agree(x, exchange(x, call, job, all));
    if (st == MLA_OK) st = check_notes(x, all);
    if (st != MLA_OK || !all[0].job) {
        if (job) job_release(job, x->comm->nranks);
        return st == MLA_OK ? mlai_fail(&x->err, MLA_COMM, "rank 0 has sent no job") : st;
    }
    job = all[0].job;
    session_t s = {.call = call, .note = all, .err = &x->err, .nranks = x->comm->nranks};
    st = take_part(x, call, &s, job, &work);
    if (st == MLA_OK) *info = job->info;
    mla_status_t done = mlai_agree(x, st);
    if (leads) close_session(&s);
    mlai_release(x, work);
    job_release(job, 1);
    return st == MLA_OK ? done : st;
}
