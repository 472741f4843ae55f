// What the threads of a launch do to memory: see watch.cpp.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "emulation.h"

namespace emulation {

// Stops the launch: the running thread has done wrong. Does not return.
[[noreturn]] void fail(const std::string &what);

// The running thread's number, its block's among all that ever ran, and how many barriers they have passed.
struct Now {
    uint32_t block, thread, barriers, warp_barriers;
};
Now now();

// An access to a byte; that of block 0 never was.
struct Event {
    Now at = {0, 0, 0, 0};
    bool atomic = false;
};

// How far apart the threads are that read a byte with no barrier between them.
enum Spread : uint8_t { ONE_THREAD, ONE_WARP, ONE_BLOCK, BLOCKS };

struct Byte {
    Event written, read;
    Spread readers = ONE_THREAD;
};

enum class Role { INPUT, OUTPUT, CHANGED };

// A buffer of the device between two pages that cannot be touched.
class Buffer {
  public:
    // A copy of these bytes; one for output begins as NaNs. `at_end` says which end lies at such a page.
    Buffer(size_t number, const void *bytes, size_t count, Role role, bool at_end);
    ~Buffer();
    Buffer(const Buffer &) = delete;

    char *first;
    size_t count;
    Role role;
    std::vector<Byte> bytes;
    std::string name;

    bool has_near(const void *address) const;
    // What is wrong with it after a launch, if anything is.
    std::string complaint() const;

  private:
    char *pages;
    size_t room;
};

// The buffers of the launch that runs; empty between launches.
extern std::vector<std::unique_ptr<Buffer>> buffers;

// Begins a launch: there is no shared memory yet.
void forget_shared();

// A kernel with what it is called with: the arguments as the caller states them, or else a copy that the kernel took.
struct Call {
    const Kernel *kernel;
    const Argument *arguments;
    const void *taken;
    void run() const { arguments ? kernel->call(arguments) : kernel->call_taken(taken); }
};

// Runs a kernel, in the grid that `here` has, in the order of this number; false, and why, when it does wrong.
bool run_launch(const Call &call, size_t dynamic_bytes, unsigned order, std::string &why);

} // namespace emulation
