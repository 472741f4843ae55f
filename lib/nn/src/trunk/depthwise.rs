//! Depthwise convolution between two norms: the first is applied to rows as they are read, and in the backward
//! pass the second's gradient is made as it is read.
//!
//! A few rows at a time are made ready in rings that stay in the cache, with zeros at both ends of each, so
//! that no tap asks whether it lies on the image.

use super::elementwise::sum_rows;
use super::inference::Expansion;
use super::norm::{Norm, Sums};
use super::pointwise::{OutputGradient, images_per_group};
use super::rows::{Outputs, Tap, weight_gradient_row, weighted_row};
use crate::ops::Window;
use crate::ops::batch_norm::Moments;
use crate::ops::buffer::{Buffer, Pooled};
use crate::ops::product::multiply;
use rayon::prelude::*;
use std::ops::Range;

/// A depthwise convolution on images of one shape, with its weight as `[k * k, C]`.
pub(crate) struct Shape<T> {
    pub(crate) window: Window,
    pub(crate) channels: usize,
    weight: Vec<T>,
}

/// Rows of one image, the last few of them.
struct Ring<T: Pooled> {
    rows: Buffer<T>,
    slots: usize,
    length: usize,
}

impl<T: Pooled> Ring<T> {
    /// `slots` rows of `length` elements, all zeros.
    fn new(slots: usize, length: usize) -> Self {
        Self { rows: Buffer::zeros(slots * length), slots, length }
    }

    fn row(&self, i: usize) -> &[T] {
        let start = i % self.slots * self.length;
        &self.rows[start..start + self.length]
    }

    fn row_mut(&mut self, i: usize) -> &mut [T] {
        let start = i % self.slots * self.length;
        &mut self.rows[start..start + self.length]
    }
}

impl<T: Pooled> Shape<T> {
    /// From the weight `[C, 1, k, k]`.
    pub(crate) fn new(window: Window, weight: &[T]) -> Self {
        let taps = window.kernel * window.kernel;
        let channels = weight.len() / taps;
        let mut turned = vec![T::zero(); weight.len()];
        for (c, kernel) in weight.chunks_exact(taps).enumerate() {
            for (tap, &w) in kernel.iter().enumerate() {
                turned[tap * channels + c] = w;
            }
        }
        Self { window, channels, weight: turned }
    }

    fn outputs(&self) -> Outputs {
        let (w, channels) = (&self.window, self.channels);
        Outputs { count: w.out_width, channels, source_step: w.stride, step: 1 }
    }

    fn input_row(&self) -> usize {
        self.window.width * self.channels
    }

    fn output_row(&self) -> usize {
        self.window.out_width * self.channels
    }

    pub(crate) fn input_image(&self) -> usize {
        self.window.height * self.input_row()
    }

    pub(crate) fn output_image(&self) -> usize {
        self.window.out_height * self.output_row()
    }

    fn tap(&self, a: usize, b: usize) -> &[T] {
        let start = (a * self.window.kernel + b) * self.channels;
        &self.weight[start..start + self.channels]
    }

    /// Elements of an input row with the zeros that windows see on either side.
    fn padded_row(&self) -> usize {
        let w = &self.window;
        let seen = (w.out_width - 1) * w.stride + w.kernel;
        seen.max(w.left + w.width) * self.channels
    }

    /// Input `[N, H, W, C]`, before its norm if it has one, to output and the moments of its pieces.
    pub(crate) fn forward(&self, x: &[T], norm: Option<&Norm<T>>) -> (Buffer<T>, Vec<Moments<T>>) {
        let images = x.len() / self.input_image();
        let mut y = Buffer::new(images * self.output_image());
        let work = y.par_chunks_mut(self.output_image()).zip(x.par_chunks(self.input_image()));
        let moments: Vec<Vec<Moments<T>>> =
            work.map(|(y, x)| self.forward_image(x, norm, y)).collect();
        (y, moments.into_iter().flatten().collect())
    }

