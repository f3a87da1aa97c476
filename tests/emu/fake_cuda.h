/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_cuda.h: what the fake libraries share, and what tests ask them. */
#ifndef FAKE_CUDA_H
#define FAKE_CUDA_H

#include "dl/cuda_types.h"

#define FAKE_API __attribute__((visibility("default")))

/* Puts run(args) at the end of a stream; `args`, `bytes` long, is copied. It runs when something
 * waits for it, with one lock for all devices held. */
FAKE_API void fake_enqueue(CUstream stream, void (*run)(void *args), const void *args,
                           size_t bytes);

/* Runs all that is in any stream. */
FAKE_API void fake_drain(void);

/* Counts a call; true if it is the one that shall fail. */
FAKE_API int fake_fails(void);

/* The call number k from now on fails, the first being 1; 0: none. Calls since then. */
FAKE_API void fake_fail_at(long k);
FAKE_API long fake_calls(void);

/* Objects (memory, streams, events, handles, pools, contexts retained) that have been made and
 * not been destroyed; made so far. `count` is +1 or -1 for one of another library. */
FAKE_API void fake_object(int count);
FAKE_API long fake_live(void);
FAKE_API long fake_made(void);

/* Whether a device reaches this memory: all but what is from a pool that has not been told. */
FAKE_API int fake_reaches(int device, const void *ptr);

#endif
