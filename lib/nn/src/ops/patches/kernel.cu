// Patches of an image as rows: see mod.rs.
#include "device.cuh"
#include "window.cuh"

// A thread for every entry of the result.
template <class T> __device__ void forward(const T *x, T *y, int images, int channels, Window w) {
    int entries = w.kernel * w.kernel * channels;
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (size_t)images * w.out_height * w.out_width * entries) {
        return;
    }
    int entry = i % entries;
    size_t row = i / entries;
    int column = row % w.out_width, line = row / w.out_width % w.out_height;
    size_t n = row / w.out_width / w.out_height;
    int ih = line * w.stride + entry / channels / w.kernel - w.top;
    int iw = column * w.stride + entry / channels % w.kernel - w.left;
    bool inside = ih >= 0 && ih < w.height && iw >= 0 && iw < w.width;
    y[i] = inside ? x[((n * w.height + ih) * w.width + iw) * channels + entry % channels] : narrow<T>(0.0f);
}

// A thread for every element of the image: it gathers from the windows that hold it.
template <class T> __device__ void backward(const T *dy, T *dx, int images, int channels, Window w) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (size_t)images * w.height * w.width * channels) {
        return;
    }
    int c = i % channels, iw = i / channels % w.width, ih = i / channels / w.width % w.height;
    size_t n = i / channels / w.width / w.height, entries = (size_t)w.kernel * w.kernel * channels;
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
            sum += widen(dy[row * entries + (a * w.kernel + b) * channels + c]);
        }
    }
    dx[i] = narrow<T>(sum);
}

#define PATCHES(T, suffix)                                                                                             \
    extern "C" __global__ void patches_forward_##suffix(const T *x, T *y, int images, int channels, Window w) {        \
        forward<T>(x, y, images, channels, w);                                                                         \
    }                                                                                                                  \
    extern "C" __global__ void patches_backward_##suffix(const T *dy, T *dx, int images, int channels, Window w) {     \
        backward<T>(dy, dx, images, channels, w);                                                                      \
    }
FOR_ELEMENTS(PATCHES)
