/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/kernel_args.h: the one parameter of each kernel, by value. C, C++ and
 * CUDA C; the same layout everywhere. Addresses are device memory, of the kernel's type unless
 * said otherwise; leading dimensions and strides count elements. */
#ifndef MLAI_KERNEL_ARGS_H
#define MLAI_KERNEL_ARGS_H

#ifdef __CUDACC_RTC__
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <stdint.h>
#endif

#include "backend/chase.h"
#include "backend/dc_level.h"

/* lacpy: part `uplo` ('L', 'U', 'A') of b := that of a, m x n. wide: a and b and their columns
 * start at multiples of 16 bytes. */
typedef struct mlai_lacpy_args {
    int64_t m, n, lda, ldb;
    const void *a;
    void *b;
    int32_t uplo, wide;
} mlai_lacpy_args_t;

/* fill: part of a := off, its diagonal := diag; nan != 0: all of it := NaN. Nothing is done if
 * flag is not NULL and *flag is 0. */
typedef struct mlai_fill_args {
    int64_t m, n, lda;
    void *a;
    const int32_t *flag;
    double off, diag;
    int32_t uplo, wide, nan, unused;
} mlai_fill_args_t;

/* Tile of transpose for elements of `es` bytes, and its threads. */
#define MLAI_TRANSPOSE_TILE(es) ((es) == 4 ? 64 : 32)
enum { MLAI_TRANSPOSE_X = 32, MLAI_TRANSPOSE_Y = 8 };

/* transpose: b (n x m) := a^T or, conjugate != 0, a^H. */
typedef struct mlai_transpose_args {
    int64_t m, n, lda, ldb;
    const void *a;
    void *b;
    int32_t conjugate, unused;
} mlai_transpose_args_t;

/* permute: rows of out (n x cols) := rows of in. forward: row i of in is row pos(i) of out, else
 * row pos(i) of in is row i of out; pos as in dist.h: `full` ranks of lc columns, one of `rest`.
 * rows: rows that a thread moves at once, 16 bytes or one element. */
typedef struct mlai_permute_args {
    int64_t ldin, ldout, cols;
    const void *in;
    void *out;
    int32_t n, lc, nb, full, rest, forward, rows, unused;
} mlai_permute_args_t;

/* sum_blocks: out := sum over b < nblk, in order, of in + b*stride; m x n reals. */
typedef struct mlai_sum_blocks_args {
    int64_t m, n, ldin, stride, ldout;
    const void *in;
    void *out;
    int32_t nblk, wide;
} mlai_sum_blocks_args_t;

/* Threads of log_diag and potrf_info, kernels of one block. */
enum { MLAI_DIAG_THREADS = 256 };

/* log_diag: *acc += sum of log(real(a_jj)). One block. */
typedef struct mlai_log_diag_args {
    int64_t n, lda;
    const void *a;
    double *acc;
} mlai_log_diag_args_t;

/* split: left and right: for each row of the m x k matrix a (complex: for each row two of left)
 * 6 - first terms of `depth` bfloat16, the last ones zero. depth: a multiple of 8; complex:
 * of 16. */
typedef struct mlai_split_args {
    int64_t m, k, lda, depth;
    const void *a;
    void *left, *right;
    int32_t first, complex;
} mlai_split_args_t;

/* potrf_info: the first failing column j of a factored tile is *status - 1 (if > 0) or the first
 * NaN on the diagonal before it. *status := j + 1 or 0; *info := first + j + 1 if it was 0. One
 * block. */
typedef struct mlai_potrf_info_args {
    int64_t n, lda, first;
    const void *a;
    int32_t *status, *info;
} mlai_potrf_info_args_t;

enum { MLAI_LEAF = 32, MLAI_LEAF_WARPS = 8 };

/* trtri_leaf: the 32 x 32 diagonal blocks of b := inverses of those of the lower triangle of a,
 * and zero above the diagonal of b. One block of MLAI_LEAF_WARPS warps for 32 columns. */
typedef struct mlai_trtri_leaf_args {
    int64_t n, lda, ldb;
    const void *a;
    void *b;
} mlai_trtri_leaf_args_t;

