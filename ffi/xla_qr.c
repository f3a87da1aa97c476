/* SPDX-License-Identifier: Apache-2.0
 * ffi/xla_qr.c: the targets of QR and least squares (xla_targets.c has the others). A is m x n,
 * m the attribute n; a shard of it is [lr, n]. k = min(m, n).
 *
 *   target            operands   results            (^ aliased)
 *   mla_xla_geqrf     a          f^a, t, r          t [k, ldt]; r [0, n]: not wanted, [k, n]:
 * with rhs replicated, [ceil(k / P), n]: with rows mla_xla_ungqr     t, f       q q [lr, cols];
 * ^f if it has f's shape mla_xla_gels      a, c       f^a, Qc^c, x       c [lr, nrhs]; x [n,
 * nrhs] or by rows
 */
#include "xla_job.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A shard of A; fills job->rows. */
static bool check_rows(job_t *job, const xla_buffer_t *a, mlai_xla_status_t *st)
{
    mlai_xla_call_t any = job->call;
    any.n = 0;
    if (!mlai_xla_matrix(a, job->routine, &any, &job->desc, st)) return false;
    int64_t m = job->call.n, lr = a->dims[0], n = a->dims[1];
    if (lr < 1 || (m + lr - 1) / lr > job->call.nranks)
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                             "%s: shards of %lld rows on %d ranks do not hold %lld", job->routine,
                             (long long)lr, job->call.nranks, (long long)m);
    job->rows = (mla_rows_t)MLA_ROWS_INIT(job->desc.dtype, m, n);
    job->rows.lr = lr;
    job->rows.nb = job->call.nb;
    return true;
}

static bool check_t(const job_t *job, const xla_buffer_t *a, const xla_buffer_t *t,
                    mlai_xla_status_t *st)
{
    int64_t k = least(job->rows.m, job->rows.n);
    return mlai_xla_shape2(t, job->routine, "t", a->dtype, k, MLA_QR_TILE, st);
}

/* Rows of a result of `count` rows that a rank gets. */
static int64_t share_of(const job_t *job, int64_t count)
{
    if (job->call.rhs == MLA_RHS_REPLICATED) return count;
    return (count + job->call.nranks - 1) / job->call.nranks;
}

static bool check_geqrf(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    const xla_buffer_t *a = buf->in[0], *f = buf->out[0], *r = buf->out[2];
    job->aliased = 1;
    if (!check_rows(job, a, st)) return false;
    int64_t n = job->rows.n, rows = share_of(job, least(job->rows.m, n));
    bool none = r->rank == 2 && r->dims[0] == 0;
    job->nrhs = none ? 0 : n;
    return mlai_xla_shape2(f, job->routine, "f", a->dtype, a->dims[0], n, st) &&
           check_t(job, a, buf->out[1], st) &&
           mlai_xla_shape2(r, job->routine, "r", a->dtype, none ? 0 : rows, n, st);
}

static bool check_ungqr(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    const xla_buffer_t *t = buf->in[0], *f = buf->in[1], *q = buf->out[0];
    if (!check_rows(job, f, st) || !check_t(job, f, t, st) ||
        !mlai_xla_shape2(q, job->routine, "q", f->dtype, f->dims[0], -1, st))
        return false;
    job->nrhs = q->dims[1];
    job->aliased = job->nrhs == job->rows.n;
    return true;
}

static bool check_gels(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    const xla_buffer_t *a = buf->in[0], *c = buf->in[1];
    job->aliased = 2;
    if (!check_rows(job, a, st) ||
        !mlai_xla_shape2(buf->out[0], job->routine, "f", a->dtype, a->dims[0], a->dims[1], st) ||
        !mlai_xla_shape2(c, job->routine, "b", a->dtype, a->dims[0], -1, st))
        return false;
    job->nrhs = c->dims[1];
    return mlai_xla_shape2(buf->out[1], job->routine, "Q^H b", a->dtype, a->dims[0], job->nrhs,
                           st) &&
           mlai_xla_shape2(buf->out[2], job->routine, "x", a->dtype, share_of(job, job->rows.n),
                           job->nrhs, st);
}

static mla_status_t run_geqrf(mla_context_t *ctx, const job_t *job)
{
    void *r = job->nrhs > 0 ? job->out[2] : NULL;
    return mla_geqrf(ctx, &job->rows, job->out[0], job->out[1], MLA_QR_TILE, job->call.rhs, r,
                     job->rows.n);
}

static mla_status_t run_ungqr(mla_context_t *ctx, const job_t *job)
{
    const void *f = job->aliased ? job->out[0] : job->in[1];
    return mla_ungqr(ctx, &job->rows, f, job->in[0], MLA_QR_TILE, job->nrhs, job->out[0],
                     job->nrhs);
}

static mla_status_t run_gels(mla_context_t *ctx, const job_t *job)
{
    return mla_gels(ctx, &job->rows, job->out[0], job->nrhs, job->out[1], job->nrhs,
                    job->call.rhs, job->out[2], job->nrhs);
}

TARGET(geqrf, "geqrf", 1, 3, check_geqrf, run_geqrf)
TARGET(ungqr, "ungqr", 2, 1, check_ungqr, run_ungqr)
TARGET(gels, "gels", 2, 3, check_gels, run_gels)
