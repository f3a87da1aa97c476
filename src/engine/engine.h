/* SPDX-License-Identifier: Apache-2.0
 * src/engine/engine.h: who runs whole routines. An engine is a table of routines with the meaning
 * of those of algo.h; all of them work on the same layout, so that arguments, checks and results
 * are the same whatever the engine. */
#ifndef MLAI_ENGINE_H
#define MLAI_ENGINE_H

#include "algo/algo.h"

typedef struct mlai_engine {
    const char *name;
    /* Chooses nb of a complete descriptor anew; `asked`: what the caller gave, 0: nothing.
     * NULL: every nb will do. */
    void (*fit)(mla_desc_t *desc, mlai_dist_t *d, int64_t asked);
    __typeof__(mlai_potrf) *potrf;
    __typeof__(mlai_potrs) *potrs;
    __typeof__(mlai_potri) *potri;
    __typeof__(mlai_poinv) *poinv;
    __typeof__(mlai_syevd) *syevd;
} mlai_engine_t;

extern const mlai_engine_t mlai_engine_native, mlai_engine_cusolvermg;

/* The engine of that name for a device, or MLA_ARG, MLA_UNSUPPORTED. */
mla_status_t mlai_engine_find(mla_engine_t which, mla_device_t device,
                              const mlai_engine_t **engine, mlai_error_t *err);

/* Tile width of a matrix for a library that wants every tile but the last of the whole matrix to
 * be full: the divisor of lc that is nearest to `asked`, at most `most`; 0 if there is none. With
 * most >= lc there is one: lc itself. */
int64_t mlai_full_tiles(const mlai_dist_t *d, int64_t asked, int64_t most);

#endif
