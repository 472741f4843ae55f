// What the kernels need of CUDA, for a host: included before a kernel's source in place of the compiler's own header.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "scheduler.h"

// When a build script looks for kernels it defines this as a mark.
#ifndef __global__
#define __global__
#endif
#define __device__
#define __grid_constant__
// All threads of a block share it, blocks run one after the other, and all of it lies together, to be spoilt between
// blocks.
#define __shared__ static __attribute__((section("emulated_shared")))

#define threadIdx (emulation::place.thread)
#define blockIdx (emulation::place.block)
#define blockDim (emulation::place.threads)
#define gridDim (emulation::place.blocks)

#define __syncthreads() emulation::wait_for_block(__FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, distance) emulation::exchanged(value, distance, __FILE__, __LINE__)

using std::isfinite;

inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }

template <class A, class B> auto min(A a, B b) -> decltype(a + b) { return a < b ? a : b; }
template <class A, class B> auto max(A a, B b) -> decltype(a + b) { return a > b ? a : b; }

inline int atomicMin(int *place, int value) {
    int before = *place;
    *place = value < before ? value : before;
    return before;
}
