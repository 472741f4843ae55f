//! Products of matrices that lie in one thread's cache: the pieces that fused blocks are made of.
//!
//! The right operand is packed once into panels of a few columns, which all rows of the left operand meet
//! in turn; a tile of the result stays in vector registers over the whole inner dimension. Callers cut
//! the work into pieces and spread them over threads. The order of the additions depends on the
//! level of vector instructions alone.

pub(crate) mod dense;
mod kernel;
#[cfg(test)]
mod tests;

use super::buffer::{Buffer, Pooled};
use kernel::{pack_columns, pack_rows, tiles_of};
use rayon::prelude::*;

/// The right operand B `[k, n]`, cut into panels of `width` columns, each `[k, width]`, the last one
/// filled up with zeros.
#[derive(Debug)]
pub(crate) struct Panels<T: Pooled> {
    values: Buffer<T>,
    k: usize,
    n: usize,
}

/// A matrix in memory: element (i, j) is `values[i * row + j * column]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strided<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a, T> Strided<'a, T> {
    /// Row after row, `columns` in each.
    pub(crate) fn rows(values: &'a [T], columns: usize) -> Self {
        Self { values, row: columns, column: 1 }
    }

    /// The transpose of [`Strided::rows`].
    pub(crate) fn transposed(values: &'a [T], columns: usize) -> Self {
        Self { values, row: 1, column: columns }
    }
}

impl<T: Pooled> Panels<T> {
    /// Packs B `[k, n]`, on all threads.
    pub(crate) fn pack(b: Strided<'_, T>, k: usize, n: usize) -> Self {
        let columns = kernel::panel_columns::<T>();
        let mut values = Buffer::new(n.div_ceil(columns) * columns * k);
        // Panels of one piece of work, enough to be worth a thread's while.
        let at_once = (16 * 1024 / (columns * k).max(1)).max(1);
        let pieces = values.par_chunks_mut((at_once * columns * k).max(1)).enumerate();
        pieces.for_each(|(i, piece)| pack_columns(piece, b, i * at_once * columns, (k, n)));
        Self { values, k, n }
    }

    /// The same on this thread.
    fn pack_here(b: Strided<'_, T>, k: usize, n: usize) -> Self {
        let columns = kernel::panel_columns::<T>();
        let mut values = Buffer::new(n.div_ceil(columns) * columns * k);
        pack_columns(&mut values, b, 0, (k, n));
        Self { values, k, n }
    }
}

/// `C = A B`, or `C = C + A B` with `accumulate`; A `[m, k]` row by row, C `[m, n]` row by row.
pub(crate) fn multiply<T: Pooled>(a: &[T], b: &Panels<T>, c: &mut [T], accumulate: bool) {
    debug_assert_eq!(a.len() / b.k.max(1), c.len() / b.n.max(1));
    kernel::rows_times_panels(Strided::rows(a, b.k), (b.k, b.n), &b.values, c, accumulate);
}

/// [`multiply`] with the rows shared out among threads.
pub(crate) fn multiply_in_parallel<T: Pooled>(
    a: &[T],
    b: &Panels<T>,
    c: &mut [T],
    accumulate: bool,
) {
    const ROWS: usize = 12;
    let work = c.par_chunks_mut((ROWS * b.n).max(1)).zip(a.par_chunks((ROWS * b.k).max(1)));
    work.for_each(|(c, a)| multiply(a, b, c, accumulate));
}

/// `sum [narrow, wide] += narrow^T wide` over the rows of both, or that without what `sum` held; faster with the
/// narrower one first. This is how a weight's gradient comes from the two sides of a product.
pub(crate) fn add_row_products<T: Pooled>(
    sum: &mut [T],
    narrow: (&[T], usize),
    wide: (&[T], usize),
    accumulate: bool,
) {
    let ((a, m), (b, n)) = (narrow, wide);
    let rows = a.len() / m.max(1);
    let panels = Panels::pack_here(Strided::rows(b, n), rows, n);
    let mut tiles = Buffer::new(tiles_of::<T>(m) * rows);
    pack_rows(&mut tiles, a, m);
    kernel::tiles_times_panels(&tiles, m, (rows, n), &panels.values, sum, accumulate);
}
