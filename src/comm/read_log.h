/* SPDX-License-Identifier: Apache-2.0
 * src/comm/read_log.h: which parts of this rank's window the others may still be reading. A
 * collective that writes into the window first waits for the readers of what it overwrites; the
 * owner of the window need not think of that (it does so for its own writes, by `reuse`).
 *
 * The last MLAI_IN_FLIGHT collectives are kept apart, older ones as one span that holds them all.
 */
#ifndef MLAI_READ_LOG_H
#define MLAI_READ_LOG_H

#include <stddef.h>
#include <stdint.h>

/* A rank starts collective s when all are through with s - MLAI_IN_FLIGHT (as far as its host
 * knows): so far may one be ahead of another. */
enum { MLAI_IN_FLIGHT = 16 };

typedef struct mlai_span {
    size_t off, bytes; /* in the window; 0 bytes: nothing */
} mlai_span_t;

typedef struct mlai_read {
    mlai_span_t span;
    uint64_t seq; /* of the collective that read it; of the older ones, the last */
} mlai_read_t;

typedef struct mlai_read_log {
    mlai_read_t recent[MLAI_IN_FLIGHT], older;
} mlai_read_log_t;

/* Collective s reads `src`. */
static inline void mlai_read_log_add(mlai_read_log_t *log, uint64_t s, mlai_span_t src)
{
    mlai_read_t *r = &log->recent[s % MLAI_IN_FLIGHT], *o = &log->older;
    if (r->span.bytes > 0 && o->span.bytes > 0) {
        size_t end = r->span.off + r->span.bytes, other = o->span.off + o->span.bytes;
        if (o->span.off < r->span.off) r->span.off = o->span.off;
        r->span.bytes = (end > other ? end : other) - r->span.off;
    }
    if (r->span.bytes > 0) *o = *r;
    *r = (mlai_read_t){src, s};
}

/* `dst` is going to be overwritten: number of the last collective whose readers must have
 * finished; 0: none. The caller waits for them, and the log forgets what it can. */
static inline uint64_t mlai_read_log_overwrite(mlai_read_log_t *log, mlai_span_t dst)
{
    uint64_t last = 0;
    size_t dst_end = dst.off + dst.bytes;
    for (int i = 0; i <= MLAI_IN_FLIGHT; i++) {
        mlai_read_t *r = i < MLAI_IN_FLIGHT ? &log->recent[i] : &log->older;
        size_t end = r->span.off + r->span.bytes;
        if (r->span.bytes == 0 || end <= dst.off || dst_end <= r->span.off) continue;
        if (r->seq > last) last = r->seq;
        // What remains is behind dst, or before it, or, if dst is in the middle, all.
        if (dst.off <= r->span.off)
            r->span = dst_end < end ? (mlai_span_t){dst_end, end - dst_end} : (mlai_span_t){0, 0};
        else if (dst_end >= end)
            r->span.bytes = dst.off - r->span.off;
    }
    return last;
}

#endif
