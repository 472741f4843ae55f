//! The batch norm's kernels against the CPU's operator in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use check::{
    ACTIVATIONS, Exact, Number, activation_number, assert_close, assert_within, exact, largest,
    launch, numbers, room, rounding, run, tensor, values,
};
use cream_arch::Activation;
use cream_emulation::Launch;
use cream_nn::ops::batch_norm::{Seen, Statistics, batch_norm, normalise};
use cream_nn::ops::grid::{Grid, passes, sums};
use half::bf16;

const EPSILON: f64 = 1e-5;

/// Rows, channels, and what is added to every number: a large mean beside a small deviation shows a one-pass variance.
/// The last two have vectors, of one group in several pieces, and of several groups.
const CASES: [(usize, usize, f64); 7] = [
    (12, 5, 0.0),
    (2, 3, 0.0),
    (700, 33, 0.0),
    (300, 16, 100.0),
    (49, 65, 0.0),
    (700, 40, 0.0),
    (70, 264, 0.0),
];

struct Case<T> {
    rows: usize,
    c: usize,
    x: Vec<T>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
    /// That sums over rows are taken in.
    parts: usize,
}

impl<T: Number> Case<T> {
    fn new(rows: usize, c: usize, offset: f64, activation: Activation) -> Self {
        let x = numbers::<f32>(rows * c, 1, 1.0);
        let x = x.iter().map(|v| T::narrow(v.widen() + offset)).collect();
        // Of both signs, and large enough for the flat parts of the activations.
        let (weight, bias) = (numbers(c, 2, 4.0), numbers(c, 3, 2.0));
        Self { rows, c, x, weight, bias, activation, parts: sums::<T>(rows, c) }
    }

    /// The CPU's output, gradients and statistics.
    fn exact(&self) -> (Exact<T>, Statistics) {
        let inputs = [
            tensor(&self.x, &[self.rows, self.c]),
            tensor(&self.weight, &[self.c]),
            tensor(&self.bias, &[self.c]),
        ];
        let f =
            |t: &[candle_core::Tensor]| batch_norm(&t[0], &t[1], &t[2], EPSILON, self.activation);
        match f(&inputs).unwrap().1 {
            Seen::Host(statistics) => (exact(&inputs, |t| Ok(f(t)?.0)), statistics),
            Seen::Device { .. } => panic!("not on the CPU"),
        }
    }

    /// Mean and variance, of pieces and then of all; moves the running ones with momentum.
    fn statistics(&self, running: Option<([&mut [f32]; 2], f64)>) -> [Vec<f32>; 2] {
        let pieces = self.parts;
        let mut partial = room::<f32>(2 * pieces * self.c);
        let moments = launch::<T>("batch_norm_moments").input(&self.x).output(&mut partial);
        run(moments.int(self.rows).int(self.c), Grid::of_columns::<T>(self.c, pieces));
        let (mut mean, mut variance) = (room(self.c), room(self.c));
        let launch = launch::<f32>("batch_norm_statistics").input(&partial);
        let launch = launch.output(&mut mean).output(&mut variance);
        let (launch, momentum) = match running {
            Some(([mean, variance], momentum)) => {
                (launch.changed(mean).changed(variance), momentum)
            }
            None => (launch.none().none(), 0.0),
        };
        let launch = launch.int(pieces).int(self.rows).int(self.c);
        run(launch.float(1.0 - momentum).float(momentum), Grid::of_single(self.c));
        [mean, variance]
    }

    fn vectors<'a>(
        &'a self,
        launch: Launch<'a>,
        [mean, variance]: &'a [Vec<f32>; 2],
    ) -> Launch<'a> {
        launch.input(mean).input(variance).input(&self.weight).input(&self.bias)
    }

    fn constants<'a>(&self, launch: Launch<'a>) -> Launch<'a> {
        let launch = launch.int(self.rows).int(self.c).float(EPSILON);
        launch.int(activation_number(self.activation))
    }

    /// With a residual added, where there is one.
    fn output(&self, statistics: &[Vec<f32>; 2], residual: Option<&[T]>) -> Vec<T> {
        let mut y = room(self.x.len());
        let launch = launch::<T>("batch_norm_forward").input(&self.x);
        let launch = self.vectors(launch, statistics);
        let launch = match residual {
            Some(residual) => launch.input(residual),
            None => launch.none(),
        };
        let launch = self.constants(launch.output(&mut y));
        run(launch, Grid::of_columns::<T>(self.c, passes::<T>(self.rows, self.c)));
        y
    }

    /// The gradients of the input, the weight and the bias.
    fn gradients(&self, dy: &[T], statistics: &[Vec<f32>; 2]) -> (Vec<T>, Vec<f32>, Vec<f32>) {
        let parts = self.parts;
        let mut partial = room::<f32>(2 * parts * self.c);
        let sums = launch::<T>("batch_norm_sums").input(&self.x).input(dy);
        let sums = self.constants(self.vectors(sums, statistics).output(&mut partial));
        run(sums, Grid::of_columns::<T>(self.c, parts));
        let (mut dweight, mut dbias) = (room(self.c), room(self.c));
        let launch = launch::<f32>("batch_norm_parameters").input(&partial).input(&statistics[1]);
        let launch = launch.output(&mut dweight).output(&mut dbias);
        run(launch.int(parts).int(self.c).float(EPSILON), Grid::of_single(self.c));
        let mut dx = room(self.x.len());
        let launch = self::launch::<T>("batch_norm_backward").input(&self.x).input(dy);
        let launch = self.vectors(launch, statistics).input(&dweight).input(&dbias);
        let launch = self.constants(launch.output(&mut dx));
        run(launch, Grid::of_columns::<T>(self.c, passes::<T>(self.rows, self.c)));
        (dx, dweight, dbias)
    }
}

