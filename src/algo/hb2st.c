/* SPDX-License-Identifier: Apache-2.0
 * src/algo/hb2st.c: Hermitian band to real tridiagonal form, Q2^H B Q2 = T, and Z := Q2 Z.
 *
 * Bulge chasing. Sweep q annihilates column q - 1 below its first subdiagonal element with a
 * reflector on the rows [q, q + kd). On both sides of the matrix it fills the triangle below the
 * band; the first column of that bulge is annihilated by a reflector kd rows further down, and so
 * on to the end of the matrix (what is left of a bulge the next sweep takes along):
 *
 *     hop 0     x := A[q .. q+kd, q-1]
 *     hop k     B := A[rows of hop k, rows of hop k-1] H_(k-1);  x := first column of B
 *     both      H_k^H x = (beta, 0 ...);  B := H_k^H B;  D := H_k^H D H_k,  D = A[rows, rows]
 *
 * Hop k of a sweep needs that hop k + 1 of the sweep before is done, and nothing else: many
 * sweeps are on the way at a time. The band is small, n (2 kd) words, and every rank has the
 * whole of it and chases it by itself: no message, and the same bits everywhere. Of the
 * reflectors a rank keeps those of its groups of sweeps (backend/chase.h).
 *
 * Q2 = product of the H's, sweep by sweep. Reflectors of hop k of neighbouring sweeps lie on rows
 * that move on by one: kd + w - 1 rows for w sweeps, a "diamond" I - V T V^H. A group is applied
 * diamond by diamond, k ascending; groups from the last to the first, each broadcast by its owner
 * on the communication stream while the one before is applied.
 *
 * 6 n^2 kd flops and n^2 / (2 kd) hops; back 2 n^2 cols (1 + w / kd), of which n^2/2 words are
 * received. Memory: n^2 / (2 P) words and a group's n GROUP; window 2 n GROUP. Schwarz, Numer.
 * Math. 12 (1968), 231-241; Haidar, Ltaief, Dongarra, SC'11, doi 10.1145/2063384.2063394. */
#include "algo/algo.h"

enum { GROUP = MLAI_CHASE_GROUP, EV_READY = 0, EV_DONE = 1 };

/* Sweeps are numbered from 0; the first one is empty. */
static int64_t groups_of(int64_t n)
{
    return mlai_ceil_div(n, GROUP);
}

static int64_t rows_of(int64_t n, int64_t g)
{
    return n - g * GROUP;
}

/* ---- chase --------------------------------------------------------------------------------- */

size_t mlai_hb2st_keep(mla_dtype_t dt, int64_t n, int nranks)
{
    int64_t own = mlai_ceil_div(groups_of(n), nranks); // rank 0 has the most
    return mlai_size_align(
        mlai_size_mat(mlai_chase_offset(n, 0, nranks, own), 1, mlai_sizeof(dt)));
}

mlai_space_t mlai_hb2st_space(mla_dtype_t dt, int64_t n, int64_t kd)
{
    return (mlai_space_t){.work = mlai_chase_work(n, kd, dt)};
}

mla_status_t mlai_hb2st(mla_context_t *x, mla_dtype_t dt, int64_t n, int64_t kd, void *ab,
                        int64_t ldab, void *v, double *diag, double *off, void *work)
{
    MLAI_RANGE(x, "hb2st");
    mlai_chase_t t = {.n = n,
                      .kd = kd,
                      .ldab = ldab,
                      .ab = ab,
                      .v = v,
                      .work = work,
                      .rank = x->comm->rank,
                      .nranks = x->comm->nranks};
    return MLAI_BE(x, hb2st, mlai_stream(x, MLAI_STREAM_MAIN), dt, &t, diag, off);
}

/* ---- back ---------------------------------------------------------------------------------- */

typedef struct back {
    mla_context_t *x;
    mla_dtype_t dt;
    mlai_chase_t t;
    int64_t cols, ldz;
    void *z, *work;
    char *base;
    size_t v_size; /* of a buffer in the window */
    uint64_t seq[2];
    mlai_stream_t main, comm;
} back_t;

