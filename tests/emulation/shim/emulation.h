// Between a kernel that is compiled for the host and what runs it: see run.cpp.
//
// A block's threads are fibers of one thread of the host. They run until they wait for each other, in several orders.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

namespace emulation {

struct Index {
    unsigned x, y, z;
};

// Where the running thread is, in a launch of which size.
struct Place {
    Index thread, block, threads, blocks;
};
extern Place here;

// A variable in shared memory of the running block; `key` says which.
void *share(size_t count, const void *key, const char *name);

// Shared memory whose size the launch gives.
void *dynamic_shared();

// Waits for every thread of the block, which must wait in the same place.
void wait_for_block(const char *file, int line);

// Waits for the lanes of the mask, which must wait in the same place with the same mask. What they wrote is
// seen by each other afterwards.
void wait_for_warp(unsigned mask, const char *file, int line);

// The bits that the thread in the lane `source` brought here. Lanes outside the mask, or where no thread is, bring NaNs.
uint64_t exchange(unsigned mask, uint64_t bits, unsigned source, const char *file, int line);

// The lane of the running thread in its warp.
unsigned lane();

// Says that the running thread reads, writes or does both without being interrupted. Other accesses are told by the
// instrumentation that the kernels are compiled with.
enum class Access { READ, WRITE, ATOMIC };
void access(const void *address, size_t bytes, Access kind);

// A shuffle; a source that is no lane of the warp is the running one.
template <class T> T shuffle(unsigned mask, T value, int source, const char *file, int line) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "larger than a shuffle takes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = exchange(mask, bits, source < 0 || source >= 32 ? lane() : source, file, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}

// How the memory at an address changes in one step; returns what was there. Without the instrumentation, which would take
// it for plain accesses.
template <class T, class Change>
__attribute__((noinline, no_sanitize("thread"))) T atomic(T *address, Change change) {
    access(address, sizeof(T), Access::ATOMIC);
    T before = *address;
    *address = change(before);
    return before;
}

// An argument as the caller states it.
struct Argument {
    enum Kind : uint32_t { ADDRESS, INTEGER, NUMBER, STRUCT } kind;
    union {
        void *address;
        int32_t integer;
        float number;
    };
    // Of a struct, which lies at the address.
    size_t bytes;
};

// How a parameter is filled from an argument, and whether they fit.
template <class T> struct Parameter {
    static bool fits(const Argument &a) { return a.kind == Argument::STRUCT && a.bytes == sizeof(T); }
    static const T &from(const Argument &a) { return *static_cast<const T *>(a.address); }
};
template <class T> struct Parameter<T *> {
    static bool fits(const Argument &a) { return a.kind == Argument::ADDRESS; }
    static T *from(const Argument &a) { return static_cast<T *>(a.address); }
};
template <> struct Parameter<int> {
    static bool fits(const Argument &a) { return a.kind == Argument::INTEGER; }
    static int from(const Argument &a) { return a.integer; }
};
template <> struct Parameter<float> {
    static bool fits(const Argument &a) { return a.kind == Argument::NUMBER; }
    static float from(const Argument &a) { return a.number; }
};

// A kernel whose parameters' types are forgotten. `take` copies the parameters that a driver's call points to; `call_taken`
// calls it with such a copy, and `drop` frees that.
struct Kernel {
    const char *name;
    size_t parameters;
    bool (*fits)(const Argument *);
    void (*call)(const Argument *);
    void *(*take)(void *const *);
    void (*call_taken)(const void *);
    void (*drop)(void *);
};

template <auto function> struct Erased;
template <class... P, void (*function)(P...)> struct Erased<function> {
    template <size_t... I> static bool fit(const Argument *arguments, std::index_sequence<I...>) {
        return (Parameter<P>::fits(arguments[I]) && ...);
    }
    template <size_t... I> static void spread(const Argument *arguments, std::index_sequence<I...>) {
        function(Parameter<P>::from(arguments[I])...);
    }
    static bool fits(const Argument *arguments) { return fit(arguments, std::index_sequence_for<P...>{}); }
    static void call(const Argument *arguments) { spread(arguments, std::index_sequence_for<P...>{}); }
    template <size_t... I> static std::tuple<P...> *copy(void *const *at, std::index_sequence<I...>) {
        return new std::tuple<P...>(*static_cast<std::remove_const_t<P> *>(at[I])...);
    }
    static void *take(void *const *at) { return copy(at, std::index_sequence_for<P...>{}); }
    static void call_taken(const void *taken) { std::apply(function, *static_cast<const std::tuple<P...> *>(taken)); }
    static void drop(void *taken) { delete static_cast<std::tuple<P...> *>(taken); }
    static constexpr size_t PARAMETERS = sizeof...(P);
};

// An entry of a table of kernels.
template <auto function> constexpr Kernel entry(const char *name) {
    using Of = Erased<function>;
    return {name, Of::PARAMETERS, &Of::fits, &Of::call, &Of::take, &Of::call_taken, &Of::drop};
}

} // namespace emulation
