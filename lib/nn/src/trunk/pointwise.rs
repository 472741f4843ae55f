//! A convolution as a matrix product, piece by piece: a piece of its input is made ready in the cache, multiplied,
//! and what the statistics need is taken from the result before it leaves the cache.

use super::buffer::{Buffer, Pooled};
use super::norm::{Norm, NormGradient};
use super::rows_in_parallel;
use crate::ops::Window;
use crate::ops::batch_norm::Moments;
use crate::ops::patches;
use crate::ops::product::{Panels, RowSum, Strided, multiply};
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

/// Rows of one piece: as much as stays in the second-level cache, whole tiles of every level.
fn rows_per_piece(k: usize, n: usize) -> usize {
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
    let per_piece = rows_per_piece(k, n);
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
    let per_piece = rows_per_piece(k, n);
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

/// The gradient of a convolution's output, before the norm behind it: to be made from the gradient of what that gives.
pub(crate) struct OutputGradient<'a, T: Pooled> {
    /// Gradient behind the norm, `[rows, n]`.
    pub(crate) g: &'a [T],
    /// The convolution's output.
    pub(crate) y: &'a [T],
    pub(crate) norm: &'a Norm<T>,
    pub(crate) by: &'a NormGradient<T>,
}

/// What a backward pass is to find besides the weight's gradient.
pub(crate) struct Wanted<'a, T> {
    /// The gradient of the (activated, not yet gated) input.
    pub(crate) input: bool,
    /// A gradient `[rows, k]` that reaches the input past the convolution, to be added.
    pub(crate) residual: Option<&'a [T]>,
}

/// Gradients of one convolution.
pub(crate) struct Gradients<T: Pooled> {
    /// Of the input behind its gate, `[rows, k]`.
    pub(crate) input: Option<Buffer<T>>,
    /// Of the weight, `[n, k]`.
    pub(crate) weight: Vec<T>,
    /// Of the gates, `[N, k]`.
    pub(crate) gates: Vec<T>,
}

/// How the rows of a batch are shared out: whole images, so many groups, whatever the number of threads. Each group
/// holds a sum of its own, as large as the weight.
pub(crate) fn images_per_group(images: usize, weight: usize) -> usize {
    const ELEMENTS: usize = 4 << 20;
    images.div_ceil((ELEMENTS / weight.max(1)).clamp(8, 64))
}

/// The same for a product's weight: a group has so many rows that their products outweigh its sum of that size, which is
/// cleared before them and added up after them. Powers of two share out evenly.
fn images_per_product(images: usize, pixels: usize, weight: usize) -> usize {
    const ROWS: usize = 128;
    let groups = (images * pixels / ROWS).max(2);
    let even = 1 << groups.ilog2();
    images.div_ceil(even).max(images_per_group(images, weight))
}

/// The backward pass; `weight` comes from [`backward_panels`].
pub(crate) fn backward<T: Pooled>(
    out: &OutputGradient<'_, T>,
    input: &Rows<'_, T>,
    images: usize,
    (n, k): (usize, usize),
    weight: &Panels<T>,
    wanted: &Wanted<'_, T>,
) -> Gradients<T> {
    let pixels = out.g.len() / n / images;
    let group = images_per_product(images, pixels, n * k) * pixels;
    let groups = (images * pixels).div_ceil(group);
    let gated = matches!(input, Rows::Gated(..));
    let mut dx = Buffer::new(if wanted.input { images * pixels * k } else { 0 });
    let mut dgates = vec![T::zero(); if gated { images * k } else { 0 }];
    let mut parts: Vec<&mut [T]> = dx.chunks_mut(group * k).collect();
    parts.resize_with(groups, Default::default);
    let mut gate_parts: Vec<&mut [T]> = dgates.chunks_mut((group / pixels * k).max(1)).collect();
    gate_parts.resize_with(groups, Default::default);
    let work = parts.into_par_iter().zip(gate_parts).enumerate();
    let sums: Vec<Buffer<T>> = work
        .map(|(i, (dx, dgates))| {
            let rows = i * group..((i + 1) * group).min(images * pixels);
            let mut sum = Buffer::zeros(n * k);
            Group { out, input, weight, wanted, n, k, rows }.run(dx, dgates, &mut sum);
            sum
        })
        .collect();
    let weight = total(&sums, (n, k));
    Gradients { input: wanted.input.then_some(dx), weight, gates: dgates }
}

