/* SPDX-License-Identifier: Apache-2.0
 * src/algo/unmtr.c: eigenvectors of the tridiagonal (kd = 1) or band matrix to those of B',
 * Z := Q Z.
 *
 * Q = H_0 H_1 ..., reflector i in column i from row i + kd on, as mlai_hetrd and mlai_he2hb leave
 * them. A rank has whole columns of Z. From the last group of k reflectors to the first:
 *
 *     owners  V, m x k, one piece a tile, broadcast
 *     all     Z := (I - V T V^H) Z,  T^-H = stril(V^H V) + diag(1 / conj(tau))
 *
 * T is found as the inverse of a triangle (Joffrain, Low, Quintana-Orti, van de Geijn,
 * "Accumulating Householder transformations, revisited", ACM TOMS 32 (2006),
 * doi 10.1145/1141885.1141886). Two buffers for V: the broadcast of a group, on the communication
 * stream, overlaps the products of the one before.
 *
 * 2 n^2 cols flops and about k n^2 for T; n^2/2 words received; window 2 n k words. */
#include "algo/algo.h"

enum { LEAST = 64, MOST = 256, EV_READY = 0, EV_DONE = 1 };

typedef struct unmtr {
    mla_context_t *x;
    const mlai_dist_t *d;
    mla_dtype_t dt;
    int64_t n, kd, lda, cols, ldz, group; /* group: reflectors at a time */
    const char *a, *tau;
    char *z, *base, *w, *w2, *s, *t;
    size_t v_size; /* of a buffer in the window */
    uint64_t seq[2];
    mlai_stream_t main, comm;
} unmtr_t;

/* Reflectors at positions [first, first + k), of length at most m. */
typedef struct group {
    int64_t first, k, m;
} group_t;

/* Wide enough for GEMM, and the two buffers at most a quarter of a shard. */
static int64_t group_width(const mlai_dist_t *d)
{
    int64_t k = mlai_max(LEAST, mlai_min(d->lc / 8 / 32 * 32, MOST));
    return mlai_min(k, d->n);
}

static size_t bytes_of(const mla_desc_t *desc, int64_t m, int64_t n)
{
    return mlai_size_align(mlai_size_mat(m, n, mlai_sizeof(desc->dtype)));
}

mlai_space_t mlai_unmtr_space(const mla_desc_t *desc, const mlai_dist_t *d, int64_t most)
{
    int64_t k = group_width(d);
    size_t work = mlai_size_add(bytes_of(desc, k, most), bytes_of(desc, k, k));
    return (mlai_space_t){.work = mlai_size_mul(work, 2),
                          .window = mlai_size_mul(bytes_of(desc, desc->n, k), 2)};
}

/* Own reflectors of a tile, w of them from local column jl on, to column `at` of V; what V has
 * above its diagonal is 0, and 1 on it. */
static mla_status_t pack(unmtr_t *f, const group_t *g, int64_t jl, int64_t at, int64_t w, void *v)
{
    mla_context_t *x = f->x;
    MLAI_TRY(MLAI_BE(x, lacpy, f->comm, f->dt, MLAI_FULL, g->m, w,
                     mlai_at(f->a, f->dt, f->lda, g->first + f->kd, jl), f->lda, v, g->m));
    MLAI_TRY(MLAI_BE(x, laset, f->comm, f->dt, MLAI_FULL, at, w, 0.0, 0.0, v, g->m));
    return MLAI_BE(x, laset, f->comm, f->dt, MLAI_UPPER, w, w, 0.0, 1.0,
                   mlai_at(v, f->dt, g->m, at, 0), g->m);
}

/* V of the group to window buffer b of all ranks: from each tile that the group meets, a piece
 * from its owner. */
static mla_status_t share(unmtr_t *f, const group_t *g, int b)
{
    mla_context_t *x = f->x;
    const mlai_dist_t *d = f->d;
    size_t start = (size_t)b * f->v_size, column = mlai_size_mat(g->m, 1, mlai_sizeof(f->dt));
    for (int64_t tile = 0; tile < mlai_dist_tiles(d); tile++) {
        int64_t off = mlai_dist_off(d, tile), from = mlai_max(off, g->first);
        int64_t w = mlai_min(off + mlai_dist_width(d, tile), g->first + g->k) - from;
        int owner = mlai_dist_owner(d, tile);
        if (w <= 0) continue;
        size_t piece = start + (size_t)(from - g->first) * column;
        if (owner == x->comm->rank) {
            MLAI_TRY(MLAI_COMM(x, reuse, f->comm, f->seq[b]));
            MLAI_TRY(pack(f, g, mlai_dist_local(d, tile) + from - off, from - g->first, w,
                          f->base + piece));
        }
        MLAI_TRY(MLAI_COMM(x, bcast, f->comm, piece, (size_t)w * column, owner));
    }
    f->seq[b] = x->comm->seq;
    return MLA_OK;
}

