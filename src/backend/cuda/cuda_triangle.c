/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/cuda_triangle.c: inverse of a lower triangle and solves with it, out of
 * products.
 *
 * Inverse: one kernel inverts the diagonal blocks of MLAI_LEAF columns; blocks of s columns are
 * then joined in pairs to blocks of 2 s, s = 32, 64, ...
 *
 *     [ L11     ]^-1     [ W11      ]
 *     [ L21 L22 ]     =  [ W21  W22 ],    T := -W22 L21;  W21 := T W11
 *
 * and, where the inverse itself is wanted, T := T - W21 L11, W21 := W21 + T W11: so W L - I is as
 * small as by substitution, which potri.c needs. Without it the inverse of a smooth kernel matrix
 * of condition 1e12 has a residual a hundred thousand times larger.
 *
 * Solve, B (m x n) := B op(L)^-1 say, with many rows: cuBLAS's trsm runs at 4 - 13 TF/s in double
 * where products run at 50 (H200, n <= 1024). So block column by block column of WIDTH columns,
 *
 *     T := B_j - sum over solved k of X_k op(L)[k,j]
 *     X_j := T W;   T := T - X_j op(L_jj);   X_j := X_j + T W,      W = op(L_jj^-1)
 *
 * The second line is one step of refinement. Without it the error grows with the condition of
 * L_jj, and Cholesky of a smooth kernel matrix breaks down where substitution does not (kernel
 * exp(-25 |x - y|^2) + 1e-13 on 1024 points, L_jj of 128 columns); with it the residual is that
 * of substitution. m n^2 + 640 m n flops.
 *
 * An upper triangle is brought to a lower one first, by transposition. Few rows from the right, n
 * x n triangle: they are transposed, so that the triangle is read the way that cuBLAS does best.
 * Otherwise cuBLAS. */
#include "backend/cuda/cuda_backend.h"

enum { WIDTH = 128, GROUP = 16384 };

/* ---- inverse ------------------------------------------------------------------------------- */

/* All pairs of full width at once, then the last pair if it is narrower; `refine`: a has zeros
 * above the diagonal. t: n/2 x s. */
static mla_status_t pair_up(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                            int64_t s, bool refine, const void *a, int64_t lda, void *b,
                            int64_t ldb, void *t)
{
    int64_t full = n / (2 * s), na = 2 * s * (lda + 1), nb = 2 * s * (ldb + 1), nt = s * s;
    for (int last = 0; last < 2; last++) {
        int64_t k = last ? full * 2 * s : 0, m = last ? n - k - s : s, count = last ? 1 : full;
        if (m <= 0 || count == 0) continue;
        const void *a11 = mlai_at(a, dt, lda, k, k), *a21 = mlai_at(a, dt, lda, k + s, k);
        const void *w11 = mlai_at(b, dt, ldb, k, k), *w22 = mlai_at(b, dt, ldb, k + s, k + s);
        void *w21 = mlai_at(b, dt, ldb, k + s, k);
        mlai_batch_t right = {count, nt, nb, nb};
        MLAI_TRY(mlai_cuda_gemm_batch(c, st, dt, MLAI_N, MLAI_N, m, s, m, -1.0, w22, ldb, a21,
                                      lda, 0.0, t, s, (mlai_batch_t){count, nb, na, nt}));
        MLAI_TRY(mlai_cuda_gemm_batch(c, st, dt, MLAI_N, MLAI_N, m, s, s, 1.0, t, s, w11, ldb,
                                      0.0, w21, ldb, right));
        if (!refine) continue;
        MLAI_TRY(mlai_cuda_gemm_batch(c, st, dt, MLAI_N, MLAI_N, m, s, s, -1.0, w21, ldb, a11,
                                      lda, 1.0, t, s, (mlai_batch_t){count, nb, na, nt}));
        MLAI_TRY(mlai_cuda_gemm_batch(c, st, dt, MLAI_N, MLAI_N, m, s, s, 1.0, t, s, w11, ldb,
                                      1.0, w21, ldb, right));
    }
    return MLA_OK;
}

