// Whether numbers are finite: see mod.rs.
#include "device.cuh"

// So many tensors at once, as cuda.rs has them.
constexpr int MOST = 64;
struct Tensors {
    const float *at[MOST];
    long long len[MOST];
};

// A column of blocks for every tensor. `first` becomes the smallest index of a tensor with a number that is not finite,
// counted from `offset`; it must hold a larger number before.
extern "C" __global__ void finite_first_f32(const __grid_constant__ Tensors tensors, int offset, int *first) {
    const float *values = tensors.at[blockIdx.y];
    bool finite = true;
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (; i < tensors.len[blockIdx.y]; i += (size_t)gridDim.x * blockDim.x) {
        finite = finite && isfinite(values[i]);
    }
    if (!finite) {
        atomicMin(first, offset + (int)blockIdx.y);
    }
}