/* Z := (I - V T V^H) Z */
static mla_status_t apply(unmtr_t *f, const group_t *g, int b)
{
    mla_context_t *x = f->x;
    int64_t k = g->k, m = g->m;
    const void *v = f->base + (size_t)b * f->v_size;
    void *z = mlai_at(f->z, f->dt, f->ldz, g->first + f->kd, 0);
    if (f->cols == 0) return MLA_OK;
    MLAI_TRY(MLAI_BE(x, herk, f->main, f->dt, MLAI_C, k, m, 1.0, v, m, 0.0, f->s, k));
    MLAI_TRY(MLAI_BE(x, larft_diag, f->main, f->dt, k, mlai_at(f->tau, f->dt, 1, g->first, 0),
                     f->s, k));
    MLAI_TRY(MLAI_BE(x, trtri_tile, f->main, f->dt, k, f->s, k, f->t, k));
    MLAI_TRY(MLAI_BE(x, gemm, f->main, f->dt, MLAI_C, MLAI_N, k, f->cols, m, 1.0, v, m, z, f->ldz,
                     0.0, f->w, k));
    MLAI_TRY(MLAI_BE(x, gemm, f->main, f->dt, MLAI_C, MLAI_N, k, f->cols, k, 1.0, f->t, k, f->w,
                     k, 0.0, f->w2, k));
    return MLAI_BE(x, gemm, f->main, f->dt, MLAI_N, MLAI_N, m, f->cols, k, -1.0, v, m, f->w2, k,
                   1.0, z, f->ldz);
}

/* Group number i of all n - kd reflectors. */
static group_t group_at(const unmtr_t *f, int64_t i)
{
    int64_t first = i * f->group, k = mlai_min(f->group, f->n - f->kd - first);
    return (group_t){.first = first, .k = k, .m = f->n - f->kd - first};
}

static mla_status_t loop(unmtr_t *f)
{
    mla_context_t *x = f->x;
    int64_t last = mlai_ceil_div(mlai_max(0, f->n - f->kd), f->group) - 1;
    group_t g = group_at(f, last);
    MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY));
    if (last >= 0) MLAI_TRY(share(f, &g, (int)(last % 2)));
    for (int64_t i = last; i >= 0; i--) {
        MLAI_TRY(mlai_after(x, f->main, f->comm, EV_DONE));
        group_t next = group_at(f, i - 1);
        if (i > 0) {
            // Main has no product with the other buffer after what it holds now.
            MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY));
            MLAI_TRY(share(f, &next, (int)((i - 1) % 2)));
        }
        MLAI_TRY(apply(f, &g, (int)(i % 2)));
        g = next;
    }
    return MLA_OK;
}

mla_status_t mlai_unmtr(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                        int64_t kd, const void *a, const void *tau, int64_t cols, void *z,
                        int64_t ldz, void *work, void *base)
{
    MLAI_RANGE(x, "unmtr");
    int64_t k = group_width(d);
    unmtr_t f = {.x = x,
                 .d = d,
                 .dt = desc->dtype,
                 .n = desc->n,
                 .kd = kd,
                 .lda = desc->ld,
                 .cols = cols,
                 .ldz = ldz,
                 .group = k,
                 .a = a,
                 .tau = tau,
                 .z = z,
                 .base = base,
                 .v_size = bytes_of(desc, desc->n, k),
                 .seq = {x->comm->seq, x->comm->seq},
                 .main = mlai_stream(x, MLAI_STREAM_MAIN),
                 .comm = mlai_stream(x, MLAI_STREAM_COMM)};
    f.s = work;
    f.t = f.s + bytes_of(desc, k, k);
    f.w = f.t + bytes_of(desc, k, k);
    f.w2 = f.w + bytes_of(desc, k, cols);
    return loop(&f);
}
