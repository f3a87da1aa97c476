/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/chase_back_tmpl.cuh: the back-transformation of chase.cu for elements
 * T over reals R (four_types.cuh). All arithmetic is in double; a complex number is two planes.
 *
 * A pass applies `ng` diamonds of 8 sweeps to windows of kd + 8 ng rows, which go down by kd rows
 * a step: hop k of all of the pass's sweeps. Where the k-th hops of two diamonds overlap, and of
 * a diamond with the next hop of one before it, the order is right: later sweeps first, k
 * ascending.
 *
 *     rows of step k   | 8 | 8 | .. | 8 |       kd        |
 *     diamond 0        [      kd + 8      ]
 *     diamond ng - 1                      [    kd + 8     ]
 *     left to step k+1 .               [ the last 8 ng    ] kd new rows
 *
 * A diamond in memory: kd / 8 + 1 tiles of V, 8 sweeps x 8 rows, then as many of -V T, 8 rows x 8
 * sweeps; each plane by itself. */
enum { NAME(back_planes) = sizeof(T) / sizeof(R) };

/* A warp's diamond; all arrays in shared memory. */
typedef struct NAME(back_diamond) {
    double *v[2];        /* [sweep][row], kd + 8 rows */
    double *s[2], *t[2]; /* V^H V, then T; 8 x 8 each, [row][column] */
} NAME(back_diamond_t);

/* Element (a, c) of V^H V, a < c. */
MLAI_DEVICE void NAME(back_gram)(const NAME(back_diamond_t) * f, int rows, int a, int c)
{
    double re = 0, im = 0;
    for (int r = 0; r < rows; r++) {
        re += f->v[0][a * rows + r] * f->v[0][c * rows + r];
        if (NAME(back_planes) == 1) continue;
        re += f->v[1][a * rows + r] * f->v[1][c * rows + r];
        im += f->v[0][a * rows + r] * f->v[1][c * rows + r] -
              f->v[1][a * rows + r] * f->v[0][c * rows + r];
    }
    f->s[0][a * 8 + c] = re;
    if (NAME(back_planes) == 2) f->s[1][a * 8 + c] = im;
}

/* Column c of T, below which there is 0: T(0:c, c) = -tau T(0:c, 0:c) S(0:c, c). By lanes < 8. */
MLAI_DEVICE void NAME(back_larft)(const NAME(back_diamond_t) * f, int c, double tr, double ti)
{
    const int i = (int)threadIdx.x % 32;
    double re = 0, im = 0;
    for (int l = i; l < c && i < c; l++) {
        const double a = f->t[0][i * 8 + l], b = f->s[0][l * 8 + c];
        re += a * b;
        if (NAME(back_planes) == 1) continue;
        const double ai = f->t[1][i * 8 + l], bi = f->s[1][l * 8 + c];
        re -= ai * bi;
        im += a * bi + ai * b;
    }
    if (i >= 8) return;
    f->t[0][i * 8 + c] = i == c ? tr : i < c ? -(tr * re - ti * im) : 0;
    if (NAME(back_planes) == 2)
        f->t[1][i * 8 + c] = i == c ? ti : i < c ? -(tr * im + ti * re) : 0;
}

/* A warp a diamond: number `unit` % 12 of the group, step unit / 12 of its pass. */
extern "C" __global__ void __launch_bounds__(128)
    KERNEL(chase_expand)(const mlai_chase_back_args_t a)
{
    enum { DIAMONDS = MLAI_CHASE_GROUP / 8, PLANES = NAME(back_planes) };
    double *const shared = (double *)chase_shared();
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, kd = a.kd;
    const int rows = kd + 8, tiles = kd / 8 + 1;
    const int64_t unit = (int64_t)blockIdx.x * 4 + warp, k = unit / DIAMONDS;
    const int in = (int)(unit % DIAMONDS), pass = in / a.ng;
    const int64_t q0 = a.first + 8 * in, last = a.first + (int64_t)pass * a.ng * 8;
    if (last + k * kd >= a.n) return; // after the pass's last step; the whole warp
    NAME(back_diamond_t) f;
    double *next = shared + (size_t)warp * PLANES * (8 * rows + 128);
    double tr[8], ti[8];
    for (int p = 0; p < PLANES; p++) {
        f.v[p] = next;
        f.s[p] = next + 8 * rows;
        f.t[p] = f.s[p] + 64;
        next += 8 * rows + 128;
    }
    const T *from = (const T *)a.v;
    for (int c = 0; c < 8; c++) {
        const int64_t q = q0 + c, row0 = q + k * kd; // of the reflector, its tau's place
        const bool there = q > 0 && row0 < a.n;
        const T *column = from + (8 * in + c) * (a.n - a.first) - a.first;
        T tau;
        t_set(&tau, (R)0);
        if (there) tau = column[row0];
        tr[c] = (double)t_real(tau);
        ti[c] = (double)t_imag(tau);
        for (int r = lane; r < rows; r += 32) {
            const int64_t row = q0 + k * kd + r;
            T value;
            t_set(&value, r == c ? (R)1 : (R)0);
            if (r > c && r < c + kd && there && row < a.n) value = column[row];
            if (!there) t_set(&value, (R)0);
            f.v[0][c * rows + r] = (double)t_real(value);
            if (PLANES == 2) f.v[1][c * rows + r] = (double)t_imag(value);
        }
    }
    __syncwarp();
    for (int e = lane; e < 64; e += 32)
        if (e / 8 < e % 8) NAME(back_gram)(&f, rows, e / 8, e % 8);
    __syncwarp();
    for (int c = 0; c < 8; c++) {
        NAME(back_larft)(&f, c, tr[c], ti[c]);
        __syncwarp();
    }
    double *to =
        a.vw + (((int64_t)pass * a.steps + k) * a.ng + in % a.ng) * (2 * PLANES * tiles * 64);
    for (int p = 0; p < PLANES; p++)
        for (int e = lane; e < tiles * 64; e += 32) {
            const int tile = e / 64;
            to[p * tiles * 64 + e] = f.v[p][e / 8 % 8 * rows + 8 * tile + e % 8];
            // Element (row, c) of -V T.
            const int r = 8 * tile + e / 8 % 8, c = e % 8;
            double sum = 0;
            for (int l = 0; l <= c; l++) {
                const double vr = f.v[0][l * rows + r], xr = f.t[0][l * 8 + c];
                const double vi = PLANES == 2 ? f.v[PLANES - 1][l * rows + r] : 0;
                const double xi = PLANES == 2 ? f.t[PLANES - 1][l * 8 + c] : 0;
                sum -= p == 0 ? vr * xr - vi * xi : vr * xi + vi * xr;
            }
            to[(PLANES + p) * tiles * 64 + e] = sum;
        }
}

