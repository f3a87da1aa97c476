/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/unit_cuda.c: host side of the CUDA backend over the fake libraries: finding them,
 * objects kept from context to context, the caller's current context, streams that change, and
 * every call made to fail in turn. */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "dl/cuda_dl.h"
#include "fake_cuda.h"
#include "meshlinalg.h"

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
    long (*made)(void);
    void (*drain)(void);
} fake;

static void find(void *handle, const char *name, void *slot)
{
    void *address = dlsym(handle, name);
    if (!address) {
        fprintf(stderr, "unit_cuda: the driver is not the fake one\n");
        exit(1);
    }
    memcpy(slot, &address, sizeof address);
}

/* ---- one problem: 5 x 5, known solution
 * --------------------------------------------------------- */

enum { N = 5 };

typedef struct problem {
    int ordinal;
    void *stream;
    bool own_memory; /* the context's allocator */
    int asked;       /* of that allocator, less what it got back */
    mla_engine_t engine;
} problem_t;

static void *user_alloc(void *user, size_t bytes)
{
    problem_t *p = user;
    __atomic_add_fetch(&p->asked, 1, __ATOMIC_SEQ_CST);
    void *ptr = aligned_alloc(256, bytes);
    if (ptr) memset(ptr, 0xff, bytes);
    return ptr;
}

/* As XLA's pool: the caller's stream alone orders it. Work of the stream may still use it. */
static void user_free(void *user, void *ptr)
{
    problem_t *p = user;
    __atomic_sub_fetch(&p->asked, 1, __ATOMIC_SEQ_CST);
    fake.drain();
    free(ptr);
}

static double element(int i, int j)
{
    return i == j ? 8 : 1.0 / (1 + i + j);
}

/* posv and poinv in one context; the largest error, NaN when a call failed. */
static mla_status_t solve(problem_t *p, double *error, char *message)
{
    double a[N * N], b[N], x[N], inverse[N * N];
    for (int j = 0; j < N; j++) {
        b[j] = 0;
        for (int i = 0; i < N; i++) {
            a[i + j * N] = element(i, j);
            b[j] += element(j, i) * (i + 1);
        }
    }
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    options.device = MLA_CUDA;
    options.ordinal = p->ordinal;
    options.stream = p->stream;
    options.engine = p->engine;
    if (p->own_memory) options.alloc = user_alloc, options.free = user_free, options.user = p;
    mla_context_t *x_ = NULL;
    mla_desc_t desc = MLA_DESC_INIT(MLA_FLOAT64, N);
    desc.nb = 3;
    // The fake's memory is the host's; a program of the GPU would copy.
    int32_t info = -1, info2 = -1;
    double logdet = 0;
    memcpy(inverse, a, sizeof a);
    memcpy(x, b, sizeof b);
    *error = NAN;
    mla_status_t st = mla_context_create(&options, &x_);
    if (st == MLA_OK) st = mla_posv(x_, &desc, a, MLA_RHS_ROWS, 1, x, 1, &logdet, &info);
    if (st == MLA_OK) st = mla_poinv(x_, &desc, inverse, NULL, &info2);
    if (st == MLA_OK) st = mla_context_sync(x_);
    snprintf(message, 600, "%s", mla_message(st == MLA_OK ? x_ : x_ ? x_ : NULL));
    if (st != MLA_OK) fake.drain(); // what is in the streams points to this function's arrays
    if (st == MLA_OK) {
        *error = info != 0 || info2 != 0;
        for (int j = 0; j < N; j++) {
            *error = fmax(*error, fabs(x[j] - (j + 1)));
            double s = 0;
            for (int i = 0; i < N; i++) s += element(j, i) * inverse[i + j * N];
            *error = fmax(*error, fabs(s - 1));
        }
    }
    mla_context_free(x_);
    fake.drain();
    return st;
}

static void expect_solved(problem_t *p, const char *what)
{
    char message[600];
    double error;
    mla_status_t st = solve(p, &error, message);
    CHECK(st == MLA_OK, "%s: %s: %s", what, mla_status_name(st), message);
    CHECK(error < 1e-13, "%s: error %g", what, error);
    CHECK(p->asked == 0, "%s: %d blocks of the caller's allocator are left", what, p->asked);
}

/* ---- tests
 * ---------------------------------------------------------------------------------------- */

