/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_backend.h: what the files of the CUDA backend share: the object, checked
 * calls, launches, and the list of operations.
 *
 * Every operation is asynchronous: it enqueues on its stream and returns. It begins with
 * MLAI_CUDA_BEGIN, which makes the device's primary context current until it returns, and passes
 * every call of a library through MLAI_CUDA_CU, _BLAS or _SOLVER. A new operation: a field of
 * backend.h, a line MLAI_CUDA_OP here, a line in the table of cuda_backend.c, the function
 * mlai_cuda_NAME. A new kernel: see kernel_list.h. */
#ifndef MLAI_CUDA_BACKEND_H
#define MLAI_CUDA_BACKEND_H

#include "backend/backend.h"
#include "backend/cuda/kernel_list.h"
#include "backend/cuda/kernels/kernel_args.h"
#include "core/size.h"
#include "dl/cuda_dl.h"

/* Streams that have handles of cuBLAS and cuSOLVER, one each, so that they share no workspace:
 * MLAI_STREAM_MAIN and MLAI_STREAM_PANEL. */
enum { MLAI_CUDA_HANDLES = 2, MLAI_CUDA_BLOCKS = 56 };

typedef struct mlai_cuda {
    mlai_backend_t base;
    const mlai_cu_t *cu;
    const mlai_cublas_t *blas;
    const mlai_cusolver_t *solver;

    /* -- kept from context to context (cuda_pool.c) */
    struct mlai_cuda *next;
    int ordinal;
    CUdevice device;
    CUcontext context; /* the device's primary one, retained; NULL: not yet */
    int processors;    /* streaming multiprocessors */
    int64_t l2_bytes;
    int64_t shared_most;           /* shared memory of a block, if a kernel asks for it */
    CUstream stream[MLAI_STREAMS]; /* [MLAI_STREAM_MAIN] is the caller's */
    CUevent event[MLAI_EVENTS];
    CUevent idle; /* end of the work of the last context */
    cublasHandle_t blas_handle[MLAI_CUDA_HANDLES];
    cusolverDnHandle_t solver_handle[MLAI_CUDA_HANDLES];
    cusolverDnParams_t params;
    CUmemoryPool pool;  /* NULL: the driver has none */
    CUdeviceptr status; /* device memory: one int32 for each handle, cuSOLVER's info */
    void *host_work;    /* cuSOLVER's, grows */
    size_t host_bytes;
    CUfunction kernel[MLAI_KERNELS];

    /* -- of this context */
    struct {
        void *block[MLAI_CUDA_BLOCKS]; /* the last one is in use, each twice the one before */
        int blocks;
        size_t bytes; /* of the last one */
    } scratch[MLAI_CUDA_HANDLES];
    mla_alloc_fn alloc; /* NULL: the pool */
    mla_free_fn free;
    void *user;
} mlai_cuda_t;

static inline mlai_cuda_t *mlai_cuda(mlai_backend_t *be)
{
    return (mlai_cuda_t *)be;
}

static inline CUdeviceptr mlai_cuda_ptr(const void *ptr)
{
    return (CUdeviceptr)(uintptr_t)ptr;
}

/* The caller's stream is the stream of the handles number 0, the panel stream of number 1; work
 * of the communication stream never needs one. */
static inline int mlai_cuda_which(const mlai_cuda_t *c, mlai_stream_t st)
{
    return (CUstream)st == c->stream[MLAI_STREAM_PANEL] ? MLAI_STREAM_PANEL : MLAI_STREAM_MAIN;
}

/* An object of device `ordinal` whose main stream is `main`, ready but for `base` and the
 * allocator; and back. */
mla_status_t mlai_cuda_take(int ordinal, CUstream main, mlai_error_t *err, mlai_cuda_t **c);
void mlai_cuda_give(mlai_cuda_t *c);

/* Device memory for one operation on `st`, to be used on `st` alone. It lasts until the next
 * operation on `st` asks; the stream's order keeps the two apart. */
mla_status_t mlai_cuda_scratch(mlai_cuda_t *c, mlai_stream_t st, size_t bytes, void **ptr);

/* ---- checked calls ------------------------------------------------------------------------- */

#define MLAI_CUDA_BEGIN(c) MLAI_CU_SCOPE((c)->cu, (c)->base.err, (c)->ordinal, (c)->context)
#define MLAI_CUDA_CU(c, name, ...) \
    MLAI_CU((c)->cu, (c)->base.err, (c)->ordinal, name, __VA_ARGS__)
#define MLAI_CUDA_BLAS(c, name, ...) \
    MLAI_CUBLAS((c)->blas, (c)->base.err, (c)->ordinal, name, __VA_ARGS__)
#define MLAI_CUDA_SOLVER(c, name, ...) \
    MLAI_CUSOLVER((c)->solver, (c)->base.err, (c)->ordinal, name, __VA_ARGS__)

/* ---- kernels (cuda_launch.c) -----------------------------------------------------------------
 */

