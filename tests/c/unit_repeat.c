/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_repeat.c: for the same number of ranks and tile width, results are the same bit
 * for bit: run after run, and for every communicator of the host. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/dtype.h"
#include "core/size.h"
#include "gen.h"

enum { N = 83, NB = 9, NRHS = 3, MAX_P = 8, RUNS = 3, ROUTINES = 6 };
static const char *const names[ROUTINES] = {"posv", "potri", "poinv", "syevd", "syevj", "qr"};

static int failures, cases;

typedef struct rank {
    int p, nranks, routine;
    mla_dtype_t dt;
    mla_comm_t *comm;
    const char *shm; /* name of the communicator, or NULL: threads */
    char *a, *c, *w, *z;
    double logdet;
    int32_t info;
    mla_status_t status;
} rank_t;

/* Q in a, R in z. */
static mla_status_t call_qr(rank_t *r, mla_context_t *x)
{
    mla_rows_t rows = MLA_ROWS_INIT(r->dt, N, N);
    double _Complex t[NB * N];
    rows.nb = NB;
    mla_status_t st = mla_geqrf(x, &rows, r->a, t, NB, MLA_RHS_ROWS, r->z, N);
    return st == MLA_OK ? mla_ungqr(x, &rows, r->a, t, NB, N, r->a, N) : st;
}

static mla_status_t call(rank_t *r, mla_context_t *x)
{
    mla_desc_t d = MLA_DESC_INIT(r->dt, N);
    d.nb = NB;
    switch (r->routine) {
    case 0: return mla_posv(x, &d, r->a, MLA_RHS_ROWS, NRHS, r->c, NRHS, &r->logdet, &r->info);
    case 1: {
        mla_status_t st = mla_potrf(x, &d, r->a, &r->logdet, &r->info);
        return st == MLA_OK ? mla_potri(x, &d, r->a) : st;
    }
    case 2: return mla_poinv(x, &d, r->a, &r->logdet, &r->info);
    case 5: return call_qr(r, x);
    case 3: return mla_syevd(x, &d, r->a, r->w, r->z, &r->info);
    default: return mla_syevd(x, &d, r->a, r->w, NULL, &r->info);
    }
}

/* Sizes of a, c, w, z of a rank, and whether a routine's result is in them. */
static size_t bytes_of(const rank_t *r, int which)
{
    int64_t lc = mlai_ceil_div(N, r->nranks);
    size_t es = mlai_sizeof(r->dt);
    const size_t bytes[] = {mlai_size_mat(N, lc, es), mlai_size_mat(NRHS, lc, es),
                            mlai_size_mat(N, 1, es), mlai_size_mat(N, lc, es)};
    return bytes[which];
}

static void fill(rank_t *r)
{
    gen_t g;
    gen_z column[N];
    int64_t lc = mlai_ceil_div(N, r->nranks);
    if (gen_init(&g, "cond:100", N, r->dt)) exit(1);
    for (int64_t j = r->p * lc; j < mlai_min(N, (r->p + 1) * lc); j++) {
        gen_column(&g, j, column);
        for (int64_t i = 0; i < N; i++) gen_put(r->dt, r->a, i + (j - r->p * lc) * N, column[i]);
        for (int64_t k = 0; k < NRHS; k++)
            gen_put(r->dt, r->c, k + (j - r->p * lc) * NRHS, gen_hash(3, k, j));
    }
    gen_free(&g);
}

static void *rank_main(void *arg)
{
    rank_t *r = arg;
    mla_context_options_t o = MLA_CONTEXT_OPTIONS_INIT;
    mla_context_t *x = NULL;
    r->status = MLA_OK;
    if (r->shm) r->status = mla_comm_create_shm(r->shm, r->nranks, r->p, 20, &r->comm);
    o.comm = r->comm;
    if (r->status == MLA_OK) r->status = mla_context_create(&o, &x);
    if (r->status == MLA_OK) r->status = call(r, x);
    if (r->status != MLA_OK) printf("%s\n", mla_message(x));
    mla_context_free(x);
    mla_comm_free(r->comm);
    return NULL;
}

static void run(rank_t *rank, int nranks, int routine, mla_dtype_t dt, bool shm)
{
    static int count;
    char name[64];
    mla_comm_t *comm[MAX_P] = {NULL};
    pthread_t thread[MAX_P];
    snprintf(name, sizeof name, "repeat-%ld-%d", (long)getpid(), count++);
    if (!shm && mla_comm_create_threads(nranks, 20, comm) != MLA_OK) exit(1);
    for (int p = 0; p < nranks; p++) {
        rank_t *r = &rank[p];
        *r = (rank_t){.p = p, .nranks = nranks, .routine = routine, .dt = dt, .comm = comm[p]};
        r->shm = shm ? name : NULL;
        char **buffer[] = {&r->a, &r->c, &r->w, &r->z};
        for (int b = 0; b < 4; b++)
            if (!(*buffer[b] = calloc(1, bytes_of(r, b)))) exit(1);
        fill(r);
        if (pthread_create(&thread[p], NULL, rank_main, r)) exit(1);
    }
    for (int p = 0; p < nranks; p++) pthread_join(thread[p], NULL);
}

static void drop(rank_t *rank, int nranks)
{
    for (int p = 0; p < nranks; p++) {
        free(rank[p].a);
        free(rank[p].c);
        free(rank[p].w);
        free(rank[p].z);
    }
}

/* Everything that the caller can see. */
static bool same(const rank_t *r, const rank_t *s)
{
    const char *left[] = {r->a, r->c, r->w, r->z}, *right[] = {s->a, s->c, s->w, s->z};
    bool equal = r->status == MLA_OK && s->status == MLA_OK && r->info == 0 && s->info == 0 &&
                 !memcmp(&r->logdet, &s->logdet, sizeof r->logdet);
    bool eigen = r->routine == 3 || r->routine == 4; // whose a holds nothing of use
    for (int b = eigen; b < 4; b++) equal = equal && !memcmp(left[b], right[b], bytes_of(r, b));
    return equal;
}

int main(void)
{
    for (int routine = 0; routine < ROUTINES; routine++)
        for (int dt = 0; dt < 4; dt++)
            for (int nranks = 1; nranks <= 5; nranks++) {
                rank_t first[MAX_P], next[MAX_P];
                run(first, nranks, routine, (mla_dtype_t)dt, false);
                for (int k = 1; k < RUNS; k++) {
                    bool equal = true;
                    run(next, nranks, routine, (mla_dtype_t)dt, k == RUNS - 1);
                    for (int p = 0; p < nranks; p++) equal = equal && same(&first[p], &next[p]);
                    cases++;
                    if (!equal) {
                        failures++;
                        printf("FAIL %s, type %c, P = %d: run %d differs\n", names[routine],
                               "sdcz"[dt], nranks, k);
                    }
                    drop(next, nranks);
                }
                drop(first, nranks);
            }
    printf("unit_repeat: %d cases, %d failed\n", cases, failures);
    return failures != 0;
}
