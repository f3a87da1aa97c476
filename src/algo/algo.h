/* SPDX-License-Identifier: Apache-2.0
 * src/algo/algo.h: what the algorithms share: the context of a rank, short names for the
 * backend and communicator tables, and the list of algorithms.
 *
 * An algorithm gets its arguments checked and its descriptor complete (lc, ld, nb set). It runs
 * on every rank; `x` is the rank's context. Everything it enqueues has joined MLAI_STREAM_MAIN
 * when it returns. */
#ifndef MLAI_ALGO_H
#define MLAI_ALGO_H

#include "backend/backend.h"
#include "comm/comm.h"
#include "core/size.h"

struct mla_context {
    mlai_backend_t *be;
    mla_comm_t *comm; /* never NULL: a context without one gets a communicator of one rank */
    bool owns_comm;
    int ordinal;                      /* of its CUDA device */
    const struct mlai_engine *engine; /* engine/engine.h: who runs whole routines */
    bool told; /* the other ranks know already of the failure that this rank returns */
    mlai_error_t err;
};

/* ---- short names: x is a mla_context_t * ------------------------------------------------- */

static inline mlai_stream_t mlai_stream(mla_context_t *x, int which)
{
    return x->be->ops->stream(x->be, which);
}
/* Stream `to` waits for what `from` holds now; `ev` is one of the backend's events. */
static inline mla_status_t mlai_after(mla_context_t *x, mlai_stream_t to, mlai_stream_t from,
                                      int ev)
{
    mlai_event_t e = x->be->ops->event(x->be, ev);
    MLAI_TRY(x->be->ops->record(x->be, e, from));
    return x->be->ops->wait(x->be, to, e);
}

/* Table calls: MLAI_BE(x, gemm, st, dt, ...) is x->be->ops->gemm(x->be, st, dt, ...). */
#define MLAI_BE(x, op, ...) ((x)->be->ops->op((x)->be, __VA_ARGS__))
#define MLAI_COMM(x, op, ...) ((x)->comm->ops->op((x)->comm, __VA_ARGS__, &(x)->err))

/* From here to the end of the block a profiler shows `name`. */
static inline mlai_backend_t *mlai_range_begin(mlai_backend_t *be, const char *name)
{
    be->ops->range(be, name);
    return be;
}
static inline void mlai_range_end(mlai_backend_t **be)
{
    (*be)->ops->range(*be, NULL);
}
#define MLAI_RANGE(x, name)                                                        \
    mlai_backend_t *mlai_range_ __attribute__((cleanup(mlai_range_end), unused)) = \
        mlai_range_begin((x)->be, name)

/* ---- collectives built on the tables (collective.c) ---------------------------------------- */

/* `agree` of the communicator, for a rank that may have to refuse: MLA_OK on all ranks or on
 * none. The communicator stays good. */
mla_status_t mlai_agree(mla_context_t *x, mla_status_t mine);

/* Scratch of `bytes` (<= SIZE_MAX) and a window of `window` bytes, on all ranks or on none:
 * the ranks agree before any of them starts. *work must be given back with mlai_release. */
mla_status_t mlai_reserve(mla_context_t *x, size_t bytes, size_t window, void **work,
                          void **base);
void mlai_release(mla_context_t *x, void *work);

/* *most := the largest |re| or |im| of an element of this matrix, on the host, equal on all
 * ranks; NaN or Inf where there is one. `scratch`: a double of device memory; base: P doubles of
 * the window; all: P doubles of the host. Waits. */
mla_status_t mlai_norm_max(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                           const void *a, double *scratch, void *base, double *all, double *most);

/* value := sum of one double per rank, in rank order, through P doubles of the window. */
mla_status_t mlai_sum_reduce(mla_context_t *x, mlai_stream_t st, void *base, size_t off,
                             double *value);

/* ---- algorithms ------------------------------------------------------------------------- */

/* Each has: scratch and window bytes by a pure function, and the routine. `d` is the map of
 * `desc`. See the public header for the meaning of the arguments. */
typedef struct mlai_space {
    size_t work, window;
} mlai_space_t;

mlai_space_t mlai_potrf_space(const mla_desc_t *desc, const mlai_dist_t *d);
mla_status_t mlai_potrf(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                        double *logdet, int32_t *info);

/* log det B = 2 sum log l_jj from the factor, over the own diagonal tiles and then over the ranks
 * (P doubles of the window from `off`); NaN if *info is not 0. */
mla_status_t mlai_potrf_logdet(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                               const void *a, const int32_t *info, void *base, size_t off,
                               double *logdet);
/* Zeros above the diagonal: natural order hands out L itself. */
mla_status_t mlai_clear_upper(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                              void *a);

