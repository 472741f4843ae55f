//! The functions of the driver that cudarc calls for Candle and for the operators. Statuses are those of CUresult.

use crate::kernel::{Function, Grid, stop};
use crate::machine::machine;
use crate::memory;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

const SUCCESS: c_int = 0;
const INVALID_VALUE: c_int = 1;
const OUT_OF_MEMORY: c_int = 2;
const INVALID_DEVICE: c_int = 101;
const NOT_FOUND: c_int = 500;
const NOT_READY: c_int = 600;

/// The one context, which is also that of every thread.
const CONTEXT: u64 = 0xc0;

const NAME: &CStr = c"emulated device";

/// Memory that the device says it has; `EMULATED_DEVICE_BYTES` makes it less.
fn room() -> u64 {
    const ROOM: u64 = 1 << 34;
    std::env::var("EMULATED_DEVICE_BYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(ROOM)
}

/// Bytes of the device that are taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Puts a value where a caller wants it.
///
/// # Safety
/// There must be room for it.
unsafe fn give<T>(to: *mut T, value: T) -> c_int {
    if to.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: as the caller promises.
    unsafe { to.write(value) };
    SUCCESS
}

/// Begins.
#[unsafe(no_mangle)]
pub extern "C" fn cuInit(_: c_uint) -> c_int {
    SUCCESS
}

/// One device.
///
/// # Safety
/// There must be room for the number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { give(count, 1) }
}

/// The device of an ordinal.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> c_int {
    if ordinal != 0 {
        return INVALID_DEVICE;
    }
    // SAFETY: as the caller promises.
    unsafe { give(device, 0) }
}

/// Its name.
///
/// # Safety
/// There must be room for so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, room: c_int, _: c_int) -> c_int {
    let bytes = NAME.to_bytes_with_nul();
    if usize::try_from(room).unwrap_or(0) < bytes.len() {
        return INVALID_VALUE;
    }
    // SAFETY: as the caller promises.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), name, bytes.len()) };
    SUCCESS
}

/// Compute capability 8.0, with memory pools; 0 for all else.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetAttribute(
    value: *mut c_int,
    attribute: c_int,
    _: c_int,
) -> c_int {
    const CAPABILITY_MAJOR: c_int = 75;
    const MEMORY_POOLS: c_int = 115;
    let known = match attribute {
        CAPABILITY_MAJOR => 8,
        MEMORY_POOLS => 1,
        _ => 0,
    };
    // SAFETY: as the caller promises.
    unsafe { give(value, known) }
}

/// Free and all memory.
///
/// # Safety
/// There must be room for both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, all: *mut usize) -> c_int {
    let left = room().saturating_sub(TAKEN.load(Ordering::Relaxed));
    // SAFETY: as the caller promises.
    unsafe {
        give(free, left as usize);
        give(all, room() as usize)
    }
}

/// The context.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut u64, _: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { give(context, CONTEXT) }
}

/// It stays.
#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxRelease_v2(_: c_int) -> c_int {
    SUCCESS
}

/// The context of the thread.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetCurrent(context: *mut u64) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { give(context, CONTEXT) }
}

/// There is but one.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetCurrent(_: u64) -> c_int {
    SUCCESS
}

/// Does everything.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSynchronize() -> c_int {
    machine().finish_all();
    SUCCESS
}

/// The pool.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetDefaultMemPool(pool: *mut u64, _: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { give(pool, 1) }
}

/// Nothing is kept, whatever is asked for.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemPoolSetAttribute(_: u64, _: c_int, _: *mut c_void) -> c_int {
    SUCCESS
}

