/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_loops_tmpl.h: loops for one element type T over real type R; included by
 * host_loops.c with T, R, NAME(f) and CONJ(z) defined. PARTS is the number of reals in a T. */

/* b (n x m) := a^T or a^H. Square blocks pass through a local buffer, so that each cache line of
 * a and b is touched once whatever the leading dimensions. */
static void NAME(transpose)(bool conjugate, int64_t m, int64_t n, const T *a, int64_t lda, T *b,
                            int64_t ldb)
{
    T block[BLOCK][BLOCK];
    for (int64_t jb = 0; jb < n; jb += BLOCK)
        for (int64_t ib = 0; ib < m; ib += BLOCK) {
            int64_t rows = mlai_min(BLOCK, m - ib), cols = mlai_min(BLOCK, n - jb);
            for (int64_t j = 0; j < cols; j++) {
                const T *from = a + ib + (jb + j) * lda;
                if (conjugate)
                    for (int64_t i = 0; i < rows; i++) block[i][j] = CONJ(from[i]);
                else
                    for (int64_t i = 0; i < rows; i++) block[i][j] = from[i];
            }
            for (int64_t i = 0; i < rows; i++)
                memcpy(b + jb + (ib + i) * ldb, block[i], (size_t)cols * sizeof(T));
        }
}

static void NAME(laset)(mlai_uplo_t uplo, int64_t m, int64_t n, double off, double diag, T *a,
                        int64_t lda)
{
    for (int64_t j = 0; j < n; j++) {
        span_t rows = part_rows(uplo, m, j);
        for (int64_t i = rows.first; i < rows.end; i++) a[i + j * lda] = (R)off;
        if (j < m) a[j + j * lda] = (R)diag;
    }
}

static void NAME(fill_nan)(mlai_uplo_t uplo, int64_t m, int64_t n, R *a, int64_t lda)
{
    for (int64_t j = 0; j < n; j++) {
        span_t rows = part_rows(uplo, m, j);
        R *column = a + PARTS * j * lda;
        for (int64_t i = PARTS * rows.first; i < PARTS * rows.end; i++) column[i] = (R)NAN;
    }
}

/* A column of the result at a time: it stays in the cache while the blocks are added in order. */
static void NAME(sum_blocks)(int64_t m, int64_t n, int nblk, const R *in, int64_t ldin,
                             int64_t stride, R *out, int64_t ldout)
{
    for (int64_t j = 0; j < n; j++) {
        R *sum = out + PARTS * j * ldout;
        for (int64_t i = 0; i < PARTS * m; i++) sum[i] = 0;
        for (int b = 0; b < nblk; b++) {
            const R *term = in + PARTS * (b * stride + j * ldin);
            for (int64_t i = 0; i < PARTS * m; i++) sum[i] += term[i];
        }
    }
}
