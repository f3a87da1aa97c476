/* SPDX-License-Identifier: Apache-2.0
 * src/backend/backend.h: the backend table: memory, streams, BLAS-3 and tile operations of one
 * device. The host backend fills all of it and is the reference; its streams are in order and
 * every call has finished when it returns.
 *
 * Conventions: column-major; int64_t extents, any of which may be 0 (then nothing is done);
 * scalars alpha and beta are real; `dt` is the type of every matrix of the call unless said
 * otherwise. Addresses are device memory. On complex types MLAI_T conjugates nothing, MLAI_C
 * does; on real types they are the same. A call enqueues on `st` and returns.
 */
#ifndef MLAI_BACKEND_H
#define MLAI_BACKEND_H

#include <stdbool.h>

#include "backend/chase.h"
#include "backend/dc_level.h"
#include "backend/split.h"
#include "comm/comm.h"
#include "core/dtype.h"
#include "core/size.h"
#include "core/status.h"
#include "dist/dist.h"

typedef struct mlai_event *mlai_event_t;
typedef struct mlai_backend mlai_backend_t;

typedef enum mlai_op { MLAI_N = 'N', MLAI_T = 'T', MLAI_C = 'C' } mlai_op_t;
typedef enum mlai_uplo { MLAI_LOWER = 'L', MLAI_UPPER = 'U', MLAI_FULL = 'A' } mlai_uplo_t;
typedef enum mlai_side { MLAI_LEFT = 'L', MLAI_RIGHT = 'R' } mlai_side_t;
typedef enum mlai_diag { MLAI_NONUNIT = 'N', MLAI_UNIT = 'U' } mlai_diag_t;

/* A panel of the reduction to tridiagonal form (hetrd.c; LAPACK latrd with uplo = 'L'): `width`
 * columns from position `first` on. v, w and the panel's scratch have a row for each position
 * >= first. Everything is the same on all ranks but a, rank and the contribution to y. */
typedef struct mlai_trd {
    const mlai_dist_t *d;
    int rank;             /* whose columns a holds */
    int64_t first, width; /* positions */
    const void *a;        /* this rank's columns, rows in elimination order; of the elements */
    int64_t lda;          /* (row, column) those with pos(row) >= pos(column) count */
    void *v, *w;          /* column j: in, of v: column first + j of A as the panel found it; */
    int64_t ld;           /* out: reflector j and w of it, from row j + 1 on */
    void *y;              /* rank q's contribution: from element q*stride on, n - first - j - 1 */
    int64_t stride;       /* elements and one more, which is the operation's own */
    void *tau;            /* by position, n elements */
    double *diag, *off;   /* T by position, n elements each */
    void *scratch;        /* mlai_trd_scratch bytes, untouched from the first call to the last */
} mlai_trd_t;

static inline size_t mlai_trd_scratch(const mlai_dist_t *d, mla_dtype_t dt)
{
    int64_t rows = mlai_ceil_div(d->lc, 64) + mlai_ceil_div(d->lc, 256) + 16;
    return mlai_size_mat(d->n + 256, rows, mlai_sizeof(dt));
}

/* Scratch of the QR of an m x n panel, m >= n. A GPU: twice the rows of a leaf of 32 columns,
 * small matrices, and V of all leaves if there are several. The host needs less. */
static inline size_t mlai_geqrt_work(int64_t m, int64_t n, mla_dtype_t dt)
{
    size_t es = mlai_sizeof(dt), small = mlai_size_mat(mlai_max(n, 32) + 64, 32, es);
    size_t tall = mlai_size_align(mlai_size_mat(m + 32, 32, es));
    size_t v = n > 32 ? mlai_size_mat(m, n, es) : 0;
    return mlai_size_add(mlai_size_add(mlai_size_mul(tall, 2), small), mlai_size_add(v, 1024));
}

/* Scratch of a bulge chase (the two entries below), untouched from the call's first launch to its
 * last. For both backends: 8 sweeps on the way, or T, a counter a sweep and a row of 16 bytes a
 * number a hop; diamonds of a group with their triangular factors multiplied out. */
