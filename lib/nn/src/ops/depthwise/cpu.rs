//! CPU kernels. Rows of the output are independent work; within a row the channels go in blocks
//! whose accumulators stay in vector registers over all taps.

use crate::ops::element::Element;
use crate::ops::threads::{fill_rows, map_pieces, rows_per_piece};
use crate::ops::window::Window;
use std::ops::Range;

/// Channels that one block keeps in registers: two AVX-512 vectors of f32, four of AVX2.
const BLOCK: usize = 32;

/// Weight `[C, 1, k, k]` as `[k * k, C]`, so that channels are adjacent as they are in activations.
fn channels_last<T: Element>(weight: &[T], taps: usize, channels: usize) -> Vec<T> {
    let mut out = vec![T::zero(); weight.len()];
    for (c, kernel) in weight.chunks_exact(taps).enumerate() {
        for (tap, &w) in kernel.iter().enumerate() {
            out[tap * channels + c] = w;
        }
    }
    out
}

/// Calls `f` for consecutive ranges that cover `0..channels`: blocks of `BLOCK`, then of 8, then single ones.
#[inline(always)]
fn for_blocks(channels: usize, mut f: impl FnMut(Range<usize>)) {
    let mut start = 0;
    for size in [BLOCK, 8, 1] {
        while start + size <= channels {
            f(start..start + size);
            start += size;
        }
    }
}

/// `out[i] += a[i] * b[i]` for one block.
#[inline(always)]
fn accumulate<T: Element>(out: &mut [T; BLOCK], a: &[T], b: &[T]) {
    match (<&[T; BLOCK]>::try_from(a), <&[T; BLOCK]>::try_from(b)) {
        (Ok(a), Ok(b)) => {
            for i in 0..BLOCK {
                out[i] += a[i] * b[i];
            }
        }
        _ => match (<&[T; 8]>::try_from(a), <&[T; 8]>::try_from(b)) {
            (Ok(a), Ok(b)) => {
                for i in 0..8 {
                    out[i] += a[i] * b[i];
                }
            }
            _ => {
                for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    *o += a * b;
                }
            }
        },
    }
}

/// Input `[N, H, W, C]` to output `[N, out_height, out_width, C]`.
pub(super) fn forward<T: Element>(
    x: &[T],
    weight: &[T],
    window: &Window,
    channels: usize,
) -> Vec<T> {
    let w = channels_last(weight, window.kernel * window.kernel, channels);
    let (image, row) = (window.height * window.width * channels, window.out_width * channels);
    let batch = x.len() / image;
    let mut y = vec![T::zero(); batch * window.out_height * row];
    fill_rows(&mut y, row, rows_per_piece(row), |first, rows| {
        for (i, out) in rows.chunks_exact_mut(row).enumerate() {
            let (n, oh) = ((first + i) / window.out_height, (first + i) % window.out_height);
            forward_row(&x[n * image..(n + 1) * image], &w, window, oh, channels, out);
        }
    });
    y
}

#[inline(always)]
fn forward_row<T: Element>(
    x: &[T],
    w: &[T],
    window: &Window,
    oh: usize,
    channels: usize,
    out: &mut [T],
) {
    let (rows, top) = window.rows(oh);
    for_blocks(channels, |block| {
        for ow in 0..window.out_width {
            let (columns, left) = window.columns(ow);
            let mut sum = [T::zero(); BLOCK];
            for (a, ih) in rows.clone().zip(top..) {
                for (b, iw) in columns.clone().zip(left..) {
                    let pixel = (ih * window.width + iw) * channels;
                    let tap = (a * window.kernel + b) * channels;
                    accumulate(
                        &mut sum,
                        &x[pixel + block.start..pixel + block.end],
                        &w[tap + block.start..tap + block.end],
                    );
                }
            }
            let pixel = ow * channels;
            out[pixel + block.start..pixel + block.end].copy_from_slice(&sum[..block.len()]);
        }
    });
}

/// Output gradient `[N, out_height, out_width, C]` to input gradient `[N, H, W, C]`.
pub(super) fn input_gradient<T: Element>(
    dy: &[T],
    weight: &[T],
    window: &Window,
    channels: usize,
) -> Vec<T> {
    let w = channels_last(weight, window.kernel * window.kernel, channels);
    let (image, row) = (window.out_height * window.out_width * channels, window.width * channels);
    let batch = dy.len() / image;
    let mut dx = vec![T::zero(); batch * window.height * row];
    fill_rows(&mut dx, row, rows_per_piece(row), |first, rows| {
        for (i, out) in rows.chunks_exact_mut(row).enumerate() {
            let (n, ih) = ((first + i) / window.height, (first + i) % window.height);
            input_gradient_row(&dy[n * image..(n + 1) * image], &w, window, ih, channels, out);
        }
    });
    dx
}

