/* SPDX-License-Identifier: Apache-2.0
 * examples/c/01_solve_processes.c: A X = B with a Hermitian A whose columns lie on P ranks, each
 * rank a process; they meet by name through shared memory. Here they are forked; they may just as
 * well be started one by one with a name and a rank on the command line.
 *
 *     cc 01_solve_processes.c -lmeshlinalg -lm && ./a.out [n] [P]
 *
 * Complex, two right-hand sides, cut like A; factor first, then solve with the factor. */
#include <complex.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "meshlinalg.h"

enum { NRHS = 2 };

/* A ring with a magnetic flux: Hermitian, diagonally dominant. */
static double complex element(int64_t n, int64_t i, int64_t j)
{
    if (i == j) return 3.0;
    if ((i + 1) % n == j) return -cexp(0.7 * I);
    if ((j + 1) % n == i) return -cexp(-0.7 * I);
    return 0.0;
}

/* The solution: known, so that every rank makes its right-hand sides and checks its own part. */
static double complex solution(int64_t i, int r)
{
    return cos((double)i) + I * (double)r;
}

/* Rank `rank` of `nranks`: returns the largest error of its rows of X, or NaN. */
static double solve(const char *name, int nranks, int rank, int64_t n)
{
    int64_t lc = (n + nranks - 1) / nranks;
    int64_t first = rank * lc < n ? rank * lc : n;
    int64_t cols = first + lc < n ? lc : n - first;
    double error = NAN, logdet = 0.0;
    int32_t info = -1;
    mla_comm_t *comm = NULL;
    mla_context_t *ctx = NULL;
    mla_context_options_t options = MLA_CONTEXT_OPTIONS_INIT;
    mla_desc_t desc = MLA_DESC_INIT(MLA_COMPLEX128, n);
    double complex *a = malloc(((size_t)n * (size_t)cols + 1) * sizeof *a);
    double complex *x = malloc((NRHS * (size_t)cols + 1) * sizeof *x);
    if (!a || !x) goto done;

    /* The library solves X B = C for what it is given; with B = A^T, column by column, row j of
     * the unknowns is column j of X: A x = b without any transposition. */
    for (int64_t j = 0; j < cols; j++) {
        for (int64_t i = 0; i < n; i++) a[i + j * n] = element(n, first + j, i);
        for (int r = 0; r < NRHS; r++) {
            int64_t row = first + j, left = (row + n - 1) % n, right = (row + 1) % n;
            x[r + NRHS * j] = element(n, row, row) * solution(row, r) +
                              element(n, row, left) * solution(left, r) +
                              element(n, row, right) * solution(right, r);
        }
    }

    if (mla_comm_create_shm(name, nranks, rank, 60.0, &comm) != MLA_OK) goto done;
    options.comm = comm;
    if (mla_context_create(&options, &ctx) != MLA_OK) goto done;
    if (mla_potrf(ctx, &desc, a, &logdet, &info) != MLA_OK || info != 0) goto done;
    if (mla_potrs(ctx, &desc, a, MLA_RHS_ROWS, NRHS, x, NRHS) != MLA_OK) goto done;
    error = 0.0;
    for (int64_t j = 0; j < cols; j++)
        for (int r = 0; r < NRHS; r++)
            error = fmax(error, cabs(x[r + NRHS * j] - solution(first + j, r)));
    if (rank == 0)
        printf("n = %lld, %d processes: log det A = %.12g\n", (long long)n, nranks, logdet);
    printf("rank %d (process %ld): largest error %.1e\n", rank, (long)getpid(), error);
done:
    if (isnan(error)) {
        const char *why = info > 0 ? "not positive definite" : mla_message(ctx);
        fprintf(stderr, "rank %d: %s\n", rank, why);
        if (comm) mla_comm_abort(comm, why);
    }
    mla_context_free(ctx);
    mla_comm_free(comm);
    free(a);
    free(x);
    return error;
}

int main(int argc, char **argv)
{
    int64_t n = argc > 1 ? atoll(argv[1]) : 1000;
    int nranks = argc > 2 ? atoi(argv[2]) : 3;
    int failed = 0;
    char name[64];
    if (n < 3 || nranks < 1 || nranks > 64) {
        fprintf(stderr, "usage: %s [n >= 3] [1 <= P <= 64]\n", argv[0]);
        return 2;
    }
    snprintf(name, sizeof name, "example-%ld", (long)getpid());

    for (int rank = 0; rank < nranks; rank++) {
        pid_t child = fork();
        if (child < 0) {
            perror("fork");
            return 1;
        }
        if (child == 0) exit(solve(name, nranks, rank, n) < 1e-10 ? 0 : 1);
    }
    for (int rank = 0; rank < nranks; rank++) {
        int status = 0;
        wait(&status);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) failed++;
    }
    printf("%d of %d ranks ok\n", nranks - failed, nranks);
    return failed ? 1 : 0;
}
