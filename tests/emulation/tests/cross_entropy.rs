//! The cross-entropy's kernels against the CPU's operator in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use check::{assert_close, exact, launch, numbers, room, rounding, run, tensor, values};
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::ops::grid::Grid;

const SHAPES: [(usize, usize); 6] = [(3, 4), (1, 1), (7, 11), (1, 1000), (5, 257), (70, 10)];

/// A block for every row.
fn of_rows(rows: usize) -> Grid {
    Grid { across: rows, down: 1 }
}

fn loss(logits: &[f32], target: &[f32], rows: usize) -> [f32; 1] {
    let mut losses = room::<f32>(rows);
    let launch = launch::<f32>("cross_entropy_rows").input(logits).input(target);
    run(launch.output(&mut losses).int(logits.len() / rows), of_rows(rows));
    let mut mean = [0.0];
    let launch = self::launch::<f32>("cross_entropy_mean").input(&losses).output(&mut mean);
    run(launch.int(rows), of_rows(1));
    mean
}

fn gradient(logits: &[f32], target: &[f32], dy: &[f32], rows: usize) -> Vec<f32> {
    let mut dz = room::<f32>(logits.len());
    let launch = launch::<f32>("cross_entropy_backward").input(logits).input(target).input(dy);
    let launch = launch.output(&mut dz).int(rows).int(logits.len() / rows);
    run(launch, of_rows(rows));
    dz
}

#[test]
fn kernels_agree() {
    for (rows, classes) in SHAPES {
        // The exponential of a number rounds with an error of its size.
        for scale in [3.0, 30.0] {
            let logits = numbers::<f32>(rows * classes, 1, scale);
            let target: Vec<f32> =
                numbers::<f32>(rows * classes, 2, 0.5).iter().map(|v| v + 0.5).collect();
            let targets = tensor(&target, &[rows, classes]);
            let inputs = [tensor(&logits, &[rows, classes])];
            let exact = exact::<f32>(&inputs, |t| cross_entropy(&t[0], &targets));
            let tolerance = rounding(classes / 256 + rows / 256 + 16 + 3 * scale as usize);
            assert_close(&loss(&logits, &target, rows), &exact.y, tolerance, "loss");
            let dz = gradient(&logits, &target, &exact.dy, rows);
            // Of one class there is no gradient: all that its terms leave is their rounding.
            let allowed = tolerance * exact.dy[0].abs() as f64 * classes as f64 / rows as f64;
            check::assert_within(&dz, &exact.gradients[0], allowed, "gradient");
        }
    }
}

#[test]
fn far_logits_are_finite() {
    let (logits, target) = ([1e4_f32, -1e4, 0.0], [0.0_f32, 1.0, 0.0]);
    let [found] = loss(&logits, &target, 1);
    let (z, t) = (tensor(&logits, &[1, 3]), tensor(&target, &[1, 3]));
    let exact = values(&cross_entropy(&z, &t).unwrap());
    assert_close(&[found], &exact, rounding(0), "loss");
    assert!(gradient(&logits, &target, &[1.0], 1).iter().all(|v| v.is_finite()));
}

#[test]
fn what_is_no_number_stays_so() {
    for at in [0, 5, 299] {
        let (mut logits, target) = (vec![1.0_f32; 300], vec![0.1_f32; 300]);
        logits[at] = f32::NAN;
        assert!(loss(&logits, &target, 1)[0].is_nan(), "{at}");
    }
}