enum {
    MLAI_GEQRT_THREADS = 1024, /* of kernels of one block */
    MLAI_GEQRT_TALL = 256,     /* of those over many rows */
    MLAI_GEQRT_PARTS = 128     /* most blocks of geqrt_gram */
};
/* Rows of a tile for elements of `es` bytes. */
#define MLAI_GEQRT_ROWS(es) ((int)(512 / (es)))

/* All kernels of geqrt.cu; see there. Leading dimensions: m for q, n for r and w. */
typedef struct mlai_geqrt_args {
    int64_t m, lda, ldt;
    void *a, *t;
    void *q;     /* m x n */
    void *part;  /* parts x 32 x 32 */
    void *r, *w; /* R1; its inverse, then M */
    int32_t *bad;
    int32_t n, parts;
    int32_t second, unused; /* of geqrt_gram */
} mlai_geqrt_args_t;
/* pivot_list: the list of the interchanges of row j with row ipiv[j] - 1, j < n, as getrf_panel
 * of backend.h, and its state; a is the factored panel. *nan := whether *norm, of the panel
 * before, is NaN: then its first pivot is a bad one. pivot: scratch, 3 n. One block of
 * MLAI_DIAG_THREADS. */
typedef struct mlai_pivot_list_args {
    int64_t lda, first;
    const void *a;
    const int64_t *ipiv;
    const double *norm;
    int32_t *pivot, *list, *state, *nan;
    int32_t n, unused;
} mlai_pivot_list_args_t;

/* laswp_take, laswp_put: the two halves of laswp; t (n x cols) has the rows that enter. */
typedef struct mlai_laswp_args {
    int64_t n, cols, lda;
    const int32_t *list;
    void *a, *t;
} mlai_laswp_args_t;

/* take_cols, put_cols: as in backend.h. */
typedef struct mlai_cols_args {
    int64_t m, n, lo, hi, lda, ldb;
    const int32_t *index;
    const void *a;
    void *b;
} mlai_cols_args_t;

/* lu_det: as in backend.h. One block of MLAI_DIAG_THREADS. */
typedef struct mlai_lu_det_args {
    int64_t n;
    const void *diag;
    const int32_t *swaps;
    double *det;
    int32_t sign, unused;
} mlai_lu_det_args_t;

enum {
    MLAI_DC_THREADS = 128,                    /* 4 warps */
    MLAI_DC_LEAF_THREADS = 32 + MLAI_DC_LEAF, /* a warp, and a thread for each row */
    MLAI_DC_ROWS = 1024,                      /* rows of a column that a warp copies */
    MLAI_DC_SIDE = 64                         /* of a block of dc_product */
};

/* dc_leaves: a block for each leaf; as dc_leaves of backend.h. */
typedef struct mlai_dc_leaves_args {
    const int64_t *first;
    const double *d, *e;
    double *w;
    void *q;
    int64_t ldq;
    int32_t ends, unused;
} mlai_dc_leaves_args_t;

/* All other kernels of dc.cu: the level and what they need of the rest.
 *   g0, g1   roots, rows of S, columns of q or tiles that the launch is for
 *   lanes    threads that share a root or a row of S: 8, 16 or 32 */
typedef struct mlai_dc_args {
    mlai_dc_level_t lv;
    const void *from; /* q, of dc_gather; else q2 */
    void *q;          /* q2, of dc_gather */
    void *s;
    double *out; /* z; rows */
    int64_t ldq, g0, g1;
    int32_t lanes, take;
} mlai_dc_args_t;

/* ---- trd.cu ---- */

enum {
    MLAI_TRD_STRIP = 64,           /* columns of a strip of hetrd_product */
    MLAI_TRD_CHUNK = 256,          /* rows of a chunk */
    MLAI_TRD_THREADS = 256,        /* of its blocks, and of hetrd_gather's */
    MLAI_TRD_BLOCKS = 3,           /* of its blocks, on a multiprocessor at a time */
    MLAI_TRD_DOT_ROWS = 256,       /* rows of a block of dots */
    MLAI_TRD_GATHER_ROWS = 32,     /* rows of a block of hetrd_gather */
    MLAI_TRD_COLUMN_THREADS = 128, /* of hetrd_column, a row each */
    MLAI_TRD_WIDTH = 64            /* the widest panel */
};

/* One column of the reduction to tridiagonal form, for all kernels of trd.cu; see there.
 * Positions are absolute. */
