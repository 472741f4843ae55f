// Bias and activation on rows: see mod.rs.
#include "device.cuh"

// A thread for every element.
template <class T>
__device__ void forward(const T *x, const float *bias, T *y, int rows, int channels, int activation) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < (size_t)rows * channels) {
        y[i] = narrow<T>(activate(activation, widen(x[i]) + bias[i % channels]));
    }
}

// A block has all rows of LANES channels: the rows are few, one for each image.
template <class T>
__device__ void backward(const T *x, const float *bias, const T *dy, T *dx, float *db, int rows, int channels,
                         int activation) {
    int c = blockIdx.x * LANES + threadIdx.x;
    bool present = c < channels;
    float b = present ? bias[c] : 0.0f, sum = 0.0f;
    for (int r = threadIdx.y; present && r < rows; r += LINES) {
        size_t i = (size_t)r * channels + c;
        float g = widen(dy[i]) * slope(activation, widen(x[i]) + b);
        dx[i] = narrow<T>(g);
        sum += g;
    }
    sum = sum_of_lines(sum);
    if (present && threadIdx.y == 0) {
        db[c] = sum;
    }
}

#define BIAS_ACTIVATION(T, suffix)                                                                                     \
    extern "C" __global__ void bias_activation_forward_##suffix(const T *x, const float *bias, T *y, int rows,         \
                                                                int channels, int activation) {                        \
        forward<T>(x, bias, y, rows, channels, activation);                                                            \
    }                                                                                                                  \
    extern "C" __global__ void bias_activation_backward_##suffix(const T *x, const float *bias, const T *dy, T *dx,    \
                                                                 float *db, int rows, int channels, int activation) {  \
        backward<T>(x, bias, dy, dx, db, rows, channels, activation);                                                  \
    }
FOR_ELEMENTS(BIAS_ACTIVATION)
