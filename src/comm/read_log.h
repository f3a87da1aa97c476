/* SPDX-License-Identifier: Apache-2.0
 * src/comm/read_log.h: which part of this rank's window the last collectives read. A collective
 * that writes into the window first waits until the others have read what it overwrites; the
 * owner of the window need not think of that (it does so for its own writes, by `reuse`).
 * Collective s uses entry s mod MLAI_IN_FLIGHT: a rank starts it when all are through with
 * s - MLAI_IN_FLIGHT. */
#ifndef MLAI_READ_LOG_H
#define MLAI_READ_LOG_H

#include <stddef.h>
#include <stdint.h>

enum { MLAI_IN_FLIGHT = 16 };

typedef struct mlai_span {
    size_t off, bytes;
} mlai_span_t;

typedef struct mlai_read_log {
    mlai_span_t read[MLAI_IN_FLIGHT];
} mlai_read_log_t;

/* Collective s reads `src` from this rank's window and writes `dst` to it (0 bytes: nothing).
 * Returns the number of the last collective that must have been read before; 0: none. */
static inline uint64_t mlai_read_log_add(mlai_read_log_t *log, uint64_t s, mlai_span_t src,
                                         mlai_span_t dst)
{
    uint64_t last = s > MLAI_IN_FLIGHT ? s - MLAI_IN_FLIGHT : 0;
    for (uint64_t t = s - 1; t > last && dst.bytes > 0; t--) {
        mlai_span_t r = log->read[t % MLAI_IN_FLIGHT];
        if (r.bytes > 0 && r.off < dst.off + dst.bytes && dst.off < r.off + r.bytes) last = t;
    }
    log->read[s % MLAI_IN_FLIGHT] = src;
    return last;
}

#endif
