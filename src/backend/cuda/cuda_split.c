/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_split.c: products from bfloat16 pieces (split.h): kernels/split.cu and
 * cuBLAS. Both sides lie by rows, the layout in which tensor cores are fastest. */
#include "backend/cuda/cuda_backend.h"

enum { ROWS = 32, COLUMNS = 64, LINES = 8 }; /* the tile of split.cu; rows at a time of a block */

/* One chunk: k columns from column `first` on, where its left and right rows begin. */
typedef struct chunk {
    int64_t first, k, width;
    char *left, *right;
} chunk_t;

static size_t row_bytes(const chunk_t *q, int terms)
{
    return (size_t)q->width * (size_t)terms * 2;
}

/* The chunk after q; q->k = 0 before the first. */
static bool next_chunk(chunk_t *q, mla_dtype_t dt, int terms, int64_t m, int64_t k, char *pieces)
{
    char *from = pieces;
    if (q->k > 0) from = q->right + (size_t)m * row_bytes(q, terms);
    q->first += q->k;
    q->k = mlai_min(k - q->first, mlai_split_chunk(dt));
    if (q->k <= 0) return false;
    q->width = mlai_split_width(dt, q->k);
    q->left = from;
    q->right = from + (size_t)m * (mlai_is_complex(dt) ? 2 : 1) * row_bytes(q, terms);
    return true;
}

mla_status_t mlai_cuda_split(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int terms,
                             int64_t m, int64_t k, const void *a, int64_t lda, void *pieces)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (m <= 0 || k <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    chunk_t q = {0};
    while (next_chunk(&q, dt, terms, m, k, pieces)) {
        int complex = mlai_is_complex(dt);
        mlai_split_args_t args = {.m = m,
                                  .k = q.k,
                                  .lda = lda,
                                  .depth = q.width,
                                  .a = mlai_at(a, dt, lda, 0, q.first),
                                  .left = q.left,
                                  .right = q.right,
                                  .first = MLAI_SPLIT_TERMS - terms,
                                  .complex = complex};
        mlai_grid_t grid = {.x = mlai_min(mlai_ceil_div(m, ROWS), (int64_t)c->processors * 16),
                            .y = mlai_ceil_div(complex ? q.width / 2 : q.width, COLUMNS),
                            .tx = ROWS,
                            .ty = LINES};
        MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_split, grid, &args));
    }
    return MLA_OK;
}

mla_status_t mlai_cuda_gemm_split(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int terms,
                                  int64_t m, int64_t k, const void *pieces, int64_t i,
                                  int64_t rows, int64_t j, int64_t cols, void *c, int64_t ldc)
{
    mlai_cuda_t *d = mlai_cuda(be);
    if (rows <= 0 || cols <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(d);
    const float minus = -1, one = 1;
    int64_t twice = mlai_is_complex(dt) ? 2 : 1;
    chunk_t q = {0};
    while (next_chunk(&q, dt, terms, m, k, (char *)(uintptr_t)pieces)) {
        int64_t depth = q.width * terms;
        const char *left = q.left + (size_t)(i * twice) * row_bytes(&q, terms);
        const char *right = q.right + (size_t)j * row_bytes(&q, terms);
        MLAI_TRY(MLAI_CUDA_BLAS(
            d, cublasGemmEx_64, d->blas_handle[mlai_cuda_which(d, st)], CUBLAS_OP_T, CUBLAS_OP_N,
            rows * twice, cols, depth, &minus, left, CUDA_R_16BF, depth, right, CUDA_R_16BF,
            depth, &one, c, CUDA_R_32F, ldc * twice, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    }
    return MLA_OK;
}