static inline size_t mlai_chase_work(int64_t n, int64_t kd, mla_dtype_t dt)
{
    int64_t side = mlai_min(kd, n) + 64, parts = mlai_is_complex(dt) ? 2 : 1;
    size_t hop = mlai_size_mat(side, 2 * side + 24, 2 * mlai_sizeof(dt));
    size_t rows = mlai_size_mat(n / kd + 2, (kd + 1) * parts, 16);
    size_t count = mlai_size_mat(n + 64, 3, sizeof(double));
    return mlai_size_align(mlai_size_add(hop, mlai_size_add(rows, count)));
}
static inline size_t mlai_chase_back_work(int64_t n, int64_t kd, mla_dtype_t dt)
{
    int64_t hops = n / kd + 2, reals = mlai_is_complex(dt) ? 2 : 1;
    return mlai_size_align(mlai_size_mat(
        hops * (kd + 32) + 4096, (int64_t)(2 * MLAI_CHASE_GROUP) * reals, sizeof(double)));
}

/* Householder vectors from orthonormal columns (geqrf.c; LAPACK orhr_col): of the n columns of Q,
 * Q - (S; 0) = V U with V unit lower trapezoidal, S a diagonal of signs, U upper triangular, and
 * Q S = I - V T V^H on those columns. Matrices without a leading dimension have n. */
typedef struct mlai_unhr {
    int64_t n;
    bool last;        /* Q has no rows but these: a real number q_nn is not reflected */
    const void *gram; /* lower triangle: Q^H Q before Q was made orthonormal by Cholesky QR */
    void *q;          /* in: the first n rows of Q; out: of V, with ones and zeros */
    int64_t ldq;
    void *u, *t;   /* out, lower triangles: U^H, and -S U^H: V^-1 of that is T^H */
    void *r;       /* lower triangle: R^H; in: of Q R, out: of (Q S) (S R) */
    int32_t *flag; /* out: 1 if that is not to be used: gram is far from I (in Frobenius' norm),
                      or a column is so nearly zero below its diagonal that the sign is open */
} mlai_unhr_t;

/* One column of Householder QR, and what it does to those beside it (LAPACK geqr2), from
 * y_l = x_0^H x_l, over rows below the pivot, and the pivot row p_l; l = 0 .. n - 1. */
typedef struct mlai_geqr2 {
    int64_t n;
    int nblk; /* parts, to be added in this order: y (n elements), then p (n) */
    const void *part;
    int64_t stride; /* elements, between parts */
    void *pivot;    /* out: the new pivot row, n */
    void *coef;     /* out: x_l -= coef_l x_0 for l > 0; coef_0 is not used */
    void *scale;    /* out: v = scale x_0 below the pivot */
    void *tau;
} mlai_geqr2_t;

