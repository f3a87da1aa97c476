/* SPDX-License-Identifier: Apache-2.0
 * src/dist/dist.c: tile <-> rank <-> column maps (definitions in dist.h). */
#include "dist/dist.h"

#include "core/size.h"

static int64_t clamp(int64_t x, int64_t hi)
{
    return x < 0 ? 0 : mlai_min(x, hi);
}

mlai_dist_t mlai_dist(int64_t n, int64_t lc, int64_t nb, int nranks, mla_order_t order)
{
    return (mlai_dist_t){.n = n,
                         .lc = lc,
                         .nb = nb,
                         .slots = mlai_ceil_div(lc, nb),
                         .nranks = nranks,
                         .order = order};
}

int64_t mlai_dist_tiles(const mlai_dist_t *d)
{
    return d->slots * d->nranks;
}

int64_t mlai_dist_cols(const mlai_dist_t *d, int p)
{
    return clamp(d->n - p * d->lc, d->lc);
}

int mlai_dist_owner(const mlai_dist_t *d, int64_t t)
{
    return (int)(d->order == MLA_CYCLIC ? t % d->nranks : t / d->slots);
}

int64_t mlai_dist_slot(const mlai_dist_t *d, int64_t t)
{
    return d->order == MLA_CYCLIC ? t / d->nranks : t % d->slots;
}

int64_t mlai_dist_tile(const mlai_dist_t *d, int p, int64_t s)
{
    return d->order == MLA_CYCLIC ? s * d->nranks + p : p * d->slots + s;
}

int64_t mlai_dist_local(const mlai_dist_t *d, int64_t t)
{
    return mlai_dist_slot(d, t) * d->nb;
}

int64_t mlai_dist_width(const mlai_dist_t *d, int64_t t)
{
    return clamp(mlai_dist_cols(d, mlai_dist_owner(d, t)) - mlai_dist_local(d, t), d->nb);
}

int64_t mlai_dist_first_slot(const mlai_dist_t *d, int p, int64_t t)
{
    if (d->order == MLA_CYCLIC) return t / d->nranks + (p < t % d->nranks);
    return clamp(t - p * d->slots, d->slots);
}

/* Columns before tile t are, on each rank p, its first first_slot(p, t) slots. */
int64_t mlai_dist_off(const mlai_dist_t *d, int64_t t)
{
    int64_t off = 0;
    for (int p = 0; p < d->nranks; p++)
        off += mlai_min(mlai_dist_first_slot(d, p, t) * d->nb, mlai_dist_cols(d, p));
    return off;
}

int64_t mlai_dist_pos(const mlai_dist_t *d, int64_t i)
{
    int p = (int)(i / d->lc);
    int64_t jl = i % d->lc;
    return mlai_dist_off(d, mlai_dist_tile(d, p, jl / d->nb)) + jl % d->nb;
}

/* The tile of pos is the last one with off <= pos and width > 0. */
int64_t mlai_dist_nat(const mlai_dist_t *d, int64_t pos)
{
    int64_t lo = 0, hi = mlai_dist_tiles(d) - 1;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo + 1) / 2;
        if (mlai_dist_off(d, mid) <= pos)
            lo = mid;
        else
            hi = mid - 1;
    }
    while (mlai_dist_width(d, lo) == 0) lo--;
    return mlai_dist_owner(d, lo) * d->lc + mlai_dist_local(d, lo) + pos - mlai_dist_off(d, lo);
}

int mlai_dist_is_identity(const mlai_dist_t *d)
{
    return d->nranks == 1 || d->order == MLA_NATURAL;
}
