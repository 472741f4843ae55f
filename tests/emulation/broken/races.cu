// Threads and blocks that meet in one place. What begins with wrong_ must be found; blocks have 64 threads, and x and y 64
// elements for each. `total` has one.

extern "C" __global__ void right_one_writes(const float *x, float *y) {
    __shared__ float first;
    if (threadIdx.x == 0) {
        first = x[0];
    }
    __syncthreads();
    y[blockIdx.x * blockDim.x + threadIdx.x] = first;
}
extern "C" __global__ void wrong_all_write(const float *x, float *y) {
    __shared__ float last;
    last = x[threadIdx.x];
    __syncthreads();
    y[blockIdx.x * blockDim.x + threadIdx.x] = last;
}
// All write the same, so that no order shows it.
extern "C" __global__ void wrong_all_write_the_same(const float *x, float *y) {
    __shared__ float last;
    last = x[0];
    __syncthreads();
    y[blockIdx.x * blockDim.x + threadIdx.x] = last;
}
extern "C" __global__ void wrong_sum_without_atomic(const float *x, float *y) {
    __shared__ float sum;
    if (threadIdx.x == 0) {
        sum = 0.0f;
    }
    __syncthreads();
    sum += x[threadIdx.x];
    __syncthreads();
    y[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
// A barrier does not hold for other blocks.
extern "C" __global__ void wrong_blocks_write(const float *x, float *y) {
    __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
    y[64 + threadIdx.x] = x[threadIdx.x];
}
extern "C" __global__ void wrong_blocks_read(const float *x, float *y) {
    y[blockIdx.x * blockDim.x + threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (blockIdx.x == 1) {
        y[64 + threadIdx.x] += y[threadIdx.x];
    }
}

extern "C" __global__ void right_atomic_least(const float *x, int *total) {
    atomicMin(total, (int)x[blockIdx.x * blockDim.x + threadIdx.x]);
}
// Rounds in the order in which the threads come.
extern "C" __global__ void wrong_atomic_sum(const float *x, float *total) {
    atomicAdd(total, 1.0f / (1.0f + x[blockIdx.x * blockDim.x + threadIdx.x]));
}
