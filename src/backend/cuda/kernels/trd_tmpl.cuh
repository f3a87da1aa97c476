/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/trd_tmpl.cuh: the kernels of trd.cu for elements T over reals R
 * (four_types.cuh). VEC: elements of a 16-byte word. */
#define VEC ((int)(16 / sizeof(T)))

typedef union NAME(trd_word) {
    T e[VEC];
    uint4 word;
} NAME(trd_word_t);

MLAI_DEVICE T NAME(trd_zero)(void)
{
    T zero;
    t_set(&zero, (R)0);
    return zero;
}

/* Sum over the lanes, in each of them; the order is that of a tree. */
MLAI_DEVICE T NAME(trd_warp_sum)(T x)
{
#pragma unroll
    for (int with = 16; with > 0; with /= 2) x = t_add(x, t_shuffle_xor(x, with));
    return x;
}

MLAI_DEVICE R NAME(trd_warp_sum_real)(R x)
{
#pragma unroll
    for (int with = 16; with > 0; with /= 2) x += t_shuffle_xor(x, with);
    return x;
}

/* Sum over the block's threads, in thread 0; `part` holds one number a warp. */
MLAI_DEVICE R NAME(trd_block_sum)(R x, R *part)
{
    x = NAME(trd_warp_sum_real)(x);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
    __syncthreads();
    R sum = 0;
    if (threadIdx.x == 0)
        for (int k = 0; k < (int)blockDim.x / 32; k++) sum += part[k];
    return sum;
}

/* ---- hetrd_column -------------------------------------------------------------------------- */

/* What all rows of w, column j - 1, and of column j need. */
typedef struct NAME(trd_step) {
    T wv[MLAI_TRD_WIDTH], vv[MLAI_TRD_WIDTH];     /* W^H v, V^H v */
    T vrow[MLAI_TRD_WIDTH], wrow[MLAI_TRD_WIDTH]; /* conj of row j of V, W */
    T wlast;                                      /* conj of w's element in that row */
    T tau;
    R alpha;
} NAME(trd_step_t);

/* Sum of the ranks' element r of y, in rank order. */
MLAI_DEVICE T NAME(trd_sum_ranks)(const mlai_hetrd_args_t *a, int64_t r)
{
    T sum = ((const T *)a->y)[r];
    for (int q = 1; q < a->nranks; q++) sum = t_add(sum, ((const T *)a->y)[r + q * a->stride]);
    return sum;
}

/* By one warp, after wv .. wrow are there. */
MLAI_DEVICE void NAME(trd_finish_step)(const mlai_hetrd_args_t *a, int k0, NAME(trd_step_t) * s)
{
    const int lane = (int)threadIdx.x;
    T row = NAME(trd_zero)();
    R cross = 0;
    for (int k = lane; k < k0; k += 32) {
        row = t_add_mul(row, t_conj(s->vrow[k]), s->wv[k]);
        row = t_add_mul(row, t_conj(s->wrow[k]), s->vv[k]);
        cross += t_real(t_mul(t_conj(s->vv[k]), s->wv[k]));
    }
    T minus, sum = NAME(trd_warp_sum)(row);
    cross = NAME(trd_warp_sum_real)(cross);
    if (lane > 0) return;
    t_set(&minus, (R)-1);
    R quad = t_real(NAME(trd_sum_ranks)(a, a->n - a->first - a->j)) - 2 * cross;
    s->tau = ((const T *)a->tau)[a->first + k0];
    s->alpha = (R)-0.5 * t_square(s->tau) * quad;
    T alpha, w = t_add_mul(NAME(trd_sum_ranks)(a, 0), minus, sum);
    t_set(&alpha, s->alpha);
    s->wlast = t_conj(t_add_mul(alpha, s->tau, w));
}

