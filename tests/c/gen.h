/* SPDX-License-Identifier: Apache-2.0
 * tests/c/gen.h: test matrices, most of them Hermitian, whose entries are functions of their
 * indices, so that any rank can make any part, at any time, and a residual can be formed after A
 * is gone. */
#ifndef GEN_H
#define GEN_H

#include <complex.h>

#include "meshlinalg.h"

#ifndef CMPLX /* glibc has it for gcc only */
#define CMPLX(re, im) __builtin_complex((double)(re), (double)(im))
#endif

typedef double _Complex gen_z;

typedef enum gen_kind {
    GEN_RAND,      /* random, positive definite by its diagonal */
    GEN_GOE,       /* random, indefinite */
    GEN_COND,      /* "cond:K": condition K, eigenvalues log-spaced from 1 to 1/K */
    GEN_CLUSTER,   /* eigenvalues in three clusters */
    GEN_GRADED,    /* "cond:1e12" */
    GEN_IDENTITY,  /* */
    GEN_DIAG,      /* */
    GEN_ZERO,      /* */
    GEN_ONESPLUS,  /* I + u u^T, u all ones */
    GEN_WILKINSON, /* tridiagonal, pairs of close eigenvalues */
    GEN_INDEF,     /* "indef:J": rand, not positive definite from column J on */
    GEN_NAN,       /* "nan:J": rand, NaN at (J, J). J = -1: last, -2: middle */
    GEN_SCALED,    /* "scaled:S": S times goe */
    GEN_KERNEL,    /* "kernel:J": smooth kernel, numerically of low rank, plus J n eps: every
                      block on its diagonal is ill-conditioned, as in Gaussian processes */
    GEN_GENERAL,   /* random, not Hermitian */
    GEN_ZEROCOL,   /* "zerocol:J": general, column J is zero */
    GEN_NANGEN,    /* "nangen:J": general, NaN at (n - 1 - J, J) */
    GEN_GROWTH,    /* 1 on the diagonal, -1 below, last column 1: pivots grow as 2^n */
    GEN_TIES       /* random, elements 1 and -1 (complex: also i and -i) */
} gen_kind_t;

typedef struct gen {
    gen_kind_t kind;
    mla_dtype_t dt; /* entries are rounded to this type */
    int64_t n;
    int64_t bad;      /* column of the kinds that fail, 0-based; -1: none */
    double condition; /* of GEN_COND and GEN_GRADED */
    double factor;    /* of GEN_SCALED and GEN_KERNEL */
    /* kinds with a spectrum: A = H2 H1 diag(lambda) H1 H2, H = I - 2 v v^H */
    double *lambda;
    gen_z *v[2], *dv[2]; /* v, and (the matrix that H is applied to) v */
    double q[2];         /* v^H M v */
} gen_t;

/* `kind` as written above, in lower case. Returns 0, or -1 for an unknown kind or no memory. */
int gen_init(gen_t *g, const char *kind, int64_t n, mla_dtype_t dt);
void gen_free(gen_t *g);
/* Column j, n elements. */
void gen_column(const gen_t *g, int64_t j, gen_z *out);
/* A random number in [-1, 1), from a seed and two indices. */
double gen_hash(uint64_t seed, int64_t i, int64_t j);

/* Elements of arrays of the four types. */
gen_z gen_rounded(mla_dtype_t dt, gen_z z);
void gen_put(mla_dtype_t dt, void *a, int64_t k, gen_z z);
gen_z gen_get(mla_dtype_t dt, const void *a, int64_t k);

#endif
