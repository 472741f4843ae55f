//! The inner loops of depthwise convolutions, on rows of pixels `[W, C]` that have all the zeros they need around them.
//!
//! A few vectors of channels of a few pixels stay in registers over all taps.

use crate::ops::lanes::{Access, Lanes, Part, Whole};
use crate::ops::simd::with_level;
use pulp::Simd;

/// One term of a weighted sum of rows.
#[derive(Clone, Copy)]
pub(crate) struct Tap<'a, T> {
    /// A row of pixels, from the one that the first output pixel takes.
    pub(crate) source: &'a [T],
    /// A factor per channel.
    pub(crate) weight: &'a [T],
}

/// How a row of outputs lies.
#[derive(Clone, Copy)]
pub(crate) struct Outputs {
    /// How many there are.
    pub(crate) count: usize,
    pub(crate) channels: usize,
    /// Pixels between those that neighbouring outputs take.
    pub(crate) source_step: usize,
    /// Pixels between the outputs.
    pub(crate) step: usize,
}

/// `out[j * step, c] = sum over taps of source[j * source_step, c] * weight[c]` for j below `count`.
pub(crate) fn weighted_row<T: Lanes>(out: &mut [T], taps: &[Tap<'_, T>], outputs: Outputs) {
    let Outputs { count, channels, source_step, step } = outputs;
    let needed = |step: usize| (count - 1) * step * channels + channels;
    assert!(count > 0 && out.len() >= needed(step));
    for tap in taps {
        assert!(tap.source.len() >= needed(source_step) && tap.weight.len() >= channels);
    }
    with_level!(weighted_channels(out, taps, outputs));
}

#[inline(always)]
fn weighted_channels<T: Lanes, S: Simd>(
    simd: S,
    out: &mut [T],
    taps: &[Tap<'_, T>],
    outputs: Outputs,
) {
    let (lanes, channels) = (T::lanes::<S>(), outputs.channels);
    let mut c = 0;
    while c + 2 * lanes <= channels {
        // SAFETY: the block lies inside the channels, and the lengths have been asserted.
        unsafe { weighted_block::<T, S, _, 2>(simd, Whole, out, taps, outputs, c) };
        c += 2 * lanes;
    }
    if c + lanes <= channels {
        // SAFETY: the block lies inside the channels, and the lengths have been asserted.
        unsafe { weighted_block::<T, S, _, 1>(simd, Whole, out, taps, outputs, c) };
        c += lanes;
    }
    if c < channels {
        let part = Part(channels - c);
        // SAFETY: the block lies inside the channels, and the lengths have been asserted.
        unsafe { weighted_block::<T, S, _, 1>(simd, part, out, taps, outputs, c) };
    }
}

/// W vectors of channels from c on, of every output.
///
/// # Safety
/// Slices must have the lengths that [`weighted_row`] asserts, and the vectors must lie inside the channels.
#[inline(always)]
unsafe fn weighted_block<T: Lanes, S: Simd, A: Access, const W: usize>(
    simd: S,
    access: A,
    out: &mut [T],
    taps: &[Tap<'_, T>],
    outputs: Outputs,
    c: usize,
) {
    let mut j = 0;
    while j + 4 <= outputs.count {
        // SAFETY: the caller's promise; j + 4 <= count.
        unsafe { weighted_pixels::<T, S, A, W, 4>(simd, access, out, taps, outputs, j, c) };
        j += 4;
    }
    while j < outputs.count {
        // SAFETY: the caller's promise; j < count.
        unsafe { weighted_pixels::<T, S, A, W, 1>(simd, access, out, taps, outputs, j, c) };
        j += 1;
    }
}

/// P outputs from j on.
///
/// # Safety
/// As [`weighted_block`], and j + P must be at most the count.
#[inline(always)]
unsafe fn weighted_pixels<T: Lanes, S: Simd, A: Access, const W: usize, const P: usize>(
    simd: S,
    access: A,
    out: &mut [T],
    taps: &[Tap<'_, T>],
    outputs: Outputs,
    j: usize,
    c: usize,
) {
    let (lanes, channels) = (T::lanes::<S>(), outputs.channels);
    let mut sums = [[T::splat(simd, T::zero()); W]; P];
    for tap in taps {
        for w in 0..W {
            // SAFETY: the caller's promise.
            unsafe {
                let weight = access.load::<T, S>(simd, tap.weight.as_ptr().add(c + w * lanes));
                for (p, sums) in sums.iter_mut().enumerate() {
                    let at = (j + p) * outputs.source_step * channels + c + w * lanes;
                    let x = access.load::<T, S>(simd, tap.source.as_ptr().add(at));
                    sums[w] = T::mul_add(simd, x, weight, sums[w]);
                }
            }
        }
    }
    for (p, sums) in sums.iter().enumerate() {
        for (w, &sum) in sums.iter().enumerate() {
            let at = (j + p) * outputs.step * channels + c + w * lanes;
            debug_assert!(at + access.count::<T, S>() <= out.len());
            // SAFETY: the caller's promise.
            unsafe { access.store::<T, S>(simd, out.as_mut_ptr().add(at), sum) };
        }
    }
}

/// `sums[b, c] += sum over j of dy[j, c] * x[j * step + b, c]` for every tap b of one kernel row.
pub(crate) fn weight_gradient_row<T: Lanes>(
    sums: &mut [T],
    dy: &[T],
    x: &[T],
    step: usize,
    channels: usize,
) {
    let (taps, count) = (sums.len() / channels, dy.len() / channels);
    assert!(count > 0 && x.len() >= ((count - 1) * step + taps) * channels);
    with_level!(gradient_taps(sums, dy, x, step, channels));
}

#[inline(always)]
fn gradient_taps<T: Lanes, S: Simd>(
    simd: S,
    sums: &mut [T],
    dy: &[T],
    x: &[T],
    step: usize,
    channels: usize,
) {
    let taps = sums.len() / channels;
    let mut b = 0;
    while b < taps {
        let (sums, x) = (&mut sums[b * channels..], &x[b * channels..]);
        b += match taps - b {
            7.. => gradient_channels::<T, S, 1, 7>(simd, sums, dy, x, step, channels),
            5.. => gradient_channels::<T, S, 2, 5>(simd, sums, dy, x, step, channels),
            3.. => gradient_channels::<T, S, 2, 3>(simd, sums, dy, x, step, channels),
            _ => gradient_channels::<T, S, 2, 1>(simd, sums, dy, x, step, channels),
        };
    }
}

/// The first K taps; returns K.
#[inline(always)]
fn gradient_channels<T: Lanes, S: Simd, const W: usize, const K: usize>(
    simd: S,
    sums: &mut [T],
    dy: &[T],
    x: &[T],
    step: usize,
    channels: usize,
) -> usize {
    assert!(sums.len() >= K * channels);
    let lanes = T::lanes::<S>();
    let mut c = 0;
    while c + W * lanes <= channels {
        // SAFETY: the block lies inside the channels, and the lengths have been asserted.
        unsafe { gradient_block::<T, S, _, W, K>(simd, Whole, sums, dy, x, (step, channels), c) };
        c += W * lanes;
    }
    while c + lanes <= channels {
        // SAFETY: the block lies inside the channels, and the lengths have been asserted.
        unsafe { gradient_block::<T, S, _, 1, K>(simd, Whole, sums, dy, x, (step, channels), c) };
        c += lanes;
    }
    if c < channels {
        let part = Part(channels - c);
        // SAFETY: the block lies inside the channels, and the lengths have been asserted.
        unsafe { gradient_block::<T, S, _, 1, K>(simd, part, sums, dy, x, (step, channels), c) };
    }
    K
}

/// W vectors of channels from c on, of K taps.
///
/// # Safety
/// Slices must have the lengths that [`weight_gradient_row`] asserts, K taps of sums, and the vectors must lie inside
/// the channels.
#[inline(always)]
unsafe fn gradient_block<T: Lanes, S: Simd, A: Access, const W: usize, const K: usize>(
    simd: S,
    access: A,
    sums: &mut [T],
    dy: &[T],
    x: &[T],
    (step, channels): (usize, usize),
    c: usize,
) {
    let lanes = T::lanes::<S>();
    let mut acc = [[T::splat(simd, T::zero()); W]; K];
    // SAFETY: the caller's promise.
    unsafe {
        let (mut dy, mut x, count) = (dy.as_ptr().add(c), x.as_ptr().add(c), dy.len() / channels);
        for _ in 0..count {
            for w in 0..W {
                let d = access.load::<T, S>(simd, dy.add(w * lanes));
                for (b, acc) in acc.iter_mut().enumerate() {
                    let x = access.load::<T, S>(simd, x.add(b * channels + w * lanes));
                    acc[w] = T::mul_add(simd, d, x, acc[w]);
                }
            }
            // Past the end after the last pixel, where nothing is read any more.
            dy = dy.wrapping_add(channels);
            x = x.wrapping_add(step * channels);
        }
        for (b, acc) in acc.iter().enumerate() {
            for (w, &v) in acc.iter().enumerate() {
                let at = sums.as_mut_ptr().add(b * channels + c + w * lanes);
                access.store::<T, S>(simd, at, T::plus(simd, access.load::<T, S>(simd, at), v));
            }
        }
    }
}
