// What the shim has of arithmetic, to be compared with other statements of it. A thread for each of `count` numbers.

extern "C" __global__ void right_halves(const float *x, __nv_bfloat16 *narrow, float *wide, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) {
        narrow[i] = __float2bfloat16(x[i]);
        wide[i] = __bfloat162float(narrow[i]);
    }
}

// e^-x, the logarithm and the reciprocal root.
extern "C" __global__ void right_fast(const float *x, float *y, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) {
        y[3 * i] = __expf(-x[i]);
        y[3 * i + 1] = __logf(x[i]);
        y[3 * i + 2] = rsqrtf(x[i]);
    }
}
