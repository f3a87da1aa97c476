/* SPDX-License-Identifier: Apache-2.0
 * bench/c/bench_backend.c: time of single entries of the backend table.
 *
 *     bench_backend [--device host|cuda] [--ordinal 0] [--type s,d,c,z] [--op NAME,...]
 *                   [--n 8192] [--ms 30]
 *
 * A line for each: entry, type, shape, microseconds a call, GB/s (bytes that must be read and
 * written) or TF/s (real additions and multiplications). Calls are enqueued one after the other
 * and awaited together, so that what is timed is the device, or the host if that is slower. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/backend.h"
#include "core/size.h"

static mlai_backend_t *be;
static mlai_error_t error;
static mlai_stream_t st;
static double window = 0.03; /* seconds that a measurement takes at least */
static const char *only;     /* entries wanted; NULL: all */

static void must(mla_status_t status)
{
    if (status == MLA_OK) return;
    fprintf(stderr, "bench_backend: %s: %s\n", mla_status_name(status), error.message);
    exit(1);
}

#define BE(op, ...) be->ops->op(be, __VA_ARGS__)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Whether entry `name` is wanted: one of the comma-separated words. */
static int wanted(const char *name)
{
    size_t length = strlen(name);
    for (const char *p = only; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (!strncmp(p, name, length) && (p[length] == ',' || !p[length])) return 1;
    return !only;
}

/* One call and its operands: a, b, c are n_max x n_max and more, filled. */
typedef struct job {
    const char *name;
    mla_dtype_t dt;
    mlai_op_t op;
    mlai_side_t side;
    int64_t m, n, k, ld;
    char *a, *b, *c;
    int32_t *info;
    double *acc;
} job_t;

static mla_status_t run(const job_t *j)
{
    mlai_dist_t d = mlai_dist(j->m, mlai_ceil_div(j->m, 4), 512, 4, MLA_CYCLIC);
    if (!strcmp(j->name, "copy"))
        return BE(copy, st, j->b, j->a, mlai_size_mat(j->m, j->n, mlai_sizeof(j->dt)));
    if (!strcmp(j->name, "lacpy"))
        return BE(lacpy, st, j->dt, MLAI_FULL, j->m, j->n, j->a, j->ld, j->b, j->ld);
    if (!strcmp(j->name, "laset"))
        return BE(laset, st, j->dt, MLAI_FULL, j->m, j->n, 0.0, 1.0, j->b, j->ld);
    if (!strcmp(j->name, "transpose"))
        return BE(transpose, st, j->dt, MLAI_C, j->m, j->n, j->a, j->ld, j->b, j->n);
    if (!strcmp(j->name, "permute_rows"))
        return BE(permute_rows, st, j->dt, &d, true, j->n, j->b, j->ld, j->c, 512);
    if (!strcmp(j->name, "sum_blocks"))
        return BE(sum_blocks, st, j->dt, j->m, j->n, 4, j->a, j->m, j->m * j->n, j->b, j->m);
    if (!strcmp(j->name, "nan_if"))
        return BE(nan_if, st, j->dt, j->info, j->m, j->n, j->b, j->ld);
    if (!strcmp(j->name, "log_diag")) return BE(log_diag, st, j->dt, j->n, j->a, j->ld, j->acc);
    if (!strcmp(j->name, "gemm"))
        return BE(gemm, st, j->dt, MLAI_N, j->op, j->m, j->n, j->k, -1.0, j->a, j->ld, j->a,
                  j->ld, 1.0, j->b, j->ld);
    if (!strcmp(j->name, "herk"))
        return BE(herk, st, j->dt, j->op, j->n, j->k, 1.0, j->a, j->ld, 0.0, j->b, j->ld);
    if (!strcmp(j->name, "trsm"))
        return BE(trsm, st, j->dt, j->side, MLAI_LOWER, j->op, MLAI_NONUNIT, j->m, j->n, 1.0,
                  j->a, j->ld, j->b, mlai_max(1, j->m));
    if (!strcmp(j->name, "trtri_tile"))
        return BE(trtri_tile, st, j->dt, j->n, j->a, j->ld, j->b, j->ld);
    MLAI_TRY(BE(lacpy, st, j->dt, MLAI_FULL, j->n, j->n, j->a, j->ld, j->b, j->ld));
    return BE(potrf_tile, st, j->dt, j->n, j->b, j->ld, 0, j->info);
}

/* gb, flops: of one call; one of them is 0. */
static void measure(const job_t *j, double gb, double flops)
{
    if (!wanted(j->name)) return;
    double seconds = 0, best = INFINITY;
    int calls = 1;
    must(run(j)); // what is made at the first call is made
    must(BE(sync, st));
    for (int round = 0; round < 40 && (round < 3 || seconds < window); round++) {
        double start = now();
        for (int k = 0; k < calls; k++) must(run(j));
        must(BE(sync, st));
        seconds = now() - start;
        if (seconds / calls < best) best = seconds / calls;
        if (seconds < window) calls = 1 + (int)fmin(2 * calls, calls * window / (seconds + 1e-9));
    }
    char shape[64];
    snprintf(shape, sizeof shape, "%lldx%lld%s", (long long)j->m, (long long)j->n,
             j->ld % 2 ? " odd ld" : "");
    printf("%-12s %c %c%c %-20s k %-6lld %10.1f us  ", j->name, "sdcz"[j->dt],
           j -> side ? (char)j -> side : ' ', j->op ? (char)j->op : ' ', shape, (long long)j->k,
           best * 1e6);
    if (flops > 0)
        printf("%8.3f TF/s\n", flops / best * 1e-12);
    else
        printf("%8.1f GB/s\n", gb / best);
    fflush(stdout);
}

static void moving(job_t j, int64_t n)
{
    double gb = (double)mlai_size_mat(n, n, mlai_sizeof(j.dt)) * 1e-9;
    j.m = j.n = j.ld = n;
    j.name = "copy";
    measure(&j, 2 * gb, 0);
    for (int odd = 0; odd < 2; odd++) {
        j.ld = n + odd;
        j.name = "lacpy";
        measure(&j, 2 * gb, 0);
        j.name = "laset";
        measure(&j, gb, 0);
        j.name = "transpose";
        measure(&j, 2 * gb, 0);
        j.name = "permute_rows";
        measure(&j, 2 * gb, 0);
        j.name = "nan_if"; // *info is 0: the time of asking
        measure(&j, gb, 0);
        j.name = "log_diag";
        measure(&j, 1e-9 * (double)n * (double)mlai_sizeof(j.dt), 0);
    }
    j.m = n / 4;
    j.ld = n;
    j.name = "sum_blocks";
    measure(&j, 1.25 * gb, 0);
}

static void products(job_t j, int64_t most, double unit)
{
    static const int64_t shapes[][3] = {
        {4096, 4096, 4096}, {8192, 512, 512}, {8192, 8192, 512}, {1, 8192, 512}, {512, 512, 512}};
    j.ld = most;
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        j.m = shapes[k][0], j.n = shapes[k][1], j.k = shapes[k][2];
        if (j.m > most || j.n > most || j.k > most) continue;
        j.name = "gemm";
        j.op = MLAI_C;
        measure(&j, 0, unit * (double)j.m * (double)j.n * (double)j.k);
        if (j.m != j.n) continue;
        j.name = "herk";
        measure(&j, 0, 0.5 * unit * (double)j.m * (double)j.n * (double)j.k);
    }
}

