/* SPDX-License-Identifier: Apache-2.0
 * src/dl/cuda_info.c: what of CUDA is found, for people who ask: libraries with their versions
 * and paths, devices, and who reaches whose memory. Nothing here is needed to compute. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "dl/cuda_dl.h"

/* The three parts of a version by a function that gives one at a time. */
static int of_parts(int (*get)(libraryPropertyType what, int *value))
{
    int major = 0, minor = 0, patch = 0;
    if (get(MAJOR_VERSION, &major) || get(MINOR_VERSION, &minor) || get(PATCH_LEVEL, &patch))
        return 0;
    return 10000 * major + 100 * minor + patch;
}

/* Each loads its library; version, and an address inside the library. */
static mla_status_t find_driver(int *version, void **inside, mlai_error_t *err)
{
    const mlai_cu_t *cu;
    MLAI_TRY(mlai_cu_load(&cu, err));
    memcpy(inside, &cu->cuInit, sizeof *inside);
    MLAI_TRY(MLAI_CU(cu, err, -1, cuDriverGetVersion, version));
    *version = *version / 1000 * 10000 + *version % 1000 / 10 * 100;
    return MLA_OK;
}

static mla_status_t find_cublas(int *version, void **inside, mlai_error_t *err)
{
    const mlai_cublas_t *lib;
    MLAI_TRY(mlai_cublas_load(&lib, err));
    memcpy(inside, &lib->cublasCreate_v2, sizeof *inside);
    *version = of_parts(lib->cublasGetProperty);
    return MLA_OK;
}

static mla_status_t find_cusolver(int *version, void **inside, mlai_error_t *err)
{
    const mlai_cusolver_t *lib;
    MLAI_TRY(mlai_cusolver_load(&lib, err));
    memcpy(inside, &lib->cusolverDnCreate, sizeof *inside);
    *version = of_parts(lib->cusolverGetProperty);
    return MLA_OK;
}

static mla_status_t find_cusolvermg(int *version, void **inside, mlai_error_t *err)
{
    const mlai_cusolvermg_t *lib;
    MLAI_TRY(mlai_cusolvermg_load(&lib, err));
    memcpy(inside, &lib->cusolverMgCreate, sizeof *inside);
    *version = 0;
    return MLA_OK;
}

static mla_status_t find_cusolvermp(int *version, void **inside, mlai_error_t *err)
{
    static const char *const soname[2] = {"libcusolverMp.so.0", "libcusolverMp.so.0"};
    void *handle;
    MLAI_TRY(mlai_cuda_open("cuSOLVERMp", soname, &handle, err));
    *inside = dlsym(handle, "cusolverMpCreate");
    *version = 0; // its own function wants a handle, and that a device
    return MLA_OK;
}

static mla_status_t find_nccl(int *version, void **inside, mlai_error_t *err)
{
    const mlai_nccl_t *lib;
    MLAI_TRY(mlai_nccl_load(&lib, err));
    memcpy(inside, &lib->ncclGetVersion, sizeof *inside);
    return mlai_nccl_check(lib, err, -1, NULL, "ncclGetVersion", lib->ncclGetVersion(version));
}

mla_status_t mla_cuda_library(mla_library_t library, int *version, char *path, size_t size)
{
    static mla_status_t (*const find[])(int *, void **, mlai_error_t *) = {
        [MLA_LIBRARY_DRIVER] = find_driver,         [MLA_LIBRARY_CUBLAS] = find_cublas,
        [MLA_LIBRARY_CUSOLVER] = find_cusolver,     [MLA_LIBRARY_CUSOLVERMG] = find_cusolvermg,
        [MLA_LIBRARY_CUSOLVERMP] = find_cusolvermp, [MLA_LIBRARY_NCCL] = find_nccl};
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if ((unsigned)library >= sizeof find / sizeof *find)
        return mlai_fail(err, MLA_ARG, "library is %d, expected one of mla_library_t",
                         (int)library);
    int number = 0;
    void *inside = NULL;
    MLAI_TRY(find[library](&number, &inside, err));
    if (version) *version = number;
    Dl_info info = {.dli_fname = NULL};
    bool known = inside && dladdr(inside, &info) && info.dli_fname;
    if (path && size > 0) snprintf(path, size, "%s", known ? info.dli_fname : "");
    return MLA_OK;
}

