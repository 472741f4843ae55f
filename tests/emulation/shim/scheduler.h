// Threads of a block as fibers, which run until they wait for each other.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

namespace emulation {

struct Index {
    unsigned x, y, z;
};

// Where the running thread is.
struct Place {
    Index thread, block, threads, blocks;
};
extern Place place;

// Waits until every thread of the block waits here.
void wait_for_block(const char *file, int line);

// The value of the thread of the same warp whose lane differs in these bits; every thread of the warp must be here.
float exchanged(float value, int bits, const char *file, int line);

// An argument as the caller states it.
union Argument {
    const void *address;
    int integer;
    float number;
};

// As the kernel takes it: pointers and numbers as they are, anything else by address.
template <class T> struct Taken {
    static T from(const Argument &argument) { return *(const T *)argument.address; }
};
template <class T> struct Taken<T *> {
    static T *from(const Argument &argument) { return (T *)argument.address; }
};
template <> struct Taken<int> {
    static int from(const Argument &argument) { return argument.integer; }
};
template <> struct Taken<float> {
    static float from(const Argument &argument) { return argument.number; }
};

// A kernel by name, its type forgotten.
struct Kernel {
    const char *name;
    size_t arguments;
    void (*call)(const Argument *);
};

template <auto kernel> struct Call;
template <class... A, void (*kernel)(A...)> struct Call<kernel> {
    template <size_t... I> static void spread(const Argument *arguments, std::index_sequence<I...>) {
        kernel(Taken<A>::from(arguments[I])...);
    }
    static void call(const Argument *arguments) { spread(arguments, std::index_sequence_for<A...>{}); }
    static constexpr size_t COUNT = sizeof...(A);
};

#define EMULATED(kernel) {#kernel, emulation::Call<&kernel>::COUNT, &emulation::Call<&kernel>::call}

} // namespace emulation
