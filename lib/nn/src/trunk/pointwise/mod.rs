//! A convolution as a matrix product, piece by piece: a piece of its input is made ready in the cache, multiplied,
//! and what the statistics need is taken from the result before it leaves the cache.

mod backward;

pub(super) use backward::{OutputGradient, Wanted, backward, images_per_group};

use super::norm::Norm;
use crate::ops::Window;
use crate::ops::batch_norm::Moments;
use crate::ops::buffer::{Buffer, Pooled};
use crate::ops::patches;
use crate::ops::product::{Panels, Strided, multiply};
use crate::ops::simd::vectorised;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a product's left side, as they lie or as they are to be made.
#[derive(Clone, Copy)]
pub(crate) enum Rows<'a, T: Pooled> {
    /// As they lie, `[rows, channels]`.
    Plain(&'a [T]),
    /// A convolution's output, to be normalised and activated.
    Activated(&'a [T], &'a Norm<T>),
    /// The same, then multiplied by the gate of its image and channel, `[N, channels]`.
    Gated(&'a [T], &'a Norm<T>, Gates<'a, T>),
    /// As they lie, multiplied by the gate of their image and channel.
    Scaled(&'a [T], Gates<'a, T>),
    /// The windows of images with so many channels.
    Patches(&'a [T], &'a Window, usize),
}

/// Factors `[N, channels]`, each for so many rows.
#[derive(Clone, Copy)]
pub(crate) struct Gates<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) pixels: usize,
}

impl<T: Copy> Gates<'_, T> {
    /// Cuts a range of rows at images; calls `f` with each image's gates and its rows, counted from the range's start.
    fn for_images(
        &self,
        rows: Range<usize>,
        channels: usize,
        mut f: impl FnMut(usize, Range<usize>),
    ) {
        let mut row = rows.start;
        while row < rows.end {
            let image = row / self.pixels;
            let end = ((image + 1) * self.pixels).min(rows.end);
            f(image * channels, row - rows.start..end - rows.start);
            row = end;
        }
    }
}

impl<T: Pooled> Rows<'_, T> {
    /// The rows of `range`, each of `k` elements; `scratch` has room for them.
    fn rows<'s>(&'s self, range: Range<usize>, k: usize, scratch: &'s mut [T]) -> &'s [T] {
        let span = range.start * k..range.end * k;
        let len = span.len();
        match self {
            Self::Plain(x) => &x[span],
            Self::Activated(x, norm) => {
                norm.activate(&x[span], &mut scratch[..len]);
                &scratch[..len]
            }
            Self::Gated(x, norm, gates) => {
                norm.activate(&x[span], &mut scratch[..len]);
                scale(gates, range, k, &mut scratch[..len]);
                &scratch[..len]
            }
            Self::Scaled(x, gates) => {
                scratch[..len].copy_from_slice(&x[span]);
                scale(gates, range, k, &mut scratch[..len]);
                &scratch[..len]
            }
            Self::Patches(x, window, channels) => {
                patches::fill(x, window, *channels, range.start, &mut scratch[..len]);
                &scratch[..len]
            }
        }
    }
}

/// Multiplies rows by the gates of their images.
fn scale<T: Pooled>(gates: &Gates<'_, T>, rows: Range<usize>, k: usize, values: &mut [T]) {
    gates.for_images(rows, k, |at, rows| {
        let gate = &gates.values[at..at + k];
        vectorised(
            #[inline(always)]
            || {
                for row in values[rows.start * k..rows.end * k].chunks_exact_mut(k) {
                    for (v, &g) in row.iter_mut().zip(gate) {
                        *v *= g;
                    }
                }
            },
        );
    });
}

/// Rows of one piece, of so many rows in all: no more than fit, and enough pieces to keep threads busy.
fn rows_per_piece(rows: usize, sides: (usize, usize)) -> usize {
    const PIECES: usize = 8;
    rows_that_fit(sides).min(rows / PIECES).max(1).next_multiple_of(12)
}

/// Rows of both sides that stay in the second-level cache, whole tiles of every level.
fn rows_that_fit((n, k): (usize, usize)) -> usize {
    const ELEMENTS: usize = 48 * 1024;
    (ELEMENTS / (k + n)).clamp(96, 1536).next_multiple_of(12)
}

/// Rows of a product of n columns that stay in the first-level cache, whole tiles of every level.
pub(crate) fn rows_of_tiles(n: usize) -> usize {
    const ELEMENTS: usize = 4 * 1024;
    (ELEMENTS / n).clamp(12, 96) / 12 * 12
}

/// `y = x W^T` for W `[n, k]`, and the moments of its pieces.
pub(crate) fn forward<T: Pooled>(
    input: &Rows<'_, T>,
    rows: usize,
    (n, k): (usize, usize),
    weight: &Panels<T>,
) -> (Buffer<T>, Vec<Moments<T>>) {
    let per_piece = rows_per_piece(rows, (n, k));
    let mut y = Buffer::new(rows * n);
    let moments = y
        .par_chunks_mut(per_piece * n)
        .enumerate()
        .map(|(i, y)| {
            let first = i * per_piece;
            let count = y.len() / n;
            let mut scratch = Buffer::new(count * k);
            multiply(input.rows(first..first + count, k, &mut scratch), weight, y, false);
            Moments::of(y, n)
        })
        .collect();
    (y, moments)
}

/// `f(z)` of `y = x W^T` with a norm that is known beforehand, plus a residual if there is one.
pub(crate) fn apply<T: Pooled>(
    input: &Rows<'_, T>,
    rows: usize,
    (n, k): (usize, usize),
    weight: &Panels<T>,
    norm: &Norm<T>,
    residual: Option<&[T]>,
) -> Buffer<T> {
    let per_piece = rows_per_piece(rows, (n, k));
    let mut out = Buffer::new(rows * n);
    out.par_chunks_mut(per_piece * n).enumerate().for_each(|(i, out)| {
        let first = i * per_piece;
        let count = out.len() / n;
        let mut scratch = Buffer::new(count * k);
        let x = input.rows(first..first + count, k, &mut scratch);
        let at_once = rows_of_tiles(n);
        let mut y = Buffer::new(at_once * n);
        let work = x.chunks(at_once * k).zip(out.chunks_mut(at_once * n)).enumerate();
        for (i, (x, out)) in work {
            let y = &mut y[..out.len()];
            multiply(x, weight, y, false);
            let start = (first + i * at_once) * n;
            match residual {
                Some(x) => norm.activate_and_add(y, &x[start..start + out.len()], out),
                None => norm.activate(y, out),
            }
        }
    });
    out
}

/// W `[n, k]` as the forward pass multiplies with it.
pub(crate) fn forward_panels<T: Pooled>(weight: &[T], (n, k): (usize, usize)) -> Panels<T> {
    Panels::pack(Strided::transposed(weight, k), k, n)
}

/// W `[n, k]` as the backward pass multiplies with it.
pub(crate) fn backward_panels<T: Pooled>(weight: &[T], (n, k): (usize, usize)) -> Panels<T> {
    Panels::pack(Strided::rows(weight, k), n, k)
}
