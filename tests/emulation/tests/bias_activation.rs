//! The kernels of bias and activation against the CPU's operator in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use check::{
    ACTIVATIONS, Number, activation_number, assert_close, exact, launch, numbers, room, rounding,
    run, tensor,
};
use cream_nn::ops::bias_activation::bias_activation;
use cream_nn::ops::grid::Grid;
use half::bf16;

/// The last is wider than a group of vectors.
const SHAPES: [(usize, usize); 6] = [(6, 5), (1, 1), (1, 100), (40, 32), (300, 33), (20, 264)];

fn agrees<T: Number>() {
    for (rows, c) in SHAPES {
        // Up to where every activation is flat.
        let (x, bias) = (numbers::<T>(rows * c, 1, 8.0), numbers::<f32>(c, 2, 1.0));
        for activation in ACTIVATIONS {
            let inputs = [tensor(&x, &[rows, c]), tensor(&bias, &[c])];
            let exact = exact::<T>(&inputs, |t| bias_activation(&t[0], &t[1], activation));
            let number = activation_number(activation);
            let mut y = room::<T>(x.len());
            let forward = launch::<T>("bias_activation_forward").input(&x).input(&bias);
            run(forward.output(&mut y).int(rows).int(c).int(number), Grid::of_rows::<T>(rows, c));
            assert_close(&y, &exact.y, rounding(0), "output");
            let (mut dx, mut db) = (room::<T>(x.len()), room::<f32>(c));
            let backward = launch::<T>("bias_activation_backward").input(&x).input(&bias);
            let backward = backward.input(&exact.dy).output(&mut dx).output(&mut db);
            run(backward.int(rows).int(c).int(number), Grid::of_few::<T>(c));
            assert_close(&dx, &exact.gradients[0], rounding(0), "gradient of x");
            assert_close(&db, &exact.gradients[1], rounding(rows / 8 + 8), "gradient of bias");
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
    for activation in ACTIVATIONS {
        let mut y = [0.0_f32];
        let forward = launch::<f32>("bias_activation_forward").input(&[f32::NAN]).input(&[1.0_f32]);
        let forward = forward.output(&mut y).int(1).int(1).int(activation_number(activation));
        run(forward, Grid::of_rows::<f32>(1, 1));
        assert!(y[0].is_nan(), "{activation:?}");
    }
}