extern "C" __global__ void __launch_bounds__(MLAI_TRD_COLUMN_THREADS)
    KERNEL(hetrd_column)(const mlai_hetrd_args_t a)
{
    __shared__ NAME(trd_step_t) s;
    __shared__ R part[MLAI_TRD_COLUMN_THREADS / 32];
    const int last = a.j - 1; // column of w
    const T *dots = (const T *)a.dots;
    T *v = (T *)a.v, *w = (T *)a.w;
    // Filled up with zeros to a multiple of TRD_COLS.
    for (int k = (int)threadIdx.x; k < MLAI_TRD_WIDTH; k += MLAI_TRD_COLUMN_THREADS) {
        const bool in = k < last;
        s.wv[k] = in ? dots[k] : NAME(trd_zero)();
        s.vv[k] = in ? dots[last + k] : NAME(trd_zero)();
        s.vrow[k] = in ? t_conj(v[a.j + k * a.ld]) : NAME(trd_zero)();
        s.wrow[k] = in ? t_conj(w[a.j + k * a.ld]) : NAME(trd_zero)();
    }
    __syncthreads();
    if (last >= 0 && threadIdx.x < 32) NAME(trd_finish_step)(&a, last, &s);
    __syncthreads();

    // Row i of the panel, i - j of y.
    const int64_t i = a.j + (int64_t)blockIdx.x * MLAI_TRD_COLUMN_THREADS + threadIdx.x;
    R square = 0;
    if (i < a.n - a.first) {
        T x = NAME(trd_zero)();
        if (a.j < a.width) x = v[i + a.j * a.ld];
        if (last >= 0) {
            T y = NAME(trd_sum_ranks)(&a, i - a.j);
            for (int k0 = 0; k0 < last; k0 += TRD_COLS) { // all loads before the first use
                T vk[TRD_COLS], wk[TRD_COLS];
#pragma unroll
                for (int k = 0; k < TRD_COLS; k++) {
                    const int64_t at = i + mlai_least(k0 + k, last - 1) * a.ld;
                    vk[k] = v[at];
                    wk[k] = w[at];
                }
#pragma unroll
                for (int k = 0; k < TRD_COLS; k++) {
                    y = t_sub_mul(t_sub_mul(y, vk[k], s.wv[k0 + k]), wk[k], s.vv[k0 + k]);
                    x = t_sub_mul(t_sub_mul(x, vk[k], s.wrow[k0 + k]), wk[k], s.vrow[k0 + k]);
                }
            }
            T vl = v[i + last * a.ld], alpha, one;
            t_set(&alpha, s.alpha);
            t_set(&one, (R)1);
            T wl = t_add_mul(t_mul(s.tau, y), alpha, vl);
            w[i + last * a.ld] = wl;
            x = t_sub_mul(t_sub_mul(x, vl, s.wlast), wl, one);
        }
        if (a.j < a.width) {
            ((T *)a.x)[a.first + i] = x;
            if (i > a.j + 1) square = t_square(x);
            if (i == a.j) {
                a.diag[a.first + i] = (double)t_real(x);
                if (a.first + i == a.n - 1) { // no reflector
                    a.off[a.n - 1] = 0;
                    ((T *)a.tau)[a.n - 1] = NAME(trd_zero)();
                }
            }
        }
    }
    square = NAME(trd_block_sum)(square, part);
    if (threadIdx.x == 0) ((R *)a.square)[blockIdx.x] = square;
}

/* ---- hetrd_product ------------------------------------------------------------------------- */

/* The reflector of column j: v = scale x, and 1 at `from`. */
typedef struct NAME(trd_reflector) {
    T scale, tau;
    double off;
} NAME(trd_reflector_t);

/* By all threads; as LAPACK larfg. Where the whole column is nothing against a matrix of norm
 * about 1, it is dropped: its squares underflow. */
