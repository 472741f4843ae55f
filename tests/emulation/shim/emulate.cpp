// The one function that Rust calls.
#include <cstdio>
#include <mutex>

#include "watch.h"

// The tables of all sources with their lengths, by the build script.
extern const emulation::Kernel *const KERNELS[];
extern const size_t *const KERNEL_COUNTS[];
extern const size_t SOURCES;

using namespace emulation;

namespace {

// As they come, backwards, and shuffled twice.
constexpr unsigned ORDERS = 4;

// A buffer as Rust states it, and where the addresses of some go inside an argument that is a struct.
struct Memory {
    char *bytes;
    size_t count;
    uint32_t role;
};
struct Link {
    size_t argument, offset, buffer;
};
struct Request {
    const char *kernel;
    unsigned blocks[3], threads[3];
    size_t dynamic_bytes;
    Argument *arguments;
    size_t argument_count;
    const Memory *memory;
    size_t memory_count;
    const Link *links;
    size_t link_count;
};

const Kernel *find(const char *name) {
    for (size_t source = 0; source < SOURCES; source++) {
        for (size_t i = 0; i < *KERNEL_COUNTS[source]; i++) {
            if (strcmp(KERNELS[source][i].name, name) == 0) {
                return &KERNELS[source][i];
            }
        }
    }
    return nullptr;
}

// Gives the buffers to the arguments: an argument that is one at its place, others inside structs.
void connect(const Request &request) {
    for (size_t i = 0; i < request.link_count; i++) {
        const Link &link = request.links[i];
        Argument &argument = request.arguments[link.argument];
        void *address = buffers[link.buffer]->first;
        if (argument.kind == Argument::ADDRESS) {
            argument.address = address;
        } else {
            memcpy(static_cast<char *>(argument.address) + link.offset, &address, sizeof address);
        }
    }
}

std::string run_in_order(const Request &request, const Kernel &kernel, unsigned order) {
    buffers.clear();
    for (size_t i = 0; i < request.memory_count; i++) {
        const Memory &memory = request.memory[i];
        Role role = static_cast<Role>(memory.role);
        buffers.push_back(std::make_unique<Buffer>(i, memory.bytes, memory.count, role, order % 2 == 0));
    }
    connect(request);
    const unsigned *b = request.blocks, *t = request.threads;
    here.blocks = {b[0], b[1], b[2]};
    here.threads = {t[0], t[1], t[2]};
    std::string why;
    if (!run_launch({&kernel, request.arguments, nullptr}, request.dynamic_bytes, order, why)) {
        return why;
    }
    for (size_t i = 0; i < buffers.size() && why.empty(); i++) {
        why = buffers[i]->complaint();
    }
    return why;
}

std::string run(const Request &request) {
    const Kernel *kernel = find(request.kernel);
    if (kernel == nullptr) {
        return "there is no such kernel";
    }
    if (kernel->parameters != request.argument_count || !kernel->fits(request.arguments)) {
        return "it has " + std::to_string(kernel->parameters) + " parameters, which the arguments do not fit";
    }
    std::vector<std::vector<char>> result;
    for (unsigned order = 0; order < ORDERS; order++) {
        std::string why = run_in_order(request, *kernel, order);
        if (!why.empty()) {
            return why;
        }
        for (size_t i = 0; i < buffers.size(); i++) {
            const Buffer &buffer = *buffers[i];
            std::vector<char> content(buffer.first, buffer.first + buffer.count);
            if (order == 0) {
                result.push_back(std::move(content));
            } else if (content != result[i]) {
                return "what it leaves in " + buffer.name + " depends on the order of threads or blocks";
            }
        }
    }
    for (size_t i = 0; i < result.size(); i++) {
        if (static_cast<Role>(request.memory[i].role) != Role::INPUT && !result[i].empty()) {
            memcpy(request.memory[i].bytes, result[i].data(), result[i].size());
        }
    }
    return "";
}

} // namespace

// Runs a launch in every order and leaves what it writes in the request's memory. Returns 0, or 1 with a message of what
// the kernel does wrong. One runs at a time.
extern "C" int emulate(const Request *request, char *message, size_t room) {
    static std::mutex turn;
    std::lock_guard<std::mutex> guard(turn);
    std::string why = run(*request);
    buffers.clear();
    snprintf(message, room, "%s: %s", request->kernel, why.c_str());
    return why.empty() ? 0 : 1;
}
