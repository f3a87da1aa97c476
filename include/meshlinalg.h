/* SPDX-License-Identifier: Apache-2.0
 *
 * meshlinalg.h: dense linear algebra for matrices distributed over P ranks.
 *
 * The only public header. C11 and C++; includes no CUDA, NCCL or XLA header.
 *
 * Rank-collective. P ranks (threads or processes) call the same function with the same
 * shapes and options; each passes its own context and its own part of the data. There is
 * no master. Ranks leave together: when one fails, the others return MLA_PEER within the
 * time limit of their communicator instead of hanging.
 *
 * Streams. On the CUDA backend a routine enqueues its work on the stream of its context and
 * returns; results, `info` included, are valid when that stream has got there. The host
 * backend has finished when it returns. Routines that must wait on the host say so.
 *
 * Layout. An n x n matrix is held as contiguous blocks of columns, column-major: rank p has
 * columns [p*lc, min(n, (p+1)*lc)) with leading dimension ld >= n. Nothing is redistributed:
 * the factorisations run over tiles of nb columns in the order of the symmetric permutation
 * that reads those blocks as block cyclic (docs/architecture.md). Rows n.. of a column and
 * columns beyond n are never read or written. A Hermitian matrix must be stored in full.
 */
#ifndef MESHLINALG_H
#define MESHLINALG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MLA_VERSION_MAJOR 0
#define MLA_VERSION_MINOR 1
#define MLA_VERSION_PATCH 0

#if defined(_WIN32)
#define MLA_API
#else
#define MLA_API __attribute__((visibility("default")))
#endif
#if defined(__GNUC__)
#define MLA_NODISCARD __attribute__((warn_unused_result))
#else
#define MLA_NODISCARD
#endif

/* ---- status ------------------------------------------------------------------------- */

/* Numerical failure is never a status: it is the output `info`, as in LAPACK. */
#define MLA_STATUS_LIST(XX)                              \
    XX(OK, 0, "success")                                 \
    XX(ARG, -1, "invalid argument")                      \
    XX(SIZE, -2, "size or byte count too large")         \
    XX(NOMEM, -3, "out of memory")                       \
    XX(BACKEND, -4, "a device or library call failed")   \
    XX(COMM, -5, "communication failed")                 \
    XX(PEER, -6, "another rank failed; see its message") \
    XX(UNSUPPORTED, -7, "not available on this backend")

typedef enum mla_status {
#define XX(name, value, text) MLA_##name = value,
    MLA_STATUS_LIST(XX)
#undef XX
} mla_status_t;

/* Name ("MLA_ARG") and text of a status; never NULL, also for unknown values. */
MLA_API const char *mla_status_name(mla_status_t status);
MLA_API const char *mla_status_text(mla_status_t status);

/* 10000*major + 100*minor + patch of the library, as opposed to that of this header. */
MLA_API int mla_version(void);

/* ---- types -------------------------------------------------------------------------- */

typedef enum mla_dtype {
    MLA_FLOAT32 = 0,
    MLA_FLOAT64 = 1,
    MLA_COMPLEX64 = 2,
    MLA_COMPLEX128 = 3
} mla_dtype_t;

typedef enum mla_device { MLA_HOST = 0, MLA_CUDA = 1 } mla_device_t;

/* Elimination order of the tiles. CYCLIC balances the load and is what every routine
 * should use whose result does not depend on the order; NATURAL keeps the order of the
 * columns (the Cholesky factor itself, rather than one to solve with). */
typedef enum mla_order { MLA_CYCLIC = 0, MLA_NATURAL = 1 } mla_order_t;

/* Of the products inside a factorisation in float32 and complex64; other types take no notice.
 * FULL: float32's accuracy, from tensor cores where that is faster (six products of bfloat16
 * pieces). HIGH: three products, about 16 bits; LOW: one, 8 bits: factors to start a refinement
 * with. Devices without bfloat16 products always give FULL. */
typedef enum mla_precision {
    MLA_PRECISION_FULL = 0,
    MLA_PRECISION_HIGH = 1,
    MLA_PRECISION_LOW = 2
} mla_precision_t;

/* How right-hand sides lie. ROWS: b is cut like A, rank p has rows [p*lc, ...) of it.
 * REPLICATED: every rank has all of b, and gets all of x. */
typedef enum mla_rhs { MLA_RHS_ROWS = 0, MLA_RHS_REPLICATED = 1 } mla_rhs_t;

