//! Memory of this process.

/// The most memory that has been resident at once, in bytes; `None` where the system does not say.
pub fn peak() -> Option<u64> {
    #[cfg(unix)]
    {
        // SAFETY: all bytes zero are a valid value of this plain struct, which the call then fills.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live value of the right type.
        let status = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
        // Kilobytes, but for Apple's bytes.
        let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
        if status == 0 {
            return u64::try_from(usage.ru_maxrss).ok().map(|n| n * unit);
        }
    }
    None
}

/// A line for people about [`peak`].
pub(crate) fn summary() -> Option<String> {
    Some(format!("peak memory {} MB", peak()? / 1_000_000))
}

/// Asks the C library's allocator to keep what is freed. A training step frees and takes hundreds of buffers; given back
/// to the system, each would be cleared and mapped anew. Other allocators are left as they are.
pub(crate) fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // The allocator takes no larger threshold than this for memory of its own.
        const LARGEST: libc::c_int = 32 << 20;
        // SAFETY: both calls only set the allocator's parameters.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        }
    }
}