static void triangles(job_t j, int64_t most, double unit)
{
    static const int64_t rhs[][2] = {{1, 512},     {1, 4096},   {1, 8192},     {512, 512},
                                     {2048, 512},  {8192, 512}, {16384, 512},  {8192, 128},
                                     {8192, 1024}, {512, 4096}, {16384, 2048}, {100, 2048}};
    j.ld = most;
    for (size_t k = 0; k < sizeof rhs / sizeof rhs[0]; k++)
        for (int v = 0; v < 4; v++) {
            int64_t order = rhs[k][1];
            j.name = "trsm";
            j.side = v / 2 ? MLAI_LEFT : MLAI_RIGHT;
            j.op = v % 2 ? MLAI_N : MLAI_C;
            j.m = v / 2 ? order : rhs[k][0];
            j.n = v / 2 ? rhs[k][0] : order;
            if (order > most || rhs[k][0] * order > most * most) continue;
            measure(&j, 0, 0.5 * unit * (double)rhs[k][0] * (double)order * (double)order);
        }
    j.side = (mlai_side_t)0;
    j.op = (mlai_op_t)0;
    for (int64_t n = 128; n <= most; n *= 2) {
        j.m = j.n = n;
        j.name = "trtri_tile";
        measure(&j, 0, unit / 6 * (double)n * (double)n * (double)n);
        j.name = "lacpy"; // which potrf_tile needs to begin with
        if (wanted("potrf_tile"))
            measure(&j, 2e-9 * (double)mlai_size_mat(n, n, mlai_sizeof(j.dt)), 0);
        j.name = "potrf_tile";
        measure(&j, 0, unit / 6 * (double)n * (double)n * (double)n);
    }
}

