/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/panel_real_tmpl.cuh: potrf_tile and trsm_rows for real elements T
 * (real_types.cuh), in double on the tensor cores (panel_real.cuh). */

/* Rows of A as a block sees them: `rows` of 64 are there. */
typedef struct NAME(real_rows) {
    T *a;
    int64_t lda;
    int rows;
} NAME(real_rows_t);

/* The triangle: element (i, j) at l + i*row + j*column. */
typedef struct NAME(real_tile) {
    const T *l;
    int64_t row, column, n;
} NAME(real_tile_t);

/* acc := alpha times the block at `a`, cols columns, zeros around. */
MLAI_DEVICE void NAME(real_read)(double acc[8][4], NAME(real_rows_t) a, int cols, double alpha)
{
    const int row = fragment_row(0), column = fragment_column(0);
    const T *p = a.a + row + column * a.lda;
#pragma unroll
    for (int c = 0; c < 8; c++, p += 8 * a.lda)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            bool there = row + e / 2 * 8 < a.rows && 8 * c + column + e % 2 < cols;
            acc[c][e] = there ? alpha * (double)p[e / 2 * 8 + e % 2 * a.lda] : 0;
        }
}

MLAI_DEVICE void NAME(real_write)(const double acc[8][4], NAME(real_rows_t) a, int cols)
{
    const int row = fragment_row(0), column = fragment_column(0);
    T *p = a.a + row + column * a.lda;
#pragma unroll
    for (int c = 0; c < 8; c++, p += 8 * a.lda)
#pragma unroll
        for (int e = 0; e < 4; e++)
            if (row + e / 2 * 8 < a.rows && 8 * c + column + e % 2 < cols)
                p[e / 2 * 8 + e % 2 * a.lda] = (T)acc[c][e];
}

/* Where element u of this thread is in a chunk of the triangle: neighbours read neighbours. */
MLAI_DEVICE int NAME(chunk_row)(int u, bool by_row)
{
    return by_row ? (int)threadIdx.x % PANEL : (int)threadIdx.x / REAL_DEPTH + 8 * u;
}
MLAI_DEVICE int NAME(chunk_column)(int u, bool by_row)
{
    return by_row ? (int)threadIdx.x / PANEL + 2 * u : (int)threadIdx.x % REAL_DEPTH;
}

/* Columns [k, k + REAL_DEPTH) of a row block of the triangle; `diagonal`: of its diagonal block,
 * with zeros above the diagonal and the identity beyond the end. */
MLAI_DEVICE void NAME(real_fetch)(double v[8], NAME(real_tile_t) l, int k, bool diagonal)
{
    const bool by_row = l.row == 1;
    const int64_t step = by_row ? 2 * l.column : 8 * l.row;
    const T *p =
        l.l + NAME(chunk_row)(0, by_row) * l.row + (k + NAME(chunk_column)(0, by_row)) * l.column;
#pragma unroll
    for (int u = 0; u < 8; u++, p += step) {
        int n = NAME(chunk_row)(u, by_row), c = k + NAME(chunk_column)(u, by_row);
        v[u] = diagonal && n == c ? 1 : 0;
        if (n < l.n && (!diagonal || c <= n)) v[u] = (double)t_load_l2(p);
    }
}
MLAI_DEVICE void NAME(real_store)(double (*to)[REAL_LD], const double v[8], NAME(real_tile_t) l)
{
#pragma unroll
    for (int u = 0; u < 8; u++)
        to[NAME(chunk_column)(u, l.row == 1)][NAME(chunk_row)(u, l.row == 1)] = v[u];
}

/* acc -= sum over k < j of X_k L_jk^T, X_k the own rows from column 64 k on. Chunks alternate
 * between two parts of s->l; the next one is on its way. */
static __device__ __forceinline__ void NAME(real_product)(real_shared_t *s, double acc[8][4],
                                                          NAME(real_rows_t) at,
                                                          NAME(real_tile_t) l, int j,
                                                          const unsigned *progress)
{
    enum { FRAGMENTS = REAL_DEPTH / 8, CHUNKS = PANEL / REAL_DEPTH };
    const int row = fragment_row(0);
    const T *p = at.a + row + fragment_column(0) * at.lda;
    double v[8] = {0}, x[FRAGMENTS][4], next[FRAGMENTS][4] = {{0}};
    for (int chunk = 0; chunk <= CHUNKS * j; chunk++) {
        double(*part)[REAL_LD] = s->l + REAL_DEPTH * (chunk & 1);
        if (chunk > 0) {
            NAME(real_store)(part, v, l);
#pragma unroll
            for (int e = 0; e < 4 * FRAGMENTS; e++) x[e / 4][e % 4] = next[e / 4][e % 4];
            __syncthreads();
        }
        if (chunk < CHUNKS * j) {
            if (progress && chunk % CHUNKS == 0)
                wait_for(progress, (unsigned)(chunk / CHUNKS) + 1);
            NAME(real_fetch)(v, l, REAL_DEPTH * chunk, false);
#pragma unroll
            for (int k = 0; k < FRAGMENTS; k++, p += 8 * at.lda)
#pragma unroll
                for (int e = 0; e < 4; e++)
                    next[k][e] =
                        row + e / 2 * 8 < at.rows ? (double)p[e / 2 * 8 + e % 2 * at.lda] : 0;
        }
        if (chunk == 0) continue;
#pragma unroll
        for (int k = 0; k < FRAGMENTS; k++)
#pragma unroll
            for (int c = 0; c < 8; c++) fragment_sub(acc[c], x[k], &part[8 * k][8 * c], REAL_LD);
    }
}