/* op(B): B, its transpose, its conjugate transpose. */
typedef enum mla_op { MLA_N = 0, MLA_T = 1, MLA_C = 2 } mla_op_t;

/* Who runs a whole routine. AUTO: whichever is known to be fastest. NATIVE: the library's own
 * algorithms (on one GPU and a small matrix: one call of cuSOLVER). CUSOLVERMG: NVIDIA's library
 * for the GPUs of one process, at most 16 ranks; ranks are threads, and one of them drives all
 * GPUs while the others wait on the host, as long as that takes. It has the positive definite and
 * the eigenvalue routines; others are native whatever the engine. A factor is good for the engine
 * that made it. */
typedef enum mla_engine {
    MLA_ENGINE_AUTO = 0,
    MLA_ENGINE_NATIVE = 1,
    MLA_ENGINE_CUSOLVERMG = 2
} mla_engine_t;

/* ---- communicator: how P ranks reach one another --------------------------------------- */

typedef struct mla_comm mla_comm_t;

/* P ranks as threads of this process: fills comms[0..nranks-1], one endpoint a rank.
 * timeout_s > 0 limits every wait. Each endpoint is freed by mla_comm_free. */
MLA_API MLA_NODISCARD mla_status_t mla_comm_create_threads(int nranks, double timeout_s,
                                                           mla_comm_t **comms);

/* Rank `rank` of `nranks` processes (or threads of several processes) of one machine that
 * give the same `name` (letters, digits, '-', '_', '.'; at most 200; unique to this group
 * while it lives). Blocks until all ranks are there. Host memory only. */
MLA_API MLA_NODISCARD mla_status_t mla_comm_create_shm(const char *name, int nranks, int rank,
                                                       double timeout_s, mla_comm_t **comm);

/* The same for CUDA devices: ranks are threads of one process, processes, or a mixture; one
 * machine, GPUs that reach one another's memory, also several ranks on one GPU. `ordinal` is
 * this rank's device, whose primary context is used. Ranks meet on the host while they enqueue
 * and on the devices (events) while they compute; no call waits for a device. Blocks until all
 * ranks are there. MLA_UNSUPPORTED where two devices cannot reach one another. */
MLA_API MLA_NODISCARD mla_status_t mla_comm_create_peer(const char *name, int nranks, int rank,
                                                        int ordinal, double timeout_s,
                                                        mla_comm_t **comm);

/* CUDA devices of any number of machines, through NCCL, which wants a device for each rank. One
 * rank makes an id, the caller carries it to the others (JAX's key-value store, MPI, a file).
 * Blocks until all ranks are there. Collectives are enqueued; where ranks must agree, once or
 * twice a routine, the host waits for what the routines before have enqueued. A rank that does
 * not come is noticed where ranks agree, after timeout_s without progress. */
#define MLA_NCCL_ID_BYTES 128
MLA_API MLA_NODISCARD mla_status_t mla_nccl_id(char id[MLA_NCCL_ID_BYTES]);
MLA_API MLA_NODISCARD mla_status_t mla_comm_create_nccl(const char id[MLA_NCCL_ID_BYTES],
                                                        int nranks, int rank, int ordinal,
                                                        double timeout_s, mla_comm_t **comm);

MLA_API int mla_comm_rank(const mla_comm_t *comm);
MLA_API int mla_comm_size(const mla_comm_t *comm);

/* Says that this rank cannot go on: every rank that waits, or comes later, returns MLA_PEER
 * with `why`. For a rank that finds an error of its own before it enters a routine. */
MLA_API void mla_comm_abort(mla_comm_t *comm, const char *why);

/* Waits, on the host, until all ranks have called it. MLA_PEER or MLA_COMM if the communicator
 * has failed before, or fails now because a rank does not come. */
MLA_API MLA_NODISCARD mla_status_t mla_comm_barrier(mla_comm_t *comm);

/* Accepts NULL. */
MLA_API void mla_comm_free(mla_comm_t *comm);

/* ---- context: one rank --------------------------------------------------------------- */

typedef struct mla_context mla_context_t;

/* Scratch memory of the device from elsewhere (XLA's pool, say); both or neither. */
typedef void *(*mla_alloc_fn)(void *user, size_t bytes);
typedef void (*mla_free_fn)(void *user, void *ptr);

