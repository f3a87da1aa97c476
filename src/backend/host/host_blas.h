/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_blas.h: Fortran BLAS and LAPACK entry points of the host, one list.
 *
 * Each field is four functions, indexed by mla_dtype_t; matrices and scalars are void *, so one
 * prototype serves the four types. To use one more routine, add a prototype and a line.
 *
 * Integers are passed as pointers to 64-bit variables whose values fit 32 bits: on a
 * little-endian machine a library with 32-bit integers reads the low half, so that LP64 and
 * ILP64 libraries are called alike. What a routine returns through an integer is read by
 * mlai_blas_result. The trailing size_t are the lengths of the characters, which gfortran
 * expects; a callee in C does not see them. */
#ifndef MLAI_HOST_BLAS_H
#define MLAI_HOST_BLAS_H

#include "core/status.h"

typedef int64_t mlai_fint_t;

typedef void mlai_gemm_fn(const char *transa, const char *transb, const mlai_fint_t *m,
                          const mlai_fint_t *n, const mlai_fint_t *k, const void *alpha,
                          const void *a, const mlai_fint_t *lda, const void *b,
                          const mlai_fint_t *ldb, const void *beta, void *c,
                          const mlai_fint_t *ldc, size_t, size_t);
/* alpha and beta are real. */
typedef void mlai_herk_fn(const char *uplo, const char *trans, const mlai_fint_t *n,
                          const mlai_fint_t *k, const void *alpha, const void *a,
                          const mlai_fint_t *lda, const void *beta, void *c,
                          const mlai_fint_t *ldc, size_t, size_t);
typedef void mlai_trsm_fn(const char *side, const char *uplo, const char *transa,
                          const char *diag, const mlai_fint_t *m, const mlai_fint_t *n,
                          const void *alpha, const void *a, const mlai_fint_t *lda, void *b,
                          const mlai_fint_t *ldb, size_t, size_t, size_t, size_t);
typedef void mlai_hemv_fn(const char *uplo, const mlai_fint_t *n, const void *alpha,
                          const void *a, const mlai_fint_t *lda, const void *x,
                          const mlai_fint_t *incx, const void *beta, void *y,
                          const mlai_fint_t *incy, size_t);
typedef void mlai_potrf_fn(const char *uplo, const mlai_fint_t *n, void *a,
                           const mlai_fint_t *lda, mlai_fint_t *info, size_t);
typedef void mlai_trtri_fn(const char *uplo, const char *diag, const mlai_fint_t *n, void *a,
                           const mlai_fint_t *lda, mlai_fint_t *info, size_t, size_t);
typedef void mlai_getrf_fn(const mlai_fint_t *m, const mlai_fint_t *n, void *a,
                           const mlai_fint_t *lda, void *ipiv, mlai_fint_t *info);

/* XX(field and prototype, names for float32, float64, complex64, complex128) */
#define MLAI_BLAS_LIST(XX)                            \
    XX(gemm, "sgemm", "dgemm", "cgemm", "zgemm")      \
    XX(herk, "ssyrk", "dsyrk", "cherk", "zherk")      \
    XX(trsm, "strsm", "dtrsm", "ctrsm", "ztrsm")      \
    XX(hemv, "ssymv", "dsymv", "chemv", "zhemv")      \
    XX(potrf, "spotrf", "dpotrf", "cpotrf", "zpotrf") \
    XX(trtri, "strtri", "dtrtri", "ctrtri", "ztrtri") \
    XX(getrf, "sgetrf", "dgetrf", "cgetrf", "zgetrf")

typedef struct mlai_blas {
#define XX(field, s, d, c, z) mlai_##field##_fn *field[4];
    MLAI_BLAS_LIST(XX)
#undef XX
} mlai_blas_t;

/* The process's BLAS, looked for at the first call (see mla_host_blas). */
mla_status_t mlai_blas_get(const mlai_blas_t **blas, mlai_error_t *err);

/* An integer that a routine has returned; the variable must have been 0 before the call. */
static inline int32_t mlai_blas_result(mlai_fint_t info)
{
    return (int32_t)(uint32_t)((uint64_t)info & UINT32_MAX);
}

/* Around every call of a rank that is not alone: between the two OpenBLAS uses one thread,
 * because P ranks are P threads already. Its thread count is a variable of the process: the
 * first rank in keeps the user's value, the last one out restores it. */
void mlai_blas_enter(void);
void mlai_blas_leave(void);

#endif
