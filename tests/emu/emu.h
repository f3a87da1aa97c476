/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/emu.h: CUDA C on a CPU: included before the kernels' sources, which a C++ compiler
 * then takes as they are (README.md).
 *
 * A block's threads are fibres of one operating-system thread; blocks run one after the other, so
 * that a shared variable can be a static one. A fibre runs until it meets a barrier or a warp
 * operation. The order of fibres and blocks is turned round at every launch: what works in one
 * order only lacks a barrier. A block that stands still is a barrier not reached by all: it ends
 * the program with the kernel's name. */
#ifndef EMU_H
#define EMU_H

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#endif
#ifdef EMU_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;

// ---- vector types

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct dim3 {
    unsigned x, y, z;
};
static inline unsigned __float_as_uint(float x)
{
    unsigned u;
    std::memcpy(&u, &x, sizeof u);
    return u;
}
static inline float __uint_as_float(unsigned u)
{
    float x;
    std::memcpy(&x, &u, sizeof x);
    return x;
}
static inline float2 make_float2(float x, float y)
{
    return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}
static inline double2 make_double2(double x, double y)
{
    return {x, y};
}
static inline int2 make_int2(int x, int y)
{
    return {x, y};
}

// ---- fibres

namespace emu
{
enum { MAX_THREADS = 1024, WARP = 32, STACK = 256 << 10, VALUE = 48 };

// From one stack to another. _setjmp and _longjmp make no system call, but AddressSanitizer takes
// the latter for an unwinding of the stack.
#ifdef EMU_ASAN
typedef ucontext_t state_t;
inline void swap(state_t *from, state_t *to)
{
    swapcontext(from, to);
}
inline void begin(ucontext_t *context, state_t *from)
{
    swapcontext(from, context);
}
#else
typedef jmp_buf state_t;
inline void swap(state_t *from, state_t *to)
{
    if (!_setjmp(*from)) _longjmp(*to, 1);
}
inline void begin(ucontext_t *context, state_t *from)
{
    if (!_setjmp(*from)) setcontext(context);
}
#endif

enum wait_t { RUNNING, YIELDED, AT_BLOCK, AT_WARP, DONE };

struct block_t {
    dim3 index;
    std::vector<char> shared; // dynamic
    bool alive;
};

struct fibre_t {
    state_t state;
    char *stack; // NULL: not started
    wait_t wait;
    unsigned mask;     // of the warp operation it waits in
    char value[VALUE]; // what it brings to it
};

inline fibre_t fibre[MAX_THREADS]; // of the blocks that run, one block after the other
inline block_t blocks_now[MAX_THREADS / WARP];
inline state_t scheduler;
inline int current, threads;
inline dim3 block_dim, grid_dim;
inline const char *kernel_name;
inline void (*entry)(void **);
inline void **parameters;
inline unsigned long launches;
#ifdef EMU_ASAN
inline const void *scheduler_stack; // of the operating-system thread that launched
inline size_t scheduler_size;
#endif

inline block_t *block()
{
    return &blocks_now[current / threads];
}

inline dim3 thread_index()
{
    unsigned t = (unsigned)(current % threads);
    return {t % block_dim.x, t / block_dim.x % block_dim.y, t / (block_dim.x * block_dim.y)};
}

inline void fail(const char *why)
{
    std::fprintf(stderr, "emulated kernel %s, block (%u, %u): %s\n", kernel_name,
                 block()->index.x, block()->index.y, why);
    std::abort();
}

inline void to_scheduler()
{
#ifdef EMU_ASAN
    void *fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, scheduler_stack, scheduler_size);
#endif
    swap(&fibre[current].state, &scheduler);
#ifdef EMU_ASAN
    __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_size);
#endif
}

// A fibre is thread `current` of one block after the other; it never returns.
inline void fibre_main()
{
#ifdef EMU_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
#endif
    for (;;) {
        entry(parameters);
        fibre[current].wait = DONE;
        to_scheduler();
    }
}

inline void start(fibre_t *f)
{
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = f->stack;
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, fibre_main, 0);
    begin(&context, &scheduler);
}

inline void resume(int t)
{
    fibre_t *f = &fibre[t];
    const bool fresh = !f->stack;
    if (fresh) f->stack = (char *)std::aligned_alloc(64, STACK);
    current = t;
    f->wait = RUNNING;
#ifdef EMU_ASAN
    void *fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, f->stack, STACK);
#endif
    if (fresh)
        start(f);
    else
        swap(&scheduler, &f->state);
#ifdef EMU_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

// Waits until the other threads of the block (or of `mask` in the warp) are there too.
inline void meet(wait_t where, unsigned mask)
{
    fibre[current].wait = where;
    fibre[current].mask = mask;
    to_scheduler();
}

