/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_blas.c: BLAS-3 by cuBLAS, with 64-bit extents. Default math mode: no
 * reduced precision, bitwise repeatable for one handle on one stream. */
#include "backend/cuda/cuda_backend.h"

typedef union scalar {
    float s[2];
    double d[2];
} scalar_t;

/* In the type that cuBLAS wants for the matrix type, imaginary part 0. */
static scalar_t scalar_of(mla_dtype_t dt, double value)
{
    if (mlai_real(dt) == MLA_FLOAT32) return (scalar_t){.s = {(float)value, 0}};
    return (scalar_t){.d = {value, 0}};
}

static cublasOperation_t op_of(mla_dtype_t dt, mlai_op_t op)
{
    if (op == MLAI_N) return CUBLAS_OP_N;
    return op == MLAI_C && mlai_is_complex(dt) ? CUBLAS_OP_C : CUBLAS_OP_T;
}

static const cudaDataType type_of[] = {CUDA_R_32F, CUDA_R_64F, CUDA_C_32F, CUDA_C_64F};

static cublasComputeType_t compute_of(mla_dtype_t dt)
{
    return mlai_real(dt) == MLA_FLOAT32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_64F;
}

static cublasHandle_t handle_of(const mlai_cuda_t *c, mlai_stream_t st)
{
    return c->blas_handle[mlai_cuda_which(c, st)];
}

