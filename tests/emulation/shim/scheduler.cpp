// Runs the blocks of a launch one after the other, and the threads of a block in turns.
#include "scheduler.h"

#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <ucontext.h>
#include <vector>

// The kernels of all sources, by the build script.
extern const emulation::Kernel *const KERNELS[];
extern const size_t KERNEL_COUNTS[];
extern const size_t SOURCES;

// Ends of the section of shared memory, by the linker.
extern "C" {
extern char __start_emulated_shared[];
extern char __stop_emulated_shared[];
}

namespace emulation {

Place place;

namespace {

constexpr size_t STACK = 64 << 10, WARP = 32, SIGNAL_STACK = 64 << 10;

enum State { READY, WAITS_FOR_WARP, WAITS_FOR_BLOCK, DONE };

// A fiber goes from block to block: to make one takes calls of the system, to jump into it none.
struct Fiber {
    std::vector<char> stack = std::vector<char>(STACK);
    jmp_buf jump;
    bool made = false;
    State state;
    const char *file;
    int line;
    float value;
};

// Of the one launch that runs; the caller sees to it that there is no other.
std::vector<Fiber> fibers;
size_t running;
jmp_buf scheduler;
const Kernel *kernel;
const Argument *arguments;
volatile bool faulted;

void pause(State state) {
    Fiber &fiber = fibers[running];
    fiber.state = state;
    if (_setjmp(fiber.jump) == 0) {
        _longjmp(scheduler, 1);
    }
}

void begin() {
    for (;;) {
        kernel->call(arguments);
        pause(DONE);
    }
}

void wait(State state, const char *file, int line) {
    fibers[running].file = file;
    fibers[running].line = line;
    pause(state);
}

// An access outside all memory: the thread is left where it is.
void fault(int) {
    faulted = true;
    _longjmp(scheduler, 1);
}

Index index_of(size_t thread) {
    unsigned x = place.threads.x;
    return {(unsigned)(thread % x), (unsigned)(thread / x), 0};
}

// Threads or blocks in the order of this number: as they come, backwards, or shuffled.
std::vector<size_t> order_of(size_t count, unsigned order, unsigned salt) {
    std::vector<size_t> numbers(count);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = i;
    }
    if (order == 1) {
        std::reverse(numbers.begin(), numbers.end());
    } else if (order > 1) {
        std::shuffle(numbers.begin(), numbers.end(), std::mt19937(order * 7919 + salt));
    }
    return numbers;
}

void resume(size_t thread) {
    running = thread;
    place.thread = index_of(thread);
    if (_setjmp(scheduler) != 0) {
        return;
    }
    Fiber &fiber = fibers[running];
    if (fiber.made) {
        _longjmp(fiber.jump, 1);
    }
    fiber.made = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack.data();
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, begin, 0);
    setcontext(&context);
}

// Whether those from `first` to `end` wait for the same in the same place.
bool together(size_t first, size_t end, State state) {
    const Fiber &one = fibers[first];
    return std::all_of(fibers.begin() + first, fibers.begin() + end, [&](const Fiber &fiber) {
        return fiber.state == state && fiber.line == one.line && strcmp(fiber.file, one.file) == 0;
    });
}

void release(size_t first, size_t end) {
    for (size_t thread = first; thread < end; thread++) {
        fibers[thread].state = READY;
    }
}

// Nobody can go on: lets go those who wait for each other. Otherwise says who waits in vain.
bool let_go(size_t count, char *message, size_t room) {
    bool any = false;
    for (size_t first = 0; first < count; first += WARP) {
        size_t end = std::min(first + WARP, count);
        if (together(first, end, WAITS_FOR_WARP)) {
            release(first, end);
            any = true;
        }
    }
    if (!any && together(0, count, WAITS_FOR_BLOCK)) {
        release(0, count);
        any = true;
    }
    if (!any) {
        auto waits = [](const Fiber &fiber) { return fiber.state != DONE; };
        auto first = std::find_if(fibers.begin(), fibers.begin() + count, waits);
        Index thread = index_of(first - fibers.begin());
        snprintf(message, room, "thread (%u, %u) of block (%u, %u) waits at %s:%d, where not all come", thread.x, thread.y,
                 place.block.x, place.block.y, first->file, first->line);
    }
    return any;
}

