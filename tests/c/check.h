/* SPDX-License-Identifier: Apache-2.0
 * tests/c/check.h: scaled residuals of distributed results against a matrix given by its
 * indices. The ranks, threads of one process, check together: each passes over its own columns
 * and no one holds a whole matrix. Products are formed in double with a few random vectors,
 * O(n^2 / P) a rank; every measure is divided by n, the norms and the unit roundoff of the type
 * that was tested. NaN stays NaN. */
#ifndef CHECK_H
#define CHECK_H

#include <pthread.h>
#include <stdbool.h>

#include "dist/dist.h"
#include "gen.h"

enum { CHECK_PROBES = 3, CHECK_RANKS = 64 };

/* What the ranks share; zero it, set the first five, then check_init. */
typedef struct check {
    const gen_t *gen; /* B */
    mlai_dist_t d;
    int64_t ld;
    pthread_barrier_t *meet;  /* of d.nranks threads */
    void *block[CHECK_RANKS]; /* results of type gen->dt: ld x (columns of the rank) */
    gen_z *vec[3];            /* n x CHECK_PROBES each */
    gen_z *part[CHECK_RANKS]; /* the same of one rank */
    gen_z *column[CHECK_RANKS];
    double most[CHECK_RANKS];
} check_t;

/* Not collective. Returns 0, or -1 without memory; free in either case. */
int check_init(check_t *c);
void check_free(check_t *c);

double check_eps(mla_dtype_t dt);

/* Collective: the ranks' largest, NaN if any is; equal on all. */
double check_most(check_t *c, int rank, double mine);

/* All of these are collective and return the same on all ranks; the result is in c->block.
 * |X op(B) - C| / (|B| |X| n eps); x: nrhs x n, shared; rhs(who, k, j) is C. */
double check_solve(check_t *c, int rank, mla_op_t op, int64_t nrhs, const gen_z *x,
                   gen_z (*rhs)(const void *who, int64_t k, int64_t j), const void *who);
/* |I - B X| / (|B| |X| n eps), and the largest |X - X^H| / |X| in units of eps. */
double check_inverse(check_t *c, int rank);
double check_hermitian(check_t *c, int rank);
/* |B - L L^H| / (|B| n eps), in elimination order; Inf when natural order leaves something above
 * the diagonal. */
double check_factor(check_t *c, int rank);
/* |P B Pi^T - L U| / (|B| n eps); Inf where perm (n, shared) is no permutation or an element of L
 * is larger than pivoting allows. */
double check_lu(check_t *c, int rank, const int32_t *perm);
/* |A Z - Z diag(w)| / (|A| n eps) and |I - Z^H Z| / (n eps), A = conj(B), Z by rows in the
 * blocks;
 * -> the larger; Inf when w (n) is not ascending. */
double check_eigen(check_t *c, int rank, const double *w);
/* Whether all elements are NaN. */
int check_all_nan(check_t *c, int rank);

#endif
