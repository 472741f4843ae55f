// Depthwise convolution: see mod.rs. x, y and their gradients are [images, height, width, channels], weights are float,
// [channels, 1, K, K], K is 3, 5 or 7, the stride 1 or 2.
//
// depthwise_forward_K_T(const T *x, const float *weight, T *y, int images, int channels, Window w)
// depthwise_input_gradient_K_T(const T *dy, const float *weight, T *dx, int images, int channels, Window w)
//     Grid: (as many as fill the device, groups of 128 channels).
// depthwise_weight_gradient_K_T(const T *x, const T *dy, float *partial [pieces, K * K, channels], int images,
//                               int channels, Window w)
//     Grid: (groups of 64 channels, pieces); exactly THREADS threads. A piece is a part of the images' output rows.
// depthwise_weight_f32(const float *partial, float *dw, int pieces, int taps, int channels)
//     Grid: (channels / 32 rounded up, taps).
// Shared: none sized by the launch.
#include "device.cuh"
#include "window.cuh"

namespace {

// Four channels a thread, also of bf16: with eight, the sums of neighbouring outputs and a row of taps fill the registers.
// One where channels or addresses do not suit vectors. V is one of the two below.
constexpr int FOUR = 4;
// Neighbouring outputs of a row that a thread computes together, so that a pixel is loaded once for all of them.
constexpr int TILE = 4;

// Which tap takes pixel j of a tile's row to output t, and the first of those pixels.
template <int K, int S> struct Forward {
    static constexpr int PIXELS = (TILE - 1) * S + K;
    static constexpr __device__ int tap(int j, int t) { return j - t * S; }
};
// Outputs are input pixels here, counted from the left of the padding, and pixels are those of dy.
template <int K, int S> struct Backward {
    static constexpr int PIXELS = (TILE + K - 2) / S + 1;
    static constexpr __device__ int tap(int j, int t) { return t + K - 1 - j * S; }
};

// Adds row `a` of the taps over a row of pixels [first, first + PIXELS) of which there are `width`, to a tile.
template <class Way, int K, int V, class T>
__device__ inline void add_row(float (&sums)[TILE][V], const T *row, int first, int width, const float *taps, int lanes,
                               int channels) {
    float w[K][V];
#pragma unroll
    for (int b = 0; b < K; b++) {
        fetch(w[b], taps + b * lanes * V);
    }
#pragma unroll
    for (int j = 0; j < Way::PIXELS; j++) {
        int at = first + j;
        if (at < 0 || at >= width) {
            continue;
        }
        float v[V];
        fetch(v, row + (ptrdiff_t)at * channels);
#pragma unroll
        for (int t = 0; t < TILE; t++) {
            constexpr int NONE = -1;
            int b = Way::tap(j, t) < K ? Way::tap(j, t) : NONE;
            if (b >= 0) {
#pragma unroll
                for (int k = 0; k < V; k++) {
                    sums[t][k] += v[k] * w[b][k];
                }
            }
        }
    }
}

// Where a tile is. There are fewer than 2^32 of them in any memory, and 64-bit numbers divide slowly.
struct Place {
    int strip, row;
    size_t image;
    __device__ Place(unsigned tile, unsigned strips, unsigned rows) {
        unsigned line = tile / strips, number = line / rows;
        strip = (int)(tile - line * strips);
        image = number;
        row = (int)(line - number * rows);
    }
};

// The taps of a group as [K * K][lanes * V], for all threads. Every thread of the block must call it.
template <int K>
__device__ inline void bring_taps(float *taps, const float *weight, int first, int width, int channels) {
    __syncthreads();
    for (int i = thread_number(); i < K * K * width; i += thread_count()) {
        int c = i / (K * K), tap = i % (K * K);
        taps[tap * width + c] = first + c < channels ? weight[(size_t)(first + c) * (K * K) + tap] : 0.0f;
    }
    __syncthreads();
}

template <class T, int K, int S, int V>
__device__ inline void forward_tile(const T *x, T *y, const float *taps, const Columns<V> &columns, const Window &w,
                                    unsigned tile, int strips, int c) {
    using Way = Forward<K, S>;
    Place place(tile, strips, w.out_height);
    float sums[TILE][V] = {};
    int first = place.strip * TILE * S - w.left;
#pragma unroll 1
    for (int a = 0; a < K; a++) {
        int ih = place.row * S + a - w.top;
        if (ih < 0 || ih >= w.height) {
            continue;
        }
        const T *row = x + (place.image * w.height + ih) * w.width * columns.channels + c;
        add_row<Way, K>(sums, row, first, w.width, taps + (a * K * columns.lanes + columns.lane) * V, columns.lanes,
                        columns.channels);
    }
    T *row = y + (place.image * w.out_height + place.row) * w.out_width * columns.channels + c;
#pragma unroll
    for (int t = 0; t < TILE; t++) {
        int ow = place.strip * TILE + t;
        if (ow < w.out_width) {
            put(row + (size_t)ow * columns.channels, sums[t]);
        }
    }
}

template <class T, int K, int S, int V>
__device__ inline void backward_tile(const T *dy, T *dx, const float *taps, const Columns<V> &columns, const Window &w,
                                     unsigned tile, int strips, int c) {
    using Way = Backward<K, S>;
    Place place(tile, strips, w.height);
    float sums[TILE][V] = {};
    int first = (place.strip * TILE - (K - 1)) / S, padded = place.row + w.top;
#pragma unroll 1
    for (int a = padded % S; a < K; a += S) {
        int oh = (padded - a) / S;
        if (padded < a || oh >= w.out_height) {
            continue;
        }
        const T *row = dy + (place.image * w.out_height + oh) * w.out_width * columns.channels + c;
        add_row<Way, K>(sums, row, first, w.out_width, taps + (a * K * columns.lanes + columns.lane) * V, columns.lanes,
                        columns.channels);
    }
    T *row = dx + (place.image * w.height + place.row) * w.width * columns.channels + c;
#pragma unroll
    for (int t = 0; t < TILE; t++) {
        int iw = place.strip * TILE + t - w.left;
        if (iw >= 0 && iw < w.width) {
            put(row + (size_t)iw * columns.channels, sums[t]);
        }
    }
}

// Runs over all tiles of all groups: outputs, or input pixels with BACKWARD.
template <class T, int K, bool BACKWARD, int V>
__device__ inline void all_tiles(const T *from, const float *weight, T *to, float *taps, int images, int channels,
                                 const Window &w) {
    Columns<V> columns(channels, true);
    int across = BACKWARD ? w.width + w.left : w.out_width, down = BACKWARD ? w.height : w.out_height;
    int strips = (across + TILE - 1) / TILE;
    unsigned tiles = (unsigned)images * down * strips;
    // At most as many as there are, so that the last step does not begin anew.
    unsigned step = (unsigned)min((size_t)gridDim.x * columns.lines, (size_t)tiles);
    for (int group = blockIdx.y; group < columns.groups; group += gridDim.y) {
        int c = columns.first(group);
        bring_taps<K>(taps, weight, group * columns.lanes * V, columns.lanes * V, channels);
        size_t first = columns.present(c) > 0 ? (size_t)blockIdx.x * columns.lines + columns.line : tiles;
        for (unsigned tile = (unsigned)min(first, (size_t)tiles); tile < tiles; tile += min(step, tiles - tile)) {
            if (BACKWARD && w.stride == 1) {
                backward_tile<T, K, 1>(from, to, taps, columns, w, tile, strips, c);
            } else if (BACKWARD) {
                backward_tile<T, K, 2>(from, to, taps, columns, w, tile, strips, c);
            } else if (w.stride == 1) {
                forward_tile<T, K, 1>(from, to, taps, columns, w, tile, strips, c);
            } else {
                forward_tile<T, K, 2>(from, to, taps, columns, w, tile, strips, c);
            }
        }
    }
}

template <class T, int K, bool BACKWARD>
__device__ void convolve(const T *__restrict__ from, const float *__restrict__ weight, T *__restrict__ to, int images,
                         int channels, const Window &w) {
    __shared__ __align__(16) float taps[K * K * 32 * FOUR];
    if (aligned(from, to) && channels % FOUR == 0) {
        all_tiles<T, K, BACKWARD, FOUR>(from, weight, to, taps, images, channels, w);
    } else {
        all_tiles<T, K, BACKWARD, 1>(from, weight, to, taps, images, channels, w);
    }
}

// Adds what row `a` of the taps gets from a tile of outputs.
template <class T, int K, int S, int V>
__device__ inline void add_products(float (&sums)[K][V], const T *x, const T *dy, int ow, const Window &w, int channels) {
    float g[TILE][V] = {};
#pragma unroll
    for (int t = 0; t < TILE; t++) {
        if (ow + t < w.out_width) {
            fetch(g[t], dy + (size_t)(ow + t) * channels);
        }
    }
#pragma unroll
    for (int j = 0; j < Forward<K, S>::PIXELS; j++) {
        int iw = ow * S + j - w.left;
        if (iw < 0 || iw >= w.width) {
            continue;
        }
        float v[V];
        fetch(v, x + (size_t)iw * channels);
#pragma unroll
        for (int t = 0; t < TILE; t++) {
            int b = j - t * S;
            if (b >= 0 && b < K) {
#pragma unroll
                for (int k = 0; k < V; k++) {
                    sums[b][k] += v[k] * g[t][k];
                }
            }
        }
    }
}

// A thread has one row of the taps: the lines of a block are shared out among the rows first, then along the outputs.
template <class T, int K, int S, int V>
__device__ inline void weight_sums(float (&sums)[K][V], const T *x, const T *dy, const Columns<V, 16> &columns, int first,
                                   int end, int c, const Window &w) {
    int a = columns.line % K, segment = columns.line / K, segments = columns.lines / K;
    int channels = columns.channels;
    if (segment >= segments || columns.present(c) == 0) {
        return;
    }
    for (int r = first; r < end; r++) {
        int image = r / w.out_height, ih = (r - image * w.out_height) * S + a - w.top;
        if (ih < 0 || ih >= w.height) {
            continue;
        }
        const T *from = x + ((size_t)image * w.height + ih) * w.width * channels + c;
        const T *out = dy + (size_t)r * w.out_width * channels + c;
        for (int ow = segment * TILE; ow < w.out_width; ow += segments * TILE) {
            add_products<T, K, S>(sums, from, out, ow, w, channels);
        }
    }
}

template <class T, int K, int V>
__device__ inline void all_sums(const T *x, const T *dy, float *partial, float (*values)[FOUR], int images, int channels,
                                const Window &w) {
    Columns<V, 16> columns(channels, true);
    int rows = images * w.out_height, pieces = gridDim.y, piece = blockIdx.y;
    int first = (int)((long long)rows * piece / pieces), end = (int)((long long)rows * (piece + 1) / pieces);
    int a = columns.line % K, segments = columns.lines / K, thread = thread_number();
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group);
        bool present = columns.present(c) > 0;
        float sums[K][V] = {};
        if (w.stride == 1) {
            weight_sums<T, K, 1>(sums, x, dy, columns, first, end, c, w);
        } else {
            weight_sums<T, K, 2>(sums, x, dy, columns, first, end, c, w);
        }
        // The first segment's threads add up those of all.
#pragma unroll
        for (int b = 0; b < K; b++) {
            __syncthreads();
            put(values[thread], sums[b]);
            __syncthreads();
            if (columns.line < K && segments > 0 && present) {
                float total[V] = {};
                for (int segment = 0; segment < segments; segment++) {
                    float v[V];
                    fetch(v, values[thread + segment * K * columns.lanes]);
#pragma unroll
                    for (int k = 0; k < V; k++) {
                        total[k] += v[k];
                    }
                }
                put(partial + (((size_t)piece * K + a) * K + b) * channels + c, total);
            }
        }
    }
}

