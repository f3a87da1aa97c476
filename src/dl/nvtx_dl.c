/* SPDX-License-Identifier: Apache-2.0
 * src/dl/nvtx_dl.c: NVTX, opened at first use. The library has had one name and these two
 * functions since CUDA 12; it hands them to the profiler, if one runs. */
#include "dl/nvtx_dl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#include "dl/cuda_dl.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int (*push)(const char *name);
static int (*pop)(void);

static void load(void)
{
    static const char *const soname[2] = {"libnvtx3interop.so.1", "libnvtx3interop.so.1"};
    void *handle;
    // Missing is not an error: nobody can be profiling with it then.
    if (mlai_cuda_open("NVTX", soname, &handle, NULL) != MLA_OK) return;
    void *both[2] = {dlsym(handle, "nvtxRangePushA"), dlsym(handle, "nvtxRangePop")};
    if (!both[0] || !both[1]) return;
    *(void **)&push = both[0];
    *(void **)&pop = both[1];
}

void mlai_nvtx_range(const char *name)
{
    pthread_once(&once, load);
    if (!push) return;
    if (name)
        (void)push(name);
    else
        (void)pop();
}
