/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/panel_complex_tmpl.cuh: potrf_tile and trsm_rows for complex
 * elements T (complex_types.cuh).
 *
 * Two layouts of a 64 x 64 block over 256 threads: in products thread (x, y) = (t % 16, t / 16)
 * has four rows and four columns, in runs of 16 bytes; in substitutions four neighbouring threads
 * have a row, thread t % 4 its columns t % 4 + 4 q, q < 16. Shared memory changes the one into
 * the other. */
enum {
    NAME(RUN) = 16 / sizeof(T),
    NAME(LD) = PANEL + (NAME(RUN) == 1 ? 1 : NAME(RUN)) /* of a block in shared memory */
};

typedef struct __align__(16) NAME(run)
{
    T v[NAME(RUN)];
}
NAME(run_t);

typedef struct NAME(panel_shared) {
    T x[PANEL][NAME(LD)]; /* [column][row]: the block in work */
    union {
        T l[PANEL][PANEL + 1]; /* [column][row]: the diagonal block */
        T chunk[2][PANEL_DEPTH][PANEL];
        T column[2][PANEL];
    } u;
    T inverse[PANEL]; /* of the diagonal */
    long long block;
} NAME(panel_shared_t);

static_assert(sizeof(NAME(panel_shared_t)) <= MLAI_PANEL_COMPLEX_SHARED(sizeof(T)),
              "shared memory");

/* Rows of A as a block sees them: `rows` of 64 are there. */
typedef struct NAME(panel_rows) {
    T *a;
    int64_t lda;
    int rows;
} NAME(panel_rows_t);

/* The triangle: element (i, j) at l + i*row + j*column. */
typedef struct NAME(panel_tile) {
    const T *l;
    int64_t row, column, n;
    bool conjugate; /* L^H is meant, not L^T */
} NAME(panel_tile_t);

/* Row i of thread x, or column: runs of 16 bytes, so that neighbours' runs join. */
MLAI_DEVICE int NAME(place)(int x, int i)
{
    return i / NAME(RUN) * 16 * NAME(RUN) + x * NAME(RUN) + i % NAME(RUN);
}

/* The four of thread x, from one column in shared memory. */
MLAI_DEVICE void NAME(take)(T out[4], const T *column, int x)
{
#pragma unroll
    for (int i = 0; i < 4; i += NAME(RUN)) {
        NAME(run_t) run = *(const NAME(run_t) *)(column + NAME(place)(x, i));
#pragma unroll
        for (int e = 0; e < NAME(RUN); e++) out[i + e] = run.v[e];
    }
}

/* acc -= p q */
MLAI_DEVICE void NAME(rank_one)(T acc[4][4], const T p[4], const T q[4])
{
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) acc[i][j] = t_sub_mul(acc[i][j], p[i], q[j]);
}

/* acc -= X_i L_j^H, 64 columns from a and l on; the next chunk is on its way. */
static __device__ void NAME(panel_product)(NAME(panel_shared_t) * s, T acc[4][4],
                                           NAME(panel_rows_t) a, NAME(panel_tile_t) l)
{
    const int tid = (int)threadIdx.x, x = tid % 16, y = tid / 16, row = tid % PANEL;
    const int first = tid / PANEL; // columns first, first + 4, ... of a chunk
    T va[4], vb[4], zero;
    t_set(&zero, (R)0);
    for (int depth = 0; depth <= PANEL; depth += PANEL_DEPTH) {
        if (depth > 0) {
            __syncthreads(); // the chunk before has been read
#pragma unroll
            for (int u = 0; u < 4; u++) {
                s->u.chunk[0][first + 4 * u][row] = va[u];
                s->u.chunk[1][first + 4 * u][row] = l.conjugate ? t_conj(vb[u]) : vb[u];
            }
            __syncthreads();
        }
        if (depth < PANEL)
#pragma unroll
            for (int u = 0; u < 4; u++) {
                int64_t column = depth + first + 4 * u;
                va[u] = row < a.rows ? t_load_l2(a.a + row + column * a.lda) : zero;
                vb[u] = row < l.n ? t_load_l2(l.l + row * l.row + column * l.column) : zero;
            }
        if (depth == 0) continue;
#pragma unroll
        for (int k = 0; k < PANEL_DEPTH; k++) {
            T p[4], q[4];
            NAME(take)(p, s->u.chunk[0][k], x);
            NAME(take)(q, s->u.chunk[1][k], y);
            NAME(rank_one)(acc, p, q);
        }
    }
    __syncthreads();
}

/* d -= x x^H */
static __device__ void NAME(panel_square)(const NAME(panel_shared_t) * s, T d[4][4])
{
    const int x = (int)threadIdx.x % 16, y = (int)threadIdx.x / 16;
#pragma unroll 8
    for (int k = 0; k < PANEL; k++) {
        T p[4], q[4];
        NAME(take)(p, s->x[k], x);
        NAME(take)(q, s->x[k], y);
#pragma unroll
        for (int i = 0; i < 4; i++) q[i] = t_conj(q[i]);
        NAME(rank_one)(d, p, q);
    }
}

