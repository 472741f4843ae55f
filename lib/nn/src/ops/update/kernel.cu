// Updates in place of many tensors at once: see mod.rs for the rules.
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

// Calls `rule` for every element of this column of blocks' set.
template <class Rule> __device__ void every(const Set &set, Rule rule) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (; i < set.len; i += (size_t)gridDim.x * blockDim.x) {
        rule(i);
    }
}

extern "C" __global__ void update_sgd_f32(const __grid_constant__ Sets all, float rate, float momentum) {
    const Set &s = all.sets[blockIdx.y];
    every(s, [&](size_t i) {
        float p = s.p[i], g = s.g[i] + p * s.decay;
        float m = s.m[i] * momentum + g;
        s.m[i] = m;
        s.p[i] = p - (g + m * momentum) * rate;
    });
}

extern "C" __global__ void update_rmsprop_f32(const __grid_constant__ Sets all, float rate, float momentum, float beta,
                                              float epsilon) {
    const Set &s = all.sets[blockIdx.y];
    every(s, [&](size_t i) {
        float p = s.p[i], g = s.g[i] + p * s.decay;
        float v = s.v[i] + (g * g - s.v[i]) * beta;
        float m = s.m[i] * momentum + g * rate / sqrtf(v + epsilon);
        s.v[i] = v;
        s.m[i] = m;
        s.p[i] = p - m;
    });
}

// Here `decay` is what is kept of the parameter.
extern "C" __global__ void update_adamw_f32(const __grid_constant__ Sets all, float rate, float beta1, float take1,
                                            float beta2, float take2, float correction, float epsilon) {
    const Set &s = all.sets[blockIdx.y];
    every(s, [&](size_t i) {
        float g = s.g[i];
        float m = s.m[i] * beta1 + g * take1;
        float v = s.v[i] * beta2 + g * g * take2;
        s.m[i] = m;
        s.v[i] = v;
        s.p[i] = s.p[i] * s.decay - m * rate / (sqrtf(v) * correction + epsilon);
    });
}

// p = keep * p + take * g.
extern "C" __global__ void update_blend_f32(const __grid_constant__ Sets all, float keep, float take) {
    const Set &s = all.sets[blockIdx.y];
    every(s, [&](size_t i) { s.p[i] = s.p[i] * keep + s.g[i] * take; });
}