/* ---- devices --------------------------------------------------------------------------------
 */

static mla_status_t begin(const mlai_cu_t **cu, int *count, mlai_error_t **err)
{
    *err = mlai_thread_error();
    **err = (mlai_error_t){.status = MLA_OK};
    MLAI_TRY(mlai_cu_load(cu, *err));
    return MLAI_CU(*cu, *err, -1, cuDeviceGetCount, count);
}

static mla_status_t check_ordinal(const char *name, int ordinal, int count, mlai_error_t *err)
{
    if (ordinal >= 0 && ordinal < count) return MLA_OK;
    return mlai_fail(err, MLA_ARG, "%s is %d, but there are %d GPUs", name, ordinal, count);
}

mla_status_t mla_cuda_device_count(int *count)
{
    const mlai_cu_t *cu;
    mlai_error_t *err;
    int found = 0;
    if (!count) return mlai_fail(mlai_thread_error(), MLA_ARG, "count is NULL");
    *count = 0;
    MLAI_TRY(begin(&cu, &found, &err));
    *count = found;
    return MLA_OK;
}

mla_status_t mla_cuda_device(int ordinal, mla_cuda_device_t *device)
{
    const mlai_cu_t *cu;
    mlai_error_t *err;
    int count = 0, major = 0, minor = 0;
    CUdevice dev = 0;
    MLAI_TRY(begin(&cu, &count, &err));
    if (!device || device->size != sizeof *device)
        return mlai_fail(err, MLA_ARG, "device is NULL, or its size is not set");
    MLAI_TRY(check_ordinal("ordinal", ordinal, count, err));
    mla_cuda_device_t out = {.size = sizeof out};
    size_t bytes = 0;
    MLAI_TRY(MLAI_CU(cu, err, ordinal, cuDeviceGet, &dev, ordinal));
    MLAI_TRY(MLAI_CU(cu, err, ordinal, cuDeviceGetName, out.name, (int)sizeof out.name, dev));
    MLAI_TRY(MLAI_CU(cu, err, ordinal, cuDeviceTotalMem_v2, &bytes, dev));
    MLAI_TRY(MLAI_CU(cu, err, ordinal, cuDeviceGetAttribute, &major,
                     CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, dev));
    MLAI_TRY(MLAI_CU(cu, err, ordinal, cuDeviceGetAttribute, &minor,
                     CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, dev));
    MLAI_TRY(MLAI_CU(cu, err, ordinal, cuDeviceGetAttribute, &out.multiprocessors,
                     CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, dev));
    out.capability = 10 * major + minor;
    out.memory = bytes;
    *device = out;
    return MLA_OK;
}

mla_status_t mla_cuda_peer_access(int from, int to, int *can)
{
    const mlai_cu_t *cu;
    mlai_error_t *err;
    int count = 0;
    CUdevice one = 0, other = 0;
    MLAI_TRY(begin(&cu, &count, &err));
    if (!can) return mlai_fail(err, MLA_ARG, "can is NULL");
    *can = 0;
    MLAI_TRY(check_ordinal("from", from, count, err));
    MLAI_TRY(check_ordinal("to", to, count, err));
    if (from == to) {
        *can = 1;
        return MLA_OK;
    }
    MLAI_TRY(MLAI_CU(cu, err, from, cuDeviceGet, &one, from));
    MLAI_TRY(MLAI_CU(cu, err, to, cuDeviceGet, &other, to));
    return MLAI_CU(cu, err, from, cuDeviceCanAccessPeer, can, one, other);
}
