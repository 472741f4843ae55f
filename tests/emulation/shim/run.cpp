// Runs a launch: its blocks one after the other, the threads of a block as fibers, in several orders.
#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <random>
#include <ucontext.h>

#include "watch.h"

namespace emulation {

Place here;

namespace {

constexpr size_t STACK = 64 << 10, WARP = 32, MOST_THREADS = 1024;

enum State { READY, AT_WARP, AT_BLOCK, DONE };

struct Fiber {
    std::vector<char> stack = std::vector<char>(STACK);
    ucontext_t entry;
    jmp_buf place;
    bool begun = false;
    State state = DONE;
    // Where it waits, and what it brings there and takes from there.
    const char *file = "";
    int line = 0;
    unsigned mask = 0, source = 0;
    uint64_t bits = 0;
    // Whether it also sees what the others of its warp wrote before; a shuffle promises that to nobody.
    bool fence = false;
};

std::vector<Fiber> fibers;
size_t running;
Now clock_of_block;
uint32_t warp_clocks[MOST_THREADS / WARP];
jmp_buf scheduler;
std::string message;
const Call *call;
size_t dynamic_bytes;

// A fiber runs the kernel again and again, for a thread of one block after another.
void live() {
    for (;;) {
        call->run();
        fibers[running].state = DONE;
        if (_setjmp(fibers[running].place) == 0) {
            _longjmp(scheduler, 1);
        }
    }
}

void begin(Fiber &fiber) {
    fiber.begun = true;
    getcontext(&fiber.entry);
    fiber.entry.uc_stack.ss_sp = fiber.stack.data();
    fiber.entry.uc_stack.ss_size = STACK;
    makecontext(&fiber.entry, live, 0);
    setcontext(&fiber.entry);
}

// Lets a thread run until it waits or is done; false when it does wrong.
bool resume(size_t thread) {
    running = thread;
    Index threads = here.threads;
    here.thread = {(unsigned)thread % threads.x, (unsigned)thread / threads.x % threads.y,
                   (unsigned)thread / threads.x / threads.y};
    int back = _setjmp(scheduler);
    if (back == 0) {
        Fiber &fiber = fibers[running];
        if (fiber.begun) {
            _longjmp(fiber.place, 1);
        }
        begin(fiber);
    }
    return back == 1;
}

void wait(State state, unsigned mask, const char *file, int line) {
    Fiber &fiber = fibers[running];
    fiber.state = state;
    fiber.mask = mask;
    fiber.file = file;
    fiber.line = line;
    if (_setjmp(fiber.place) == 0) {
        _longjmp(scheduler, 1);
    }
}

// The numbers from 0 on as they come, backwards, or shuffled.
std::vector<size_t> in_order(size_t count, unsigned order) {
    std::vector<size_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    if (order == 1) {
        std::reverse(numbers.begin(), numbers.end());
    } else if (order > 1) {
        std::shuffle(numbers.begin(), numbers.end(), std::mt19937(order));
    }
    return numbers;
}

bool same_place(const Fiber &a, const Fiber &b) {
    return a.state == b.state && a.mask == b.mask && a.line == b.line && strcmp(a.file, b.file) == 0;
}

// Lets the lanes go that wait for each other from this one on, and gives them what they exchange. Lanes of the mask that
// are beyond the block's last thread need not come.
bool release_warp(size_t thread, size_t count) {
    const Fiber &fiber = fibers[thread];
    size_t first = thread / WARP * WARP, end = std::min(first + WARP, count);
    uint64_t brought[WARP];
    memset(brought, 0xff, sizeof brought);
    bool whole = true;
    for (size_t other = first; other < end; other++) {
        bool named = fiber.mask >> (other - first) & 1;
        if (named && !same_place(fiber, fibers[other])) {
            return false;
        }
        whole = whole && named;
        brought[other - first] = named ? fibers[other].bits : brought[other - first];
    }
    unsigned mask = fiber.mask;
    for (size_t other = first; other < end; other++) {
        if (mask >> (other - first) & 1) {
            fibers[other].bits = brought[fibers[other].source];
            fibers[other].state = READY;
        }
    }
    warp_clocks[thread / WARP] += whole && fibers[thread].fence;
    return true;
}

// No thread can go on: lets those go who wait for each other. False when all wait in vain.
bool release(size_t count) {
    bool any = false;
    for (size_t thread = 0; thread < count; thread++) {
        bool named = fibers[thread].mask >> thread % WARP & 1;
        any |= fibers[thread].state == AT_WARP && named && release_warp(thread, count);
    }
    auto arrived = [](const Fiber &fiber) { return fiber.state == AT_BLOCK && same_place(fiber, fibers[0]); };
    if (!any && std::all_of(fibers.begin(), fibers.begin() + count, arrived)) {
        for (size_t thread = 0; thread < count; thread++) {
            fibers[thread].state = READY;
        }
        clock_of_block.barriers++;
        any = true;
    }
    return any;
}

std::string index_name(Index i) {
    return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

std::string who() { return "thread " + index_name(here.thread) + " of block " + index_name(here.block) + " "; }

bool run_block(std::vector<size_t> &order) {
    size_t count = order.size();
    clock_of_block.block++;
    clock_of_block.barriers = 0;
    memset(warp_clocks, 0, sizeof warp_clocks);
    for (size_t thread = 0; thread < count; thread++) {
        fibers[thread].state = READY;
    }
    for (;;) {
        for (size_t thread : order) {
            if (fibers[thread].state == READY && !resume(thread)) {
                return false;
            }
        }
        size_t waits = 0;
        while (waits < count && fibers[waits].state == DONE) {
            waits++;
        }
        if (waits == count) {
            return true;
        }
        // Another begins next time.
        std::rotate(order.begin(), order.begin() + count / 3, order.end());
        if (!release(count)) {
            message = "thread " + std::to_string(waits) + " of block " + index_name(here.block) + " waits at " +
                      fibers[waits].file + ":" + std::to_string(fibers[waits].line) + ", where not all others come";
            return false;
        }
    }
}

bool run_blocks(unsigned order) {
    Index blocks = here.blocks, threads = here.threads;
    std::vector<size_t> order_of_threads = in_order((size_t)threads.x * threads.y * threads.z, order);
    for (size_t block : in_order((size_t)blocks.x * blocks.y * blocks.z, order)) {
        here.block = {(unsigned)(block % blocks.x), (unsigned)(block / blocks.x % blocks.y),
                      (unsigned)(block / blocks.x / blocks.y)};
        if (!run_block(order_of_threads)) {
            // They are in the middle of something, and begin anew.
            fibers.clear();
            return false;
        }
    }
    return true;
}

// An access to the pages around a buffer that the instrumentation does not see.
void fault(int signal, siginfo_t *info, void *) {
    for (const auto &buffer : buffers) {
        if (buffer->has_near(info->si_addr)) {
            fail("reaches outside " + buffer->name);
        }
    }
    fprintf(stderr, "the kernel %s reaches memory that is not there\n", call->kernel->name);
    std::signal(signal, SIG_DFL);
}

} // namespace

Now now() {
    return {clock_of_block.block, (uint32_t)running, clock_of_block.barriers, warp_clocks[running / WARP]};
}

void fail(const std::string &what) {
    message = who() + what;
    _longjmp(scheduler, 2);
}

void *dynamic_shared() { return share(dynamic_bytes, &dynamic_bytes, "shared memory that the launch sizes"); }

unsigned lane() { return running % WARP; }

void wait_for_block(const char *file, int line) { wait(AT_BLOCK, 0, file, line); }

void wait_for_warp(unsigned mask, const char *file, int line) {
    fibers[running].fence = true;
    wait(AT_WARP, mask, file, line);
}

uint64_t exchange(unsigned mask, uint64_t bits, unsigned source, const char *file, int line) {
    fibers[running].bits = bits;
    fibers[running].source = source;
    fibers[running].fence = false;
    wait(AT_WARP, mask, file, line);
    return fibers[running].bits;
}

// While it is there, faults of memory are the kernel's.
struct Faults {
    std::vector<char> stack = std::vector<char>(256 << 10);
    stack_t stack_before;
    struct sigaction before;
    Faults() {
        stack_t own = {};
        own.ss_sp = stack.data();
        own.ss_size = stack.size();
        sigaltstack(&own, &stack_before);
        struct sigaction action = {};
        action.sa_sigaction = fault;
        // The handler does not return, so that the signal must not stay blocked.
        action.sa_flags = SA_ONSTACK | SA_SIGINFO | SA_NODEFER;
        sigaction(SIGSEGV, &action, &before);
    }
    ~Faults() {
        sigaction(SIGSEGV, &before, nullptr);
        sigaltstack(&stack_before, nullptr);
    }
};

bool run_launch(const Call &of, size_t dynamic, unsigned order, std::string &why) {
    call = &of;
    dynamic_bytes = dynamic;
    forget_shared();
    size_t count = (size_t)here.threads.x * here.threads.y * here.threads.z;
    if (count == 0 || count > MOST_THREADS) {
        why = "a block has from 1 to 1024 threads";
        return false;
    }
    if (fibers.size() < count) {
        fibers = std::vector<Fiber>(count);
    }
    Faults faults;
    bool passed = run_blocks(order);
    why = passed ? "" : message;
    return passed;
}

} // namespace emulation