MLAI_DEVICE void NAME(trd_reflect)(const mlai_hetrd_args_t *a, R *part,
                                   NAME(trd_reflector_t) * reflector)
{
    R below = 0;
    for (int k = (int)threadIdx.x; k < a->squares; k += MLAI_TRD_THREADS)
        below += ((const R *)a->square)[k];
    below = NAME(trd_block_sum)(below, part);
    if (threadIdx.x == 0) {
        T top = ((const T *)a->x)[a->first + a->j + 1];
        double re = (double)t_real(top), im = (double)t_imag(top), sum = (double)below;
        double beta = -copysign(sqrt(re * re + im * im + sum), re);
        double nothing = sizeof(R) == 4 ? 1e-13 : 1e-140;
        if ((sum == 0 && im == 0) || fabs(beta) < nothing) {
            reflector->scale = NAME(trd_zero)();
            reflector->tau = NAME(trd_zero)();
            reflector->off = re;
        } else {
            double ar = re - beta, d = ar * ar + im * im;
            t_set_parts(&reflector->scale, (R)(ar / d), (R)(-im / d)); // 1 / (top - beta)
            t_set_parts(&reflector->tau, (R)((beta - re) / beta), (R)(-im / beta));
            reflector->off = beta;
        }
    }
    __syncthreads();
}

/* Element of v at a position; 0 outside. */
MLAI_DEVICE T NAME(trd_v)(const mlai_hetrd_args_t *a, T scale, int32_t pos)
{
    const int32_t from = a->first + a->j + 1;
    T v;
    t_set(&v, pos == from ? (R)1 : (R)0);
    if (pos > from && pos < a->n) v = t_mul(scale, ((const T *)a->x)[pos]);
    return v;
}

/* Sums over the lanes of TRD_COLS = 8 numbers each: lane l gets number l % 8. */
MLAI_DEVICE T NAME(trd_scatter)(T *sum)
{
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int half = TRD_COLS / 2; half > 0; half /= 2) {
        const bool upper = lane & half;
#pragma unroll
        for (int k = 0; k < half; k++) {
            T keep = upper ? sum[k + half] : sum[k], give = upper ? sum[k] : sum[k + half];
            sum[k] = t_add(keep, t_shuffle_xor(give, half));
        }
    }
    T x = t_add(sum[0], t_shuffle_xor(sum[0], TRD_COLS));
    return t_add(x, t_shuffle_xor(x, 2 * TRD_COLS));
}

/* A run of rows of v to the panel, and its part of the dots, 8 at a time in a warp. */
MLAI_DEVICE void NAME(trd_dots)(const mlai_hetrd_args_t *a, T scale)
{
    __shared__ T run[MLAI_TRD_DOT_ROWS];
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, count = 2 * a->j;
    const int32_t pos = a->first + a->j + 1 + (int32_t)blockIdx.x * MLAI_TRD_DOT_ROWS;
    const int rows = (int)mlai_least(MLAI_TRD_DOT_ROWS, a->n - pos);
    const int64_t top = pos - a->first;
    for (int r = (int)threadIdx.x; r < rows; r += MLAI_TRD_THREADS) {
        run[r] = NAME(trd_v)(a, scale, pos + r);
        ((T *)a->v)[top + r + a->j * a->ld] = run[r];
    }
    __syncthreads();
    for (int k0 = warp * TRD_COLS; k0 < count; k0 += TRD_WARPS * TRD_COLS) {
        const T *column[TRD_COLS];
        T sum[TRD_COLS];
#pragma unroll
        for (int k = 0; k < TRD_COLS; k++) {
            const int c = k0 + k < count ? k0 + k : k0; // the others are not stored
            column[k] = c < a->j ? (const T *)a->w + c * a->ld + top
                                 : (const T *)a->v + (c - a->j) * a->ld + top;
            sum[k] = NAME(trd_zero)();
        }
#pragma unroll 2
        for (int r = lane; r < rows; r += 32)
#pragma unroll
            for (int k = 0; k < TRD_COLS; k++)
                sum[k] = t_add_mul(sum[k], t_conj(column[k][r]), run[r]);
        T mine = NAME(trd_scatter)(sum);
        if (lane < TRD_COLS && k0 + lane < count)
            ((T *)a->dot_part)[(int64_t)blockIdx.x * count + k0 + lane] = mine;
    }
}