/* A lane's part of the window: [plane][tile][element]; elements: rows 2t, 2t+1 of column g, then
 * of column g + 8. */
enum { NAME(back_tiles) = 20 };

/* One diamond, its tiles from number j of the window on; vt, wt: V and -V T, this lane's. */
MLAI_DEVICE void NAME(back_diamond)(const int tiles, int j, double w[][NAME(back_tiles)][4],
                                    const double2 *vt, const double2 *wt)
{
    const int plane = tiles * 32;
    double y[4][4]; // real: two sums in turn; complex: rr, ii, ri, ir
#pragma unroll
    for (int i = 0; i < 16; i++) y[i / 4][i % 4] = 0;
#pragma unroll
    for (int i = 0; i < tiles; i++) {
        const double *r = w[0][j + i];
        const double2 v = vt[32 * i];
        if (NAME(back_planes) == 1) {
            chase_mma(y[i & 1], r[0], r[2], r[1], r[3], v.x, v.y);
        } else {
            const double *s = w[NAME(back_planes) - 1][j + i];
            const double2 u = vt[plane + 32 * i];
            chase_mma(y[0], r[0], r[2], r[1], r[3], v.x, v.y);
            chase_mma(y[1], s[0], s[2], s[1], s[3], u.x, u.y);
            chase_mma(y[2], s[0], s[2], s[1], s[3], v.x, v.y);
            chase_mma(y[3], r[0], r[2], r[1], r[3], u.x, u.y);
        }
    }
    double re[4], im[4];
#pragma unroll
    for (int e = 0; e < 4; e++) {
        re[e] = y[0][e] + y[1][e];
        im[e] = y[2][e] - y[3][e];
    }
#pragma unroll
    for (int i = 0; i < tiles; i++) {
        const double2 v = wt[32 * i];
        chase_mma(w[0][j + i], re[0], re[2], re[1], re[3], v.x, v.y);
        if (NAME(back_planes) == 1) continue;
        const double2 u = wt[plane + 32 * i];
        chase_mma(w[0][j + i], -im[0], -im[2], -im[1], -im[3], u.x, u.y);
        chase_mma(w[NAME(back_planes) - 1][j + i], im[0], im[2], im[1], im[3], v.x, v.y);
        chase_mma(w[NAME(back_planes) - 1][j + i], re[0], re[2], re[1], re[3], u.x, u.y);
    }
}

/* Two columns of Z, g and g + 8 of the warp's, at the lane's row 2t; a column that does not exist
 * is the first one, and neither read nor written. */
typedef struct NAME(back_columns) {
    T *column[2];
    bool there[2];
    int64_t n;
} NAME(back_columns_t);

/* Element e of the lane's four, in the tile whose first row is `row`. */
MLAI_DEVICE bool NAME(back_element)(const NAME(back_columns_t) * z, int64_t row, int e, T **at)
{
    row += e & 1;
    const bool there = z->there[e / 2] && row + 2 * (int)(threadIdx.x % 4) < z->n;
    *at = z->column[e / 2] + (there ? row : 0);
    return there;
}

MLAI_DEVICE void NAME(back_store)(const NAME(back_columns_t) * z, int64_t row, const double *re,
                                  const double *im)
{
#pragma unroll
    for (int e = 0; e < 4; e++) {
        T *at, value;
        t_set_parts(&value, (R)re[e], (R)im[e]);
        if (NAME(back_element)(z, row, e, &at)) *at = value;
    }
}

