// A batch of images in 8 bits, normalised, erased and mixed as the loader's batches say.
//
// images_normalise_T(const unsigned char *pixels [count, size, size, 3], const Treatment *treatments [count] or null,
//                    T *values [as pixels], int count, int size, Colours colours, Mix mix)
//     Per channel value * scale + shift, of the image or its mirror; then standard normal noise in the erased rectangle;
//     then, inside the mix's rectangle, share * own + (1 - share) * partner, partners being images 2i and 2i + 1.
//     Grid: (one thread for every four pixels). Shared: none sized by the launch.
#include "device.cuh"

// What is done to one image. The rectangle is one of the result, after mirroring; it has height 0 where there is none. The
// noise is a function of the key and the pixel's place.
struct Treatment {
    int mirrored, y, x, height, width;
    unsigned key[2];
};

// Of every channel: 1 / (255 * std) and -mean / std.
struct Colours {
    float scale[3], shift[3];
};

// Height 0 where nothing is mixed; share 0 where rectangles are exchanged.
struct Mix {
    int y, x, height, width;
    float share;
};

namespace {

template <class R> __device__ inline bool inside(const R &r, int y, int x) {
    return y >= r.y && y - r.y < r.height && x >= r.x && x - r.x < r.width;
}

// Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): four words of a counter and a key.
__device__ inline void philox(unsigned (&counter)[4], unsigned key0, unsigned key1) {
#pragma unroll
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, counter[0]), low0 = 0xD2511F53u * counter[0];
        unsigned high1 = __umulhi(0xCD9E8D57u, counter[2]), low1 = 0xCD9E8D57u * counter[2];
        counter[0] = high1 ^ counter[1] ^ key0;
        counter[1] = low1;
        counter[2] = high0 ^ counter[3] ^ key1;
        counter[3] = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// Inside (0, 1), by the upper 23 bits, so that neither end can round to.
__device__ inline float uniform(unsigned bits) { return ((bits >> 9) + 0.5f) * (1.0f / 8388608.0f); }

// Three standard normal numbers (Box and Muller, 1958).
__device__ inline void noise(float (&v)[3], const Treatment &treatment, int place) {
    unsigned words[4] = {(unsigned)place, 0, 0, 0};
    philox(words, treatment.key[0], treatment.key[1]);
    // Not __logf, whose error near 1 is as large as the logarithm and may give it the other sign.
    float first = sqrtf(-2.0f * logf(uniform(words[0]))), second = sqrtf(-2.0f * logf(uniform(words[2])));
    float sine, cosine;
    sincospif(2.0f * uniform(words[1]), &sine, &cosine);
    v[0] = first * cosine;
    v[1] = first * sine;
    v[2] = second * cospif(2.0f * uniform(words[3]));
}

struct Batch {
    const unsigned char *pixels;
    const Treatment *treatments;
    int count, size;
    Colours colours;

    // A pixel before mixing.
    __device__ void at(float (&v)[3], int image, int y, int x) const {
        int column = x;
        if (treatments != nullptr) {
            const Treatment &treatment = treatments[image];
            if (inside(treatment, y, x)) {
                return noise(v, treatment, y * size + x);
            }
            column = treatment.mirrored ? size - 1 - x : x;
        }
        const unsigned char *pixel = pixels + (((size_t)image * size + y) * size + column) * 3;
#pragma unroll
        for (int k = 0; k < 3; k++) {
            v[k] = pixel[k] * colours.scale[k] + colours.shift[k];
        }
    }
};

template <class T> __device__ void normalise(const Batch &batch, T *values, const Mix &mix) {
    constexpr int PIXELS = 4;
    size_t image_size = (size_t)batch.size * batch.size, pixels = image_size * batch.count;
    size_t step = (size_t)gridDim.x * blockDim.x * PIXELS;
    bool suits = aligned(values);
    for (size_t first = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * PIXELS; first < pixels; first += step) {
        int present = pixels - first < PIXELS ? (int)(pixels - first) : PIXELS;
        int image = (int)(first / image_size), place = (int)(first - image * image_size);
        int y = place / batch.size, x = place - y * batch.size;
        float v[3 * PIXELS] = {};
#pragma unroll
        for (int p = 0; p < PIXELS; p++) {
            if (p < present) {
                float own[3];
                batch.at(own, image, y, x);
                int partner = (image ^ 1) < batch.count ? image ^ 1 : image;
                if (inside(mix, y, x) && partner != image) {
                    float other[3];
                    batch.at(other, partner, y, x);
#pragma unroll
                    for (int k = 0; k < 3; k++) {
                        own[k] = mix.share * own[k] + (1.0f - mix.share) * other[k];
                    }
                }
#pragma unroll
                for (int k = 0; k < 3; k++) {
                    v[3 * p + k] = own[k];
                }
            }
            if (++x == batch.size) {
                x = 0;
                if (++y == batch.size) {
                    y = 0;
                    image++;
                }
            }
        }
#pragma unroll
        for (int word = 0; word < 3; word++) {
            float part[4];
#pragma unroll
            for (int k = 0; k < 4; k++) {
                part[k] = v[4 * word + k];
            }
            store(values + first * 3 + 4 * word, part, max(0, 3 * present - 4 * word), suits && present == PIXELS);
        }
    }
}

} // namespace

#define IMAGES(T, suffix)                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS) images_normalise_##suffix(                                   \
        const unsigned char *pixels, const Treatment *treatments, T *values, int count, int size, Colours colours,     \
        Mix mix) {                                                                                                     \
        normalise<T>({pixels, treatments, count, size, colours}, values, mix);                                         \
    }
FOR_ELEMENTS(IMAGES)
