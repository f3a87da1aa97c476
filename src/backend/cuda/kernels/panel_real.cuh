/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/panel_real.cuh: the parts of panel_real_tmpl.cuh that are in double
 * whatever the elements are: tensor cores multiply doubles at twice the rate of the other units,
 * as fast as those multiply floats.
 *
 * A block of 64 rows and columns lies over four warps; a warp has 16 rows and all columns, as
 * eight fragments of 16 x 8. Lane 4 g + t has of a fragment (g, 2t), (g, 2t + 1), (g + 8, 2t),
 * (g + 8, 2t + 1). A fragment X is the left operand of a product too, without moving an element:
 * in sum over k of X(i, k) B(k, j) the order of k is free, and the instruction's k = t and t + 4
 * are taken as 2t and 2t + 1. */
#ifndef MLAI_PANEL_REAL_CUH
#define MLAI_PANEL_REAL_CUH

/* Leading dimensions of right operands in shared memory, 2 modulo 8: two rows of it lie 4 banks
 * of 8 bytes apart, so that the 16 lanes of half a warp hit 16 different ones. */
enum { REAL_LD = PANEL + 2, REAL_INVERSE_LD = 10 };
enum { REAL_DEPTH = 16 }; /* columns of a chunk of the triangle */

typedef struct real_shared {
    double l[PANEL][REAL_LD];        /* [k][n]: L(n, k), a diagonal block or two chunks */
    double w[8][8][REAL_INVERSE_LD]; /* [k][n]: W(n, k), inverses of its 8 x 8 blocks */
    double x[PANEL][REAL_LD];        /* tile: [column][row] */
    long long block;
} real_shared_t;

static_assert(sizeof(real_shared_t) <= MLAI_PANEL_REAL_SHARED, "shared memory");

#ifndef MLAI_EMULATED
/* c (16 x 8) += a (16 x 8) b (8 x 8). Lane 4 g + t has c(g, 2t), c(g, 2t + 1), c(g + 8, 2t),
 * c(g + 8, 2t + 1); a(g, t), a(g + 8, t), a(g, t + 4), a(g + 8, t + 4); b(t, g), b(t + 4, g). */
MLAI_DEVICE void mma_16x8x8(double *c, const double a[4], const double b[2])
{
#if __CUDA_ARCH__ >= 900
    asm("mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
        : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(b[0]), "d"(b[1]));
#else
#pragma unroll
    for (int k = 0; k < 4; k++) // half k % 2 of the rows, half k / 2 of the depth
        asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
            : "+d"(c[2 * (k % 2)]), "+d"(c[2 * (k % 2) + 1])
            : "d"(a[k]), "d"(b[k / 2]));
#endif
}
#endif

/* Row in the block and column in its fragment of element e % 4 of a fragment. */
MLAI_DEVICE int fragment_row(int e)
{
    return (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4 + e / 2 % 2 * 8;
}
MLAI_DEVICE int fragment_column(int e)
{
    return (int)threadIdx.x % 4 * 2 + e % 2;
}

/* c += x b, b (8 x 8) in shared memory, [k][n]. */
MLAI_DEVICE void fragment_add(double c[4], const double x[4], const double *b, int ld)
{
    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
    const double left[4] = {x[0], x[2], x[1], x[3]};
    const double right[2] = {b[2 * t * ld + g], b[(2 * t + 1) * ld + g]};
    mma_16x8x8(c, left, right);
}
/* c -= x b */
MLAI_DEVICE void fragment_sub(double c[4], const double x[4], const double *b, int ld)
{
    const double minus[4] = {-x[0], -x[1], -x[2], -x[3]};
    fragment_add(c, minus, b, ld);
}

/* s->w from s->l: a thread has a column of one of the eight inverses. */
MLAI_DEVICE void real_invert(real_shared_t *s)
{
    const int block = (int)threadIdx.x / 8, column = (int)threadIdx.x % 8;
    if (threadIdx.x >= PANEL) return;
    const double own = 1 / s->l[8 * block + column][8 * block + column];
    double z[8];
#pragma unroll
    for (int i = 0; i < 8; i++) z[i] = i == column;
#pragma unroll
    for (int k = 0; k < 8; k++) {
        z[k] *= __shfl_sync(0xffffffffu, own, (int)threadIdx.x % 32 / 8 * 8 + k);
#pragma unroll
        for (int i = k + 1; i < 8; i++)
            z[i] = fma(-s->l[8 * block + k][8 * block + i], z[k], z[i]);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) s->w[block][column][i] = z[i];
}

/* acc := acc L^-T, eight columns at a time: X := T W^T, once refined, X := X + (T - X L^T) W^T.
 */
MLAI_DEVICE void real_solve(const real_shared_t *s, double acc[8][4])
{
#pragma unroll
    for (int c = 0; c < 8; c++) {
        double x[4] = {0, 0, 0, 0};
        fragment_add(x, acc[c], s->w[c][0], REAL_INVERSE_LD);
        fragment_sub(acc[c], x, &s->l[8 * c][8 * c], REAL_LD);
        fragment_add(x, acc[c], s->w[c][0], REAL_INVERSE_LD);
#pragma unroll
        for (int e = 0; e < 4; e++) acc[c][e] = x[e];
#pragma unroll
        for (int b = c + 1; b < 8; b++) fragment_sub(acc[b], x, &s->l[8 * c][8 * b], REAL_LD);
    }
}

/* d -= x x^T; fragments above the diagonal are left. */
MLAI_DEVICE void real_square(real_shared_t *s, const double x[8][4], double d[8][4])
{
    const int last = (int)threadIdx.x / 32 * 2 + 1; // fragment column of the warp's last row
#pragma unroll
    for (int e = 0; e < 32; e++)
        s->x[8 * (e / 4) + fragment_column(e)][fragment_row(e)] = x[e / 4][e % 4];
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 8; k++)
#pragma unroll
        for (int c = 0; c < 8; c++)
            if (c <= last) fragment_sub(d[c], x[k], &s->x[8 * k][8 * c], REAL_LD);
    __syncthreads(); // s->x has been read
}

