/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_launch.c: the embedded kernels: loaded once a process, found by name, and
 * the one place that launches. */
#include <pthread.h>

#include "backend/cuda/cuda_backend.h"

/* cmake/kernels.cmake: the fatbin, or nothing between the two. */
extern const unsigned char mlai_kernels_begin[], mlai_kernels_end[];

static const char *const names[] = {
#define X4(name) "mlai_" #name "_s", "mlai_" #name "_d", "mlai_" #name "_c", "mlai_" #name "_z",
#define X2(name) "mlai_" #name "_s", "mlai_" #name "_d",
#define X1(name) "mlai_" #name,
    MLAI_KERNEL_LIST(X4, X2, X1)
#undef X4
#undef X2
#undef X1
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CUlibrary library; /* NULL: not loaded yet; belongs to no context */

static mla_status_t load_library(mlai_cuda_t *c, mlai_error_t *err)
{
    // Two symbols at one address are something that a compiler may exclude.
    const unsigned char *volatile end = mlai_kernels_end;
    if (end == mlai_kernels_begin)
        return mlai_fail(err, MLA_UNSUPPORTED,
                         "this libmeshlinalg was built without CUDA kernels (no nvcc, or "
                         "MLA_KERNELS=OFF): use a released wheel or build it where nvcc is");
    pthread_mutex_lock(&lock);
    mla_status_t st = MLA_OK;
    if (!library)
        st = MLAI_CU(c->cu, err, c->ordinal, cuLibraryLoadData, &library, mlai_kernels_begin,
                     NULL, NULL, 0, NULL, NULL, 0);
    if (st != MLA_OK) library = NULL;
    pthread_mutex_unlock(&lock);
    return st;
}

/* Getting the function now loads its code now: a kernel loaded at its first launch could have to
 * wait for the device while another rank waits for this one. */
mla_status_t mlai_cuda_load_kernels(mlai_cuda_t *c, mlai_error_t *err)
{
    MLAI_TRY(load_library(c, err));
    for (int k = 0; k < MLAI_KERNELS; k++) {
        CUkernel kernel;
        MLAI_TRY(MLAI_CU(c->cu, err, c->ordinal, cuLibraryGetKernel, &kernel, library, names[k]));
        CUresult result = c->cu->cuKernelGetFunction(&c->kernel[k], kernel);
        if (result == CUDA_ERROR_NO_BINARY_FOR_GPU)
            return mlai_fail(err, MLA_UNSUPPORTED,
                             "the CUDA kernels of this libmeshlinalg do not run on device %d: it "
                             "is older than compute capability 8.0, or the driver is too old",
                             c->ordinal);
        MLAI_TRY(mlai_cu_check(c->cu, err, c->ordinal, names[k], result));
        // All of chase.cu's shared memory is dynamic.
        if (k >= MLAI_K_chase_sweeps32 && k <= MLAI_K_chase_back64 + MLA_COMPLEX128)
            MLAI_TRY(MLAI_CU(c->cu, err, c->ordinal, cuKernelSetAttribute,
                             CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)c->shared_most,
                             kernel, c->device));
    }
    return MLA_OK;
}

mlai_grid_t mlai_cuda_grid(const mlai_cuda_t *c, int64_t m, int64_t n, int rows)
{
    enum { THREADS = 256, UNROLL = 4, WAVES = 16 };
    int64_t pieces = mlai_ceil_div(m, rows), most = (int64_t)c->processors * WAVES;
    int tx = 1, ty = 1;
    while (tx < THREADS && tx < pieces) tx *= 2;
    while (tx * ty < THREADS && ty < n) ty *= 2;
    int64_t x = mlai_min(mlai_ceil_div(pieces, (int64_t)tx * UNROLL), most);
    int64_t y =
        mlai_min(mlai_ceil_div(n, ty), mlai_max(1, mlai_min(most / mlai_max(1, x), 65535)));
    return (mlai_grid_t){.x = x, .y = y, .tx = tx, .ty = ty};
}

mla_status_t mlai_cuda_launch(mlai_cuda_t *c, mlai_stream_t st, int kernel, mlai_grid_t grid,
                              const void *args)
{
    int64_t x = mlai_max(1, grid.x), y = mlai_max(1, grid.y);
    if (x > INT32_MAX || y > 65535)
        return mlai_fail(c->base.err, MLA_SIZE, "%s: a grid of %lld x %lld blocks is too large",
                         names[kernel], (long long)x, (long long)y);
    void *parameters[] = {(void *)(uintptr_t)args};
    CUresult result = c->cu->cuLaunchKernel(
        c->kernel[kernel], (unsigned)x, (unsigned)y, 1, grid.tx ? (unsigned)grid.tx : 1,
        grid.ty ? (unsigned)grid.ty : 1, 1, grid.dynamic, (CUstream)st, parameters, NULL);
    return mlai_cu_check(c->cu, c->base.err, c->ordinal, names[kernel], result);
}