bool run_block(size_t count, unsigned order, char *message, size_t room) {
    // What a block finds there is no number, and nothing that another block left.
    memset(__start_emulated_shared, 0xff, __stop_emulated_shared - __start_emulated_shared);
    for (size_t thread = 0; thread < count; thread++) {
        fibers[thread].state = READY;
    }
    for (unsigned turn = 0;; turn++) {
        for (size_t thread : order_of(count, order, turn)) {
            if (fibers[thread].state == READY) {
                resume(thread);
            }
            if (faulted) {
                Index index = index_of(running);
                snprintf(message, room, "thread (%u, %u) of block (%u, %u) reaches past the end of a buffer", index.x,
                         index.y, place.block.x, place.block.y);
                return false;
            }
        }
        auto done = [](const Fiber &fiber) { return fiber.state == DONE; };
        if (std::all_of(fibers.begin(), fibers.begin() + count, done)) {
            return true;
        }
        if (!let_go(count, message, room)) {
            return false;
        }
    }
}

const Kernel *find(const char *name) {
    for (size_t source = 0; source < SOURCES; source++) {
        for (size_t i = 0; i < KERNEL_COUNTS[source]; i++) {
            if (strcmp(KERNELS[source][i].name, name) == 0) {
                return &KERNELS[source][i];
            }
        }
    }
    return nullptr;
}

bool run_blocks(unsigned order, char *message, size_t room) {
    size_t count = (size_t)place.threads.x * place.threads.y;
    if (fibers.size() < count) {
        fibers.resize(count);
    }
    Index blocks = place.blocks;
    for (size_t block : order_of((size_t)blocks.x * blocks.y * blocks.z, order, 1)) {
        place.block = {(unsigned)(block % blocks.x), (unsigned)(block / blocks.x % blocks.y),
                       (unsigned)(block / blocks.x / blocks.y)};
        if (!run_block(count, order, message, room)) {
            // Its threads are in the middle of something.
            fibers.clear();
            return false;
        }
    }
    return true;
}

} // namespace

void wait_for_block(const char *file, int line) { wait(WAITS_FOR_BLOCK, file, line); }

float exchanged(float value, int bits, const char *file, int line) {
    size_t thread = running;
    fibers[thread].value = value;
    wait(WAITS_FOR_WARP, file, line);
    float other = fibers[(thread / WARP * WARP) + ((thread % WARP) ^ bits)].value;
    // Nobody may go on to the next exchange before all have taken this one's.
    wait(WAITS_FOR_WARP, file, line);
    return other;
}

} // namespace emulation

// Runs a kernel on `blocks` of `threads`, in the order of this number. 0, or a message of what it did wrong.
extern "C" int emulate(const char *name, const emulation::Argument *arguments, size_t count, const unsigned *blocks,
                       const unsigned *threads, unsigned order, char *message, size_t room) {
    using namespace emulation;
    kernel = find(name);
    if (kernel == nullptr || kernel->arguments != count) {
        snprintf(message, room, "there is no kernel %s of %zu arguments", name, count);
        return 1;
    }
    emulation::arguments = arguments;
    place.blocks = {blocks[0], blocks[1], blocks[2]};
    place.threads = {threads[0], threads[1], 1};
    faulted = false;
    static std::vector<char> signal_stack(SIGNAL_STACK);
    stack_t stack = {}, stack_before;
    stack.ss_sp = signal_stack.data();
    stack.ss_size = signal_stack.size();
    sigaltstack(&stack, &stack_before);
    struct sigaction action = {}, before;
    action.sa_handler = fault;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, &before);
    bool passed = run_blocks(order, message, room);
    sigaction(SIGSEGV, &before, nullptr);
    sigaltstack(&stack_before, nullptr);
    return passed ? 0 : 1;
}
