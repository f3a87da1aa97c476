/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_cublas.c: the part of cuBLAS that the library uses, naive loops over host memory
 * in the order of the fake driver's streams. Products sum in double and round once. */
#include <stdlib.h>
#include <string.h>

#include "dl/cuda_api.h"
#include "fake_cuda.h"
#include "fake_math.h"

#define VALUE(name, value) name = (value),
enum { MLAI_CUBLAS_VALUES(VALUE) EXECUTION_FAILED = 13, INVALID = 7 };

struct cublasContext {
    CUstream stream;
};

#define DECLARE(result, name, parameters) FAKE_API result name parameters;
MLAI_CUBLAS_LIST(DECLARE, DECLARE)

#define ENTER(handle)                              \
    do {                                           \
        if (fake_fails()) return EXECUTION_FAILED; \
        if (!(handle)) return INVALID;             \
    } while (0)

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
    if (fake_fails()) return CUBLAS_STATUS_ALLOC_FAILED;
    *handle = calloc(1, sizeof **handle);
    fake_object(1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    free(handle);
    fake_object(-1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    ENTER(handle);
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType what, int *value)
{
    *value = what == MAJOR_VERSION ? 13 : what;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return status == EXECUTION_FAILED ? "made to fail" : "invalid";
}

/* ---- products -------------------------------------------------------------------------------
 */

/* C := alpha op(A) op(B) + beta C, `count` times; lower: only the lower triangle, real diagonal.
 */
typedef struct product {
    int opa, opb, type, lower, out; /* out: the type of C */
    int64_t m, n, k, lda, ldb, ldc, count, stepa, stepb, stepc;
    fake_z alpha, beta;
    const void *a, *b;
    void *c;
} product_t;

static fake_z at(int type, int op, const void *a, int64_t lda, int64_t i, int64_t j)
{
    fake_z z = fake_get(type, a, op == CUBLAS_OP_N ? i + j * lda : j + i * lda);
    return op == CUBLAS_OP_C ? conj(z) : z;
}

static void run_product(void *args)
{
    const product_t *p = args;
    size_t es = fake_size(p->type), eo = fake_size(p->out);
    for (int64_t q = 0; q < p->count; q++) {
        const char *a = (const char *)p->a + (size_t)(q * p->stepa) * es;
        const char *b = (const char *)p->b + (size_t)(q * p->stepb) * es;
        char *c = (char *)p->c + (size_t)(q * p->stepc) * eo;
        for (int64_t j = 0; j < p->n; j++)
            for (int64_t i = p->lower ? j : 0; i < p->m; i++) {
                fake_z s = 0;
                for (int64_t l = 0; l < p->k; l++)
                    s += at(p->type, p->opa, a, p->lda, i, l) *
                         at(p->type, p->opb, b, p->ldb, l, j);
                s *= p->alpha;
                if (p->beta != 0) s += p->beta * fake_get(p->out, c, i + j * p->ldc);
                fake_put(p->out, c, i + j * p->ldc, p->lower && i == j ? (fake_z)creal(s) : s);
            }
    }
}

cublasStatus_t cublasGemmStridedBatchedEx_64(
    cublasHandle_t handle, cublasOperation_t opa, cublasOperation_t opb, int64_t m, int64_t n,
    int64_t k, const void *alpha, const void *a, cudaDataType atype, int64_t lda,
    long long int stridea, const void *b, cudaDataType btype, int64_t ldb, long long int strideb,
    const void *beta, void *c, cudaDataType ctype, int64_t ldc, long long int stridec,
    int64_t count, cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
    ENTER(handle);
    int pieces = atype == CUDA_R_16BF && ctype == CUDA_R_32F;
    int expected =
        ctype == CUDA_R_32F || ctype == CUDA_C_32F ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_64F;
    if (atype != btype || (atype != ctype && !pieces) || compute != expected ||
        algo != CUBLAS_GEMM_DEFAULT || lda < (opa == CUBLAS_OP_N ? m : k) ||
        ldb < (opb == CUBLAS_OP_N ? k : n) || ldc < m)
        return INVALID;
    product_t p = {opa,
                   opb,
                   atype,
                   0,
                   ctype,
                   m,
                   n,
                   k,
                   lda,
                   ldb,
                   ldc,
                   count,
                   stridea,
                   strideb,
                   stridec,
                   fake_get(ctype, alpha, 0),
                   fake_get(ctype, beta, 0),
                   a,
                   b,
                   c};
    fake_enqueue(handle->stream, run_product, &p, sizeof p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t opa,
                               cublasOperation_t opb, int64_t m, int64_t n, int64_t k,
                               const void *alpha, const void *a, cudaDataType atype, int64_t lda,
                               const void *b, cudaDataType btype, int64_t ldb, const void *beta,
                               void *c, cudaDataType ctype, int64_t ldc,
                               cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
    return cublasGemmStridedBatchedEx_64(handle, opa, opb, m, n, k, alpha, a, atype, lda, 0, b,
                                         btype, ldb, 0, beta, c, ctype, ldc, 0, 1, compute, algo);
}

static cublasStatus_t rank_k(cublasHandle_t handle, int type, cublasFillMode_t uplo, int op,
                             int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                             double beta, void *c, int64_t ldc)
{
    ENTER(handle);
    if (uplo != CUBLAS_FILL_MODE_LOWER || lda < (op == CUBLAS_OP_N ? n : k) || ldc < n)
        return INVALID;
    int other = op != CUBLAS_OP_N ? CUBLAS_OP_N : type >= 4 ? CUBLAS_OP_C : CUBLAS_OP_T;
    product_t p = {op,  other, type, 1, type, n,     n,    k, lda, lda,
                   ldc, 1,     0,    0, 0,    alpha, beta, a, a,   c};
    fake_enqueue(handle->stream, run_product, &p, sizeof p);
    return CUBLAS_STATUS_SUCCESS;
}

#define RANK_K(name, type, real, element)                                                       \
    cublasStatus_t name(cublasHandle_t handle, cublasFillMode_t uplo, cublasOperation_t op,     \
                        int64_t n, int64_t k, const real *alpha, const element *a, int64_t lda, \
                        const real *beta, element *c, int64_t ldc)                              \
    {                                                                                           \
        return rank_k(handle, type, uplo, op, n, k, *alpha, a, lda, *beta, c, ldc);             \
    }
RANK_K(cublasSsyrk_v2_64, CUDA_R_32F, float, float)
RANK_K(cublasDsyrk_v2_64, CUDA_R_64F, double, double)
RANK_K(cublasCherk_v2_64, CUDA_C_32F, float, cuComplex)
RANK_K(cublasZherk_v2_64, CUDA_C_64F, double, cuDoubleComplex)

/* ---- triangular solve ------------------------------------------------------------------------
 */

typedef struct solve {
    int type, right, lower, unit, op;
    int64_t m, n, lda, ldb;
    fake_z alpha;
    const void *a;
    void *b;
} solve_t;

/* One vector of B at a time: op(A) x = alpha b, or, from the right, op(A)^T x = alpha b. */
static void run_solve(void *args)
{
    const solve_t *s = args;
    int64_t order = s->right ? s->n : s->m, vectors = s->right ? s->m : s->n;
    int64_t step = s->right ? s->ldb : 1, next = s->right ? 1 : s->ldb;
    int forward = ((s->op == CUBLAS_OP_N) != s->right) == s->lower;
    for (int64_t v = 0; v < vectors; v++)
        for (int64_t q = 0; q < order; q++) {
            int64_t i = forward ? q : order - 1 - q;
            fake_z x = s->alpha * fake_get(s->type, s->b, i * step + v * next);
            for (int64_t r = 0; r < q; r++) {
                int64_t k = forward ? r : order - 1 - r;
                fake_z l = s->right ? at(s->type, s->op, s->a, s->lda, k, i)
                                    : at(s->type, s->op, s->a, s->lda, i, k);
                x -= l * fake_get(s->type, s->b, k * step + v * next);
            }
            if (!s->unit) x /= at(s->type, s->op, s->a, s->lda, i, i);
            fake_put(s->type, s->b, i * step + v * next, x);
        }
}

static cublasStatus_t triangular(cublasHandle_t handle, int type, int side, cublasFillMode_t uplo,
                                 int op, cublasDiagType_t diag, int64_t m, int64_t n,
                                 const void *alpha, const void *a, int64_t lda, void *b,
                                 int64_t ldb)
{
    ENTER(handle);
    int right = side == CUBLAS_SIDE_RIGHT;
    int lower = uplo == CUBLAS_FILL_MODE_LOWER, unit = diag == CUBLAS_DIAG_UNIT;
    if ((!lower && uplo != CUBLAS_FILL_MODE_UPPER) || (!unit && diag != CUBLAS_DIAG_NON_UNIT) ||
        lda < (right ? n : m) || ldb < m)
        return INVALID;
    solve_t s = {type, right, lower, unit, op, m, n, lda, ldb, fake_get(type, alpha, 0), a, b};
    fake_enqueue(handle->stream, run_solve, &s, sizeof s);
    return CUBLAS_STATUS_SUCCESS;
}

#define TRSM(name, type, element)                                                            \
    cublasStatus_t name(cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t uplo, \
                        cublasOperation_t op, cublasDiagType_t diag, int64_t m, int64_t n,   \
                        const element *alpha, const element *a, int64_t lda, element *b,     \
                        int64_t ldb)                                                         \
    {                                                                                        \
        return triangular(handle, type, side, uplo, op, diag, m, n, alpha, a, lda, b, ldb);  \
    }
TRSM(cublasStrsm_v2_64, CUDA_R_32F, float)
TRSM(cublasDtrsm_v2_64, CUDA_R_64F, double)
TRSM(cublasCtrsm_v2_64, CUDA_C_32F, cuComplex)
TRSM(cublasZtrsm_v2_64, CUDA_C_64F, cuDoubleComplex)