/// How many times larger than the deviation the numbers are that it is taken from, in the worst channel; and the largest
/// factor of the norm.
fn amplification(statistics: &Statistics, weight: &[f32]) -> (f64, f64) {
    let channels = statistics.mean.iter().zip(&statistics.variance).zip(weight);
    channels.fold((0.0, 0.0), |(error, scale), ((mean, variance), &weight)| {
        let deviation = (variance + EPSILON).sqrt();
        let factor = f64::from(weight).abs() / deviation;
        (f64::max(error, (mean.abs() + 1.0) / deviation), f64::max(scale, factor))
    })
}

fn assert_agrees<T: Number>(case: &Case<T>) {
    let (exact, statistics) = case.exact();
    let parts = case.parts;
    let (error, scale) = amplification(&statistics, &case.weight);
    let tolerance = rounding(case.rows / parts / 8 + 8 + parts);
    let found = case.statistics(None);
    assert_close(&found[0], &statistics.mean, tolerance, "mean");
    let of_variance = tolerance * (1.0 + largest(&statistics.mean));
    assert_close(&found[1], &statistics.variance, of_variance, "variance");
    let tolerance = tolerance * (1.0 + error);
    assert_close(&case.output(&found, None), &exact.y, tolerance, "output");
    let residual = numbers::<T>(case.x.len(), 7, 1.0);
    let sums = exact.y.iter().zip(&residual).map(|(y, r)| y + r.widen()).collect::<Vec<_>>();
    assert_close(&case.output(&found, Some(&residual)), &sums, tolerance, "with a residual");
    let (dx, dweight, dbias) = case.gradients(&exact.dy, &found);
    let [exact_dx, exact_dweight, exact_dbias] = &exact.gradients[..] else {
        panic!("three inputs")
    };
    let sums = largest(exact_dweight).max(largest(exact_dbias));
    assert_within(&dweight, exact_dweight, tolerance * sums, "gradient of weight");
    assert_within(&dbias, exact_dbias, tolerance * sums, "gradient of bias");
    // Its terms cancel, so that they, not their sum, say how large an error is.
    assert_within(&dx, exact_dx, tolerance * scale, "gradient of x");
}

fn agrees<T: Number>() {
    for (rows, c, offset) in CASES {
        for activation in ACTIVATIONS {
            assert_agrees(&Case::<T>::new(rows, c, offset, activation));
        }
    }
}

/// Where rows do not share out evenly, the last pieces may have none.
#[test]
fn pieces_without_rows_add_nothing() {
    let case = Case::<f32>::new(10, 5, 0.0, Activation::Swish);
    assert_agrees(&Case { parts: 7, ..case });
}

#[test]
fn kernels_agree_in_f32() {
    agrees::<f32>();
}

#[test]
fn kernels_agree_in_bf16() {
    agrees::<bf16>();
}

/// For inference, a single row among them.
fn given_agree<T: Number>() {
    for (rows, c) in [(1, 1), (1, 33), (40, 5)] {
        let case = Case::<T>::new(rows, c, 0.0, Activation::Swish);
        let mean = numbers::<f32>(c, 4, 0.5);
        let variance: Vec<f32> = numbers::<f32>(c, 5, 0.5).iter().map(|v| v + 1.0).collect();
        let vectors = [&case.weight, &case.bias, &mean, &variance].map(|v| tensor(v, &[c]));
        let [w, b, m, v] = &vectors;
        let x = tensor(&case.x, &[rows, c]);
        let exact = normalise(&x, w, b, m, v, EPSILON, case.activation).unwrap();
        let y = case.output(&[mean, variance], None);
        assert_close(&y, &values(&exact), rounding(0), "with given statistics");
    }
}

#[test]
fn given_statistics_are_taken() {
    given_agree::<f32>();
    given_agree::<bf16>();
}

#[test]
fn running_statistics_move() {
    let (rows, c) = (70, 35);
    let case = Case::<f32>::new(rows, c, 0.0, Activation::None);
    let (_, seen) = case.exact();
    for momentum in [0.1, 1.0] {
        // What is replaced as a whole may have been anything.
        let start = if momentum == 1.0 { vec![f32::INFINITY; c] } else { numbers(c, 6, 1.0) };
        let (mut mean, mut variance) = (start.clone(), start.clone());
        case.statistics(Some(([&mut mean, &mut variance], momentum)));
        let moved = |new: f64, old: &f32| {
            if momentum == 1.0 { new } else { (1.0 - momentum) * f64::from(*old) + momentum * new }
        };
        let unbiased = rows as f64 / (rows as f64 - 1.0);
        let means = seen.mean.iter().zip(&start).map(|(&m, old)| moved(m, old));
        let variances = seen.variance.iter().zip(&start).map(|(v, old)| moved(v * unbiased, old));
        assert_close(&mean, &means.collect::<Vec<_>>(), rounding(16), "running mean");
        assert_close(&variance, &variances.collect::<Vec<_>>(), rounding(16), "running variance");
    }
}
