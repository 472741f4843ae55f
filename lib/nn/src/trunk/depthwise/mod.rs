//! Depthwise convolution between two norms: the first is applied to rows as they are read, and in the backward
//! pass the second's gradient is made as it is read.
//!
//! A few rows at a time are made ready in rings that stay in the cache, with zeros at both ends of each, so
//! that no tap asks whether it lies on the image.

mod backward;
mod inference;

use super::norm::Norm;
use super::rows::{Outputs, Tap, weighted_row};
use crate::ops::Window;
use crate::ops::batch_norm::Moments;
use crate::ops::buffer::{Buffer, Pooled};
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
}