/* acc := the block at `a`, cols columns, zeros around; lower: its lower triangle. */
MLAI_DEVICE void NAME(panel_read)(T acc[4][4], NAME(panel_rows_t) a, int cols, bool lower)
{
    const int x = (int)threadIdx.x % 16, y = (int)threadIdx.x / 16;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int r = NAME(place)(x, i), c = NAME(place)(y, j);
            t_set(&acc[i][j], (R)0);
            if (r < a.rows && c < cols && (!lower || r >= c)) acc[i][j] = a.a[r + c * a.lda];
        }
}

MLAI_DEVICE void NAME(panel_share)(NAME(panel_shared_t) * s, T acc[4][4])
{
    const int x = (int)threadIdx.x % 16, y = (int)threadIdx.x / 16;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) s->x[NAME(place)(y, j)][NAME(place)(x, i)] = acc[i][j];
}

/* s->x := s->x L^-H, L the lower triangle at `l`. */
static __device__ void NAME(panel_solve)(NAME(panel_shared_t) * s, NAME(panel_tile_t) l)
{
    const int tid = (int)threadIdx.x, row = tid / 4, part = tid % 4;
    for (int e = tid; e < PANEL * PANEL; e += MLAI_PANEL_COMPLEX_THREADS) {
        int r = l.row == 1 ? e % PANEL : e / PANEL, c = l.row == 1 ? e / PANEL : e % PANEL;
        T value;
        t_set(&value, r == c ? (R)1 : (R)0);
        if (c <= r && r < l.n) value = t_load_l2(l.l + r * l.row + c * l.column);
        s->u.l[c][r] = l.conjugate ? t_conj(value) : value;
    }
    __syncthreads();
    if (tid < PANEL) s->inverse[tid] = t_inverse(s->u.l[tid][tid]);
    __syncthreads();
    T x[PANEL_COLS];
#pragma unroll
    for (int q = 0; q < PANEL_COLS; q++) x[q] = s->x[part + 4 * q][row];
#pragma unroll
    for (int q = 0; q < PANEL_COLS; q++)
#pragma unroll
        for (int p = 0; p < 4; p++) {
            const int k = 4 * q + p;
            T xk = t_mul(t_shuffle_quad(x[q], p), s->inverse[k]);
            if (part == p) x[q] = xk;
            if (part > p) x[q] = t_sub_mul(x[q], xk, s->u.l[k][part + 4 * q]);
#pragma unroll
            for (int c = q + 1; c < PANEL_COLS; c++)
                x[c] = t_sub_mul(x[c], xk, s->u.l[k][part + 4 * c]);
        }
#pragma unroll
    for (int q = 0; q < PANEL_COLS; q++) s->x[part + 4 * q][row] = x[q];
    __syncthreads();
}

/* s->x to memory. */
MLAI_DEVICE void NAME(panel_write)(const NAME(panel_shared_t) * s, NAME(panel_rows_t) a, int cols)
{
    for (int e = (int)threadIdx.x; e < PANEL * cols; e += MLAI_PANEL_COMPLEX_THREADS) {
        int r = e % PANEL, c = e / PANEL;
        if (r < a.rows) a.a[r + (int64_t)c * a.lda] = s->x[c][r];
    }
}

/* Cholesky factor of the lower triangle of s->x, n x n, to memory. Returns the first column whose
 * pivot is not positive, or n; it and all after it are NaN. One barrier a column: a column is
 * shared as it is, and each thread scales it for itself. */
static __device__ int NAME(panel_factor)(NAME(panel_shared_t) * s, NAME(panel_rows_t) a)
{
    const int row = (int)threadIdx.x / 4, part = (int)threadIdx.x % 4, n = a.rows;
    int bad = n;
    T x[PANEL_COLS];
#pragma unroll
    for (int q = 0; q < PANEL_COLS; q++) {
        x[q] = s->x[part + 4 * q][row];
        if (row >= n) t_set(&x[q], row == part + 4 * q ? (R)1 : (R)0);
    }
#pragma unroll
    for (int q = 0; q < PANEL_COLS; q++)
#pragma unroll
        for (int p = 0; p < 4; p++) {
            const int k = 4 * q + p;
            T *column = s->u.column[k % 2];
            if (part == p) column[row] = x[q];
            __syncthreads();
            R pivot = t_real(column[k]), inverse = t_rsqrt(pivot);
            if (!(pivot > 0)) {
                if (bad == n && k < n) bad = k;
                mlai_set_nan(&inverse);
            }
            T y = t_scale(t_scale(column[row], inverse), inverse); // the update: y conj(column)
            if (part == p) x[q] = t_scale(x[q], inverse);
            if (part > p) x[q] = t_sub_mul(x[q], y, t_conj(column[part + 4 * q]));
#pragma unroll
            for (int c = q + 1; c < PANEL_COLS; c++)
                x[c] = t_sub_mul(x[c], y, t_conj(column[part + 4 * c]));
        }
#pragma unroll
    for (int q = 0; q < PANEL_COLS; q++) {
        int c = part + 4 * q;
        if (c == row && t_real(x[q]) == t_real(x[q])) t_set(&x[q], t_real(x[q]));
        if (c == row && t_real(x[q]) != t_real(x[q])) t_set_nan(&x[q]);
        if (c <= row && row < n) a.a[row + (int64_t)c * a.lda] = x[q];
    }
    return bad;
}