typedef struct mlai_backend_ops {
    const char *name;
    mla_device_t device;
    void (*free_backend)(mlai_backend_t *be); /* accepts a half-made one */

    /* -- memory. Scratch of this call, from the context's allocator if it has one. */
    mla_status_t (*alloc)(mlai_backend_t *be, size_t bytes, void **ptr);
    void (*free)(mlai_backend_t *be, void *ptr); /* accepts NULL; stream-ordered */
    mla_status_t (*copy)(mlai_backend_t *be, mlai_stream_t st, void *dst, const void *src,
                         size_t bytes); /* device to device */
    mla_status_t (*to_host)(mlai_backend_t *be, mlai_stream_t st, void *host, const void *dev,
                            size_t bytes); /* host memory may be read after sync */
    mla_status_t (*from_host)(mlai_backend_t *be, mlai_stream_t st, void *dev, const void *host,
                              size_t bytes); /* host memory may be reused on return */
    mla_status_t (*zero)(mlai_backend_t *be, mlai_stream_t st, void *dst, size_t bytes);

    /* -- streams and events. Stream 0 is the caller's; the others are the backend's own. */
    mlai_stream_t (*stream)(mlai_backend_t *be, int which); /* see MLAI_STREAM_... */
    mlai_event_t (*event)(mlai_backend_t *be, int which);   /* 0 .. MLAI_EVENTS - 1 */
    mla_status_t (*record)(mlai_backend_t *be, mlai_event_t ev, mlai_stream_t st);
    mla_status_t (*wait)(mlai_backend_t *be, mlai_stream_t st, mlai_event_t ev);
    mla_status_t (*sync)(mlai_backend_t *be, mlai_stream_t st);

    /* -- moving and setting */
    mla_status_t (*lacpy)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_uplo_t uplo,
                          int64_t m, int64_t n, const void *a, int64_t lda, void *b, int64_t ldb);
    /* Off-diagonal elements of the part := off, diagonal := diag. */
    mla_status_t (*laset)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_uplo_t uplo,
                          int64_t m, int64_t n, double off, double diag, void *a, int64_t lda);
    /* b (n x m) := op(a), a is m x n, op MLAI_T or MLAI_C. No overlap. */
    mla_status_t (*transpose)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t op,
                              int64_t m, int64_t n, const void *a, int64_t lda, void *b,
                              int64_t ldb);
    /* Rows of a (d->n x cols) from natural to elimination order (forward) or back, in place;
     * `work` holds d->n elements for each of `wcols` >= 1 columns. */
    mla_status_t (*permute_rows)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_dist_t *d, bool forward, int64_t cols, void *a,
                                 int64_t lda, void *work, int64_t wcols);
    /* out := sum over b of in + b*stride (elements), b = 0 .. nblk-1 in this order; m x n
     * blocks with leading dimension ldin. out may not overlap in. */
    mla_status_t (*sum_blocks)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                               int64_t n, int nblk, const void *in, int64_t ldin, int64_t stride,
                               void *out, int64_t ldout);
    /* a := NaN (complex: NaN + NaN i) if *info != 0. */
    mla_status_t (*nan_if)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                           const int32_t *info, int64_t m, int64_t n, void *a, int64_t lda);
    /* *acc += sum of log(real(a_jj)), j < n, in double. */
    mla_status_t (*log_diag)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                             const void *a, int64_t lda, double *acc);

    /* -- BLAS-3 */
    mla_status_t (*gemm)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t opa,
                         mlai_op_t opb, int64_t m, int64_t n, int64_t k, double alpha,
                         const void *a, int64_t lda, const void *b, int64_t ldb, double beta,
                         void *c, int64_t ldc);
    /* Lower triangle of c (n x n) := alpha op(a) op(a)^H + beta c; op MLAI_N: a is n x k. What
     * lies above the diagonal may be written too. */
    mla_status_t (*herk)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t op,
                         int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                         double beta, void *c, int64_t ldc);
    /* b (m x n) := alpha op(a)^-1 b or alpha b op(a)^-1, a lower or upper triangular; MLAI_UNIT:
     * with ones on the diagonal, whatever is stored there. */
    mla_status_t (*trsm)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, mlai_side_t side,
                         mlai_uplo_t uplo, mlai_op_t op, mlai_diag_t diag, int64_t m, int64_t n,
                         double alpha, const void *a, int64_t lda, void *b, int64_t ldb);

    /* -- products of float32 and complex64 from bfloat16 pieces (split.h); NULL: none */
    /* pieces := the m x k matrix a in `terms` terms; mlai_split_bytes of them. */
    mla_status_t (*split)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int terms,
                          int64_t m, int64_t k, const void *a, int64_t lda, void *pieces);
    /* c (rows x cols) -= W[i : i + rows] W[j : j + cols]^H, W the m x k matrix of `pieces`. */
    mla_status_t (*gemm_split)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int terms,
                               int64_t m, int64_t k, const void *pieces, int64_t i, int64_t rows,
                               int64_t j, int64_t cols, void *c, int64_t ldc);

    /* -- tiles (n at most a tile width) */
    /* a := its lower Cholesky factor; the strict upper triangle is not referenced. On failure
     * at local column j (0-based) *info := first + j + 1 if *info is 0, and the lower triangle
     * becomes NaN. info is in device memory. */
    mla_status_t (*potrf_tile)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                               void *a, int64_t lda, int64_t first, int32_t *info);
    /* b := inverse of the lower triangle of a (n x n), its strict upper triangle := 0; a and b do
     * not overlap. A zero or NaN on the diagonal gives Inf or NaN. */
    mla_status_t (*trtri_tile)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                               const void *a, int64_t lda, void *b, int64_t ldb);

    /* -- LU factorisation (getrf.c, getrs.c, colperm.c) */
    /* a (m x n, m >= n) := L and U of P a = L U, by partial pivoting (LAPACK getrf; a tie goes to
     * the first row). list (2 n int32) is P: row i < n of P a is row list[i] of a, and row i < n
     * of a, if it has left the first n rows, is row list[n + i] of P a, else that is -1. state:
     * if *state is 0 and the first pivot that is zero or NaN is that of column j (0-based), state
     * := first + j + 1; state[1] += the number of interchanges. If a holds NaN, all of it may
     * become NaN. list and state: device memory; `work`: 32 n bytes. */
    mla_status_t (*getrf_panel)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                int64_t n, void *a, int64_t lda, int64_t first, int32_t *list,
                                int32_t *state, void *work);
    /* a := P a for a list of n rows, in each of `cols` columns; `work`: 2 n elements. */
    mla_status_t (*laswp)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                          const int32_t *list, int64_t cols, void *a, int64_t lda, void *work);
    /* Column j < n of b := column index[j] - lo of a where lo <= index[j] < hi, else 0. */
    mla_status_t (*take_cols)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                              int64_t n, const int32_t *index, int64_t lo, int64_t hi,
                              const void *a, int64_t lda, void *b, int64_t ldb);
    /* Column index[j] - lo of b := column j < n of a where lo <= index[j] < hi. */
    mla_status_t (*put_cols)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                             int64_t n, const int32_t *index, int64_t lo, int64_t hi,
                             const void *a, int64_t lda, void *b, int64_t ldb);
    /* det (device memory) := log |d|, re(d / |d|), im(d / |d|) for d = sign (-1)^(*swaps) times
     * the product of diag; d = 0: -inf, 0, 0. */
    mla_status_t (*lu_det)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                           const void *diag, const int32_t *swaps, int sign, double *det);

    /* -- reduction to tridiagonal form and back (hetrd.c, unmtr.c, syevd.c) */
    /* *out := largest |re| or |im| of an element of a; NaN if one is NaN. out: device memory. */
    mla_status_t (*norm_max)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                             int64_t n, const void *a, int64_t lda, double *out);
    /* a := factor a. */
    mla_status_t (*lascl)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                          int64_t n, double factor, void *a, int64_t lda);
    /* b (of type dt) := a (of dt's real type). */
    mla_status_t (*lacpy_real)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                               int64_t n, const void *a, int64_t lda, void *b, int64_t ldb);
    /* Column j of the panel, 0 <= j <= width. If j > 0: w_(j-1) := tau (sum over ranks of y, in
     * rank order, - V W^H v - W V^H v) - 1/2 tau (w^H v) v. If j < width: column j of v is
     * brought up to date, its diagonal element goes to diag, and what is below becomes a
     * reflector H = I - tau v v^H, H^H column = (off, 0 ...), v = (1, ...). */
    mla_status_t (*hetrd_column)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_trd_t *t, int64_t j);
    /* y of this rank := the part of A v_j, A as the panel found it, that its own elements with
     * pos(row) >= pos(column) > first + j make, each read once: as (row, column) and, below the
     * diagonal, as the conjugate of (column, row). */
    mla_status_t (*hetrd_product)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                  const mlai_trd_t *t, int64_t j);
    /* a_jj := 1 / conj(tau_j), or a huge number where tau_j is 0; j < n. */
    mla_status_t (*larft_diag)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                               const void *tau, void *a, int64_t lda);
    /* QR of a panel, m >= n, by reflectors (LAPACK geqrt): a := R in its upper triangle and,
     * below the diagonal, V, which has ones on it; t (n x n) := T, zeros below its diagonal. Q =
     * I - V T V^H = H_0 H_1 ..., H_j = I - t_jj v_j v_j^H. work: mlai_geqrt_work
     * bytes. */
    mla_status_t (*geqrt)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                          int64_t n, void *a, int64_t lda, void *t, int64_t ldt, void *work);
    /* The whole of a one-rank problem by the vendor's routine, or NULL: w (real type, ascending)
     * and, with vectors, a := eigenvectors of the Hermitian matrix whose lower triangle a has.
     * Takes its own scratch. *info (device memory): 0 or > 0. */
    mla_status_t (*syevd)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, bool vectors,
                          int64_t n, void *a, int64_t lda, void *w, int32_t *info);

    /* -- band to tridiagonal form and back (hb2st.c; chase.h has the data) */
    /* The whole chase. ab: rows kd + 1 .. 2 kd - 1 of the storage are 0; of a diagonal element
     * the real part counts; destroyed. diag (n), off (n - 1): host memory. Norm about 1: a column
     * of nothing is dropped. Waits for the device. */
    mla_status_t (*hb2st)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                          const mlai_chase_t *t, double *diag, double *off);
    /* z := (H of group g, in the order of the sweeps) z, z: n x cols. v: the group; of t, n and
     * kd count. work: mlai_chase_back_work bytes. */
    mla_status_t (*unmtr_hb2st)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                const mlai_chase_t *t, int64_t g, const void *v, int64_t cols,
                                void *z, int64_t ldz, void *work);

    /* -- QR (geqrf.c) */
    mla_status_t (*unhr_tile)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                              const mlai_unhr_t *t);
    mla_status_t (*geqr2_column)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                 const mlai_geqr2_t *t);

    /* -- tridiagonal divide and conquer (stedc.c; dc_level.h has the data). q and q2 have the
     * leading dimension ldq and one column for each of the matrix; `dt` is their type. */
    /* Eigenpairs of the `count` diagonal blocks [first[b], first[b+1]), none larger than nmax
     * <= MLAI_DC_LEAF, of the tridiagonal matrix d, e, on the diagonal blocks of q; or, with
     * `ends`, each block's first and last row alone, in rows 0 and 1 of q (float64). w: the
     * eigenvalues, in the order of the columns; NaN in a block that did not converge. */
    mla_status_t (*dc_leaves)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, bool ends,
                              int64_t count, const int64_t *first, int64_t nmax, const double *d,
                              const double *e, double *w, void *q, int64_t ldq);
    /* z[c], for the columns c of each node: row z1 of q (child 1's columns) or z2 (child 2's),
     * if not -1. `take` leaves zeros there. */
    mla_status_t (*dc_border)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                              const mlai_dc_level_t *lv, bool take, void *q, int64_t ldq,
                              double *z);
    /* The level's rotations, on all of a node's rows of q. */
    mla_status_t (*dc_rotate)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                              const mlai_dc_level_t *lv, void *q, int64_t ldq);
    /* Column o + s of q2 := column src[o + s] of q: rows of child 1 for s < c1 + c2, of child 2
     * for c1 <= s < k, all rows for s >= k. */
    mla_status_t (*dc_gather)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                              const mlai_dc_level_t *lv, const void *q, void *q2, int64_t ldq);
    /* tau[g] for the roots g0 <= g < g1 of the level. */
    mla_status_t (*dc_secular)(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                               int64_t g0, int64_t g1);
    /* zhat[g] for the rows g0 <= g < g1 of S (Gu and Eisenstat's z, that of which tau are the
     * exact roots), and origin of all roots. */
    mla_status_t (*dc_zhat)(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                            int64_t g0, int64_t g1);
    /* For the tiles [t0, t1): columns of S, zhat_r / (d_r - w_j) normalised, into s, and columns
     * o + j of q := q2 S, child 1's and child 2's rows. */
    mla_status_t (*dc_merge)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                             const mlai_dc_level_t *lv, int64_t t0, int64_t t1, void *s,
                             const void *q2, void *q, int64_t ldq);
    /* The same product with rows 0 (child 1's) and 1 (child 2's) of q2 alone, in float64 and
     * without S: rows (2 x roots), columns g0 <= g < g1. */
    mla_status_t (*dc_rows)(mlai_backend_t *be, mlai_stream_t st, const mlai_dc_level_t *lv,
                            int64_t g0, int64_t g1, const double *q2, double *rows);
    /* Deflated columns back: column o + s of q := that of q2, s >= k; and column o + j :=
     * column at + j of rows, j < k, unless rows is NULL. */
    mla_status_t (*dc_restore)(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                               const mlai_dc_level_t *lv, const void *q2, const double *rows,
                               void *q, int64_t ldq);

    /* -- for profilers: a range of this thread begins (its name) or the innermost ends (NULL) */
    void (*range)(mlai_backend_t *be, const char *name);
} mlai_backend_ops_t;

enum {
    MLAI_STREAM_MAIN = 0,  /* the caller's: everything has joined it when a routine returns */
    MLAI_STREAM_PANEL = 1, /* high priority */
    MLAI_STREAM_COMM = 2,
    MLAI_STREAMS = 3,
    MLAI_EVENTS = 8
};

/* First member of every backend. One per context, used by one thread at a time. */
struct mlai_backend {
    const mlai_backend_ops_t *ops;
    mlai_error_t *err; /* the context's */
};

mla_status_t mlai_backend_create_host(const mla_context_options_t *options, mlai_error_t *err,
                                      mlai_backend_t **be);
mla_status_t mlai_backend_create_cuda(const mla_context_options_t *options, mlai_error_t *err,
                                      mlai_backend_t **be);

#endif
