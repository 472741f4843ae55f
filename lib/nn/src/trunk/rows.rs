//! The inner loops of depthwise convolutions, on rows of pixels `[W, C]` that have all the zeros they need around them.
//!
//! A block of channels of a few pixels stays in vector registers over all taps.

use crate::ops::Element;
use crate::ops::simd::vectorised;

/// One term of a weighted sum of rows.
#[derive(Clone, Copy)]
pub(crate) struct Tap<'a, T> {
    /// A row of pixels, from the one that the first output pixel takes.
    pub(crate) source: &'a [T],
    /// A factor per channel.
    pub(crate) weight: &'a [T],
}

/// `out[j * out_step, c] = sum over taps of source[j * step, c] * weight[c]` for j below `count`; steps are in pixels.
pub(crate) fn weighted_row<T: Element>(
    out: &mut [T],
    out_step: usize,
    count: usize,
    taps: &[Tap<'_, T>],
    step: usize,
    channels: usize,
) {
    let needed = |step: usize| (count - 1) * step * channels + channels;
    assert!(count > 0 && out.len() >= needed(out_step));
    for tap in taps {
        assert!(tap.source.len() >= needed(step) && tap.weight.len() >= channels);
    }
    vectorised(
        #[inline(always)]
        || {
            let mut c = 0;
            while c + 16 <= channels {
                block_of_row::<T, 16>(out, out_step, count, taps, step, channels, c);
                c += 16;
            }
            while c + 8 <= channels {
                block_of_row::<T, 8>(out, out_step, count, taps, step, channels, c);
                c += 8;
            }
            while c < channels {
                block_of_row::<T, 1>(out, out_step, count, taps, step, channels, c);
                c += 1;
            }
        },
    );
}

#[inline(always)]
fn block_of_row<T: Element, const B: usize>(
    out: &mut [T],
    out_step: usize,
    count: usize,
    taps: &[Tap<'_, T>],
    step: usize,
    channels: usize,
    c: usize,
) {
    let mut j = 0;
    while j + 4 <= count {
        let sums = sum_of_taps::<T, B, 4>(taps, step, channels, c, j);
        for (p, sum) in sums.iter().enumerate() {
            let at = (j + p) * out_step * channels + c;
            out[at..at + B].copy_from_slice(sum);
        }
        j += 4;
    }
    while j < count {
        let [sum] = sum_of_taps::<T, B, 1>(taps, step, channels, c, j);
        let at = j * out_step * channels + c;
        out[at..at + B].copy_from_slice(&sum);
        j += 1;
    }
}

/// Channels c..c + B of output pixels j..j + P.
#[inline(always)]
fn sum_of_taps<T: Element, const B: usize, const P: usize>(
    taps: &[Tap<'_, T>],
    step: usize,
    channels: usize,
    c: usize,
    j: usize,
) -> [[T; B]; P] {
    let mut sums = [[T::zero(); B]; P];
    for tap in taps {
        // SAFETY: c + B <= channels and j + P <= count, for which `weighted_row` has asserted the lengths.
        let weight = unsafe { block::<T, B>(tap.weight, c) };
        for (p, sum) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let x = unsafe { block::<T, B>(tap.source, (j + p) * step * channels + c) };
            for i in 0..B {
                sum[i] += x[i] * weight[i];
            }
        }
    }
    sums
}

/// `values[at..at + B]`.
///
/// # Safety
/// The range must lie inside the slice.
#[inline(always)]
unsafe fn block<T, const B: usize>(values: &[T], at: usize) -> &[T; B] {
    debug_assert!(at + B <= values.len());
    // SAFETY: the caller's promise; an array has the alignment of its elements.
    unsafe { &*values.as_ptr().add(at).cast::<[T; B]>() }
}

/// `sums[b, c] += sum over j of dy[j, c] * x[j * step + b, c]` for every tap b of one kernel row.
pub(crate) fn weight_gradient_row<T: Element>(
    sums: &mut [T],
    dy: &[T],
    x: &[T],
    step: usize,
    channels: usize,
) {
    let (taps, count) = (sums.len() / channels, dy.len() / channels);
    assert!(count > 0 && x.len() >= ((count - 1) * step + taps) * channels);
    vectorised(
        #[inline(always)]
        || {
            let mut b = 0;
            while b < taps {
                let (sums, x) = (&mut sums[b * channels..], &x[b * channels..]);
                b += match taps - b {
                    7.. => taps_of_row::<T, 8, 7>(sums, dy, x, step, channels),
                    5.. => taps_of_row::<T, 16, 5>(sums, dy, x, step, channels),
                    3.. => taps_of_row::<T, 16, 3>(sums, dy, x, step, channels),
                    _ => taps_of_row::<T, 16, 1>(sums, dy, x, step, channels),
                };
            }
        },
    );
}

/// The first K taps; returns K.
#[inline(always)]
fn taps_of_row<T: Element, const B: usize, const K: usize>(
    sums: &mut [T],
    dy: &[T],
    x: &[T],
    step: usize,
    channels: usize,
) -> usize {
    let mut c = 0;
    while c + B <= channels {
        block_of_taps::<T, B, K>(sums, dy, x, step, channels, c);
        c += B;
    }
    while c + 8 <= channels {
        block_of_taps::<T, 8, K>(sums, dy, x, step, channels, c);
        c += 8;
    }
    while c < channels {
        block_of_taps::<T, 1, K>(sums, dy, x, step, channels, c);
        c += 1;
    }
    K
}

#[inline(always)]
fn block_of_taps<T: Element, const B: usize, const K: usize>(
    sums: &mut [T],
    dy: &[T],
    x: &[T],
    step: usize,
    channels: usize,
    c: usize,
) {
    let mut acc = [[T::zero(); B]; K];
    for j in 0..dy.len() / channels {
        // SAFETY: j is below the count and c + B <= channels, for which `weight_gradient_row` has asserted the lengths.
        let dy = unsafe { block::<T, B>(dy, j * channels + c) };
        for (b, acc) in acc.iter_mut().enumerate() {
            // SAFETY: as above, with b < K <= taps.
            let x = unsafe { block::<T, B>(x, (j * step + b) * channels + c) };
            for i in 0..B {
                acc[i] += dy[i] * x[i];
            }
        }
    }
    for (b, acc) in acc.iter().enumerate() {
        for (sum, &v) in sums[b * channels + c..].iter_mut().zip(acc) {
            *sum += v;
        }
    }
}
