/* SPDX-License-Identifier: Apache-2.0
 * src/core/process.h: which process this is, unlike any other, also where processes do not see
 * one another's numbers (containers on one machine or on several). */
#ifndef MLAI_PROCESS_H
#define MLAI_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct mlai_process {
    int64_t pid;
    unsigned char random[16]; /* pids are not unique between pid name spaces */
} mlai_process_t;

mlai_process_t mlai_this_process(void);

static inline bool mlai_same_process(const mlai_process_t *a, const mlai_process_t *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

#endif