/* What a block keeps of the strip it works on. */
typedef struct NAME(trd_strip) {
    T v[MLAI_TRD_STRIP];         /* of the columns' positions; 0: the column does not count */
    int32_t pos[MLAI_TRD_STRIP]; /* TRD_NEVER: it does not count */
} NAME(trd_strip_t);

MLAI_DEVICE void NAME(trd_load_strip)(const mlai_hetrd_args_t *a, T scale, int32_t s,
                                      NAME(trd_strip_t) * strip)
{
    const int32_t k = (int32_t)threadIdx.x, jl = s * MLAI_TRD_STRIP + k;
    if (k >= MLAI_TRD_STRIP) return;
    int32_t pos = jl < a->cols ? trd_position(a, jl) : TRD_NEVER;
    if (pos <= a->first + a->j) pos = TRD_NEVER;
    strip->pos[k] = pos;
    strip->v[k] = pos == TRD_NEVER ? NAME(trd_zero)() : NAME(trd_v)(a, scale, pos);
}

/* Rows row .. row + VEC - 1 of a warp's columns, all of them below their diagonals: column sums
 * added to sum, row sums to out. */
MLAI_DEVICE void NAME(trd_tile_inside)(const mlai_hetrd_args_t *a, T scale, const T *column,
                                       int32_t row, const T *vc, T *sum, T *out)
{
    NAME(trd_word_t) e[TRD_COLS], x;
#pragma unroll
    for (int k = 0; k < TRD_COLS; k++)
        e[k].word = *(const uint4 *)(column + row + (int64_t)k * a->lda);
    x.word = *(const uint4 *)((const T *)a->x + row);
#pragma unroll
    for (int i = 0; i < VEC; i++) {
        T xi = t_mul(scale, x.e[i]), y = NAME(trd_zero)();
#pragma unroll
        for (int k = 0; k < TRD_COLS; k++) {
            y = t_add_mul(y, e[k].e[i], vc[k]);
            sum[k] = t_add_mul(sum[k], t_conj(e[k].e[i]), xi);
        }
        out[i] = y;
    }
}

/* The same where diagonals, ends or odd addresses are. */
MLAI_DEVICE void NAME(trd_tile_edge)(const mlai_hetrd_args_t *a, T scale, const T *column,
                                     int32_t row, const int32_t *pos, const T *vc, T *sum, T *out)
{
#pragma unroll 1
    for (int i = 0; i < VEC; i++) {
        T xi = NAME(trd_v)(a, scale, row + i), y = NAME(trd_zero)();
#pragma unroll
        for (int k = 0; k < TRD_COLS; k++) {
            if (row + i >= a->n || row + i < pos[k]) continue;
            T e = column[row + i + (int64_t)k * a->lda];
            if (row + i == pos[k]) {
                t_set(&e, t_real(e));
            } else {
                sum[k] = t_add_mul(sum[k], t_conj(e), xi);
            }
            y = t_add_mul(y, e, vc[k]);
        }
        out[i] = y;
    }
}

