// Patches of an image as rows: see mod.rs. x is [images, height, width, channels], y is [images * out_height * out_width,
// kernel * kernel * channels].
//
// patches_forward_T(const T *x, T *y, int images, int channels, Window w)
//     Grid: (one thread for every vector of y).
// patches_backward_T(const T *dy, T *dx, int images, int channels, Window w)
//     Grid: (one thread for every element of dx).
// Shared: none sized by the launch.
#include "device.cuh"
#include "window.cuh"

namespace {

// An entry of the result: a channel of a tap of a window.
struct Entry {
    int c, b, a, column, line;
    size_t image;

    __device__ Entry(size_t i, int channels, const Window &w) {
        size_t pixel = i / channels, row = pixel / (w.kernel * w.kernel), height = row / w.out_width;
        int tap = (int)(pixel - row * (w.kernel * w.kernel));
        c = (int)(i - pixel * channels);
        a = tap / w.kernel;
        b = tap - a * w.kernel;
        column = (int)(row - height * w.out_width);
        image = height / w.out_height;
        line = (int)(height - image * w.out_height);
    }
    // The next one in memory, without dividing again.
    __device__ void advance(int channels, const Window &w) {
        if (++c < channels) {
            return;
        }
        c = 0;
        if (++b < w.kernel) {
            return;
        }
        b = 0;
        if (++a < w.kernel) {
            return;
        }
        a = 0;
        if (++column < w.out_width) {
            return;
        }
        column = 0;
        if (++line == w.out_height) {
            line = 0;
            image++;
        }
    }
};

template <class T>
__device__ void forward(const T *__restrict__ x, T *__restrict__ y, int images, int channels, const Window &w) {
    constexpr int V = VECTOR<T>;
    size_t len = (size_t)images * w.out_height * w.out_width * w.kernel * w.kernel * channels;
    size_t step = (size_t)gridDim.x * blockDim.x * V;
    bool suits = aligned(y);
    for (size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * V; i < len; i += step) {
        int present = len - i < V ? (int)(len - i) : V;
        Entry entry(i, channels, w);
        float v[V];
#pragma unroll
        for (int k = 0; k < V; k++) {
            int ih = entry.line * w.stride + entry.a - w.top, iw = entry.column * w.stride + entry.b - w.left;
            bool inside = k < present && ih >= 0 && ih < w.height && iw >= 0 && iw < w.width;
            v[k] = inside ? widen(x[((entry.image * w.height + ih) * w.width + iw) * channels + entry.c]) : 0.0f;
            entry.advance(channels, w);
        }
        store(y + i, v, present, suits && present == V);
    }
}

// An element of the image gathers from the windows that hold it.
template <class T>
__device__ void backward(const T *__restrict__ dy, T *__restrict__ dx, int images, int channels, const Window &w) {
    size_t len = (size_t)images * w.height * w.width * channels, step = (size_t)gridDim.x * blockDim.x;
    size_t entries = (size_t)w.kernel * w.kernel * channels;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < len; i += step) {
        size_t pixel = i / channels, line = pixel / w.width, n = line / w.height;
        int c = (int)(i - pixel * channels), iw = (int)(pixel - line * w.width), ih = (int)(line - n * w.height);
        float sum = 0.0f;
        for (int a = 0; a < w.kernel; a++) {
            int down = ih + w.top - a;
            if (down < 0 || down % w.stride != 0 || down / w.stride >= w.out_height) {
                continue;
            }
            for (int b = 0; b < w.kernel; b++) {
                int across = iw + w.left - b;
                if (across < 0 || across % w.stride != 0 || across / w.stride >= w.out_width) {
                    continue;
                }
                size_t row = (n * w.out_height + down / w.stride) * w.out_width + across / w.stride;
                sum += widen(dy[row * entries + (size_t)(a * w.kernel + b) * channels + c]);
            }
        }
        dx[i] = narrow<T>(sum);
    }
}

} // namespace

#define PATCHES(T, suffix)                                                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS) patches_forward_##suffix(const T *x, T *y, int images,       \
                                                                                   int channels, Window w) {           \
        forward<T>(x, y, images, channels, w);                                                                         \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) patches_backward_##suffix(const T *dy, T *dx, int images,    \
                                                                                    int channels, Window w) {          \
        backward<T>(dy, dx, images, channels, w);                                                                      \
    }
FOR_ELEMENTS(PATCHES)
