/* SPDX-License-Identifier: Apache-2.0
 * ffi/xla_device.c: see xla_device.h. The driver is in the process when XLA calls for a GPU. */
#include "xla_device.h"

#include <dlfcn.h>
#include <string.h>

typedef int to_host_fn(void *, uint64_t, size_t, void *);
typedef int to_device_fn(uint64_t, uint64_t, size_t, void *);
typedef int sync_fn(void *);

/* A function of the driver; NULL without one. The driver stays loaded: XLA uses it. */
static void *driver(const char *name)
{
    void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (!lib) return NULL;
    void *function = dlsym(lib, name);
    dlclose(lib);
    return function;
}

bool mlai_xla_read_device(void *stream, void *host, const void *device, size_t bytes,
                          mlai_xla_status_t *st)
{
    to_host_fn *copy = NULL;
    sync_fn *sync = NULL;
    *(void **)&copy = driver("cuMemcpyDtoHAsync_v2");
    *(void **)&sync = driver("cuStreamSynchronize");
    int result = -1;
    if (copy && sync) result = copy(host, (uint64_t)(uintptr_t)device, bytes, stream);
    if (result == 0) result = sync(stream);
    return result == 0 ||
           mlai_xla_fail(st, XLA_INTERNAL, "cannot read the rank from the device (CUDA error %d)",
                         result);
}

static size_t bytes_of(const xla_buffer_t *b)
{
    size_t bytes = b->dtype == XLA_F32 ? 4 : b->dtype == XLA_C128 ? 16 : 8;
    for (int64_t i = 0; i < b->rank; i++)
        if (__builtin_mul_overflow(bytes, (size_t)b->dims[i], &bytes)) return SIZE_MAX;
    return bytes;
}

bool mlai_xla_copy(mla_device_t device, void *stream, const xla_buffer_t *from,
                   const xla_buffer_t *to, mlai_xla_status_t *st)
{
    size_t bytes = bytes_of(from);
    if (from->data == to->data || bytes == 0) return true;
    if (device == MLA_HOST) {
        memcpy(to->data, from->data, bytes);
        return true;
    }
    to_device_fn *copy = NULL;
    *(void **)&copy = driver("cuMemcpyDtoDAsync_v2");
    int result = -1;
    if (copy)
        result =
            copy((uint64_t)(uintptr_t)to->data, (uint64_t)(uintptr_t)from->data, bytes, stream);
    return result == 0 ||
           mlai_xla_fail(st, XLA_INTERNAL, "cannot copy an operand to its result (CUDA error %d)",
                         result);
}
