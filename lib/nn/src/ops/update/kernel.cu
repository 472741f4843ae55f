// Updates in place of many tensors at once: see mod.rs for the rules. Everything is float.
//
// update_sgd_f32(Sets all, float rate, float momentum)
// update_rmsprop_f32(Sets all, float rate, float momentum, float beta, float epsilon): beta is 1 - alpha.
// update_adamw_f32(Sets all, float rate, float beta1, float take1, float beta2, float take2, float correction,
//                  float epsilon): a set's decay is what is kept of the parameter.
// update_blend_f32(Sets all, float keep, float take): p = keep * p + take * g.
//     Grid: (as many as the longest set needs, sets); y must be the number of sets. Shared: none sized by the launch.
#include "device.cuh"

// So many parameters at once, each with its gradient (or what else it moves by), its state and its own weight decay, as
// cuda.rs has them. A rule without a second state leaves `v` alone.
constexpr int MOST = 64;
struct Set {
    float *p, *m, *v;
    const float *g;
    long long len;
    float decay;
};
struct Sets {
    Set sets[MOST];
};

namespace {

// Calls `rule(p, m, v, g)` for every element of this column of blocks' set, four at a time. STATES of m and v are used.
template <int STATES, class Rule> __device__ void every(const Set &set, Rule rule) {
    long long len = set.len, step = (long long)gridDim.x * blockDim.x * 4;
    bool whole = aligned(set.p, set.g) && (STATES < 1 || aligned(set.m)) && (STATES < 2 || aligned(set.v));
    for (long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * 4; i < len; i += step) {
        int present = len - i < 4 ? (int)(len - i) : 4;
        bool vector = whole && present == 4;
        float p[4], m[4] = {}, v[4] = {}, g[4];
        load(p, set.p + i, present, vector);
        load(g, set.g + i, present, vector);
        if (STATES > 0) {
            load(m, set.m + i, present, vector);
        }
        if (STATES > 1) {
            load(v, set.v + i, present, vector);
        }
#pragma unroll
        for (int k = 0; k < 4; k++) {
            rule(p[k], m[k], v[k], g[k]);
        }
        store(set.p + i, p, present, vector);
        if (STATES > 0) {
            store(set.m + i, m, present, vector);
        }
        if (STATES > 1) {
            store(set.v + i, v, present, vector);
        }
    }
}

} // namespace

extern "C" __global__ void __launch_bounds__(THREADS)
    update_sgd_f32(const __grid_constant__ Sets all, float rate, float momentum) {
    const Set &s = all.sets[blockIdx.y];
    every<1>(s, [&](float &p, float &m, float &, float g) {
        g += p * s.decay;
        m = m * momentum + g;
        p -= (g + m * momentum) * rate;
    });
}

extern "C" __global__ void __launch_bounds__(THREADS)
    update_rmsprop_f32(const __grid_constant__ Sets all, float rate, float momentum, float beta, float epsilon) {
    const Set &s = all.sets[blockIdx.y];
    every<2>(s, [&](float &p, float &m, float &v, float g) {
        g += p * s.decay;
        v += (g * g - v) * beta;
        m = m * momentum + g * rate / sqrtf(v + epsilon);
        p -= m;
    });
}

extern "C" __global__ void __launch_bounds__(THREADS)
    update_adamw_f32(const __grid_constant__ Sets all, float rate, float beta1, float take1, float beta2, float take2,
                     float correction, float epsilon) {
    const Set &s = all.sets[blockIdx.y];
    every<2>(s, [&](float &p, float &m, float &v, float g) {
        m = m * beta1 + g * take1;
        v = v * beta2 + g * g * take2;
        p = p * s.decay - m * rate / (sqrtf(v) * correction + epsilon);
    });
}

extern "C" __global__ void __launch_bounds__(THREADS)
    update_blend_f32(const __grid_constant__ Sets all, float keep, float take) {
    const Set &s = all.sets[blockIdx.y];
    every<0>(s, [&](float &p, float &, float &, float g) { p = p * keep + g * take; });
}