/* Right-hand sides, at most, that go through the solves of potrs.c and getrs.c together. */
int64_t mlai_rhs_group(const mlai_dist_t *d, int64_t nrhs);
mlai_space_t mlai_potrs_space(const mla_desc_t *desc, const mlai_dist_t *d, mla_rhs_t rhs,
                              int64_t nrhs);
mla_status_t mlai_potrs(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        const void *a, mla_rhs_t rhs, int64_t nrhs, void *c, int64_t ldc);

mlai_space_t mlai_potri_space(const mla_desc_t *desc, const mlai_dist_t *d);
mla_status_t mlai_potri(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a);
/* mlai_potrf, then mlai_potri; takes the larger of their spaces. */
mla_status_t mlai_poinv(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                        double *logdet, int32_t *info);

/* LU with partial pivoting, P B Pi^T = L U; perm: n elements, det: three or NULL, device memory.
 */
mlai_space_t mlai_getrf_space(const mla_desc_t *desc, const mlai_dist_t *d);
mla_status_t mlai_getrf(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                        int32_t *perm, double *det, int32_t *info);
mlai_space_t mlai_getrs_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t nrhs);
mla_status_t mlai_getrs(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        mlai_op_t op, const void *a, const int32_t *perm, mla_rhs_t rhs,
                        int64_t nrhs, void *c, int64_t ldc);
mlai_space_t mlai_getri_space(const mla_desc_t *desc, const mlai_dist_t *d);
mla_status_t mlai_getri(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                        const int32_t *perm);

/* Column f of a := its column source[f]; natural numbers, host memory, equal on all ranks. The
 * ranks agree before a column moves. */
mlai_space_t mlai_colperm_space(const mla_desc_t *desc, const mlai_dist_t *d);
mla_status_t mlai_colperm(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                          const int32_t *source, void *a, void *work, void *base);

/* QR on shards of rows (qr.h): the factors; Q, or Q (Q^H, with `adjoint`) times c; and the solve
 * with R that ends least squares, x in `out`. `share`: r is wanted. */
mlai_space_t mlai_geqrf_space(const mla_rows_t *rows, const mlai_dist_t *d, bool share);
mla_status_t mlai_geqrf(mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d, void *a,
                        void *t, int64_t ldt, mla_rhs_t where, void *r, int64_t ldr);
mlai_space_t mlai_ungqr_space(const mla_rows_t *rows, const mlai_dist_t *d, int64_t cols);
mla_status_t mlai_ungqr(mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d,
                        const void *a, const void *t, int64_t ldt, int64_t cols, void *q,
                        int64_t ldq);
mla_status_t mlai_unmqr(mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d,
                        bool adjoint, const void *a, const void *t, int64_t ldt, int64_t nrhs,
                        void *c, int64_t ldc);
mlai_space_t mlai_trsr_space(const mla_rows_t *rows, const mlai_dist_t *d, int64_t nrhs);
mla_status_t mlai_trsr(mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d,
                       const void *a, int64_t nrhs, const void *c, int64_t ldc, mla_rhs_t where,
                       void *out, int64_t ldout);

/* Householder reduction to tridiagonal form, Q^H B' Q = T with B' = B in elimination order. a:
 * rows in elimination order; out: with `keep`, reflector i below the diagonal of column i, for
 * mlai_unmtr, else destroyed. tau: device, n elements, on all ranks. diag (n), off (n - 1): T,
 * host memory, equal on all ranks; what `off` has beyond n - 1 elements is not touched. */
mlai_space_t mlai_hetrd_space(const mla_desc_t *desc, const mlai_dist_t *d);
mla_status_t mlai_hetrd(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, bool keep,
                        void *a, void *tau, double *diag, double *off, void *work, void *base);

/* Reduction to a band of half-bandwidth kd >= 1, Q1^H B' Q1. a: rows in elimination order, both
 * triangles; out: reflectors, for mlai_unmtr. tau: device, n elements, on all ranks. ab: device,
 * ldab x n with ldab > kd, equal on all ranks: element (i, j), j <= i <= j + kd, at (i - j, j);
 * zero elsewhere. */
mlai_space_t mlai_he2hb_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t kd);
mla_status_t mlai_he2hb(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        int64_t kd, void *a, void *tau, void *ab, int64_t ldab, void *work,
                        void *base);
/* z := Q z, Q of mlai_hetrd (kd = 1) or Q1 of mlai_he2hb. z: n x cols, rows in elimination order;
 * cols may differ from rank to rank, at most `most`. */
mlai_space_t mlai_unmtr_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t most);
mla_status_t mlai_unmtr(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        int64_t kd, const void *a, const void *tau, int64_t cols, void *z,
                        int64_t ldz, void *work, void *base);

