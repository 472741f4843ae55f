// Kernels with a fault that the emulation must find, each with a twin that has none.
#include "device.cuh"

// One thread reads what another has written: every thread must have written first.
__device__ inline void reverse(const float *x, float *y, bool waits) {
    __shared__ float values[64];
    values[threadIdx.x] = x[threadIdx.x];
    if (waits) {
        __syncthreads();
    }
    y[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void reverse_f32(const float *x, float *y) { reverse(x, y, true); }
extern "C" __global__ void reverse_without_barrier_f32(const float *x, float *y) { reverse(x, y, false); }

// A barrier that half of the threads do not reach.
extern "C" __global__ void halved_barrier_f32(const float *x, float *y) {
    if (threadIdx.x < blockDim.x / 2) {
        __syncthreads();
    }
    y[threadIdx.x] = x[threadIdx.x];
}

// Threads that wait in different places.
extern "C" __global__ void split_barrier_f32(const float *x, float *y) {
    if (threadIdx.x % 2 == 0) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    y[threadIdx.x] = x[threadIdx.x];
}

// An exchange that part of the warp does not take part in.
extern "C" __global__ void exchange_f32(const float *x, float *y, int threads) {
    float value = x[threadIdx.x];
    if (threadIdx.x < threads) {
        value += __shfl_xor_sync(0xffffffffu, value, 1);
    }
    y[threadIdx.x] = value;
}
