/* SPDX-License-Identifier: Apache-2.0
 * src/algo/colperm.c: columns of a distributed matrix in another order, in place, within a
 * bounded window.
 *
 *     column f of the result is column source[f] of the matrix       f, source[f] natural numbers
 *
 * Rounds of exchanges. For one place after the other the right column is brought in, in exchange
 * for the one that is there; exchanges are added to a round while no rank has more than `most` of
 * its places in it. A round as a whole is then a permutation of the columns it touches: each is
 * packed once, sent (all-to-all), and unpacked. Every rank makes the same plan. Places are taken
 * from the ranks in turn, so that all are busy.
 *
 * At most 2 n^2/P words sent by each rank, in about 2 n / nb rounds; window 2 n nb words. The
 * plan is made on the host. */
#include <stdlib.h>

#include "algo/algo.h"

typedef struct plan {
    int64_t n, lc, most; /* places of a rank in a round */
    int nranks, rank;
    const int32_t *source;
    int32_t *holds; /* which column stands in a place */
    int32_t *where; /* in which place a column stands */
    /* -- of this round */
    int32_t *was;     /* where a column stood when the round began, if its place is touched */
    int32_t *touched; /* places */
    int64_t count;
    int32_t *used;  /* touched places of each rank */
    int32_t *pairs; /* columns from rank q to rank p: [q * nranks + p] */
    int64_t width;  /* the largest of them */
    int32_t *index; /* own columns to pack, by receiver; own places of what comes, by sender */
} plan_t;

static int64_t most_of(const mlai_dist_t *d)
{
    return mlai_max(2, d->nb / d->nranks);
}

/* Bytes that a round sends from a rank, and as many that it brings. */
static size_t round_bytes(const mla_desc_t *desc, const mlai_dist_t *d)
{
    size_t column = mlai_size_mat(desc->n, most_of(d), mlai_sizeof(desc->dtype));
    return mlai_size_align(mlai_size_mul(column, (size_t)d->nranks));
}

mlai_space_t mlai_colperm_space(const mla_desc_t *desc, const mlai_dist_t *d)
{
    size_t index = mlai_size_mat(2 * (int64_t)d->nranks, most_of(d), sizeof(int32_t));
    return (mlai_space_t){.work = index, .window = mlai_size_mul(round_bytes(desc, d), 2)};
}

/* ---- the plan ---------------------------------------------------------------------------- */

static bool is_touched(const plan_t *f, int64_t place)
{
    return f->was[f->holds[place]] >= 0;
}

static void touch(plan_t *f, int64_t place)
{
    if (is_touched(f, place)) return;
    f->was[f->holds[place]] = (int32_t)place;
    f->touched[f->count++] = (int32_t)place;
    f->used[place / f->lc]++;
}

/* Whether the round has room for an exchange of places a and b. */
static bool fits(const plan_t *f, int64_t a, int64_t b)
{
    int64_t p = a / f->lc, q = b / f->lc;
    int64_t more_a = !is_touched(f, a), more_b = !is_touched(f, b);
    if (p == q) return f->used[p] + more_a + more_b <= f->most;
    return f->used[p] + more_a <= f->most && f->used[q] + more_b <= f->most;
}

static void settle(plan_t *f, int64_t place, int32_t column)
{
    f->holds[place] = column;
    f->where[column] = (int32_t)place;
}

/* Exchanges from number *next on; number k is for place k div P of rank k mod P. */
static void fill_round(plan_t *f, int64_t *next)
{
    for (; *next < f->lc * f->nranks; ++*next) {
        int64_t place = *next % f->nranks * f->lc + *next / f->nranks;
        if (place >= f->n || f->holds[place] == f->source[place]) continue;
        int64_t from = f->where[f->source[place]];
        if (!fits(f, place, from)) return;
        touch(f, place);
        touch(f, from);
        int32_t out = f->holds[place];
        settle(f, place, f->source[place]);
        settle(f, from, out);
    }
}

/* Columns of each pair of ranks, in the order of `touched`; with `list`, into index. */
static void pair_columns(plan_t *f, bool list)
{
    int64_t ranks = f->nranks, width = f->width;
    int32_t *packs = f->index, *puts = f->index + ranks * width;
    for (int64_t k = 0; k < ranks * ranks; k++) f->pairs[k] = 0;
    for (int64_t k = 0; k < f->count; k++) {
        int64_t to = f->touched[k], from = f->was[f->holds[to]];
        int64_t q = from / f->lc, p = to / f->lc, number = f->pairs[q * ranks + p]++;
        if (!list) f->width = mlai_max(f->width, number + 1);
        if (list && q == f->rank) packs[p * width + number] = (int32_t)(from - q * f->lc);
        if (list && p == f->rank) puts[q * width + number] = (int32_t)(to - p * f->lc);
    }
}