static void test_setup(void)
{
    const char *none[] = {"/no/such/folder", NULL}, *folder[] = {"/no/such/folder", FAKE_DIR};
    CHECK(mla_cuda_setup(11, NULL, 0) == MLA_ARG, "major 11");
    CHECK(strstr(mla_message(NULL), "11"), "the sentence names the value");
    CHECK(mla_cuda_setup(13, NULL, 1) == MLA_ARG, "folders NULL");
    CHECK(mla_cuda_setup(13, none, 2) == MLA_ARG, "folders[1] NULL");
    // A library that is nowhere: the sentence names it and the folder.
    static const char *const soname[] = {"libnowhere.so.1", "libnowhere.so.2"};
    mlai_error_t err = {.status = MLA_OK};
    void *handle = &err;
    CHECK(mla_cuda_setup(13, none, 1) == MLA_OK, "%s", mla_message(NULL));
    CHECK(mlai_cuda_open("Nowhere", soname, &handle, &err) == MLA_UNSUPPORTED, "found");
    CHECK(!handle && strstr(err.message, "Nowhere") && strstr(err.message, "libnowhere.so.2") &&
              strstr(err.message, "/no/such/folder") && !strstr(err.message, "libnowhere.so.1"),
          "%s", err.message);
    CHECK(mla_cuda_setup(12, NULL, 0) == MLA_OK, "the major may change until it is used");
    CHECK(mla_cuda_setup(13, folder, 2) == MLA_OK, "%s", mla_message(NULL));
}

static void test_in_use(void)
{
    problem_t p = {.ordinal = 7};
    char message[600];
    double error;
    CHECK(mla_cuda_setup(12, NULL, 0) == MLA_ARG, "libraries of 13 are open");
    CHECK(mla_cuda_setup(0, NULL, 0) == MLA_OK, "%s", mla_message(NULL));
    CHECK(solve(&p, &error, message) == MLA_ARG, "device 7");
    CHECK(strstr(message, "ordinal") && strstr(message, "7"), "%s", message);
}

/* The second context makes nothing but scratch; the current context is what it was. */
static void test_kept(void)
{
    const mlai_cu_t *cu;
    mlai_error_t err = {.status = MLA_OK};
    CUcontext before = NULL, after = NULL, gone;
    CHECK(mlai_cu_load(&cu, &err) == MLA_OK, "%s", err.message);
    CHECK(cu->cuDevicePrimaryCtxRetain(&before, 1) == CUDA_SUCCESS, "retain");
    CHECK(cu->cuCtxPushCurrent_v2(before) == CUDA_SUCCESS, "push");
    problem_t p = {.ordinal = 0}, q = {.ordinal = 0, .own_memory = true};
    expect_solved(&p, "first");
    long made = fake.made();
    expect_solved(&q, "second, with the caller's memory");
    CHECK(fake.made() == made, "%ld objects were made again", fake.made() - made);
    CHECK(cu->cuCtxGetCurrent(&after) == CUDA_SUCCESS && after == before, "the context changed");
    // A stream of the caller's.
    CUstream stream = NULL;
    CHECK(cu->cuStreamCreateWithPriority(&stream, 0, 0) == CUDA_SUCCESS, "stream");
    problem_t s = {.ordinal = 1, .stream = stream};
    expect_solved(&s, "another stream and device, without memory pools");
    CHECK(cu->cuStreamDestroy_v2(stream) == CUDA_SUCCESS, "destroy");
    // A library that leaves another device current.
    problem_t mg = {.ordinal = 0, .engine = MLA_ENGINE_CUSOLVERMG};
    expect_solved(&mg, "cusolvermg");
    CHECK(cu->cuCtxGetCurrent(&after) == CUDA_SUCCESS && after == before, "the context changed");
    CHECK(cu->cuCtxPopCurrent_v2(&gone) == CUDA_SUCCESS && gone == before, "pop");
    CHECK(cu->cuDevicePrimaryCtxRelease_v2(1) == CUDA_SUCCESS, "release");
}

/* What people are told: versions, paths, devices, who reaches whom. */
static void test_told(void)
{
    int version = -1, count = -1, can = -1;
    char path[256] = "";
    CHECK(mla_cuda_library(MLA_LIBRARY_CUBLAS, &version, path, sizeof path) == MLA_OK, "%s",
          mla_message(NULL));
    CHECK(version == 130102 && strstr(path, FAKE_DIR), "version %d of %s", version, path);
    CHECK(mla_cuda_library(MLA_LIBRARY_CUSOLVER, &version, NULL, 0) == MLA_OK, "%s",
          mla_message(NULL));
    CHECK(version == 120102, "version %d", version);
    CHECK(mla_cuda_library(MLA_LIBRARY_DRIVER, &version, path, 8) == MLA_OK && version >= 120000,
          "version %d: %s", version, mla_message(NULL));
    CHECK(strlen(path) == 7, "cut short: %s", path);
    CHECK(mla_cuda_library((mla_library_t)99, &version, NULL, 0) == MLA_ARG, "library 99");
    CHECK(mla_cuda_library(MLA_LIBRARY_CUSOLVERMP, NULL, NULL, 0) == MLA_UNSUPPORTED &&
              strstr(mla_message(NULL), "libcusolverMp.so.0"),
          "%s", mla_message(NULL));
    CHECK(mla_cuda_device_count(&count) == MLA_OK && count == 4, "%d devices", count);
    mla_cuda_device_t device = {.size = sizeof device};
    CHECK(mla_cuda_device(1, &device) == MLA_OK && device.capability == 90 &&
              device.memory == (uint64_t)2 << 30 && strstr(device.name, "fake device 1"),
          "%s: %s", device.name, mla_message(NULL));
    CHECK(mla_cuda_device(4, &device) == MLA_ARG, "device 4 of 4");
    device.size = 0;
    CHECK(mla_cuda_device(0, &device) == MLA_ARG, "a struct without its size");
    CHECK(mla_cuda_peer_access(0, 1, &can) == MLA_OK && can == 1, "%s", mla_message(NULL));
    CHECK(mla_cuda_peer_access(1, 1, &can) == MLA_OK && can == 1, "%s", mla_message(NULL));
    CHECK(mla_cuda_peer_access(0, -1, &can) == MLA_ARG && can == 0, "device -1");
}

