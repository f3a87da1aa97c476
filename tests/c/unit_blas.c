/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_blas.c: where the host backend finds BLAS and LAPACK, and what it does to the
 * threads of OpenBLAS. A process finds its BLAS once: each scenario has a process of its own. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/host/host_blas.h"

static const char *path; /* of a library with BLAS and LAPACK */

static const char *const routines[] = {
#define XX(field, s, d, c, z) s, d, c, z,
    MLAI_BLAS_LIST(XX)
#undef XX
};
enum { ROUTINES = sizeof routines / sizeof routines[0] };

static bool failed(const char *what)
{
    printf("FAIL %s: %s\n", what, mla_message(NULL));
    return false;
}

/* 2 x = 3 on one rank. */
static bool solves(mla_comm_t *comm)
{
    mla_context_options_t o = MLA_CONTEXT_OPTIONS_INIT;
    mla_context_t *x = NULL;
    o.comm = comm;
    if (mla_context_create(&o, &x) != MLA_OK) return failed("mla_context_create");
    mla_desc_t d = MLA_DESC_INIT(MLA_FLOAT64, 1);
    double a = 4, c = 6;
    int32_t info = -1;
    mla_status_t st = mla_posv(x, &d, &a, MLA_RHS_REPLICATED, 1, &c, 1, NULL, &info);
    mla_context_free(x);
    return (st == MLA_OK && info == 0 && c == 1.5) || failed("mla_posv");
}

static bool refuses(mla_status_t st, const char *word)
{
    bool ok = st == MLA_UNSUPPORTED && strstr(mla_message(NULL), word);
    return ok || failed(word);
}

/* The address of a routine in the library, however it is decorated there. */
static void *look_up(void *handle, const char *name)
{
    static const char *const forms[] = {"%s_", "scipy_%s_", "%s_64_", "scipy_%s_64_"};
    for (int k = 0; k < 4; k++) {
        char full[64];
        snprintf(full, sizeof full, forms[k], name);
        void *address = dlsym(handle, full);
        if (address) return address;
    }
    return NULL;
}

static mla_symbol_t *table(void)
{
    static mla_symbol_t list[ROUTINES];
    void *handle = dlopen(path, RTLD_NOW);
    if (!handle) exit(1);
    for (int k = 0; k < ROUTINES; k++)
        if (routines[k]) list[k] = (mla_symbol_t){routines[k], look_up(handle, routines[k])};
    return list;
}

/* ---- scenarios
 * --------------------------------------------------------------------------------- */

static bool by_itself(void)
{
    return solves(NULL);
}

static bool by_path(void)
{
    unsetenv("MESHLINALG_BLAS");
    if (mla_host_blas(path, NULL, 0) != MLA_OK) return failed("path");
    if (mla_host_blas("/no/such/library.so", NULL, 0) != MLA_OK)
        return failed("the first successful call does not count");
    return solves(NULL);
}

static bool by_table(void)
{
    setenv("MESHLINALG_BLAS", "/no/such/library.so", 1);
    if (mla_host_blas(NULL, table(), ROUTINES) != MLA_OK) return failed("table");
    return solves(NULL);
}

/* What the table has not is taken from the path. */
static bool by_table_and_path(void)
{
    mla_symbol_t *list = table();
    for (int k = 0; k < ROUTINES; k += 2) list[k].address = NULL;
    if (mla_host_blas(path, list, ROUTINES) != MLA_OK) return failed("table and path");
    return solves(NULL);
}

/* Refusals name what is missing, and do not count. */
static bool after_refusals(void)
{
    mla_symbol_t *list = table();
    for (int k = 0; k < ROUTINES; k++)
        if (routines[k] && !strcmp(routines[k], "ztrsm")) list[k].address = NULL;
    return refuses(mla_host_blas(NULL, list, ROUTINES), "ztrsm") &&
           refuses(mla_host_blas("/no/such/library.so", NULL, 0), "/no/such/library.so") &&
           refuses(mla_host_blas("libm.so.6", NULL, 0), "libm.so.6") &&
           mla_host_blas(path, NULL, 0) == MLA_OK && solves(NULL);
}

static bool by_wrong_variable(void)
{
    setenv("MESHLINALG_BLAS", "/no/such/library.so", 1);
    mla_context_options_t o = MLA_CONTEXT_OPTIONS_INIT;
    mla_context_t *x = NULL;
    bool ok = refuses(mla_context_create(&o, &x), "/no/such/library.so");
    return ok && !x;
}

/* ---- threads
 * ------------------------------------------------------------------------------------ */

enum { RANKS = 3, USER_THREADS = 2 };
static int (*get_threads)(void);
static void (*set_threads)(int);

static bool find_threads(void)
{
    static const char *const forms[] = {"%s", "scipy_%s", "%s64_", "scipy_%s64_"};
    void *handle = dlopen(path, RTLD_NOW);
    for (int k = 0; handle && k < 4 && !(get_threads && set_threads); k++) {
        char get[64], set[64];
        snprintf(get, sizeof get, forms[k], "openblas_get_num_threads");
        snprintf(set, sizeof set, forms[k], "openblas_set_num_threads");
        *(void **)&get_threads = dlsym(handle, get);
        *(void **)&set_threads = dlsym(handle, set);
    }
    return get_threads && set_threads;
}

static void *rank_main(void *comm)
{
    return solves(comm) ? comm : NULL;
}

/* The user's number of threads is one while ranks compute, and his own again afterwards. */
static bool threads_kept(void)
{
    if (!find_threads()) return true; // not OpenBLAS
    if (!solves(NULL)) return false;
    set_threads(USER_THREADS);
    int user = get_threads();
    mlai_blas_enter();
    mlai_blas_enter();
    bool ok = get_threads() == 1;
    mlai_blas_leave();
    ok = ok && get_threads() == 1;
    mlai_blas_leave();
    ok = ok && get_threads() == user;
    mla_comm_t *comm[RANKS];
    pthread_t thread[RANKS];
    if (mla_comm_create_threads(RANKS, 20, comm) != MLA_OK) return failed("threads");
    for (int p = 0; p < RANKS; p++)
        if (pthread_create(&thread[p], NULL, rank_main, comm[p])) exit(1);
    for (int p = 0; p < RANKS; p++) {
        void *result = NULL;
        pthread_join(thread[p], &result);
        ok = ok && result;
        mla_comm_free(comm[p]);
    }
    return ok && get_threads() == user;
}

/* ---- processes
 * ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool (*run)(void);
    bool needs_path;
} scenarios[] = {{"by itself", by_itself, false},
                 {"by path", by_path, true},
                 {"by table", by_table, true},
                 {"by table and path", by_table_and_path, true},
                 {"after refusals", after_refusals, true},
                 {"by a wrong variable", by_wrong_variable, false},
                 {"threads", threads_kept, true}};

int main(void)
{
    int failures = 0, count = sizeof scenarios / sizeof scenarios[0];
    path = getenv("MESHLINALG_BLAS");
    for (int k = 0; k < count; k++) {
        if (scenarios[k].needs_path && !path) {
            printf("%s: not run, MESHLINALG_BLAS is not set\n", scenarios[k].name);
            continue;
        }
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) exit(scenarios[k].run() ? 0 : 1);
        int status = 1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            printf("FAIL %s\n", scenarios[k].name);
            failures++;
        }
    }
    printf("unit_blas: %d scenarios, %d failed\n", count, failures);
    return failures != 0;
}
