/* SPDX-License-Identifier: Apache-2.0
 * src/dl/cuda_dl.c: finding and opening the CUDA libraries (cuda_dl.h). */
#include "dl/cuda_dl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "size of " #type);
#define OFFSET(type, member, offset) \
    _Static_assert(offsetof(type, member) == (offset), "place of " #member " in " #type);
MLAI_CU_LAYOUT(SIZE, OFFSET)

/* ---- what mla_cuda_setup said ---------------------------------------------------------------
 */

enum { MAJOR_OLD = 12, MAJOR_NEW = 13 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    int major; /* 12 or 13; 0: the one of the first library found */
    bool used; /* a library with a major is open: it cannot change any more */
    char **folder;
    size_t count;
} where;

static void free_folders(char **folder, size_t count)
{
    for (size_t i = 0; folder && i < count; i++) free(folder[i]);
    free(folder);
}

/* Takes *folder, and gives back what it replaces. */
static mla_status_t setup_locked(int major, char ***folder, size_t *count, mlai_error_t *err)
{
    if (where.used && major != 0 && major != where.major)
        return mlai_fail(err, MLA_ARG,
                         "major is %d, but libraries of CUDA %d are in use in this process",
                         major, where.major);
    if (!where.used) where.major = major;
    char **old = where.folder;
    size_t old_count = where.count;
    where.folder = *folder;
    where.count = *count;
    *folder = old;
    *count = old_count;
    return MLA_OK;
}

mla_status_t mla_cuda_setup(int major, const char *const *folders, size_t count)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if (major != 0 && major != MAJOR_OLD && major != MAJOR_NEW)
        return mlai_fail(err, MLA_ARG, "major is %d, expected 12, 13 or 0", major);
    if (count && !folders) return mlai_fail(err, MLA_ARG, "folders is NULL, count is not 0");
    mla_status_t st = MLA_OK;
    char **copy = calloc(count + 1, sizeof *copy);
    bool complete = copy != NULL;
    for (size_t i = 0; complete && i < count; i++) {
        if (!folders[i]) {
            st = mlai_fail(err, MLA_ARG, "folders[%zu] is NULL", i);
            goto fail;
        }
        copy[i] = strdup(folders[i]);
        complete = copy[i] != NULL;
    }
    if (!complete) {
        st = mlai_fail(err, MLA_NOMEM, "out of host memory for %zu folder names", count);
        goto fail;
    }
    pthread_mutex_lock(&lock);
    st = setup_locked(major, &copy, &count, err);
    pthread_mutex_unlock(&lock);
fail:
    free_folders(copy, count);
    return st;
}

/* ---- finding ---------------------------------------------------------------------------------
 */