    fn forward_image(&self, x: &[T], norm: Option<&Norm<T>>, y: &mut [T]) -> Vec<Moments<T>> {
        const PIECE: usize = 16 * 1024;
        let (w, row) = (&self.window, self.output_row());
        let mut ring = Ring::new(w.kernel, self.padded_row());
        let (mut next, mut measured, mut moments) = (0, 0, Vec::new());
        for oh in 0..w.out_height {
            let (taps, top) = w.rows(oh);
            while next < top + taps.len() {
                self.read_row(x, norm, next, &mut ring, None);
                next += 1;
            }
            let taps = self.taps(&ring, taps, top);
            let out = &mut y[oh * row..(oh + 1) * row];
            weighted_row(out, &taps, self.outputs());
            let end = (oh + 1) * row;
            if end - measured >= PIECE || oh + 1 == w.out_height {
                moments.push(Moments::of(&y[measured..end], self.channels));
                measured = end;
            }
        }
        moments
    }

    /// Inference: input `[N, H, W, C']`, through an expansion if there is one, to the activated output and its means
    /// `[N, C]`.
    pub(super) fn infer(
        &self,
        x: &[T],
        images: usize,
        expansion: Option<&Expansion<'_, T>>,
        norm: &Norm<T>,
    ) -> (Buffer<T>, Vec<T>) {
        let mut y = Buffer::new(images * self.output_image());
        let mut means = vec![T::zero(); images * self.channels];
        y.par_chunks_mut(self.output_image())
            .zip(x.par_chunks(x.len() / images))
            .zip(means.par_chunks_mut(self.channels))
            .for_each(|((y, x), means)| self.infer_image(x, expansion, norm, y, means));
        (y, means)
    }

    fn infer_image(
        &self,
        x: &[T],
        expansion: Option<&Expansion<'_, T>>,
        norm: &Norm<T>,
        y: &mut [T],
        means: &mut [T],
    ) {
        let (w, row) = (&self.window, self.output_row());
        // Enough rows at a time for whole tiles of the expansion's product.
        let at_once = (48 / w.width).clamp(1, w.height);
        let mut ring = Ring::new(w.kernel + at_once, self.padded_row());
        let mut expanded =
            Buffer::new(if expansion.is_some() { at_once * self.input_row() } else { 0 });
        let mut convolved = Buffer::new(row);
        let mut next = 0;
        for oh in 0..w.out_height {
            let (taps, top) = w.rows(oh);
            while next < top + taps.len() {
                let rows = next..(next + at_once).min(w.height);
                match expansion {
                    Some(expansion) => {
                        self.expand_rows(x, expansion, rows.clone(), &mut expanded, &mut ring)
                    }
                    None => rows.clone().for_each(|i| self.read_row(x, None, i, &mut ring, None)),
                }
                next = rows.end;
            }
            let taps = self.taps(&ring, taps, top);
            weighted_row(&mut convolved, &taps, self.outputs());
            let out = &mut y[oh * row..(oh + 1) * row];
            norm.activate(&convolved, out);
            sum_rows(out, means);
        }
        let scale = T::from_f64(1.0 / (w.out_height * w.out_width) as f64);
        means.iter_mut().for_each(|mean| *mean *= scale);
    }

    /// Expands input rows into their ring.
    fn expand_rows(
        &self,
        x: &[T],
        expansion: &Expansion<'_, T>,
        rows: Range<usize>,
        expanded: &mut [T],
        ring: &mut Ring<T>,
    ) {
        let (row, left) = (self.input_row(), self.window.left * self.channels);
        let expanded = &mut expanded[..rows.len() * row];
        let k = self.window.width * expansion.channels;
        if rows.len() > 1 {
            multiply(&x[rows.start * k..rows.end * k], expansion.weight, expanded, false);
            for (i, y) in rows.zip(expanded.chunks_exact(row)) {
                expansion.norm.activate(y, &mut ring.row_mut(i)[left..left + row]);
            }
            return;
        }
        let out = &mut ring.row_mut(rows.start)[left..left + row];
        let pixels = super::pointwise::rows_of_tiles(self.channels);
        let x = x[rows.start * k..rows.end * k].chunks(pixels * expansion.channels);
        for (x, out) in x.zip(out.chunks_mut(pixels * self.channels)) {
            let y = &mut expanded[..out.len()];
            multiply(x, expansion.weight, y, false);
            expansion.norm.activate(y, out);
        }
    }

