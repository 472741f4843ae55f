//! The tiles: M rows by N columns of the result in registers, for the vectors of each level.

use super::Strided;
use crate::ops::element::Element;
use crate::ops::simd::{Level, level};

/// Runs `$body` with constants for the level in use: rows of a tile, of the tile that takes what is left over,
/// columns of a tile, and whether multiplication and addition are fused.
macro_rules! with_tile {
    (<$t:ty> $f:ident($($argument:expr),*)) => {
        match level() {
            Level::Portable => $f::<$t, 4, 2, 8, false>($($argument),*),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(v3) => v3.vectorize(#[inline(always)] || $f::<$t, 6, 2, 16, true>($($argument),*)),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(v4) => v4.vectorize(#[inline(always)] || $f::<$t, 12, 4, 32, true>($($argument),*)),
        }
    };
}

/// B `[k, n]` as panels `[n / N][k][N]`.
pub(super) fn packed_columns<T: Element>(out: &mut Vec<T>, b: Strided<'_, T>, k: usize, n: usize) {
    with_tile!(<T> pack_columns(out, b, k, n));
}

/// The transpose of A `[rows, m]` as tiles `[m / M][rows][M]`.
pub(super) fn packed_rows<T: Element>(out: &mut Vec<T>, a: &[T], m: usize) {
    with_tile!(<T> pack_rows(out, a, m));
}

/// C `[m, n]` = A `[m, k]` times panels of B `[k, n]`, or that added to C.
pub(super) fn rows_times_panels<T: Element>(
    a: &[T],
    inner: (usize, usize),
    panels: &[T],
    c: &mut [T],
    accumulate: bool,
) {
    with_tile!(<T> all_rows(a, inner, panels, c, accumulate));
}

/// C `[m, n]` += tiles of A^T times panels of B `[k, n]`.
pub(super) fn tiles_times_panels<T: Element>(
    tiles: &[T],
    m: usize,
    inner: (usize, usize),
    panels: &[T],
    c: &mut [T],
) {
    with_tile!(<T> all_tiles(tiles, m, inner, panels, c));
}

#[inline(always)]
fn pack_columns<T: Element, const M: usize, const M2: usize, const N: usize, const FMA: bool>(
    out: &mut Vec<T>,
    b: Strided<'_, T>,
    k: usize,
    n: usize,
) {
    out.resize(n.div_ceil(N) * k * N, T::zero());
    for (p, panel) in out.chunks_exact_mut((k * N).max(1)).enumerate() {
        let (first, width) = (p * N, N.min(n - p * N));
        for (i, row) in panel.chunks_exact_mut(N).enumerate() {
            let start = i * b.row + first * b.column;
            if b.column == 1 && width == N {
                row.copy_from_slice(&b.values[start..start + N]);
            } else {
                for (j, v) in row.iter_mut().enumerate() {
                    *v = if j < width { b.values[start + j * b.column] } else { T::zero() };
                }
            }
        }
    }
}

#[inline(always)]
fn pack_rows<T: Element, const M: usize, const M2: usize, const N: usize, const FMA: bool>(
    out: &mut Vec<T>,
    a: &[T],
    m: usize,
) {
    let rows = a.len() / m.max(1);
    out.resize(m.div_ceil(M) * rows * M, T::zero());
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
fn all_rows<T: Element, const M: usize, const M2: usize, const N: usize, const FMA: bool>(
    a: &[T],
    (k, n): (usize, usize),
    panels: &[T],
    c: &mut [T],
    accumulate: bool,
) {
    let m = a.len() / k.max(1);
    for (p, panel) in panels.chunks_exact((k * N).max(1)).enumerate() {
        let (first, width) = (p * N, N.min(n - p * N));
        let mut i = 0;
        while i + M <= m {
            let (a, c) = (&a[i * k..], &mut c[i * n + first..]);
            tile::<T, M, N, FMA>(a, (k, 1), panel, c, n, (M, width), accumulate);
            i += M;
        }
        while i + M2 <= m {
            let (a, c) = (&a[i * k..], &mut c[i * n + first..]);
            tile::<T, M2, N, FMA>(a, (k, 1), panel, c, n, (M2, width), accumulate);
            i += M2;
        }
        while i < m {
            let (a, c) = (&a[i * k..], &mut c[i * n + first..]);
            tile::<T, 1, N, FMA>(a, (k, 1), panel, c, n, (1, width), accumulate);
            i += 1;
        }
    }
}

#[inline(always)]
fn all_tiles<T: Element, const M: usize, const M2: usize, const N: usize, const FMA: bool>(
    tiles: &[T],
    m: usize,
    (k, n): (usize, usize),
    panels: &[T],
    c: &mut [T],
) {
    for (p, panel) in panels.chunks_exact((k * N).max(1)).enumerate() {
        let (first, width) = (p * N, N.min(n - p * N));
        for (t, a) in tiles.chunks_exact((k * M).max(1)).enumerate() {
            let (i, height) = (t * M, M.min(m - t * M));
            let c = &mut c[i * n + first..];
            tile::<T, M, N, FMA>(a, (1, M), panel, c, n, (height, width), true);
        }
    }
}

/// `height` rows and `width` columns of a product, from element (i, k) of the left operand at
/// `a[i * row + k * column]`.
#[inline(always)]
fn tile<T: Element, const M: usize, const N: usize, const FMA: bool>(
    a: &[T],
    (row, column): (usize, usize),
    panel: &[T],
    c: &mut [T],
    c_row: usize,
    (height, width): (usize, usize),
    accumulate: bool,
) {
    let k = panel.len() / N;
    assert!(k > 0 && (M - 1) * row + (k - 1) * column < a.len());
    let mut sums = [[T::zero(); N]; M];
    for (i, b) in panel.chunks_exact(N).enumerate() {
        for (m, sums) in sums.iter_mut().enumerate() {
            // SAFETY: m < M and i < k, so the index is at most the one asserted above.
            let a = unsafe { *a.get_unchecked(m * row + i * column) };
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum = if FMA { a.fused(b, *sum) } else { a * b + *sum };
            }
        }
    }
    for (m, sums) in sums.iter().enumerate().take(height) {
        let c = &mut c[m * c_row..m * c_row + width];
        if accumulate {
            for (c, &sum) in c.iter_mut().zip(sums) {
                *c += sum;
            }
        } else if width == N {
            c.copy_from_slice(sums);
        } else {
            c.copy_from_slice(&sums[..width]);
        }
    }
}
