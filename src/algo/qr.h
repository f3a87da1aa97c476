/* SPDX-License-Identifier: Apache-2.0
 * src/algo/qr.h: what the QR routines share: panels of reflectors and their application.
 *
 * A (m x n) lies by rows, rank p has rows [p*lr, (p+1)*lr), row-major: in memory a column-major
 * n x lr block of A^T = (conj A)^H. The routines therefore factor conj(A) = Q R with the adjoint
 * in memory, and never conjugate a shard: the same bytes are, row-major, the factors of A.
 *
 * Rows are cut into tiles of nb, none across two ranks; tile t has the pivots of panel t, of
 * width w = min(tile, k - off), k = min(m, n). Ranks before its owner have finished: all pivots
 * are above the rows of those after. Q = (I - V T V^H) of panel 0 times that of panel 1 ...
 *
 *     a     row-major: V below the diagonal (ones on it are not stored), R on and above
 *     t     ldt x k: below column `off`, w x w, lower triangular: T^H of the panel */
#ifndef MLAI_QR_H
#define MLAI_QR_H

#include "algo/algo.h"

enum { MLAI_QR_TILE = MLA_QR_TILE }; /* the widest panel */

typedef struct mlai_qr {
    mla_context_t *x;
    const mlai_dist_t *d; /* of the rows, natural order */
    mla_dtype_t dt;
    int64_t m, n, k, lda, ldt;
    int64_t most; /* columns that mlai_qr_apply works on at a time */
    char *a, *t;
    mlai_stream_t st;
    char *v, *w; /* scratch: V of the panel, own rows, ld ldv; a product, most x nb */
    int64_t ldv;
    char *base; /* window: a term, gathered terms, their sum; then `extra` */
    size_t gather, sum, extra;
    int64_t chunk;                /* elements of a rank's part of the largest sum */
    uint64_t sent_term, sent_sum; /* collectives that have read from these places */
} mlai_qr_t;

/* On this rank: `rows` local rows from `row` on take part, on the owner the pivots first. */
typedef struct mlai_qr_panel {
    int64_t off, w, row, rows;
    int owner;
    bool mine;
} mlai_qr_panel_t;

/* Scratch and window of the parts above. */
mlai_space_t mlai_qr_space(const mla_rows_t *rows, const mlai_dist_t *d, int64_t most);
/* Fills f but for a and t, from x, rows, d and memory of that size. */
void mlai_qr_begin(mlai_qr_t *f, mla_context_t *x, const mla_rows_t *rows, const mlai_dist_t *d,
                   int64_t most, void *work, void *base);

/* Panel of tile t; w is 0 when there is none. */
mlai_qr_panel_t mlai_qr_panel(const mlai_qr_t *f, int64_t t);
/* f->v := V of the panel, from f->a. */
mla_status_t mlai_qr_unpack(mlai_qr_t *f, const mlai_qr_panel_t *p);

/* Sums of `count` elements over the ranks from `first` on, in rank order: each writes its term
 * to *term, then *sum is theirs. */
mla_status_t mlai_qr_term(mlai_qr_t *f, void **term);
mla_status_t mlai_qr_sum(mlai_qr_t *f, int first, int64_t count, void **sum);

/* C := C (I - V T V^H), or with T^H; C is cols x p->rows, its columns this rank's. */
mla_status_t mlai_qr_apply(mlai_qr_t *f, const mlai_qr_panel_t *p, mlai_op_t op, int64_t cols,
                           void *c, int64_t ldc);

#endif
