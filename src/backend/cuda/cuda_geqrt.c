/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_geqrt.c: QR of a panel.
 *
 * Leaves of LEAF columns by CholeskyQR2, from whose Q the reflectors are rebuilt (Ballard,
 * Demmel, Grigori, Jacquelin, Knight, Nguyen, "Reconstructing Householder vectors from
 * tall-skinny QR", JPDC 85 (2015)): six launches (kernels/geqrt.cu), nothing is read by the host.
 * A panel that is too ill-conditioned for it is found out on the way, and the last launch then
 * makes reflectors one by one: slow and always right.
 *
 * More columns: leaf by leaf, what is to the right brought up to date in between,
 *
 *     A_2 := (I - V_1 T_1^H V_1^H) A_2;    T_12 = -T_1 V_1^H V_2 T_2 */
#include "backend/cuda/cuda_backend.h"

enum { LEAF = 32 };

typedef struct geqrt {
    mlai_cuda_t *c;
    mlai_stream_t st;
    mla_dtype_t dt;
    int64_t m, n, lda, ldt;
    void *a, *t;
    char *q, *v; /* m x LEAF; m x n, for several leaves */
    char *y;     /* parts of a Gram matrix; LEAF x n */
    char *r, *w; /* LEAF x LEAF; LEAF x n */
    int32_t *bad;
} geqrt_t;

static size_t bytes_of(mla_dtype_t dt, int64_t m, int64_t n)
{
    return mlai_size_align(mlai_size_mat(m, n, mlai_sizeof(dt)));
}

static mla_status_t multiply(const geqrt_t *f, mlai_op_t op, int64_t m, int64_t n, int64_t k,
                             double alpha, const void *a, int64_t lda, const void *b, int64_t ldb,
                             double beta, void *out, int64_t ldc)
{
    return mlai_cuda_gemm_batch(f->c, f->st, f->dt, op, MLAI_N, m, n, k, alpha, a, lda, b, ldb,
                                beta, out, ldc, (mlai_batch_t){.count = 1});
}

/* Columns [j, j + w), rows from j on. */
static mla_status_t leaf(const geqrt_t *f, int64_t j, int64_t w)
{
    int64_t m = f->m - j;
    void *a = mlai_at(f->a, f->dt, f->lda, j, j);
    mlai_geqrt_args_t args = {.m = m,
                              .lda = f->lda,
                              .ldt = f->ldt,
                              .a = a,
                              .t = mlai_at(f->t, f->dt, f->ldt, j, j),
                              .q = f->q,
                              .part = f->y,
                              .r = f->r,
                              .w = f->w,
                              .bad = f->bad,
                              .n = (int32_t)w};
    int rows = MLAI_GEQRT_ROWS((int)mlai_sizeof(f->dt));
    int64_t tiles = mlai_ceil_div(m, rows), below = mlai_max(1, mlai_ceil_div(m - w, rows));
    mlai_grid_t one = {.x = 1, .tx = MLAI_GEQRT_THREADS};
    mlai_grid_t gram = {.x = mlai_min(tiles, MLAI_GEQRT_PARTS), .tx = MLAI_GEQRT_TALL};
    mlai_grid_t many = {.x = mlai_min(below, 4 * (int64_t)f->c->processors),
                        .tx = MLAI_GEQRT_TALL};
    args.parts = (int32_t)gram.x;
    MLAI_TRY(mlai_cuda_launch(f->c, f->st, MLAI_K_geqrt_gram + (int)f->dt, gram, &args));
    MLAI_TRY(mlai_cuda_launch(f->c, f->st, MLAI_K_geqrt_first + (int)f->dt, one, &args));
    args.second = 1;
    MLAI_TRY(mlai_cuda_launch(f->c, f->st, MLAI_K_geqrt_gram + (int)f->dt, gram, &args));
    MLAI_TRY(mlai_cuda_launch(f->c, f->st, MLAI_K_geqrt_second + (int)f->dt, one, &args));
    MLAI_TRY(mlai_cuda_launch(f->c, f->st, MLAI_K_geqrt_apply + (int)f->dt, many, &args));
    return mlai_cuda_launch(f->c, f->st, MLAI_K_geqrt_finish + (int)f->dt, one, &args);
}

/* The leaf's V, with its zeros and ones, to f->v. */
static mla_status_t copy_v(const geqrt_t *f, int64_t j, int64_t w)
{
    mlai_backend_t *be = &f->c->base;
    void *v = mlai_at(f->v, f->dt, f->m, j, j);
    MLAI_TRY(mlai_cuda_lacpy(be, f->st, f->dt, MLAI_FULL, f->m - j, w,
                             mlai_at(f->a, f->dt, f->lda, j, j), f->lda, v, f->m));
    return mlai_cuda_laset(be, f->st, f->dt, MLAI_UPPER, w, w, 0.0, 1.0, v, f->m);
}

/* T above the leaf's; the leaf's rows of T below the diagonal block. */
static mla_status_t join(const geqrt_t *f, int64_t j, int64_t w)
{
    int64_t m = f->m, ldt = f->ldt;
    const void *v = mlai_at(f->v, f->dt, m, j, j);
    void *above = mlai_at(f->t, f->dt, ldt, 0, j), *own = mlai_at(f->t, f->dt, ldt, j, j);
    MLAI_TRY(mlai_cuda_laset(&f->c->base, f->st, f->dt, MLAI_FULL, f->n - j - w, w, 0.0, 0.0,
                             mlai_at(f->t, f->dt, ldt, j + w, j), ldt));
    if (j == 0) return MLA_OK;
    MLAI_TRY(multiply(f, MLAI_C, j, w, m - j, 1.0, mlai_at(f->v, f->dt, m, j, 0), m, v, m, 0.0,
                      f->w, j));
    MLAI_TRY(multiply(f, MLAI_N, j, w, w, 1.0, f->w, j, own, ldt, 0.0, f->q, j));
    return multiply(f, MLAI_N, j, w, j, -1.0, f->t, ldt, f->q, j, 0.0, above, ldt);
}

/* What is to the right of the leaf. */
static mla_status_t update(const geqrt_t *f, int64_t j, int64_t w)
{
    int64_t m = f->m, cols = f->n - j - w;
    const void *v = mlai_at(f->v, f->dt, m, j, j), *t = mlai_at(f->t, f->dt, f->ldt, j, j);
    void *right = mlai_at(f->a, f->dt, f->lda, j, j + w);
    MLAI_TRY(multiply(f, MLAI_C, w, cols, m - j, 1.0, v, m, right, f->lda, 0.0, f->w, w));
    MLAI_TRY(multiply(f, MLAI_C, w, cols, w, 1.0, t, f->ldt, f->w, w, 0.0, f->y, w));
    return multiply(f, MLAI_N, m - j, cols, w, -1.0, v, m, f->y, w, 1.0, right, f->lda);
}

static mla_status_t leaves(const geqrt_t *f)
{
    for (int64_t j = 0, w; j < f->n; j += w) {
        w = mlai_min(LEAF, f->n - j);
        MLAI_TRY(leaf(f, j, w));
        if (f->n <= LEAF) break;
        MLAI_TRY(copy_v(f, j, w));
        MLAI_TRY(join(f, j, w));
        MLAI_TRY(update(f, j, w));
    }
    return MLA_OK;
}

mla_status_t mlai_cuda_geqrt(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t m,
                             int64_t n, void *a, int64_t lda, void *t, int64_t ldt, void *work)
{
    mlai_cuda_t *c = mlai_cuda(be);
    if (n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    size_t tall = bytes_of(dt, m + LEAF, LEAF), small = bytes_of(dt, LEAF, LEAF);
    geqrt_t f = {
        .c = c, .st = st, .dt = dt, .m = m, .n = n, .lda = lda, .ldt = ldt, .a = a, .t = t};
    f.bad = work;
    f.r = (char *)work + 256;
    f.w = f.r + small;
    f.q = f.w + bytes_of(dt, LEAF, mlai_max(LEAF, n)); // also holds LEAF x n, as y does
    f.y = f.q + tall;
    f.v = f.y + tall;
    return leaves(&f);
}