typedef struct mlai_grid {
    int64_t x, y;     /* blocks; 0 counts as 1 */
    int tx, ty;       /* threads of a block; 0 counts as 1 */
    unsigned dynamic; /* bytes of dynamic shared memory */
} mlai_grid_t;

/* Fills c->kernel. MLA_UNSUPPORTED if the library was built without kernels, or without any that
 * run on this device. */
mla_status_t mlai_cuda_load_kernels(mlai_cuda_t *c, mlai_error_t *err);

/* `args` is the kernel's one parameter, a struct of kernel_args.h. For a kernel of four types
 * `kernel` is MLAI_K_NAME + dtype, for one of two MLAI_K_NAME + real dtype. The context is
 * current. */
mla_status_t mlai_cuda_launch(mlai_cuda_t *c, mlai_stream_t st, int kernel, mlai_grid_t grid,
                              const void *args);

/* Blocks and threads for an m x n matrix of which a thread takes `rows` rows of a column at a
 * time. Kernels loop: there are not many more blocks than the device can hold. */
mlai_grid_t mlai_cuda_grid(const mlai_cuda_t *c, int64_t m, int64_t n, int rows);

/* ---- the table, by file ----------------------------------------------------------------------
 */

#define MLAI_CUDA_OP(name) __typeof__(*((mlai_backend_ops_t *)0)->name) mlai_cuda_##name;

/* cuda_backend.c */
MLAI_CUDA_OP(alloc)
MLAI_CUDA_OP(free)
/* cuda_move.c */
MLAI_CUDA_OP(lacpy)
MLAI_CUDA_OP(laset)
MLAI_CUDA_OP(transpose)
MLAI_CUDA_OP(permute_rows)
MLAI_CUDA_OP(sum_blocks)
MLAI_CUDA_OP(nan_if)
MLAI_CUDA_OP(log_diag)
/* cuda_blas.c */
MLAI_CUDA_OP(gemm)
MLAI_CUDA_OP(herk)
/* cuda_split.c */
MLAI_CUDA_OP(split)
MLAI_CUDA_OP(gemm_split)
/* cuda_triangle.c */
MLAI_CUDA_OP(trsm)
MLAI_CUDA_OP(trtri_tile)
/* cuda_solver.c */
MLAI_CUDA_OP(potrf_tile)
MLAI_CUDA_OP(syevd)
/* cuda_chase.c */
MLAI_CUDA_OP(hb2st)
MLAI_CUDA_OP(unmtr_hb2st)
/* cuda_lu.c */
MLAI_CUDA_OP(getrf_panel)
MLAI_CUDA_OP(laswp)
MLAI_CUDA_OP(take_cols)
MLAI_CUDA_OP(put_cols)
MLAI_CUDA_OP(lu_det)
/* cuda_qr.c */
MLAI_CUDA_OP(unhr_tile)
MLAI_CUDA_OP(geqr2_column)
/* cuda_dc.c */
MLAI_CUDA_OP(dc_leaves)
MLAI_CUDA_OP(dc_border)
MLAI_CUDA_OP(dc_rotate)
MLAI_CUDA_OP(dc_gather)
MLAI_CUDA_OP(dc_secular)
MLAI_CUDA_OP(dc_zhat)
MLAI_CUDA_OP(dc_merge)
MLAI_CUDA_OP(dc_rows)
MLAI_CUDA_OP(dc_restore)
/* cuda_trd.c */
MLAI_CUDA_OP(norm_max)
MLAI_CUDA_OP(lascl)
MLAI_CUDA_OP(lacpy_real)
MLAI_CUDA_OP(hetrd_column)
MLAI_CUDA_OP(hetrd_product)
MLAI_CUDA_OP(larft_diag)
/* cuda_geqrt.c */
MLAI_CUDA_OP(geqrt)

/* Part of an m x n matrix := NaN if *flag != 0; the context is current. */
mla_status_t mlai_cuda_fill_nan(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt,
                                mlai_uplo_t uplo, const int32_t *flag, int64_t m, int64_t n,
                                void *a, int64_t lda);

/* c->host_work of `bytes` at least: what cuSOLVER asks for. */
mla_status_t mlai_cuda_host_work(mlai_cuda_t *c, mlai_stream_t st, size_t bytes);

/* `count` products of equal shape, operands `stride` elements apart; the context is current. */
typedef struct mlai_batch {
    int64_t count, a, b, c;
} mlai_batch_t;
mla_status_t mlai_cuda_gemm_batch(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt, mlai_op_t opa,
                                  mlai_op_t opb, int64_t m, int64_t n, int64_t k, double alpha,
                                  const void *a, int64_t lda, const void *b, int64_t ldb,
                                  double beta, void *out, int64_t ldc, mlai_batch_t batch);

/* trsm by cuBLAS; the context is current. */
mla_status_t mlai_cuda_trsm_vendor(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt,
                                   mlai_side_t side, mlai_uplo_t uplo, mlai_op_t op,
                                   mlai_diag_t diag, int64_t m, int64_t n, double alpha,
                                   const void *a, int64_t lda, void *b, int64_t ldb);

#endif
