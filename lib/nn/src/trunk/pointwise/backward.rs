//! Gradients of a convolution as a product: of its input, its weight, and the gates of its input.

use super::{Rows, rows_that_fit, scale};
use crate::ops::buffer::{Buffer, Pooled};
use crate::ops::product::{Panels, add_row_products, dense, multiply};
use crate::ops::simd::vectorised;
use crate::trunk::norm::{Norm, NormGradient};
use crate::trunk::rows_in_parallel;
use rayon::prelude::*;
use std::ops::Range;

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

/// Whether the rows are so few that to store them once more costs less than sums as large as the weight.
fn few(rows: usize, (n, k): (usize, usize)) -> bool {
    rows * (n + k) < 2 * n * k
}

/// The backward pass; `weight` comes from [`super::backward_panels`].
pub(crate) fn backward<T: Pooled>(
    out: &OutputGradient<'_, T>,
    input: &Rows<'_, T>,
    images: usize,
    (n, k): (usize, usize),
    weight: &Panels<T>,
    wanted: &Wanted<'_, T>,
) -> Gradients<T> {
    let pixels = out.g.len() / n / images;
    let gated = matches!(input, Rows::Gated(..));
    let mut dx = Buffer::new(if wanted.input { images * pixels * k } else { 0 });
    let mut dgates = vec![T::zero(); if gated { images * k } else { 0 }];
    let product = Product { out, input, weight, wanted, n, k, images, pixels };
    let weight = if few(images * pixels, (n, k)) {
        product.of_few_rows(&mut dx, &mut dgates)
    } else {
        product.by_groups(&mut dx, &mut dgates)
    };
    Gradients { input: wanted.input.then_some(dx), weight, gates: dgates }
}

/// `values` in parts of `size`, as many as are asked for: empty ones behind the last.
fn parts<T>(values: &mut [T], size: usize, count: usize) -> Vec<&mut [T]> {
    let mut parts: Vec<&mut [T]> = values.chunks_mut(size.max(1)).collect();
    parts.resize_with(count, Default::default);
    parts
}

/// A convolution as a product, and all that its backward pass reads.
struct Product<'a, T: Pooled> {
    out: &'a OutputGradient<'a, T>,
    input: &'a Rows<'a, T>,
    weight: &'a Panels<T>,
    wanted: &'a Wanted<'a, T>,
    n: usize,
    k: usize,
    images: usize,
    pixels: usize,
}

