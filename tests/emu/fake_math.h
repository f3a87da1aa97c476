/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/fake_math.h: matrices of the four types for the naive loops of fake_cublas.c and
 * fake_cusolver.c: elements are read and written as complex numbers in double. */
#ifndef FAKE_MATH_H
#define FAKE_MATH_H

#include <complex.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef double _Complex fake_z;

/* As cudaDataType: 0 float, 1 double, 4 and 5 complex, 14 bfloat16 (read only). Other numbers
 * read nothing. */
static inline fake_z fake_get(int type, const void *a, int64_t k)
{
    switch (type) {
    case 0: return ((const float *)a)[k];
    case 1: return ((const double *)a)[k];
    case 4: return ((const float _Complex *)a)[k];
    case 14: {
        uint32_t u = (uint32_t)((const uint16_t *)a)[k] << 16;
        float x;
        memcpy(&x, &u, sizeof x);
        return x;
    }
    default: return ((const fake_z *)a)[k];
    }
}

static inline void fake_put(int type, void *a, int64_t k, fake_z z)
{
    switch (type) {
    case 0: ((float *)a)[k] = (float)creal(z); break;
    case 1: ((double *)a)[k] = creal(z); break;
    case 4: ((float _Complex *)a)[k] = (float _Complex)z; break;
    default: ((fake_z *)a)[k] = z; break;
    }
}

static inline size_t fake_size(int type)
{
    return type == 14 ? 2 : type == 0 ? 4 : type == 5 ? 16 : 8;
}

#endif
