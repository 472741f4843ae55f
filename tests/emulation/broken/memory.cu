// Kernels that reach for memory that is not theirs, or write the same memory twice.
#include "device.cuh"

// Copies `count` elements from `from` on.
extern "C" __global__ void copy_f32(const float *x, float *y, int from, int count) {
    int i = (int)threadIdx.x + from;
    if (i < from + count) {
        y[i] = x[i];
    }
}

// The last of the threads that write, or of the blocks, decides.
extern "C" __global__ void last_f32(const float *x, float *y) { y[0] = x[blockIdx.x * blockDim.x + threadIdx.x]; }
extern "C" __global__ void first_f32(const float *x, float *y) {
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        y[0] = x[0];
    }
}

// What is in shared memory before anybody has written it.
extern "C" __global__ void leftover_f32(float *y) {
    __shared__ float values[32];
    y[blockIdx.x * blockDim.x + threadIdx.x] = values[threadIdx.x];
    values[threadIdx.x] = 1.0f;
}