/// Memory of the device.
///
/// # Safety
/// There must be room for the address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocAsync(address: *mut u64, len: usize, _: u64) -> c_int {
    let taken = TAKEN.fetch_add(len as u64, Ordering::Relaxed);
    if taken + len as u64 > room() {
        // As freeing is, so far, only work that waits.
        machine().finish_all();
        if TAKEN.load(Ordering::Relaxed) > room() {
            TAKEN.fetch_sub(len as u64, Ordering::Relaxed);
            return OUT_OF_MEMORY;
        }
    }
    match memory::allocate(len) {
        // SAFETY: as the caller promises.
        Some(found) => unsafe { give(address, found) },
        None => OUT_OF_MEMORY,
    }
}

/// Frees memory of the device, behind what is in the stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemFreeAsync(address: u64, stream: u64) -> c_int {
    machine().work(stream, move || {
        if !memory::is_allocated(address) {
            stop("memory is freed that is not allocated");
        }
        TAKEN.fetch_sub(memory::length(address) as u64, Ordering::Relaxed);
        memory::free(address);
    });
    SUCCESS
}

/// Page-locked memory.
///
/// # Safety
/// There must be room for the address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemHostAlloc(address: *mut u64, len: usize, _: c_uint) -> c_int {
    match memory::allocate_page_locked(len) {
        // SAFETY: as the caller promises.
        Some(found) => unsafe { give(address, found) },
        None => OUT_OF_MEMORY,
    }
}

/// Frees page-locked memory, once all is done.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemFreeHost(address: u64) -> c_int {
    machine().finish_all();
    memory::free_page_locked(address);
    SUCCESS
}

/// # Safety
/// Both places must have so many bytes.
unsafe fn copy(to: u64, from: u64, len: usize) {
    // SAFETY: as the caller promises.
    unsafe { std::ptr::copy(from as *const u8, to as *mut u8, len) };
}

/// To the device. Memory that is not page-locked is read at once.
///
/// # Safety
/// Both places must have so many bytes, page-locked ones when the copy is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const u8,
    len: usize,
    stream: u64,
) -> c_int {
    if memory::is_page_locked(from as u64, len) {
        let from = from as u64;
        // SAFETY: as the caller promises.
        machine().work(stream, move || unsafe { copy(to, from, len) });
    } else {
        // SAFETY: as the caller promises.
        let bytes = unsafe { std::slice::from_raw_parts(from, len) }.to_vec();
        // SAFETY: the device's bytes as the caller promises, the others are the vector's.
        machine().work(stream, move || unsafe { copy(to, bytes.as_ptr() as u64, bytes.len()) });
    }
    SUCCESS
}

/// To the host. To memory that is not page-locked the copy is done at once, as is all before it.
///
/// # Safety
/// Both places must have so many bytes, page-locked ones when the copy is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    to: *mut u8,
    from: u64,
    len: usize,
    stream: u64,
) -> c_int {
    let to = to as u64;
    let mut machine = machine();
    // SAFETY: as the caller promises.
    machine.work(stream, move || unsafe { copy(to, from, len) });
    if !memory::is_page_locked(to, len) {
        machine.finish(stream);
    }
    SUCCESS
}

/// On the device.
///
/// # Safety
/// Both places must have so many bytes when the copy is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoDAsync_v2(
    to: u64,
    from: u64,
    len: usize,
    stream: u64,
) -> c_int {
    // SAFETY: as the caller promises.
    machine().work(stream, move || unsafe { copy(to, from, len) });
    SUCCESS
}

/// Bytes of one value.
///
/// # Safety
/// There must be so many bytes when it is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemsetD8Async(to: u64, value: u8, len: usize, stream: u64) -> c_int {
    // SAFETY: as the caller promises.
    machine().work(stream, move || unsafe { std::ptr::write_bytes(to as *mut u8, value, len) });
    SUCCESS
}

/// A stream.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreate(stream: *mut u64, _: c_uint) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { give(stream, machine().handle()) }
}

/// What is in it is done still.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamDestroy_v2(stream: u64) -> c_int {
    machine().finish(stream);
    SUCCESS
}

/// Does what is in a stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamSynchronize(stream: u64) -> c_int {
    machine().finish(stream);
    SUCCESS
}

