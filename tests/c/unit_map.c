/* SPDX-License-Identifier: Apache-2.0
 * tests/c/unit_map.c: the tile maps, exhaustively for small sizes and by identities near and
 * beyond 2^31, where no matrix is needed. */
#include <stdio.h>
#include <stdlib.h>

#include "core/size.h"
#include "dist/dist.h"

static int passed, failed;

#define CHECK(cond)                                                                              \
    do {                                                                                         \
        if (cond) {                                                                              \
            passed++;                                                                            \
        } else if (failed++ < 10) {                                                              \
            printf("FAIL line %d: %s (n %lld lc %lld nb %lld P %d order %d)\n", __LINE__, #cond, \
                   (long long)d.n, (long long)d.lc, (long long)d.nb, d.nranks, (int)d.order);    \
        }                                                                                        \
    } while (0)

/* Every column once; tiles and positions agree; pos and nat are inverse; local order. */
static void check_small(mlai_dist_t d)
{
    char *seen = calloc((size_t)d.n + 1, 1);
    int64_t tiles = mlai_dist_tiles(&d), off = 0;
    for (int64_t t = 0; t < tiles; t++) {
        int p = mlai_dist_owner(&d, t);
        CHECK(mlai_dist_tile(&d, p, mlai_dist_slot(&d, t)) == t);
        CHECK(mlai_dist_off(&d, t) == off);
        for (int64_t r = 0; r < mlai_dist_width(&d, t); r++) {
            int64_t i = p * d.lc + mlai_dist_local(&d, t) + r;
            CHECK(i >= 0 && i < d.n && !seen[i]);
            seen[i] = 1;
            CHECK(mlai_dist_pos(&d, i) == off + r);
            CHECK(mlai_dist_nat(&d, off + r) == i);
        }
        off += mlai_dist_width(&d, t);
    }
    CHECK(off == d.n);
    int64_t cols = 0;
    for (int p = 0; p < d.nranks; p++) {
        cols += mlai_dist_cols(&d, p);
        for (int64_t t = 0; t <= tiles; t++) {
            int64_t s = mlai_dist_first_slot(&d, p, t);
            CHECK(s == 0 || mlai_dist_tile(&d, p, s - 1) < t);
            CHECK(s == d.slots || mlai_dist_tile(&d, p, s) >= t);
        }
    }
    CHECK(cols == d.n);
    if (mlai_dist_is_identity(&d))
        for (int64_t i = 0; i < d.n; i++) CHECK(mlai_dist_pos(&d, i) == i);
    free(seen);
}

static void check_large(mlai_dist_t d)
{
    for (int64_t k = 0; k < 2000; k++) {
        int64_t i = (int64_t)((unsigned long long)k * 0x9E3779B97F4A7C15ull % (uint64_t)d.n);
        int64_t pos = mlai_dist_pos(&d, i);
        CHECK(pos >= 0 && pos < d.n);
        CHECK(mlai_dist_nat(&d, pos) == i);
    }
    CHECK(mlai_dist_off(&d, mlai_dist_tiles(&d)) == d.n);
}

int main(void)
{
    for (int order = 0; order < 2; order++)
        for (int p = 1; p <= 5; p++)
            for (int64_t n = 0; n <= 26; n++)
                for (int64_t lc = mlai_max(1, mlai_ceil_div(n, p)); lc <= n / p + 3; lc++)
                    for (int64_t nb = 1; nb <= lc + 1; nb++)
                        check_small(mlai_dist(n, lc, nb, p, (mla_order_t)order));
    for (int order = 0; order < 2; order++) {
        check_large(mlai_dist(524288, 65536, 512, 8, (mla_order_t)order));
        check_large(mlai_dist((1ll << 31) + 7, (1ll << 28) + 1, 1000, 8, (mla_order_t)order));
        check_large(
            mlai_dist((1ll << 33) + 12345, (1ll << 31) + 999, 4096, 5, (mla_order_t)order));
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
