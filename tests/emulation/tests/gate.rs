//! The gate's kernels against the CPU's operator in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use check::{Number, assert_close, exact, launch, numbers, room, rounding, run, tensor};
use cream_arch::Gate;
use cream_nn::ops::gate::gate;
use cream_nn::ops::grid::Grid;
use half::bf16;

/// The last is wider than a group of vectors.
const SHAPES: [[usize; 4]; 6] =
    [[2, 3, 2, 5], [1, 1, 1, 1], [3, 1, 1, 33], [2, 5, 7, 64], [1, 20, 25, 21], [2, 3, 5, 264]];
const KINDS: [Gate; 2] = [Gate::HardSigmoid, Gate::Sigmoid];

fn agrees<T: Number>() {
    for [n, h, w, c] in SHAPES {
        let (pixels, dims) = (h * w, [n, h, w, c]);
        let (x, s) = (numbers::<T>(n * pixels * c, 1, 1.0), numbers::<T>(n * c, 2, 5.0));
        for (number, kind) in KINDS.into_iter().enumerate() {
            let inputs = [tensor(&x, &dims), tensor(&s, &[n, c])];
            let exact = exact::<T>(&inputs, |t| gate(&t[0], &t[1], kind));
            let mut y = room::<T>(x.len());
            let forward = launch::<T>("gate_forward").input(&x).input(&s).output(&mut y);
            run(forward.int(pixels).int(c).int(number), Grid::of_columns::<T>(c, n));
            assert_close(&y, &exact.y, rounding(0), "output");
            let (mut dx, mut ds) = (room::<T>(x.len()), room::<T>(s.len()));
            let backward = launch::<T>("gate_backward").input(&x).input(&s).input(&exact.dy);
            let backward = backward.output(&mut dx).output(&mut ds);
            run(backward.int(pixels).int(c).int(number), Grid::of_columns::<T>(c, n));
            assert_close(&dx, &exact.gradients[0], rounding(0), "gradient of x");
            assert_close(&ds, &exact.gradients[1], rounding(pixels / 8 + 8), "gradient of s");
        }
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

#[test]
fn what_is_no_number_stays_so() {
    for number in 0..KINDS.len() {
        let mut y = [0.0_f32];
        let forward = launch::<f32>("gate_forward").input(&[1.0_f32]).input(&[f32::NAN]);
        run(forward.output(&mut y).int(1).int(1).int(number), Grid::of_columns::<f32>(1, 1));
        assert!(y[0].is_nan());
    }
}
