// Batch normalisation with the activation behind it: see mod.rs.
//
// x, y and their gradients are [rows, channels]. A block has LANES channels of a piece of the rows; pieces are combined
// in their order.
#include "device.cuh"

// The rows of this block's piece, from `first` on; `present` says whether the thread has a channel.
struct Piece {
    int c, first, end;
    bool present;
    __device__ Piece(int rows, int channels) {
        int each = (rows + gridDim.y - 1) / gridDim.y;
        c = blockIdx.x * LANES + threadIdx.x;
        first = min(blockIdx.y * each, rows);
        end = min(first + each, rows);
        present = c < channels;
    }
};

// One channel's normalisation: z = (x - mean) * scale + bias.
struct Affine {
    float mean, inverse, scale, bias;
    __device__ Affine(const float *means, const float *variances, const float *weights, const float *biases, int c,
                      float epsilon) {
        mean = means[c];
        inverse = rsqrtf(variances[c] + epsilon);
        scale = weights[c] * inverse;
        bias = biases[c];
    }
    __device__ float centred(float x) const { return x - mean; }
    __device__ float z(float x) const { return (x - mean) * scale + bias; }
};

// Mean and squared deviations from it of every piece, [2, pieces, channels]. Deviations are taken from the piece's first
// row at first, so that a large mean does not cancel.
template <class T> __device__ void moments(const T *x, float *partial, int rows, int channels) {
    Piece piece(rows, channels);
    bool any = piece.present && piece.first < piece.end;
    float shift = any ? widen(x[(size_t)piece.first * channels + piece.c]) : 0.0f, sum = 0.0f, squares = 0.0f;
    for (int r = piece.first + threadIdx.y; any && r < piece.end; r += LINES) {
        float d = widen(x[(size_t)r * channels + piece.c]) - shift;
        sum += d;
        squares += d * d;
    }
    sum = sum_of_lines(sum);
    squares = sum_of_lines(squares);
    if (piece.present && threadIdx.y == 0) {
        float n = piece.end - piece.first;
        size_t i = (size_t)blockIdx.y * channels + piece.c;
        partial[i] = n > 0.0f ? shift + sum / n : 0.0f;
        partial[(size_t)gridDim.y * channels + i] = n > 0.0f ? squares - sum * (sum / n) : 0.0f;
    }
}

// Statistics of some rows.
struct Moments {
    float rows, mean, squares;
    // Chan's formula.
    __device__ void add(const Moments &other) {
        float total = rows + other.rows;
        if (other.rows > 0.0f) {
            float delta = other.mean - mean;
            mean += delta * (other.rows / total);
            squares += other.squares + delta * delta * (rows * other.rows / total);
            rows = total;
        }
    }
};

// Mean and biased variance from those of the pieces; the running ones, where they are given, become
// keep * running + take * new, the variance unbiased.
extern "C" __global__ void batch_norm_statistics_f32(const float *partial, float *mean, float *variance,
                                                     float *running_mean, float *running_variance, int pieces, int rows,
                                                     int channels, float keep, float take) {
    __shared__ Moments lines[LINES][LANES];
    int c = blockIdx.x * LANES + threadIdx.x, each = (rows + pieces - 1) / pieces;
    Moments seen = {0.0f, 0.0f, 0.0f};
    for (int p = threadIdx.y; c < channels && p < pieces; p += LINES) {
        float n = min(min(p * each, rows) + each, rows) - min(p * each, rows);
        size_t i = (size_t)p * channels + c;
        seen.add({n, partial[i], partial[(size_t)pieces * channels + i]});
    }
    lines[threadIdx.y][threadIdx.x] = seen;
    __syncthreads();
    if (threadIdx.y > 0 || c >= channels) {
        return;
    }
    for (int line = 1; line < LINES; line++) {
        seen.add(lines[line][threadIdx.x]);
    }
    mean[c] = seen.mean;
    variance[c] = seen.squares / rows;
    if (running_mean != nullptr) {
        // A whole replacement must not touch the old value, which may be infinite.
        float unbiased = seen.squares / (rows - 1);
        running_mean[c] = keep == 0.0f ? seen.mean : keep * running_mean[c] + take * seen.mean;
        running_variance[c] = keep == 0.0f ? unbiased : keep * running_variance[c] + take * unbiased;
    }
}

template <class T>
__device__ void forward(const T *x, const float *mean, const float *variance, const float *weight, const float *bias,
                        T *y, int rows, int channels, float epsilon, int activation) {
    Piece piece(rows, channels);
    if (!piece.present) {
        return;
    }
    Affine norm(mean, variance, weight, bias, piece.c, epsilon);
    for (int r = piece.first + threadIdx.y; r < piece.end; r += LINES) {
        size_t i = (size_t)r * channels + piece.c;
        y[i] = narrow<T>(activate(activation, norm.z(widen(x[i]))));
    }
}

