/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/element.cuh: the four element types and their arithmetic. Complex
 * numbers are CUDA's float2 and double2, aligned to 8 and 16 bytes. */
#ifndef MLAI_ELEMENT_CUH
#define MLAI_ELEMENT_CUH

#include "backend/cuda/kernels/kernel_args.h"

#define MLAI_DEVICE static __device__ __forceinline__

/* The block's dynamic shared memory as an array of `type`, aligned to 16 bytes. */
#ifndef MLAI_DYNAMIC_SHARED
#define MLAI_DYNAMIC_SHARED(type, name)                          \
    extern __shared__ __align__(16) unsigned char mlai_shared[]; \
    type *name = (type *)mlai_shared
#endif

MLAI_DEVICE int64_t mlai_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A quiet NaN of each real type. */
MLAI_DEVICE void mlai_set_nan(float *r)
{
    *r = nanf("");
}
MLAI_DEVICE void mlai_set_nan(double *r)
{
    *r = nan("");
}

MLAI_DEVICE float t_conj(float a)
{
    return a;
}
MLAI_DEVICE double t_conj(double a)
{
    return a;
}
MLAI_DEVICE float2 t_conj(float2 a)
{
    return make_float2(a.x, -a.y);
}
MLAI_DEVICE double2 t_conj(double2 a)
{
    return make_double2(a.x, -a.y);
}

MLAI_DEVICE float t_real(float a)
{
    return a;
}
MLAI_DEVICE double t_real(double a)
{
    return a;
}
MLAI_DEVICE float t_real(float2 a)
{
    return a.x;
}
MLAI_DEVICE double t_real(double2 a)
{
    return a.x;
}

/* *a := re, re + 0i */
MLAI_DEVICE void t_set(float *a, float re)
{
    *a = re;
}
MLAI_DEVICE void t_set(double *a, double re)
{
    *a = re;
}
MLAI_DEVICE void t_set(float2 *a, float re)
{
    *a = make_float2(re, 0.0f);
}
MLAI_DEVICE void t_set(double2 *a, double re)
{
    *a = make_double2(re, 0.0);
}

MLAI_DEVICE void t_set_nan(float *a)
{
    mlai_set_nan(a);
}
MLAI_DEVICE void t_set_nan(double *a)
{
    mlai_set_nan(a);
}
MLAI_DEVICE void t_set_nan(float2 *a)
{
    mlai_set_nan(&a->x);
    a->y = a->x;
}
MLAI_DEVICE void t_set_nan(double2 *a)
{
    mlai_set_nan(&a->x);
    a->y = a->x;
}

