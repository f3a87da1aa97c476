/* SPDX-License-Identifier: Apache-2.0
 * src/api/api.h: what every public routine does first: argument checks, the complete
 * descriptor, and ranks that leave together. */
#ifndef MLAI_API_H
#define MLAI_API_H

#include "algo/algo.h"
#include "engine/engine.h"

/* Fills lc, ld and nb of *out and the map, or says what is wrong with `desc`. The outcome
 * depends on arguments that are equal on all ranks. */
mla_status_t mlai_complete(const mla_desc_t *desc, int nranks, mla_device_t device,
                           mla_desc_t *out, mlai_dist_t *dist, mlai_error_t *err);

/* A routine begins: forgets the last message, checks ctx and desc. The caller goes on to its
 * other arguments and then lets the ranks agree: also a mistake of one rank alone is known to all
 * before any of them starts. Unless ctx is NULL, the status goes to mlai_end in the end. */
mla_status_t mlai_begin(mla_context_t *ctx, const mla_desc_t *desc, mla_desc_t *full,
                        mlai_dist_t *dist);

/* A routine ends: a failure reaches the ranks that do not know of it. Returns `st`. */
mla_status_t mlai_end(mla_context_t *ctx, mla_status_t st);

/* `condition` must hold for argument `name`; the sentence ends with `text`. */
mla_status_t mlai_require(mla_context_t *ctx, bool condition, const char *name, const char *text);

/* Tile width that LU takes when desc->nb is 0. */
int64_t mlai_lu_tile_size(const mla_desc_t *desc, int nranks, mla_device_t device);

/* Tile width with which one rank on a GPU factors, or inverts, a positive definite matrix, where
 * it was measured to be better than mla_tile_size's; 0 elsewhere. */
int64_t mlai_posv_tile(mla_dtype_t dt, int64_t n, bool inverse);
/* Largest n for which one rank leaves the eigenproblem to the vendor's routine, where the table
 * has one. */
int64_t mlai_syevd_whole_limit(void);
/* Half-bandwidth of the band that an eigenproblem goes through; 0: none, one stage. */
int64_t mlai_syevd_band(int64_t n, int nranks, mla_device_t device);

#endif
