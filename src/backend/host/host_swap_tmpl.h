/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_swap_tmpl.h: rows by a list, for elements of one size, T; included by
 * host_lu.c with T and NAME(f) defined. */

/* The rows that enter the first n and the rows that leave them are read before one is written. */
static void NAME(laswp)(int64_t n, const int32_t *list, int64_t cols, T *a, int64_t lda, T *work)
{
    T *enters = work, *leaves = work + n;
    for (int64_t j = 0; j < cols; j++) {
        T *column = a + j * lda;
        for (int64_t i = 0; i < n; i++) {
            enters[i] = column[list[i]];
            leaves[i] = column[i];
        }
        for (int64_t i = 0; i < n; i++) {
            column[i] = enters[i];
            if (list[n + i] >= 0) column[list[n + i]] = leaves[i];
        }
    }
}
