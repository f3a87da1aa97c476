/* SPDX-License-Identifier: Apache-2.0
 * src/dl/nvtx_dl.h: names of stretches of time for NVIDIA's profilers, where NVTX is installed.
 */
#ifndef MLAI_NVTX_DL_H
#define MLAI_NVTX_DL_H

/* A range of this thread begins (its name) or the innermost one ends (NULL). Without NVTX, which
 * comes with CUDA, nothing happens. */
void mlai_nvtx_range(const char *name);

#endif
