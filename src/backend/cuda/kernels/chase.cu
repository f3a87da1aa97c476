/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/chase.cu: band to tridiagonal form by bulge chasing, and back
 * (backend/chase.h, algo/hb2st.c). kd is 32 or 64.
 *
 *     chase_sweeps        a block has a sweep at a time, the next one of a queue; it goes through
 *                         its hops behind the sweep before, about two hops apart
 *     chase_tridiagonal   diagonals of T, in double
 *     chase_expand        a warp makes a diamond of 8 sweeps, V and -V T, in double
 *     chase_back          a warp has 16 columns of Z and goes down their rows with a window of
 * them in registers: Z += (-V T) (V^H Z), on the tensor cores for double
 *
 * A block waits for another in chase_sweeps alone, and only for one that took its sweep from the
 * queue before: that one runs, however few blocks the device holds. Waits have a limit of time,
 * after which all blocks leave and *stalled is set.
 *
 * Hops. Lane r of each warp has row r (and r + 32) of the blocks B and D, a warp 8 columns of
 * them. Two barriers a hop:
 *
 *     D to shared memory, sums of B v of the hop before       mail
 *     -- first barrier
 *     B := B H of the hop before; every warp by itself the    "the hop before is done" to the
 *     new reflector; sums of D v; B := H^H B                  next sweep; the sweep before is
 * done
 *     -- second barrier                                       with what the next hop loads
 *     loads of the next hop; D := H^H D H
 *
 * Two warps more stand at the right: one waits, one tells. Hop k of a sweep needs of hop k + 1 of
 * the sweep before no more than its blocks' first row, B(0, :) and D(0, 0), which are its own D's
 * last row and B's last element. This row goes by mail: numbers with the sweep's own, polled
 * where they arrive, in one trip through L2 and as soon as they are there; nobody stores it in
 * the band, where the reader will. All else was done a hop earlier: the counter that says so,
 * behind a fence, has long arrived. A mailbox, one a hop, is read before its reader writes to it
 * as a sender.
 *
 * Fragments of mma.m16n8k8, D (16 x 8) += A (16 x 8) B (8 x 8), lane = 4 g + t:
 *
 *     A  (g, t) (g+8, t) (g, t+4) (g+8, t+4)     B  (t, g) (t+4, g)
 *     D  (g, 2t) (g, 2t+1) (g+8, 2t) (g+8, 2t+1)
 *
 * A = columns of Z (g, g+8), as a row of A has them, times 8 rows: in what order the sum runs
 * over the 8 rows is free, and with row 2t at place t, row 2t+1 at place t+4, a lane's elements
 * of A are those that D gives it. So the window never moves between lanes, and B's two elements
 * lie side by side: V by [sweep][row], -V T by [row][sweep]. float32 is widened when it is
 * loaded. */
#include "backend/cuda/kernels/element.cuh"

MLAI_DEVICE void *chase_shared(void)
{
    MLAI_DYNAMIC_SHARED(double2, shared);
    return shared;
}

/* Ordered with what other blocks do: the counter of hops that are done. */
MLAI_DEVICE int32_t chase_acquire(const int32_t *p)
{
#ifdef __CUDACC__
    int32_t value;
    asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(p) : "memory");
    return value;
#else
    emu_yield();
    return *p;
#endif
}

MLAI_DEVICE void chase_release(int32_t *p, int32_t value)
{
#ifdef __CUDACC__
    __threadfence();
    asm volatile("st.release.gpu.global.s32 [%0], %1;" ::"l"(p), "r"(value) : "memory");
#else
    *p = value;
#endif
}

MLAI_DEVICE int64_t chase_nanoseconds(void)
{
#ifdef __CUDACC__
    int64_t now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return now;
#else
    return emu_nanoseconds();
#endif
}

/* Whether a wait that began at *start (0: now) must end. */
MLAI_DEVICE bool chase_overdue(const mlai_chase_args_t *a, int64_t *start)
{
    const int64_t now = chase_nanoseconds();
    if (*start == 0) *start = now;
    if (chase_acquire(a->stalled) != 0) return true;
    if (now - *start <= a->limit) return false;
    atomicExch(a->stalled, 1);
    return true;
}

/* Until *done >= wanted; -> it, or -1 when it takes too long, here or elsewhere. */
MLAI_DEVICE int32_t chase_wait(const mlai_chase_args_t *a, const int32_t *done, int32_t wanted)
{
    int32_t seen = chase_acquire(done);
    int64_t start = 0;
    for (uint32_t turns = 1; seen < wanted; turns++) {
        if (turns % 256 == 0 && chase_overdue(a, &start)) return -1;
        seen = chase_acquire(done);
    }
    return seen;
}

/* Letters: a number is handed to the next sweep's block in one trip through L2. */
MLAI_DEVICE void chase_send_real(mlai_chase_letter_t *to, double value, int32_t from)
{
    const uint64_t bits = (uint64_t)__double_as_longlong(value);
    const uint32_t low = (uint32_t)bits, high = (uint32_t)(bits >> 32);
#ifdef __CUDACC__
    asm volatile("st.volatile.global.v4.u32 [%0], {%1, %2, %3, %2};" ::"l"(to), "r"(low),
                 "r"(from), "r"(high)
                 : "memory");
#else
    *to = (mlai_chase_letter_t){low, (uint32_t)from, high, (uint32_t)from};
#endif
}

MLAI_DEVICE bool chase_look_up(const mlai_chase_letter_t *at, double *value, int32_t from)
{
    mlai_chase_letter_t l;
#ifdef __CUDACC__
    asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(l.low), "=r"(l.from), "=r"(l.high), "=r"(l.from_too)
                 : "l"(at)
                 : "memory");
