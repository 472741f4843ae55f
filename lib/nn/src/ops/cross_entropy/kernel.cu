// Cross-entropy of logits with a target distribution: see mod.rs. All are float, [rows, classes].
//
// cross_entropy_rows_f32(const float *logits, const float *target, float *losses [rows], int classes)
//     Grid: (rows), exactly.
// cross_entropy_mean_f32(const float *losses, float *mean [1], int rows)
//     Grid: (1), exactly.
// cross_entropy_backward_f32(const float *logits, const float *target, const float *dy [1], float *dlogits, int rows,
//                            int classes)
//     Grid: (rows), exactly.
// Blocks: a multiple of 32 threads. Shared: none sized by the launch.
#include "device.cuh"

namespace {

// The larger of two numbers; what is no number stays.
__device__ inline float larger(float a, float b) { return b > a || b != b ? b : a; }

// The largest of a block's values; every thread has it and must call it.
__device__ inline float top_of_block(float value) {
    __shared__ float tops[THREADS / 32];
    int thread = threadIdx.x, warps = (int)blockDim.x / 32;
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value = larger(value, __shfl_xor_sync(0xffffffffu, value, distance));
    }
    __syncthreads();
    if (thread % 32 == 0) {
        tops[thread / 32] = value;
    }
    __syncthreads();
    float top = tops[0];
    for (int warp = 1; warp < warps; warp++) {
        top = larger(top, tops[warp]);
    }
    return top;
}

// The maximum of a row and the sum of e^(z - maximum).
__device__ inline void row_sum(const float *z, int classes, float &top, float &sum) {
    float own = z[0];
    for (int c = threadIdx.x; c < classes; c += blockDim.x) {
        own = larger(own, z[c]);
    }
    top = top_of_block(own);
    own = 0.0f;
    for (int c = threadIdx.x; c < classes; c += blockDim.x) {
        own += __expf(z[c] - top);
    }
    sum = sum_of_block(own);
}

} // namespace

extern "C" __global__ void __launch_bounds__(THREADS)
    cross_entropy_rows_f32(const float *__restrict__ logits, const float *__restrict__ target,
                           float *__restrict__ losses, int classes) {
    const float *z = logits + (size_t)blockIdx.x * classes, *t = target + (size_t)blockIdx.x * classes;
    float top, sum;
    row_sum(z, classes, top, sum);
    float log_sum = __logf(sum), loss = 0.0f;
    // With the maximum taken off first: log_sum alone is small, whatever the logits are.
    for (int c = threadIdx.x; c < classes; c += blockDim.x) {
        loss += t[c] * (log_sum - (z[c] - top));
    }
    loss = sum_of_block(loss);
    if (threadIdx.x == 0) {
        losses[blockIdx.x] = loss;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    cross_entropy_mean_f32(const float *__restrict__ losses, float *__restrict__ mean, int rows) {
    float sum = 0.0f;
    for (int r = threadIdx.x; r < rows; r += blockDim.x) {
        sum += losses[r];
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) {
        *mean = sum / rows;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    cross_entropy_backward_f32(const float *__restrict__ logits, const float *__restrict__ target,
                               const float *__restrict__ dy, float *__restrict__ dlogits, int rows, int classes) {
    size_t first = (size_t)blockIdx.x * classes;
    const float *z = logits + first, *t = target + first;
    float top, sum, mass = 0.0f;
    row_sum(z, classes, top, sum);
    for (int c = threadIdx.x; c < classes; c += blockDim.x) {
        mass += t[c];
    }
    mass = sum_of_block(mass) / sum;
    float scale = *dy / rows;
    for (int c = threadIdx.x; c < classes; c += blockDim.x) {
        dlogits[first + c] = (__expf(z[c] - top) * mass - t[c]) * scale;
    }
}
