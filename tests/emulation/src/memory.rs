//! Buffers between pages that cannot be touched.

use std::io;

/// What lies in the rest of a buffer's pages.
const CANARY: u8 = 0xa5;

/// Which end of a buffer lies at a page that cannot be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first byte.
    Start,
    /// The last.
    End,
}

/// A copy of some bytes, with memory around it that cannot be touched.
#[derive(Debug)]
pub struct Guarded {
    pages: *mut u8,
    size: usize,
    page: usize,
    offset: usize,
    len: usize,
}

impl Guarded {
    /// Copies the bytes.
    ///
    /// # Errors
    /// When the system has no memory.
    pub fn new(bytes: &[u8], side: Side) -> io::Result<Self> {
        // SAFETY: asks for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let room = bytes.len().div_ceil(page).max(1) * page;
        let size = room + 2 * page;
        let (read_write, private) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: new memory, anywhere.
        let pages = unsafe { libc::mmap(std::ptr::null_mut(), size, read_write, private, -1, 0) };
        if pages == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let pages = pages.cast::<u8>();
        let offset = match side {
            Side::Start => page,
            Side::End => page + room - bytes.len(),
        };
        // SAFETY: all of it lies in the memory above; its first and last page are closed after it is filled.
        unsafe {
            std::ptr::write_bytes(pages, CANARY, size);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), pages.add(offset), bytes.len());
            libc::mprotect(pages.cast(), page, libc::PROT_NONE);
            libc::mprotect(pages.add(page + room).cast(), page, libc::PROT_NONE);
        }
        Ok(Self { pages, size, page, offset, len: bytes.len() })
    }

    /// Where the bytes are.
    pub fn address(&self) -> *const u8 {
        // SAFETY: inside the memory.
        unsafe { self.pages.add(self.offset) }
    }

    /// The bytes as they are now.
    pub fn bytes(&self) -> Vec<u8> {
        self.open()[self.offset - self.page..][..self.len].to_vec()
    }

    /// Whether nothing was written beside the bytes.
    pub fn is_intact(&self) -> bool {
        let (start, end) = (self.offset - self.page, self.offset - self.page + self.len);
        let open = self.open();
        open[..start].iter().chain(&open[end..]).all(|&byte| byte == CANARY)
    }

    /// The pages that can be touched.
    fn open(&self) -> &[u8] {
        // SAFETY: these pages are readable, initialised, and nobody writes to them while this is borrowed.
        unsafe { std::slice::from_raw_parts(self.pages.add(self.page), self.size - 2 * self.page) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the memory that `new` mapped, of which nothing is borrowed any more.
        unsafe { libc::munmap(self.pages.cast(), self.size) };
    }
}
