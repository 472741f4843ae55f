// What the kernels share: elements, vectors of channels, activations, sums over a block.
//
// T is float or __nv_bfloat16: the type of activations and their gradients. Arithmetic, parameters, statistics and sums
// are float. Sums are taken in an order that the shapes alone decide. A block has at most THREADS threads and should have
// just as many. Grids may have any size, as what they do not cover at once they cover in turn, where a kernel does not say
// otherwise; those that the kernel.cu files name fill a device.
#pragma once
#include <cuda_bf16.h>

using bf16 = __nv_bfloat16;

constexpr int THREADS = 256;

// A block may be laid out in two dimensions.
__device__ inline int thread_number() { return (int)(threadIdx.y * blockDim.x + threadIdx.x); }
__device__ inline int thread_count() { return (int)(blockDim.x * blockDim.y); }

// Elements that one load moves: 16 bytes.
template <class T> constexpr int VECTOR = 16 / (int)sizeof(T);

__device__ inline float widen(float v) { return v; }
__device__ inline float widen(bf16 v) { return __bfloat162float(v); }

template <class T> __device__ T narrow(float v);
template <> __device__ inline float narrow<float>(float v) { return v; }
template <> __device__ inline bf16 narrow<bf16>(float v) { return __float2bfloat16(v); }

struct alignas(16) TwoWords {
    uint4 low, high;
};

// Several neighbouring elements as one word, for a single load or store, or as two.
template <int BYTES> struct Word;
template <> struct Word<8> {
    using Type = uint2;
};
template <> struct Word<16> {
    using Type = uint4;
};
template <> struct Word<32> {
    using Type = TwoWords;
};

__device__ inline void unpack(float (&v)[4], uint4 w) {
    v[0] = __uint_as_float(w.x);
    v[1] = __uint_as_float(w.y);
    v[2] = __uint_as_float(w.z);
    v[3] = __uint_as_float(w.w);
}
// A bf16 is the upper half of the float.
__device__ inline void unpack_pair(float &low, float &high, unsigned w) {
    low = __uint_as_float(w << 16);
    high = __uint_as_float(w & 0xffff0000u);
}
__device__ inline void unpack(float (&v)[4], uint2 w) {
    unpack_pair(v[0], v[1], w.x);
    unpack_pair(v[2], v[3], w.y);
}
__device__ inline void unpack(float (&v)[8], uint4 w) {
    unpack_pair(v[0], v[1], w.x);
    unpack_pair(v[2], v[3], w.y);
    unpack_pair(v[4], v[5], w.z);
    unpack_pair(v[6], v[7], w.w);
}

__device__ inline void unpack(float (&v)[8], TwoWords w) {
    float low[4], high[4];
    unpack(low, w.low);
    unpack(high, w.high);
#pragma unroll
    for (int k = 0; k < 4; k++) {
        v[k] = low[k];
        v[k + 4] = high[k];
    }
}

__device__ inline unsigned pack_pair(float low, float high) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    unsigned w;
    memcpy(&w, &pair, sizeof w);
    return w;
}
__device__ inline void pack(const float (&v)[4], uint4 &w) {
    w.x = __float_as_uint(v[0]);
    w.y = __float_as_uint(v[1]);
    w.z = __float_as_uint(v[2]);
    w.w = __float_as_uint(v[3]);
}
__device__ inline void pack(const float (&v)[4], uint2 &w) {
    w.x = pack_pair(v[0], v[1]);
    w.y = pack_pair(v[2], v[3]);
}
__device__ inline void pack(const float (&v)[8], uint4 &w) {
    w.x = pack_pair(v[0], v[1]);
    w.y = pack_pair(v[2], v[3]);
    w.z = pack_pair(v[4], v[5]);
    w.w = pack_pair(v[6], v[7]);
}
__device__ inline void pack(const float (&v)[8], TwoWords &w) {
    float low[4], high[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
        low[k] = v[k];
        high[k] = v[k + 4];
    }
    pack(low, w.low);
    pack(high, w.high);
}

// V neighbouring elements of which `present` exist, the others being 0; `whole` says that all do and that the address
// suits a vector.
template <class T, int V> __device__ inline void load(float (&v)[V], const T *from, int present, bool whole) {
    using W = typename Word<V * (int)sizeof(T)>::Type;
    if (whole) {
        unpack(v, *reinterpret_cast<const W *>(from));
        return;
    }
#pragma unroll
    for (int k = 0; k < V; k++) {
        v[k] = k < present ? widen(from[k]) : 0.0f;
    }
}

template <class T, int V> __device__ inline void store(T *to, const float (&v)[V], int present, bool whole) {
    using W = typename Word<V * (int)sizeof(T)>::Type;
    if (whole) {
        W w;
        pack(v, w);
        *reinterpret_cast<W *>(to) = w;
        return;
    }
#pragma unroll
    for (int k = 0; k < V; k++) {
        if (k < present) {
            to[k] = narrow<T>(v[k]);
        }
    }
}

