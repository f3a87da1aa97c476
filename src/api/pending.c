/* SPDX-License-Identifier: Apache-2.0
 * src/api/pending.c: weak definitions that let the library link until the real ones are there. */
#include "algo/algo.h"

#define WEAK __attribute__((weak))
