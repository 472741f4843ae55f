//! Page-locked memory that the process keeps: to lock pages takes longer than most copies, and waits for the device.

use candle_core::Result;
use candle_core::cuda::{CudaDevice, WrapErr};
use cudarc::driver::sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
use cudarc::driver::{CudaEvent, CudaStream, PinnedHostSlice};
use std::sync::{Mutex, PoisonError};

/// Memory that nobody has at the moment, though the device may still be copying from or to some of it.
static KEPT: Mutex<Vec<PageLocked>> = Mutex::new(Vec::new());

/// A piece of it, which goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Piece(Option<PageLocked>);

#[derive(Debug)]
struct PageLocked {
    memory: PinnedHostSlice<u8>,
    /// The end of the last copy.
    copied: CudaEvent,
}

impl Piece {
    /// At least `len` bytes of any content, which no copy uses any more.
    ///
    /// # Errors
    /// When the system locks no more pages.
    pub(super) fn of(len: usize, device: &CudaDevice) -> Result<Self> {
        let stream = device.cuda_stream();
        let context = stream.context();
        let fits = |piece: &PageLocked| {
            piece.memory.context() == context
                && piece.memory.len() >= len
                // Not far larger, or small pieces would hold what large ones need.
                && piece.memory.len() / 4 <= len.max(ALIGNMENT)
                && piece.copied.is_complete()
        };
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = kept.iter().position(fits) {
            return Ok(Self(Some(kept.swap_remove(place))));
        }
        drop(kept);
        let len = len.max(1).next_multiple_of(ALIGNMENT);
        // Not write-combined: pieces are read too. Their first content is never read before it is written.
        // SAFETY: bytes have no invalid values.
        let memory = unsafe { context.alloc_pinned_with_flags::<u8>(len, 0) }.w()?;
        let copied = context.new_event(Some(CU_EVENT_DISABLE_TIMING)).w()?;
        Ok(Self(Some(PageLocked { memory, copied })))
    }

    fn inner(&mut self) -> Result<&mut PageLocked> {
        match &mut self.0 {
            Some(inner) => Ok(inner),
            None => candle_core::bail!("page-locked memory after its end"),
        }
    }

    /// The bytes. They must not be touched between a copy's beginning and its end.
    pub(super) fn bytes(&mut self) -> Result<&mut [u8]> {
        self.inner()?.memory.as_mut_slice().w()
    }

    /// Says that the copy of these bytes has been put into `stream`.
    pub(super) fn begun(&mut self, stream: &CudaStream) -> Result<()> {
        self.inner()?.copied.record(stream).w()
    }

    /// Waits for the end of the last copy.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.inner()?.copied.synchronize().w()
    }

    /// Makes work that is put into `stream` from now on wait for the end of the last copy.
    pub(super) fn hold(&self, stream: &CudaStream) -> Result<()> {
        match &self.0 {
            Some(inner) => stream.wait(&inner.copied).w(),
            None => Ok(()),
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(inner) = self.0.take() {
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(inner);
        }
    }
}

/// Sizes are multiples of a page.
const ALIGNMENT: usize = 4096;
