// Memory that is not the kernel's. What begins with wrong_ must be found; all have a block of 64 threads, x and y of 64.

template <int FROM, int UNTIL> __device__ void copied(const float *x, float *y) {
    for (int i = FROM + (int)threadIdx.x; i < UNTIL; i += blockDim.x) {
        y[i] = x[i & 63];
    }
}
extern "C" __global__ void right_bounds(const float *x, float *y) { copied<0, 64>(x, y); }
extern "C" __global__ void wrong_write_past_end(const float *x, float *y) { copied<0, 65>(x, y); }
extern "C" __global__ void wrong_write_before_start(const float *x, float *y) { copied<-1, 64>(x, y); }
extern "C" __global__ void wrong_last_unwritten(const float *x, float *y) { copied<0, 63>(x, y); }

extern "C" __global__ void wrong_read_past_end(const float *x, float *y) {
    y[threadIdx.x] = threadIdx.x < 63 ? x[threadIdx.x] : x[threadIdx.x + 1];
}
extern "C" __global__ void wrong_read_before_start(const float *x, float *y) {
    y[threadIdx.x] = x[(int)threadIdx.x - 1];
}
extern "C" __global__ void wrong_read_far_outside(const float *x, float *y) {
    y[threadIdx.x] = x[threadIdx.x + 1024];
}
extern "C" __global__ void wrong_read_of_unwritten(const float *x, float *y) {
    y[threadIdx.x] += x[threadIdx.x];
}
extern "C" __global__ void wrong_write_to_input(const float *x, float *y) {
    y[threadIdx.x] = x[threadIdx.x];
    const_cast<float *>(x)[threadIdx.x] = 0.0f;
}

// The same with accesses that are not instrumented, which pages and patterns around the buffers must find.
#define UNSEEN __attribute__((no_sanitize("thread"), noinline))
UNSEEN __device__ inline float unseen_read(const volatile float *at) { return *at; }
UNSEEN __device__ inline void unseen_write(volatile float *at, float value) { *at = value; }
extern "C" __global__ void wrong_unseen_read_past_end(const float *x, float *y) {
    y[threadIdx.x] = unseen_read(x + threadIdx.x + 1);
}
extern "C" __global__ void wrong_unseen_read_before_start(const float *x, float *y) {
    y[threadIdx.x] = unseen_read(x + (int)threadIdx.x - 1);
}
extern "C" __global__ void wrong_unseen_write(const float *x, float *y) {
    y[threadIdx.x] = x[threadIdx.x];
    unseen_write(y - 1, 0.0f);
}

extern "C" __global__ void right_vectors(const float *x, float *y) {
    if (threadIdx.x < 16) {
        reinterpret_cast<float4 *>(y)[threadIdx.x] = reinterpret_cast<const float4 *>(x)[threadIdx.x];
    }
}
extern "C" __global__ void wrong_vectors_astride(const float *x, float *y) {
    if (threadIdx.x < 15) {
        *reinterpret_cast<float4 *>(y + 4 * threadIdx.x) = *reinterpret_cast<const float4 *>(x + 4 * threadIdx.x + 1);
    }
}

// Shared memory holds nothing at first, and nothing of another block.
extern "C" __global__ void right_shared(const float *x, float *y) {
    extern __shared__ float values[];
    values[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = values[63 - threadIdx.x];
}
extern "C" __global__ void wrong_shared_unwritten(const float *x, float *y) {
    __shared__ float values[65];
    values[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = values[threadIdx.x + 1];
}
extern "C" __global__ void wrong_shared_past_end(const float *x, float *y) {
    extern __shared__ float values[];
    values[threadIdx.x + 1] = x[threadIdx.x];
    y[threadIdx.x] = values[threadIdx.x + 1];
}
