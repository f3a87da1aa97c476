/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/kernels.cpp: all kernels of the library, emulated, found by name. kernels.cu is the
 * unit that includes them (cmake/emu.cmake). */
#include "emu.h"

#include "kernels.cu"

#include "backend/cuda/kernel_list.h"
#include "emu_kernels.h"

namespace
{
struct kernel_t {
    const char *name;
    void (*call)(void **);
    size_t size; // of its one parameter
};

#define ENTRY(symbol) \
    {#symbol, [](void **p) { emu::apply(symbol, p); }, emu::parameter_size(symbol)},
#define X1(name) ENTRY(mlai_##name)
#define X2(name) ENTRY(mlai_##name##_s) ENTRY(mlai_##name##_d)
#define X4(name) X2(name) ENTRY(mlai_##name##_c) ENTRY(mlai_##name##_z)
const kernel_t list[] = {MLAI_KERNEL_LIST(X4, X2, X1)};
} // namespace

extern "C" int emu_kernel(const char *name)
{
    for (int k = 0; k < MLAI_KERNELS; k++)
        if (!std::strcmp(list[k].name, name)) return k;
    return -1;
}

extern "C" void emu_launch(int kernel, const unsigned grid[3], const unsigned block[3],
                           size_t shared, void **parameters)
{
    emu::launch(list[kernel].name, list[kernel].call, parameters, {grid[0], grid[1], grid[2]},
                {block[0], block[1], block[2]}, shared);
}

extern "C" size_t emu_parameter_size(int kernel)
{
    return list[kernel].size;
}
