/* SPDX-License-Identifier: Apache-2.0
 * ffi/xla_handler.c: what a call of any target goes through.
 *
 * A call: decode and check from data that is equal on all ranks; find the rank; meet the other
 * ranks; make a context; call the routine of the C library; leave. A failure before the meeting
 * is seen by all ranks alike; one after it goes to the others through the communicator.
 *
 * CPU devices share one pool of threads, about two a device, and run independent operations of a
 * program at once: ranks that waited there for one another, in two calls or in ours and XLA's
 * own collectives, could hold all threads and stop for ever. So a rank of several gets a thread
 * of its own there, and XLA a future. On GPUs each device has its thread, and keeps the order.
 *
 * What the targets are, and what each does, is in xla_targets.c.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer_cache.h"
#include "rendezvous.h"
#include "xla_args.h"
#include "xla_device.h"
#include "xla_job.h"

MLA_API xla_error_t *mla_xla_instantiate(xla_frame_t *frame);

static xla_error_t *raise_error(const xla_api_t *api, const mlai_xla_status_t *st)
{
    xla_error_create_args_t args = {sizeof args, NULL, st->message, st->code};
    return api->error_create(&args);
}

static void drop_error(const xla_api_t *api, xla_error_t *error)
{
    xla_error_destroy_args_t args = {sizeof args, NULL, error};
    api->error_destroy(&args);
}

/* Registration calls every handler once to learn its version: the one of the caller. */
static bool answer_metadata(const xla_frame_t *frame)
{
    if (!frame->extension || frame->extension->type != XLA_EXTENSION_METADATA) return false;
    xla_metadata_extension_t *extension = (xla_metadata_extension_t *)(void *)frame->extension;
    extension->metadata->version = frame->api->version;
    return true;
}

/* ---- copies of a call site --------------------------------------------------------------
 * A jitted function that is called twice in one program is traced once: two calls have equal
 * attributes, and CPU devices may run them at once in different order. XLA instantiates each
 * of them once, in the order of the program: they are numbered there. */

enum { MAX_ORDINALS = 256 };

typedef struct call_site {
    int64_t call, group, instances;
    struct call_site *next;
} call_site_t;

/* What XLA keeps for one copy. A program runs on the same devices each time, so where a device
 * stands need be read from its memory only once. */
typedef struct instance {
    int64_t number;
    _Atomic int64_t where[MAX_ORDINALS]; /* by ordinal: 1 + (group << 32 | rank), or 0 */
} instance_t;

static pthread_mutex_t site_lock = PTHREAD_MUTEX_INITIALIZER;
static call_site_t *sites;

static int64_t next_instance(int64_t call, int64_t group)
{
    pthread_mutex_lock(&site_lock);
    call_site_t *site = sites;
    while (site && !(site->call == call && site->group == group)) site = site->next;
    if (!site && (site = calloc(1, sizeof *site))) {
        site->call = call;
        site->group = group;
        site->next = sites;
        sites = site;
    }
    int64_t number = site ? site->instances++ : 0;
    pthread_mutex_unlock(&site_lock);
    return number;
}

static xla_error_t *state_type(const xla_api_t *api, xla_type_id_t *id)
{
    static xla_type_id_t known;
    static const xla_type_info_t info = {sizeof info, NULL, free};
    static const char name[] = "meshlinalg_call_site";
    xla_error_t *error = NULL;
    pthread_mutex_lock(&site_lock);
    if (known.id == 0) {
        xla_type_register_args_t args = {
            sizeof args, NULL, {name, sizeof name - 1}, &known, &info};
        error = api->type_register(&args);
    }
    *id = known;
    pthread_mutex_unlock(&site_lock);
    return error;
}

