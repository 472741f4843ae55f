//! How CPU kernels are spread over threads and vector units.
//!
//! Work is cut into pieces whose size depends on the shapes alone, never on the number of threads, and
//! partial sums are added in the order of the pieces: the same bits come out at any thread count.

use super::simd::vectorised;
use rayon::prelude::*;

/// Elements in one piece of work: large enough to pay for handing it to a thread, small enough that
/// a piece of f32 (64 KiB) stays in the second-level cache between two passes over it.
const PIECE: usize = 16 * 1024;

/// Rows of `width` elements that make one piece.
pub(crate) fn rows_per_piece(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

/// Splits `out` into pieces of `rows` rows of `width` elements and fills them in parallel;
/// `kernel` gets the first row's index and the piece.
pub(crate) fn fill_rows<T: Send>(
    out: &mut [T],
    width: usize,
    rows: usize,
    kernel: impl Fn(usize, &mut [T]) + Sync,
) {
    if out.len() <= width * rows {
        return vectorised(|| kernel(0, out));
    }
    out.par_chunks_mut(width * rows)
        .enumerate()
        .for_each(|(i, piece)| vectorised(|| kernel(i * rows, piece)));
}

/// Evaluates `kernel` for every piece of `rows` rows out of `total` in parallel and returns the
/// results in order.
pub(crate) fn map_pieces<R: Send>(
    total: usize,
    rows: usize,
    kernel: impl Fn(std::ops::Range<usize>) -> R + Sync,
) -> Vec<R> {
    let pieces = total.div_ceil(rows.max(1));
    let range = |i: usize| i * rows..((i + 1) * rows).min(total);
    if pieces <= 1 {
        return (0..pieces).map(|i| vectorised(|| kernel(range(i)))).collect();
    }
    (0..pieces).into_par_iter().map(|i| vectorised(|| kernel(range(i)))).collect()
}
