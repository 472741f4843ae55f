//! What the machine reaches with as many threads as the steps have.

use std::fmt;
use std::hint::black_box;
use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use cream_train::precision::Precision;
use rayon::prelude::*;

/// Side of the square matrices whose product is timed.
const SIDE: usize = 1024;
/// On another device the side is doubled, up to this, while a product takes less than so many seconds.
const LARGEST_SIDE: usize = 8192;
const LONG: f64 = 0.005;
/// Elements of each of the two buffers that are copied between, beyond any cache: 256 MiB.
const ELEMENTS: usize = 64 << 20;
/// Of so many tries the fastest counts: what slows others down is not the machine's rate.
const TRIES: usize = 10;

/// Rates of the arithmetic and of the memory.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Of the products.
    pub precision: Precision,
    /// Side of the square matrices that were multiplied.
    pub side: usize,
    /// Multiplications and additions of a matrix product in this precision.
    pub flops_per_second: f64,
    /// Bytes copied, counted where they are read and where they are written.
    pub bytes_per_second: f64,
}

impl Machine {
    /// Times a product and a copy on the present thread pool, or on another device.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn measure(device: &Device, precision: Precision) -> Result<Self> {
        let bytes_per_second =
            if device.is_cpu() { copy_rate() } else { device_copy_rate(device)? };
        let mut side = SIDE;
        let mut seconds = product_seconds(side, device, precision)?;
        while !device.is_cpu() && side < LARGEST_SIDE && seconds < LONG {
            side *= 2;
            seconds = product_seconds(side, device, precision)?;
        }
        let flops_per_second = 2.0 * (side as f64).powi(3) / seconds;
        Ok(Self { precision, side, flops_per_second, bytes_per_second })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flops, bytes) = (self.flops_per_second / 1e9, self.bytes_per_second / 1e9);
        let side = self.side;
        let precision = self.precision.name();
        write!(
            f,
            "{flops:.1} GFLOP/s in a {precision} product of {side} x {side}, {bytes:.1} GB/s in a copy"
        )
    }
}

/// Of a product of two square matrices, in the precision that the device was opened with.
fn product_seconds(side: usize, device: &Device, precision: Precision) -> Result<f64> {
    let values = |seed: usize| (0..side * side).map(move |i| ((i * 7 + seed) % 13) as f32 - 6.0);
    let matrix = |seed| {
        let values = Tensor::from_iter(values(seed), device)?;
        values.reshape((side, side))?.to_dtype(precision.dtype())
    };
    let (a, b) = (matrix(0)?, matrix(1)?);
    let product = || {
        drop(black_box(a.matmul(&b)?));
        device.synchronize()
    };
    fastest(product)
}

/// Of a copy within the device's memory, read and written.
fn device_copy_rate(device: &Device) -> Result<f64> {
    let from = Tensor::zeros(ELEMENTS, DType::F32, device)?;
    let copy = || {
        drop(black_box(from.copy()?));
        device.synchronize()
    };
    Ok(2.0 * 4.0 * ELEMENTS as f64 / fastest(copy)?)
}

fn copy_rate() -> f64 {
    let from = vec![1.0_f32; ELEMENTS];
    let mut to = vec![0.0_f32; ELEMENTS];
    let piece = ELEMENTS.div_ceil(rayon::current_num_threads());
    let copy = || {
        let pieces = to.par_chunks_mut(piece).zip(from.par_chunks(piece));
        pieces.for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&mut to);
        Ok(())
    };
    // A copy cannot fail.
    let seconds = fastest(copy).unwrap_or(f64::NAN);
    2.0 * 4.0 * ELEMENTS as f64 / seconds
}

/// Seconds of the fastest of the tries.
fn fastest(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut seconds = f64::INFINITY;
    for _ in 0..TRIES {
        let start = Instant::now();
        work()?;
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    Ok(seconds)
}
