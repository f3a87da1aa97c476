/* SPDX-License-Identifier: Apache-2.0
 * src/engine/engine.c: the engines there are. */
#include "engine/engine.h"

const mlai_engine_t mlai_engine_native = {.name = "native",
                                          .potrf = mlai_potrf,
                                          .potrs = mlai_potrs,
                                          .potri = mlai_potri,
                                          .poinv = mlai_poinv,
                                          .syevd = mlai_syevd};

mla_status_t mlai_engine_find(mla_engine_t which, mla_device_t device,
                              const mlai_engine_t **engine, mlai_error_t *err)
{
    *engine = NULL;
    if (which != MLA_ENGINE_AUTO && which != MLA_ENGINE_NATIVE && which != MLA_ENGINE_CUSOLVERMG)
        return mlai_fail(err, MLA_ARG, "options->engine is %d, expected one of mla_engine_t",
                         (int)which);
    // The native engine has been faster wherever both were measured (docs/engines.md).
    *engine = which == MLA_ENGINE_CUSOLVERMG ? &mlai_engine_cusolvermg : &mlai_engine_native;
    if (which == MLA_ENGINE_CUSOLVERMG && device != MLA_CUDA)
        return mlai_fail(err, MLA_UNSUPPORTED,
                         "the engine cusolvermg works on CUDA devices only");
    return MLA_OK;
}

/* Which of two widths is nearer to `asked`, as a ratio; best 0: none yet. */
static bool is_nearer(int64_t nb, int64_t best, int64_t asked)
{
    if (best == 0) return true;
    double a = (double)nb / (double)asked, b = (double)best / (double)asked;
    return (a > 1 ? a : 1 / a) < (b > 1 ? b : 1 / b);
}

int64_t mlai_full_tiles(const mlai_dist_t *d, int64_t asked, int64_t most)
{
    asked = mlai_max(1, mlai_min(asked, most));
    if (d->nranks == 1) return mlai_min(asked, d->lc);
    // Only the last tile of the matrix may lack columns: as many as the last ranks lack.
    int64_t lack = d->lc * d->nranks - d->n, best = 0;
    for (int64_t q = 1; q <= d->lc / q; q++) {
        const int64_t divisor[2] = {q, d->lc / q};
        for (int k = 0; d->lc % q == 0 && k < 2; k++) {
            int64_t nb = divisor[k];
            bool fits = nb <= most && (nb > lack || nb == d->lc);
            if (fits && is_nearer(nb, best, asked)) best = nb;
        }
    }
    return best;
}
