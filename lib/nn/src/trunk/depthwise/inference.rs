//! Depthwise convolution in inference: behind an expansion that is made a few rows at a time, in front of a norm that is
//! known beforehand.

use super::{Ring, Shape};
use crate::ops::buffer::{Buffer, Pooled};
use crate::ops::product::multiply;
use crate::trunk::elementwise::sum_rows;
use crate::trunk::inference::Expansion;
use crate::trunk::norm::Norm;
use crate::trunk::pointwise::rows_of_tiles;
use crate::trunk::rows::weighted_row;
use rayon::prelude::*;
use std::ops::Range;

impl<T: Pooled> Shape<T> {
    /// Inference: input `[N, H, W, C']`, through an expansion if there is one, to the activated output and its means
    /// `[N, C]`.
    pub(in crate::trunk) fn infer(
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
        let pixels = rows_of_tiles(self.channels);
        let x = x[rows.start * k..rows.end * k].chunks(pixels * expansion.channels);
        for (x, out) in x.zip(out.chunks_mut(pixels * self.channels)) {
            let y = &mut expanded[..out.len()];
            multiply(x, expansion.weight, y, false);
            expansion.norm.activate(y, out);
        }
    }
}
