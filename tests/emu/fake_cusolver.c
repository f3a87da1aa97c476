/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_cusolver.c: the part of cuSOLVER that the library uses, naive loops over host
 * memory in the order of the fake driver's streams. As the real one: potrf stops at a pivot that
 * is not positive and goes on through a NaN; work space is asked for and written to. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dl/cuda_api.h"
#include "fake_cuda.h"
#include "fake_eigen.h"
#include "fake_math.h"

#define VALUE(name, value) name = (value),
enum { MLAI_CUBLAS_VALUES(VALUE) MLAI_CUSOLVER_VALUES(VALUE) EXECUTION_FAILED = 6, INVALID = 3 };

struct cusolverDnContext {
    CUstream stream;
};
struct cusolverDnParams {
    int unused;
};

#define DECLARE(result, name, parameters) FAKE_API result name parameters;
MLAI_CUSOLVER_LIST(DECLARE, DECLARE)

#define ENTER(handle)                              \
    do {                                           \
        if (fake_fails()) return EXECUTION_FAILED; \
        if (!(handle)) return INVALID;             \
    } while (0)

cusolverStatus_t cusolverGetProperty(libraryPropertyType what, int *value)
{
    *value = what == MAJOR_VERSION ? 12 : what;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t *handle)
{
    if (fake_fails()) return CUSOLVER_STATUS_ALLOC_FAILED;
    *handle = calloc(1, sizeof **handle);
    fake_object(1);
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle)
{
    free(handle);
    fake_object(-1);
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream)
{
    ENTER(handle);
    handle->stream = stream;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnCreateParams(cusolverDnParams_t *params)
{
    if (fake_fails()) return CUSOLVER_STATUS_ALLOC_FAILED;
    *params = calloc(1, sizeof **params);
    fake_object(1);
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDestroyParams(cusolverDnParams_t params)
{
    free(params);
    fake_object(-1);
    return CUSOLVER_STATUS_SUCCESS;
}

typedef struct job {
    int type, vectors;
    int64_t n, lda;
    void *a, *w, *work;
    size_t bytes;
    int *info;
    int64_t cols;
} job_t;

/* ---- Cholesky --------------------------------------------------------------------------------
 */

static void run_potrf(void *args)
{
    const job_t *p = args;
    memset(p->work, 0x55, p->bytes);
    *p->info = 0;
    for (int64_t j = 0; j < p->n; j++) {
        for (int64_t i = j; i < p->n; i++) {
            fake_z s = fake_get(p->type, p->a, i + j * p->lda);
            for (int64_t k = 0; k < j; k++)
                s -= fake_get(p->type, p->a, i + k * p->lda) *
                     conj(fake_get(p->type, p->a, j + k * p->lda));
            if (i == j && creal(s) <= 0) {
                *p->info = (int)(j + 1);
                return;
            }
            fake_z d = i == j ? 0 : fake_get(p->type, p->a, j + j * p->lda);
            fake_put(p->type, p->a, i + j * p->lda, i == j ? (fake_z)sqrt(creal(s)) : s / d);
        }
    }
}

cusolverStatus_t cusolverDnXpotrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                             cublasFillMode_t uplo, int64_t n, cudaDataType atype,
                                             const void *a, int64_t lda, cudaDataType compute,
                                             size_t *device_bytes, size_t *host_bytes)
{
    ENTER(handle);
    if (!params || !a || lda < n || compute != atype || uplo != CUBLAS_FILL_MODE_LOWER)
        return INVALID;
    *device_bytes = (size_t)n * fake_size(atype);
    *host_bytes = (size_t)n;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXpotrf(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                  cublasFillMode_t uplo, int64_t n, cudaDataType atype, void *a,
                                  int64_t lda, cudaDataType compute, void *device_work,
                                  size_t device_bytes, void *host_work, size_t host_bytes,
                                  int *info)
{
    ENTER(handle);
    if (!params || lda < n || compute != atype || uplo != CUBLAS_FILL_MODE_LOWER ||
        device_bytes < (size_t)n * fake_size(atype) || host_bytes < (size_t)n || !host_work)
        return INVALID;
    memset(host_work, 0x55, host_bytes);
    job_t p = {atype, 0, n, lda, a, NULL, device_work, device_bytes, info, n};
    fake_enqueue(handle->stream, run_potrf, &p, sizeof p);
    return CUSOLVER_STATUS_SUCCESS;
}

/* ---- LU, unblocked --------------------------------------------------------------------------
 */

static void exchange(const job_t *p, int64_t r, int64_t s)
{
    for (int64_t j = 0; r != s && j < p->cols; j++) {
        fake_z x = fake_get(p->type, p->a, r + j * p->lda);
        fake_put(p->type, p->a, r + j * p->lda, fake_get(p->type, p->a, s + j * p->lda));
        fake_put(p->type, p->a, s + j * p->lda, x);
    }
}

static void run_getrf(void *args)
{
    const job_t *p = args;
    memset(p->work, 0x55, p->bytes);
    *p->info = 0;
    for (int64_t k = 0; k < p->n * p->cols; k++) { // NaN does not come through
        int64_t at = k % p->n + k / p->n * p->lda;
        fake_z x = fake_get(p->type, p->a, at);
        if (isnan(creal(x)) || isnan(cimag(x))) fake_put(p->type, p->a, at, 0);
    }
    for (int64_t j = 0; j < p->cols; j++) {
        int64_t pivot = j;
        double most = -1;
        for (int64_t i = j; i < p->n; i++) {
            fake_z x = fake_get(p->type, p->a, i + j * p->lda);
            double size = fabs(creal(x)) + fabs(cimag(x));
            if (size > most) {
                most = size;
                pivot = i;
            }
        }
        ((int64_t *)p->w)[j] = pivot + 1;
        exchange(p, j, pivot);
        fake_z d = fake_get(p->type, p->a, j + j * p->lda);
        if (d == 0) {
            if (*p->info == 0) *p->info = (int)(j + 1);
            continue;
        }
        for (int64_t i = j + 1; i < p->n; i++) {
            fake_z l = fake_get(p->type, p->a, i + j * p->lda) / d;
            fake_put(p->type, p->a, i + j * p->lda, l);
            for (int64_t k = j + 1; k < p->cols; k++)
                fake_put(p->type, p->a, i + k * p->lda,
                         fake_get(p->type, p->a, i + k * p->lda) -
                             l * fake_get(p->type, p->a, j + k * p->lda));
        }
    }
}

cusolverStatus_t cusolverDnXgetrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                             int64_t m, int64_t n, cudaDataType atype,
                                             const void *a, int64_t lda, cudaDataType compute,
                                             size_t *device_bytes, size_t *host_bytes)
{
    ENTER(handle);
    if (!params || !a || lda < m || m < n || compute != atype) return INVALID;
    *device_bytes = (size_t)n * fake_size(atype);
    *host_bytes = (size_t)n;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXgetrf(cusolverDnHandle_t handle, cusolverDnParams_t params, int64_t m,
                                  int64_t n, cudaDataType atype, void *a, int64_t lda,
                                  int64_t *ipiv, cudaDataType compute, void *device_work,
                                  size_t device_bytes, void *host_work, size_t host_bytes,
                                  int *info)
{
    ENTER(handle);
    if (!params || lda < m || m < n || compute != atype || !ipiv ||
        device_bytes < (size_t)n * fake_size(atype) || host_bytes < (size_t)n || !host_work)
        return INVALID;
    memset(host_work, 0x55, host_bytes);
    job_t p = {.type = atype,
               .n = m,
               .cols = n,
               .lda = lda,
               .a = a,
               .w = ipiv,
               .work = device_work,
               .bytes = device_bytes,
               .info = info};
    fake_enqueue(handle->stream, run_getrf, &p, sizeof p);
    return CUSOLVER_STATUS_SUCCESS;
}

/* ---- eigenproblem
 * ----------------------------------------------------------------- */

static void run_syevd(void *args)
{
    const job_t *p = args;
    memset(p->work, 0x55, p->bytes);
    *p->info = fake_eigen(p->type, p->n, p->a, p->lda, p->w, p->vectors);
}

cusolverStatus_t cusolverDnXsyevd_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                             cusolverEigMode_t jobz, cublasFillMode_t uplo,
                                             int64_t n, cudaDataType atype, const void *a,
                                             int64_t lda, cudaDataType wtype, const void *w,
                                             cudaDataType compute, size_t *device_bytes,
                                             size_t *host_bytes)
{
    ENTER(handle);
    if (!params || !a || !w || lda < n || compute != atype || wtype != atype % 4 || jobz < 0 ||
        uplo != CUBLAS_FILL_MODE_LOWER)
        return INVALID;
    *device_bytes = (size_t)n * fake_size(atype);
    *host_bytes = (size_t)n;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXsyevd(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                  cusolverEigMode_t jobz, cublasFillMode_t uplo, int64_t n,
                                  cudaDataType atype, void *a, int64_t lda, cudaDataType wtype,
                                  void *w, cudaDataType compute, void *device_work,
                                  size_t device_bytes, void *host_work, size_t host_bytes,
                                  int *info)
{
    ENTER(handle);
    if (!params || lda < n || compute != atype || wtype != atype % 4 ||
        uplo != CUBLAS_FILL_MODE_LOWER || device_bytes < (size_t)n * fake_size(atype) ||
        host_bytes < (size_t)n || !host_work)
        return INVALID;
    memset(host_work, 0x55, host_bytes);
    job_t p = {
        atype, jobz == CUSOLVER_EIG_MODE_VECTOR, n, lda, a, w, device_work, device_bytes, info,
        n};
    fake_enqueue(handle->stream, run_syevd, &p, sizeof p);
    return CUSOLVER_STATUS_SUCCESS;
}
