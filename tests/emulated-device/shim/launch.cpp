// What Rust calls: kernels by name, and launches of them. One at a time.
#include <cstdio>

#include "watch.h"

extern const emulation::Kernel *const KERNELS[];
extern const size_t *const KERNEL_COUNTS[];
extern const size_t SOURCES;

using namespace emulation;

extern "C" {

const Kernel *emulated_kernel(const char *name) {
    for (size_t source = 0; source < SOURCES; source++) {
        for (size_t i = 0; i < *KERNEL_COUNTS[source]; i++) {
            if (strcmp(KERNELS[source][i].name, name) == 0) {
                return &KERNELS[source][i];
            }
        }
    }
    return nullptr;
}

// A copy of the parameters that these addresses are of.
void *emulated_take(const Kernel *kernel, void *const *parameters) { return kernel->take(parameters); }

// Runs a launch with such a copy, and frees that. Returns 0, or 1 with a message of what the kernel does wrong.
int emulated_launch(const Kernel *kernel, void *taken, const unsigned *blocks, const unsigned *threads,
                    size_t dynamic_bytes, char *message, size_t room) {
    here.blocks = {blocks[0], blocks[1], blocks[2]};
    here.threads = {threads[0], threads[1], threads[2]};
    std::string why;
    bool passed = run_launch({kernel, nullptr, taken}, dynamic_bytes, 0, why);
    kernel->drop(taken);
    snprintf(message, room, "%s: %s", kernel->name, why.c_str());
    return passed ? 0 : 1;
}
}