/* One unit: strip s, chunk q. Returns this thread's part of re(v^H y). */
MLAI_DEVICE R NAME(trd_unit)(const mlai_hetrd_args_t *a, T scale, int32_t s, int32_t q,
                             const NAME(trd_strip_t) * strip, T rows[TRD_WARPS][MLAI_TRD_CHUNK])
{
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, c0 = warp * TRD_COLS;
    const int32_t jl = s * MLAI_TRD_STRIP + c0, row0 = q * MLAI_TRD_CHUNK;
    // A warp without columns reads nothing: its positions are TRD_NEVER.
    const T *column = (const T *)a->a + (int64_t)jl * a->lda;
    const int32_t *pos = strip->pos + c0;
    const T *vc = strip->v + c0;
    int32_t deepest = 0;
    T sum[TRD_COLS];
#pragma unroll
    for (int k = 0; k < TRD_COLS; k++) {
        sum[k] = NAME(trd_zero)();
        if (pos[k] > deepest) deepest = pos[k];
    }
#pragma unroll 1
    for (int tile = 0; tile < MLAI_TRD_CHUNK; tile += 32 * VEC) {
        const int at = tile + lane * VEC;
        if (a->wide && row0 + tile > deepest && row0 + tile + 32 * VEC <= a->n)
            NAME(trd_tile_inside)(a, scale, column, row0 + at, vc, sum, &rows[warp][at]);
        else
            NAME(trd_tile_edge)(a, scale, column, row0 + at, pos, vc, sum, &rows[warp][at]);
    }
    T mine = NAME(trd_scatter)(sum);
    R quad = 0;
    if (lane < TRD_COLS && jl + lane < a->cols) {
        ((T *)a->col_sum)[(int64_t)q * a->lc + jl + lane] = mine;
        quad += t_real(t_mul(t_conj(vc[lane]), mine));
    }
    __syncthreads();
    const int32_t row = row0 + (int32_t)threadIdx.x;
    if (row < a->n) {
        T y = rows[0][threadIdx.x];
#pragma unroll
        for (int k = 1; k < TRD_WARPS; k++) y = t_add(y, rows[k][threadIdx.x]);
        ((T *)a->row_sum)[(int64_t)s * a->n + row] = y;
        quad += t_real(t_mul(t_conj(NAME(trd_v)(a, scale, row)), y));
    }
    __syncthreads();
    return quad;
}

extern "C" __global__ void __launch_bounds__(MLAI_TRD_THREADS, MLAI_TRD_BLOCKS)
    KERNEL(hetrd_product)(const mlai_hetrd_args_t a)
{
    __shared__ R part[TRD_WARPS];
    __shared__ NAME(trd_reflector_t) reflector;
    __shared__ NAME(trd_strip_t) strip;
    __shared__ T rows[TRD_WARPS][MLAI_TRD_CHUNK];
    NAME(trd_reflect)(&a, part, &reflector);
    const T scale = reflector.scale;
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        a.off[a.first + a.j] = reflector.off;
        ((T *)a.tau)[a.first + a.j] = reflector.tau;
    }
    if ((int)blockIdx.x < a.dot_blocks) {
        NAME(trd_dots)(&a, scale);
        return;
    }
    // Units in use: those of the first strip from a.chunk on, those of all later strips.
    const int b = (int)blockIdx.x - a.dot_blocks;
    const bool any = a.strip < a.strips; // own columns are left
    const int32_t top = any ? trd_chunks(&a) - a.chunk : 0;
    const int32_t later = a.units[any ? a.strip + 1 : a.strips];
    const int64_t total = top + (a.units[a.strips] - later);
    const int32_t end = (int32_t)(total * (b + 1) / a.quads);
    int32_t u = (int32_t)(total * b / a.quads), s = -1;
    R quad = 0;
    for (; u < end; u++) {
        int32_t at = a.strip;
        if (u >= top) at = trd_strip_of(&a, later + u - top, a.strip + 1, a.strips);
        if (at != s) NAME(trd_load_strip)(&a, scale, s = at, &strip);
        __syncthreads();
        int32_t q =
            s == a.strip ? a.chunk + u : trd_first_chunk(&a, s) + (later + u - top) - a.units[s];
        quad += NAME(trd_unit)(&a, scale, s, q, &strip, rows);
    }
    __syncthreads();
    quad = NAME(trd_block_sum)(quad, part);
    if (threadIdx.x == 0) ((R *)a.quad)[b] = quad;
}

/* ---- hetrd_gather -------------------------------------------------------------------------- */

/* The block's rows of y: a row's strips and, if it is an own column, its chunks, dealt to 8
 * groups of threads. */