/// The outputs that saw input position `at` along one side, each with its tap:
/// `out * stride + tap == at + pad`, `0 <= tap < kernel`, `out < outputs`.
#[inline(always)]
fn seen_by(
    at: usize,
    pad: usize,
    window: &Window,
    outputs: usize,
) -> impl Iterator<Item = (usize, usize)> + Clone {
    let (place, stride) = (at + pad, window.stride);
    let first = (place + 1).saturating_sub(window.kernel).div_ceil(stride);
    let last = (place / stride + 1).min(outputs);
    (first..last).map(move |out| (out, place - out * stride))
}

#[inline(always)]
fn input_gradient_row<T: Element>(
    dy: &[T],
    w: &[T],
    window: &Window,
    ih: usize,
    channels: usize,
    out: &mut [T],
) {
    let rows = seen_by(ih, window.top, window, window.out_height);
    for_blocks(channels, |block| {
        for iw in 0..window.width {
            let columns = seen_by(iw, window.left, window, window.out_width);
            let mut sum = [T::zero(); BLOCK];
            for (oh, a) in rows.clone() {
                for (ow, b) in columns.clone() {
                    let pixel = (oh * window.out_width + ow) * channels;
                    let tap = (a * window.kernel + b) * channels;
                    accumulate(
                        &mut sum,
                        &dy[pixel + block.start..pixel + block.end],
                        &w[tap + block.start..tap + block.end],
                    );
                }
            }
            let pixel = iw * channels;
            out[pixel + block.start..pixel + block.end].copy_from_slice(&sum[..block.len()]);
        }
    });
}

/// Weight gradient `[C, 1, k, k]`: partial sums over fixed groups of output rows, added in order.
pub(super) fn weight_gradient<T: Element>(
    x: &[T],
    dy: &[T],
    window: &Window,
    channels: usize,
) -> Vec<T> {
    let (taps, row) = (window.kernel * window.kernel, window.out_width * channels);
    let rows = dy.len() / row;
    // A partial sum is as large as the weight: no more of them than keeps their own traffic small.
    let per_piece = rows_per_piece(row).max(rows.div_ceil(32));
    let partial = map_pieces(rows, per_piece, |range| {
        let mut sum = vec![T::zero(); taps * channels];
        for_blocks(channels, |block| {
            for a in 0..window.kernel {
                for b in 0..window.kernel {
                    let acc = weight_gradient_tap(x, dy, window, channels, &range, &block, (a, b));
                    let tap = (a * window.kernel + b) * channels;
                    sum[tap + block.start..tap + block.end].copy_from_slice(&acc[..block.len()]);
                }
            }
        });
        sum
    });
    let mut total = vec![T::zero(); taps * channels];
    for sum in &partial {
        for (t, &s) in total.iter_mut().zip(sum) {
            *t += s;
        }
    }
    let mut dw = vec![T::zero(); taps * channels];
    for (tap, row) in total.chunks_exact(channels).enumerate() {
        for (c, &v) in row.iter().enumerate() {
            dw[c * taps + tap] = v;
        }
    }
    dw
}

/// One tap's sum over a range of output rows (counted over the whole batch) for one block of channels.
#[inline(always)]
fn weight_gradient_tap<T: Element>(
    x: &[T],
    dy: &[T],
    window: &Window,
    channels: usize,
    rows: &Range<usize>,
    block: &Range<usize>,
    (a, b): (usize, usize),
) -> [T; BLOCK] {
    let mut acc = [T::zero(); BLOCK];
    for r in rows.clone() {
        let (n, oh) = (r / window.out_height, r % window.out_height);
        let ih = (oh * window.stride + a).wrapping_sub(window.top);
        if ih >= window.height {
            continue;
        }
        for ow in 0..window.out_width {
            let iw = (ow * window.stride + b).wrapping_sub(window.left);
            if iw >= window.width {
                continue;
            }
            let pixel = ((n * window.height + ih) * window.width + iw) * channels;
            let out = (r * window.out_width + ow) * channels;
            accumulate(
                &mut acc,
                &x[pixel + block.start..pixel + block.end],
                &dy[out + block.start..out + block.end],
            );
        }
    }
    acc
}