#else
    emu_yield();
    l = *at;
#endif
    *value = __longlong_as_double((int64_t)((uint64_t)l.high << 32 | l.low));
    return l.from == (uint32_t)from && l.from_too == (uint32_t)from;
}

/* Until the letter is there; false: it takes too long, here or elsewhere. */
MLAI_DEVICE bool chase_open_real(const mlai_chase_args_t *a, const mlai_chase_letter_t *at,
                                 double *value, int32_t from)
{
    int64_t start = 0;
    for (uint32_t turns = 1; !chase_look_up(at, value, from); turns++)
        if (turns % 256 == 0 && chase_overdue(a, &start)) return false;
    return true;
}

MLAI_DEVICE void chase_send(mlai_chase_letter_t *to, float value, int32_t from)
{
    chase_send_real(to, (double)value, from);
}
MLAI_DEVICE void chase_send(mlai_chase_letter_t *to, double value, int32_t from)
{
    chase_send_real(to, value, from);
}
MLAI_DEVICE void chase_send(mlai_chase_letter_t *to, float2 value, int32_t from)
{
    chase_send_real(to, (double)value.x, from);
    chase_send_real(to + 1, (double)value.y, from);
}
MLAI_DEVICE void chase_send(mlai_chase_letter_t *to, double2 value, int32_t from)
{
    chase_send_real(to, value.x, from);
    chase_send_real(to + 1, value.y, from);
}

MLAI_DEVICE bool chase_open(const mlai_chase_args_t *a, const mlai_chase_letter_t *at,
                            double *value, int32_t from)
{
    return chase_open_real(a, at, value, from);
}
MLAI_DEVICE bool chase_open(const mlai_chase_args_t *a, const mlai_chase_letter_t *at,
                            float *value, int32_t from)
{
    double wide;
    const bool good = chase_open_real(a, at, &wide, from);
    *value = (float)wide;
    return good;
}
MLAI_DEVICE bool chase_open(const mlai_chase_args_t *a, const mlai_chase_letter_t *at,
                            double2 *value, int32_t from)
{
    return chase_open_real(a, at, &value->x, from) && chase_open_real(a, at + 1, &value->y, from);
}
MLAI_DEVICE bool chase_open(const mlai_chase_args_t *a, const mlai_chase_letter_t *at,
                            float2 *value, int32_t from)
{
    return chase_open(a, at, &value->x, from) && chase_open(a, at + 1, &value->y, from);
}

/* All warps of the block, wherever in the program they are. */
MLAI_DEVICE void chase_meet(void)
{
#ifdef __CUDACC__
    asm volatile("bar.sync 0;" ::: "memory");
#else
    __syncthreads();
#endif
}

/* 16 bytes, or an element, from device to shared memory, done after chase_arrived(). `from` may
 * be read if `there`; zero otherwise. */
MLAI_DEVICE void chase_fetch16(void *to, const void *from)
{
#ifdef __CUDACC__
    uint32_t at = (uint32_t)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#else
    *(uint4 *)to = *(const uint4 *)from;
#endif
}

#ifdef __CUDACC__
#define CHASE_FETCH(bytes)                                              \
    asm volatile("cp.async.ca.shared.global [%0], [%1], " #bytes        \
                 ", %2;" ::"r"((uint32_t)__cvta_generic_to_shared(to)), \
                 "l"(from), "r"(there ? bytes : 0)                      \
                 : "memory")
#else
#define CHASE_FETCH(bytes)       \
    if (there)                   \
        memcpy(to, from, bytes); \
    else                         \
        memset((void *)to, 0, bytes)
#endif
MLAI_DEVICE void chase_fetch(float *to, const float *from, bool there)
{
    CHASE_FETCH(4);
}
MLAI_DEVICE void chase_fetch(double *to, const double *from, bool there)
{
    CHASE_FETCH(8);
}
MLAI_DEVICE void chase_fetch(float2 *to, const float2 *from, bool there)
{
    CHASE_FETCH(8);
}
MLAI_DEVICE void chase_fetch(double2 *to, const double2 *from, bool there)
{
    CHASE_FETCH(16);
}

MLAI_DEVICE void chase_arrived(void)
{
#ifdef __CUDACC__
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

/* c += A B, fragments as above. */
MLAI_DEVICE void chase_mma(double *c, double a0, double a1, double a2, double a3, double b0,
                           double b1)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm("mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
        : "d"(a0), "d"(a1), "d"(a2), "d"(a3), "d"(b0), "d"(b1));
#elif defined(__CUDA_ARCH__)
#define CHASE_MMA(x, y, a, b)                                                             \
    asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};" \
        : "+d"(x), "+d"(y)                                                                \
        : "d"(a), "d"(b))
    CHASE_MMA(c[0], c[1], a0, b0);
    CHASE_MMA(c[2], c[3], a1, b0);
    CHASE_MMA(c[0], c[1], a2, b1);
    CHASE_MMA(c[2], c[3], a3, b1);
#else
    emu_mma(c, {a0, a1, a2, a3, b0, b1});
#endif
}

#define MLAI_TEMPLATE "backend/cuda/kernels/chase_tmpl.cuh"
#include "backend/cuda/kernels/four_types.cuh"
#undef MLAI_TEMPLATE
#define MLAI_TEMPLATE "backend/cuda/kernels/chase_back_tmpl.cuh"
#include "backend/cuda/kernels/four_types.cuh"
#undef MLAI_TEMPLATE
