// Conversions of many tensors at once: see mod.rs.
//
// cast_narrow_bf16(Casts<float, bf16> all)
// cast_widen_f32(Casts<bf16, float> all)
//     Grid: (as many as the longest tensor needs, tensors); y must be the number of tensors. Shared: none sized by the launch.
#include "device.cuh"

// So many tensors at once, as cuda.rs has them.
constexpr int MOST = 64;
template <class From, class To> struct Casts {
    const From *from[MOST];
    To *to[MOST];
    long long len[MOST];
};

namespace {

template <class From, class To> __device__ void cast(const Casts<From, To> &all) {
    constexpr int V = 8;
    const From *from = all.from[blockIdx.y];
    To *to = all.to[blockIdx.y];
    long long len = all.len[blockIdx.y], step = (long long)gridDim.x * blockDim.x * V;
    bool whole = aligned(from, to);
    for (long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * V; i < len; i += step) {
        int present = len - i < V ? (int)(len - i) : V;
        float v[V];
        load(v, from + i, present, whole && present == V);
        store(to + i, v, present, whole && present == V);
    }
}

} // namespace

extern "C" __global__ void __launch_bounds__(THREADS) cast_narrow_bf16(const __grid_constant__ Casts<float, bf16> all) {
    cast(all);
}

extern "C" __global__ void __launch_bounds__(THREADS) cast_widen_f32(const __grid_constant__ Casts<bf16, float> all) {
    cast(all);
}