// Fibres from `first` on are a block.
inline bool block_may_go(int first)
{
    bool any = false;
    for (int t = first; t < first + threads; t++) {
        if (fibre[t].wait != AT_BLOCK && fibre[t].wait != DONE) return false;
        any = any || fibre[t].wait == AT_BLOCK;
    }
    return any;
}

// Lanes of `mask` all wait in an operation with this mask.
inline bool warp_may_go(int first, unsigned mask)
{
    for (int l = 0; l < WARP; l++)
        if (mask >> l & 1 && ((first % threads) + l >= threads ||
                              fibre[first + l].wait != AT_WARP || fibre[first + l].mask != mask))
            return false;
    return true;
}

// Every fibre of a block that may run, up to its next barrier or warp operation; of its warps,
// those in `warps`.
inline void step(int number, bool backwards, uint32_t warps)
{
    const int first = number * threads;
    const bool all = block_may_go(first);
    std::vector<char> go(threads);
    bool any = false, alive = false;
    for (int t = 0; t < threads; t++) {
        fibre_t *f = &fibre[first + t];
        if (all && f->wait == AT_BLOCK) f->wait = RUNNING; // also if its turn comes later
        go[t] = f->wait == RUNNING || f->wait == YIELDED ||
                (f->wait == AT_WARP && warp_may_go(first + t / WARP * WARP, f->mask));
        any = any || go[t];
        alive = alive || f->wait != DONE;
    }
    blocks_now[number].alive = alive;
    current = first;
    if (alive && !any) fail("stands still: a barrier or warp operation is not reached by all");
    for (int k = 0; k < threads; k++) {
        const int t = backwards ? threads - 1 - k : k;
        if (go[t] && warps >> t / WARP % 32 & 1) resume(first + t);
    }
}

// Number `index` of the grid, in the place of block `number`.
inline void begin_block(int number, uint64_t index, size_t shared)
{
    block_t *b = &blocks_now[number];
    b->index = {(unsigned)(index % grid_dim.x), (unsigned)(index / grid_dim.x % grid_dim.y),
                (unsigned)(index / grid_dim.x / grid_dim.y)};
    b->shared.assign(shared + 64, (char)0xff); // NaN, as reals
    b->alive = true;
    for (int t = 0; t < threads; t++) fibre[number * threads + t].wait = RUNNING;
}

// Kernels whose blocks wait for one another: some run at a time, each a random number of steps.
// What is __shared__ would be one variable for all of them: they have dynamic memory alone.
inline bool mingles(const char *name)
{
    return !std::strncmp(name, "mlai_chase_sweeps", 17);
}

inline void launch(const char *name, void (*call)(void **), void **args, dim3 grid, dim3 block,
                   size_t shared)
{
    kernel_name = name;
    entry = call;
    parameters = args;
    grid_dim = grid;
    block_dim = block;
    threads = (int)(block.x * block.y * block.z);
    if (threads < 1 || threads > MAX_THREADS) fail("bad number of threads");
    const bool backwards = launches++ % 2;
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    const int places = mingles(name) ? MAX_THREADS / threads : 1;
    uint64_t begun = 0, turn = launches;
    int alive = 0;
    for (int k = 0; k < places; k++) blocks_now[k].alive = false;
    while (begun < blocks || alive > 0) {
        turn = turn * 6364136223846793005u + 1442695040888963407u;
        const int k = (int)(turn >> 33) % places;
        if (!blocks_now[k].alive && begun < blocks) {
            begin_block(k, backwards ? blocks - 1 - begun : begun, shared);
            begun++;
            alive++;
        }
        for (int s = (int)(turn >> 40 & (turn >> 60 ? 31 : 511)); blocks_now[k].alive && s >= 0;
             s--) {
            turn = turn * 6364136223846793005u + 1442695040888963407u;
            step(k, backwards, places == 1 ? ~0u : (uint32_t)(turn >> 32));
            alive -= !blocks_now[k].alive;
        }
    }
}

// A kernel takes one struct by value.
template <class A> void apply(void (*kernel)(A), void **p)
{
    kernel(*(const A *)p[0]);
}
template <class A> constexpr size_t parameter_size(void (*)(A))
{
    return sizeof(A);
}

// The value that lane `from` brings, or the own one if there is no such lane in the operation.
template <class T> T exchange(unsigned mask, T value, int from)
{
    static_assert(sizeof(T) <= VALUE, "a warp exchanges 48 bytes at most");
    int me = current, first = me / WARP * WARP;
    std::memcpy(fibre[me].value, &value, sizeof value);
    meet(AT_WARP, mask);
    T result = value;
    if (from >= 0 && from < WARP && mask >> from & 1)
        std::memcpy(&result, fibre[first + from].value, sizeof result);
    meet(AT_WARP, mask); // all have read
    return result;
}

