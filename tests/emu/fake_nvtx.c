/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_nvtx.c: NVTX that counts: ranges that are open, and that have been opened. */
#include <stdatomic.h>

#define API __attribute__((visibility("default")))

API atomic_int fake_nvtx_open, fake_nvtx_seen;
API int nvtxRangePushA(const char *name);
API int nvtxRangePop(void);

int nvtxRangePushA(const char *name)
{
    if (name[0]) fake_nvtx_seen++;
    return fake_nvtx_open++;
}

int nvtxRangePop(void)
{
    return --fake_nvtx_open;
}
