/* SPDX-License-Identifier: Apache-2.0
 * ffi/xla_targets.c: the targets that XLA calls, one a routine: what each expects and does.
 *
 * A shard of A is [lc, ld] row-major, which is a column-major ld x lc block of columns of
 * B = A^T: the row-major caller of include/meshlinalg.h. What a routine overwrites is a result
 * aliased to its operand (input_output_aliases); XLA copies the operand when it is needed later,
 * and where it gives two buffers all the same, the handler does.
 * The last operand of every target is `where`, int32[2] = {group, rank}.
 *
 *   target                  operands   results                       (^ aliased)
 *   mla_xla_potrf           a          f^a, logdet, info
 *   mla_xla_potrs           f, c       x^c
 *   mla_xla_posv            a, c       f^a, x^c, logdet, info
 *   mla_xla_potri           f          ainv^f
 *   mla_xla_poinv           a          ainv^a, logdet, info
 *   mla_xla_syevd           a          work^a, w, v, info
 *   mla_xla_syevd_values    a          work^a, w, info
 *   mla_xla_syevx           a          work^a, w, v [lc, count], info; attribute `first`
 *   mla_xla_getrf           a          f^a, perm, det, info
 *   mla_xla_getrs           perm, f, c x^c
 *   mla_xla_gesv            a, c       f^a, x^c, perm, det, info
 *   mla_xla_getri           perm, f    ainv^f
 *   mla_xla_geinv           a          ainv^a, perm, det, info
 *
 * Each has a twin for CUDA devices, mla_xla_..._cuda, registered under the same name.
 * logdet is eight bytes, f64[1] or u32[2]: a double also where JAX has none (x64 off); det is
 * three such numbers. perm is int32[n].
 */
#include "xla_job.h"

static bool same_shape(const job_t *job, const char *name, const xla_buffer_t *b,
                       const xla_buffer_t *like, mlai_xla_status_t *st)
{
    return mlai_xla_shape2(b, job->routine, name, like->dtype, like->dims[0], like->dims[1], st);
}

