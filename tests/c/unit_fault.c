/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_fault.c: every allocation, every call of the backend table and every collective is
 * made to fail in turn, k = 0, 1, 2, ... until the routine succeeds, on one rank of three (and on
 * a single one). Each time: all ranks return, soon; the failing one with its own sentence, the
 * others with MLA_PEER, or MLA_OK where they had all they needed; no memory is left behind; and
 * where the failure was a refusal that all ranks know of, the same communicator works again.
 *
 * The library has no part in this: the tables are replaced by tables that count, and the
 * allocation functions are wrapped by the linker (cmake/tests.cmake).
 *
 *     unit_fault [--quick]    a part of the faults, for sanitizers */
#include <complex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "algo/algo.h"

enum { P = 3, N = 14, NB = 2, NRHS = 2 };
static const double LIMIT_S = 20, SOON_S = 10;

static int failures, runs;

static void fail_test(const char *routine, int k, const char *text, const char *more)
{
    if (failures++ < 20) printf("FAIL %s, fault %d: %s %s\n", routine, k, text, more);
}

/* ---- the fault --------------------------------------------------------------------------------
 */

/* Of this thread: the k-th call from now on fails; < 0: none. */
static _Thread_local int countdown = -1;
static _Thread_local const char *fired; /* what failed */
static atomic_int live;                 /* blocks of memory */

static bool fault(const char *what)
{
    if (countdown < 0 || countdown-- > 0) return false;
    fired = what;
    return true;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *ptr);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void __wrap_free(void *ptr);

static void *counted(void *ptr)
{
    if (ptr) atomic_fetch_add(&live, 1);
    return ptr;
}