typedef struct mla_context_options {
    size_t size;         /* sizeof(mla_context_options_t): set by the initialiser */
    mla_device_t device; /* MLA_HOST or MLA_CUDA */
    int ordinal;         /* CUDA device; its primary context is used */
    void *stream;        /* CUstream, or NULL for the default stream; ignored on the host */
    mla_comm_t *comm;    /* borrowed; NULL for a single rank */
    mla_alloc_fn alloc;  /* NULL: the backend's own */
    mla_free_fn free;
    void *user;          /* first argument of alloc and free */
    mla_engine_t engine; /* equal on all ranks */
} mla_context_options_t;

#define MLA_CONTEXT_OPTIONS_INIT                                                  \
    {                                                                             \
        sizeof(mla_context_options_t), MLA_HOST, 0, NULL, NULL, NULL, NULL, NULL, \
            MLA_ENGINE_AUTO                                                       \
    }

MLA_API MLA_NODISCARD mla_status_t mla_context_create(const mla_context_options_t *options,
                                                      mla_context_t **ctx);
/* Accepts NULL. Does not wait for enqueued work. */
MLA_API void mla_context_free(mla_context_t *ctx);
/* Waits until the work enqueued by this context has ended. */
MLA_API MLA_NODISCARD mla_status_t mla_context_sync(mla_context_t *ctx);
/* The sentence that goes with the last status other than MLA_OK; "" before. With NULL: of
 * the last failure in this thread of a function that has no context. */
MLA_API const char *mla_message(const mla_context_t *ctx);

/* ---- matrix -------------------------------------------------------------------------- */

/* A square matrix in contiguous blocks of columns. All ranks pass equal values. */
typedef struct mla_desc {
    size_t size; /* sizeof(mla_desc_t): set by the initialiser */
    mla_dtype_t dtype;
    mla_order_t order;
    int64_t n;  /* order of the matrix, >= 0 */
    int64_t lc; /* columns of a rank, lc * P >= n; 0: ceil(n / P) */
    int64_t ld; /* leading dimension of the local block, >= max(1, n); 0: n */
    int64_t nb; /* tile width; 0: chosen from n, P, dtype and device */
    mla_precision_t precision;
} mla_desc_t;

#define MLA_DESC_INIT(dtype, n)                                               \
    {                                                                         \
        sizeof(mla_desc_t), dtype, MLA_CYCLIC, n, 0, 0, 0, MLA_PRECISION_FULL \
    }

/* Tile width that a routine takes when desc->nb is 0; LU takes at most that. */
MLA_API int64_t mla_tile_size(const mla_desc_t *desc, int nranks, mla_device_t device);

/* ---- Hermitian positive definite systems ------------------------------------------------ */

/* B = L L^H with the columns of B distributed as desc says, in desc->order (LAPACK potrf,
 * uplo = 'L').
 *   a       in: all of B, this rank's columns. out: the factor, in elimination order, for
 *           mla_potrs and mla_potri alone; with MLA_NATURAL order the lower triangle is L and
 *           the strict upper triangle is zero.
 *   logdet  out, device memory, may be NULL: log det B as float64, on every rank.
 *   info    out, device memory, int32: 0, or i > 0 if the leading minor that ends with
 *           (natural) column i - 1 of B is not positive definite: the factor and logdet are
 *           then NaN. Equal on all ranks.
 * Cost n^3/3 flops (complex: 4x), n^2/2 words sent to each rank; work space: see
 * mla_potrf_workspace. Right-looking with look-ahead. */
MLA_API MLA_NODISCARD mla_status_t mla_potrf(mla_context_t *ctx, const mla_desc_t *desc, void *a,
                                             double *logdet, int32_t *info);

/* X B = C for X, with the factor of mla_potrf (LAPACK potrs from the right; for a row-major
 * caller with A^T = B this is A x = b without transposition or conjugation).
 *   nrhs  rows of C, >= 0.
 *   c     in: C, out: X; column-major nrhs x (columns of this rank), or nrhs x n when rhs is
 *         MLA_RHS_REPLICATED; columns in natural order.
 *   ldc   >= max(1, nrhs).
 * Cost 2 n^2 nrhs flops. A factor of a failed mla_potrf gives NaN. */
MLA_API MLA_NODISCARD mla_status_t mla_potrs(mla_context_t *ctx, const mla_desc_t *desc,
                                             const void *a, mla_rhs_t rhs, int64_t nrhs, void *c,
                                             int64_t ldc);

/* mla_potrf and mla_potrs in one call (LAPACK posv). */
MLA_API MLA_NODISCARD mla_status_t mla_posv(mla_context_t *ctx, const mla_desc_t *desc, void *a,
                                            mla_rhs_t rhs, int64_t nrhs, void *c, int64_t ldc,
                                            double *logdet, int32_t *info);

