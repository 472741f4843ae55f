//! Loops over rows `[rows, C]` with numbers of each channel, vector by vector.

mod backward;
mod forward;

use crate::ops::buffer::Pooled;
use crate::ops::lanes::{Access, Lanes, Part, Vectors, Whole};
use crate::ops::simd::with_level;
use cream_arch::Activation;
use pulp::Simd;

pub(super) use backward::{PieceSums, gradient, gradient_by_slope, input_gradient, sums};
pub(super) use forward::{activate, activate_with_slope, sum_activated, sum_rows};

/// What is done with W vectors of one row.
trait Kernel<T: Lanes> {
    /// `at` counts elements of the rows, `c` channels.
    ///
    /// # Safety
    /// All rows must be of one length, all vectors of channels have the channels, and what is accessed must lie inside.
    unsafe fn vectors<S: Simd, A: Access, const W: usize>(
        &self,
        simd: S,
        access: A,
        at: usize,
        c: usize,
    );
}

/// Runs a kernel over all of `len` elements.
///
/// # Safety
/// As [`Kernel::vectors`].
unsafe fn over_rows<T: Lanes>(kernel: &impl Kernel<T>, len: usize, channels: usize) {
    debug_assert!(len.is_multiple_of(channels));
    with_level!(rows_of_vectors(kernel, len, channels));
}

#[inline(always)]
fn rows_of_vectors<T: Lanes, S: Simd>(
    simd: S,
    kernel: &impl Kernel<T>,
    len: usize,
    channels: usize,
) {
    let lanes = T::lanes::<S>();
    let mut row = 0;
    while row < len {
        let mut c = 0;
        while c + 4 * lanes <= channels {
            // SAFETY: `over_rows` is called with what the kernel needs, and c stays inside the channels.
            unsafe { kernel.vectors::<S, _, 4>(simd, Whole, row + c, c) };
            c += 4 * lanes;
        }
        if c + 2 * lanes <= channels {
            // SAFETY: `over_rows` is called with what the kernel needs, and c stays inside the channels.
            unsafe { kernel.vectors::<S, _, 2>(simd, Whole, row + c, c) };
            c += 2 * lanes;
        }
        if c + lanes <= channels {
            // SAFETY: `over_rows` is called with what the kernel needs, and c stays inside the channels.
            unsafe { kernel.vectors::<S, _, 1>(simd, Whole, row + c, c) };
            c += lanes;
        }
        if c < channels {
            // SAFETY: `over_rows` is called with what the kernel needs, and c stays inside the channels.
            unsafe { kernel.vectors::<S, _, 1>(simd, Part(channels - c), row + c, c) };
        }
        row += channels;
    }
}

/// Mean, scale and bias of each channel: z = (x - mean) * scale + bias.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a, T> {
    pub(super) mean: &'a [T],
    pub(super) scale: &'a [T],
    pub(super) bias: &'a [T],
    pub(super) activation: Activation,
}

impl<T: Pooled> Affine<'_, T> {
    /// The vectors' common length, which they are held to.
    fn channels(&self) -> usize {
        assert!(self.scale.len() == self.mean.len() && self.bias.len() == self.mean.len());
        self.mean.len()
    }

    /// x - mean and z of W vectors.
    ///
    /// # Safety
    /// As [`Kernel::vectors`].
    #[inline(always)]
    unsafe fn centred<S: Simd, A: Access, const W: usize>(
        &self,
        simd: S,
        access: A,
        x: *const T,
        c: usize,
    ) -> (Vectors<T, S, W>, Vectors<T, S, W>) {
        let zero = T::splat(simd, T::zero());
        let (mut centred, mut z) = ([zero; W], [zero; W]);
        for w in 0..W {
            let (at, c) = (w * T::lanes::<S>(), c + w * T::lanes::<S>());
            // SAFETY: the caller's promise.
            unsafe {
                let mean = access.load::<T, S>(simd, self.mean.as_ptr().add(c));
                let scale = access.load::<T, S>(simd, self.scale.as_ptr().add(c));
                let bias = access.load::<T, S>(simd, self.bias.as_ptr().add(c));
                centred[w] = T::minus(simd, access.load::<T, S>(simd, x.add(at)), mean);
                z[w] = T::mul_add(simd, centred[w], scale, bias);
            }
        }
        (centred, z)
    }
}

/// `sums += v`.
///
/// # Safety
/// As [`Kernel::vectors`].
#[inline(always)]
unsafe fn add_to<T: Lanes, S: Simd, A: Access>(simd: S, access: A, sums: *mut T, v: T::Vector<S>) {
    // SAFETY: the caller's promise.
    unsafe {
        let sum = T::plus(simd, access.load::<T, S>(simd, sums), v);
        access.store::<T, S>(simd, sums, sum);
    }
}
