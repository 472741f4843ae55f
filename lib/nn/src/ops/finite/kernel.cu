// Whether numbers are finite: see mod.rs.
//
// finite_first_f32(Tensors tensors, int offset, int *first)
//     `first` becomes the smallest index of a tensor with a number that is not finite, counted from `offset`; it must hold
//     a larger number before. Grid: (as many as the longest tensor needs, tensors); y must be the number of tensors.
//     Shared: none sized by the launch.
#include "device.cuh"

// So many tensors at once, as cuda.rs has them.
constexpr int MOST = 64;
struct Tensors {
    const float *at[MOST];
    long long len[MOST];
};

extern "C" __global__ void __launch_bounds__(THREADS)
    finite_first_f32(const __grid_constant__ Tensors tensors, int offset, int *first) {
    const float *values = tensors.at[blockIdx.y];
    long long len = tensors.len[blockIdx.y], step = (long long)gridDim.x * blockDim.x * 4;
    bool finite = true, whole = aligned(values);
    for (long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * 4; i < len; i += step) {
        int present = len - i < 4 ? (int)(len - i) : 4;
        float v[4];
        load(v, values + i, present, whole && present == 4);
#pragma unroll
        for (int k = 0; k < 4; k++) {
            finite = finite && isfinite(v[k]);
        }
    }
    if (!finite) {
        atomicMin(first, offset + (int)blockIdx.y);
    }
}
