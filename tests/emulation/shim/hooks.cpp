// What the instrumentation of a thread sanitizer calls, as GCC and Clang name it.
#include "watch.h"

using emulation::Access;
using emulation::access;

extern "C" {

#define OF_SIZE(size)                                                                                                  \
    void __tsan_read##size(void *at) { access(at, size, Access::READ); }                                               \
    void __tsan_write##size(void *at) { access(at, size, Access::WRITE); }
OF_SIZE(1) OF_SIZE(2) OF_SIZE(4) OF_SIZE(8) OF_SIZE(16)

// A whole struct: it may have any size and lie anywhere.
#define ANYWHERE(name, kind)                                                                                           \
    void name(void *at, size_t count) {                                                                                \
        for (size_t i = 0; i < count; i++) {                                                                           \
            access(static_cast<char *>(at) + i, 1, kind);                                                              \
        }                                                                                                              \
    }
ANYWHERE(__tsan_read_range, Access::READ)
ANYWHERE(__tsan_write_range, Access::WRITE)

#define UNALIGNED(size)                                                                                                \
    void __tsan_unaligned_read##size(void *at) { __tsan_read_range(at, size); }                                        \
    void __tsan_unaligned_write##size(void *at) { __tsan_write_range(at, size); }
UNALIGNED(2) UNALIGNED(4) UNALIGNED(8) UNALIGNED(16)

// Clang's names for calls that it puts in place of the plain ones.
void *__tsan_memcpy(void *to, const void *from, size_t count) {
    __tsan_read_range(const_cast<void *>(from), count);
    __tsan_write_range(to, count);
    return memcpy(to, from, count);
}
void *__tsan_memmove(void *to, const void *from, size_t count) {
    __tsan_read_range(const_cast<void *>(from), count);
    __tsan_write_range(to, count);
    return memmove(to, from, count);
}
void *__tsan_memset(void *to, int value, size_t count) {
    __tsan_write_range(to, count);
    return memset(to, value, count);
}

void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
}