static size_t group_bytes(mla_dtype_t dt, int64_t n, int64_t g)
{
    return mlai_size_align(mlai_size_mat(rows_of(n, g), GROUP, mlai_sizeof(dt)));
}

mlai_space_t mlai_unmtr_hb2st_space(mla_dtype_t dt, int64_t n, int64_t kd, int nranks)
{
    return (mlai_space_t){.work = mlai_chase_back_work(n, kd, dt),
                          .window = nranks > 1 ? mlai_size_mul(group_bytes(dt, n, 0), 2) : 0};
}

/* Where group g lies in its owner's memory. */
static const void *own_group(const back_t *f, int64_t g)
{
    int64_t at = mlai_chase_offset(f->t.n, f->t.rank, f->t.nranks, g / f->t.nranks);
    return mlai_at(f->t.v, f->dt, 1, at, 0);
}

/* Group g to window buffer g % 2 of all ranks. */
static mla_status_t share(back_t *f, int64_t g)
{
    mla_context_t *x = f->x;
    int owner = (int)(g % x->comm->nranks), b = (int)(g % 2);
    size_t start = (size_t)b * f->v_size;
    size_t bytes = mlai_size_mat(rows_of(f->t.n, g), GROUP, mlai_sizeof(f->dt));
    if (x->comm->nranks == 1) return MLA_OK;
    if (owner == x->comm->rank) {
        MLAI_TRY(MLAI_COMM(x, reuse, f->comm, f->seq[b]));
        MLAI_TRY(MLAI_BE(x, copy, f->comm, f->base + start, own_group(f, g), bytes));
    }
    MLAI_TRY(MLAI_COMM(x, bcast, f->comm, start, bytes, owner));
    f->seq[b] = x->comm->seq;
    return MLA_OK;
}

static mla_status_t apply(back_t *f, int64_t g)
{
    bool alone = f->x->comm->nranks == 1;
    const void *v = alone ? own_group(f, g) : f->base + (size_t)(g % 2) * f->v_size;
    if (f->cols == 0) return MLA_OK;
    return MLAI_BE(f->x, unmtr_hb2st, f->main, f->dt, &f->t, g, v, f->cols, f->z, f->ldz,
                   f->work);
}

static mla_status_t loop(back_t *f)
{
    mla_context_t *x = f->x;
    int64_t last = groups_of(f->t.n) - 1;
    MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY));
    if (last >= 0) MLAI_TRY(share(f, last));
    for (int64_t g = last; g >= 0; g--) {
        MLAI_TRY(mlai_after(x, f->main, f->comm, EV_DONE));
        if (g > 0) {
            // Main has no product with the other buffer after what it holds now.
            MLAI_TRY(mlai_after(x, f->comm, f->main, EV_READY));
            MLAI_TRY(share(f, g - 1));
        }
        MLAI_TRY(apply(f, g));
    }
    return MLA_OK;
}

mla_status_t mlai_unmtr_hb2st(mla_context_t *x, mla_dtype_t dt, int64_t n, int64_t kd,
                              const void *v, int64_t cols, void *z, int64_t ldz, void *work,
                              void *base)
{
    MLAI_RANGE(x, "unmtr_hb2st");
    back_t f = {.x = x,
                .dt = dt,
                .t = {.n = n,
                      .kd = kd,
                      .v = (void *)(uintptr_t)v,
                      .rank = x->comm->rank,
                      .nranks = x->comm->nranks},
                .cols = cols,
                .ldz = ldz,
                .z = z,
                .work = work,
                .base = base,
                .v_size = group_bytes(dt, n, 0),
                .seq = {x->comm->seq, x->comm->seq},
                .main = mlai_stream(x, MLAI_STREAM_MAIN),
                .comm = mlai_stream(x, MLAI_STREAM_COMM)};
    return loop(&f);
}