MLAI_DEVICE void NAME(trd_gather_rows)(const mlai_hetrd_args_t *a)
{
    enum { ROWS = MLAI_TRD_GATHER_ROWS, GROUPS = MLAI_TRD_THREADS / ROWS };
    __shared__ T part[GROUPS][ROWS];
    const int32_t from = a->first + a->j + 1, k = (int32_t)threadIdx.x % ROWS;
    const int32_t group = (int32_t)threadIdx.x / ROWS;
    const int32_t row = from / ROWS * ROWS + (int32_t)blockIdx.x * ROWS + k;
    T sum = NAME(trd_zero)();
    if (row >= from && row < a->n) {
        const int32_t chunks = trd_chunks(a), q = row / MLAI_TRD_CHUNK;
        int32_t lo = a->strip, hi = a->strips; // strips lo and before it reach up to this row
        while (hi - lo > 1) {
            int32_t mid = (lo + hi) / 2;
            if (trd_first_chunk(a, mid) <= q)
                lo = mid;
            else
                hi = mid;
        }
        const bool any = a->strip < a->strips && a->chunk <= q;
#pragma unroll 4
        for (int32_t s = a->strip + group; any && s <= lo; s += GROUPS)
            sum = t_add(sum, ((const T *)a->row_sum)[(int64_t)s * a->n + row]);
        const int32_t jl = trd_local(a, row);
        if (jl >= 0)
            for (int32_t c = trd_first_chunk(a, jl / MLAI_TRD_STRIP) + group; c < chunks;
                 c += GROUPS)
                sum = t_add(sum, ((const T *)a->col_sum)[(int64_t)c * a->lc + jl]);
    }
    part[group][k] = sum;
    __syncthreads();
    if (group > 0 || row < from || row >= a->n) return;
    for (int g = 1; g < GROUPS; g++) sum = t_add(sum, part[g][k]);
    ((T *)a->y)[a->rank * a->stride + row - from] = sum;
}

extern "C" __global__ void __launch_bounds__(MLAI_TRD_THREADS)
    KERNEL(hetrd_gather)(const mlai_hetrd_args_t a)
{
    const int32_t from = a.first + a.j + 1, base = from / MLAI_TRD_GATHER_ROWS;
    const int32_t blocks = (a.n - 1) / MLAI_TRD_GATHER_ROWS - base + 1;
    if ((int32_t)blockIdx.x < blocks) {
        NAME(trd_gather_rows)(&a);
        return;
    }
    // A warp a number: the dots, then v^H y.
    const int count = 2 * a.j, lane = (int)threadIdx.x % 32;
    const int k = ((int)blockIdx.x - blocks) * TRD_WARPS + (int)threadIdx.x / 32;
    if (k > count) return;
    T sum = NAME(trd_zero)();
    if (k < count) {
#pragma unroll 4
        for (int b = lane; b < a.dot_blocks; b += 32)
            sum = t_add(sum, ((const T *)a.dot_part)[(int64_t)b * count + k]);
        sum = NAME(trd_warp_sum)(sum);
        if (lane == 0) ((T *)a.dots)[k] = sum;
        return;
    }
    R quad = 0;
#pragma unroll 4
    for (int b = lane; b < a.quads; b += 32) quad += ((const R *)a.quad)[b];
    t_set(&sum, NAME(trd_warp_sum_real)(quad));
    if (lane == 0) ((T *)a.y)[a.rank * a.stride + a.n - from] = sum;
}

/* ---- larft_diag ---------------------------------------------------------------------------- */

extern "C" __global__ void KERNEL(larft_diag)(const mlai_larft_diag_args_t a)
{
    const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= a.n) return;
    T tau = ((const T *)a.tau)[j], e;
    R square = t_square(tau);
    t_set(&e, (R)(sizeof(R) == 4 ? 1e30 : 1e250));
    if (square > 0) t_set_parts(&e, t_real(tau) / square, t_imag(tau) / square);
    ((T *)a.a)[j * (a.lda + 1)] = e;
}

#undef VEC
