//! The pool's kernels against the CPU's operator in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use check::{Number, assert_close, exact, launch, numbers, room, rounding, run, tensor};
use cream_nn::ops::grid::Grid;
use cream_nn::ops::pool::global_average;
use half::bf16;

/// The last is wider than a group of vectors.
const SHAPES: [[usize; 4]; 6] =
    [[2, 3, 2, 5], [1, 1, 1, 1], [3, 1, 1, 33], [2, 7, 7, 64], [1, 40, 30, 19], [2, 3, 5, 264]];

fn agrees<T: Number>() {
    for [n, h, w, c] in SHAPES {
        let pixels = h * w;
        let x = numbers::<T>(n * pixels * c, 1, 1.0);
        let exact = exact::<T>(&[tensor(&x, &[n, h, w, c])], |t| global_average(&t[0]));
        let mut y = room::<T>(n * c);
        let forward = launch::<T>("pool_forward").input(&x).output(&mut y);
        run(forward.int(pixels).int(c), Grid::of_columns::<T>(c, n));
        assert_close(&y, &exact.y, rounding(pixels / 8 + 8), "mean");
        let mut dx = room::<T>(x.len());
        let backward = launch::<T>("pool_backward").input(&exact.dy).output(&mut dx);
        run(backward.int(pixels).int(c), Grid::of_columns::<T>(c, n));
        assert_close(&dx, &exact.gradients[0], rounding(0), "gradient");
    }
}

#[test]
fn kernels_agree_in_f32() {
    agrees::<f32>();
}

#[test]
fn kernels_agree_in_bf16() {
    agrees::<bf16>();
}
