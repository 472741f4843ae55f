// Depthwise convolution: see mod.rs. A block has LANES channels and LINES pixels at a time; weights are float, [C, 1, K, K].
#include "device.cuh"
#include "window.cuh"

template <class T, int K>
__device__ void forward(const T *x, const float *weight, T *y, int images, int channels, Window w) {
    int c = blockIdx.y * LANES + threadIdx.x;
    size_t pixel = (size_t)blockIdx.x * LINES + threadIdx.y;
    if (c >= channels || pixel >= (size_t)images * w.out_height * w.out_width) {
        return;
    }
    int ow = pixel % w.out_width, oh = pixel / w.out_width % w.out_height;
    const T *image = x + pixel / w.out_width / w.out_height * w.height * w.width * channels + c;
    float sum = 0.0f;
#pragma unroll
    for (int a = 0; a < K; a++) {
        int ih = oh * w.stride + a - w.top;
#pragma unroll
        for (int b = 0; b < K; b++) {
            int iw = ow * w.stride + b - w.left;
            if (ih >= 0 && ih < w.height && iw >= 0 && iw < w.width) {
                sum += widen(image[((size_t)ih * w.width + iw) * channels]) * weight[(c * K + a) * K + b];
            }
        }
    }
    y[pixel * channels + c] = narrow<T>(sum);
}

template <class T, int K>
__device__ void input_gradient(const T *dy, const float *weight, T *dx, int images, int channels, Window w) {
    int c = blockIdx.y * LANES + threadIdx.x;
    size_t pixel = (size_t)blockIdx.x * LINES + threadIdx.y;
    if (c >= channels || pixel >= (size_t)images * w.height * w.width) {
        return;
    }
    int iw = pixel % w.width, ih = pixel / w.width % w.height;
    const T *image = dy + pixel / w.width / w.height * w.out_height * w.out_width * channels + c;
    float sum = 0.0f;
#pragma unroll
    for (int a = 0; a < K; a++) {
        int down = ih + w.top - a;
        if (down < 0 || down % w.stride != 0 || down / w.stride >= w.out_height) {
            continue;
        }
#pragma unroll
        for (int b = 0; b < K; b++) {
            int across = iw + w.left - b;
            if (across >= 0 && across % w.stride == 0 && across / w.stride < w.out_width) {
                size_t seen = (size_t)(down / w.stride) * w.out_width + across / w.stride;
                sum += widen(image[seen * channels]) * weight[(c * K + a) * K + b];
            }
        }
    }
    dx[pixel * channels + c] = narrow<T>(sum);
}

// The sums over every piece of the output pixels, [pieces, K * K, channels].
template <class T, int K>
__device__ void weight_gradient(const T *x, const T *dy, float *partial, int images, int channels, Window w) {
    int c = blockIdx.x * LANES + threadIdx.x, pixels = images * w.out_height * w.out_width;
    int each = (pixels + gridDim.y - 1) / gridDim.y;
    int first = min(blockIdx.y * each, pixels), end = min(first + each, pixels);
    bool present = c < channels;
    float sums[K * K] = {};
    for (int p = first + threadIdx.y; present && p < end; p += LINES) {
        int ow = p % w.out_width, oh = p / w.out_width % w.out_height;
        const T *image = x + (size_t)(p / w.out_width / w.out_height) * w.height * w.width * channels + c;
        float g = widen(dy[(size_t)p * channels + c]);
#pragma unroll
        for (int a = 0; a < K; a++) {
            int ih = oh * w.stride + a - w.top;
#pragma unroll
            for (int b = 0; b < K; b++) {
                int iw = ow * w.stride + b - w.left;
                if (ih >= 0 && ih < w.height && iw >= 0 && iw < w.width) {
                    sums[a * K + b] += g * widen(image[((size_t)ih * w.width + iw) * channels]);
                }
            }
        }
    }
#pragma unroll
    for (int tap = 0; tap < K * K; tap++) {
        float sum = sum_of_lines(sums[tap]);
        if (present && threadIdx.y == 0) {
            partial[((size_t)blockIdx.y * K * K + tap) * channels + c] = sum;
        }
    }
}

// The weight's gradient [C, 1, K, K] from the sums of the pieces. A thread for every element.
extern "C" __global__ void depthwise_weight_f32(const float *partial, float *dw, int pieces, int taps, int channels) {
    int c = blockIdx.x * blockDim.x + threadIdx.x, tap = blockIdx.y;
    if (c >= channels) {
        return;
    }
    float sum = 0.0f;
    for (int p = 0; p < pieces; p++) {
        sum += partial[((size_t)p * taps + tap) * channels + c];
    }
    dw[c * taps + tap] = sum;
}

#define DEPTHWISE_KERNEL(T, suffix, K)                                                                                 \
    extern "C" __global__ void depthwise_forward_##K##_##suffix(const T *x, const float *weight, T *y, int images,     \
                                                                int channels, Window w) {                              \
        forward<T, K>(x, weight, y, images, channels, w);                                                              \
    }                                                                                                                  \
    extern "C" __global__ void depthwise_input_gradient_##K##_##suffix(const T *dy, const float *weight, T *dx,        \
                                                                       int images, int channels, Window w) {           \
        input_gradient<T, K>(dy, weight, dx, images, channels, w);                                                     \
    }                                                                                                                  \
    extern "C" __global__ void depthwise_weight_gradient_##K##_##suffix(const T *x, const T *dy, float *partial,       \
                                                                        int images, int channels, Window w) {          \
        weight_gradient<T, K>(x, dy, partial, images, channels, w);                                                    \
    }
#define DEPTHWISE(T, suffix)                                                                                           \
    DEPTHWISE_KERNEL(T, suffix, 3) DEPTHWISE_KERNEL(T, suffix, 5) DEPTHWISE_KERNEL(T, suffix, 7)
FOR_ELEMENTS(DEPTHWISE)
