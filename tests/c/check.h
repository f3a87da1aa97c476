/* SPDX-License-Identifier: Apache-2.0
 * tests/c/check.h: scaled residuals of results against a matrix given by its indices. Results
 * are whole, on the host, n x n column-major in double (complex when the matrix is). Products
 * are formed in double with random probes (three vectors), O(n^2); every measure is divided by
 * n, the norms and the unit roundoff of the type that was tested. NaN stays NaN. */
#ifndef CHECK_H
#define CHECK_H

#include "gen.h"

double check_eps(mla_dtype_t dt);

/* B as the library was given it: rounded to dt. */
gen_z *check_matrix(const gen_t *g, mla_dtype_t dt);

/* |X B - C| / (|B| |X| n eps); X, C: nrhs x n. */
double check_solve(const gen_z *b, int64_t n, int64_t nrhs, const gen_z *x, const gen_z *c,
                   double eps);
/* |I - B X| / (|B| |X| n eps), and the largest |X - X^H| / |X| in units of eps. */
double check_inverse(const gen_z *b, int64_t n, const gen_z *x, double eps);
double check_hermitian(int64_t n, const gen_z *x, double eps);
/* |B - L L^H| / (|B| n eps), L lower triangular, natural order. */
double check_factor(const gen_z *b, int64_t n, const gen_z *l, double eps);
/* |A Z - Z diag(w)| / (|A| n eps) and |I - Z^H Z| / (n eps), A = conj(B); -> the larger; Inf
 * when w is not ascending. */
double check_eigen(const gen_z *b, int64_t n, const double *w, const gen_z *z, double eps);

#endif