mla_status_t mlai_cuda_gemm(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t opa,
                            mlai_op_t opb, int64_t m, int64_t n, int64_t k, double alpha,
                            const void *a, int64_t lda, const void *b, int64_t ldb, double beta,
                            void *c, int64_t ldc)
{
    mlai_cuda_t *d = mlai_cuda(be);
    if (m <= 0 || n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(d);
    return mlai_cuda_gemm_batch(d, st, dt, opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc,
                                (mlai_batch_t){.count = 1});
}

mla_status_t mlai_cuda_gemm_batch(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt, mlai_op_t opa,
                                  mlai_op_t opb, int64_t m, int64_t n, int64_t k, double alpha,
                                  const void *a, int64_t lda, const void *b, int64_t ldb,
                                  double beta, void *out, int64_t ldc, mlai_batch_t batch)
{
    if (m <= 0 || n <= 0 || batch.count <= 0) return MLA_OK;
    scalar_t al = scalar_of(dt, alpha), bt = scalar_of(dt, beta);
    cudaDataType type = type_of[dt];
    if (batch.count == 1)
        return MLAI_CUDA_BLAS(c, cublasGemmEx_64, handle_of(c, st), op_of(dt, opa),
                              op_of(dt, opb), m, n, k, &al, a, type, lda, b, type, ldb, &bt, out,
                              type, ldc, compute_of(dt), CUBLAS_GEMM_DEFAULT);
    return MLAI_CUDA_BLAS(c, cublasGemmStridedBatchedEx_64, handle_of(c, st), op_of(dt, opa),
                          op_of(dt, opb), m, n, k, &al, a, type, lda, batch.a, b, type, ldb,
                          batch.b, &bt, out, type, ldc, batch.c, batch.count, compute_of(dt),
                          CUBLAS_GEMM_DEFAULT);
}

/* A tall a^H a is one tile or a few to cuBLAS, for a card of a hundred processors: parts of the
 * rows at once, then their sum. */
static mla_status_t herk_tall(mlai_cuda_t *d, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                              int64_t k, double alpha, const void *a, int64_t lda, void *c,
                              int64_t ldc)
{
    enum { PARTS = 64, GRAIN = 16 };
    int64_t rows = k / PARTS / GRAIN * GRAIN, rest = k - rows * PARTS, square = n * n;
    const mlai_batch_t all = {PARTS, rows, rows, square};
    void *part = NULL;
    MLAI_TRY(mlai_cuda_scratch(d, st, mlai_size_mat(square, PARTS, mlai_sizeof(dt)), &part));
    MLAI_TRY(mlai_cuda_gemm_batch(d, st, dt, MLAI_C, MLAI_N, n, n, rows, alpha, a, lda, a, lda,
                                  0.0, part, n, all));
    if (rest > 0) {
        const void *last = mlai_at(a, dt, lda, k - rest, 0);
        MLAI_TRY(mlai_cuda_gemm_batch(d, st, dt, MLAI_C, MLAI_N, n, n, rest, alpha, last, lda,
                                      last, lda, 1.0, part, n, (mlai_batch_t){.count = 1}));
    }
    return mlai_cuda_sum_blocks(&d->base, st, dt, n, n, PARTS, part, n, square, c, ldc);
}

mla_status_t mlai_cuda_herk(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t op,
                            int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                            double beta, void *c, int64_t ldc)
{
    mlai_cuda_t *d = mlai_cuda(be);
    if (n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(d);
    enum { NARROW = 256, TALL = 4096 };
    if (op == MLAI_C && beta == 0 && n <= NARROW && k >= TALL)
        return herk_tall(d, st, dt, n, k, alpha, a, lda, c, ldc);
    cublasHandle_t h = handle_of(d, st);
    cublasOperation_t o = op_of(dt, op);
    scalar_t al = scalar_of(dt, alpha), bt = scalar_of(dt, beta);
    const cublasFillMode_t lower = CUBLAS_FILL_MODE_LOWER;
    switch (dt) {
    case MLA_FLOAT32:
        return MLAI_CUDA_BLAS(d, cublasSsyrk_v2_64, h, lower, o, n, k, al.s, a, lda, bt.s, c,
                              ldc);
    case MLA_FLOAT64:
        return MLAI_CUDA_BLAS(d, cublasDsyrk_v2_64, h, lower, o, n, k, al.d, a, lda, bt.d, c,
                              ldc);
    case MLA_COMPLEX64:
        return MLAI_CUDA_BLAS(d, cublasCherk_v2_64, h, lower, o, n, k, al.s, a, lda, bt.s, c,
                              ldc);
    case MLA_COMPLEX128: break;
    }
    return MLAI_CUDA_BLAS(d, cublasZherk_v2_64, h, lower, o, n, k, al.d, a, lda, bt.d, c, ldc);
}

mla_status_t mlai_cuda_trsm_vendor(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt,
                                   mlai_side_t side, mlai_uplo_t uplo, mlai_op_t op,
                                   mlai_diag_t diag, int64_t m, int64_t n, double alpha,
                                   const void *a, int64_t lda, void *b, int64_t ldb)
{
    cublasHandle_t h = handle_of(c, st);
    cublasSideMode_t s = side == MLAI_LEFT ? CUBLAS_SIDE_LEFT : CUBLAS_SIDE_RIGHT;
    cublasOperation_t o = op_of(dt, op);
    scalar_t al = scalar_of(dt, alpha);
    const void *scale = &al;
    cublasFillMode_t u = uplo == MLAI_LOWER ? CUBLAS_FILL_MODE_LOWER : CUBLAS_FILL_MODE_UPPER;
    cublasDiagType_t q = diag == MLAI_UNIT ? CUBLAS_DIAG_UNIT : CUBLAS_DIAG_NON_UNIT;
    switch (dt) {
    case MLA_FLOAT32:
        return MLAI_CUDA_BLAS(c, cublasStrsm_v2_64, h, s, u, o, q, m, n, scale, a, lda, b, ldb);
    case MLA_FLOAT64:
        return MLAI_CUDA_BLAS(c, cublasDtrsm_v2_64, h, s, u, o, q, m, n, scale, a, lda, b, ldb);
    case MLA_COMPLEX64:
        return MLAI_CUDA_BLAS(c, cublasCtrsm_v2_64, h, s, u, o, q, m, n, scale, a, lda, b, ldb);
    case MLA_COMPLEX128: break;
    }
    return MLAI_CUDA_BLAS(c, cublasZtrsm_v2_64, h, s, u, o, q, m, n, scale, a, lda, b, ldb);
}