    /// The taps of one output row: kernel rows on input rows from `top` on.
    fn taps<'a>(&'a self, ring: &'a Ring<T>, rows: Range<usize>, top: usize) -> Vec<Tap<'a, T>> {
        let kernel = self.window.kernel;
        let tap =
            |a, b, ih| Tap { source: &ring.row(ih)[b * self.channels..], weight: self.tap(a, b) };
        rows.zip(top..)
            .flat_map(|(a, ih)| (0..kernel).map(move |b| (a, b, ih)))
            .map(|(a, b, ih)| tap(a, b, ih))
            .collect()
    }

    /// Makes an input row ready in its ring, and the slopes of its activation.
    fn read_row(
        &self,
        x: &[T],
        norm: Option<&Norm<T>>,
        i: usize,
        ring: &mut Ring<T>,
        slopes: Option<&mut Ring<T>>,
    ) {
        let (row, left) = (self.input_row(), self.window.left * self.channels);
        let x = &x[i * row..(i + 1) * row];
        let out = &mut ring.row_mut(i)[left..left + row];
        match (norm, slopes) {
            (None, _) => out.copy_from_slice(x),
            (Some(norm), None) => norm.activate(x, out),
            (Some(norm), Some(slopes)) => norm.activate_with_slope(x, out, slopes.row_mut(i)),
        }
    }

    /// The backward pass from the gradient behind the norm that follows.
    pub(crate) fn backward(
        &self,
        out: &OutputGradient<'_, T>,
        x: &[T],
        norm: Option<&Norm<T>>,
    ) -> Gradients<T> {
        let images = x.len() / self.input_image();
        let per_group = images_per_group(images, self.weight.len());
        let mut g = Buffer::new(x.len());
        let groups: Vec<(Buffer<T>, Sums)> = g
            .par_chunks_mut(per_group * self.input_image())
            .enumerate()
            .map(|(i, g)| {
                let mut sums = Sums::zeros(self.channels);
                let mut dw = Buffer::zeros(self.weight.len());
                let mut sweep = Sweep::new(self, norm);
                for (j, g) in g.chunks_exact_mut(self.input_image()).enumerate() {
                    let n = i * per_group + j;
                    let x = &x[n * self.input_image()..(n + 1) * self.input_image()];
                    sweep.image(out, n, x, g, &mut dw, &mut sums);
                }
                (dw, sums)
            })
            .collect();
        let sums = Sums::total(self.channels, groups.iter().map(|(_, sums)| sums));
        let taps = self.window.kernel * self.window.kernel;
        let mut weight = vec![T::zero(); self.weight.len()];
        for (dw, _) in &groups {
            for (tap, row) in dw.chunks_exact(self.channels).enumerate() {
                for (c, &v) in row.iter().enumerate() {
                    weight[c * taps + tap] += v;
                }
            }
        }
        Gradients { g, weight, sums }
    }
}

/// Gradients of one depthwise convolution.
pub(crate) struct Gradients<T: Pooled> {
    /// Of the input before its activation, or of the input itself if it has no norm.
    pub(crate) g: Buffer<T>,
    /// Of the weight, `[C, 1, k, k]`.
    pub(crate) weight: Vec<T>,
    /// What the input's norm needs.
    pub(crate) sums: Sums,
}

/// The backward pass over one image after another, with the rings that it needs.
struct Sweep<'a, T: Pooled> {
    shape: &'a Shape<T>,
    norm: Option<&'a Norm<T>>,
    /// Input rows, activated.
    input: Ring<T>,
    /// Slopes of their activation.
    slopes: Ring<T>,
    /// Gradients of output rows.
    output: Ring<T>,
    /// Zeros left of an output row, in pixels.
    margin: usize,
}