MLAI_DEVICE float t_mul(float a, float b)
{
    return a * b;
}
MLAI_DEVICE double t_mul(double a, double b)
{
    return a * b;
}
MLAI_DEVICE float2 t_mul(float2 a, float2 b)
{
    return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
MLAI_DEVICE double2 t_mul(double2 a, double2 b)
{
    return make_double2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

MLAI_DEVICE float t_add(float a, float b)
{
    return a + b;
}
MLAI_DEVICE double t_add(double a, double b)
{
    return a + b;
}
MLAI_DEVICE float2 t_add(float2 a, float2 b)
{
    return make_float2(a.x + b.x, a.y + b.y);
}
MLAI_DEVICE double2 t_add(double2 a, double2 b)
{
    return make_double2(a.x + b.x, a.y + b.y);
}

/* |a|^2 */
MLAI_DEVICE float t_square(float a)
{
    return a * a;
}
MLAI_DEVICE double t_square(double a)
{
    return a * a;
}
MLAI_DEVICE float t_square(float2 a)
{
    return a.x * a.x + a.y * a.y;
}
MLAI_DEVICE double t_square(double2 a)
{
    return a.x * a.x + a.y * a.y;
}

MLAI_DEVICE float t_imag(float)
{
    return 0.0f;
}
MLAI_DEVICE double t_imag(double)
{
    return 0.0;
}
MLAI_DEVICE float t_imag(float2 a)
{
    return a.y;
}
MLAI_DEVICE double t_imag(double2 a)
{
    return a.y;
}

/* *a := re + im i; a real number loses im. */
MLAI_DEVICE void t_set_parts(float *a, float re, float)
{
    *a = re;
}
MLAI_DEVICE void t_set_parts(double *a, double re, double)
{
    *a = re;
}
MLAI_DEVICE void t_set_parts(float2 *a, float re, float im)
{
    *a = make_float2(re, im);
}
MLAI_DEVICE void t_set_parts(double2 *a, double re, double im)
{
    *a = make_double2(re, im);
}

/* c + a b */
MLAI_DEVICE float t_add_mul(float c, float a, float b)
{
    return fmaf(a, b, c);
}
MLAI_DEVICE double t_add_mul(double c, double a, double b)
{
    return fma(a, b, c);
}
MLAI_DEVICE float2 t_add_mul(float2 c, float2 a, float2 b)
{
    return make_float2(fmaf(-a.y, b.y, fmaf(a.x, b.x, c.x)), fmaf(a.y, b.x, fmaf(a.x, b.y, c.y)));
}
MLAI_DEVICE double2 t_add_mul(double2 c, double2 a, double2 b)
{
    return make_double2(fma(-a.y, b.y, fma(a.x, b.x, c.x)), fma(a.y, b.x, fma(a.x, b.y, c.y)));
}

/* c - a b */
MLAI_DEVICE float t_sub_mul(float c, float a, float b)
{
    return fmaf(-a, b, c);
}
MLAI_DEVICE double t_sub_mul(double c, double a, double b)
{
    return fma(-a, b, c);
}
MLAI_DEVICE float2 t_sub_mul(float2 c, float2 a, float2 b)
{
    return make_float2(fmaf(a.y, b.y, fmaf(-a.x, b.x, c.x)),
                       fmaf(-a.y, b.x, fmaf(-a.x, b.y, c.y)));
}
MLAI_DEVICE double2 t_sub_mul(double2 c, double2 a, double2 b)
{
    return make_double2(fma(a.y, b.y, fma(-a.x, b.x, c.x)), fma(-a.y, b.x, fma(-a.x, b.y, c.y)));
}

/* 1 / a. Complex numbers are scaled first, so that no square overflows; 1 / 0 is NaN. */
MLAI_DEVICE float t_inverse(float a)
{
    return 1.0f / a;
}
MLAI_DEVICE double t_inverse(double a)
{
    return 1.0 / a;
}
MLAI_DEVICE float2 t_inverse(float2 a)
{
    float s = fabsf(a.x) + fabsf(a.y), x = a.x / s, y = a.y / s, d = (x * x + y * y) * s;
    return make_float2(x / d, -y / d);
}
MLAI_DEVICE double2 t_inverse(double2 a)
{
    double s = fabs(a.x) + fabs(a.y), x = a.x / s, y = a.y / s, d = (x * x + y * y) * s;
    return make_double2(x / d, -y / d);
}

/* The value of the lane whose number differs in the bits of `with`. */
MLAI_DEVICE float t_shuffle_xor(float a, int with)
{
    return __shfl_xor_sync(0xffffffffu, a, with);
}
MLAI_DEVICE double t_shuffle_xor(double a, int with)
{
    return __shfl_xor_sync(0xffffffffu, a, with);
}
MLAI_DEVICE float2 t_shuffle_xor(float2 a, int with)
{
    return make_float2(t_shuffle_xor(a.x, with), t_shuffle_xor(a.y, with));
}
MLAI_DEVICE double2 t_shuffle_xor(double2 a, int with)
{
    return make_double2(t_shuffle_xor(a.x, with), t_shuffle_xor(a.y, with));
}

/* The value of lane `lane` of the warp. */
MLAI_DEVICE float t_shuffle(float a, int lane)
{
    return __shfl_sync(0xffffffffu, a, lane);
}
MLAI_DEVICE double t_shuffle(double a, int lane)
{
    return __shfl_sync(0xffffffffu, a, lane);
}
MLAI_DEVICE float2 t_shuffle(float2 a, int lane)
{
    return make_float2(t_shuffle(a.x, lane), t_shuffle(a.y, lane));
}
MLAI_DEVICE double2 t_shuffle(double2 a, int lane)
{
    return make_double2(t_shuffle(a.x, lane), t_shuffle(a.y, lane));
}

#endif
