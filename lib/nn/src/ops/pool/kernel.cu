// Global average pool: see mod.rs.
#include "device.cuh"

// A block has one image and LANES channels of it.
template <class T> __device__ void forward(const T *x, T *y, int pixels, int channels) {
    int c = blockIdx.x * LANES + threadIdx.x;
    const T *image = x + (size_t)blockIdx.y * pixels * channels;
    float sum = 0.0f;
    for (int p = threadIdx.y; c < channels && p < pixels; p += LINES) {
        sum += widen(image[(size_t)p * channels + c]);
    }
    sum = sum_of_lines(sum);
    if (threadIdx.y == 0 && c < channels) {
        y[(size_t)blockIdx.y * channels + c] = narrow<T>(sum / pixels);
    }
}

template <class T> __device__ void backward(const T *dy, T *dx, int pixels, int channels) {
    int c = blockIdx.x * LANES + threadIdx.x;
    if (c >= channels) {
        return;
    }
    T share = narrow<T>(widen(dy[(size_t)blockIdx.y * channels + c]) / pixels);
    T *image = dx + (size_t)blockIdx.y * pixels * channels;
    for (int p = threadIdx.y; p < pixels; p += LINES) {
        image[(size_t)p * channels + c] = share;
    }
}

#define POOL(T, suffix)                                                                                                \
    extern "C" __global__ void pool_forward_##suffix(const T *x, T *y, int pixels, int channels) {                     \
        forward<T>(x, y, pixels, channels);                                                                            \
    }                                                                                                                  \
    extern "C" __global__ void pool_backward_##suffix(const T *dy, T *dx, int pixels, int channels) {                  \
        backward<T>(dy, dx, pixels, channels);                                                                         \
    }
FOR_ELEMENTS(POOL)
