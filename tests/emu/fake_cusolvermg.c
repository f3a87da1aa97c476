/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_cusolvermg.c: the part of cuSOLVERMg that the library uses, naive loops over the
 * host memory of the fake devices: columns are gathered from their block-cyclic places, worked
 * on, and put back. As the real one: it works at once, whatever is still in streams; it fails
 * where a device does not reach memory of another; writes to all of its work space; leaves
 * another device current than it found; lower triangles alone are written by potrf and potri. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dl/cuda_api.h"
#include "fake_cuda.h"
#include "fake_eigen.h"
#include "fake_math.h"

#define VALUE(name, value) name = (value),
enum {
    MLAI_CUBLAS_VALUES(VALUE) MLAI_CUSOLVER_VALUES(VALUE) MLAI_CUSOLVERMG_VALUES(VALUE)
        EXECUTION_FAILED = 6,
    INVALID = 3,
    INTERNAL = 7,
    GPUS = 16,
    TILE = 1024
};

#define DECLARE(result, name, parameters) FAKE_API result name parameters;
MLAI_CUSOLVERMG_LIST(DECLARE, DECLARE)
/* Of the fake driver. */
#define DRIVER(result, name, parameters) extern result name parameters;
MLAI_CU_LIST(DRIVER, DRIVER)

struct cusolverMgContext {
    int count, ordinal[GPUS];
};
typedef struct grid {
    int count, ordinal[GPUS];
} grid_t;
typedef struct desc {
    int64_t rows, cols, nb;
    int type;
    const grid_t *grid;
} desc_t;

static cusolverStatus_t new_object(void **slot, size_t bytes)
{
    if (fake_fails()) return CUSOLVER_STATUS_ALLOC_FAILED;
    *slot = calloc(1, bytes);
    fake_object(1);
    return CUSOLVER_STATUS_SUCCESS;
}