xla_error_t *mla_xla_instantiate(xla_frame_t *frame)
{
    if (answer_metadata(frame)) return NULL;
    const xla_api_t *api = frame->api;
    mlai_xla_status_t st = {0};
    mlai_xla_call_t call;
    if (!mlai_xla_decode_call(frame, "meshlinalg", &call, &st)) return raise_error(api, &st);
    xla_type_id_t type = {0};
    xla_error_t *error = state_type(api, &type);
    if (error) return error;
    instance_t *instance = calloc(1, sizeof *instance);
    if (!instance) {
        mlai_xla_fail(&st, XLA_RESOURCE_EXHAUSTED, "meshlinalg: out of host memory");
        return raise_error(api, &st);
    }
    instance->number = next_instance(call.call, call.group);
    xla_state_args_t args = {sizeof args, NULL, frame->ctx, XLA_INSTANTIATE, &type, instance};
    error = api->state_set(&args);
    if (error) free(instance);
    return error;
}

static xla_error_t *get_instance(const xla_frame_t *frame, instance_t **instance)
{
    xla_type_id_t type = {0};
    xla_error_t *error = state_type(frame->api, &type);
    if (error) return error;
    xla_state_args_t args = {sizeof args, NULL, frame->ctx, XLA_INSTANTIATE, &type, NULL};
    error = frame->api->state_get(&args);
    if (!error) *instance = args.state;
    return error;
}

/* ---- which rank this is ------------------------------------------------------------------ */

/* Group and rank of a GPU: from the table, else as read before, else from its memory. */
static bool find_rank(const mlai_xla_call_t *call, const xla_buffer_t *where, int process,
                      instance_t *instance, const place_t *place, int32_t index_rank[2],
                      mlai_xla_status_t *st)
{
    for (size_t i = 0; i < call->npairs; i++)
        if (call->table[2 * i] == process && call->table[2 * i + 1] == place->ordinal) {
            index_rank[0] = (int32_t)(i / (size_t)call->nranks);
            index_rank[1] = (int32_t)(i % (size_t)call->nranks);
            return true;
        }
    bool kept = instance && place->ordinal >= 0 && place->ordinal < MAX_ORDINALS;
    int64_t known = kept ? atomic_load(&instance->where[place->ordinal]) : 0;
    if (known) {
        index_rank[0] = (int32_t)((known - 1) >> 32);
        index_rank[1] = (int32_t)((known - 1) & INT32_MAX);
        return true;
    }
    if (!mlai_xla_read_device(place->stream, index_rank, where->data, 2 * sizeof *index_rank, st))
        return false;
    if (kept && index_rank[0] >= 0 && index_rank[1] >= 0)
        atomic_store(&instance->where[place->ordinal],
                     1 + ((int64_t)index_rank[0] << 32 | index_rank[1]));
    return true;
}

static bool find_place(const xla_frame_t *frame, const char *routine, const mlai_xla_call_t *call,
                       instance_t *instance, place_t *place, mlai_xla_status_t *st)
{
    int process = 0, count = 1;
    mlai_process(&process, &count);
    const xla_buffer_t *where = frame->args.items[frame->args.size - 1];
    if (where->dtype != XLA_S32 || where->rank != 1 || where->dims[0] != 2)
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                             "%s: the last operand must be int32[2]: group and rank", routine);

    int32_t index_rank[2] = {-1, -1};
    if (call->device == MLA_HOST)
        memcpy(index_rank, where->data, sizeof index_rank);
    else if (!find_rank(call, where, process, instance, place, index_rank, st))
        return false;
    place->instance = instance ? instance->number : 0;
    place->index = index_rank[0];
    place->rank = index_rank[1];
    if (place->index < 0 || place->rank < 0 || place->rank >= call->nranks)
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                             "%s: rank %d of %d in group %" PRId64 " on device %d", routine,
                             place->rank, call->nranks, place->index, place->ordinal);

    // Devices unknown at trace time may be anywhere.
    place->local = count == 1 || call->nranks == 1;
    size_t first = (size_t)place->index * (size_t)call->nranks;
    if (!place->local && call->npairs >= first + (size_t)call->nranks) {
        place->local = true;
        for (size_t i = first; i < first + (size_t)call->nranks; i++)
            if (call->table[2 * i] != process) place->local = false;
    }
    return true;
}

/* ---- scratch memory from XLA's pool (GPU) ------------------------------------------------- */

enum { MAX_BLOCKS = 64 };

typedef struct pool {
    const xla_api_t *api;
    xla_context_t *ctx;
    struct {
        void *ptr;
        size_t size;
    } block[MAX_BLOCKS];
} pool_t;