void *__wrap_malloc(size_t bytes)
{
    return fault("malloc") ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fault("calloc") ? NULL : counted(__real_calloc(count, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fault("aligned_alloc") ? NULL : counted(__real_aligned_alloc(alignment, bytes));
}

void __wrap_free(void *ptr)
{
    if (ptr) atomic_fetch_sub(&live, 1);
    __real_free(ptr);
}

/* ---- the tables -------------------------------------------------------------------------------
 */

static const mlai_backend_ops_t *real_be;
static _Thread_local const mlai_comm_ops_t *real_comm;

static mla_status_t fault_be(mlai_backend_t *be, const char *op)
{
    if (!fault(op)) return MLA_OK;
    return mlai_fail(be->err, MLA_BACKEND, "injected: %s", op);
}

static mla_status_t fault_comm(const char *op, mlai_error_t *err)
{
    if (!fault(op)) return MLA_OK;
    return mlai_fail(err, MLA_COMM, "injected: %s", op);
}

/* XX(entry, parameters after be, arguments) */
#define BE_TABLE(XX)                                                                             \
    XX(alloc, (mlai_backend_t * be, size_t n, void **p), (be, n, p))                             \
    XX(copy, (mlai_backend_t * be, mlai_stream_t st, void *d, const void *s, size_t n),          \
       (be, st, d, s, n))                                                                        \
    XX(to_host, (mlai_backend_t * be, mlai_stream_t st, void *d, const void *s, size_t n),       \
       (be, st, d, s, n))                                                                        \
    XX(from_host, (mlai_backend_t * be, mlai_stream_t st, void *d, const void *s, size_t n),     \
       (be, st, d, s, n))                                                                        \
    XX(zero, (mlai_backend_t * be, mlai_stream_t st, void *d, size_t n), (be, st, d, n))         \
    XX(record, (mlai_backend_t * be, mlai_event_t ev, mlai_stream_t st), (be, ev, st))           \
    XX(wait, (mlai_backend_t * be, mlai_stream_t st, mlai_event_t ev), (be, st, ev))             \
    XX(sync, (mlai_backend_t * be, mlai_stream_t st), (be, st))                                  \
    XX(lacpy,                                                                                    \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, mlai_uplo_t uplo, int64_t m,      \
        int64_t n, const void *a, int64_t lda, void *b, int64_t ldb),                            \
       (be, st, dt, uplo, m, n, a, lda, b, ldb))                                                 \
    XX(laset,                                                                                    \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, mlai_uplo_t uplo, int64_t m,      \
        int64_t n, double off, double diag, void *a, int64_t lda),                               \
       (be, st, dt, uplo, m, n, off, diag, a, lda))                                              \
    XX(transpose,                                                                                \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t op, int64_t m,          \
        int64_t n, const void *a, int64_t lda, void *b, int64_t ldb),                            \
       (be, st, dt, op, m, n, a, lda, b, ldb))                                                   \
    XX(permute_rows,                                                                             \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_dist_t *d, bool fwd,   \
        int64_t cols, void *a, int64_t lda, void *work, int64_t wcols),                          \
       (be, st, dt, d, fwd, cols, a, lda, work, wcols))                                          \
    XX(sum_blocks,                                                                               \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t m, int64_t n, int nblk,   \
        const void *in, int64_t ldin, int64_t stride, void *out, int64_t ldout),                 \
       (be, st, dt, m, n, nblk, in, ldin, stride, out, ldout))                                   \
    XX(nan_if,                                                                                   \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const int32_t *info, int64_t m,   \
        int64_t n, void *a, int64_t lda),                                                        \
       (be, st, dt, info, m, n, a, lda))                                                         \
    XX(log_diag,                                                                                 \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t n, const void *a,         \
        int64_t lda, double *acc),                                                               \
       (be, st, dt, n, a, lda, acc))                                                             \
    XX(gemm,                                                                                     \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t opa, mlai_op_t opb,     \
        int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t lda,               \
        const void *b, int64_t ldb, double beta, void *c, int64_t ldc),                          \
       (be, st, dt, opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))                     \
    XX(herk,                                                                                     \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, mlai_op_t op, int64_t n,          \
        int64_t k, double alpha, const void *a, int64_t lda, double beta, void *c, int64_t ldc), \
       (be, st, dt, op, n, k, alpha, a, lda, beta, c, ldc))                                      \
    XX(trsm,                                                                                     \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, mlai_side_t side,                 \
        mlai_uplo_t uplo, mlai_op_t op, mlai_diag_t diag, int64_t m, int64_t n, double alpha,    \
        const void *a, int64_t lda, void *b, int64_t ldb),                                       \
       (be, st, dt, side, uplo, op, diag, m, n, alpha, a, lda, b, ldb))                          \
    XX(potrf_tile,                                                                               \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t n, void *a, int64_t lda,  \
        int64_t first, int32_t *info),                                                           \
       (be, st, dt, n, a, lda, first, info))                                                     \
    XX(unhr_tile, (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_unhr_t *t), \
       (be, st, dt, t))                                                                          \
    XX(geqr2_column,                                                                             \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_geqr2_t *t),           \
       (be, st, dt, t))                                                                          \
    XX(trtri_tile,                                                                               \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t n, const void *a,         \
        int64_t lda, void *b, int64_t ldb),                                                      \
       (be, st, dt, n, a, lda, b, ldb))                                                          \
    XX(getrf_panel,                                                                              \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t m, int64_t n, void *a,    \
        int64_t lda, int64_t first, int32_t *list, int32_t *state, void *work),                  \
       (be, st, dt, m, n, a, lda, first, list, state, work))                                     \
    XX(laswp,                                                                                    \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t n, const int32_t *list,   \
        int64_t cols, void *a, int64_t lda, void *work),                                         \
       (be, st, dt, n, list, cols, a, lda, work))                                                \
    XX(take_cols,                                                                                \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t m, int64_t n,             \
        const int32_t *index, int64_t lo, int64_t hi, const void *a, int64_t lda, void *b,       \
        int64_t ldb),                                                                            \
       (be, st, dt, m, n, index, lo, hi, a, lda, b, ldb))                                        \
    XX(put_cols,                                                                                 \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t m, int64_t n,             \
        const int32_t *index, int64_t lo, int64_t hi, const void *a, int64_t lda, void *b,       \
        int64_t ldb),                                                                            \
       (be, st, dt, m, n, index, lo, hi, a, lda, b, ldb))                                        \
    XX(lu_det,                                                                                   \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t n, const void *diag,      \
        const int32_t *swaps, int sign, double *det),                                            \
       (be, st, dt, n, diag, swaps, sign, det))                                                  \
    XX(norm_max,                                                                                 \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t m, int64_t n,             \
        const void *a, int64_t lda, double *out),                                                \
       (be, st, dt, m, n, a, lda, out))                                                          \
    XX(lascl,                                                                                    \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t m, int64_t n,             \
        double factor, void *a, int64_t lda),                                                    \
       (be, st, dt, m, n, factor, a, lda))                                                       \
    XX(lacpy_real,                                                                               \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t m, int64_t n,             \
        const void *a, int64_t lda, void *b, int64_t ldb),                                       \
       (be, st, dt, m, n, a, lda, b, ldb))                                                       \
    XX(hetrd_column,                                                                             \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_trd_t *t, int64_t j),  \
       (be, st, dt, t, j))                                                                       \
    XX(hetrd_product,                                                                            \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_trd_t *t, int64_t j),  \
       (be, st, dt, t, j))                                                                       \
    XX(larft_diag,                                                                               \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, int64_t n, const void *tau,       \
        void *a, int64_t lda),                                                                   \
       (be, st, dt, n, tau, a, lda))                                                             \
    XX(dc_leaves,                                                                                \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, bool ends, int64_t count,         \
        const int64_t *first, int64_t nmax, const double *d, const double *e, double *w,         \
        void *q, int64_t ldq),                                                                   \
       (be, st, dt, ends, count, first, nmax, d, e, w, q, ldq))                                  \
    XX(dc_border,                                                                                \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_dc_level_t *lv,        \
        bool take, void *q, int64_t ldq, double *z),                                             \
       (be, st, dt, lv, take, q, ldq, z))                                                        \
    XX(dc_rotate,                                                                                \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_dc_level_t *lv,        \
        void *q, int64_t ldq),                                                                   \
       (be, st, dt, lv, q, ldq))                                                                 \
    XX(dc_gather,                                                                                \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_dc_level_t *lv,        \
        const void *q, void *q2, int64_t ldq),                                                   \
       (be, st, dt, lv, q, q2, ldq))                                                             \
    XX(dc_secular,                                                                               \
       (mlai_backend_t * be, mlai_stream_t st, const mlai_dc_level_t *lv, int64_t g0,            \
        int64_t g1),                                                                             \
       (be, st, lv, g0, g1))                                                                     \
    XX(dc_zhat,                                                                                  \
       (mlai_backend_t * be, mlai_stream_t st, const mlai_dc_level_t *lv, int64_t g0,            \
        int64_t g1),                                                                             \
       (be, st, lv, g0, g1))                                                                     \
    XX(dc_merge,                                                                                 \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_dc_level_t *lv,        \
        int64_t t0, int64_t t1, void *s, const void *q2, void *q, int64_t ldq),                  \
       (be, st, dt, lv, t0, t1, s, q2, q, ldq))                                                  \
    XX(dc_rows,                                                                                  \
       (mlai_backend_t * be, mlai_stream_t st, const mlai_dc_level_t *lv, int64_t g0,            \
        int64_t g1, const double *q2, double *rows),                                             \
       (be, st, lv, g0, g1, q2, rows))                                                           \
    XX(dc_restore,                                                                               \
       (mlai_backend_t * be, mlai_stream_t st, mla_dtype_t dt, const mlai_dc_level_t *lv,        \
        const void *q2, const double *rows, void *q, int64_t ldq),                               \
       (be, st, dt, lv, q2, rows, q, ldq))

