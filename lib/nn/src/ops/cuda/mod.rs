//! What the launchers of CUDA kernels share. Every operator has its own in `cuda.rs`, beside its `kernel.cu`.
//!
//! Kernels run on Candle's stream of the device, in the order of the calls, and nothing here waits for it. A tensor's
//! memory is freed on the same stream, so that a kernel which was launched before has its memory until it is done.

use std::sync::atomic::{AtomicU64, Ordering};

/// Kernels of this crate that the process has launched. Those of Candle and cuBLAS are not counted.
static LAUNCHES: AtomicU64 = AtomicU64::new(0);

/// How many kernels of this crate the process has launched so far.
pub fn launches() -> u64 {
    LAUNCHES.load(Ordering::Relaxed)
}
