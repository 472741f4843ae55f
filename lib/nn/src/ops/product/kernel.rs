//! The tiles: M rows by N columns of the result in registers, for the vectors of each level.

use super::Strided;
use crate::ops::lanes::Lanes;
use crate::ops::simd::{Inlined, Level, level};
use pulp::Simd;

/// Calls a function compiled for the level in use, with the shape of its tiles: rows, rows of the tile that takes what
/// is left over, vectors in a row.
macro_rules! with_tile {
    (<$t:ty> $f:ident($($argument:expr),*)) => {
        match level() {
            Level::Portable => $f::<$t, pulp::Scalar, 2, 1, 8>(pulp::Scalar $(, $argument)*),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(v3) => v3.vectorize(Inlined(#[inline(always)] || $f::<$t, _, 6, 2, 2>(v3 $(, $argument)*))),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(v4) => v4.vectorize(Inlined(#[inline(always)] || $f::<$t, _, 12, 4, 2>(v4 $(, $argument)*))),
        }
    };
}

/// Columns of a panel.
pub(super) fn panel_columns<T: Lanes>() -> usize {
    with_tile!(<T> columns_of())
}

/// Panels `[k][N]` of B `[k, n]` from column `first` on, as many as `out` has room for.
pub(super) fn pack_columns<T: Lanes>(
    out: &mut [T],
    b: Strided<'_, T>,
    first: usize,
    (k, n): (usize, usize),
) {
    with_tile!(<T> panels_from(out, b, first, k, n));
}

/// `m` rounded up to whole tiles.
pub(super) fn tiles_of<T: Lanes>(m: usize) -> usize {
    with_tile!(<T> whole_tiles(m))
}

/// The transpose of A `[rows, m]` as tiles `[m / M][rows][M]`.
pub(super) fn pack_rows<T: Lanes>(out: &mut [T], a: &[T], m: usize) {
    with_tile!(<T> tiles_from(out, a, m));
}

/// C `[m, n]` = A `[m, k]` times panels of B `[k, n]`, or that added to C.
pub(super) fn rows_times_panels<T: Lanes>(
    a: Strided<'_, T>,
    inner: (usize, usize),
    panels: &[T],
    c: &mut [T],
    accumulate: bool,
) {
    with_tile!(<T> all_rows(a, inner, panels, c, accumulate));
}

/// C `[m, n]` = A `[m, k]` times the first whole panels' worth of columns of B `[k, n]`, which lies row by row; returns
/// how many columns that were.
pub(super) fn rows_times_rows<T: Lanes>(
    a: Strided<'_, T>,
    inner: (usize, usize),
    b: &[T],
    c: &mut [T],
) -> usize {
    with_tile!(<T> all_rows_of_rows(a, inner, b, c))
}

/// C `[m, n]` = tiles of A^T times panels of B `[k, n]`, or that added to C.
pub(super) fn tiles_times_panels<T: Lanes>(
    tiles: &[T],
    m: usize,
    inner: (usize, usize),
    panels: &[T],
    c: &mut [T],
    accumulate: bool,
) {
    with_tile!(<T> all_tiles(tiles, m, inner, panels, c, accumulate));
}

#[inline(always)]
fn whole_tiles<T: Lanes, S: Simd, const M: usize, const R: usize, const W: usize>(
    _: S,
    m: usize,
) -> usize {
    m.next_multiple_of(M)
}

#[inline(always)]
fn columns_of<T: Lanes, S: Simd, const M: usize, const R: usize, const W: usize>(_: S) -> usize {
    W * T::lanes::<S>()
}

#[inline(always)]
fn panels_from<T: Lanes, S: Simd, const M: usize, const R: usize, const W: usize>(
    _: S,
    out: &mut [T],
    b: Strided<'_, T>,
    first: usize,
    k: usize,
    n: usize,
) {
    let columns = W * T::lanes::<S>();
    for (p, panel) in out.chunks_exact_mut((k * columns).max(1)).enumerate() {
        let first = first + p * columns;
        let width = columns.min(n - first);
        for (i, row) in panel.chunks_exact_mut(columns).enumerate() {
            let start = i * b.row + first * b.column;
            if b.column == 1 && width == columns {
                row.copy_from_slice(&b.values[start..start + columns]);
            } else {
                for (j, v) in row.iter_mut().enumerate() {
                    *v = if j < width { b.values[start + j * b.column] } else { T::zero() };
                }
            }
        }
    }
}

#[inline(always)]
fn tiles_from<T: Lanes, S: Simd, const M: usize, const R: usize, const W: usize>(
    _: S,
    out: &mut [T],
    a: &[T],
    m: usize,
) {
    let rows = a.len() / m.max(1);
    for (t, tile) in out.chunks_exact_mut((rows * M).max(1)).enumerate() {
        let (first, height) = (t * M, M.min(m - t * M));
        for (tile, row) in tile.chunks_exact_mut(M).zip(a.chunks_exact(m)) {
            if height == M {
                tile.copy_from_slice(&row[first..first + M]);
            } else {
                tile[..height].copy_from_slice(&row[first..]);
                tile[height..].fill(T::zero());
            }
        }
    }
}

#[inline(always)]
fn all_rows<T: Lanes, S: Simd, const M: usize, const R: usize, const W: usize>(
    simd: S,
    a: Strided<'_, T>,
    (k, n): (usize, usize),
    panels: &[T],
    c: &mut [T],
    accumulate: bool,
) {
    let columns = W * T::lanes::<S>();
    for (p, panel) in panels.chunks_exact((k * columns).max(1)).enumerate() {
        let (first, width) = (p * columns, columns.min(n - p * columns));
        let b = Right { values: panel, row: columns, k };
        rows_times_columns::<T, S, M, R, W>(simd, a, b, c, (n, first, width), accumulate);
    }
}

#[inline(always)]
fn all_rows_of_rows<T: Lanes, S: Simd, const M: usize, const R: usize, const W: usize>(
    simd: S,
    a: Strided<'_, T>,
    (k, n): (usize, usize),
    b: &[T],
    c: &mut [T],
) -> usize {
    let columns = W * T::lanes::<S>();
    let whole = n / columns * columns;
    for first in (0..whole).step_by(columns) {
        let b = Right { values: &b[first..], row: n, k };
        rows_times_columns::<T, S, M, R, W>(simd, a, b, c, (n, first, columns), false);
    }
    whole
}

/// All rows of C `[m, n]`, `width` columns from `first` on.
#[inline(always)]
fn rows_times_columns<T: Lanes, S: Simd, const M: usize, const R: usize, const W: usize>(
    simd: S,
    a: Strided<'_, T>,
    b: Right<'_, T>,
    c: &mut [T],
    (n, first, width): (usize, usize, usize),
    accumulate: bool,
) {
    let m = c.len() / n.max(1);
    let mut i = 0;
    while i + M <= m {
        let left = Strided { values: &a.values[i * a.row..], ..a };
        let target = Target { c: &mut c[i * n + first..], row: n, accumulate };
        tile::<T, S, M, W>(simd, left, b, target, (M, width));
        i += M;
    }
    while i + R <= m {
        let left = Strided { values: &a.values[i * a.row..], ..a };
        let target = Target { c: &mut c[i * n + first..], row: n, accumulate };
        tile::<T, S, R, W>(simd, left, b, target, (R, width));
        i += R;
    }
    while i < m {
        let left = Strided { values: &a.values[i * a.row..], ..a };
        let target = Target { c: &mut c[i * n + first..], row: n, accumulate };
        tile::<T, S, 1, W>(simd, left, b, target, (1, width));
        i += 1;
    }
}

#[inline(always)]
fn all_tiles<T: Lanes, S: Simd, const M: usize, const R: usize, const W: usize>(
    simd: S,
    tiles: &[T],
    m: usize,
    (k, n): (usize, usize),
    panels: &[T],
    c: &mut [T],
    accumulate: bool,
) {
    let columns = W * T::lanes::<S>();
    for (p, panel) in panels.chunks_exact((k * columns).max(1)).enumerate() {
        let (first, width) = (p * columns, columns.min(n - p * columns));
        let b = Right { values: panel, row: columns, k };
        for (t, values) in tiles.chunks_exact((k * M).max(1)).enumerate() {
            let (i, height) = (t * M, M.min(m - t * M));
            let left = Strided { values, row: 1, column: M };
            let target = Target { c: &mut c[i * n + first..], row: n, accumulate };
            tile::<T, S, M, W>(simd, left, b, target, (height, width));
        }
    }
}

/// `k` rows of the right operand, each `row` elements after the one before it, as many columns as a tile has.
#[derive(Clone, Copy)]
struct Right<'a, T> {
    values: &'a [T],
    row: usize,
    k: usize,
}

/// Where a tile goes: rows that are `row` elements apart, to be overwritten or added to.
struct Target<'a, T> {
    c: &'a mut [T],
    row: usize,
    accumulate: bool,
}