/* Column block j of row block i: s->x := X_ij. `at`: rows of i, column 0; tile: L. progress,
 * unless NULL: what the blocks of the tile have finished. */
static __device__ void NAME(panel_block)(NAME(panel_shared_t) * s, NAME(panel_rows_t) at,
                                         NAME(panel_tile_t) tile, int64_t j, R alpha,
                                         const unsigned *progress)
{
    T acc[4][4];
    NAME(panel_rows_t) xi = at;
    NAME(panel_tile_t) lj = tile;
    xi.a = at.a + j * PANEL * at.lda;
    lj.l = tile.l + j * PANEL * tile.row;
    lj.n = mlai_least(PANEL, tile.n - j * PANEL);
    NAME(panel_read)(acc, xi, (int)lj.n, false);
    if (alpha != (R)1)
#pragma unroll
        for (int i = 0; i < 16; i++) acc[i / 4][i % 4] = t_scale(acc[i / 4][i % 4], alpha);
    for (int64_t k = 0; k < j; k++) {
        if (progress) wait_for(&progress[j], (unsigned)k + 1);
        NAME(panel_rows_t) left = at;
        NAME(panel_tile_t) right = lj;
        left.a = at.a + k * PANEL * at.lda;
        right.l = lj.l + k * PANEL * lj.column;
        NAME(panel_product)(s, acc, left, right);
    }
    if (progress) wait_for(&progress[j], (unsigned)j + 1);
    NAME(panel_share)(s, acc);
    lj.l += j * PANEL * lj.column;
    __syncthreads();
    NAME(panel_solve)(s, lj);
    NAME(panel_write)(s, xi, (int)lj.n);
}

extern "C" __global__ void __launch_bounds__(MLAI_PANEL_COMPLEX_THREADS)
    KERNEL(potrf_tile)(const mlai_potrf_tile_args_t p)
{
    MLAI_DYNAMIC_SHARED(unsigned char, raw);
    NAME(panel_shared_t) *s = (NAME(panel_shared_t) *)raw;
    T *a = (T *)p.a;
    unsigned *ticket = p.counters, *finished = p.counters + 1, *progress = p.counters + 2;
    if (threadIdx.x == 0) s->block = atomicAdd(ticket, 1u);
    __syncthreads();
    const int64_t block = s->block, row = block * PANEL;
    const int rows = (int)mlai_least(PANEL, p.n - row);
    NAME(panel_rows_t) at = {a + row, p.lda, rows};
    NAME(panel_rows_t) diagonal = {a + row + row * p.lda, p.lda, rows};
    NAME(panel_tile_t) tile = {a, 1, p.lda, p.n, true};
    T d[4][4];
    NAME(panel_read)(d, diagonal, PANEL, true);
    for (int64_t j = 0; j < block; j++) {
        NAME(panel_block)(s, at, tile, j, (R)1, progress);
        publish(&progress[block], (unsigned)j + 1);
        NAME(panel_square)(s, d);
        __syncthreads(); // s->x has been read
    }
    NAME(panel_share)(s, d);
    __syncthreads();
    int bad = NAME(panel_factor)(s, diagonal);
    if (threadIdx.x == 0 && bad < rows && t_load_l2(p.info) == 0)
        *p.info = (int32_t)(p.first + row + bad + 1);
    publish(&progress[block], (unsigned)block + 1);
    if (threadIdx.x == 0 && atomicAdd(finished, 1u) == gridDim.x - 1)
        for (unsigned k = 0; k < gridDim.x + 2; k++) p.counters[k] = 0;
}

extern "C" __global__ void __launch_bounds__(MLAI_PANEL_COMPLEX_THREADS)
    KERNEL(trsm_rows)(const mlai_trsm_rows_args_t p)
{
    MLAI_DYNAMIC_SHARED(unsigned char, raw);
    NAME(panel_shared_t) *s = (NAME(panel_shared_t) *)raw;
    const int64_t row = (int64_t)blockIdx.x * PANEL;
    NAME(panel_rows_t) at = {(T *)p.b + row, p.bcol, (int)mlai_least(PANEL, p.m - row)};
    NAME(panel_rows_t) w = {(T *)p.w + row, p.wcol, at.rows};
    NAME(panel_tile_t) tile = {(const T *)p.l, p.lrow, p.lcol, p.n, p.conjugate != 0};
    for (int64_t j = 0; j * PANEL < p.n; j++) {
        NAME(panel_block)(s, at, tile, j, (R)p.alpha, NULL);
        if (p.w) NAME(panel_write)(s, w, (int)mlai_least(PANEL, p.n - j * PANEL));
        w.a += PANEL * p.wcol;
        __syncthreads(); // s->x has been read, and own columns are there for the next product
    }
}
