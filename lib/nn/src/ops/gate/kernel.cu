// The gate of squeeze-excite: see mod.rs.
//
// gate_forward_T(const T *x [images, pixels, channels], const T *s [images, channels], T *y [as x], int pixels,
//                int channels, int gate)
// gate_backward_T(const T *x, const T *s, const T *dy [as x], T *dx [as x], T *ds [as s], int pixels, int channels,
//                 int gate)
//     Grid: (groups of 32 vectors of channels, images); y must be the number of images. Shared: none sized by the launch.
#include "device.cuh"

namespace {

// In the order of cuda.rs.
enum Gate { HARD_SIGMOID, SIGMOID };

__device__ inline float open(int gate, float s) {
    return gate == SIGMOID ? sigmoid(s) : at_most(at_least(s + 3.0f, 0.0f), 6.0f) * (1.0f / 6.0f);
}

__device__ inline float opening(int gate, float s) {
    if (gate == SIGMOID) {
        return sigmoid(s) * (1.0f - sigmoid(s));
    }
    return s > -3.0f && s < 3.0f ? 1.0f / 6.0f : 0.0f;
}

template <class T>
__device__ void forward(const T *__restrict__ x, const T *__restrict__ s, T *__restrict__ y, int pixels, int channels,
                        int gate) {
    constexpr int V = VECTOR<T>;
    Columns<V> columns(channels, aligned(x, y));
    size_t image = (size_t)blockIdx.y * pixels * channels;
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group), present = columns.present(c);
        float factors[V];
        load(factors, s + (size_t)blockIdx.y * channels + c, present, false);
        each(factors, [=](float s) { return open(gate, s); });
#pragma unroll 4
        for (int p = present > 0 ? columns.line : pixels; p < pixels; p += columns.lines) {
            size_t i = image + (size_t)p * channels + c;
            float v[V];
            load(v, x + i, present, columns.whole);
#pragma unroll
            for (int k = 0; k < V; k++) {
                v[k] *= factors[k];
            }
            store(y + i, v, present, columns.whole);
        }
    }
}

template <class T>
__device__ void backward(const T *__restrict__ x, const T *__restrict__ s, const T *__restrict__ dy, T *__restrict__ dx,
                         T *__restrict__ ds, int pixels, int channels, int gate) {
    constexpr int V = VECTOR<T>;
    Columns<V> columns(channels, aligned(x, dy, dx));
    size_t image = (size_t)blockIdx.y * pixels * channels;
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group), present = columns.present(c);
        size_t place = (size_t)blockIdx.y * channels + c;
        float factors[V], sums[V] = {};
        load(factors, s + place, present, false);
        each(factors, [=](float s) { return open(gate, s); });
#pragma unroll 2
        for (int p = present > 0 ? columns.line : pixels; p < pixels; p += columns.lines) {
            size_t i = image + (size_t)p * channels + c;
            float v[V], g[V];
            load(v, x + i, present, columns.whole);
            load(g, dy + i, present, columns.whole);
#pragma unroll
            for (int k = 0; k < V; k++) {
                sums[k] += g[k] * v[k];
                g[k] *= factors[k];
            }
            store(dx + i, g, present, columns.whole);
        }
        columns.sum(sums);
        if (columns.line == 0) {
            float v[V];
            load(v, s + place, present, false);
#pragma unroll
            for (int k = 0; k < V; k++) {
                sums[k] *= opening(gate, v[k]);
            }
            store(ds + place, sums, present, false);
        }
    }
}

} // namespace

#define GATE(T, suffix)                                                                                                \
    extern "C" __global__ void __launch_bounds__(THREADS) gate_forward_##suffix(                                       \
        const T *x, const T *s, T *y, int pixels, int channels, int gate) {                                            \
        forward<T>(x, s, y, pixels, channels, gate);                                                                   \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) gate_backward_##suffix(                                      \
        const T *x, const T *s, const T *dy, T *dx, T *ds, int pixels, int channels, int gate) {                       \
        backward<T>(x, s, dy, dx, ds, pixels, channels, gate);                                                         \
    }
FOR_ELEMENTS(GATE)
