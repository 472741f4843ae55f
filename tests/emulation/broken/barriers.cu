// Threads that should wait for each other. What begins with wrong_ must be found, and its twin must pass; all have a block
// of 64 threads, x and y of 64.

template <bool WAITS> __device__ void reversed(const float *x, float *y) {
    __shared__ float values[64];
    values[threadIdx.x] = x[threadIdx.x];
    if (WAITS) {
        __syncthreads();
    }
    y[threadIdx.x] = values[63 - threadIdx.x];
}
extern "C" __global__ void right_barrier(const float *x, float *y) { reversed<true>(x, y); }
extern "C" __global__ void wrong_barrier_missing(const float *x, float *y) { reversed<false>(x, y); }

// The second use of the memory begins before all have done with the first.
template <bool WAITS> __device__ void reversed_twice(const float *x, float *y) {
    __shared__ float values[64];
    float seen = x[threadIdx.x];
    for (int round = 0; round < 2; round++) {
        values[threadIdx.x] = seen;
        __syncthreads();
        seen = values[63 - threadIdx.x];
        if (WAITS) {
            __syncthreads();
        }
    }
    y[threadIdx.x] = seen;
}
extern "C" __global__ void right_second_barrier(const float *x, float *y) { reversed_twice<true>(x, y); }
extern "C" __global__ void wrong_second_barrier_missing(const float *x, float *y) { reversed_twice<false>(x, y); }

extern "C" __global__ void right_uniform_branch(const float *x, float *y) {
    if (blockDim.x == 64) {
        __syncthreads();
    }
    y[threadIdx.x] = x[threadIdx.x];
}
extern "C" __global__ void wrong_barrier_of_half(const float *x, float *y) {
    if (threadIdx.x < 32) {
        __syncthreads();
    }
    y[threadIdx.x] = x[threadIdx.x];
}
extern "C" __global__ void wrong_exit_before_barrier(const float *x, float *y) {
    y[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x == 63) {
        return;
    }
    __syncthreads();
}
extern "C" __global__ void wrong_two_barriers(const float *x, float *y) {
    if (threadIdx.x % 2 == 0) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    y[threadIdx.x] = x[threadIdx.x];
}

extern "C" __global__ void right_shuffles(const float *x, float *y) {
    float value = x[threadIdx.x];
    float next = __shfl_down_sync(0xffffffffu, value, 1), before = __shfl_up_sync(0xffffffffu, value, 1);
    float first = __shfl_sync(0xffffffffu, value, 0), pair = __shfl_xor_sync(0xffffffffu, value, 1);
    y[threadIdx.x] = next + 100.0f * before + 10000.0f * first + 1000000.0f * pair;
}
extern "C" __global__ void right_shuffle_of_some(const float *x, float *y) {
    float value = x[threadIdx.x];
    if (threadIdx.x % 32 < 16) {
        value = __shfl_xor_sync(0x0000ffffu, value, 1);
    }
    y[threadIdx.x] = value;
}
extern "C" __global__ void wrong_shuffle_of_some(const float *x, float *y) {
    float value = x[threadIdx.x];
    if (threadIdx.x % 32 < 16) {
        value = __shfl_xor_sync(0xffffffffu, value, 1);
    }
    y[threadIdx.x] = value;
}

// Neighbours of one warp exchange through shared memory.
template <bool WAITS> __device__ void paired(const float *x, float *y) {
    __shared__ float values[64];
    values[threadIdx.x] = x[threadIdx.x];
    if (WAITS) {
        __syncwarp();
    }
    y[threadIdx.x] = values[threadIdx.x ^ 1];
}
extern "C" __global__ void right_warp_barrier(const float *x, float *y) { paired<true>(x, y); }
extern "C" __global__ void wrong_warp_barrier_missing(const float *x, float *y) { paired<false>(x, y); }
extern "C" __global__ void wrong_warp_barrier_between_warps(const float *x, float *y) {
    __shared__ float values[64];
    values[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    y[threadIdx.x] = values[threadIdx.x ^ 32];
}

// Everyone reads what one then writes anew.
template <bool WAITS> __device__ void renewed(const float *x, float *y) {
    __shared__ float value;
    if (threadIdx.x == 5) {
        value = x[5];
    }
    __syncthreads();
    float before = value;
    if (WAITS) {
        __syncthreads();
    }
    if (threadIdx.x == 5) {
        value = x[6];
    }
    __syncthreads();
    y[threadIdx.x] = before + value;
}
extern "C" __global__ void right_renewal(const float *x, float *y) { renewed<true>(x, y); }
extern "C" __global__ void wrong_renewal(const float *x, float *y) { renewed<false>(x, y); }

// The same in each warp.
template <bool WAITS> __device__ void renewed_in_warp(const float *x, float *y) {
    __shared__ float values[2];
    unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (lane == 5) {
        values[warp] = x[5];
    }
    __syncwarp();
    float before = values[warp];
    if (WAITS) {
        __syncwarp();
        before = lane == 5 ? values[warp] : before;
    }
    if (lane == 5) {
        values[warp] = x[6];
    }
    __syncwarp();
    y[threadIdx.x] = before + values[warp];
}
extern "C" __global__ void right_renewal_in_warp(const float *x, float *y) { renewed_in_warp<true>(x, y); }
extern "C" __global__ void wrong_renewal_in_warp(const float *x, float *y) { renewed_in_warp<false>(x, y); }