/* One soname: the process's copy, the folders, the loader's search. */
static void *find(const char *soname, bool loaded_only)
{
    void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (handle || loaded_only) return handle;
    for (size_t i = 0; i < where.count && !handle; i++) {
        char path[4096];
        int n = snprintf(path, sizeof path, "%s/%s", where.folder[i], soname);
        if (n > 0 && (size_t)n < sizeof path) handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return handle ? handle : dlopen(soname, RTLD_NOW | RTLD_LOCAL);
}

static mla_status_t open_locked(const char *what, const char *const soname[2], void **handle,
                                mlai_error_t *err)
{
    bool same = strcmp(soname[0], soname[1]) == 0;
    *handle = NULL;
    // Newest first; with an unknown major the process's own copy of either before any other.
    for (int loaded_only = 1; loaded_only >= 0 && !*handle; loaded_only--)
        for (int major = MAJOR_NEW; major >= MAJOR_OLD && !*handle; major--) {
            if (where.major != 0 && where.major != major) continue;
            *handle = find(soname[major - MAJOR_OLD], loaded_only != 0);
            if (*handle && !same) {
                where.major = major;
                where.used = true;
            }
        }
    if (*handle) return MLA_OK;
    const char *why = dlerror();
    const char *first = soname[where.major == MAJOR_OLD || same ? 0 : 1];
    return mlai_fail(err, MLA_UNSUPPORTED,
                     "%s is missing: neither %s%s%s is loaded, nor is it in the %zu folders of "
                     "mla_cuda_setup (%s%s), nor does the loader find it (%s)",
                     what, first, where.major == 0 && !same ? " nor " : "",
                     where.major == 0 && !same ? soname[0] : "", where.count,
                     where.count ? where.folder[0] : "none", where.count > 1 ? ", ..." : "",
                     why ? why : "no reason given");
}

mla_status_t mlai_cuda_open(const char *what, const char *const soname[2], void **handle,
                            mlai_error_t *err)
{
    pthread_mutex_lock(&lock);
    mla_status_t st = open_locked(what, soname, handle, err);
    pthread_mutex_unlock(&lock);
    return st;
}

/* ---- tables ----------------------------------------------------------------------------------
 */

typedef struct symbol {
    const char *name;
    size_t offset;
    bool optional;
} symbol_t;

typedef struct library {
    const char *what;
    const char *soname[2];
    const symbol_t *symbol;
    size_t count;
    bool ready;
} library_t;

#define REQUIRED(result, name, parameters) {#name, offsetof(TABLE, name), false},
#define OPTIONAL(result, name, parameters) {#name, offsetof(TABLE, name), true},
#define TABLE mlai_cu_t
static const symbol_t cu_symbols[] = {MLAI_CU_LIST(REQUIRED, OPTIONAL)};
#undef TABLE
#define TABLE mlai_cublas_t
static const symbol_t cublas_symbols[] = {MLAI_CUBLAS_LIST(REQUIRED, OPTIONAL)};
#undef TABLE
#define TABLE mlai_cusolver_t
static const symbol_t cusolver_symbols[] = {MLAI_CUSOLVER_LIST(REQUIRED, OPTIONAL)};
#undef TABLE
#define TABLE mlai_cusolvermg_t
static const symbol_t cusolvermg_symbols[] = {MLAI_CUSOLVERMG_LIST(REQUIRED, OPTIONAL)};
#undef TABLE
#define TABLE mlai_nccl_t
static const symbol_t nccl_symbols[] = {MLAI_NCCL_LIST(REQUIRED, OPTIONAL)};
#undef TABLE

#define COUNT(array) (sizeof(array) / sizeof *(array))

static mlai_cu_t cu_table;
static mlai_cublas_t cublas_table;
static mlai_cusolver_t cusolver_table;
static mlai_cusolvermg_t cusolvermg_table;
static mlai_nccl_t nccl_table;
static library_t cu_library = {
    "the CUDA driver", {"libcuda.so.1", "libcuda.so.1"}, cu_symbols, COUNT(cu_symbols), false};
static library_t cublas_library = {"cuBLAS",
                                   {"libcublas.so.12", "libcublas.so.13"},
                                   cublas_symbols,
                                   COUNT(cublas_symbols),
                                   false};
static library_t cusolver_library = {"cuSOLVER",
                                     {"libcusolver.so.11", "libcusolver.so.12"},
                                     cusolver_symbols,
                                     COUNT(cusolver_symbols),
                                     false};
static library_t cusolvermg_library = {"cuSOLVERMg",
                                       {"libcusolverMg.so.11", "libcusolverMg.so.12"},
                                       cusolvermg_symbols,
                                       COUNT(cusolvermg_symbols),
                                       false};
static library_t nccl_library = {
    "NCCL", {"libnccl.so.2", "libnccl.so.2"}, nccl_symbols, COUNT(nccl_symbols), false};

static mla_status_t fill(const library_t *lib, void *handle, void *table, mlai_error_t *err)
{
    for (size_t i = 0; i < lib->count; i++) {
        void *address = dlsym(handle, lib->symbol[i].name);
        if (!address && !lib->symbol[i].optional)
            return mlai_fail(err, MLA_UNSUPPORTED,
                             "%s has no %s: CUDA 12.1 or later is needed, or a later driver",
                             lib->what, lib->symbol[i].name);
        memcpy((char *)table + lib->symbol[i].offset, &address, sizeof address);
    }
    return MLA_OK;
}

static mla_status_t start_driver(mlai_error_t *err)
{
    CUresult result = cu_table.cuInit(0);
    if (result == CUDA_ERROR_NO_DEVICE)
        return mlai_fail(err, MLA_UNSUPPORTED, "the CUDA driver finds no GPU");
    return mlai_cu_check(&cu_table, err, -1, "cuInit", result);
}

static mla_status_t load(library_t *lib, void *table, mlai_error_t *err)
{
    mla_status_t st = MLA_OK;
    void *handle = NULL;
    pthread_mutex_lock(&lock);
    if (lib->ready) goto done;
    MLAI_TRY_GOTO(st, open_locked(lib->what, lib->soname, &handle, err), done);
    MLAI_TRY_GOTO(st, fill(lib, handle, table, err), done);
    if (lib == &cu_library) MLAI_TRY_GOTO(st, start_driver(err), done);
    lib->ready = true;
done:
    if (st != MLA_OK && handle) dlclose(handle);
    pthread_mutex_unlock(&lock);
    return st;
}

mla_status_t mlai_cu_load(const mlai_cu_t **cu, mlai_error_t *err)
{
    *cu = &cu_table;
    return load(&cu_library, &cu_table, err);
}

mla_status_t mlai_cublas_load(const mlai_cublas_t **cublas, mlai_error_t *err)
{
    *cublas = &cublas_table;
    return load(&cublas_library, &cublas_table, err);
}

mla_status_t mlai_cusolver_load(const mlai_cusolver_t **cusolver, mlai_error_t *err)
{
    *cusolver = &cusolver_table;
    return load(&cusolver_library, &cusolver_table, err);
}

mla_status_t mlai_cusolvermg_load(const mlai_cusolvermg_t **cusolvermg, mlai_error_t *err)
{
    *cusolvermg = &cusolvermg_table;
    return load(&cusolvermg_library, &cusolvermg_table, err);
}

mla_status_t mlai_nccl_load(const mlai_nccl_t **nccl, mlai_error_t *err)
{
    *nccl = &nccl_table;
    return load(&nccl_library, &nccl_table, err);
}

/* ---- checked calls ----------------------------------------------------------------------------
 */

static mla_status_t failed(mlai_error_t *err, bool memory, int device, const char *name,
                           const char *code, const char *text)
{
    char on[32] = "";
    if (device >= 0) snprintf(on, sizeof on, " on device %d", device);
    return mlai_fail(err, memory ? MLA_NOMEM : MLA_BACKEND, "%s%s: %s%s%s%s", name, on, code,
                     text[0] ? " (" : "", text, text[0] ? ")" : "");
}

mla_status_t mlai_cu_check(const mlai_cu_t *cu, mlai_error_t *err, int device, const char *name,
                           CUresult result)
{
    if (result == CUDA_SUCCESS) return MLA_OK;
    const char *code = NULL, *text = NULL;
    char number[32];
    snprintf(number, sizeof number, "error %d", result);
    if (cu->cuGetErrorName(result, &code) != CUDA_SUCCESS || !code) code = number;
    if (cu->cuGetErrorString(result, &text) != CUDA_SUCCESS || !text) text = "";
    return failed(err, result == CUDA_ERROR_OUT_OF_MEMORY, device, name, code, text);
}

mla_status_t mlai_cublas_check(const mlai_cublas_t *cublas, mlai_error_t *err, int device,
                               const char *name, cublasStatus_t result)
{
    if (result == CUBLAS_STATUS_SUCCESS) return MLA_OK;
    char number[32];
    snprintf(number, sizeof number, "status %d", result);
    const char *text = cublas->cublasGetStatusString(result);
    return failed(err, result == CUBLAS_STATUS_ALLOC_FAILED, device, name, number,
                  text ? text : "");
}

mla_status_t mlai_cusolver_check(mlai_error_t *err, int device, const char *name,
                                 cusolverStatus_t result)
{
    // cuSOLVER has no function for these.
    static const char *const texts[] = {"CUSOLVER_STATUS_SUCCESS",
                                        "CUSOLVER_STATUS_NOT_INITIALIZED",
                                        "CUSOLVER_STATUS_ALLOC_FAILED",
                                        "CUSOLVER_STATUS_INVALID_VALUE",
                                        "CUSOLVER_STATUS_ARCH_MISMATCH",
                                        "CUSOLVER_STATUS_MAPPING_ERROR",
                                        "CUSOLVER_STATUS_EXECUTION_FAILED",
                                        "CUSOLVER_STATUS_INTERNAL_ERROR",
                                        "CUSOLVER_STATUS_MATRIX_TYPE_NOT_SUPPORTED"};
    if (result == CUSOLVER_STATUS_SUCCESS) return MLA_OK;
    char number[32];
    snprintf(number, sizeof number, "status %d", result);
    bool known = result > 0 && (size_t)result < COUNT(texts);
    return failed(err, result == CUSOLVER_STATUS_ALLOC_FAILED, device, name, number,
                  known ? texts[result] : "");
}

mla_status_t mlai_nccl_check(const mlai_nccl_t *nccl, mlai_error_t *err, int device,
                             ncclComm_t comm, const char *name, ncclResult_t result)
{
    if (result == ncclSuccess) return MLA_OK;
    const char *code = nccl->ncclGetErrorString(result), *text = nccl->ncclGetLastError(comm);
    return mlai_fail(err, MLA_COMM, "%s on device %d: %s (%.200s)", name, device,
                     code ? code : "unknown", text && *text ? text : "no reason given");
}

/* ---- current context
 * --------------------------------------------------------------------------- */

mlai_cu_scope_t mlai_cu_enter(const mlai_cu_t *cu, mlai_error_t *err, int device,
                              CUcontext context)
{
    mlai_cu_scope_t scope = {NULL, MLA_OK};
    CUcontext now = NULL;
    scope.status = MLAI_CU(cu, err, device, cuCtxGetCurrent, &now);
    if (scope.status != MLA_OK || now == context) return scope;
    scope.status = MLAI_CU(cu, err, device, cuCtxPushCurrent_v2, context);
    if (scope.status == MLA_OK) scope.cu = cu;
    return scope;
}

void mlai_cu_leave(mlai_cu_scope_t *scope)
{
    // Taking back what was put there fails only where the next call fails too, and says so.
    CUcontext gone;
    if (scope->cu) (void)scope->cu->cuCtxPopCurrent_v2(&gone);
}