/// Lets a stream wait for an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamWaitEvent(stream: u64, event: u64, _: c_uint) -> c_int {
    machine().wait(stream, event);
    SUCCESS
}

/// Nothing is captured.
///
/// # Safety
/// There must be room for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamIsCapturing(_: u64, status: *mut c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { give(status, 0) }
}

/// An event.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventCreate(event: *mut u64, _: c_uint) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { give(event, machine().handle()) }
}

/// Forgets an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventDestroy_v2(event: u64) -> c_int {
    machine().forget(event);
    SUCCESS
}

/// Records an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventRecord(event: u64, stream: u64) -> c_int {
    machine().record(event, stream);
    SUCCESS
}

/// Whether all is done that an event was recorded behind.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventQuery(event: u64) -> c_int {
    if machine().query(event) { SUCCESS } else { NOT_READY }
}

/// Does all that an event was recorded behind.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventSynchronize(event: u64) -> c_int {
    machine().reach(event);
    SUCCESS
}

/// A module; which one does not matter, as names of kernels differ.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadData(module: *mut u64, _: *const c_void) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { give(module, 1) }
}

/// There is nothing to free.
#[unsafe(no_mangle)]
pub extern "C" fn cuModuleUnload(_: u64) -> c_int {
    SUCCESS
}

/// A function of this name.
///
/// # Safety
/// The name must be a C string, and there must be room for the function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetFunction(
    function: *mut *const c_void,
    _: u64,
    name: *const c_char,
) -> c_int {
    // SAFETY: as the caller promises.
    let name = unsafe { CStr::from_ptr(name) };
    let Some(found) = Function::named(name) else {
        eprintln!("emulated device: there is no kernel {}", name.to_string_lossy());
        return NOT_FOUND;
    };
    let found: *const Function = Box::leak(Box::new(found));
    // SAFETY: as the caller promises.
    unsafe { give(function, found.cast()) }
}

/// Puts a launch into a stream.
///
/// # Safety
/// The function must come from here, and the parameters must be its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuLaunchKernel(
    function: *const c_void,
    blocks_x: c_uint,
    blocks_y: c_uint,
    blocks_z: c_uint,
    threads_x: c_uint,
    threads_y: c_uint,
    threads_z: c_uint,
    shared: c_uint,
    stream: u64,
    parameters: *const *const c_void,
    _: *const *const c_void,
) -> c_int {
    let (blocks, threads) = ([blocks_x, blocks_y, blocks_z], [threads_x, threads_y, threads_z]);
    if blocks.contains(&0) || threads.contains(&0) || blocks_y > 65_535 || blocks_z > 65_535 {
        return INVALID_VALUE;
    }
    let grid = Grid { blocks, threads, shared: shared as usize };
    // SAFETY: as the caller promises.
    let work = unsafe { (*function.cast::<Function>()).launch(grid, parameters) };
    machine().work(stream, work);
    SUCCESS
}

/// The name of a status.
///
/// # Safety
/// There must be room for the address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorName(status: c_int, name: *mut *const c_char) -> c_int {
    let text = match status {
        SUCCESS => c"CUDA_SUCCESS",
        INVALID_VALUE => c"CUDA_ERROR_INVALID_VALUE",
        OUT_OF_MEMORY => c"CUDA_ERROR_OUT_OF_MEMORY",
        INVALID_DEVICE => c"CUDA_ERROR_INVALID_DEVICE",
        NOT_FOUND => c"CUDA_ERROR_NOT_FOUND",
        NOT_READY => c"CUDA_ERROR_NOT_READY",
        _ => c"CUDA_ERROR_UNKNOWN",
    };
    // SAFETY: as the caller promises.
    unsafe { give(name, text.as_ptr()) }
}

/// The same, for people.
///
/// # Safety
/// As for [`cuGetErrorName`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorString(status: c_int, text: *mut *const c_char) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { cuGetErrorName(status, text) }
}