#define COMM_TABLE(XX)                                                              \
    XX(window, (mla_comm_t * c, size_t bytes, void **base, mlai_error_t *err),      \
       (c, bytes, base, err))                                                       \
    XX(bcast,                                                                       \
       (mla_comm_t * c, mlai_stream_t st, size_t off, size_t bytes, int root,       \
        mlai_error_t *err),                                                         \
       (c, st, off, bytes, root, err))                                              \
    XX(allgather,                                                                   \
       (mla_comm_t * c, mlai_stream_t st, size_t src, size_t dst, size_t bytes,     \
        mlai_error_t * err),                                                        \
       (c, st, src, dst, bytes, err))                                               \
    XX(alltoall,                                                                    \
       (mla_comm_t * c, mlai_stream_t st, size_t src, size_t dst, size_t bytes,     \
        mlai_error_t * err),                                                        \
       (c, st, src, dst, bytes, err))                                               \
    XX(reuse, (mla_comm_t * c, mlai_stream_t st, uint64_t seq, mlai_error_t * err), \
       (c, st, seq, err))                                                           \
    XX(agree, (mla_comm_t * c, mla_status_t mine, mlai_error_t * err), (c, mine, err))

#define XX(op, parameters, arguments)          \
    static mla_status_t faulty_##op parameters \
    {                                          \
        MLAI_TRY(fault_be(be, #op));           \
        return real_be->op arguments;          \
    }
BE_TABLE(XX)
#undef XX

#define XX(op, parameters, arguments)          \
    static mla_status_t faulty_##op parameters \
    {                                          \
        MLAI_TRY(fault_comm(#op, err));        \
        return real_comm->op arguments;        \
    }
COMM_TABLE(XX)
#undef XX

static mlai_backend_ops_t faulty_be(void)
{
    mlai_backend_ops_t ops = *real_be;
#define XX(op, parameters, arguments) ops.op = faulty_##op;
    BE_TABLE(XX)
#undef XX
    return ops;
}

static mlai_comm_ops_t faulty_comm(void)
{
    mlai_comm_ops_t ops = *real_comm;
#define XX(op, parameters, arguments) ops.op = faulty_##op;
    COMM_TABLE(XX)
#undef XX
    return ops;
}

/* ---- a call
 * ------------------------------------------------------------------------------------ */

typedef struct buffers {
    double _Complex a[N * N], z[N * N], t[N * N], c[NRHS * N];
    double w[N], logdet, det[3];
    int32_t info, perm[N];
} buffers_t;

typedef mla_status_t call_fn(mla_context_t *x, const mla_desc_t *d, buffers_t *b);

static mla_status_t call_posv(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    return mla_posv(x, d, b->a, MLA_RHS_ROWS, NRHS, b->c, NRHS, &b->logdet, &b->info);
}

static mla_status_t call_potri(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    MLAI_TRY(mla_potrf(x, d, b->a, NULL, &b->info));
    return mla_potri(x, d, b->a);
}

static mla_status_t call_poinv(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    return mla_poinv(x, d, b->a, &b->logdet, &b->info);
}

static mla_status_t call_natural(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    mla_desc_t natural = *d;
    natural.order = MLA_NATURAL;
    return mla_potrf(x, &natural, b->a, &b->logdet, &b->info);
}

static mla_status_t call_syevd(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    return mla_syevd(x, d, b->a, b->w, b->z, &b->info);
}

static mla_status_t call_syevj(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    return mla_syevd(x, d, b->a, b->w, NULL, &b->info);
}

static mla_status_t call_gesv(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    return mla_gesv(x, d, MLA_N, b->a, b->perm, MLA_RHS_ROWS, NRHS, b->c, NRHS, b->det, &b->info);
}

/* The transposed solve, then the inverse. */
static mla_status_t call_getri(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    MLAI_TRY(mla_getrf(x, d, b->a, b->perm, NULL, &b->info));
    MLAI_TRY(mla_getrs(x, d, MLA_C, b->a, b->perm, MLA_RHS_ROWS, NRHS, b->c, NRHS));
    return mla_getri(x, d, b->a, b->perm);
}

static mla_rows_t rows_of(void)
{
    mla_rows_t rows = MLA_ROWS_INIT(MLA_COMPLEX128, N, N);
    rows.nb = NB;
    return rows;
}

static mla_status_t call_qr(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    mla_rows_t rows = rows_of();
    (void)d;
    MLAI_TRY(mla_geqrf(x, &rows, b->a, b->t, N, MLA_RHS_ROWS, b->z, N));
    return mla_ungqr(x, &rows, b->a, b->t, N, N, b->a, N);
}

static mla_status_t call_gels(mla_context_t *x, const mla_desc_t *d, buffers_t *b)
{
    mla_rows_t rows = rows_of();
    (void)d;
    return mla_gels(x, &rows, b->a, NRHS, b->c, NRHS, MLA_RHS_REPLICATED, b->z, NRHS);
}

static const struct {
    const char *name;
    call_fn *call;
} routines[] = {{"posv", call_posv},       {"potri", call_potri}, {"poinv", call_poinv},
                {"natural", call_natural}, {"syevd", call_syevd}, {"syevj", call_syevj},
                {"gesv", call_gesv},       {"getri", call_getri}, {"qr", call_qr},
                {"gels", call_gels}};
enum { ROUTINES = sizeof routines / sizeof routines[0] };

/* This rank's columns of 4 I + a Hermitian matrix of small elements. */
static void fill(buffers_t *b, int rank, int nranks)
{
    int64_t lc = mlai_ceil_div(N, nranks);
    memset(b, 0, sizeof *b);
    for (int64_t jl = 0; jl < lc && rank * lc + jl < N; jl++)
        for (int64_t i = 0; i < N; i++) {
            int64_t j = rank * lc + jl;
            double re = 1.0 / (double)(1 + i + j), im = (double)(i - j) / (N * N);
            b->a[i + jl * N] = re + (i == j ? 4 : 0) + im * I;
        }
    for (int64_t k = 0; k < NRHS * N; k++) b->c[k] = (double)k;
}

/* ---- ranks
 * ------------------------------------------------------------------------------------- */

typedef struct rank {
    int p, nranks, fault_at; /* fault_at < 0: none */
    call_fn *call;
    mla_comm_t *comm;
    mla_status_t status, again; /* of the call, and of one more on the same context */
    bool has_context;
    const char *fired;
    char message[512];
} rank_t;

static mla_status_t one_call(rank_t *r, mla_context_t *x)
{
    mla_desc_t desc = MLA_DESC_INIT(MLA_COMPLEX128, N);
    desc.nb = NB;
    buffers_t b;
    fill(&b, r->p, r->nranks);
    mla_status_t st = r->call(x, &desc, &b);
    return st == MLA_OK && b.info != 0 ? MLA_UNSUPPORTED : st;
}

static void *rank_main(void *arg)
{
    rank_t *r = arg;
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    options.comm = r->comm;
    mla_context_t *x = NULL;
    fired = NULL;
    countdown = r->fault_at;
    r->status = mla_context_create(&options, &x);
    r->has_context = x != NULL;
    if (x) {
        real_comm = x->comm->ops;
        mlai_backend_ops_t be = faulty_be();
        mlai_comm_ops_t comm = faulty_comm();
        x->be->ops = &be;
        x->comm->ops = &comm;
        r->status = one_call(r, x);
        snprintf(r->message, sizeof r->message, "%s", mla_message(x));
        countdown = -1;
        r->again = one_call(r, x);
        x->be->ops = real_be;
        x->comm->ops = real_comm;
    } else {
        snprintf(r->message, sizeof r->message, "%s", mla_message(NULL));
        mla_comm_abort(r->comm, "no context");
    }
    countdown = -1;
    r->fired = fired;
    mla_context_free(x);
    return NULL;
}

static void check(const char *name, int k, const rank_t *rank, int nranks, int who)
{
    const rank_t *r = &rank[who];
    bool refused = r->status == MLA_NOMEM && r->has_context;
    if (r->status == MLA_OK || r->status == MLA_PEER || r->status == MLA_UNSUPPORTED)
        fail_test(name, k, "the failing rank returns", mla_status_name(r->status));
    const char *word = r->status == MLA_NOMEM ? "memory" : r->fired;
    if (!strstr(r->message, word)) fail_test(name, k, "its sentence is", r->message);
    for (int p = 0; p < nranks; p++) {
        if (p != who && rank[p].status != MLA_PEER && rank[p].status != MLA_OK)
            fail_test(name, k, "another rank returns", mla_status_name(rank[p].status));
        if (p != who && rank[p].status == MLA_PEER && !strstr(rank[p].message, word) &&
            r->has_context)
            fail_test(name, k, "another rank's sentence is", rank[p].message);
        if (refused && rank[p].again != MLA_OK)
            fail_test(name, k, "after a refusal the communicator fails:", rank[p].message);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Fault k on rank `who`. False when the routine went through without it. */
static bool run(int which, int nranks, int who, int k)
{
    const char *name = routines[which].name;
    rank_t rank[P];
    mla_comm_t *comm[P] = {NULL};
    pthread_t thread[P];
    int before = atomic_load(&live);
    double start = now();
    if (nranks > 1 && mla_comm_create_threads(nranks, LIMIT_S, comm) != MLA_OK) exit(1);
    for (int p = 0; p < nranks; p++) {
        rank[p] = (rank_t){.p = p,
                           .nranks = nranks,
                           .fault_at = p == who ? k : -1,
                           .call = routines[which].call,
                           .comm = comm[p]};
        if (pthread_create(&thread[p], NULL, rank_main, &rank[p])) exit(1);
    }
    for (int p = 0; p < nranks; p++) pthread_join(thread[p], NULL);
    for (int p = 0; p < nranks; p++) mla_comm_free(comm[p]);
    runs++;
    if (now() - start > SOON_S) fail_test(name, k, "took too long", "");
    if (atomic_load(&live) != before) fail_test(name, k, "memory is left behind", "");
    if (rank[who].fired) {
        check(name, k, rank, nranks, who);
        return true;
    }
    for (int p = 0; p < nranks; p++)
        if (rank[p].status != MLA_OK || rank[p].again != MLA_OK)
            fail_test(name, k, "fails without a fault:", rank[p].message);
    return false;
}

/* Allocations of the communicator, all by one thread. */
static void test_comm(void)
{
    mla_comm_t *comm[P];
    for (int k = 0;; k++) {
        int before = atomic_load(&live);
        countdown = k;
        mla_status_t st = mla_comm_create_threads(P, LIMIT_S, comm);
        bool through = countdown >= 0;
        countdown = -1;
        runs++;
        if (st != (through ? MLA_OK : MLA_NOMEM))
            fail_test("mla_comm_create_threads", k, "returns", mla_status_name(st));
        for (int p = 0; p < P; p++) mla_comm_free(comm[p]);
        if (atomic_load(&live) != before)
            fail_test("mla_comm_create_threads", k, "memory is left behind", "");
        if (through) return;
    }
}

int main(int argc, char **argv)
{
    int stride = argc > 1 && !strcmp(argv[1], "--quick") ? 5 : 1;
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    mla_context_t *x = NULL;
    if (mla_context_create(&options, &x) != MLA_OK) {
        printf("unit_fault: %s\n", mla_message(NULL));
        return 1;
    }
    real_be = x->be->ops;
    mla_context_free(x);
    test_comm();
    for (int which = 0; which < ROUTINES; which++)
        for (int who = -1; who < P; who++) { // -1: a single rank
            int k = 0;
            while (run(which, who < 0 ? 1 : P, who < 0 ? 0 : who, k)) k += k < 20 ? 1 : stride;
            if (k < 20) fail_test(routines[which].name, k, "too few faults to be true", "");
        }
    printf("unit_fault: %d runs, %d failed\n", runs, failures);
    return failures != 0;
}
