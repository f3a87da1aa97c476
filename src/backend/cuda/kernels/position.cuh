/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/position.cuh: the elimination order (dist.h) in closed form: `full`
 * ranks hold lc columns, the next one `rest`, those after it none. */
#ifndef MLAI_POSITION_CUH
#define MLAI_POSITION_CUH

#include "backend/cuda/kernels/element.cuh"

/* First position of slot s of rank p: of the ranks before p, the slots up to and with s; of the
 * others, the slots before s. */
MLAI_DEVICE uint32_t mlai_slot_position(uint32_t lc, uint32_t nb, uint32_t full, uint32_t rest,
                                        uint32_t p, uint32_t s)
{
    uint32_t before = s * nb, with = before + nb, left = p < full ? p : full;
    uint32_t last = p > full ? with : before;
    return left * (with < lc ? with : lc) + (full - left) * (before < lc ? before : lc) +
           (rest < last ? rest : last);
}

#endif