// Sums of g * (x - mean) and of g over every piece, [2, pieces, channels]; g is the gradient before the activation.
template <class T>
__device__ void sums(const T *x, const T *dy, const float *mean, const float *variance, const float *weight,
                     const float *bias, float *partial, int rows, int channels, float epsilon, int activation) {
    Piece piece(rows, channels);
    float products = 0.0f, gradients = 0.0f;
    if (piece.present) {
        Affine norm(mean, variance, weight, bias, piece.c, epsilon);
        for (int r = piece.first + threadIdx.y; r < piece.end; r += LINES) {
            size_t i = (size_t)r * channels + piece.c;
            float value = widen(x[i]), g = widen(dy[i]) * slope(activation, norm.z(value));
            products += g * norm.centred(value);
            gradients += g;
        }
    }
    products = sum_of_lines(products);
    gradients = sum_of_lines(gradients);
    if (piece.present && threadIdx.y == 0) {
        size_t i = (size_t)blockIdx.y * channels + piece.c;
        partial[i] = products;
        partial[(size_t)gridDim.y * channels + i] = gradients;
    }
}

// The gradients of weight and bias from the sums of the pieces.
extern "C" __global__ void batch_norm_parameters_f32(const float *partial, const float *variance, float *dweight,
                                                     float *dbias, int pieces, int channels, float epsilon) {
    int c = blockIdx.x * LANES + threadIdx.x;
    float products = 0.0f, gradients = 0.0f;
    for (int p = threadIdx.y; c < channels && p < pieces; p += LINES) {
        size_t i = (size_t)p * channels + c;
        products += partial[i];
        gradients += partial[(size_t)pieces * channels + i];
    }
    products = sum_of_lines(products);
    gradients = sum_of_lines(gradients);
    if (threadIdx.y == 0 && c < channels) {
        dweight[c] = products * rsqrtf(variance[c] + epsilon);
        dbias[c] = gradients;
    }
}

template <class T>
__device__ void backward(const T *x, const T *dy, const float *mean, const float *variance, const float *weight,
                         const float *bias, const float *dweight, const float *dbias, T *dx, int rows, int channels,
                         float epsilon, int activation) {
    Piece piece(rows, channels);
    if (!piece.present) {
        return;
    }
    Affine norm(mean, variance, weight, bias, piece.c, epsilon);
    float a = -norm.scale * dweight[piece.c] * norm.inverse / rows, b = -norm.scale * dbias[piece.c] / rows;
    for (int r = piece.first + threadIdx.y; r < piece.end; r += LINES) {
        size_t i = (size_t)r * channels + piece.c;
        float value = widen(x[i]), g = widen(dy[i]) * slope(activation, norm.z(value));
        dx[i] = narrow<T>(g * norm.scale + norm.centred(value) * a + b);
    }
}

#define BATCH_NORM(T, suffix)                                                                                          \
    extern "C" __global__ void batch_norm_moments_##suffix(const T *x, float *partial, int rows, int channels) {       \
        moments<T>(x, partial, rows, channels);                                                                        \
    }                                                                                                                  \
    extern "C" __global__ void batch_norm_forward_##suffix(                                                            \
        const T *x, const float *mean, const float *variance, const float *weight, const float *bias, T *y, int rows,  \
        int channels, float epsilon, int activation) {                                                                 \
        forward<T>(x, mean, variance, weight, bias, y, rows, channels, epsilon, activation);                           \
    }                                                                                                                  \
    extern "C" __global__ void batch_norm_sums_##suffix(                                                               \
        const T *x, const T *dy, const float *mean, const float *variance, const float *weight, const float *bias,     \
        float *partial, int rows, int channels, float epsilon, int activation) {                                       \
        sums<T>(x, dy, mean, variance, weight, bias, partial, rows, channels, epsilon, activation);                    \
    }                                                                                                                  \
    extern "C" __global__ void batch_norm_backward_##suffix(                                                           \
        const T *x, const T *dy, const float *mean, const float *variance, const float *weight, const float *bias,     \
        const float *dweight, const float *dbias, T *dx, int rows, int channels, float epsilon, int activation) {      \
        backward<T>(x, dy, mean, variance, weight, bias, dweight, dbias, dx, rows, channels, epsilon, activation);     \
    }
FOR_ELEMENTS(BATCH_NORM)
