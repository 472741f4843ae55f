// What the kernels use of CUDA, for a host. A kernel's source is included behind it.
#pragma once
#include <cmath>

#include "cuda_bf16.h"
#include "emulation.h"

// The build script marks kernels, to find them, and shared memory, of which it makes static variables.
#ifndef __global__
#define __global__
#endif
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __grid_constant__
#define __constant__ const
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

#define threadIdx (emulation::here.thread)
#define blockIdx (emulation::here.block)
#define blockDim (emulation::here.threads)
#define gridDim (emulation::here.blocks)
constexpr int warpSize = 32;

#define __syncthreads() emulation::wait_for_block(__FILE__, __LINE__)
#define __syncwarp(...)                                                                                                \
    emulation::wait_for_warp(emulation::mask_or_all(__VA_ARGS__), __FILE__, __LINE__)

// Of the whole warp: the width, which the device takes as well, is left out.
#define __shfl_sync(mask, value, from) emulation::shuffle(mask, value, (int)((from) % 32), __FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, bits)                                                                             \
    emulation::shuffle(mask, value, (int)emulation::lane() ^ (int)(bits), __FILE__, __LINE__)
#define __shfl_down_sync(mask, value, by)                                                                              \
    emulation::shuffle(mask, value, (int)emulation::lane() + (int)(by), __FILE__, __LINE__)
#define __shfl_up_sync(mask, value, by)                                                                                \
    emulation::shuffle(mask, value, (int)emulation::lane() - (int)(by), __FILE__, __LINE__)

using std::isfinite;
using std::isinf;
using std::isnan;

namespace emulation {

constexpr unsigned mask_or_all(unsigned mask = 0xffffffffu) { return mask; }

// The fast functions as the device has them: by powers of two, so that the product with a constant rounds first.
inline float exponential(float x) { return std::exp2(x * 1.44269504f); }
inline float logarithm(float x) { return std::log2(x) * 0.69314718f; }

} // namespace emulation

// Not functions: a host's own headers declare some of these names.
#define __expf(x) emulation::exponential(x)
#define __logf(x) emulation::logarithm(x)
#define __fdividef(x, y) ((float)(x) / (float)(y))
#define __frcp_rn(x) (1.0f / (float)(x))
#define rsqrtf(x) ((float)(1.0 / std::sqrt((double)(float)(x))))

inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }

inline float cospif(float x) { return (float)std::cos(M_PI * x); }
inline void sincospif(float x, float *sine, float *cosine) {
    *sine = (float)std::sin(M_PI * x);
    *cosine = cospif(x);
}

template <class T> T __ldg(const T *address) { return *address; }

// Two types are compared in the one that arithmetic on them has, as the device's overloads do.
template <class A, class B> auto min(A a, B b) {
    using Common = decltype(a + b);
    return (Common)a < (Common)b ? (Common)a : (Common)b;
}
template <class A, class B> auto max(A a, B b) {
    using Common = decltype(a + b);
    return (Common)a > (Common)b ? (Common)a : (Common)b;
}

template <class T> T atomicAdd(T *address, T value) {
    return emulation::atomic(address, [=](T before) { return before + value; });
}
template <class T> T atomicMin(T *address, T value) {
    return emulation::atomic(address, [=](T before) { return value < before ? value : before; });
}
template <class T> T atomicMax(T *address, T value) {
    return emulation::atomic(address, [=](T before) { return value > before ? value : before; });
}

// Vectors, which must lie at a multiple of their size.
#define EMULATED_VECTORS(T, name)                                                                                      \
    struct alignas(2 * sizeof(T)) name##2 {                                                                            \
        T x, y;                                                                                                        \
    };                                                                                                                 \
    struct alignas(4 * sizeof(T)) name##4 {                                                                            \
        T x, y, z, w;                                                                                                  \
    };                                                                                                                 \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                                         \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMULATED_VECTORS(float, float)
EMULATED_VECTORS(int, int)
EMULATED_VECTORS(unsigned, uint)
EMULATED_VECTORS(unsigned short, ushort)
EMULATED_VECTORS(unsigned char, uchar)