/* Bytes of t to get to blocks of `width` columns. */
static size_t pair_bytes(int64_t n, int64_t width, mla_dtype_t dt)
{
    int64_t most = 0;
    for (int64_t s = MLAI_LEAF; s < width && s < n; s *= 2)
        most = mlai_max(most, mlai_max(1, n / (2 * s)) * s * s);
    return mlai_size_mat(most, 1, mlai_sizeof(dt));
}

/* b := inverses of the diagonal blocks of `width` (32 times a power of two) columns of a, zeros
 * above the diagonal; what is below the blocks is not set. */
static mla_status_t invert_blocks(mlai_cuda_t *c, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                                  int64_t width, bool refine, const void *a, int64_t lda, void *b,
                                  int64_t ldb, void *t)
{
    mlai_trtri_leaf_args_t args = {n, lda, ldb, a, b};
    mlai_grid_t grid = {.x = mlai_ceil_div(n, MLAI_LEAF), .tx = MLAI_LEAF * MLAI_LEAF_WARPS};
    MLAI_TRY(mlai_cuda_launch(c, st, MLAI_K_trtri_leaf + (int)dt, grid, &args));
    for (int64_t s = MLAI_LEAF; s < width && s < n; s *= 2)
        MLAI_TRY(pair_up(c, st, dt, n, s, refine, a, lda, b, ldb, t));
    return MLA_OK;
}

/* Refined from blocks of 128 on: narrow triangles are those of reflectors, which are well
 * conditioned. The refinement reads what is above the diagonal, and so gets a copy. 4/3 n^3
 * flops, four times the least, all but a few in products. */
