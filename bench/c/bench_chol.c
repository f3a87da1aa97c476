/* SPDX-License-Identifier: Apache-2.0
 * bench/c/bench_chol.c: time of the routines on Hermitian positive definite matrices. The matrix
 * is made on the device (random, dominant diagonal), so that large ones take no time to set up.
 *
 *     bench_chol [--device host|cuda] [--routine potrf,posv,poinv] [--type s,d,c,z]
 *                [--n 4096,8192] [--nb 0,512] [--ranks 1,4] [--nrhs 1] [--repeat 3]
 *
 * Ranks are threads, on CUDA all of them on device 0. A line for each case: least milliseconds
 * and TF/s (real operations; n^3/3, n^3/3 and n^3, four times that for complex types). */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "algo/algo.h"

enum { MOST = 16, SHIFT = 64 };
static const char types[] = "sdcz";

typedef struct run {
    mla_device_t device;
    const char *routine;
    mla_desc_t desc;
    int nranks, repeat;
    int64_t nrhs;
    char name[64]; /* of the communicator */
    pthread_barrier_t meet;
    double seconds[MOST]; /* of the last call, by rank */
    double best;
} run_t;

typedef struct rank {
    run_t *run;
    int p;
    mla_context_t *x;
    mla_comm_t *comm;
    void *a, *c, *random, *diagonal;
    int32_t *info;
    int64_t cols;
} rank_t;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(const rank_t *r, mla_status_t st)
{
    if (st == MLA_OK) return;
    fprintf(stderr, "bench_chol: rank %d: %s: %s\n", r->p, mla_status_name(st),
            mla_message(r->x));
    exit(1);
}
#define BE(op, ...) must(r, MLAI_BE(r->x, op, __VA_ARGS__))

/* `count` real numbers in [-1, 1), or equal to `value` if that is not 0; complex: imaginary parts
 * too, or 0. */
static void *numbers(rank_t *r, int64_t count, double value)
{
    mla_dtype_t dt = r->run->desc.dtype;
    int parts = mlai_is_complex(dt) ? 2 : 1;
    size_t bytes = mlai_size_mat(count, 1, mlai_sizeof(dt));
    char *host = malloc(bytes ? bytes : 1);
    void *dev = NULL;
    uint64_t s = 88172645463325252u + (uint64_t)r->p;
    if (!host) exit(1);
    for (int64_t i = 0; i < count * parts; i++) {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        double v = (double)(s >> 11) / 9007199254740992.0 * 2 - 1;
        if (value > 0) v = i % parts ? 0 : value;
        if (mlai_real(dt) == MLA_FLOAT32)
            ((float *)(void *)host)[i] = (float)v;
        else
            ((double *)(void *)host)[i] = v;
    }
    BE(alloc, bytes, &dev);
    BE(from_host, mlai_stream(r->x, MLAI_STREAM_MAIN), dev, host, bytes);
    free(host);
    return dev;
}

/* Column j is the random numbers from SHIFT j on, but for the diagonal. */
static void fill(rank_t *r)
{
    const mla_desc_t *d = &r->run->desc;
    mlai_stream_t st = mlai_stream(r->x, MLAI_STREAM_MAIN);
    BE(lacpy, st, d->dtype, MLAI_FULL, d->n, r->cols, r->random, SHIFT, r->a, d->ld);
    BE(lacpy, st, d->dtype, MLAI_FULL, 1, r->cols, r->diagonal, 1,
       mlai_at(r->a, d->dtype, d->ld, r->p * d->lc, 0), d->ld + 1);
    BE(lacpy, st, d->dtype, MLAI_FULL, r->run->nrhs, r->cols, r->random, SHIFT, r->c,
       mlai_max(1, r->run->nrhs));
}

static mla_status_t call(rank_t *r)
{
    const run_t *run = r->run;
    if (!strcmp(run->routine, "posv"))
        return mla_posv(r->x, &run->desc, r->a, MLA_RHS_ROWS, run->nrhs, r->c,
                        mlai_max(1, run->nrhs), NULL, r->info);
    if (!strcmp(run->routine, "poinv")) return mla_poinv(r->x, &run->desc, r->a, NULL, r->info);
    return mla_potrf(r->x, &run->desc, r->a, NULL, r->info);
}

static void allocate(rank_t *r)
{
    const mla_desc_t *d = &r->run->desc;
    size_t es = mlai_sizeof(d->dtype);
    r->cols = mlai_min(d->lc, mlai_max(0, d->n - r->p * d->lc));
    BE(alloc, mlai_size_mat(d->ld, d->lc, es), &r->a);
    BE(alloc, mlai_size_mat(mlai_max(1, r->run->nrhs), d->lc, es), &r->c);
    BE(alloc, 64, (void **)&r->info);
    r->random = numbers(r, d->n + r->run->nrhs + SHIFT * d->lc, 0);
    r->diagonal = numbers(r, d->lc, 2 * (double)d->n);
}

