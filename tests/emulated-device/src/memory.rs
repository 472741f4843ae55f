//! Memory of the device, each piece before a page that cannot be touched, and page-locked memory of the host.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// As a float or a half of one it is no number.
const POISON: u8 = 0xff;

/// Addresses are multiples of this, as far as kernels look.
const ALIGNMENT: usize = 16;

/// An allocation: its first page, the length of its pages with the closed one, and its own.
#[derive(Clone, Copy)]
struct Pages {
    first: usize,
    room: usize,
    len: usize,
}

/// Every allocation by its address.
static DEVICE: Mutex<BTreeMap<u64, Pages>> = Mutex::new(BTreeMap::new());
/// Length of every page-locked piece by its address.
static PAGE_LOCKED: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

fn page() -> usize {
    // SAFETY: it only asks.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// So many bytes of device memory; `None` where the host has none.
pub(crate) fn allocate(len: usize) -> Option<u64> {
    let page = page();
    let room = len.max(1).next_multiple_of(page);
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new pages, of which the last is closed.
    let first = unsafe {
        let first = libc::mmap(std::ptr::null_mut(), room + page, protection, flags, -1, 0);
        if first == libc::MAP_FAILED {
            return None;
        }
        libc::mprotect(first.byte_add(room), page, libc::PROT_NONE);
        std::ptr::write_bytes(first.cast::<u8>(), POISON, room);
        first as usize
    };
    let address = (first + room - len.next_multiple_of(ALIGNMENT).min(room)) as u64;
    let mut all = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    all.insert(address, Pages { first, room: room + page, len });
    Some(address)
}

/// Whether an address is that of an allocation.
pub(crate) fn is_allocated(address: u64) -> bool {
    DEVICE.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&address)
}

/// Bytes of an allocation; 0 of none.
pub(crate) fn length(address: u64) -> usize {
    let all = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(&address).map_or(0, |pages| pages.len)
}

/// Frees an allocation.
pub(crate) fn free(address: u64) {
    let found = DEVICE.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
    if let Some(Pages { first, room, .. }) = found {
        // SAFETY: the pages of an allocation that nothing knows any more.
        unsafe { libc::munmap(first as *mut libc::c_void, room) };
    }
}

/// So many bytes of page-locked memory.
pub(crate) fn allocate_page_locked(len: usize) -> Option<u64> {
    let address = allocate(len)?;
    PAGE_LOCKED.lock().unwrap_or_else(PoisonError::into_inner).insert(address, len);
    Some(address)
}

/// Frees page-locked memory.
pub(crate) fn free_page_locked(address: u64) {
    PAGE_LOCKED.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
    free(address);
}

/// Whether bytes of the host are page-locked.
pub(crate) fn is_page_locked(address: u64, len: usize) -> bool {
    let all = PAGE_LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
    let before = all.range(..=address).next_back();
    before.is_some_and(|(&first, &room)| address as usize + len <= first as usize + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_as_nans_and_is_known_until_it_is_freed() {
        let address = allocate(40).unwrap();
        assert!(address.is_multiple_of(16) && is_allocated(address));
        // SAFETY: ten floats of the allocation.
        let values = unsafe { std::slice::from_raw_parts(address as *const f32, 10) };
        assert!(values.iter().all(|value| value.is_nan()));
        free(address);
        assert!(!is_allocated(address));
        let locked = allocate_page_locked(100).unwrap();
        assert!(is_page_locked(locked + 10, 90) && !is_page_locked(locked + 10, 91));
        free_page_locked(locked);
        assert!(!is_page_locked(locked, 1));
    }
}