/* B^-1, in place and in full, both triangles, natural order.
 *   mla_potri   from the factor of mla_potrf (LAPACK potri).
 *   mla_poinv   from B itself, mla_potrf and mla_potri in one call, n^3 flops.
 * A matrix that is not positive definite gives NaN (and info, logdet as mla_potrf). */
MLA_API MLA_NODISCARD mla_status_t mla_potri(mla_context_t *ctx, const mla_desc_t *desc, void *a);
MLA_API MLA_NODISCARD mla_status_t mla_poinv(mla_context_t *ctx, const mla_desc_t *desc, void *a,
                                             double *logdet, int32_t *info);

/* ---- general systems --------------------------------------------------------------------- */

/* P B Pi^T = L U with partial pivoting, Pi the elimination order of the columns (LAPACK getrf).
 *   a     in: B, this rank's columns. out: L (unit lower) and U (upper) in one, columns where
 * they were, that is column j of the rank is column pos(j) of L and U; rows 0, 1, .. of L and U.
 *   perm  out, device memory, n int32: row i of L U is row perm[i] of B. Equal on all ranks.
 *   det   out, device memory, three float64, may be NULL: log |det B|, and det B / |det B| as
 * real and imaginary part; -inf, 0, 0 if det B is zero. Equal on all ranks. info  out, device
 * memory, int32: 0, or i > 0 if the pivot of (natural) column i - 1 is zero or NaN, the first one
 * in elimination order. Equal on all ranks. The factor is complete all the same. Cost 2/3 n^3
 * flops (complex: 4x), n^2/2 words sent to each rank. */
MLA_API MLA_NODISCARD mla_status_t mla_getrf(mla_context_t *ctx, const mla_desc_t *desc, void *a,
                                             int32_t *perm, double *det, int32_t *info);

/* X op(B) = C for X, with the factor of mla_getrf (LAPACK getrs from the right; for a row-major
 * caller with A^T = B: MLA_N is A x = b, MLA_T A^T x = b, MLA_C A^H x = b). rhs, nrhs, c and ldc
 * as in mla_potrs. Cost 2 n^2 nrhs flops. */
MLA_API MLA_NODISCARD mla_status_t mla_getrs(mla_context_t *ctx, const mla_desc_t *desc,
                                             mla_op_t op, const void *a, const int32_t *perm,
                                             mla_rhs_t rhs, int64_t nrhs, void *c, int64_t ldc);

/* mla_getrf and mla_getrs in one call (LAPACK gesv); X is NaN if info is not 0. */
MLA_API MLA_NODISCARD mla_status_t mla_gesv(mla_context_t *ctx, const mla_desc_t *desc,
                                            mla_op_t op, void *a, int32_t *perm, mla_rhs_t rhs,
                                            int64_t nrhs, void *c, int64_t ldc, double *det,
                                            int32_t *info);

/* B^-1, in place, natural order.
 *   mla_getri   from the factor of mla_getrf (LAPACK getri).
 *   mla_geinv   from B itself, mla_getrf and mla_getri in one call, 2 n^3 flops; NaN if info is
 *               not 0. perm is that of mla_getrf.
 * Waits on the host (columns change their ranks). */
MLA_API MLA_NODISCARD mla_status_t mla_getri(mla_context_t *ctx, const mla_desc_t *desc, void *a,
                                             const int32_t *perm);
MLA_API MLA_NODISCARD mla_status_t mla_geinv(mla_context_t *ctx, const mla_desc_t *desc, void *a,
                                             int32_t *perm, double *det, int32_t *info);

/* ---- Hermitian eigenproblems ---------------------------------------------------------- */

/* Eigenvalues w, ascending, and eigenvectors of B (LAPACK syevd/heevd).
 *   a     destroyed.
 *   w     out, device memory: n values of B's real type, on every rank.
 *   z     out, device memory, or NULL on all ranks (values only): column-major ld x (columns of
 *         this rank), ROWS of Z: column j of this block is row p*lc + j of the matrix Z of
 *         eigenvectors of conj(B), B^T = Z diag(w) Z^H. For a row-major caller with A^T = B
 *         these are his rows of V, A V = V diag(w).
 *   info  out, device memory, int32: 0, or > 0 if the iteration failed or B holds NaN or Inf
 *         (w and z are then NaN). Equal on all ranks.
 * Waits on the host (deflation counts). Memory: four shards with vectors. */
