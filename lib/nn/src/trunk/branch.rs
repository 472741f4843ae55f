//! Stochastic depth: what a residual block adds to its input, times a factor of its image.

use super::{piece, rows_in_parallel};
use crate::ops::buffer::{Buffer, Pooled};
use crate::ops::simd::vectorised;
use std::ops::Range;

/// The factors of one block's images.
pub(super) struct Branch<T> {
    factors: Vec<T>,
    /// Elements of an image.
    image: usize,
}

impl<T: Pooled> Branch<T> {
    /// One factor for each image of so many elements.
    pub(super) fn new(factors: &[f64], image: usize) -> Self {
        Self { factors: factors.iter().map(|&f| T::from_f64(f)).collect(), image }
    }

    /// `branch = branch * factor + x` on the elements from `first` on.
    pub(super) fn scale_and_add(&self, first: usize, branch: &mut [T], x: &[T]) {
        self.by_image(first, branch.len(), |factor, span| {
            let (branch, x) = (&mut branch[span.clone()], &x[span]);
            vectorised(
                #[inline(always)]
                || branch.iter_mut().zip(x).for_each(|(b, &x)| *b = *b * factor + x),
            );
        });
    }

    /// The gradient of the branch, from that of the block's output.
    pub(super) fn gradient(&self, dout: &[T]) -> Buffer<T> {
        let mut g = Buffer::new(dout.len());
        rows_in_parallel(&mut g, piece(1), |first, g| {
            let dout = &dout[first..first + g.len()];
            self.by_image(first, g.len(), |factor, span| {
                let (g, dout) = (&mut g[span.clone()], &dout[span]);
                vectorised(
                    #[inline(always)]
                    || g.iter_mut().zip(dout).for_each(|(g, &d)| *g = d * factor),
                );
            });
        });
        g
    }

    /// Cuts `len` elements from `first` on at images; spans are counted from `first`.
    fn by_image(&self, first: usize, len: usize, mut f: impl FnMut(T, Range<usize>)) {
        let (end, mut at) = (first + len, first);
        while at < end {
            let image = at / self.image;
            let next = ((image + 1) * self.image).min(end);
            f(self.factors[image], at - first..next - first);
            at = next;
        }
    }
}
