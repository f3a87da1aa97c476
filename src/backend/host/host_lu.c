/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_lu.c: LU factorisation: a panel by LAPACK, its row interchanges as a list
 * and applied to other columns, columns by index, the determinant. */
#include "backend/host/host_lu.h"

#include <complex.h>
#include <math.h>
#include <string.h>

#include "backend/host/host_backend.h"
#include "backend/host/host_loops.h"

/* ---- panel ------------------------------------------------------------------------------- */

/* Pivots of a library with integers of 64 or of 32 bits, whose second one then fills the high
 * half of the first: pivots are not 0. ipiv was zero before. */
static int64_t pivot(const int64_t *ipiv, int64_t n, int64_t i)
{
    bool narrow = n > 1 && ipiv[0] >> 32 != 0;
    return (narrow ? ((const int32_t *)(const void *)ipiv)[i] : ipiv[i]) - 1;
}

/* Where `row`, n or more, stands among the `known` rows that have been drawn in so far. */
static int64_t find(const int32_t *outside, int64_t known, int32_t row)
{
    int64_t k = 0;
    while (k < known && outside[k] != row) k++;
    return k;
}

/* The interchanges of row i with row pivot(i), one after the other, as a list. top[i]: which row
 * of a stands at i < n; at outside[k] stands inside[k]. */
static void list_of(const int64_t *ipiv, int64_t n, int32_t *outside, int32_t *inside,
                    int32_t *list, int32_t *swaps)
{
    int32_t *top = list;
    int64_t known = 0;
    for (int64_t i = 0; i < n; i++) top[i] = (int32_t)i;
    for (int64_t i = 0; i < n; i++) {
        int32_t p = (int32_t)pivot(ipiv, n, i), *other = &top[p < n ? p : 0];
        if (p >= n) {
            int64_t k = find(outside, known, p);
            if (k == known) {
                outside[k] = inside[k] = p;
                known++;
            }
            other = &inside[k];
        }
        int32_t held = top[i];
        top[i] = *other;
        *other = held;
        *swaps += p != i;
    }
    for (int64_t i = 0; i < n; i++) list[n + i] = -1;
    for (int64_t k = 0; k < known; k++)
        if (inside[k] < n) list[n + inside[k]] = outside[k];
}

static bool bad_pivot(mla_dtype_t dt, const void *a, int64_t lda, int64_t j)
{
    const void *ajj = mlai_at(a, dt, lda, j, j);
    switch (dt) {
    case MLA_FLOAT32: return !(fabsf(*(const float *)ajj) > 0);
    case MLA_FLOAT64: return !(fabs(*(const double *)ajj) > 0);
    case MLA_COMPLEX64: return !(cabsf(*(const float _Complex *)ajj) > 0);
    case MLA_COMPLEX128: break;
    }
    return !(cabs(*(const double _Complex *)ajj) > 0);
}

mla_status_t mlai_host_getrf_panel(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                                   int64_t m, int64_t n, void *a, int64_t lda, int64_t first,
                                   int32_t *list, int32_t *state, void *work)
{
    (void)st;
    mlai_host_t *h = mlai_host(be);
    if (n == 0) return MLA_OK;
    MLAI_TRY(MLAI_HOST_FITS(be, m, n, lda, first + n));
    int64_t *ipiv = work;
    memset(ipiv, 0, (size_t)n * sizeof *ipiv);
    mlai_fint_t result = 0;
    MLAI_BLAS(h, getrf, dt, &m, &n, a, &lda, ipiv, &result);
    int32_t failed = mlai_blas_result(result);
    if (failed < 0)
        return mlai_fail(be->err, MLA_BACKEND, "LAPACK getrf: argument %d is invalid", -failed);
    int32_t *outside = (int32_t *)(void *)(ipiv + n);
    list_of(ipiv, n, outside, outside + n, list, &state[1]);
    // LAPACKs differ on NaN: the first zero or NaN on the diagonal decides.
    for (int64_t j = 0; j < n && state[0] == 0; j++)
        if (bad_pivot(dt, a, lda, j)) state[0] = (int32_t)(first + j + 1);
    return MLA_OK;
}

