/* SPDX-License-Identifier: Apache-2.0
 * tests/c/gen.h: Hermitian test matrices whose entries are functions of their indices, so that
 * any rank can make any part, at any time, and a residual can be formed after A is gone. */
#ifndef GEN_H
#define GEN_H

#include <complex.h>

#include "meshlinalg.h"

typedef double _Complex gen_z;

typedef struct gen {
    const char *kind;
    int64_t n;
    int is_complex;
    /* kinds with a spectrum: A = H2 H1 diag(lambda) H1 H2, H = I - 2 v v^H */
    double *lambda;
    gen_z *v[2], *dv[2]; /* v, and (the matrix that H is applied to) v */
    double q[2];         /* v^H M v */
    double scale;
    int64_t bad; /* kinds "indef", "nan": the column, 0-based */
} gen_t;

/* Kinds: "rand" (random, positive definite by its diagonal), "goe" (random, indefinite),
 * "cond:K" (condition K, log-spaced), "cluster" (eigenvalues in three clusters), "graded",
 * "identity", "diag", "zero", "onesplus" (I + u u^H), "indef:J", "nan:J" (column J, -1: last,
 * -2: middle), "wilkinson". Returns 0, or -1 for an unknown kind or no memory. */
int gen_init(gen_t *g, const char *kind, int64_t n, int is_complex);
void gen_free(gen_t *g);
/* Element (i, j). */
gen_z gen_at(const gen_t *g, int64_t i, int64_t j);
/* A random number in [-1, 1), from a seed and two indices. */
double gen_hash(uint64_t seed, int64_t i, int64_t j);

#endif
