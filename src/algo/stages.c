/* SPDX-License-Identifier: Apache-2.0
 * src/algo/stages.c: Hermitian matrix to tridiagonal form and back, in one stage (kd = 0) or by
 * way of a band of half-bandwidth kd.
 *
 *     one   Q^H B' Q = T          hetrd            half of 4/3 n^3 flops are bound by memory
 *     two   Q1^H B' Q1 = band     he2hb            4/3 n^3 flops in products
 *           Q2^H band Q2 = T      hb2st            6 n^2 kd flops, on every rank
 *     back  Z := Q1 (Q2 Z)        unmtr_hb2st, unmtr: 2 n^2 flops a column each
 *
 * The band lives in scratch; what the way back needs is in a (Q or Q1) and in `kept`, tau and
 * then the reflectors of Q2, n^2 / (2 P) words. */
#include "algo/algo.h"

static size_t bytes_of(const mla_desc_t *desc, int64_t m, int64_t n)
{
    return mlai_size_align(mlai_size_mat(m, n, mlai_sizeof(desc->dtype)));
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The band and the room for its bulges. */
static size_t band_bytes(const mla_desc_t *desc, int64_t kd)
{
    return bytes_of(desc, 2 * kd, desc->n);
}

size_t mlai_tridiag_kept(const mla_desc_t *desc, const mlai_dist_t *d, int64_t kd, bool vectors)
{
    size_t tau = bytes_of(desc, desc->n, 1);
    if (kd == 0 || !vectors) return tau;
    return mlai_size_add(tau, mlai_hb2st_keep(desc->dtype, desc->n, d->nranks));
}

mlai_space_t mlai_tridiag_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t kd)
{
    if (kd == 0) return mlai_hetrd_space(desc, d);
    mlai_space_t s = mlai_he2hb_space(desc, d, kd);
    mlai_space_t t = mlai_hb2st_space(desc->dtype, desc->n, kd);
    size_t work = mlai_size_add(band_bytes(desc, kd), larger(s.work, t.work));
    return (mlai_space_t){work, larger(s.window, t.window)};
}

mla_status_t mlai_tridiag(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                          int64_t kd, bool keep, void *a, void *kept, double *diag, double *off,
                          void *work, void *base)
{
    char *q2 = (char *)kept + bytes_of(desc, desc->n, 1);
    if (kd == 0) return mlai_hetrd(x, desc, d, keep, a, kept, diag, off, work, base);
    char *rest = (char *)work + band_bytes(desc, kd);
    MLAI_TRY(mlai_he2hb(x, desc, d, kd, a, kept, work, 2 * kd, rest, base));
    return mlai_hb2st(x, desc->dtype, desc->n, kd, work, 2 * kd, keep ? q2 : NULL, diag, off,
                      rest);
}

mlai_space_t mlai_tridiag_back_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t kd,
                                     int64_t most)
{
    mlai_space_t s = mlai_unmtr_space(desc, d, most);
    if (kd == 0) return s;
    mlai_space_t t = mlai_unmtr_hb2st_space(desc->dtype, desc->n, kd, d->nranks);
    return (mlai_space_t){larger(s.work, t.work), larger(s.window, t.window)};
}

mla_status_t mlai_tridiag_back(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                               int64_t kd, const void *a, const void *kept, int64_t cols, void *z,
                               int64_t ldz, void *work, void *base)
{
    const char *q2 = (const char *)kept + bytes_of(desc, desc->n, 1);
    if (kd > 0) {
        MLAI_TRY(mlai_unmtr_hb2st(x, desc->dtype, desc->n, kd, q2, cols, z, ldz, work, base));
        MLAI_TRY(MLAI_COMM(x, reuse, mlai_stream(x, MLAI_STREAM_MAIN), x->comm->seq));
    }
    return mlai_unmtr(x, desc, d, kd > 0 ? kd : 1, a, kept, cols, z, ldz, work, base);
}
