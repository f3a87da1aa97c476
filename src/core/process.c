/* SPDX-License-Identifier: Apache-2.0
 * src/core/process.c: see process.h. */
#include "core/process.h"

#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

static mlai_process_t known;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void draw(void)
{
    if (getrandom(known.random, sizeof known.random, 0) < 0)
        memset(known.random, 0, sizeof known.random);
}

mlai_process_t mlai_this_process(void)
{
    pthread_once(&once, draw);
    mlai_process_t name = known;
    name.pid = getpid(); // a forked child has the same random number
    return name;
}