static cusolverStatus_t end_object(void *object)
{
    free(object);
    fake_object(-1);
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverMgCreate(cusolverMgHandle_t *handle)
{
    return new_object((void **)handle, sizeof **handle);
}

cusolverStatus_t cusolverMgDestroy(cusolverMgHandle_t handle)
{
    return end_object(handle);
}

/* A device may come more than once. */
static int known(int count, const int ordinal[])
{
    int all = 0;
    if (cuDeviceGetCount(&all) != 0 || count < 1 || count > GPUS) return 0;
    for (int p = 0; p < count; p++)
        if (ordinal[p] < 0 || ordinal[p] >= all) return 0;
    return 1;
}

cusolverStatus_t cusolverMgDeviceSelect(cusolverMgHandle_t handle, int count, int ordinal[])
{
    if (fake_fails()) return EXECUTION_FAILED;
    if (!known(count, ordinal)) return INVALID;
    handle->count = count;
    memcpy(handle->ordinal, ordinal, (size_t)count * sizeof *ordinal);
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverMgCreateDeviceGrid(cudaLibMgGrid_t *grid, int32_t rows, int32_t columns,
                                            const int32_t ordinal[],
                                            cusolverMgGridMapping_t mapping)
{
    if (rows != 1 || mapping != CUDALIBMG_GRID_MAPPING_COL_MAJOR || !known(columns, ordinal))
        return INVALID;
    cusolverStatus_t st = new_object(grid, sizeof(grid_t));
    if (st != CUSOLVER_STATUS_SUCCESS) return st;
    grid_t *g = *grid;
    g->count = columns;
    memcpy(g->ordinal, ordinal, (size_t)columns * sizeof *ordinal);
    return st;
}

cusolverStatus_t cusolverMgDestroyGrid(cudaLibMgGrid_t grid)
{
    return end_object(grid);
}

cusolverStatus_t cusolverMgCreateMatrixDesc(cudaLibMgMatrixDesc_t *desc, int64_t rows,
                                            int64_t columns, int64_t row_block,
                                            int64_t column_block, cudaDataType type,
                                            const cudaLibMgGrid_t grid)
{
    if (rows < 1 || columns < 1 || row_block != rows || column_block < 1) return INVALID;
    cusolverStatus_t st = new_object(desc, sizeof(desc_t));
    if (st == CUSOLVER_STATUS_SUCCESS)
        *(desc_t *)*desc = (desc_t){rows, columns, column_block, type, grid};
    return st;
}

cusolverStatus_t cusolverMgDestroyMatrixDesc(cudaLibMgMatrixDesc_t desc)
{
    return end_object(desc);
}

/* ---- matrices -------------------------------------------------------------------------------
 */

/* Address of column j. */
static char *column(const desc_t *d, void *a[], int64_t j)
{
    int64_t t = j / d->nb, count = d->grid->count;
    int64_t local = t / count * d->nb + j % d->nb;
    return (char *)a[t % count] + (size_t)(local * d->rows) * fake_size(d->type);
}

/* Rows beyond n are not looked at. */
static fake_z *gather(const desc_t *d, void *a[], int64_t n)
{
    fake_z *full = calloc((size_t)n * (size_t)d->cols, sizeof *full);
    for (int64_t j = 0; j < d->cols; j++)
        for (int64_t i = 0; i < n; i++) full[i + j * n] = fake_get(d->type, column(d, a, j), i);
    return full;
}

static void scatter(const desc_t *d, void *a[], int64_t n, const fake_z *full, int lower)
{
    for (int64_t j = 0; j < d->cols; j++)
        for (int64_t i = lower ? j : 0; i < n; i++)
            fake_put(d->type, column(d, a, j), i, full[i + j * n]);
}

/* What every call does first and last: checks, work space, and the current device. */
static int starts(cusolverMgHandle_t h, const desc_t *d, int uplo, int n, cudaDataType type,
                  void *a[], void *work[], int64_t lwork)
{
    if (fake_fails()) return EXECUTION_FAILED;
    if (uplo != CUBLAS_FILL_MODE_LOWER || n != d->cols || n > d->rows || type != d->type ||
        h->count < 1 || h->count != d->grid->count || (work && lwork < n))
        return INVALID;
    for (int p = 0; p < h->count && work; p++)
        for (int q = 0; q < h->count; q++)
            if (!fake_reaches(h->ordinal[q], a[p]) || !fake_reaches(h->ordinal[q], work[p]))
                return EXECUTION_FAILED;
    for (int p = 0; p < h->count && work; p++)
        memset(work[p], 0x55, (size_t)lwork * fake_size(type));
    CUcontext last = NULL, gone = NULL;
    if (!work || cuDevicePrimaryCtxRetain(&last, h->ordinal[h->count - 1]) != 0)
        return work ? EXECUTION_FAILED : 0;
    (void)cuCtxPopCurrent_v2(&gone);
    int bad = cuCtxPushCurrent_v2(last) != 0;
    return cuDevicePrimaryCtxRelease_v2(h->ordinal[h->count - 1]) != 0 || bad ? EXECUTION_FAILED
                                                                              : 0;
}

#define STARTS(...)                     \
    do {                                \
        int bad_ = starts(__VA_ARGS__); \
        if (bad_) return bad_;          \
    } while (0)

/* ---- Cholesky -------------------------------------------------------------------------------
 */

cusolverStatus_t cusolverMgPotrf_bufferSize(cusolverMgHandle_t h, cublasFillMode_t uplo, int n,
                                            void *a[], int ia, int ja,
                                            cudaLibMgMatrixDesc_t desca, cudaDataType type,
                                            int64_t *lwork)
{
    (void)a;
    STARTS(h, desca, uplo, n, type, NULL, NULL, 0);
    *lwork = 2 * (int64_t)n;
    return ia == 1 && ja == 1 ? CUSOLVER_STATUS_SUCCESS : INVALID;
}

cusolverStatus_t cusolverMgPotrf(cusolverMgHandle_t h, cublasFillMode_t uplo, int n, void *a[],
                                 int ia, int ja, cudaLibMgMatrixDesc_t desca, cudaDataType type,
                                 void *work[], int64_t lwork, int *info)
{
    STARTS(h, desca, uplo, n, type, a, work, lwork);
    if (ia != 1 || ja != 1) return INVALID;
    fake_z *l = gather(desca, a, n);
    *info = 0;
    for (int64_t j = 0; j < n && *info == 0; j++)
        for (int64_t i = j; i < n; i++) {
            fake_z s = l[i + j * n];
            for (int64_t k = 0; k < j; k++) s -= l[i + k * n] * conj(l[j + k * n]);
            if (i == j && !(creal(s) > 0)) {
                *info = (int)(j + 1);
                break;
            }
            l[i + j * n] = i == j ? (fake_z)sqrt(creal(s)) : s / l[j + j * n];
        }
    scatter(desca, a, n, l, 1);
    free(l);
    return *info == 0 ? CUSOLVER_STATUS_SUCCESS : INTERNAL;
}

cusolverStatus_t cusolverMgPotrs_bufferSize(cusolverMgHandle_t h, cublasFillMode_t uplo, int n,
                                            int nrhs, void *a[], int ia, int ja,
                                            cudaLibMgMatrixDesc_t desca, void *b[], int ib,
                                            int jb, cudaLibMgMatrixDesc_t descb,
                                            cudaDataType type, int64_t *lwork)
{
    const desc_t *db = descb;
    (void)a;
    (void)b;
    STARTS(h, desca, uplo, n, type, NULL, NULL, 0);
    *lwork = n;
    return ia == 1 && ja == 1 && ib == 1 && jb == 1 && db->rows == n && db->cols == nrhs
               ? CUSOLVER_STATUS_SUCCESS
               : INVALID;
}

cusolverStatus_t cusolverMgPotrs(cusolverMgHandle_t h, cublasFillMode_t uplo, int n, int nrhs,
                                 void *a[], int ia, int ja, cudaLibMgMatrixDesc_t desca,
                                 void *b[], int ib, int jb, cudaLibMgMatrixDesc_t descb,
                                 cudaDataType type, void *work[], int64_t lwork, int *info)
{
    STARTS(h, desca, uplo, n, type, a, work, lwork);
    if (ia + ja + ib + jb != 4) return INVALID;
    for (int p = 0; p < h->count; p++)
        for (int q = 0; q < h->count; q++)
            if (!fake_reaches(h->ordinal[q], b[p])) return EXECUTION_FAILED;
    fake_z *l = gather(desca, a, n), *x = gather(descb, b, n);
    for (int64_t r = 0; r < nrhs; r++) {
        fake_z *y = x + r * n;
        for (int64_t i = 0; i < n; i++) {
            for (int64_t k = 0; k < i; k++) y[i] -= l[i + k * n] * y[k];
            y[i] /= l[i + i * n];
        }
        for (int64_t i = n - 1; i >= 0; i--) {
            for (int64_t k = i + 1; k < n; k++) y[i] -= conj(l[k + i * n]) * y[k];
            y[i] /= l[i + i * n];
        }
    }
    scatter(descb, b, n, x, 0);
    free(l);
    free(x);
    *info = 0;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverMgPotri_bufferSize(cusolverMgHandle_t h, cublasFillMode_t uplo, int n,
                                            void *a[], int ia, int ja,
                                            cudaLibMgMatrixDesc_t desca, cudaDataType type,
                                            int64_t *lwork)
{
    return cusolverMgPotrf_bufferSize(h, uplo, n, a, ia, ja, desca, type, lwork);
}

cusolverStatus_t cusolverMgPotri(cusolverMgHandle_t h, cublasFillMode_t uplo, int n, void *a[],
                                 int ia, int ja, cudaLibMgMatrixDesc_t desca, cudaDataType type,
                                 void *work[], int64_t lwork, int *info)
{
    STARTS(h, desca, uplo, n, type, a, work, lwork);
    if (ia != 1 || ja != 1) return INVALID;
    fake_z *l = gather(desca, a, n), *y = calloc((size_t)n * (size_t)n, sizeof *y);
    for (int64_t j = 0; j < n; j++) // Y = L^-1
        for (int64_t i = j; i < n; i++) {
            fake_z s = i == j;
            for (int64_t k = j; k < i; k++) s -= l[i + k * n] * y[k + j * n];
            y[i + j * n] = s / l[i + i * n];
        }
    for (int64_t j = 0; j < n; j++) // Y^H Y
        for (int64_t i = j; i < n; i++) {
            fake_z s = 0;
            for (int64_t k = i; k < n; k++) s += conj(y[k + i * n]) * y[k + j * n];
            l[i + j * n] = s;
        }
    scatter(desca, a, n, l, 1);
    free(l);
    free(y);
    *info = 0;
    return CUSOLVER_STATUS_SUCCESS;
}

/* ---- eigenproblem ---------------------------------------------------------------------------
 */

cusolverStatus_t cusolverMgSyevd_bufferSize(cusolverMgHandle_t h, cusolverEigMode_t jobz,
                                            cublasFillMode_t uplo, int n, void *a[], int ia,
                                            int ja, cudaLibMgMatrixDesc_t desca, void *w,
                                            cudaDataType wtype, cudaDataType type, int64_t *lwork)
{
    const desc_t *d = desca;
    if (!w || wtype != type % 4 || d->nb > TILE || jobz > CUSOLVER_EIG_MODE_VECTOR)
        return INVALID;
    return cusolverMgPotrf_bufferSize(h, uplo, n, a, ia, ja, desca, type, lwork);
}

cusolverStatus_t cusolverMgSyevd(cusolverMgHandle_t h, cusolverEigMode_t jobz,
                                 cublasFillMode_t uplo, int n, void *a[], int ia, int ja,
                                 cudaLibMgMatrixDesc_t desca, void *w, cudaDataType wtype,
                                 cudaDataType type, void *work[], int64_t lwork, int *info)
{
    const desc_t *d = desca;
    STARTS(h, desca, uplo, n, type, a, work, lwork);
    if (ia != 1 || ja != 1 || wtype != type % 4 || d->nb > TILE) return INVALID;
    fake_z *wide = gather(desca, a, n);
    void *narrow = calloc((size_t)n * (size_t)n, fake_size(type));
    for (int64_t k = 0; k < (int64_t)n * n; k++) fake_put(type, narrow, k, wide[k]);
    *info = fake_eigen(type, n, narrow, n, w, jobz == CUSOLVER_EIG_MODE_VECTOR);
    for (int64_t k = 0; k < (int64_t)n * n; k++) wide[k] = fake_get(type, narrow, k);
    if (jobz == CUSOLVER_EIG_MODE_VECTOR) scatter(desca, a, n, wide, 0);
    free(wide);
    free(narrow);
    return CUSOLVER_STATUS_SUCCESS;
}
