// Watches accesses to memory. Kernels are compiled with the instrumentation of a thread sanitizer, whose runtime this is.
//
// For every byte of the buffers and of shared memory it knows who read and wrote it last, and finds accesses outside a
// buffer, of memory that nobody has written, and of two threads with no barrier between them of which one writes. What is
// not instrumented, such as a call of memcpy, is left to the pages and patterns around the buffers.
#include "watch.h"

#include <algorithm>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace emulation {

std::vector<std::unique_ptr<Buffer>> buffers;

namespace {

constexpr char PATTERN = '\xa5';
// As a float or a half of one it is no number.
constexpr char POISON = '\xff';

// What a block may have of shared memory, and what lies between its variables here.
constexpr size_t MOST_SHARED = 48 << 10, GAP = 256;

// A variable in shared memory, known by its key, and the last block that had it.
struct Variable {
    const void *key;
    char *first;
    const char *name;
    std::vector<Byte> bytes;
    uint32_t block;
};
std::vector<Variable> variables;
alignas(GAP) char shared_memory[4 * MOST_SHARED];

// Whether an earlier access of another thread may come at the same time as this one.
bool unordered(const Now &then, const Now &at) {
    if (then.block == 0 || (then.block == at.block && then.thread == at.thread)) {
        return false;
    }
    bool same_warp = then.thread / 32 == at.thread / 32;
    return then.block != at.block ||
           (then.barriers == at.barriers && !(same_warp && then.warp_barriers != at.warp_barriers));
}

// Whether a write may come at the same time as one of the reads.
bool meets_reads(const Byte &byte, const Now &at) {
    const Now &then = byte.read.at;
    if (byte.readers == ONE_THREAD || then.block == 0 || then.block != at.block) {
        return byte.readers == BLOCKS || unordered(then, at);
    }
    bool same_warp = then.thread / 32 == at.thread / 32;
    bool ordered_in_warp = byte.readers == ONE_WARP && same_warp && then.warp_barriers != at.warp_barriers;
    return byte.readers == BLOCKS || (then.barriers == at.barriers && !ordered_in_warp);
}

void note_read(Byte &byte, const Now &at, bool atomic) {
    const Now &then = byte.read.at;
    if (!unordered(then, at)) {
        bool apart = then.block != at.block || then.barriers != at.barriers;
        bool apart_in_warp = byte.readers == ONE_WARP && then.warp_barriers != at.warp_barriers;
        // Earlier readers are all before this one, and need not be known any more.
        byte.readers = byte.readers != BLOCKS && (apart || apart_in_warp) ? ONE_THREAD : byte.readers;
    } else if (then.block != at.block) {
        byte.readers = BLOCKS;
    } else if (byte.readers != BLOCKS) {
        byte.readers = then.thread / 32 == at.thread / 32 && byte.readers != ONE_BLOCK ? ONE_WARP : ONE_BLOCK;
    }
    byte.read = {at, atomic};
}

std::string thread_name(uint32_t thread) {
    Index t = here.threads;
    return "thread (" + std::to_string(thread % t.x) + ", " + std::to_string(thread / t.x % t.y) + ")";
}

const char *verb(Access kind) { return kind == Access::READ ? "reads" : kind == Access::WRITE ? "writes" : "changes"; }

// Memory that is watched, by byte.
struct Watched {
    std::vector<Byte> &bytes;
    const char *name;
    // Whether there is something in it before anybody writes.
    bool has_content;
    // Whether every block has its own.
    bool of_block;
};

[[noreturn]] void fail_at(const Watched &memory, size_t i, Access kind, const std::string &why) {
    fail(std::string(verb(kind)) + " byte " + std::to_string((ptrdiff_t)i) + " of " + memory.name + ", " + why);
}

[[noreturn]] void race(const Watched &memory, size_t i, Access kind, const Now &then, const char *did) {
    std::string whose = then.block == now().block ? "" : " of another block";
    fail_at(memory, i, kind, "which " + thread_name(then.thread) + whose + " " + did + " with no barrier between them");
}

void check_byte(const Watched &memory, size_t i, Access kind, const Now &at) {
    Byte &byte = memory.bytes[i];
    bool atomic = kind == Access::ATOMIC;
    if (memory.of_block && byte.written.at.block != at.block && byte.read.at.block != at.block) {
        byte = Byte();
    }
    if (unordered(byte.written.at, at) && !(atomic && byte.written.atomic)) {
        race(memory, i, kind, byte.written.at, "writes");
    }
    if (kind != Access::READ && meets_reads(byte, at) && !(atomic && byte.read.atomic)) {
        race(memory, i, kind, byte.read.at, "reads");
    }
    if (kind != Access::WRITE) {
        if (byte.written.at.block == 0 && !memory.has_content) {
            fail_at(memory, i, kind, "which nobody has written");
        }
        note_read(byte, at, atomic);
    }
    if (kind != Access::READ) {
        byte.written = {at, atomic};
    }
}

void check_all(const Watched &memory, size_t first, size_t count, Access kind) {
    if (first >= memory.bytes.size() || count > memory.bytes.size() - first) {
        fail_at(memory, first, kind, "which has " + std::to_string(memory.bytes.size()));
    }
    if (first % (count & -count) != 0) {
        fail_at(memory, first, kind, "which is no multiple of the " + std::to_string(count) + " bytes of a vector");
    }
    Now at = now();
    for (size_t i = first; i < first + count; i++) {
        check_byte(memory, i, kind, at);
    }
}

} // namespace