impl<T: Pooled> Product<'_, T> {
    /// Both sides are made ready, then the weight's gradient is one product, of which every element is written once.
    fn of_few_rows(&self, dx: &mut [T], dgates: &mut [T]) -> Vec<T> {
        const PIECES: usize = 8;
        let (n, k, rows) = (self.n, self.k, self.images * self.pixels);
        let images = self.images.div_ceil(PIECES);
        let (piece, count) = (images * self.pixels, self.images.div_ceil(images));
        let plain = if let Rows::Plain(x) = self.input { Some(*x) } else { None };
        let mut dy = Buffer::new(rows * n);
        let mut x = Buffer::new(if plain.is_some() { 0 } else { rows * k });
        let work = parts(dx, piece * k, count)
            .into_par_iter()
            .zip(parts(dgates, images * k, count))
            .zip(parts(&mut dy, piece * n, count))
            .zip(parts(&mut x, piece * k, count));
        work.enumerate().for_each(|(i, (((dx, dgates), dy), x))| {
            let rows = i * piece..((i + 1) * piece).min(rows);
            self.rows(rows, i * images, dy, dx, x, dgates);
        });
        dense::weight_gradient(&dy, plain.unwrap_or(&x), (n, k))
    }

    /// Groups of rows, each with a sum of its own.
    fn by_groups(&self, dx: &mut [T], dgates: &mut [T]) -> Vec<T> {
        let (n, k, rows) = (self.n, self.k, self.images * self.pixels);
        let images = images_per_product(self.images, self.pixels, n * k);
        let (group, count) = (images * self.pixels, self.images.div_ceil(images));
        let work =
            parts(dx, group * k, count).into_par_iter().zip(parts(dgates, images * k, count));
        let sums: Vec<Buffer<T>> = work
            .enumerate()
            .map(|(i, (dx, dgates))| {
                let rows = i * group..((i + 1) * group).min(rows);
                self.group(rows, i * images, dx, dgates)
            })
            .collect();
        total(sums, (n, k))
    }

    /// The weight's gradient from some rows, in pieces: `[n, k]` if n <= k, else its transpose.
    fn group(&self, rows: Range<usize>, image: usize, dx: &mut [T], dgates: &mut [T]) -> Buffer<T> {
        let (n, k) = (self.n, self.k);
        let at_once = rows_that_fit((n, k)).min(rows.len());
        let mut sum = Buffer::new(n * k);
        let mut dy = Buffer::new(at_once * n);
        let mut scratch = Buffer::new(at_once * k);
        for start in rows.clone().step_by(at_once) {
            let piece = start..(start + at_once).min(rows.end);
            let at = start - rows.start;
            let dy = &mut dy[..piece.len() * n];
            let dx = if dx.is_empty() { &mut [] } else { &mut dx[at * k..(at + piece.len()) * k] };
            let x = self.rows(piece, image, dy, dx, &mut scratch, dgates);
            let (narrow, wide) = if n <= k { ((&*dy, n), (x, k)) } else { ((x, k), (&*dy, n)) };
            add_row_products(&mut sum, narrow, wide, at > 0);
        }
        sum
    }

    /// Makes the gradient of the output ready, multiplies it, and returns the rows of the input; `dgates` begins with
    /// `image`.
    fn rows<'s>(
        &'s self,
        rows: Range<usize>,
        image: usize,
        dy: &mut [T],
        dx: &mut [T],
        scratch: &'s mut [T],
        dgates: &mut [T],
    ) -> &'s [T] {
        let (n, k) = (self.n, self.k);
        let span = rows.start * n..rows.end * n;
        let OutputGradient { g, y, norm, by } = self.out;
        norm.input_gradient(by, &y[span.clone()], &g[span], dy);
        if self.wanted.input {
            if let Some(residual) = self.wanted.residual {
                dx.copy_from_slice(&residual[rows.start * k..rows.end * k]);
            }
            multiply(dy, self.weight, dx, self.wanted.residual.is_some());
        }
        let Rows::Gated(x, norm, gates) = self.input else {
            return self.input.rows(rows, k, scratch);
        };
        let scratch = &mut scratch[..rows.len() * k];
        norm.activate(&x[rows.start * k..rows.end * k], scratch);
        gates.for_images(rows.clone(), k, |at, rows| {
            let sums = &mut dgates[at - image * k..at - image * k + k];
            let span = rows.start * k..rows.end * k;
            add_products(sums, &scratch[span.clone()], &dx[span]);
        });
        scale(gates, rows, k, scratch);
        scratch
    }
}

/// `sums += a * b`, over rows of both.
fn add_products<T: Pooled>(sums: &mut [T], a: &[T], b: &[T]) {
    let k = sums.len();
    vectorised(
        #[inline(always)]
        || {
            for (a, b) in a.chunks_exact(k).zip(b.chunks_exact(k)) {
                for ((s, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                    *s += a * b;
                }
            }
        },
    );
}

/// The sum of the groups' parts in their order, as `[n, k]`.
fn total<T: Pooled>(mut sums: Vec<Buffer<T>>, (n, k): (usize, usize)) -> Vec<T> {
    let Some((total, others)) = sums.split_first_mut() else { return vec![T::zero(); n * k] };
    rows_in_parallel(total, 1, |first, total| {
        for other in &*others {
            for (t, &v) in total.iter_mut().zip(&other[first..]) {
                *t += v;
            }
        }
    });
    if n <= k {
        return total.to_vec();
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