/// The sum of the groups' parts in their order, as `[n, k]`.
fn total<T: Pooled>(sums: &[Buffer<T>], (n, k): (usize, usize)) -> Vec<T> {
    let mut total = vec![T::zero(); n * k];
    rows_in_parallel(&mut total, 1, |first, total| {
        for sum in sums {
            for (t, &v) in total.iter_mut().zip(&sum[first..]) {
                *t += v;
            }
        }
    });
    if n <= k {
        return total;
    }
    let mut turned = vec![T::zero(); n * k];
    rows_in_parallel(&mut turned, k, |first, rows| {
        for (j, row) in rows.chunks_exact_mut(k).enumerate() {
            let column = first / k + j;
            for (v, &t) in row.iter_mut().zip(total.iter().skip(column).step_by(n)) {
                *v = t;
            }
        }
    });
    turned
}

/// The images of one task, in pieces.
struct Group<'a, T: Pooled> {
    out: &'a OutputGradient<'a, T>,
    input: &'a Rows<'a, T>,
    weight: &'a Panels<T>,
    wanted: &'a Wanted<'a, T>,
    n: usize,
    k: usize,
    rows: Range<usize>,
}

impl<T: Pooled> Group<'_, T> {
    /// `sum` is `[n, k]` if n <= k, else its transpose.
    fn run(&self, dx: &mut [T], dgates: &mut [T], sum: &mut [T]) {
        let (n, k) = (self.n, self.k);
        let per_piece = rows_per_piece(k, n);
        let mut dy = Buffer::new(per_piece * n);
        let mut scratch = Buffer::new(per_piece * k);
        let mut row_sum = RowSum::new();
        let mut start = self.rows.start;
        while start < self.rows.end {
            let rows = start..(start + per_piece).min(self.rows.end);
            let at = start - self.rows.start;
            let dy = &mut dy[..rows.len() * n];
            let span = rows.start * n..rows.end * n;
            let OutputGradient { g, y, norm, by } = self.out;
            norm.input_gradient(by, &y[span.clone()], &g[span], dy);
            let dx =
                if self.wanted.input { &mut dx[at * k..(at + rows.len()) * k] } else { &mut [] };
            if self.wanted.input {
                if let Some(residual) = self.wanted.residual {
                    dx.copy_from_slice(&residual[rows.start * k..rows.end * k]);
                }
                multiply(dy, self.weight, dx, self.wanted.residual.is_some());
            }
            let x = self.prepared(rows.clone(), &mut scratch, dx, dgates);
            if n <= k {
                row_sum.add(sum, (dy, n), (x, k));
            } else {
                row_sum.add(sum, (x, k), (dy, n));
            }
            start = rows.end;
        }
    }

    /// The rows of the input; where they are gated, the gates' gradients are taken on the way.
    fn prepared<'s>(
        &'s self,
        rows: Range<usize>,
        scratch: &'s mut [T],
        dx: &[T],
        dgates: &mut [T],
    ) -> &'s [T] {
        let k = self.k;
        let Rows::Gated(x, norm, gates) = self.input else {
            return self.input.rows(rows, k, scratch);
        };
        let scratch = &mut scratch[..rows.len() * k];
        norm.activate(&x[rows.start * k..rows.end * k], scratch);
        let first = self.rows.start / gates.pixels * k;
        gates.for_images(rows.clone(), k, |at, rows| {
            let span = rows.start * k..rows.end * k;
            let sums = &mut dgates[at - first..at - first + k];
            vectorised(
                #[inline(always)]
                || {
                    for (a, d) in
                        scratch[span.clone()].chunks_exact(k).zip(dx[span.clone()].chunks_exact(k))
                    {
                        for ((s, &a), &d) in sums.iter_mut().zip(a).zip(d) {
                            *s += a * d;
                        }
                    }
                },
            );
        });
        scale(gates, rows, k, scratch);
        scratch
    }
}

/// W `[n, k]` as the forward pass multiplies with it.
pub(crate) fn forward_panels<T: Pooled>(weight: &[T], (n, k): (usize, usize)) -> Panels<T> {
    Panels::pack(Strided::transposed(weight, k), k, n)
}

/// W `[n, k]` as the backward pass multiplies with it.
pub(crate) fn backward_panels<T: Pooled>(weight: &[T], (n, k): (usize, usize)) -> Panels<T> {
    Panels::pack(Strided::rows(weight, k), n, k)
}
