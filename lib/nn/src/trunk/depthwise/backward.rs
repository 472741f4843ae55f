//! Gradients of a depthwise convolution: of its weight, and of its input before the norm there, row by row.

use super::{Ring, Shape};
use crate::ops::buffer::{Buffer, Pooled};
use crate::trunk::norm::{Norm, Sums};
use crate::trunk::pointwise::{OutputGradient, images_per_group};
use crate::trunk::rows::{Outputs, Tap, weight_gradient_row, weighted_row};
use rayon::prelude::*;

impl<T: Pooled> Shape<T> {
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
