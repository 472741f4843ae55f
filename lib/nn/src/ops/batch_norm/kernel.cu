// Batch normalisation with the activation behind it: see mod.rs.
//
// x, y and their gradients are [rows, channels]; vectors of channels are float. Rows are cut into gridDim.y pieces, sums
// over pieces are combined in their order. A whole group of 32 vectors of channels is a column of blocks.
//
// batch_norm_moments_T(const T *x, float *partial [2, pieces, channels], int rows, int channels)
//     Grid: (groups, pieces).
// batch_norm_statistics_f32(const float *partial, float *mean, float *variance, float *running_mean or null,
//                           float *running_variance or null, int pieces, int rows, int channels, float keep, float take)
//     Grid: (channels / 8 rounded up).
// batch_norm_forward_T(const T *x, const float *mean, const float *variance, const float *weight, const float *bias,
//                      const T *residual or null, T *y, int rows, int channels, float epsilon, int activation)
//     Grid: (groups, as many as fill the device). With running statistics this is inference. The residual, [rows, channels],
//     is added behind the activation.
// batch_norm_sums_T(const T *x, const T *dy, const float *mean, const float *variance, const float *weight,
//                   const float *bias, float *partial [2, pieces, channels], int rows, int channels, float epsilon,
//                   int activation)
//     Grid: (groups, pieces).
// batch_norm_parameters_f32(const float *partial, const float *variance, float *dweight, float *dbias, int pieces,
//                           int channels, float epsilon)
//     Grid: (channels / 8 rounded up).
// batch_norm_backward_T(const T *x, const T *dy, const float *mean, const float *variance, const float *weight,
//                       const float *bias, const float *dweight, const float *dbias, T *dx, int rows, int channels,
//                       float epsilon, int activation)
//     Grid: (groups, as many as fill the device).
// Shared: none sized by the launch.
#include "device.cuh"

namespace {

// The rows of this block's piece.
struct Piece {
    int first, end;
    __device__ Piece(int rows) {
        int pieces = gridDim.y, number = blockIdx.y, each = rows / pieces, rest = rows % pieces;
        first = number * each + min(number, rest);
        end = first + each + (number < rest ? 1 : 0);
    }
};

// All below has vectors of V channels: VECTOR<T>, or 1 where the shape or the addresses do not suit vectors. That part-filled
// vectors cannot be saves many registers.

// The normalisation of V channels: z = (x - mean) * scale + bias. The mean is taken off first, as folding it into the bias
// would cancel where it is large against the deviation.
template <int V> struct Affine {
    float mean[V], inverse[V], scale[V], bias[V];
    __device__ Affine(const float *means, const float *variances, const float *weights, const float *biases, int c,
                      bool present, float epsilon) {
        if (!present) {
            return;
        }
#pragma unroll
        for (int k = 0; k < V; k++) {
            mean[k] = means[c + k];
            inverse[k] = rsqrtf(variances[c + k] + epsilon);
            scale[k] = weights[c + k] * inverse[k];
            bias[k] = biases[c + k];
        }
    }
    // x becomes x - mean; z from that.
    __device__ void centre(float (&x)[V], float (&z)[V]) const {
#pragma unroll
        for (int k = 0; k < V; k++) {
            x[k] -= mean[k];
            z[k] = x[k] * scale[k] + bias[k];
        }
    }
};

// Mean and squared deviations from it of every piece. Every thread takes deviations from the first element that it meets,
// so that a large mean does not cancel.
template <class T, int V>
__device__ void moments(const T *__restrict__ x, float *__restrict__ partial, int rows, int channels) {
    Columns<V> columns(channels, true);
    Piece piece(rows);
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group);
        bool present = columns.present(c) > 0;
        float shift[V] = {}, sums[V] = {}, squares[V] = {}, seen = 0.0f;
        int first = present ? piece.first + columns.line : piece.end;
        if (first < piece.end) {
            fetch(shift, x + (size_t)first * channels + c);
        }
#pragma unroll 4
        for (int r = first; r < piece.end; r += columns.lines) {
            float v[V];
            fetch(v, x + (size_t)r * channels + c);
            seen += 1.0f;
#pragma unroll
            for (int k = 0; k < V; k++) {
                float d = v[k] - shift[k];
                sums[k] += d;
                squares[k] += d * d;
            }
        }
        // The piece's mean as its first line's shift and a sum of deviations from that.
        float inverse = seen > 0.0f ? 1.0f / seen : 0.0f, base[V], mean[V], own[V];
#pragma unroll
        for (int k = 0; k < V; k++) {
            base[k] = columns.line == 0 ? shift[k] : 0.0f;
        }
        columns.sum_for_all(base);
        float rows_here = max(piece.end - piece.first, 1);
#pragma unroll
        for (int k = 0; k < V; k++) {
            own[k] = shift[k] + sums[k] * inverse;
            mean[k] = (own[k] - base[k]) * seen;
        }
        columns.sum_for_all(mean);
#pragma unroll
        for (int k = 0; k < V; k++) {
            mean[k] = base[k] + mean[k] / rows_here;
            float delta = own[k] - mean[k];
            squares[k] += (delta * delta) * seen - sums[k] * (sums[k] * inverse);
        }
        columns.sum(squares);
        if (columns.line == 0 && present) {
            size_t i = (size_t)blockIdx.y * channels + c;
            put(partial + i, mean);
            put(partial + (size_t)gridDim.y * channels + i, squares);
        }
    }
}

