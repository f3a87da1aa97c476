/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/no_kernels.c: for a fake driver that runs no kernels, but copies and events alone. */
#include "emu_kernels.h"

int emu_kernel(const char *name)
{
    (void)name;
    return -1;
}

size_t emu_parameter_size(int kernel)
{
    (void)kernel;
    return 0;
}

void emu_launch(int kernel, const unsigned grid[3], const unsigned block[3], size_t shared,
                void **parameters)
{
    (void)kernel;
    (void)grid;
    (void)block;
    (void)shared;
    (void)parameters;
}