template <class T, int K>
__device__ void weight_gradient(const T *__restrict__ x, const T *__restrict__ dy, float *__restrict__ partial, int images,
                                int channels, const Window &w) {
    __shared__ __align__(16) float values[THREADS][FOUR];
    if (aligned(x, dy, partial) && channels % FOUR == 0) {
        all_sums<T, K, FOUR>(x, dy, partial, values, images, channels, w);
    } else {
        all_sums<T, K, 1>(x, dy, partial, values, images, channels, w);
    }
}

} // namespace

// The weight's gradient [channels, 1, K, K] from the sums of the pieces.
extern "C" __global__ void __launch_bounds__(THREADS)
    depthwise_weight_f32(const float *partial, float *dw, int pieces, int taps, int channels) {
    Columns<1, 32> columns(channels, false);
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group);
        for (int tap = blockIdx.y; tap < taps; tap += gridDim.y) {
            float sum[1] = {};
            for (int p = columns.present(c) > 0 ? columns.line : pieces; p < pieces; p += columns.lines) {
                sum[0] += partial[((size_t)p * taps + tap) * channels + c];
            }
            columns.sum(sum);
            if (columns.line == 0 && columns.present(c) > 0) {
                dw[(size_t)c * taps + tap] = sum[0];
            }
        }
    }
}

#define DEPTHWISE_KERNEL(T, suffix, K)                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS, 2) depthwise_forward_##K##_##suffix(                            \
        const T *x, const float *weight, T *y, int images, int channels, Window w) {                                   \
        convolve<T, K, false>(x, weight, y, images, channels, w);                                                      \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS, 2) depthwise_input_gradient_##K##_##suffix(                     \
        const T *dy, const float *weight, T *dx, int images, int channels, Window w) {                                 \
        convolve<T, K, true>(dy, weight, dx, images, channels, w);                                                     \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS, 2) depthwise_weight_gradient_##K##_##suffix(                    \
        const T *x, const T *dy, float *partial, int images, int channels, Window w) {                                 \
        weight_gradient<T, K>(x, dy, partial, images, channels, w);                                                    \
    }
#define DEPTHWISE(T, suffix)                                                                                           \
    DEPTHWISE_KERNEL(T, suffix, 3) DEPTHWISE_KERNEL(T, suffix, 5) DEPTHWISE_KERNEL(T, suffix, 7)
FOR_ELEMENTS(DEPTHWISE)