template <class T, int V>
__device__ void forward(const T *__restrict__ x, const float *__restrict__ mean, const float *__restrict__ variance,
                        const float *__restrict__ weight, const float *__restrict__ bias, const T *__restrict__ residual,
                        T *__restrict__ y, int rows, int channels, float epsilon, int activation) {
    Columns<V> columns(channels, true);
    Piece piece(rows);
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group);
        bool present = columns.present(c) > 0;
        Affine<V> norm(mean, variance, weight, bias, c, present, epsilon);
        for (int r = present ? piece.first + columns.line : piece.end; r < piece.end; r += columns.lines) {
            size_t i = (size_t)r * channels + c;
            float v[V], z[V];
            fetch(v, x + i);
            norm.centre(v, z);
            activate(activation, z);
            if (residual != nullptr) {
                fetch(v, residual + i);
#pragma unroll
                for (int k = 0; k < V; k++) {
                    z[k] += v[k];
                }
            }
            put(y + i, z);
        }
    }
}

// Sums of g * (x - mean) and of g over every piece; g is the gradient before the activation.
template <class T, int V>
__device__ void sums(const T *__restrict__ x, const T *__restrict__ dy, const float *__restrict__ mean,
                     const float *__restrict__ variance, const float *__restrict__ weight, const float *__restrict__ bias,
                     float *__restrict__ partial, int rows, int channels, float epsilon, int activation) {
    Columns<V> columns(channels, true);
    Piece piece(rows);
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group);
        bool present = columns.present(c) > 0;
        Affine<V> norm(mean, variance, weight, bias, c, present, epsilon);
        float products[V] = {}, gradients[V] = {};
        for (int r = present ? piece.first + columns.line : piece.end; r < piece.end; r += columns.lines) {
            size_t i = (size_t)r * channels + c;
            float v[V], z[V], g[V];
            fetch(v, x + i);
            fetch(g, dy + i);
            norm.centre(v, z);
            slope(activation, z);
#pragma unroll
            for (int k = 0; k < V; k++) {
                g[k] *= z[k];
                products[k] += g[k] * v[k];
                gradients[k] += g[k];
            }
        }
        columns.sum(products);
        columns.sum(gradients);
        if (columns.line == 0 && present) {
            size_t i = (size_t)blockIdx.y * channels + c;
            put(partial + i, products);
            put(partial + (size_t)gridDim.y * channels + i, gradients);
        }
    }
}

template <class T, int V>
__device__ void backward(const T *__restrict__ x, const T *__restrict__ dy, const float *__restrict__ mean,
                         const float *__restrict__ variance, const float *__restrict__ weight,
                         const float *__restrict__ bias, const float *__restrict__ dweight,
                         const float *__restrict__ dbias, T *__restrict__ dx, int rows, int channels, float epsilon,
                         int activation) {
    Columns<V> columns(channels, true);
    Piece piece(rows);
    float share = 1.0f / rows;
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group);
        bool present = columns.present(c) > 0;
        Affine<V> norm(mean, variance, weight, bias, c, present, epsilon);
        // dx = scale * g + (x - mean) * a + b, with the two means over rows folded into a and b.
        float a[V], b[V];
#pragma unroll
        for (int k = 0; k < V; k++) {
            a[k] = present ? -norm.scale[k] * dweight[c + k] * norm.inverse[k] * share : 0.0f;
            b[k] = present ? -norm.scale[k] * dbias[c + k] * share : 0.0f;
        }
        for (int r = present ? piece.first + columns.line : piece.end; r < piece.end; r += columns.lines) {
            size_t i = (size_t)r * channels + c;
            float v[V], z[V], g[V];
            fetch(v, x + i);
            fetch(g, dy + i);
            norm.centre(v, z);
            slope(activation, z);
#pragma unroll
            for (int k = 0; k < V; k++) {
                g[k] = g[k] * z[k] * norm.scale[k] + v[k] * a[k] + b[k];
            }
            put(dx + i, g);
        }
    }
}