mla_status_t mlai_cuda_trtri_tile(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt, int64_t n,
                                  const void *a, int64_t lda, void *b, int64_t ldb)
{
    enum { REFINED = 64 };
    mlai_cuda_t *c = mlai_cuda(be);
    if (n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    bool refine = n > REFINED;
    int64_t width = MLAI_LEAF;
    while (width < n) width *= 2;
    size_t square = refine ? mlai_size_align(mlai_size_mat(n, n, mlai_sizeof(dt))) : 0;
    void *copy = NULL;
    if (width > MLAI_LEAF)
        MLAI_TRY(
            mlai_cuda_scratch(c, st, mlai_size_add(square, pair_bytes(n, width, dt)), &copy));
    if (!refine) return invert_blocks(c, st, dt, n, width, false, a, lda, b, ldb, copy);
    MLAI_TRY(mlai_cuda_laset(be, st, dt, MLAI_FULL, n, n, 0.0, 0.0, copy, n));
    MLAI_TRY(mlai_cuda_lacpy(be, st, dt, MLAI_LOWER, n, n, a, lda, copy, n));
    return invert_blocks(c, st, dt, n, width, true, copy, n, b, ldb, (char *)copy + square);
}

/* ---- solve --------------------------------------------------------------------------------- */

typedef struct solve {
    mlai_cuda_t *c;
    mlai_stream_t st;
    mla_dtype_t dt;
    mlai_side_t side;
    mlai_uplo_t uplo;
    mlai_op_t op;
    mlai_diag_t diag;
    int64_t m, n; /* of b */
    double alpha;
    const void *a;
    int64_t lda;
    void *b;
    int64_t ldb;
    char *l, *w; /* order x order: the triangle with zeros above it, inverses of its blocks */
    void *t;     /* one block of b, leading dimension ldt */
    int64_t ldt;
} solve_t;

/* out := x op(y) (left: op(y) x) alpha + beta out; x and out are rows x cols, y is of the
 * triangle. */
static mla_status_t apply(const solve_t *s, int64_t rows, int64_t cols, int64_t k, double alpha,
                          const void *x, int64_t ldx, const void *y, int64_t ldy, double beta,
                          void *out, int64_t ldout)
{
    const mlai_batch_t one = {.count = 1};
    if (s->side == MLAI_LEFT)
        return mlai_cuda_gemm_batch(s->c, s->st, s->dt, s->op, MLAI_N, rows, cols, k, alpha, y,
                                    ldy, x, ldx, beta, out, ldout, one);
    return mlai_cuda_gemm_batch(s->c, s->st, s->dt, MLAI_N, s->op, rows, cols, k, alpha, x, ldx,
                                y, ldy, beta, out, ldout, one);
}

/* The block of b that belongs to the diagonal block [i, i + w). */
static mla_status_t solve_block(const solve_t *s, int64_t i, int64_t w)
{
    bool left = s->side == MLAI_LEFT, forward = left == (s->op == MLAI_N);
    int64_t order = left ? s->m : s->n, first = forward ? 0 : i + w;
    int64_t solved = forward ? i : order - i - w;
    int64_t rows = left ? w : s->m, cols = left ? s->n : w, ldb = s->ldb, ldt = s->ldt;
    void *bi = mlai_at(s->b, s->dt, ldb, left ? i : 0, left ? 0 : i);
    const void *done = mlai_at(s->b, s->dt, ldb, left ? first : 0, left ? 0 : first);
    const void *l = mlai_at(s->l, s->dt, order, i, i),
               *inverse = mlai_at(s->w, s->dt, order, i, i);
    const void *beside = mlai_at(s->a, s->dt, s->lda, forward ? i : i + w, forward ? 0 : i);
    MLAI_TRY(
        mlai_cuda_lacpy(&s->c->base, s->st, s->dt, MLAI_FULL, rows, cols, bi, ldb, s->t, ldt));
    double alpha = solved > 0 ? 1.0 : s->alpha;
    if (solved > 0)
        MLAI_TRY(
            apply(s, rows, cols, solved, -1.0, done, ldb, beside, s->lda, s->alpha, s->t, ldt));
    MLAI_TRY(apply(s, rows, cols, w, alpha, s->t, ldt, inverse, order, 0.0, bi, ldb));
    MLAI_TRY(apply(s, rows, cols, w, -1.0, bi, ldb, l, order, alpha, s->t, ldt));
    return apply(s, rows, cols, w, 1.0, s->t, ldt, inverse, order, 1.0, bi, ldb);
}

/* s->l := the triangle, or for an upper one its transpose such that op is of it; 1 on the
 * diagonal if that is what counts; zeros above. */
static mla_status_t copy_triangle(solve_t *s, int64_t order)
{
    mlai_backend_t *be = &s->c->base;
    if (s->uplo == MLAI_LOWER) {
        MLAI_TRY(mlai_cuda_lacpy(be, s->st, s->dt, MLAI_LOWER, order, order, s->a, s->lda, s->l,
                                 order));
    } else {
        mlai_op_t turn = s->op == MLAI_T ? MLAI_T : MLAI_C;
        MLAI_TRY(
            mlai_cuda_transpose(be, s->st, s->dt, turn, order, order, s->a, s->lda, s->l, order));
        s->op = s->op == MLAI_N ? MLAI_C : MLAI_N;
    }
    s->a = s->l;
    s->lda = order;
    if (s->diag == MLAI_UNIT)
        return mlai_cuda_laset(be, s->st, s->dt, MLAI_UPPER, order, order, 0.0, 1.0, s->l, order);
    return mlai_cuda_laset(be, s->st, s->dt, MLAI_UPPER, order - 1, order - 1, 0.0, 0.0,
                           mlai_at(s->l, s->dt, order, 0, 1), order);
}

/* s->l, s->w and s->t for groups of `group` rows (left: columns) of b. */
static mla_status_t prepare(solve_t *s, int64_t order, int64_t group)
{
    bool left = s->side == MLAI_LEFT;
    s->ldt = left ? WIDTH : mlai_ceil_div(group, 16) * 16; // whole words in every column
    size_t es = mlai_sizeof(s->dt), pairs = pair_bytes(order, WIDTH, s->dt);
    size_t square = mlai_size_align(mlai_size_mat(order, order, es));
    size_t block = mlai_size_mat(s->ldt, left ? group : WIDTH, es);
    void *scratch = NULL;
    MLAI_TRY(
        mlai_cuda_scratch(s->c, s->st, 2 * square + (block > pairs ? block : pairs), &scratch));
    s->l = scratch;
    s->w = s->l + square;
    s->t = s->w + square;
    MLAI_TRY(copy_triangle(s, order));
    return invert_blocks(s->c, s->st, s->dt, order, WIDTH, false, s->l, order, s->w, order, s->t);
}

/* Groups bound the scratch. */
static mla_status_t solve_blocked(solve_t s)
{
    bool left = s.side == MLAI_LEFT;
    int64_t order = left ? s.m : s.n, others = left ? s.n : s.m;
    int64_t blocks = mlai_ceil_div(order, WIDTH), group = mlai_min(others, GROUP);
    MLAI_TRY(prepare(&s, order, group));
    bool forward = left == (s.op == MLAI_N);
    char *b = s.b;
    for (int64_t g = 0; g < others; g += group) {
        s.b = mlai_at(b, s.dt, s.ldb, left ? 0 : g, left ? g : 0);
        *(left ? &s.n : &s.m) = mlai_min(group, others - g);
        for (int64_t q = 0; q < blocks; q++) {
            int64_t i = (forward ? q : blocks - 1 - q) * WIDTH;
            MLAI_TRY(solve_block(&s, i, mlai_min(WIDTH, order - i)));
        }
    }
    return MLA_OK;
}

/* X op(A) = B is op(A)^T X^T = B^T; for op MLAI_C transposed with conjugation, A X^H = B^H. */
static mla_status_t solve_transposed(solve_t s)
{
    mlai_backend_t *be = &s.c->base;
    void *t = NULL;
    mlai_op_t turn = s.op == MLAI_C ? MLAI_C : MLAI_T;
    mlai_op_t op = s.op == MLAI_N ? MLAI_T : MLAI_N;
    MLAI_TRY(mlai_cuda_scratch(s.c, s.st, mlai_size_mat(s.m, s.n, mlai_sizeof(s.dt)), &t));
    MLAI_TRY(mlai_cuda_transpose(be, s.st, s.dt, turn, s.m, s.n, s.b, s.ldb, t, s.n));
    MLAI_TRY(mlai_cuda_trsm_vendor(s.c, s.st, s.dt, MLAI_LEFT, s.uplo, op, s.diag, s.n, s.m,
                                   s.alpha, s.a, s.lda, t, s.n));
    return mlai_cuda_transpose(be, s.st, s.dt, turn, s.n, s.m, t, s.n, s.b, s.ldb);
}

mla_status_t mlai_cuda_trsm(mlai_backend_t *be, mlai_stream_t st, mla_dtype_t dt,
                            mlai_side_t side, mlai_uplo_t uplo, mlai_op_t op, mlai_diag_t diag,
                            int64_t m, int64_t n, double alpha, const void *a, int64_t lda,
                            void *b, int64_t ldb)
{
    enum { MANY = 512, FEW = 32, ORDER_MOST = 2048 };
    mlai_cuda_t *c = mlai_cuda(be);
    if (m <= 0 || n <= 0) return MLA_OK;
    MLAI_CUDA_BEGIN(c);
    int64_t order = side == MLAI_LEFT ? m : n, others = side == MLAI_LEFT ? n : m;
    solve_t s = {c,     st, dt,  side, uplo, op,   diag, m,    n,
                 alpha, a,  lda, b,    ldb,  NULL, NULL, NULL, 0};
    if (order >= WIDTH && order <= ORDER_MOST && others >= MANY && others >= 2 * order)
        return solve_blocked(s);
    if (side == MLAI_RIGHT && others <= FEW && order >= WIDTH) return solve_transposed(s);
    return mlai_cuda_trsm_vendor(c, st, dt, side, uplo, op, diag, m, n, alpha, a, lda, b, ldb);
}