static void *pool_alloc(void *user, size_t bytes)
{
    pool_t *pool = user;
    int i = 0;
    while (i < MAX_BLOCKS && pool->block[i].ptr) i++;
    if (i == MAX_BLOCKS) return NULL;
    xla_allocate_args_t args = {sizeof args, NULL, pool->ctx, bytes, 16, NULL};
    xla_error_t *error = pool->api->memory_allocate(&args);
    if (error) {
        drop_error(pool->api, error);
        return NULL;
    }
    pool->block[i].ptr = args.data;
    pool->block[i].size = bytes;
    return args.data;
}

static void pool_free(void *user, void *ptr)
{
    pool_t *pool = user;
    for (int i = 0; ptr && i < MAX_BLOCKS; i++)
        if (pool->block[i].ptr == ptr) {
            xla_free_args_t args = {sizeof args, NULL, pool->ctx, pool->block[i].size, ptr};
            xla_error_t *error = pool->api->memory_free(&args);
            if (error) drop_error(pool->api, error);
            pool->block[i].ptr = NULL;
            return;
        }
}

/* ---- one call ----------------------------------------------------------------------------- */

static int code_of(mla_status_t status)
{
    switch (status) {
    case MLA_ARG:
    case MLA_SIZE: return XLA_INVALID_ARGUMENT;
    case MLA_NOMEM: return XLA_RESOURCE_EXHAUSTED;
    case MLA_COMM: return XLA_UNAVAILABLE;
    case MLA_PEER: return XLA_ABORTED;
    case MLA_UNSUPPORTED: return XLA_UNIMPLEMENTED;
    default: return XLA_INTERNAL;
    }
}

/* The routine between arriving and leaving. */
static mla_status_t run_rank(const job_t *job, mla_comm_t *comm, mlai_xla_status_t *st)
{
    pool_t pool = {job->api, job->ctx, {{NULL, 0}}};
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    options.device = job->call.device;
    options.comm = comm;
    options.engine = job->call.engine;
    if (job->call.device == MLA_CUDA) {
        options.ordinal = job->place.ordinal;
        options.stream = job->place.stream;
        options.alloc = pool_alloc;
        options.free = pool_free;
        options.user = &pool;
    }
    mla_context_t *ctx = NULL;
    mla_status_t status = mla_context_create(&options, &ctx);
    if (status == MLA_OK) status = job->run(ctx, job);
    // A rank that dies on another machine is noticed where ranks agree: before results are used.
    bool far = comm && job->call.device == MLA_CUDA && mlai_fabric() == MLAI_FABRIC_NCCL;
    bool late = false;
    if (status == MLA_OK && far) late = (status = mla_comm_barrier(comm)) != MLA_OK;
    if (status != MLA_OK) {
        const char *text = mla_message(late ? NULL : ctx);
        if (!text || !*text) text = mla_status_text(status);
        mlai_xla_fail(st, code_of(status), "%s: rank %d of %d: %s", job->routine, job->place.rank,
                      job->call.nranks, text);
        if (comm && status != MLA_PEER) mla_comm_abort(comm, text);
    }
    mla_context_free(ctx);
    return status;
}

/* Arrive, run, leave; the error, or NULL. */
static xla_error_t *attend(const job_t *job)
{
    const place_t *place = &job->place;
    mlai_xla_status_t st = {0};
    mlai_meeting_t *meeting = NULL;
    mla_comm_t *comm = NULL;
    if (job->call.nranks > 1) {
        mlai_meeting_key_t key = {place->local ? place->run : 0,
                                  job->call.call,
                                  place->instance,
                                  job->call.group,
                                  place->index,
                                  job->call.nranks};
        int gpu = job->call.device == MLA_CUDA ? place->ordinal : -1;
        bool joined =
            place->local
                ? mlai_meeting_join(&key, place->rank, gpu, job->routine, &meeting, &comm, &st)
                : mlai_meeting_join_processes(&key, place->rank, gpu, job->routine, &meeting,
                                              &comm, &st);
        if (!joined) return raise_error(job->api, &st);
    }
    mla_status_t status = run_rank(job, comm, &st);
    if (meeting) mlai_meeting_leave(meeting, place->rank, status == MLA_OK ? NULL : st.message);
    return status == MLA_OK ? NULL : raise_error(job->api, &st);
}

