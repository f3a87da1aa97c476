/* SPDX-License-Identifier: Apache-2.0
 * examples/c/00_solve_threads.c: A x = b with a positive definite A whose columns lie on P ranks,
 * each rank a thread of this process.
 *
 *     cc 00_solve_threads.c -lmeshlinalg -lm -lpthread && ./a.out [n] [P]
 *
 * Each rank makes its own columns of A, all call mla_posv, and each checks the residual of its
 * own part of the equations. Nobody ever holds the whole matrix. */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "meshlinalg.h"

/* A Gaussian process's covariance: exponential kernel and noise. */
static double element(int64_t i, int64_t j)
{
    return exp(-fabs((double)(i - j)) / 50.0) + (i == j ? 0.01 : 0.0);
}

typedef struct rank {
    mla_comm_t *comm;
    int64_t n;
    double residual; /* out: largest |A x - b| of this rank's equations, or NaN */
} rank_t;

static void *solve(void *arg)
{
    rank_t *me = arg;
    int64_t n = me->n;
    int p = mla_comm_rank(me->comm), nranks = mla_comm_size(me->comm);
    int64_t lc = (n + nranks - 1) / nranks; /* columns of a rank; the last ranks may have fewer */
    int64_t first = p * lc < n ? p * lc : n;
    int64_t cols = first + lc < n ? lc : n - first;
    int32_t info = -1;
    mla_context_t *ctx = NULL;
    mla_status_t status = MLA_NOMEM;
    double *a = malloc(((size_t)n * (size_t)cols + 1) * sizeof *a);
    double *x = malloc((size_t)n * sizeof *x);
    me->residual = NAN;
    if (!a || !x) {
        mla_comm_abort(me->comm, "no memory for the matrix");
        goto done;
    }

    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < n; i++) a[i + j * n] = element(i, first + j);
    for (int64_t i = 0; i < n; i++) x[i] = sin((double)i); /* b, on every rank */

    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    options.comm = me->comm;
    status = mla_context_create(&options, &ctx);
    if (status != MLA_OK) {
        mla_comm_abort(me->comm, mla_message(NULL));
        goto done;
    }
    mla_desc_t desc = MLA_DESC_INIT(MLA_FLOAT64, n);
    status = mla_posv(ctx, &desc, a, MLA_RHS_REPLICATED, 1, x, 1, NULL, &info);
    if (status != MLA_OK || info != 0) goto done;

    me->residual = 0.0;
    for (int64_t j = first; j < first + cols; j++) {
        double r = -sin((double)j);
        for (int64_t i = 0; i < n; i++) r += element(i, j) * x[i];
        me->residual = fmax(me->residual, fabs(r));
    }
done:
    if (status != MLA_OK)
        fprintf(stderr, "rank %d: %s: %s\n", p, mla_status_name(status), mla_message(ctx));
    else if (info != 0)
        fprintf(stderr, "rank %d: not positive definite, info %d\n", p, (int)info);
    mla_context_free(ctx);
    free(a);
    free(x);
    return NULL;
}

int main(int argc, char **argv)
{
    enum { MAX_RANKS = 64 };
    int64_t n = argc > 1 ? atoll(argv[1]) : 1000;
    int nranks = argc > 2 ? atoi(argv[2]) : 3;
    mla_comm_t *comms[MAX_RANKS];
    rank_t ranks[MAX_RANKS];
    pthread_t threads[MAX_RANKS];
    double residual = 0.0;
    bool failed = false;
    if (n < 1 || nranks < 1 || nranks > MAX_RANKS) {
        fprintf(stderr, "usage: %s [n >= 1] [1 <= P <= %d]\n", argv[0], MAX_RANKS);
        return 2;
    }

    if (mla_comm_create_threads(nranks, 60.0, comms) != MLA_OK) {
        fprintf(stderr, "%s\n", mla_message(NULL));
        return 1;
    }
    for (int p = 0; p < nranks; p++) {
        ranks[p] = (rank_t){.comm = comms[p], .n = n};
        if (pthread_create(&threads[p], NULL, solve, &ranks[p]) != 0) {
            fprintf(stderr, "pthread_create failed\n");
            return 1;
        }
    }
    for (int p = 0; p < nranks; p++) {
        pthread_join(threads[p], NULL);
        residual = fmax(residual, ranks[p].residual);
        failed = failed || !(ranks[p].residual < 1e-10); /* also if NaN */
        mla_comm_free(comms[p]);
    }
    printf("n = %lld, %d threads: max |A x - b| = %.1e\n", (long long)n, nranks, residual);
    return failed ? 1 : 0;
}
