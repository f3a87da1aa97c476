/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_eigen.h: eigenpairs by cyclic Jacobi, for the fake cuSOLVER and cuSOLVERMg. */
#ifndef FAKE_EIGEN_H
#define FAKE_EIGEN_H

#include <math.h>
#include <stdlib.h>

#include "fake_math.h"

/* Rotates rows and columns p, q of the Hermitian h so that h_pq = 0, and the columns of v. */
static inline void fake_rotate(int64_t n, fake_z *h, fake_z *v, int64_t p, int64_t q)
{
    fake_z off = h[p + q * n];
    double size = cabs(off), a = creal(h[p + p * n]), b = creal(h[q + q * n]);
    if (size == 0) return;
    double theta = (b - a) / (2 * size);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1);
    fake_z s = t * c * off / size;
    for (int64_t i = 0; i < n; i++) {
        fake_z x = h[i + p * n], y = h[i + q * n];
        h[i + p * n] = c * x - conj(s) * y;
        h[i + q * n] = s * x + c * y;
        x = v[i + p * n], y = v[i + q * n];
        v[i + p * n] = c * x - conj(s) * y;
        v[i + q * n] = s * x + c * y;
    }
    for (int64_t j = 0; j < n; j++) {
        fake_z x = h[p + j * n], y = h[q + j * n];
        h[p + j * n] = c * x - s * y;
        h[q + j * n] = conj(s) * x + c * y;
    }
}

/* The eigenvalue number r in ascending order is that of column order[r]. */
static inline void fake_sort(int64_t n, const fake_z *h, int64_t *order)
{
    for (int64_t r = 0; r < n; r++) {
        int64_t k = r;
        for (; k > 0 && creal(h[order[k - 1] * (n + 1)]) > creal(h[r * (n + 1)]); k--)
            order[k] = order[k - 1];
        order[k] = r;
    }
}

/* Of the Hermitian matrix whose lower triangle `a` has: w ascending, of real type; vectors over
 * a. Returns 0, or 1 if it does not converge. */
static inline int fake_eigen(int type, int64_t n, void *a, int64_t lda, void *w, int vectors)
{
    enum { SWEEPS = 40 };
    size_t elements = (size_t)n * (size_t)n;
    fake_z *h = malloc(elements * sizeof *h), *v = calloc(elements, sizeof *v);
    int64_t *order = malloc((size_t)n * sizeof *order);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = j; i < n; i++) {
            h[i + j * n] = fake_get(type, a, i + j * lda);
            h[j + i * n] = conj(h[i + j * n]);
        }
        h[j + j * n] = creal(h[j + j * n]);
        v[j + j * n] = 1;
    }
    double norm = 0, off = 0;
    for (size_t k = 0; k < elements; k++) norm += creal(h[k] * conj(h[k]));
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < j; i++) fake_rotate(n, h, v, i, j);
        off = 0;
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < j; i++) off += creal(h[i + j * n] * conj(h[i + j * n]));
        if (off <= 1e-34 * norm) break;
    }
    int failed = !(off <= 1e-28 * norm); /* NaN: 1 */
    fake_sort(n, h, order);
    int real = type % 4;
    for (int64_t r = 0; r < n; r++) {
        fake_put(real, w, r, h[order[r] * (n + 1)]);
        for (int64_t i = 0; vectors && i < n; i++)
            fake_put(type, a, i + r * lda, v[i + order[r] * n]);
    }
    free(h);
    free(v);
    free(order);
    return failed;
}

#endif