// Eight channels of a block, whose lines share out the pieces.
using Few = Columns<1, 8>;

} // namespace

extern "C" __global__ void __launch_bounds__(THREADS)
    batch_norm_statistics_f32(const float *partial, float *mean, float *variance, float *running_mean,
                              float *running_variance, int pieces, int rows, int channels, float keep, float take) {
    Few columns(channels, false);
    const float *squares_of = partial + (size_t)pieces * channels;
    int each = rows / pieces, rest = rows % pieces;
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group), first = columns.present(c) > 0 ? columns.line : pieces;
        // As deviations from the first piece's mean, again so that nothing cancels.
        float base = columns.present(c) > 0 ? partial[c] : 0.0f, delta[1] = {}, squares[1] = {};
        for (int p = first; p < pieces; p += columns.lines) {
            delta[0] += (partial[(size_t)p * channels + c] - base) * (each + (p < rest ? 1 : 0));
        }
        columns.sum_for_all(delta);
        float centre = delta[0] / rows;
        for (int p = first; p < pieces; p += columns.lines) {
            size_t i = (size_t)p * channels + c;
            float apart = partial[i] - base - centre;
            squares[0] += squares_of[i] + apart * apart * (each + (p < rest ? 1 : 0));
        }
        columns.sum(squares);
        if (columns.line == 0 && columns.present(c) > 0) {
            float new_mean = base + centre;
            mean[c] = new_mean;
            variance[c] = squares[0] / rows;
            if (running_mean != nullptr) {
                // A whole replacement must not touch the old value, which may be infinite.
                float unbiased = squares[0] / (rows - 1);
                running_mean[c] = keep == 0.0f ? new_mean : keep * running_mean[c] + take * new_mean;
                running_variance[c] = keep == 0.0f ? unbiased : keep * running_variance[c] + take * unbiased;
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    batch_norm_parameters_f32(const float *partial, const float *variance, float *dweight, float *dbias, int pieces,
                              int channels, float epsilon) {
    Few columns(channels, false);
    for (int group = blockIdx.x; group < columns.groups; group += gridDim.x) {
        int c = columns.first(group);
        float sums[2] = {};
        for (int p = columns.present(c) > 0 ? columns.line : pieces; p < pieces; p += columns.lines) {
            sums[0] += partial[(size_t)p * channels + c];
            sums[1] += partial[(size_t)(pieces + p) * channels + c];
        }
        columns.sum(sums);
        if (columns.line == 0 && columns.present(c) > 0) {
            dweight[c] = sums[0] * rsqrtf(variance[c] + epsilon);
            dbias[c] = sums[1];
        }
    }
}

// Calls NAME<T, V> with the vectors that the shape and the addresses allow.
#define BY_VECTORS(T, NAME, suits, ...)                                                                                \
    if ((suits) && channels % VECTOR<T> == 0) {                                                                        \
        NAME<T, VECTOR<T>>(__VA_ARGS__);                                                                               \
    } else {                                                                                                           \
        NAME<T, 1>(__VA_ARGS__);                                                                                       \
    }

#define BATCH_NORM(T, suffix)                                                                                          \
    extern "C" __global__ void __launch_bounds__(THREADS) batch_norm_moments_##suffix(                                 \
        const T *x, float *partial, int rows, int channels) {                                                          \
        BY_VECTORS(T, moments, aligned(x, partial), x, partial, rows, channels)                                        \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) batch_norm_forward_##suffix(                                 \
        const T *x, const float *mean, const float *variance, const float *weight, const float *bias,                  \
        const T *residual, T *y, int rows, int channels, float epsilon, int activation) {                              \
        BY_VECTORS(T, forward, aligned(x, residual, y),                                                                \
                   x, mean, variance, weight, bias, residual, y, rows, channels, epsilon, activation)                  \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) batch_norm_sums_##suffix(                                    \
        const T *x, const T *dy, const float *mean, const float *variance, const float *weight, const float *bias,     \
        float *partial, int rows, int channels, float epsilon, int activation) {                                       \
        BY_VECTORS(T, sums, aligned(x, dy, partial),                                                                   \
                   x, dy, mean, variance, weight, bias, partial, rows, channels, epsilon, activation)                  \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) batch_norm_backward_##suffix(                                \
        const T *x, const T *dy, const float *mean, const float *variance, const float *weight, const float *bias,     \
        const float *dweight, const float *dbias, T *dx, int rows, int channels, float epsilon, int activation) {      \
        BY_VECTORS(T, backward, aligned(x, dy, dx),                                                                    \
                   x, dy, mean, variance, weight, bias, dweight, dbias, dx, rows, channels, epsilon, activation)       \
    }
FOR_ELEMENTS(BATCH_NORM)