static void *many_main(void *arg)
{
    for (int k = 0; k < 5; k++) expect_solved(arg, "threads");
    return NULL;
}

static void test_threads(void)
{
    enum { THREADS = 12 }; // more than are kept
    pthread_t thread[THREADS];
    problem_t p[THREADS];
    for (int t = 0; t < THREADS; t++) {
        p[t] = (problem_t){.ordinal = t % 2, .own_memory = t % 3 == 0};
        pthread_create(&thread[t], NULL, many_main, &p[t]);
    }
    for (int t = 0; t < THREADS; t++) pthread_join(thread[t], NULL);
}

/* Call number k fails, k = 1, 2, ...: a status, a sentence, and nothing left. The last calls are
 * those of freeing the context, which has no status. */
static void test_failures(int ordinal, bool own_memory, mla_engine_t engine)
{
    long k = 0, calls = 0;
    do {
        problem_t p = {.ordinal = ordinal, .own_memory = own_memory, .engine = engine};
        char message[600];
        double error;
        mla_cuda_trim();
        fake.fail_at(++k);
        mla_status_t st = solve(&p, &error, message);
        calls = fake.calls();
        fake.fail_at(0);
        CHECK(st == MLA_OK || st == MLA_BACKEND || st == MLA_NOMEM, "call %ld: %s", k,
              mla_status_name(st));
        CHECK(st == MLA_OK ? error < 1e-13 : message[0] != 0, "call %ld: error %g, %s", k, error,
              message);
        CHECK(st != MLA_OK || k > calls - 20 || engine != MLA_ENGINE_NATIVE,
              "call %ld of %ld failed unseen", k, calls);
        CHECK(p.asked == 0, "call %ld: %d blocks are left", k, p.asked);
        mla_cuda_trim();
        fake.drain();
        CHECK(fake.live() == 0, "call %ld (%s): %ld objects are left", k, message, fake.live());
        if (failures > 10) return;
    } while (k <= calls);
    printf("unit_cuda: %ld calls made to fail on device %d, engine %d\n", k - 1, ordinal,
           (int)engine);
}

/* Every range that a routine opens is closed, also after a failure. */
static void test_ranges(void)
{
    void *handle = dlopen("libnvtx3interop.so.1", RTLD_NOW | RTLD_NOLOAD);
    CHECK(handle != NULL, "NVTX is not open");
    if (!handle) return;
    const atomic_int *open = dlsym(handle, "fake_nvtx_open");
    const atomic_int *seen = dlsym(handle, "fake_nvtx_seen");
    CHECK(open && *open == 0, "%d ranges are open", open ? *open : -1);
    CHECK(seen && *seen > 0, "no range has been opened");
    dlclose(handle);
}

int main(void)
{
    test_setup();
    const mlai_cu_t *cu;
    mlai_error_t err = {.status = MLA_OK};
    CHECK(mlai_cu_load(&cu, &err) == MLA_OK, "%s", err.message);
    void *handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (!handle) return 1;
    find(handle, "fake_fail_at", &fake.fail_at);
    find(handle, "fake_calls", &fake.calls);
    find(handle, "fake_live", &fake.live);
    find(handle, "fake_made", &fake.made);
    find(handle, "fake_drain", &fake.drain);
    test_kept();
    test_in_use();
    test_told();
    test_threads();
    test_failures(0, false, MLA_ENGINE_NATIVE);
    test_failures(0, true, MLA_ENGINE_NATIVE);
    test_failures(1, false, MLA_ENGINE_NATIVE);
    test_failures(1, true, MLA_ENGINE_CUSOLVERMG);
    test_ranges();
    mla_cuda_trim();
    dlclose(handle);
    printf("unit_cuda: %d failed\n", failures);
    return failures != 0;
}