MLA_API MLA_NODISCARD mla_status_t mla_syevd(mla_context_t *ctx, const mla_desc_t *desc, void *a,
                                             void *w, void *z, int32_t *info);

/* The same with eigenvectors first <= i < first + count alone, counted from 0 in the order of the
 * eigenvalues, of which w still gets all. The way back from the tridiagonal form then costs the
 * wanted part alone.
 *   z     as above, but column-major ldz x (columns of this rank), ldz >= max(1, count), count
 *         elements a column. May be NULL if count is 0. */
MLA_API MLA_NODISCARD mla_status_t mla_syevx(mla_context_t *ctx, const mla_desc_t *desc,
                                             int64_t first, int64_t count, void *a, void *w,
                                             void *z, int64_t ldz, int32_t *info);

/* ---- QR and least squares ------------------------------------------------------------- */

/* An m x n matrix A in contiguous blocks of rows, each row-major: rank p has rows
 * [p*lr, min(m, (p+1)*lr)). All ranks pass equal values. */
typedef struct mla_rows {
    size_t size; /* sizeof(mla_rows_t): set by the initialiser */
    mla_dtype_t dtype;
    int64_t m, n; /* >= 0; any of them may be the larger one */
    int64_t lr;   /* rows of a rank, lr * P >= m; 0: ceil(m / P) */
    int64_t ld;   /* elements from row to row, >= max(1, n); 0: n */
    int64_t nb;   /* width of a panel, at most MLA_QR_TILE; 0: chosen */
} mla_rows_t;

#define MLA_ROWS_INIT(dtype, m, n)               \
    {                                            \
        sizeof(mla_rows_t), dtype, m, n, 0, 0, 0 \
    }

#define MLA_QR_TILE 128

/* A = Q R, Householder QR (LAPACK geqrf), k = min(m, n) reflectors; R in natural column order
 * with LAPACK's signs. Always succeeds: Q is orthogonal to working precision also for a matrix
 * that is rank-deficient or zero; NaN and Inf give NaN.
 *   a      in: A. out: reflectors below the diagonal, R on and above, as LAPACK's, row-major.
 *   t      out, device memory, on every rank: ldt x k elements that the other routines need.
 *   ldt    >= nb; MLA_QR_TILE is always enough.
 *   where  MLA_RHS_ROWS: rank p gets rows [p*c, (p+1)*c), c = ceil(k / P), of R (k x n) in r;
 *          MLA_RHS_REPLICATED: every rank gets R. Row-major, zeros below the diagonal.
 *   r, ldr NULL on all ranks: R is wanted in a alone.
 * Cost 2 n^2 (m - n/3) flops (complex: 4x). Waits on the host. */
MLA_API MLA_NODISCARD mla_status_t mla_geqrf(mla_context_t *ctx, const mla_rows_t *rows, void *a,
                                             void *t, int64_t ldt, mla_rhs_t where, void *r,
                                             int64_t ldr);

/* The first `cols` columns of Q, k <= cols <= m, from the a and t of mla_geqrf (LAPACK ungqr).
 *   q, ldq  out: this rank's rows of Q, row-major; ldq >= max(1, cols). With cols = n it may be
 *           a itself. */
MLA_API MLA_NODISCARD mla_status_t mla_ungqr(mla_context_t *ctx, const mla_rows_t *rows,
                                             const void *a, const void *t, int64_t ldt,
                                             int64_t cols, void *q, int64_t ldq);

/* C := Q^H C (adjoint != 0) or Q C, from the a and t of mla_geqrf (LAPACK unmqr).
 *   c, ldc  this rank's rows of C (m x nrhs), row-major; ldc >= max(1, nrhs). */
MLA_API MLA_NODISCARD mla_status_t mla_unmqr(mla_context_t *ctx, const mla_rows_t *rows,
                                             int adjoint, const void *a, const void *t,
                                             int64_t ldt, int64_t nrhs, void *c, int64_t ldc);

/* Least squares: min |A x - b| for m >= n and full rank (LAPACK gels). A of smaller rank gives
 * Inf, NaN or large numbers: look at R.
 *   a       out: as mla_geqrf.
 *   c, ldc  in: this rank's rows of b (m x nrhs), row-major. out: Q^H b; what is below row n - 1
 *           is the residual in the basis Q.
 *   where   how x (n x nrhs) is handed out, as R of mla_geqrf, with rows [p*c, ..), c =
 * ceil(n/P). x, ldx  out, row-major; ldx >= max(1, nrhs). */