/* Band to tridiagonal form, Q2^H B Q2 = T, by bulge chasing; every rank does the whole of it. ab:
 * the band of B in LAPACK's lower storage, device memory, equal on all ranks: element (i, j),
 * j <= i <= min(n - 1, j + kd), at ab[i - j + j ldab]; ldab >= 2 kd, rows kd + 1 .. 2 kd - 1 are
 * 0 (room for the bulges); destroyed. B's norm is about 1. kd >= 1; a backend may know few kd.
 * v: this rank's share of the reflectors, of mlai_hb2st_keep bytes, or NULL for values only.
 * diag (n), off (n - 1): as mlai_hetrd's. work: mlai_hb2st_space's; no window. */
size_t mlai_hb2st_keep(mla_dtype_t dt, int64_t n, int nranks);
mlai_space_t mlai_hb2st_space(mla_dtype_t dt, int64_t n, int64_t kd);
mla_status_t mlai_hb2st(mla_context_t *x, mla_dtype_t dt, int64_t n, int64_t kd, void *ab,
                        int64_t ldab, void *v, double *diag, double *off, void *work);
/* z := Q2 z, z: n x cols; cols may differ from rank to rank, 0 and more. v as mlai_hb2st left it.
 */
mlai_space_t mlai_unmtr_hb2st_space(mla_dtype_t dt, int64_t n, int64_t kd, int nranks);
mla_status_t mlai_unmtr_hb2st(mla_context_t *x, mla_dtype_t dt, int64_t n, int64_t kd,
                              const void *v, int64_t cols, void *z, int64_t ldz, void *work,
                              void *base);

/* Q^H B' Q = T in one stage, kd = 0, or by way of a band of half-bandwidth kd, and z := Q z: as
 * mlai_hetrd and mlai_unmtr. kept: device memory of mlai_tridiag_kept bytes, from one to the
 * other. */
size_t mlai_tridiag_kept(const mla_desc_t *desc, const mlai_dist_t *d, int64_t kd, bool vectors);
mlai_space_t mlai_tridiag_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t kd);
mla_status_t mlai_tridiag(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                          int64_t kd, bool keep, void *a, void *kept, double *diag, double *off,
                          void *work, void *base);
mlai_space_t mlai_tridiag_back_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t kd,
                                     int64_t most);
mla_status_t mlai_tridiag_back(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                               int64_t kd, const void *a, const void *kept, int64_t cols, void *z,
                               int64_t ldz, void *work, void *base);

/* Tridiagonal divide and conquer. d (n), e (n - 1): host memory, equal on all ranks; out: d
 * ascending, e destroyed. q: device memory of real type `real`, NULL for values only: out, this
 * rank's rows [p*lr, min(n, (p+1)*lr)), lr = ceil(n / P), of the eigenvectors of T, column-major;
 * ldq >= max(1, its rows). q2: device scratch of q's size. *info: host memory, 0 or > 0, equal on
 * all ranks. Waits on the host. */
mlai_space_t mlai_stedc_space(int nranks, mla_dtype_t real, int64_t n, bool vectors);
mla_status_t mlai_stedc(mla_context_t *x, mla_dtype_t real, int64_t n, double *d, double *e,
                        void *q, int64_t ldq, void *q2, void *work, void *base, int32_t *info);

/* What of an eigenproblem, and how. */
typedef struct mlai_eigen {
    int64_t kd; /* as for mlai_tridiag */
    int64_t first,
        count;  /* vectors first <= i < first + count, in the order of the eigenvalues */
    bool shard; /* all of them, and what z has beyond n rows may be overwritten */
} mlai_eigen_t;
mlai_space_t mlai_syevd_space(const mla_desc_t *desc, const mlai_dist_t *d,
                              const mlai_eigen_t *what);
/* z: ldz >= max(1, count). */
mla_status_t mlai_syevd(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        const mlai_eigen_t *what, void *a, void *w, void *z, int64_t ldz,
                        int32_t *info);

/* B := 2^-e B if its largest element `most` is far from 1; *exponent = e, else 0. */
mla_status_t mlai_syevd_scale(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                              double most, void *a, int *exponent);

/* The same by the vendor's routine for the whole matrix: one rank, a table that has `syevd`. */
mla_status_t mlai_syevd_whole(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                              const mlai_eigen_t *what, void *a, void *w, void *z, int64_t ldz,
                              int32_t *info);

/* Completes a Hermitian matrix whose rows are back in natural order and of which only the
 * elements (i, j) with pos(i) >= pos(j) are set: the others := their conjugates. `window` and
 * `work` as mlai_mirror_space says. */
mlai_space_t mlai_mirror_space(const mla_desc_t *desc, const mlai_dist_t *d);
mla_status_t mlai_mirror(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d, void *a,
                         void *work, void *base);

/* Rows of this rank's columns from natural to elimination order (forward) or back; nothing when
 * the two are the same. `work` holds n elements for `wcols` >= 1 columns. */
mla_status_t mlai_permute(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                          bool forward, void *a, void *work, int64_t wcols);

#endif
