/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/emu_kernels.h: the emulated kernels, for C. One launch at a time. */
#ifndef EMU_KERNELS_H
#define EMU_KERNELS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Number of the kernel of this name, or -1; size of its parameter. */
int emu_kernel(const char *name);
size_t emu_parameter_size(int kernel);
void emu_launch(int kernel, const unsigned grid[3], const unsigned block[3], size_t shared,
                void **parameters);

#ifdef __cplusplus
}
#endif
#endif
