// The gate of squeeze-excite: see mod.rs.
#include "device.cuh"

// In the order of cuda.rs.
enum Gate { HARD_SIGMOID, SIGMOID };

__device__ inline float open(int gate, float s) {
    return gate == SIGMOID ? sigmoid(s) : at_most(at_least(s + 3.0f, 0.0f), 6.0f) / 6.0f;
}

__device__ inline float opening(int gate, float s) {
    if (gate == SIGMOID) {
        return sigmoid(s) * (1.0f - sigmoid(s));
    }
    return s > -3.0f && s < 3.0f ? 1.0f / 6.0f : 0.0f;
}

// A block has one image and LANES channels of it.
template <class T> __device__ void forward(const T *x, const T *s, T *y, int pixels, int channels, int gate) {
    int c = blockIdx.x * LANES + threadIdx.x;
    if (c >= channels) {
        return;
    }
    float factor = open(gate, widen(s[(size_t)blockIdx.y * channels + c]));
    size_t image = (size_t)blockIdx.y * pixels * channels;
    for (int p = threadIdx.y; p < pixels; p += LINES) {
        size_t i = image + (size_t)p * channels + c;
        y[i] = narrow<T>(widen(x[i]) * factor);
    }
}

template <class T>
__device__ void backward(const T *x, const T *s, const T *dy, T *dx, T *ds, int pixels, int channels, int gate) {
    int c = blockIdx.x * LANES + threadIdx.x;
    bool present = c < channels;
    float value = present ? widen(s[(size_t)blockIdx.y * channels + c]) : 0.0f;
    float factor = open(gate, value), sum = 0.0f;
    size_t image = (size_t)blockIdx.y * pixels * channels;
    for (int p = threadIdx.y; present && p < pixels; p += LINES) {
        size_t i = image + (size_t)p * channels + c;
        float g = widen(dy[i]);
        sum += g * widen(x[i]);
        dx[i] = narrow<T>(g * factor);
    }
    sum = sum_of_lines(sum);
    if (present && threadIdx.y == 0) {
        ds[(size_t)blockIdx.y * channels + c] = narrow<T>(sum * opening(gate, value));
    }
}

#define GATE(T, suffix)                                                                                                \
    extern "C" __global__ void gate_forward_##suffix(const T *x, const T *s, T *y, int pixels, int channels,           \
                                                     int gate) {                                                       \
        forward<T>(x, s, y, pixels, channels, gate);                                                                   \
    }                                                                                                                  \
    extern "C" __global__ void gate_backward_##suffix(const T *x, const T *s, const T *dy, T *dx, T *ds, int pixels,   \
                                                      int channels, int gate) {                                        \
        backward<T>(x, s, dy, dx, ds, pixels, channels, gate);                                                         \
    }
FOR_ELEMENTS(GATE)