/* ---- rows and columns by index ------------------------------------------------------------ */

#define NAME(f) f##_4
#define T uint32_t
#include "backend/host/host_swap_tmpl.h"
#undef NAME
#undef T
#define NAME(f) f##_8
#define T uint64_t
#include "backend/host/host_swap_tmpl.h"
#undef NAME
#undef T
typedef struct word {
    uint64_t part[2];
} word_t;
#define NAME(f) f##_16
#define T word_t
#include "backend/host/host_swap_tmpl.h"

mla_status_t mlai_host_laswp(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                             const int32_t *list, int64_t cols, void *a, int64_t lda, void *work)
{
    (void)be, (void)st;
    switch (mlai_sizeof(dt)) {
    case 4: laswp_4(n, list, cols, a, lda, work); break;
    case 8: laswp_8(n, list, cols, a, lda, work); break;
    default: laswp_16(n, list, cols, a, lda, work);
    }
    return MLA_OK;
}

mla_status_t mlai_host_take_cols(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                 int64_t n, const int32_t *index, int64_t lo, int64_t hi,
                                 const void *a, int64_t lda, void *b, int64_t ldb)
{
    (void)be, (void)st;
    size_t bytes = mlai_size_mat(m, 1, mlai_sizeof(dt));
    for (int64_t j = 0; bytes && j < n; j++) {
        void *to = mlai_at(b, dt, ldb, 0, j);
        if (index[j] >= lo && index[j] < hi)
            memcpy(to, mlai_at(a, dt, lda, 0, index[j] - lo), bytes);
        else
            memset(to, 0, bytes);
    }
    return MLA_OK;
}

mla_status_t mlai_host_put_cols(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                                int64_t n, const int32_t *index, int64_t lo, int64_t hi,
                                const void *a, int64_t lda, void *b, int64_t ldb)
{
    (void)be, (void)st;
    size_t bytes = mlai_size_mat(m, 1, mlai_sizeof(dt));
    for (int64_t j = 0; bytes && j < n; j++)
        if (index[j] >= lo && index[j] < hi)
            memcpy(mlai_at(b, dt, ldb, 0, index[j] - lo), mlai_at(a, dt, lda, 0, j), bytes);
    return MLA_OK;
}

/* ---- determinant --------------------------------------------------------------------------- */

static void element(mla_dtype_t dt, const void *a, int64_t j, double *re, double *im)
{
    int64_t parts = mlai_is_complex(dt) ? 2 : 1;
    const float *s = a;
    const double *d = a;
    bool single = mlai_real(dt) == MLA_FLOAT32;
    *re = single ? (double)s[parts * j] : d[parts * j];
    *im = parts == 1 ? 0 : single ? (double)s[2 * j + 1] : d[2 * j + 1];
}

mla_status_t mlai_host_lu_det(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                              const void *diag, const int32_t *swaps, int sign, double *det)
{
    (void)be, (void)st;
    double log_size = 0, re = *swaps % 2 ? -sign : sign, im = 0;
    bool zero = false;
    for (int64_t j = 0; j < n; j++) {
        double x, y;
        element(dt, diag, j, &x, &y);
        double size = hypot(x, y);
        zero = zero || size == 0;
        log_size += log(size);
        if (size > 0) x /= size, y /= size;
        double turned = re * x - im * y;
        im = re * y + im * x;
        re = turned;
    }
    double length = hypot(re, im); // of many factors of length 1
    if (length > 0) re /= length, im /= length;
    bool nan = isnan(log_size);
    det[0] = zero && !nan ? -INFINITY : log_size;
    det[1] = nan ? NAN : zero ? 0 : re;
    det[2] = nan && mlai_is_complex(dt) ? NAN : zero || nan ? 0 : im;
    return MLA_OK;
}