/// `height` rows and `width` columns of a product.
#[inline(always)]
fn tile<T: Lanes, S: Simd, const M: usize, const W: usize>(
    simd: S,
    left: Strided<'_, T>,
    right: Right<'_, T>,
    target: Target<'_, T>,
    (height, width): (usize, usize),
) {
    let Target { c, row: c_row, accumulate } = target;
    let Strided { values: a, row, column } = left;
    let Right { values: b, row: b_row, k } = right;
    let lanes = T::lanes::<S>();
    assert!(k > 0 && (M - 1) * row + (k - 1) * column < a.len());
    assert!((k - 1) * b_row + W * lanes <= b.len());
    assert!((height - 1) * c_row + width <= c.len());
    let mut sums = [[T::splat(simd, T::zero()); W]; M];
    let (a, mut b) = (a.as_ptr(), b.as_ptr());
    for i in 0..k {
        // SAFETY: i < k and m < M, so all indices of `a` are at most that asserted above; so are the W vectors of the
        // right operand's row i. Its pointer is moved past the end at most when it is not read any more.
        unsafe {
            let mut columns = [T::splat(simd, T::zero()); W];
            for (w, column) in columns.iter_mut().enumerate() {
                *column = T::load::<S>(b.add(w * lanes));
            }
            for (m, sums) in sums.iter_mut().enumerate() {
                let a = T::splat(simd, *a.add(m * row + i * column));
                for (sum, &b) in sums.iter_mut().zip(&columns) {
                    *sum = T::mul_add(simd, a, b, *sum);
                }
            }
            b = b.wrapping_add(b_row);
        }
    }
    for (m, sums) in sums.iter().enumerate() {
        if m < height {
            store_row::<T, S, W>(simd, sums, &mut c[m * c_row..m * c_row + width], accumulate);
        }
    }
}

/// Puts one row of a tile where it belongs, the first of its columns where not all are wanted.
#[inline(always)]
fn store_row<T: Lanes, S: Simd, const W: usize>(
    simd: S,
    sums: &[T::Vector<S>; W],
    c: &mut [T],
    accumulate: bool,
) {
    let lanes = T::lanes::<S>();
    for (w, &sum) in sums.iter().enumerate() {
        let to = w * lanes;
        if to + lanes <= c.len() {
            // SAFETY: `lanes` elements lie at `to`.
            unsafe {
                let at = c.as_mut_ptr().add(to);
                let sum = if accumulate { T::plus(simd, T::load::<S>(at), sum) } else { sum };
                T::store::<S>(at, sum);
            }
        } else if to < c.len() {
            let mut all = [T::zero(); 16];
            // SAFETY: no vector has more than 16 lanes.
            unsafe { T::store::<S>(all.as_mut_ptr(), sum) };
            for (c, &sum) in c[to..].iter_mut().zip(&all) {
                *c = if accumulate { *c + sum } else { sum };
            }
        }
    }
}
