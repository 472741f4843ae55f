// Cross-entropy of logits with a target distribution: see mod.rs.
#include "device.cuh"

// The largest of a block's values; every thread has it and must call it.
__device__ inline float top_of_block(float value) {
    __shared__ float tops[32];
    for (int distance = 16; distance > 0; distance /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, value, distance);
        value = other > value || other != other ? other : value;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        tops[threadIdx.x / 32] = value;
    }
    __syncthreads();
    float top = tops[0];
    for (int warp = 1; warp < blockDim.x / 32; warp++) {
        top = tops[warp] > top || tops[warp] != tops[warp] ? tops[warp] : top;
    }
    return top;
}

// The maximum of a row and the sum of e^(z - maximum).
__device__ inline void row_sum(const float *z, int classes, float &top, float &sum) {
    float own = z[0];
    for (int c = threadIdx.x; c < classes; c += blockDim.x) {
        own = z[c] > own || z[c] != z[c] ? z[c] : own;
    }
    top = top_of_block(own);
    own = 0.0f;
    for (int c = threadIdx.x; c < classes; c += blockDim.x) {
        own += __expf(z[c] - top);
    }
    sum = sum_of_block(own);
}

// A block for every row; its loss.
extern "C" __global__ void cross_entropy_rows_f32(const float *logits, const float *target, float *losses,
                                                  int classes) {
    const float *z = logits + (size_t)blockIdx.x * classes, *t = target + (size_t)blockIdx.x * classes;
    float top, sum;
    row_sum(z, classes, top, sum);
    float log_sum = top + __logf(sum), loss = 0.0f;
    for (int c = threadIdx.x; c < classes; c += blockDim.x) {
        loss += t[c] * (log_sum - z[c]);
    }
    loss = sum_of_block(loss);
    if (threadIdx.x == 0) {
        losses[blockIdx.x] = loss;
    }
}

// One block: the mean of the rows' losses.
extern "C" __global__ void cross_entropy_mean_f32(const float *losses, float *mean, int rows) {
    float sum = 0.0f;
    for (int r = threadIdx.x; r < rows; r += blockDim.x) {
        sum += losses[r];
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) {
        *mean = sum / rows;
    }
}

// A block for every row; the gradient, with that of the loss in `dy`.
extern "C" __global__ void cross_entropy_backward_f32(const float *logits, const float *target, const float *dy,
                                                      float *dlogits, int rows, int classes) {
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