/* Column block j of a row block: acc := X_j, and to memory. `at`: the rows, from column 0 on.
 * progress, unless NULL: what row block j of the triangle has finished. */
static __device__ __forceinline__ void NAME(real_block)(real_shared_t *s, double acc[8][4],
                                                        NAME(real_rows_t) at,
                                                        NAME(real_tile_t) tile, int j,
                                                        double alpha, const unsigned *progress)
{
    NAME(real_rows_t) xj = at;
    NAME(real_tile_t) lj = tile;
    xj.a = at.a + (int64_t)j * PANEL * at.lda;
    lj.l = tile.l + (int64_t)j * PANEL * tile.row;
    lj.n = mlai_least(PANEL, tile.n - (int64_t)j * PANEL);
    NAME(real_read)(acc, xj, (int)lj.n, alpha);
    NAME(real_product)(s, acc, at, lj, j, progress);
    if (progress) wait_for(progress, (unsigned)j + 1);
    lj.l += (int64_t)j * PANEL * tile.column;
    double v[8];
    NAME(real_fetch)(v, lj, 0, true);
    __syncthreads(); // the products have been formed
#pragma unroll
    for (int k = 0; k < PANEL; k += REAL_DEPTH) {
        NAME(real_store)(s->l + k, v, lj);
        if (k + REAL_DEPTH < PANEL) NAME(real_fetch)(v, lj, k + REAL_DEPTH, true);
    }
    __syncthreads();
    real_invert(s);
    __syncthreads();
    real_solve(s, acc);
    NAME(real_write)(acc, xj, (int)lj.n);
    __syncthreads(); // s->l has been read
}

extern "C" __global__ void __launch_bounds__(MLAI_PANEL_REAL_THREADS)
    KERNEL(potrf_tile)(const mlai_potrf_tile_args_t p)
{
    MLAI_DYNAMIC_SHARED(unsigned char, raw);
    real_shared_t *s = (real_shared_t *)raw;
    T *a = (T *)p.a;
    unsigned *ticket = p.counters, *finished = p.counters + 1, *progress = p.counters + 2;
    if (threadIdx.x == 0) s->block = atomicAdd(ticket, 1u);
    __syncthreads();
    const int64_t block = s->block, row = block * PANEL;
    const int rows = (int)mlai_least(PANEL, p.n - row);
    NAME(real_rows_t) at = {a + row, p.lda, rows};
    NAME(real_tile_t) tile = {a, 1, p.lda, p.n};
    double acc[8][4], d[8][4];
#pragma unroll
    for (int e = 0; e < 32; e++) {
        int r = fragment_row(e), c = 8 * (e / 4) + fragment_column(e);
        d[e / 4][e % 4] =
            c <= r && r < rows ? (double)a[row + r + (row + c) * p.lda] : (r == c ? 1 : 0);
    }
    for (int j = 0; j < (int)block; j++) {
        NAME(real_block)(s, acc, at, tile, j, 1.0, &progress[j]);
        publish(&progress[block], (unsigned)j + 1);
        real_square(s, acc, d);
    }
    int bad = real_factor(s, d);
    for (int e = (int)threadIdx.x; e < PANEL * PANEL; e += MLAI_PANEL_REAL_THREADS) {
        int r = e % PANEL, c = e / PANEL;
        if (c <= r && r < rows) a[row + r + (row + c) * p.lda] = (T)s->x[c][r];
    }
    if (threadIdx.x == 0 && bad < rows && t_load_l2(p.info) == 0)
        *p.info = (int32_t)(p.first + row + bad + 1);
    publish(&progress[block], (unsigned)block + 1);
    if (threadIdx.x == 0 && atomicAdd(finished, 1u) == gridDim.x - 1)
        for (unsigned k = 0; k < gridDim.x + 2; k++) p.counters[k] = 0;
}

extern "C" __global__ void __launch_bounds__(MLAI_PANEL_REAL_THREADS, 2)
    KERNEL(trsm_rows)(const mlai_trsm_rows_args_t p)
{
    MLAI_DYNAMIC_SHARED(unsigned char, raw);
    real_shared_t *s = (real_shared_t *)raw;
    const int64_t row = (int64_t)blockIdx.x * PANEL;
    NAME(real_rows_t) at = {(T *)p.b + row, p.bcol, (int)mlai_least(PANEL, p.m - row)};
    NAME(real_rows_t) w = {(T *)p.w + row, p.wcol, at.rows};
    NAME(real_tile_t) tile = {(const T *)p.l, p.lrow, p.lcol, p.n};
    double acc[8][4];
    for (int j = 0; j * PANEL < p.n; j++) {
        NAME(real_block)(s, acc, at, tile, j, p.alpha, NULL);
        if (p.w) NAME(real_write)(acc, w, (int)mlai_least(PANEL, p.n - j * PANEL));
        w.a += PANEL * p.wcol;
    }
}
