// Global average pool: see mod.rs.
//
// pool_forward_T(const T *x [images, pixels, channels], T *y [images, channels], int pixels, int channels)
// pool_backward_T(const T *dy [images, channels], T *dx [images, pixels, channels], int pixels, int channels)
//     Grid: (groups of 32 vectors of channels, images); y must be the number of images. Shared: none sized by the launch.
#include "device.cuh"

namespace {

template <class T> __device__ void forward(const T *__restrict__ x, T *__restrict__ y, int pixels, int channels) {
    constexpr int V = VECTOR<T>;
    Columns<V> columns(channels, aligned(x));
    const T *image = x + (size_t)blockIdx.y * pixels * channels;
    float share = 1.0f / pixels;
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group), present = columns.present(c);
        float sums[V] = {};
#pragma unroll 4
        for (int p = present > 0 ? columns.line : pixels; p < pixels; p += columns.lines) {
            float v[V];
            load(v, image + (size_t)p * channels + c, present, columns.whole);
#pragma unroll
            for (int k = 0; k < V; k++) {
                sums[k] += v[k];
            }
        }
        columns.sum(sums);
        if (columns.line == 0) {
            each(sums, [=](float sum) { return sum * share; });
            store(y + (size_t)blockIdx.y * channels + c, sums, present, false);
        }
    }
}

template <class T> __device__ void backward(const T *__restrict__ dy, T *__restrict__ dx, int pixels, int channels) {
    constexpr int V = VECTOR<T>;
    Columns<V> columns(channels, aligned(dx));
    T *image = dx + (size_t)blockIdx.y * pixels * channels;
    float share = 1.0f / pixels;
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group), present = columns.present(c);
        float g[V];
        load(g, dy + (size_t)blockIdx.y * channels + c, present, false);
        each(g, [=](float g) { return g * share; });
        for (int p = present > 0 ? columns.line : pixels; p < pixels; p += columns.lines) {
            store(image + (size_t)p * channels + c, g, present, columns.whole);
        }
    }
}

} // namespace

#define POOL(T, suffix)                                                                                                \
    extern "C" __global__ void __launch_bounds__(THREADS) pool_forward_##suffix(const T *x, T *y, int pixels,          \
                                                                                int channels) {                        \
        forward<T>(x, y, pixels, channels);                                                                            \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) pool_backward_##suffix(const T *dy, T *dx, int pixels,       \
                                                                                 int channels) {                       \
        backward<T>(dy, dx, pixels, channels);                                                                         \
    }
FOR_ELEMENTS(POOL)