static void end_round(plan_t *f)
{
    f->width = 0;
    pair_columns(f, false);
    for (int64_t k = 0; k < 2 * (int64_t)f->nranks * f->width; k++) f->index[k] = -1;
    pair_columns(f, true);
    for (int64_t k = 0; k < f->count; k++) f->was[f->holds[f->touched[k]]] = -1;
    for (int p = 0; p < f->nranks; p++) f->used[p] = 0;
    f->count = 0;
}

/* Host memory of the plan in one block; NULL: none, or `source` is no permutation. */
static int32_t *start_plan(plan_t *f, bool *valid)
{
    size_t n = (size_t)f->n, ranks = (size_t)f->nranks, most = (size_t)f->most;
    int32_t *block = malloc((4 * n + ranks + ranks * ranks + 2 * ranks * most) * sizeof *block);
    if (!block) return NULL;
    f->holds = block;
    f->where = f->holds + n;
    f->was = f->where + n;
    f->touched = f->was + n;
    f->used = f->touched + n;
    f->pairs = f->used + ranks;
    f->index = f->pairs + ranks * ranks;
    f->count = 0;
    for (int64_t i = 0; i < f->n; i++) f->was[i] = -1;
    *valid = true;
    for (int64_t i = 0; i < f->n; i++) {
        bool inside = f->source[i] >= 0 && f->source[i] < f->n;
        if (inside && f->was[f->source[i]] < 0)
            f->was[f->source[i]] = 0;
        else
            *valid = false;
    }
    for (int64_t i = 0; i < f->n; i++) f->was[i] = -1;
    for (int64_t i = 0; i < f->n; i++) settle(f, i, (int32_t)i);
    for (int p = 0; p < f->nranks; p++) f->used[p] = 0;
    return block;
}

/* ---- the rounds -------------------------------------------------------------------------- */

static mla_status_t move(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                         const plan_t *f, void *a, int32_t *index, char *base)
{
    mlai_stream_t st = mlai_stream(x, MLAI_STREAM_MAIN);
    mla_dtype_t dt = desc->dtype;
    int64_t n = desc->n, cols = mlai_dist_cols(d, x->comm->rank);
    int64_t count = f->nranks * f->width;
    size_t brings = round_bytes(desc, d);
    MLAI_TRY(MLAI_BE(x, from_host, st, index, f->index, 8 * (size_t)count));
    MLAI_TRY(MLAI_COMM(x, reuse, st, x->comm->seq)); // the last round has been read
    MLAI_TRY(MLAI_BE(x, take_cols, st, dt, n, count, index, 0, cols, a, desc->ld, base, n));
    MLAI_TRY(MLAI_COMM(x, alltoall, st, 0, brings, mlai_size_mat(n, f->width, mlai_sizeof(dt))));
    return MLAI_BE(x, put_cols, st, dt, n, count, index + count, 0, cols, base + brings, n, a,
                   desc->ld);
}

mla_status_t mlai_colperm(mla_context_t *x, const mla_desc_t *desc, const mlai_dist_t *d,
                          const int32_t *source, void *a, void *work, void *base)
{
    MLAI_RANGE(x, "colperm");
    plan_t f = {.n = desc->n,
                .lc = d->lc,
                .most = most_of(d),
                .nranks = d->nranks,
                .rank = x->comm->rank,
                .source = source};
    bool valid = false;
    int32_t *block = start_plan(&f, &valid);
    mla_status_t st = MLA_OK;
    if (!block)
        st = mlai_fail(&x->err, MLA_NOMEM, "out of host memory for the order of columns");
    else if (!valid)
        st = mlai_fail(&x->err, MLA_BACKEND, "the order of columns is not a permutation");
    st = mlai_agree(x, st);
    int64_t next = 0;
    while (block && st == MLA_OK) {
        fill_round(&f, &next);
        if (f.count == 0) break;
        end_round(&f);
        st = move(x, desc, d, &f, a, work, base);
    }
    free(block);
    return st;
}
