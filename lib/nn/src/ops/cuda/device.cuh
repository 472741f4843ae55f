// What the kernels share: elements, activations, and sums over a block.
//
// T is float or __nv_bfloat16: the type of activations and their gradients. Arithmetic, parameters, statistics and sums
// are float. Sums are taken in an order that the shapes alone decide.
#pragma once
#include <cuda_bf16.h>

using bf16 = __nv_bfloat16;

// Channels and rows of a block that walks down the rows of a matrix: neighbouring threads have neighbouring channels.
constexpr int LANES = 32;
constexpr int LINES = 8;

__device__ inline float widen(float v) { return v; }
__device__ inline float widen(bf16 v) { return __bfloat162float(v); }

template <class T> __device__ T narrow(float v);
template <> __device__ inline float narrow<float>(float v) { return v; }
template <> __device__ inline bf16 narrow<bf16>(float v) { return __float2bfloat16(v); }

__device__ inline float sigmoid(float z) { return 1.0f / (1.0f + __expf(-z)); }

// What is no number must stay so: fmaxf and fminf would lose it.
__device__ inline float at_least(float v, float low) { return v < low ? low : v; }
__device__ inline float at_most(float v, float high) { return v > high ? high : v; }

// In the order of ops::cuda::activation_number.
enum Activation { NONE, RELU, RELU6, SWISH, HSWISH };

__device__ inline float activate(int activation, float z) {
    switch (activation) {
    case RELU: return at_least(z, 0.0f);
    case RELU6: return at_most(at_least(z, 0.0f), 6.0f);
    case SWISH: return z * sigmoid(z);
    case HSWISH: return z * at_most(at_least(z + 3.0f, 0.0f), 6.0f) / 6.0f;
    default: return z;
    }
}

// The derivative; at a corner the one from below.
__device__ inline float slope(int activation, float z) {
    switch (activation) {
    case RELU: return z > 0.0f ? 1.0f : 0.0f;
    case RELU6: return z > 0.0f && z < 6.0f ? 1.0f : 0.0f;
    case SWISH: {
        float s = sigmoid(z);
        return s * (1.0f + z * (1.0f - s));
    }
    case HSWISH: return z <= -3.0f ? 0.0f : z < 3.0f ? (2.0f * z + 3.0f) / 6.0f : 1.0f;
    default: return 1.0f;
    }
}

// The sum over the lines of a block of LANES x LINES threads, for every lane; of use in the first line. Every thread of the
// block must call it.
__device__ inline float sum_of_lines(float value) {
    __shared__ float values[LINES][LANES];
    __syncthreads();
    values[threadIdx.y][threadIdx.x] = value;
    __syncthreads();
    float sum = 0.0f;
    if (threadIdx.y == 0) {
        for (int line = 0; line < LINES; line++) {
            sum += values[line][threadIdx.x];
        }
    }
    return sum;
}

// The sum over a block of a multiple of 32 threads in a row, at most 1024; every thread has it and must call it.
__device__ inline float sum_of_block(float value) {
    __shared__ float sums[32];
    for (int distance = 16; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        sums[threadIdx.x / 32] = value;
    }
    __syncthreads();
    float sum = 0.0f;
    for (int warp = 0; warp < blockDim.x / 32; warp++) {
        sum += sums[warp];
    }
    return sum;
}

// Defines what NAME(T, suffix) says for every element type.
#define FOR_ELEMENTS(NAME) NAME(float, f32) NAME(bf16, bf16)