inline int lane()
{
    return current % WARP;
}
} // namespace emu

// In a loop that waits for another block.
static inline void emu_yield()
{
    emu::meet(emu::YIELDED, 0);
}

// A clock that goes on by 10 ms each time it is read.
static inline int64_t emu_nanoseconds()
{
    static int64_t now;
    return now += 10000000;
}

struct emu_fragments {
    double a[4], b[2];
};

// mma.m16n8k8 in double: D (16 x 8) += A (16 x 8) B (8 x 8); lane 4 g + t has the elements (g,
// t), (g+8, t), (g, t+4), (g+8, t+4) of A, (t, g), (t+4, g) of B and (g, 2t), (g, 2t+1), (g+8,
// 2t), (g+8, 2t+1) of D.
static inline void emu_mma(double *d, emu_fragments mine)
{
    const int first = emu::current / emu::WARP * emu::WARP;
    const int g = emu::lane() / 4, t = emu::lane() % 4;
    emu_fragments a, b;
    std::memcpy(emu::fibre[emu::current].value, &mine, sizeof mine);
    emu::meet(emu::AT_WARP, 0xffffffffu);
    for (int k = 0; k < 8; k++)
        for (int e = 0; e < 4; e++) {
            std::memcpy(&a, emu::fibre[first + 4 * g + k % 4].value, sizeof a);
            std::memcpy(&b, emu::fibre[first + 4 * (2 * t + e % 2) + k % 4].value, sizeof b);
            d[e] += a.a[k / 4 * 2 + e / 2] * b.b[k / 4];
        }
    emu::meet(emu::AT_WARP, 0xffffffffu);
}

#define threadIdx (emu::thread_index())
#define blockIdx (emu::block()->index)
#define blockDim (emu::block_dim)
#define gridDim (emu::grid_dim)

#define MLAI_DYNAMIC_SHARED(type, name) \
    type *name = (type *)(((uintptr_t)emu::block()->shared.data() + 63) & ~(uintptr_t)63)

// ---- barriers and warps

static inline void __syncthreads()
{
    emu::meet(emu::AT_BLOCK, 0);
}
static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    emu::meet(emu::AT_WARP, mask);
}
template <class T> T __shfl_sync(unsigned mask, T value, int from)
{
    return emu::exchange(mask, value, from & 31);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int with)
{
    return emu::exchange(mask, value, emu::lane() ^ with);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by)
{
    return emu::exchange(mask, value, emu::lane() - (int)by);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by)
{
    return emu::exchange(mask, value, emu::lane() + (int)by);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate)
{
    unsigned result = 0;
    for (int l = 0; l < 32; l++)
        if (emu::exchange(mask, predicate, l) && mask >> l & 1) result |= 1u << l;
    return result;
}
static inline int __any_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) != 0;
}
static inline int __all_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) == mask;
}
static inline int __syncthreads_or(int predicate)
{
    static int any;
    __syncthreads();
    any = 0;
    __syncthreads();
    any = any || predicate;
    __syncthreads();
    return any;
}

// ---- memory and arithmetic

static inline void __threadfence()
{
}
static inline void __threadfence_block()
{
}
template <class T> T __ldg(const T *p)
{
    return *p;
}
template <class T> T __ldcg(const T *p)
{
    return *p;
}
template <class T> void __stcg(T *p, T value)
{
    *p = value;
}
template <class T, class U> T atomicAdd(T *p, U value)
{
    T old = *p;
    *p = old + (T)value;
    return old;
}
template <class T, class U> T atomicMax(T *p, U value)
{
    T old = *p;
    if ((T)value > old) *p = (T)value;
    return old;
}
template <class T, class U> T atomicMin(T *p, U value)
{
    T old = *p;
    if ((T)value < old) *p = (T)value;
    return old;
}
template <class T, class U> T atomicExch(T *p, U value)
{
    T old = *p;
    *p = (T)value;
    return old;
}
template <class T, class U, class V> T atomicCAS(T *p, U expected, V value)
{
    T old = *p;
    if (old == (T)expected) *p = (T)value;
    return old;
}
static inline double rsqrt(double x)
{
    return 1 / std::sqrt(x);
}
static inline float rsqrtf(float x)
{
    return 1 / std::sqrt(x);
}
static inline int __ffs(unsigned x)
{
    return __builtin_ffs((int)x);
}
static inline int __clz(unsigned x)
{
    return x ? __builtin_clz(x) : 32;
}
static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
static inline long long __double_as_longlong(double x)
{
    long long r;
    std::memcpy(&r, &x, sizeof r);
    return r;
}
static inline double __longlong_as_double(long long x)
{
    double r;
    std::memcpy(&r, &x, sizeof r);
    return r;
}

#endif