void *share(size_t count, const void *key, const char *name) {
    auto same = [key](const Variable &variable) { return variable.key == key; };
    auto found = std::find_if(variables.begin(), variables.end(), same);
    if (found == variables.end()) {
        size_t place = GAP, all = count;
        for (const Variable &variable : variables) {
            place = variable.first - shared_memory + (variable.bytes.size() / GAP + 2) * GAP;
            all += variable.bytes.size();
        }
        if (all > MOST_SHARED) {
            fail("has " + std::to_string(all) + " bytes of shared memory, more than a device has to give");
        }
        found = variables.insert(found, {key, shared_memory + place, name, std::vector<Byte>(count), 0});
    }
    if (found->block != now().block) {
        found->block = now().block;
        memset(found->first, POISON, count);
    }
    return found->first;
}

void forget_shared() { variables.clear(); }

namespace {

void access_shared(const char *at, size_t count, Access kind) {
    for (Variable &variable : variables) {
        ptrdiff_t i = at - variable.first;
        if (variable.block == now().block && i >= 0 && (size_t)i < variable.bytes.size()) {
            check_all({variable.bytes, variable.name, false, true}, i, count, kind);
            return;
        }
    }
    fail(std::string(verb(kind)) + " shared memory beside all variables");
}

} // namespace

void access(const void *address, size_t count, Access kind) {
    auto at = static_cast<const char *>(address);
    if (at >= shared_memory && at < shared_memory + sizeof shared_memory) {
        access_shared(at, count, kind);
        return;
    }
    for (const auto &buffer : buffers) {
        if (buffer->has_near(at)) {
            Watched watched = {buffer->bytes, buffer->name.c_str(), buffer->role != Role::OUTPUT, false};
            if (buffer->role == Role::INPUT && kind != Access::READ) {
                fail_at(watched, at - buffer->first, kind, "which is an input");
            }
            check_all(watched, at - buffer->first, count, kind);
            return;
        }
    }
}

Buffer::Buffer(size_t number, const void *content, size_t count, Role role, bool at_end)
    : count(count), role(role), bytes(count), name("buffer " + std::to_string(number)) {
    size_t page = sysconf(_SC_PAGESIZE);
    room = (count / page + 3) * page;
    void *mapped = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        throw std::bad_alloc();
    }
    pages = static_cast<char *>(mapped);
    memset(pages, PATTERN, room);
    // Vectors of 16 bytes must lie at multiples of that.
    first = at_end ? pages + (room - page - count) / 16 * 16 : pages + page;
    if (role == Role::OUTPUT) {
        memset(first, POISON, count);
    } else if (count > 0) {
        memcpy(first, content, count);
    }
    mprotect(pages, page, PROT_NONE);
    mprotect(pages + room - page, page, PROT_NONE);
}

Buffer::~Buffer() { munmap(pages, room); }

bool Buffer::has_near(const void *address) const { return address >= pages && address < pages + room; }

std::string Buffer::complaint() const {
    size_t page = sysconf(_SC_PAGESIZE);
    for (const char *at = pages + page; at < pages + room - page; at++) {
        if ((at < first || at >= first + count) && *at != PATTERN) {
            return "something was written beside " + name + ": at byte " + std::to_string(at - first);
        }
    }
    for (size_t i = 0; role == Role::OUTPUT && i < count; i++) {
        if (bytes[i].written.at.block == 0) {
            return "nobody writes byte " + std::to_string(i) + " of " + name;
        }
    }
    return "";
}

} // namespace emulation