/* Thread of one rank of a CPU device; owns the job. XLA may go on with the program in it. */
static void *attend_thread(void *arg)
{
    job_t *job = arg;
    const xla_api_t *api = job->api;
    xla_future_t *future = job->future;
    xla_error_t *error = attend(job), *unset = NULL;
    free(job);
    if (error) {
        xla_future_error_args_t args = {sizeof args, NULL, future, error};
        unset = api->future_error(&args);
    } else {
        xla_future_set_args_t args = {sizeof args, NULL, future};
        unset = api->future_set(&args);
    }
    if (unset) drop_error(api, unset);
    return NULL;
}

static xla_error_t *attend_later(xla_frame_t *frame, const job_t *job)
{
    const xla_api_t *api = frame->api;
    job_t *own = malloc(sizeof *own);
    if (!own) { /* the others wait: arrive all the same */
        return attend(job);
    }
    *own = *job;
    xla_future_create_args_t args = {sizeof args, NULL, NULL};
    xla_error_t *error = api->future_create(&args);
    if (error) {
        free(own);
        return error;
    }
    own->future = frame->future = args.future;
    pthread_t thread;
    if (pthread_create(&thread, NULL, attend_thread, own) == 0)
        pthread_detach(thread);
    else
        attend_thread(own);
    return NULL;
}

xla_error_t *mlai_xla_handle(xla_frame_t *frame, mla_device_t device, const char *routine,
                             int64_t nargs, int64_t nrets, check_fn *check, run_fn *run)
{
    if (answer_metadata(frame)) return NULL;
    const xla_api_t *api = frame->api;
    mlai_xla_status_t st = {0};
    job_t job = {.api = api, .ctx = frame->ctx, .routine = routine, .run = run};
    job.call.device = device;
    if (frame->stage != XLA_EXECUTE) {
        mlai_xla_fail(&st, XLA_INTERNAL, "%s: called in stage %d", routine, frame->stage);
        return raise_error(api, &st);
    }
    if (!mlai_xla_expect_counts(frame, routine, nargs + 1, nrets, &st) ||
        !mlai_xla_decode_call(frame, routine, &job.call, &st))
        return raise_error(api, &st);
    buffers_t buf = {{NULL}, {NULL}};
    for (int64_t i = 0; i < nargs; i++) {
        buf.in[i] = frame->args.items[i];
        job.in[i] = buf.in[i]->data;
    }
    for (int64_t i = 0; i < nrets; i++) {
        buf.out[i] = frame->rets.items[i];
        job.out[i] = buf.out[i]->data;
    }
    if (!check(&job, &buf, &st)) return raise_error(api, &st);

    instance_t *instance = NULL;
    xla_run_id_args_t run_id = {sizeof run_id, NULL, frame->ctx, 0};
    xla_ordinal_args_t ordinal = {sizeof ordinal, NULL, frame->ctx, 0};
    xla_stream_args_t stream = {sizeof stream, NULL, frame->ctx, NULL};
    xla_error_t *error = api->run_id_get(&run_id);
    if (!error) error = api->ordinal_get(&ordinal);
    if (!error && device == MLA_CUDA) error = api->stream_get(&stream);
    if (!error) error = get_instance(frame, &instance);
    if (error) return error;
    job.place.run = run_id.run_id;
    job.place.ordinal = ordinal.ordinal;
    job.place.stream = stream.stream;
    if (!find_place(frame, routine, &job.call, instance, &job.place, &st))
        return raise_error(api, &st);
    for (int i = 0; i < job.aliased; i++)
        if (!mlai_xla_copy(device, job.place.stream, buf.in[nargs - job.aliased + i], buf.out[i],
                           &st))
            return raise_error(api, &st);
    job.call.table = NULL; // the frame's
    return device == MLA_HOST && job.call.nranks > 1 ? attend_later(frame, &job) : attend(&job);
}
