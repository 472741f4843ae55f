// Bias and activation on rows: see mod.rs. x, y and their gradients are [rows, channels], the bias is float.
//
// bias_activation_forward_T(const T *x, const float *bias, T *y, int rows, int channels, int activation)
//     Grid: (groups of 32 vectors of channels, as many as fill the device).
// bias_activation_backward_T(const T *x, const float *bias, const T *dy, T *dx, float *db [channels], int rows,
//                            int channels, int activation)
//     Grid: (groups of 8 vectors of channels): a block has all rows of its channels, as the rows are few, one for each
//     image; y must be 1.
// Shared: none sized by the launch.
#include "device.cuh"

namespace {

template <class T>
__device__ void forward(const T *__restrict__ x, const float *__restrict__ bias, T *__restrict__ y, int rows,
                        int channels, int activation) {
    constexpr int V = VECTOR<T>;
    Columns<V> columns(channels, aligned(x, y));
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group), present = columns.present(c);
        float b[V];
        load(b, bias + c, present, false);
        int first = present > 0 ? (int)blockIdx.y * columns.lines + columns.line : rows;
        for (int r = first; r < rows; r += (int)gridDim.y * columns.lines) {
            size_t i = (size_t)r * channels + c;
            float z[V];
            load(z, x + i, present, columns.whole);
#pragma unroll
            for (int k = 0; k < V; k++) {
                z[k] += b[k];
            }
            activate(activation, z);
            store(y + i, z, present, columns.whole);
        }
    }
}

template <class T>
__device__ void backward(const T *__restrict__ x, const float *__restrict__ bias, const T *__restrict__ dy,
                         T *__restrict__ dx, float *__restrict__ db, int rows, int channels, int activation) {
    constexpr int V = VECTOR<T>;
    Columns<V, 8> columns(channels, aligned(x, dy, dx));
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group), present = columns.present(c);
        float b[V], sums[V] = {};
        load(b, bias + c, present, false);
        for (int r = present > 0 ? columns.line : rows; r < rows; r += columns.lines) {
            size_t i = (size_t)r * channels + c;
            float z[V], g[V];
            load(z, x + i, present, columns.whole);
            load(g, dy + i, present, columns.whole);
#pragma unroll
            for (int k = 0; k < V; k++) {
                z[k] += b[k];
            }
            slope(activation, z);
#pragma unroll
            for (int k = 0; k < V; k++) {
                g[k] *= z[k];
                sums[k] += g[k];
            }
            store(dx + i, g, present, columns.whole);
        }
        columns.sum(sums);
        if (columns.line == 0) {
            store(db + c, sums, present, false);
        }
    }
}

} // namespace

#define BIAS_ACTIVATION(T, suffix)                                                                                     \
    extern "C" __global__ void __launch_bounds__(THREADS) bias_activation_forward_##suffix(                            \
        const T *x, const float *bias, T *y, int rows, int channels, int activation) {                                 \
        forward<T>(x, bias, y, rows, channels, activation);                                                            \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) bias_activation_backward_##suffix(                           \
        const T *x, const float *bias, const T *dy, T *dx, float *db, int rows, int channels, int activation) {        \
        backward<T>(x, bias, dy, dx, db, rows, channels, activation);                                                  \
    }
FOR_ELEMENTS(BIAS_ACTIVATION)
