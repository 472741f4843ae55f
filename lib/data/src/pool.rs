//! Memory of batches, used again when a batch is dropped.
//!
//! A batch of 64 images of 224 pixels is 9.6 MB, which the allocator would take from the system and
//! give back each time, page by page.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crossbeam_channel::{Receiver, Sender, bounded};

/// Returned memory that waits to be taken.
#[derive(Debug)]
pub(crate) struct Pool {
    home: Sender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
}

impl Pool {
    /// Keeps at most `most` pieces.
    pub(crate) fn new(most: usize) -> Self {
        let (home, returned) = bounded(most);
        Self { home, returned }
    }

    /// Bytes of any content.
    pub(crate) fn take(&self, length: usize) -> Pixels {
        let mut bytes = self.returned.try_recv().unwrap_or_default();
        bytes.resize(length, 0);
        Pixels { bytes, home: Some(self.home.clone()) }
    }
}

/// The pixels of a batch. Dropped, their memory goes back to the loader that made them.
pub struct Pixels {
    bytes: Vec<u8>,
    home: Option<Sender<Vec<u8>>>,
}

impl Drop for Pixels {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            // With the loader gone or its pool full, the memory is freed.
            let _ = home.try_send(std::mem::take(&mut self.bytes));
        }
    }
}

impl From<Vec<u8>> for Pixels {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, home: None }
    }
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Pixels {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Clone for Pixels {
    fn clone(&self) -> Self {
        Self::from(self.bytes.clone())
    }
}

impl PartialEq for Pixels {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_and_no_more_than_the_pool_holds() {
        let pool = Pool::new(1);
        let (first, second) = (pool.take(100), pool.take(100));
        let place = first.as_ptr();
        drop(first);
        drop(second);
        let third = pool.take(60);
        assert_eq!((third.as_ptr(), third.len()), (place, 60));
        assert_ne!(pool.take(60).as_ptr(), place);
        drop(pool);
        drop(third);
    }
}