MLAI_DEVICE NAME(back_columns_t) NAME(back_my_columns)(const mlai_chase_back_args_t *a)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int64_t c0 = ((int64_t)blockIdx.x * (blockDim.x / 32) + warp) * 16 + lane / 4;
    NAME(back_columns_t) z;
    z.n = a->n;
    for (int e = 0; e < 2; e++) {
        z.there[e] = c0 + 8 * e < a->cols;
        z.column[e] = (T *)a->z;
        if (z.there[e]) z.column[e] += (c0 + 8 * e) * a->ldz + 2 * (lane % 4);
    }
    return z;
}

/* The window's first tiles, from row `row` on. */
MLAI_DEVICE void NAME(back_open)(const NAME(back_columns_t) * z, int64_t row, const int tiles,
                                 double w[][NAME(back_tiles)][4])
{
#pragma unroll
    for (int i = 0; i < tiles; i++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            T *at, value;
            t_set(&value, (R)0);
            if (NAME(back_element)(z, row + 8 * i, e, &at)) value = *at;
            w[0][i][e] = (double)t_real(value);
            if (NAME(back_planes) == 2) w[NAME(back_planes) - 1][i][e] = (double)t_imag(value);
        }
}

/* Tiles from row `row` on to the lane's slots. */
MLAI_DEVICE void NAME(back_fetch)(const NAME(back_columns_t) * z, int64_t row, const int tiles,
                                  T *stage)
{
    for (int i = 0; i < tiles * 4; i++) {
        T *at;
        const bool there = NAME(back_element)(z, row + i / 4 * 8, i % 4, &at);
        chase_fetch(stage + i * 32, at, there);
    }
}

/* The pass's first step is row a->first; kd, ng are constants where this is expanded. */
MLAI_DEVICE void NAME(chase_back)(const mlai_chase_back_args_t *a, const int kd, const int ng)
{
    enum { PLANES = NAME(back_planes) };
    const int fresh = kd / 8, tiles = fresh + 1, step = ng * 2 * PLANES * tiles * 64;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    double *const shared = (double *)chase_shared(); // two steps' diamonds, then kd rows to come
    T *const stage = (T *)(shared + 2 * step) + warp * fresh * 128 + lane;
    const NAME(back_columns_t) z = NAME(back_my_columns)(a);
    double w[PLANES][NAME(back_tiles)][4];
    const double *next = a->vw;
    for (int e = (int)threadIdx.x; e < step / 2; e += (int)blockDim.x)
        chase_fetch16(shared + 2 * e, next + 2 * e);
    NAME(back_open)(&z, a->first, ng, w);
    NAME(back_fetch)(&z, a->first + 8 * ng, fresh, stage);
    for (int64_t k = 0; k < a->steps; k++) {
        const int64_t row = a->first + k * kd;
        chase_arrived();
        __syncthreads(); // the diamonds of step k are there; those of k - 1 are done with
#pragma unroll
        for (int i = 0; i < fresh * 4; i++) {
            const T value = stage[i * 32];
            w[0][ng + i / 4][i % 4] = (double)t_real(value);
            if (PLANES == 2) w[PLANES - 1][ng + i / 4][i % 4] = (double)t_imag(value);
        }
        const double2 *vw = (const double2 *)(shared + (k % 2) * step) + lane;
        next += step;
        for (int e = (int)threadIdx.x; k + 1 < a->steps && e < step / 2; e += (int)blockDim.x)
            chase_fetch16(shared + ((k + 1) % 2) * step + 2 * e, next + 2 * e);
#pragma unroll
        for (int j = ng - 1; j >= 0; j--) {
            const double2 *vt = vw + j * 2 * PLANES * tiles * 32;
            NAME(back_diamond)(tiles, j, w, vt, vt + PLANES * tiles * 32);
            if (j < ng - 1 || k + 1 == a->steps) continue;
            // The products have read every slot of the stage.
            NAME(back_fetch)(&z, row + kd + 8 * ng, fresh, stage);
        }
#pragma unroll
        for (int i = 0; i < fresh; i++)
            NAME(back_store)(&z, row + 8 * i, w[0][i], w[PLANES - 1][i]);
#pragma unroll
        for (int i = 0; i < ng * 4 * PLANES; i++)
            w[i / (4 * ng)][i / 4 % ng][i % 4] = w[i / (4 * ng)][i / 4 % ng + fresh][i % 4];
    }
#pragma unroll
    for (int i = 0; i < ng; i++)
        NAME(back_store)(&z, a->first + a->steps * kd + 8 * i, w[0][i], w[PLANES - 1][i]);
}

extern "C" __global__ void __launch_bounds__(256, 1)
    KERNEL(chase_back32)(const mlai_chase_back_args_t a)
{
    NAME(chase_back)(&a, 32, MLAI_CHASE_DIAMONDS(32, NAME(back_planes)));
}

extern "C" __global__ void __launch_bounds__(256, 1)
    KERNEL(chase_back64)(const mlai_chase_back_args_t a)
{
    NAME(chase_back)(&a, 64, MLAI_CHASE_DIAMONDS(64, NAME(back_planes)));
}
