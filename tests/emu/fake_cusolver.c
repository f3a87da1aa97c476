/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_cusolver.c: the part of cuSOLVER that the library uses, naive loops over host
 * memory in the order of the fake driver's streams. As the real one: potrf stops at a pivot that
 * is not positive and goes on through a NaN; work space is asked for and written to. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dl/cuda_api.h"
#include "fake_cuda.h"
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

/* ---- eigenproblem: cyclic Jacobi
 * ----------------------------------------------------------------- */

/* Rotates rows and columns p, q of the Hermitian h so that h_pq = 0, and the columns of v. */
static void rotate(int64_t n, fake_z *h, fake_z *v, int64_t p, int64_t q)
{
    fake_z off = h[p + q * n];
    double size = cabs(off), a = creal(h[p + p * n]), b = creal(h[q + q * n]);
    if (size == 0) return;
    double theta = (b - a) / (2 * size);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1);
    fake_z s = t * c * off / size;
    for (int64_t i = 0; i < n; i++) {
        fake_z x = h[i + p * n], y = h[i + q * n];
        h[i + p * n] = c * x - conj(s) * y;
        h[i + q * n] = s * x + c * y;
        x = v[i + p * n], y = v[i + q * n];
        v[i + p * n] = c * x - conj(s) * y;
        v[i + q * n] = s * x + c * y;
    }
    for (int64_t j = 0; j < n; j++) {
        fake_z x = h[p + j * n], y = h[q + j * n];
        h[p + j * n] = c * x - s * y;
        h[q + j * n] = conj(s) * x + c * y;
    }
}

/* The eigenvalue number r in ascending order is that of column order[r]. */
static void sort(int64_t n, const fake_z *h, int64_t *order)
{
    for (int64_t r = 0; r < n; r++) {
        int64_t k = r;
        for (; k > 0 && creal(h[order[k - 1] * (n + 1)]) > creal(h[r * (n + 1)]); k--)
            order[k] = order[k - 1];
        order[k] = r;
    }
}

static void run_syevd(void *args)
{
    enum { SWEEPS = 40 };
    const job_t *p = args;
    int64_t n = p->n;
    size_t elements = (size_t)(n * n);
    fake_z *h = malloc(elements * sizeof *h), *v = calloc(elements, sizeof *v);
    int64_t *order = malloc((size_t)n * sizeof *order);
    memset(p->work, 0x55, p->bytes);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = j; i < n; i++) {
            h[i + j * n] = fake_get(p->type, p->a, i + j * p->lda);
            h[j + i * n] = conj(h[i + j * n]);
        }
        h[j + j * n] = creal(h[j + j * n]);
        v[j + j * n] = 1;
    }
    double norm = 0, off = 0;
    for (size_t k = 0; k < elements; k++) norm += creal(h[k] * conj(h[k]));
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < j; i++) rotate(n, h, v, i, j);
        off = 0;
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < j; i++) off += creal(h[i + j * n] * conj(h[i + j * n]));
        if (off <= 1e-34 * norm) break;
    }
    *p->info = off <= 1e-28 * norm ? 0 : 1; /* NaN: 1 */
    sort(n, h, order);
    int real = p->type % 4;
    for (int64_t r = 0; r < n; r++) {
        fake_put(real, p->w, r, h[order[r] * (n + 1)]);
        for (int64_t i = 0; p->vectors && i < n; i++)
            fake_put(p->type, p->a, i + r * p->lda, v[i + order[r] * n]);
    }
    free(h);
    free(v);
    free(order);
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