/* Columns [0, 8) of the Cholesky factor whose diagonal block and whose row `row` are at x,
 * [column][row]: v := that row's. Returns the first column whose pivot is not positive, or 8; it
 * and all after it are NaN. Every thread factors the block for itself. */
MLAI_DEVICE int real_factor_eight(const double (*x)[REAL_LD], int diagonal, int row, double v[8])
{
    double a[8][8];
    int bad = 8;
#pragma unroll
    for (int k = 0; k < 8; k++) {
        v[k] = x[k][row];
#pragma unroll
        for (int i = k; i < 8; i++) a[i][k] = x[k][diagonal + i];
    }
#pragma unroll
    for (int k = 0; k < 8; k++) {
        double inverse = rsqrt(a[k][k]);
        if (!(a[k][k] > 0)) {
            if (bad == 8) bad = k;
            mlai_set_nan(&inverse);
        }
        v[k] *= inverse;
#pragma unroll
        for (int i = k + 1; i < 8; i++) a[i][k] *= inverse;
#pragma unroll
        for (int j = k + 1; j < 8; j++) {
            v[j] = fma(-v[k], a[j][k], v[j]);
#pragma unroll
            for (int i = j; i < 8; i++) a[i][j] = fma(-a[i][k], a[j][k], a[i][j]);
        }
    }
    return bad;
}

/* s->x := the Cholesky factor of d, on and below the diagonal. Returns the first column whose
 * pivot is not positive, or 64; it and all after it are NaN. */
MLAI_DEVICE int real_factor(real_shared_t *s, double d[8][4])
{
    const int last = (int)threadIdx.x / 32 * 2 + 1, row = (int)threadIdx.x % PANEL;
    int bad = PANEL;
#pragma unroll
    for (int b = 0; b < 8; b++) {
        double v[8];
#pragma unroll
        for (int e = 0; e < 4; e++) s->x[8 * b + fragment_column(e)][fragment_row(e)] = d[b][e];
        __syncthreads();
        int k = real_factor_eight(s->x + 8 * b, 8 * b, row, v);
        if (k < 8 && bad == PANEL) bad = 8 * b + k;
        __syncthreads(); // it has been read
        if (threadIdx.x < PANEL && row >= 8 * b)
#pragma unroll
            for (int e = 0; e < 8; e++) s->x[8 * b + e][row] = v[e];
        __syncthreads();
        double x[4];
#pragma unroll
        for (int e = 0; e < 4; e++) x[e] = s->x[8 * b + fragment_column(e)][fragment_row(e)];
#pragma unroll
        for (int c = b + 1; c < 8; c++)
            if (c <= last) fragment_sub(d[c], x, &s->x[8 * b][8 * c], REAL_LD);
    }
    return bad;
}

#endif