MLA_API MLA_NODISCARD mla_status_t mla_gels(mla_context_t *ctx, const mla_rows_t *rows, void *a,
                                            int64_t nrhs, void *c, int64_t ldc, mla_rhs_t where,
                                            void *x, int64_t ldx);

/* ---- work space ---------------------------------------------------------------------- */

typedef enum mla_routine {
    MLA_POTRF,
    MLA_POTRS,
    MLA_POTRI,
    MLA_POINV,
    MLA_SYEVD,
    MLA_SYEVD_VALUES,
    MLA_GETRF,
    MLA_GETRS,
    MLA_GETRI,
    MLA_GEINV,
    MLA_SYEVX
} mla_routine_t;

/* Bytes of device memory that a rank takes beyond its operands, scratch and communicator
 * together. nrhs matters for MLA_POTRS and MLA_GETRS, and for MLA_SYEVX, where it is count. */
MLA_API MLA_NODISCARD mla_status_t mla_workspace(mla_routine_t routine, const mla_desc_t *desc,
                                                 int nranks, mla_device_t device, int64_t nrhs,
                                                 size_t *bytes);

/* ---- host BLAS and LAPACK -------------------------------------------------------------- */

/* Where the host backend finds BLAS and LAPACK. Either a table of Fortran entry points
 * (names without underscore; ints are 32 bit; an entry may be NULL if `path` has it), or the
 * path of a shared library (NULL: MESHLINALG_BLAS, then the usual sonames). The first
 * successful call counts; without one, the first host context looks for itself. */
typedef struct mla_symbol {
    const char *name; /* "dgemm" */
    void *address;
} mla_symbol_t;
MLA_API MLA_NODISCARD mla_status_t mla_host_blas(const char *path, const mla_symbol_t *table,
                                                 size_t count);

/* ---- CUDA libraries -------------------------------------------------------------------- */

/* Where the driver, cuBLAS, cuSOLVER and NCCL are found, each when it is first needed: the copy
 * that this process has loaded already, then the folders, then the loader's own search (which
 * is all there is without this call).
 *   major    CUDA 12 or 13, the one that the rest of the program uses; 0: the first found, newest
 *            first. A program may have both loaded, and one of them may be of no use.
 *   folders  count paths, copied; may be NULL when count is 0.
 * MLA_ARG if libraries of another major are in use. */
MLA_API MLA_NODISCARD mla_status_t mla_cuda_setup(int major, const char *const *folders,
                                                  size_t count);

/* What of CUDA this process finds, looking as a routine that needs it would. */
typedef enum mla_library {
    MLA_LIBRARY_DRIVER,
    MLA_LIBRARY_CUBLAS,
    MLA_LIBRARY_CUSOLVER,
    MLA_LIBRARY_CUSOLVERMG, /* no version of its own: that of cuSOLVER */
    MLA_LIBRARY_CUSOLVERMP,
    MLA_LIBRARY_NCCL
} mla_library_t;

/* version: 10000*major + 100*minor + patch, or 0 if the library does not tell. path: where it
 * was loaded from, as the loader names it; `size` bytes, cut short if need be. Either may be
 * NULL. MLA_UNSUPPORTED if it is not there; mla_message(NULL) says where it was looked for. */
MLA_API MLA_NODISCARD mla_status_t mla_cuda_library(mla_library_t library, int *version,
                                                    char *path, size_t size);

typedef struct mla_cuda_device {
    size_t size;    /* sizeof(mla_cuda_device_t): set by the caller */
    char name[128]; /* "NVIDIA H200" */
    int capability; /* 10*major + minor: 90 */
    int multiprocessors;
    uint64_t memory; /* bytes */
} mla_cuda_device_t;

/* GPUs that the driver shows to this process; one of them; whether the memory of `to` can be
 * reached from `from` (1 for from == to). */
MLA_API MLA_NODISCARD mla_status_t mla_cuda_device_count(int *count);
MLA_API MLA_NODISCARD mla_status_t mla_cuda_device(int ordinal, mla_cuda_device_t *device);
MLA_API MLA_NODISCARD mla_status_t mla_cuda_peer_access(int from, int to, int *can);

/* Gives back what the library keeps for later CUDA contexts: library handles, streams, a memory
 * pool. Contexts that exist are not touched. */
MLA_API void mla_cuda_trim(void);

#ifdef __cplusplus
}
#endif
#endif /* MESHLINALG_H */