static bool check_matrix(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{ /* a -> result 0 */
    job->aliased++;
    return mlai_xla_matrix(buf->in[0], job->routine, &job->call, &job->desc, st) &&
           same_shape(job, "result 0", buf->out[0], buf->in[0], st);
}

/* c -> x */
static bool check_sides(job_t *job, const xla_buffer_t *a, const xla_buffer_t *c,
                        const xla_buffer_t *x, mlai_xla_status_t *st)
{
    int64_t rows = job->call.rhs == MLA_RHS_ROWS ? a->dims[0] : job->call.n;
    if (!mlai_xla_shape2(c, job->routine, "b", a->dtype, rows, -1, st) ||
        !same_shape(job, "x", x, c, st))
        return false;
    job->nrhs = c->dims[1];
    job->aliased++;
    return true;
}

static bool check_rhs(job_t *job, const buffers_t *buf, const xla_buffer_t *x,
                      mlai_xla_status_t *st)
{
    return check_sides(job, buf->in[0], buf->in[1], x, st);
}

/* `count` doubles as such or as words, and info, from result `first` on. */
static bool check_doubles_info(job_t *job, const buffers_t *buf, int first, int count,
                               const char *name, mlai_xla_status_t *st)
{
    const xla_buffer_t *logdet = buf->out[first], *info = buf->out[first + 1];
    bool words = logdet->dtype == XLA_U32;
    return mlai_xla_shape1(logdet, job->routine, name, words ? XLA_U32 : XLA_F64,
                           words ? 2 * count : count, st) &&
           mlai_xla_shape1(info, job->routine, "info", XLA_S32, 1, st);
}

static bool check_logdet_info(job_t *job, const buffers_t *buf, int first, mlai_xla_status_t *st)
{
    return check_doubles_info(job, buf, first, 1, "logdet", st);
}

static bool check_perm(const job_t *job, const xla_buffer_t *perm, mlai_xla_status_t *st)
{
    return mlai_xla_shape1(perm, job->routine, "perm", XLA_S32, job->call.n, st);
}

static bool check_factor(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{ /* potrf, poinv */
    return check_matrix(job, buf, st) && check_logdet_info(job, buf, 1, st);
}

static bool check_potrs(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    return mlai_xla_matrix(buf->in[0], job->routine, &job->call, &job->desc, st) &&
           check_rhs(job, buf, buf->out[0], st);
}

static bool check_posv(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    return check_matrix(job, buf, st) && check_rhs(job, buf, buf->out[1], st) &&
           check_logdet_info(job, buf, 2, st);
}

static bool check_values(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    int real = mlai_xla_real(buf->in[0]->dtype);
    return check_matrix(job, buf, st) &&
           mlai_xla_shape1(buf->out[1], job->routine, "w", real, job->call.n, st) &&
           mlai_xla_shape1(buf->out[2], job->routine, "info", XLA_S32, 1, st);
}

static bool check_vectors(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    int real = mlai_xla_real(buf->in[0]->dtype);
    return check_matrix(job, buf, st) &&
           mlai_xla_shape1(buf->out[1], job->routine, "w", real, job->call.n, st) &&
           same_shape(job, "v", buf->out[2], buf->in[0], st) &&
           mlai_xla_shape1(buf->out[3], job->routine, "info", XLA_S32, 1, st);
}

static bool check_some_vectors(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    const xla_buffer_t *a = buf->in[0], *v = buf->out[2];
    if (!check_matrix(job, buf, st) ||
        !mlai_xla_shape1(buf->out[1], job->routine, "w", mlai_xla_real(a->dtype), job->call.n,
                         st) ||
        !mlai_xla_shape2(v, job->routine, "v", a->dtype, a->dims[0], -1, st) ||
        !mlai_xla_shape1(buf->out[3], job->routine, "info", XLA_S32, 1, st))
        return false;
    job->nrhs = v->dims[1];
    return true;
}

static bool check_lu(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{ /* getrf, geinv */
    return check_matrix(job, buf, st) && check_perm(job, buf->out[1], st) &&
           check_doubles_info(job, buf, 2, 3, "det", st);
}

static bool check_getrs(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    return check_perm(job, buf->in[0], st) &&
           mlai_xla_matrix(buf->in[1], job->routine, &job->call, &job->desc, st) &&
           check_sides(job, buf->in[1], buf->in[2], buf->out[0], st);
}

static bool check_gesv(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    return check_matrix(job, buf, st) && check_rhs(job, buf, buf->out[1], st) &&
           check_perm(job, buf->out[2], st) && check_doubles_info(job, buf, 3, 3, "det", st);
}

static bool check_getri(job_t *job, const buffers_t *buf, mlai_xla_status_t *st)
{
    job->aliased++;
    return check_perm(job, buf->in[0], st) &&
           mlai_xla_matrix(buf->in[1], job->routine, &job->call, &job->desc, st) &&
           same_shape(job, "result 0", buf->out[0], buf->in[1], st);
}

static int64_t ldc(const job_t *job)
{
    return job->nrhs > 1 ? job->nrhs : 1;
}

static mla_status_t run_potrf(mla_context_t *ctx, const job_t *job)
{
    return mla_potrf(ctx, &job->desc, job->out[0], job->out[1], job->out[2]);
}

static mla_status_t run_potrs(mla_context_t *ctx, const job_t *job)
{
    return mla_potrs(ctx, &job->desc, job->in[0], job->call.rhs, job->nrhs, job->out[0],
                     ldc(job));
}

static mla_status_t run_posv(mla_context_t *ctx, const job_t *job)
{
    return mla_posv(ctx, &job->desc, job->out[0], job->call.rhs, job->nrhs, job->out[1], ldc(job),
                    job->out[2], job->out[3]);
}

static mla_status_t run_potri(mla_context_t *ctx, const job_t *job)
{
    return mla_potri(ctx, &job->desc, job->out[0]);
}

static mla_status_t run_poinv(mla_context_t *ctx, const job_t *job)
{
    return mla_poinv(ctx, &job->desc, job->out[0], job->out[1], job->out[2]);
}

static mla_status_t run_values(mla_context_t *ctx, const job_t *job)
{
    return mla_syevd(ctx, &job->desc, job->out[0], job->out[1], NULL, job->out[2]);
}

static mla_status_t run_vectors(mla_context_t *ctx, const job_t *job)
{
    return mla_syevd(ctx, &job->desc, job->out[0], job->out[1], job->out[2], job->out[3]);
}

static mla_status_t run_some_vectors(mla_context_t *ctx, const job_t *job)
{
    return mla_syevx(ctx, &job->desc, job->call.first, job->nrhs, job->out[0], job->out[1],
                     job->out[2], ldc(job), job->out[3]);
}

static mla_status_t run_getrf(mla_context_t *ctx, const job_t *job)
{
    return mla_getrf(ctx, &job->desc, job->out[0], job->out[1], job->out[2], job->out[3]);
}

static mla_status_t run_getrs(mla_context_t *ctx, const job_t *job)
{
    return mla_getrs(ctx, &job->desc, job->call.op, job->in[1], job->in[0], job->call.rhs,
                     job->nrhs, job->out[0], ldc(job));
}

static mla_status_t run_gesv(mla_context_t *ctx, const job_t *job)
{
    return mla_gesv(ctx, &job->desc, job->call.op, job->out[0], job->out[2], job->call.rhs,
                    job->nrhs, job->out[1], ldc(job), job->out[3], job->out[4]);
}

static mla_status_t run_getri(mla_context_t *ctx, const job_t *job)
{
    return mla_getri(ctx, &job->desc, job->out[0], job->in[0]);
}

static mla_status_t run_geinv(mla_context_t *ctx, const job_t *job)
{
    return mla_geinv(ctx, &job->desc, job->out[0], job->out[1], job->out[2], job->out[3]);
}

TARGET(potrf, "potrf", 1, 3, check_factor, run_potrf)
TARGET(potrs, "potrs", 2, 1, check_potrs, run_potrs)
TARGET(posv, "posv", 2, 4, check_posv, run_posv)
TARGET(potri, "potri", 1, 1, check_matrix, run_potri)
TARGET(poinv, "poinv", 1, 3, check_factor, run_poinv)
TARGET(syevd, "syevd", 1, 4, check_vectors, run_vectors)
TARGET(syevd_values, "syevd", 1, 3, check_values, run_values)
TARGET(syevx, "syevx", 1, 4, check_some_vectors, run_some_vectors)
TARGET(getrf, "getrf", 1, 4, check_lu, run_getrf)
TARGET(getrs, "getrs", 3, 1, check_getrs, run_getrs)
TARGET(gesv, "gesv", 2, 5, check_gesv, run_gesv)
TARGET(getri, "getri", 2, 1, check_getri, run_getri)
TARGET(geinv, "geinv", 1, 4, check_lu, run_geinv)
