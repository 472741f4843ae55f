//! Products of few rows with a weight `[n, k]`, such as those on pooled images. There are fewer rows than it takes to
//! make up for packing the weight, so it is read once, where it lies, and the rows are packed.

use super::{Panels, Strided, kernel, multiply, multiply_in_parallel};
use crate::ops::buffer::{Buffer, Pooled};
use rayon::prelude::*;

/// Rows from which on the weight is packed after all: each of its elements is then used so often.
const MANY_ROWS: usize = 64;

/// Elements of a weight in one piece of work.
const PIECE: usize = 32 * 1024;

/// `x W^T` for rows x `[m, k]`, plus a bias `[n]` on every row, `[m, n]`.
pub(crate) fn product<T: Pooled>(
    x: &[T],
    weight: &[T],
    (n, k): (usize, usize),
    bias: &[T],
) -> Vec<T> {
    let m = x.len() / k;
    // The transpose, W x^T: the weight's rows are what a tile takes rows from, and x is small.
    let rows = Panels::pack(Strided::transposed(x, k), k, m);
    let mut turned = Buffer::new(n * m);
    let at_once = rows_of_piece(k);
    let pieces = turned.par_chunks_mut((at_once * m).max(1)).zip(weight.par_chunks(at_once * k));
    pieces.for_each(|(turned, weight)| multiply(weight, &rows, turned, false));
    let mut y = Vec::with_capacity(m * n);
    for row in 0..m {
        y.extend(turned.iter().skip(row).step_by(m).zip(bias).map(|(&v, &b)| v + b));
    }
    y
}

/// The gradient of x, `dy W` for rows dy `[m, n]`, as `[m, k]`.
pub(crate) fn input_gradient<T: Pooled>(dy: &[T], weight: &[T], (n, k): (usize, usize)) -> Vec<T> {
    let m = dy.len() / n;
    let mut dx = vec![T::zero(); m * k];
    if m >= MANY_ROWS {
        let panels = Panels::pack(Strided::rows(weight, k), n, k);
        multiply_in_parallel(dy, &panels, &mut dx, false);
        return dx;
    }
    // A sum over the weight's rows, so each piece of them gives a part.
    let at_once = rows_of_piece(k);
    let parts: Vec<Buffer<T>> = weight
        .par_chunks(at_once * k)
        .enumerate()
        .map(|(i, weight)| part_of_input(&dy[i * at_once..], n, weight, k))
        .collect();
    for part in parts {
        for (sum, &v) in dx.iter_mut().zip(part.iter()) {
            *sum += v;
        }
    }
    dx
}

/// What some rows of a weight, and the columns of dy that belong to them, give to the gradient of x.
fn part_of_input<T: Pooled>(dy: &[T], n: usize, weight: &[T], k: usize) -> Buffer<T> {
    let (m, inner) = (dy.len().div_ceil(n), weight.len() / k);
    let mut part = Buffer::new(m * k);
    let left = Strided { values: dy, row: n, column: 1 };
    let done = kernel::rows_times_rows(left, (inner, k), weight, &mut part);
    if done < k {
        let rest = k - done;
        let right = Strided { values: &weight[done..], row: k, column: 1 };
        let panels = Panels::pack_here(right, inner, rest);
        let mut columns = Buffer::new(m * rest);
        kernel::rows_times_panels(left, (inner, rest), &panels.values, &mut columns, false);
        for (part, columns) in part.chunks_exact_mut(k).zip(columns.chunks_exact(rest)) {
            part[done..].copy_from_slice(columns);
        }
    }
    part
}

/// The gradient of the weight, `dy^T x` for rows dy `[m, n]` and x `[m, k]`, as `[n, k]`.
pub(crate) fn weight_gradient<T: Pooled>(dy: &[T], x: &[T], (n, k): (usize, usize)) -> Vec<T> {
    let m = dy.len() / n;
    let panels = Panels::pack(Strided::rows(x, k), m, k);
    let mut dw = vec![T::zero(); n * k];
    let at_once = rows_of_piece(k);
    dw.par_chunks_mut(at_once * k).enumerate().for_each(|(i, dw)| {
        let left = Strided { values: &dy[i * at_once..], row: 1, column: n };
        kernel::rows_times_panels(left, (m, k), &panels.values, dw, false);
    });
    dw
}

/// Rows of a weight that make one piece: whole tiles of every level.
fn rows_of_piece(k: usize) -> usize {
    (PIECE / k.max(1)).clamp(1, 1024).next_multiple_of(12)
}
