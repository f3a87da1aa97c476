/* SPDX-License-Identifier: Apache-2.0
 * src/backend/host/host_blas.c: finds the host's BLAS and LAPACK, once a process.
 *
 * Sources, in this order: the caller's table (scipy's cython_blas and cython_lapack, say); the
 * caller's path, or MESHLINALG_BLAS, or the usual sonames. In a library a routine is named
 * dgemm_ (LP64), scipy_dgemm_ (scipy's own OpenBLAS), dgemm_64_ or scipy_dgemm_64_ (ILP64);
 * the first form that has dgemm is used for all. What was found lives as long as the process. */
#include "backend/host/host_blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers of both widths: host_blas.h");

enum { NAME_MAX_LENGTH = 64 };

static const struct {
    size_t offset; /* of the four pointers in mlai_blas_t */
    const char *name[4];
} routines[] = {
#define XX(field, s, d, c, z) {offsetof(mlai_blas_t, field), {s, d, c, z}},
    MLAI_BLAS_LIST(XX)
#undef XX
};
enum { ROUTINES = sizeof routines / sizeof routines[0] };

static const struct {
    const char *prefix, *suffix;
} forms[] = {{"", "_"}, {"scipy_", "_"}, {"", "_64_"}, {"scipy_", "_64_"}};
enum { FORMS = sizeof forms / sizeof forms[0] };

/* Where routines are looked for. */
typedef struct source {
    const mla_symbol_t *table;
    size_t count;
    void *handle; /* of dlopen; NULL: none */
    int form;
} source_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static bool found;
static mlai_blas_t process_blas;
static struct {
    int (*get)(void); /* NULL: not OpenBLAS */
    void (*set)(int);
    int inside;   /* ranks between enter and leave */
    int restored; /* the user's number of threads */
} threads;

static void *decorated(void *handle, int form, const char *name)
{
    char full[NAME_MAX_LENGTH];
    snprintf(full, sizeof full, "%s%s%s", forms[form].prefix, name, forms[form].suffix);
    return dlsym(handle, full);
}

static void *find(const source_t *src, const char *name)
{
    for (size_t k = 0; k < src->count; k++)
        if (src->table[k].address && src->table[k].name && !strcmp(src->table[k].name, name))
            return src->table[k].address;
    return src->handle ? decorated(src->handle, src->form, name) : NULL;
}

/* All routines of the list, or the name of one that is missing. */
static const char *fill(const source_t *src, mlai_blas_t *blas)
{
    for (int r = 0; r < ROUTINES; r++)
        for (size_t t = 0; t < 4; t++) {
            if (!routines[r].name[t]) continue;
            void *address = find(src, routines[r].name[t]);
            if (!address) return routines[r].name[t];
            memcpy((char *)blas + routines[r].offset + t * sizeof address, &address,
                   sizeof address);
        }
    return NULL;
}

/* OpenBLAS's control of its threads: in the library that has dgemm, or that library's own. */
static void find_threads(const source_t *src)
{
    static const char *const names[][2] = {
        {"openblas_get_num_threads", "openblas_set_num_threads"},
        {"scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"},
        {"openblas_get_num_threads64_", "openblas_set_num_threads64_"},
        {"scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"}};
    Dl_info where;
    if (!dladdr(find(src, "dgemm"), &where)) return;
    void *handle = dlopen(where.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    if (!handle) return;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        void *get = dlsym(handle, names[k][0]), *set = dlsym(handle, names[k][1]);
        if (!get || !set) continue;
        memcpy(&threads.get, &get, sizeof get);
        memcpy(&threads.set, &set, sizeof set);
        return; // the handle is kept: the functions are in it
    }
    dlclose(handle);
}

/* Takes what `src` has; `what` names it in the sentence. */
static mla_status_t take(source_t *src, const char *what, mlai_error_t *err)
{
    for (src->form = 0; src->handle && src->form < FORMS - 1; src->form++)
        if (decorated(src->handle, src->form, "dgemm")) break;
    mlai_blas_t blas = {0};
    const char *missing = fill(src, &blas);
    if (missing)
        return mlai_fail(err, MLA_UNSUPPORTED, "BLAS and LAPACK: %s has no %s", what, missing);
    process_blas = blas;
    find_threads(src);
    found = true;
    return MLA_OK;
}

static mla_status_t open_path(const char *path, source_t *src, mlai_error_t *err)
{
    src->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!src->handle) {
        const char *why = dlerror();
        return mlai_fail(err, MLA_UNSUPPORTED, "BLAS and LAPACK: %s", why ? why : path);
    }
    mla_status_t st = take(src, path, err);
    if (st != MLA_OK) dlclose(src->handle);
    return st;
}

/* The lock is held. */
static mla_status_t look(const char *path, const mla_symbol_t *table, size_t count,
                         mlai_error_t *err)
{
    static const char *const usual[] = {"libopenblas.so.0", "libopenblas.so", "liblapack.so.3",
                                        "libmkl_rt.so.2", "libmkl_rt.so"};
    source_t src = {.table = table, .count = count};
    if (!path && count > 0) return take(&src, "the table", err);
    if (!path) path = getenv("MESHLINALG_BLAS");
    if (path && path[0]) return open_path(path, &src, err);
    for (size_t k = 0; k < sizeof usual / sizeof usual[0]; k++)
        if (open_path(usual[k], &src, NULL) == MLA_OK) return MLA_OK;
    return mlai_fail(err, MLA_UNSUPPORTED,
                     "no BLAS and LAPACK among %s, %s, %s, %s, %s: set MESHLINALG_BLAS to the "
                     "path of a shared library that has both",
                     usual[0], usual[1], usual[2], usual[3], usual[4]);
}

mla_status_t mla_host_blas(const char *path, const mla_symbol_t *table, size_t count)
{
    mlai_error_t *err = mlai_thread_error();
    *err = (mlai_error_t){.status = MLA_OK};
    if (!table && count > 0) return mlai_fail(err, MLA_ARG, "table is NULL, count is %zu", count);
    pthread_mutex_lock(&lock);
    mla_status_t st = found ? MLA_OK : look(path, table, count, err);
    pthread_mutex_unlock(&lock);
    return st;
}

mla_status_t mlai_blas_get(const mlai_blas_t **blas, mlai_error_t *err)
{
    pthread_mutex_lock(&lock);
    mla_status_t st = found ? MLA_OK : look(NULL, NULL, 0, err);
    pthread_mutex_unlock(&lock);
    if (st == MLA_OK) *blas = &process_blas; // written once, before this
    return st;
}

void mlai_blas_enter(void)
{
    pthread_mutex_lock(&lock);
    if (threads.get && threads.inside++ == 0) {
        threads.restored = threads.get();
        if (threads.restored > 1) threads.set(1);
    }
    pthread_mutex_unlock(&lock);
}

void mlai_blas_leave(void)
{
    pthread_mutex_lock(&lock);
    if (threads.get && --threads.inside == 0 && threads.restored > 1)
        threads.set(threads.restored);
    pthread_mutex_unlock(&lock);
}