/* Diagonal n, the rest between -1 and 1: positive definite, and a triangle that inverts well. */
static void fill(mla_dtype_t dt, int64_t n, char *a)
{
    int64_t parts = mlai_is_complex(dt) ? 2 : 1;
    size_t es = mlai_sizeof(dt);
    char *column = malloc((size_t)n * es);
    if (!column) exit(1);
    uint64_t s = 88172645463325252u;
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < parts * n; i++) {
            s ^= s << 13, s ^= s >> 7, s ^= s << 17;
            double v = i / parts == j ? (i % parts ? 0.0 : (double)n)
                                      : (double)(s >> 11) / 9007199254740992.0 * 2 - 1;
            if (mlai_real(dt) == MLA_FLOAT32)
                ((float *)column)[i] = (float)v;
            else
                ((double *)column)[i] = v;
        }
        must(BE(from_host, st, mlai_at(a, dt, n, 0, j), column, (size_t)n * es));
    }
    free(column);
}

static void bench(mla_dtype_t dt, int64_t n)
{
    job_t j = {.dt = dt};
    double zero = 0;
    // Room for an odd leading dimension, and for tall right sides.
    size_t bytes = mlai_size_mat(n + 1, n + 1, mlai_sizeof(dt));
    must(BE(alloc, bytes, (void **)&j.a));
    must(BE(alloc, bytes, (void **)&j.b));
    must(BE(alloc, mlai_size_mat(n, 512, mlai_sizeof(dt)), (void **)&j.c));
    must(BE(alloc, 256, (void **)&j.info));
    must(BE(alloc, 256, (void **)&j.acc));
    must(BE(zero, st, j.info, sizeof *j.info));
    must(BE(from_host, st, j.acc, &zero, sizeof zero));
    must(BE(zero, st, j.b, bytes));
    must(BE(zero, st, j.a, bytes));
    fill(dt, n, j.a);
    double unit = mlai_is_complex(dt) ? 8 : 2;
    moving(j, n);
    products(j, n, unit);
    triangles(j, n, unit);
    void *all[] = {j.a, j.b, j.c, j.info, j.acc};
    for (int k = 0; k < 5; k++) be->ops->free(be, all[k]);
}

int main(int argc, char **argv)
{
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    const char *types = "sdcz";
    int64_t n = 8192;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *v = argv[i + 1];
        if (!strcmp(argv[i], "--device")) options.device = v[0] == 'c' ? MLA_CUDA : MLA_HOST;
        if (!strcmp(argv[i], "--ordinal")) options.ordinal = atoi(v);
        if (!strcmp(argv[i], "--type")) types = v;
        if (!strcmp(argv[i], "--op")) only = v;
        if (!strcmp(argv[i], "--ms")) window = atof(v) * 1e-3;
        if (!strcmp(argv[i], "--n")) n = atoll(v);
    }
    must(options.device == MLA_CUDA ? mlai_backend_create_cuda(&options, &error, &be)
                                    : mlai_backend_create_host(&options, &error, &be));
    st = be->ops->stream(be, MLAI_STREAM_MAIN);
    for (const char *t = types; *t; t++)
        if (strchr("sdcz", *t)) bench((mla_dtype_t)(strchr("sdcz", *t) - "sdcz"), n);
    be->ops->free_backend(be);
    return 0;
}