static void *rank_main(void *arg)
{
    rank_t *r = arg;
    run_t *run = r->run;
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    options.device = run->device;
    options.comm = r->comm;
    if (run->device == MLA_CUDA && run->nranks > 1) {
        must(r, mla_comm_create_peer(run->name, run->nranks, r->p, 0, 60, &r->comm));
        options.comm = r->comm;
    }
    must(r, mla_context_create(&options, &r->x));
    allocate(r);
    int32_t info = 0;
    for (int k = 0; k < run->repeat + 1; k++) { // the first call warms up
        fill(r);
        must(r, mla_context_sync(r->x));
        pthread_barrier_wait(&run->meet);
        double t = now();
        must(r, call(r));
        must(r, mla_context_sync(r->x));
        run->seconds[r->p] = now() - t;
        pthread_barrier_wait(&run->meet);
        double most = 0;
        for (int q = 0; q < run->nranks; q++) most = fmax(most, run->seconds[q]);
        if (r->p == 0 && k > 0) run->best = fmin(run->best, most);
    }
    BE(to_host, mlai_stream(r->x, MLAI_STREAM_MAIN), &info, r->info, sizeof info);
    must(r, mla_context_sync(r->x));
    if (info != 0) printf("bench_chol: rank %d: info %d\n", r->p, (int)info);
    void *dev[] = {r->a, r->c, r->random, r->diagonal, r->info};
    for (int k = 0; k < 5; k++) r->x->be->ops->free(r->x->be, dev[k]);
    pthread_barrier_wait(&run->meet);
    mla_context_free(r->x);
    mla_comm_free(r->comm);
    return NULL;
}

static void bench(run_t *run)
{
    static int number;
    rank_t rank[MOST] = {{0}};
    pthread_t thread[MOST];
    mla_comm_t *comm[MOST] = {NULL};
    run->best = INFINITY;
    snprintf(run->name, sizeof run->name, "bench_chol-%ld-%d", (long)getpid(), number++);
    pthread_barrier_init(&run->meet, NULL, (unsigned)run->nranks);
    if (run->device == MLA_HOST && run->nranks > 1 &&
        mla_comm_create_threads(run->nranks, 60, comm) != MLA_OK)
        exit(1);
    for (int p = 0; p < run->nranks; p++) {
        rank[p] = (rank_t){.run = run, .p = p, .comm = comm[p]};
        if (pthread_create(&thread[p], NULL, rank_main, &rank[p])) exit(1);
    }
    for (int p = 0; p < run->nranks; p++) pthread_join(thread[p], NULL);
    pthread_barrier_destroy(&run->meet);
    double n = (double)run->desc.n, flops = n * n * n / (strcmp(run->routine, "poinv") ? 3 : 1);
    if (mlai_is_complex(run->desc.dtype)) flops *= 4;
    printf("%-6s %c n %-6lld P %d nb %-5lld %10.3f ms %7.2f TF/s\n", run->routine,
           types[run->desc.dtype], (long long)run->desc.n, run->nranks, (long long)run->desc.nb,
           run->best * 1e3, flops / run->best * 1e-12);
    fflush(stdout);
}

/* The comma-separated words of `list`, at most MOST. */
static int words(char *list, const char *word[MOST])
{
    int count = 0;
    for (char *p = strtok(list, ","); p && count < MOST; p = strtok(NULL, ",")) word[count++] = p;
    return count;
}

int main(int argc, char **argv)
{
    char list[5][256] = {"potrf", "d", "4096", "0", "1"};
    static const char *const option[5] = {"--routine", "--type", "--n", "--nb", "--ranks"};
    const char *word[5][MOST];
    int count[5];
    run_t run = {.device = MLA_HOST, .repeat = 3, .nrhs = 1};
    for (int i = 1; i + 1 < argc; i += 2) {
        for (int k = 0; k < 5; k++)
            if (!strcmp(argv[i], option[k])) snprintf(list[k], sizeof list[k], "%s", argv[i + 1]);
        if (!strcmp(argv[i], "--device"))
            run.device = argv[i + 1][0] == 'c' ? MLA_CUDA : MLA_HOST;
        if (!strcmp(argv[i], "--repeat")) run.repeat = atoi(argv[i + 1]);
        if (!strcmp(argv[i], "--nrhs")) run.nrhs = atoll(argv[i + 1]);
    }
    for (int k = 0; k < 5; k++) count[k] = words(list[k], word[k]);
    for (int r = 0; r < count[0]; r++)
        for (int t = 0; t < count[1]; t++)
            for (int i = 0; i < count[2]; i++)
                for (int b = 0; b < count[3]; b++)
                    for (int p = 0; p < count[4]; p++) {
                        const char *dt = strchr(types, *word[1][t]);
                        int64_t n = atoll(word[2][i]), ranks = atoll(word[4][p]);
                        if (!dt || n < 1 || ranks < 1 || ranks > MOST) return 2;
                        run.routine = word[0][r];
                        run.nranks = (int)ranks;
                        mla_desc_t desc = MLA_DESC_INIT((mla_dtype_t)(dt - types), n);
                        run.desc = desc;
                        run.desc.ld = n;
                        run.desc.lc = mlai_ceil_div(n, ranks);
                        run.desc.nb = atoll(word[3][b]);
                        bench(&run);
                    }
    return 0;
}
