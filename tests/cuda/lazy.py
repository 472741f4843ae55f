#!/usr/bin/env python3
"""Makes static archives libcuda.a, libcublas.a, ... whose functions open the real library at their first call.

usage: lazy.py CUDARC FOLDER

CUDARC is the source folder of the crate cudarc, which says what functions there are. Candle has it link the
libraries themselves: a program so linked builds only where they all are, and starts only there. Linked with
these archives it builds and starts anywhere; without a driver its first call says that the driver is a stub. On a machine
with a device the libraries are found as any program's are, by the loader's path.

For x86-64 Linux, with cc and ar.
"""

import pathlib
import platform
import re
import subprocess
import sys

# Module of cudarc, name to link with, files to try, and what its functions return where there is none of them.
LIBRARIES = [
    ("driver", "cuda", ["libcuda.so.1", "libcuda.so"], 34),  # CUDA_ERROR_STUB_LIBRARY
    ("nvrtc", "nvrtc", ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"], 11),  # NVRTC_ERROR_INTERNAL_ERROR
    ("curand", "curand", ["libcurand.so.10", "libcurand.so"], 101),  # CURAND_STATUS_NOT_INITIALIZED
    ("cublas", "cublas", ["libcublas.so.13", "libcublas.so.12", "libcublas.so"], 1),  # CUBLAS_STATUS_NOT_INITIALIZED
    ("cublaslt", "cublasLt", ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"], 1),
]
# These return a text.
TEXTS = {
    "nvrtcGetErrorString",
    "cublasGetStatusName",
    "cublasGetStatusString",
    "cublasLtGetStatusName",
    "cublasLtGetStatusString",
}

RESOLVER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

static const char *const names[] = {{{names}}};
static const char *const files[] = {{{files}}};
__attribute__((visibility("hidden"))) void *lazy_{link}_slots[sizeof names / sizeof *names];

static void *library(void) {{
    static void *handle;
    for (size_t i = 0; !handle && i < sizeof files / sizeof *files; i++) {{
        handle = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
    }}
    return handle;
}}

static long absent(void) {{ return {code}; }}
static const char *absent_text(void) {{ return "the library {link} cannot be opened"; }}

__attribute__((visibility("hidden"))) void *lazy_{link}_resolve(unsigned long index) {{
    static const unsigned char texts[] = {{{texts}}};
    void *opened = library();
    void *function = opened ? dlsym(opened, names[index]) : NULL;
    if (function) {{
        __atomic_store_n(&lazy_{link}_slots[index], function, __ATOMIC_RELEASE);
        return function;
    }}
    return texts[index] ? (void *)absent_text : (void *)absent;
}}
"""

# Every register that may hold an argument is kept over the call of the resolver. On entry to lazy_LINK_first the index
# lies on the stack above the return address.
FIRST_CALL = """
.text
.hidden lazy_{link}_slots
.hidden lazy_{link}_resolve
lazy_{link}_first:
    pushq %rbp
    movq %rsp, %rbp
    {push}
    andq $-16, %rsp
    subq $128, %rsp
    {store}
    movq 8(%rbp), %rdi
    call lazy_{link}_resolve
    movq %rax, %r11
    {load}
    leaq -64(%rbp), %rsp
    {pop}
    popq %rbp
    addq $8, %rsp
    jmp *%r11
"""

FUNCTION = """
.globl {name}
.type {name}, @function
{name}:
    movq lazy_{link}_slots+{offset}(%rip), %r11
    testq %r11, %r11
    jz 1f
    jmp *%r11
1:  pushq ${index}
    jmp lazy_{link}_first
.size {name}, . - {name}
"""


def functions(cudarc, module):
    text = (cudarc / "src" / module / "sys" / "mod.rs").read_text()
    names = sorted(set(re.findall(r'extern "C" \{\s*fn (\w+)\(', text)))
    if not names:
        sys.exit(f"lazy.py: {cudarc}: no functions of {module}: is it another version of cudarc?")
    return names


def assembly(link, names):
    # The second %rax keeps the number of pushes even.
    registers = ["%rdi", "%rsi", "%rdx", "%rcx", "%r8", "%r9", "%rax", "%rax"]
    vectors = range(8)
    text = FIRST_CALL.format(
        link=link,
        push="; ".join(f"pushq {r}" for r in registers),
        store="; ".join(f"movups %xmm{i}, {16 * i}(%rsp)" for i in vectors),
        load="; ".join(f"movups {16 * i}(%rsp), %xmm{i}" for i in vectors),
        pop="; ".join(f"popq {r}" for r in reversed(registers)),
    )
    for index, name in enumerate(names):
        text += FUNCTION.format(link=link, name=name, offset=8 * index, index=index)
    return text + '.section .note.GNU-stack, "", @progbits\n'


def resolver(link, names, files, code):
    quoted = lambda texts: ", ".join(f'"{text}"' for text in texts)
    texts = ", ".join(str(int(name in TEXTS)) for name in names)
    return RESOLVER.format(link=link, names=quoted(names), files=quoted(files), code=code, texts=texts)


def archive(folder, link, sources):
    objects = []
    for suffix, text in sources:
        source = folder / f"{link}{suffix}"
        source.write_text(text)
        objects.append(source.with_name(f"{link}{suffix}.o"))
        subprocess.run(["cc", "-O2", "-fPIC", "-c", source, "-o", objects[-1]], check=True)
    target = folder / f"lib{link}.a"
    target.unlink(missing_ok=True)
    subprocess.run(["ar", "rcs", target, *objects], check=True)


def main(cudarc, folder):
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit("lazy.py: for x86-64 Linux only: link with the libraries of a CUDA toolkit instead")
    mark, made_by = folder / "made-by", f"{cudarc.name}\n{pathlib.Path(__file__).read_text()}"
    if mark.is_file() and mark.read_text() == made_by:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for module, link, files, code in LIBRARIES:
        names = functions(cudarc, module)
        archive(folder, link, [(".c", resolver(link, names, files, code)), (".s", assembly(link, names))])
    # Only Candle's quantised kernels call the runtime, and they are left out.
    archive(folder, "cudart", [(".c", "typedef int nothing;\n")])
    mark.write_text(made_by)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