// The same of V elements that all exist, at an address that suits a vector of them.
template <class T, int V> __device__ inline void fetch(float (&v)[V], const T *from) {
    if constexpr (V == 1) {
        v[0] = widen(*from);
    } else {
        load(v, from, V, true);
    }
}
template <class T, int V> __device__ inline void put(T *to, const float (&v)[V]) {
    if constexpr (V == 1) {
        *to = narrow<T>(v[0]);
    } else {
        store(to, v, V, true);
    }
}

// Whether vectors may be loaded from these addresses on.
template <class... P> __device__ inline bool aligned(const P *...pointers) {
    return ((reinterpret_cast<size_t>(pointers) | ...) & 15) == 0;
}

// The threads of a block as lanes and lines over a matrix [rows, channels] whose channels are dealt out in groups: a lane
// has V neighbouring channels, a line one row at a time. Neighbouring threads have neighbouring addresses, also from the
// last lane of a line to the first of the next where there is one group. At most MOST lanes; threads that are too few
// for a line have no channels.
template <int V, int MOST = 32> struct Columns {
    int channels, groups, lanes, lines, lane, line;
    bool whole;

    __device__ Columns(int channels, bool aligned) : channels(channels) {
        int vectors = (channels + V - 1) / V, thread = thread_number();
        groups = (vectors + MOST - 1) / MOST;
        lanes = (vectors + groups - 1) / groups;
        lines = thread_count() / lanes;
        lane = thread % lanes;
        line = thread / lanes;
        whole = aligned && channels % V == 0;
    }
    // The lane's first channel, and how many it has from there on.
    __device__ int first(int group) const { return (group * lanes + lane) * V; }
    __device__ int present(int c) const { return line < lines ? max(0, min(V, channels - c)) : 0; }

    // The sums over all lines, for line 0. Every thread of the block must call it.
    template <int N> __device__ void sum(float (&v)[N]) const {
        __shared__ float values[N][THREADS];
        int thread = thread_number();
        __syncthreads();
#pragma unroll
        for (int k = 0; k < N; k++) {
            values[k][thread] = v[k];
        }
        for (int rest = lines; rest > 1;) {
            int half = (rest + 1) / 2;
            __syncthreads();
            if (line < rest - half) {
#pragma unroll
                for (int k = 0; k < N; k++) {
                    v[k] += values[k][thread + half * lanes];
                    values[k][thread] = v[k];
                }
            }
            rest = half;
        }
    }

    // The same for every line.
    template <int N> __device__ void sum_for_all(float (&v)[N]) const {
        __shared__ float sums[N][THREADS];
        sum(v);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < N; k++) {
            if (line == 0) {
                sums[k][lane] = v[k];
            }
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < N; k++) {
            v[k] = sums[k][lane];
        }
    }
};

// The sum over a block of a multiple of 32 threads; every thread has it and must call it.
__device__ inline float sum_of_block(float value) {
    __shared__ float sums[THREADS / 32];
    int thread = thread_number(), warps = thread_count() / 32;
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    }
    __syncthreads();
    if (thread % 32 == 0) {
        sums[thread / 32] = value;
    }
    __syncthreads();
    float sum = 0.0f;
    for (int warp = 0; warp < warps; warp++) {
        sum += sums[warp];
    }
    return sum;
}

__device__ inline float sigmoid(float z) { return __fdividef(1.0f, 1.0f + __expf(-z)); }

// What is no number must stay so: fmaxf and fminf would lose it.
__device__ inline float at_least(float v, float low) { return v < low ? low : v; }
__device__ inline float at_most(float v, float high) { return v > high ? high : v; }

// In the order of ops::cuda::activation_number.
enum Activation { NONE, RELU, RELU6, SWISH, HSWISH };

template <int V, class F> __device__ inline void each(float (&z)[V], F f) {
#pragma unroll
    for (int k = 0; k < V; k++) {
        z[k] = f(z[k]);
    }
}

// f(z); the choice is made once for all.
template <int V> __device__ inline void activate(int activation, float (&z)[V]) {
    switch (activation) {
    case RELU: return each(z, [](float z) { return at_least(z, 0.0f); });
    case RELU6: return each(z, [](float z) { return at_most(at_least(z, 0.0f), 6.0f); });
    case SWISH: return each(z, [](float z) { return z * sigmoid(z); });
    case HSWISH: return each(z, [](float z) { return z * at_most(at_least(z + 3.0f, 0.0f), 6.0f) * (1.0f / 6.0f); });
    default: return;
    }
}

// f'(z); at a corner the one from below.
template <int V> __device__ inline void slope(int activation, float (&z)[V]) {
    switch (activation) {
    case RELU: return each(z, [](float z) { return z > 0.0f ? 1.0f : 0.0f; });
    case RELU6: return each(z, [](float z) { return z > 0.0f && z < 6.0f ? 1.0f : 0.0f; });
    case SWISH:
        return each(z, [](float z) {
            float s = sigmoid(z);
            return s * (1.0f + z * (1.0f - s));
        });
    case HSWISH:
        return each(z, [](float z) { return z <= -3.0f ? 0.0f : z < 3.0f ? (2.0f * z + 3.0f) * (1.0f / 6.0f) : 1.0f; });
    default: return each(z, [](float) { return 1.0f; });
    }
}

// Defines what NAME(T, suffix) says for every element type.
#define FOR_ELEMENTS(NAME) NAME(float, f32) NAME(bf16, bf16)