impl<'a, T: Pooled> Sweep<'a, T> {
    fn new(shape: &'a Shape<T>, norm: Option<&'a Norm<T>>) -> Self {
        let (w, channels) = (&shape.window, shape.channels);
        let margin = (w.kernel - 1).div_ceil(w.stride);
        let seen = (w.width - 1 + w.left) / w.stride + 1;
        let slope_row = if norm.is_some() { shape.input_row() } else { 0 };
        Self {
            shape,
            norm,
            input: Ring::new(w.kernel, shape.padded_row()),
            slopes: Ring::new(w.kernel, slope_row),
            output: Ring::new(
                w.kernel.div_ceil(w.stride) + 1,
                (margin + w.out_width.max(seen)) * channels,
            ),
            margin,
        }
    }

    /// Output row by output row: its gradient, what that adds to the weight's, and the input rows that
    /// no later output row has seen.
    fn image(
        &mut self,
        out: &OutputGradient<'_, T>,
        n: usize,
        x: &[T],
        g: &mut [T],
        dw: &mut [T],
        sums: &mut Sums,
    ) {
        let (shape, w) = (self.shape, &self.shape.window);
        let (mut read, mut done) = (0, 0);
        for oh in 0..w.out_height {
            let (taps, top) = w.rows(oh);
            while read < top + taps.len() {
                shape.read_row(x, self.norm, read, &mut self.input, Some(&mut self.slopes));
                read += 1;
            }
            self.read_gradient(out, n * w.out_height + oh, oh);
            let start = self.margin * shape.channels;
            let dy = &self.output.row(oh)[start..start + shape.output_row()];
            for (a, ih) in taps.zip(top..) {
                let side = w.kernel * shape.channels;
                let dw = &mut dw[a * side..(a + 1) * side];
                weight_gradient_row(dw, dy, self.input.row(ih), w.stride, shape.channels);
            }
            let last = oh + 1 == w.out_height;
            while done < w.height && (last || done + w.top < (oh + 1) * w.stride) {
                if done >= read {
                    shape.read_row(x, self.norm, done, &mut self.input, Some(&mut self.slopes));
                    read += 1;
                }
                let row = shape.input_row();
                let span = done * row..(done + 1) * row;
                self.input_gradient(done, &mut g[span.clone()]);
                if let Some(norm) = self.norm {
                    norm.gradient_by_slope(
                        &x[span.clone()],
                        self.slopes.row(done),
                        &mut g[span],
                        sums,
                    );
                }
                done += 1;
            }
        }
    }

    /// Makes the gradient of an output row of one image ready, row `from` of the batch.
    fn read_gradient(&mut self, out: &OutputGradient<'_, T>, from: usize, oh: usize) {
        let (row, start) = (self.shape.output_row(), self.margin * self.shape.channels);
        let span = from * row..(from + 1) * row;
        let dy = &mut self.output.row_mut(oh)[start..start + row];
        out.norm.input_gradient(out.by, &out.y[span.clone()], &out.g[span], dy);
    }

    /// The gradient of input row `ih`. Columns that differ by the stride have their taps in common.
    fn input_gradient(&self, ih: usize, g: &mut [T]) {
        let (shape, w, c) = (self.shape, &self.shape.window, self.shape.channels);
        let rows: Vec<(usize, usize)> = (0..w.kernel)
            .filter(|&a| ih + w.top >= a && (ih + w.top - a).is_multiple_of(w.stride))
            .map(|a| (a, (ih + w.top - a) / w.stride))
            .filter(|&(_, oh)| oh < w.out_height)
            .collect();
        for first in 0..w.stride.min(w.width) {
            let place = first + w.left;
            let taps: Vec<Tap<'_, T>> = rows
                .iter()
                .flat_map(|&(a, oh)| {
                    (place % w.stride..w.kernel).step_by(w.stride).map(move |b| (a, b, oh))
                })
                .map(|(a, b, oh)| {
                    // place - b is a multiple of the stride, at least -margin strides.
                    let pixel = (self.margin * w.stride + place - b) / w.stride;
                    Tap { source: &self.output.row(oh)[pixel * c..], weight: shape.tap(a, b) }
                })
                .collect();
            let count = (w.width - first).div_ceil(w.stride);
            let outputs = Outputs { count, channels: c, source_step: 1, step: w.stride };
            weighted_row(&mut g[first * c..], &taps, outputs);
        }
    }
}