typedef struct mlai_hetrd_args {
    int64_t lda, ld, stride; /* of a; of v and w; between ranks in y */
    const void *a;
    void *v, *w, *y, *tau;
    double *diag, *off;
    void *x;        /* the column before it is scaled, by position */
    void *dots;     /* W^H v, then V^H v */
    void *dot_part; /* the same from each block of dots */
    void *row_sum;  /* of a strip, n rows: [strip][n] */
    void *col_sum;  /* of a chunk, local columns: [chunk][lc] */
    void *square;   /* of the column, from each block of hetrd_column; real */
    void *quad;     /* v^H y from each block of the product; real */
    int32_t *units; /* chunks of all strips before strip s, s = 0 .. strips */
    int32_t n, nranks, rank, lc, nb, full, rest, cols; /* as permute's; cols: own columns */
    int32_t first, j, width;                           /* the panel; column j of it */
    int32_t strips, strip, chunk; /* number of strips; first one in use, and its first chunk */
    int32_t squares, dot_blocks, quads; /* numbers of blocks */
    int32_t wide;                       /* a and its columns start at multiples of 16 bytes */
} mlai_hetrd_args_t;

/* larft_diag: a_jj := 1 / conj(tau_j), a huge number where tau_j is 0. */
typedef struct mlai_larft_diag_args {
    int64_t n, lda;
    const void *tau;
    void *a;
} mlai_larft_diag_args_t;

/* norm_max: *out := max(*out, |re|, |im| of all elements), NaN last; m x n reals. */
typedef struct mlai_norm_max_args {
    int64_t m, n, lda;
    const void *a;
    uint64_t *out; /* a double >= 0 */
} mlai_norm_max_args_t;

/* lascl: a := factor a; m x n reals. */
typedef struct mlai_lascl_args {
    int64_t m, n, lda;
    void *a;
    double factor;
} mlai_lascl_args_t;

/* lacpy_real: b (complex) := a (real). */
typedef struct mlai_lacpy_real_args {
    int64_t m, n, lda, ldb;
    const void *a;
    void *b;
} mlai_lacpy_real_args_t;

/* ---- chase.cu ---- */

/* A real number with the sweep that sent it, in two halves each of which arrives whole. */
typedef struct mlai_chase_letter {
    uint32_t low, from, high, from_too;
} mlai_chase_letter_t;

/* chase_sweeps, chase_tridiagonal; counters and T are device memory. */
typedef struct mlai_chase_args {
    mlai_chase_t t;
    int32_t *next;             /* sweeps that have been taken */
    int32_t *stalled;          /* a wait took too long */
    int32_t *done;             /* by sweep: hops that are done */
    mlai_chase_letter_t *mail; /* by hop: kd + 1 elements, one letter a real number */
    double *diag, *off;
    int64_t limit; /* of a wait, ns */
} mlai_chase_args_t;

/* Diamonds of a pass of chase_back, whose window fits the registers. */
#define MLAI_CHASE_DIAMONDS(kd, planes) (MLAI_CHASE_GROUP / 8 * 32 / (kd) / (planes))

/* chase_expand: the diamonds of the group whose first sweep is `first`, all passes one after the
 * other, each with room for `steps` steps of ng diamonds. chase_back: one pass, whose first sweep
 * is `first`, of `steps` steps. */
typedef struct mlai_chase_back_args {
    int64_t n, cols, ldz, first, steps;
    const void *v;
    void *z;
    double *vw;
    int32_t kd, ng;
} mlai_chase_back_args_t;

/* ---- qr.cu ---- */

enum {
    MLAI_UNHR_SIDE = 32, /* of a square of threads, which has an element each of */
    MLAI_UNHR_EACH = 4,  /* as many squares in both directions */
    MLAI_UNHR_THREADS = MLAI_UNHR_SIDE * MLAI_UNHR_SIDE,
    MLAI_GEQR2_THREADS = 128
};

/* unhr, geqr2: as mlai_unhr_t and mlai_geqr2_t of backend.h. One block. */
typedef struct mlai_unhr_args {
    int64_t n, ldq;
    const void *gram;
    void *q, *u, *t, *r;
    int32_t *flag;
    int32_t last, unused;
} mlai_unhr_args_t;

typedef struct mlai_geqr2_args {
    int64_t n, stride;
    const void *part;
    void *pivot, *coef, *scale, *tau;
    int32_t nblk, unused;
} mlai_geqr2_args_t;

#endif
