//! Kernels on rows, `[M, C]`, against the CPU's operators in float64.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

mod numbers;
mod reference;

use cream_arch::Activation;
use cream_emulation::{Argument, Launch};
use cream_nn::ops::batch_norm::batch_norm;
use cream_nn::ops::bias_activation::bias_activation;
use cream_nn::ops::cross_entropy::cross_entropy;
use half::bf16;
use numbers::{Element, assert_close, buffer, exact, numbers as some, unwritten, values};
use reference::{columns, reference, threads};

const ACTIVATIONS: [Activation; 5] =
    [Activation::None, Activation::Relu, Activation::Relu6, Activation::Swish, Activation::HSwish];

const EPSILON: f64 = 1e-3;

/// Rows and channels: few and odd ones, channels on both sides of a block's width.
const SHAPES: [(usize, usize); 5] = [(2, 1), (7, 33), (65, 8), (300, 40), (129, 96)];

fn name<T: Element>(stem: &str) -> String {
    format!("{stem}_{}", T::SUFFIX)
}

/// What a norm's kernels take: input, statistics, weight and bias.
struct Norm {
    x: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    rows: usize,
    channels: usize,
    pieces: usize,
}

impl Norm {
    /// Inputs about a mean that is not 0, for every channel another.
    fn new<T: Element>(rows: usize, channels: usize, mean: f64) -> Self {
        let x = some(rows * channels, 1).into_iter().enumerate();
        let x: Vec<f64> = x.map(|(i, v)| v + mean * (1.0 + (i % channels) as f64 / 50.0)).collect();
        let weight: Vec<f64> = some(channels, 2).iter().map(|v| 1.5 + v).collect();
        let bias = exact::<f32>(&some(channels, 3));
        let pieces = rows.div_ceil(32);
        Self { x: exact::<T>(&x), weight: exact::<f32>(&weight), bias, rows, channels, pieces }
    }

    /// Mean and biased variance as the kernels find them, and the running ones that they move.
    fn statistics<T: Element>(&self, running: Option<f64>) -> [Vec<u8>; 4] {
        let Self { rows, channels, pieces, .. } = *self;
        let launch = columns(&name::<T>("batch_norm_moments"), channels, pieces);
        let launch =
            launch.buffer(buffer::<T>(&self.x)).buffer(unwritten::<f32>(2 * pieces * channels));
        let partial = launch.int(rows).int(channels).run().unwrap().remove(1);
        let launch = columns("batch_norm_statistics_f32", channels, 1).buffer(partial);
        let launch = launch.buffer(unwritten::<f32>(channels)).buffer(unwritten::<f32>(channels));
        let momentum = running.unwrap_or(0.0);
        let launch = match running {
            Some(_) => {
                let one = buffer::<f32>(&vec![1.0; channels]);
                launch.buffer(one.clone()).buffer(one)
            }
            None => launch.argument(Argument::Null).argument(Argument::Null),
        };
        let launch = launch.int(pieces).int(rows).int(channels);
        let mut found = launch.float(1.0 - momentum).float(momentum).run().unwrap();
        found.resize(5, Vec::new());
        let [_, mean, variance, running_mean, running_variance] = found.try_into().unwrap();
        [mean, variance, running_mean, running_variance]
    }

    /// A launch with the norm's vectors behind its first inputs.
    fn vectors(&self, launch: Launch, statistics: &[Vec<u8>; 4]) -> Launch {
        let [mean, variance, ..] = statistics.clone();
        let launch = launch.buffer(mean).buffer(variance);
        launch.buffer(buffer::<f32>(&self.weight)).buffer(buffer::<f32>(&self.bias))
    }

    fn constants(&self, launch: Launch, activation: usize) -> Launch {
        launch.int(self.rows).int(self.channels).float(EPSILON).int(activation)
    }
}

fn norm_agrees<T: Element>(rows: usize, channels: usize, activation: usize) {
    let norm = Norm::new::<T>(rows, channels, 0.5);
    let dims = [rows, channels];
    let inputs: [(&[f64], &[usize]); 3] =
        [(&norm.x, &dims), (&norm.weight, &dims[1..]), (&norm.bias, &dims[1..])];
    let expected = reference(&inputs, exact::<T>, |t| {
        Ok(batch_norm(&t[0], &t[1], &t[2], EPSILON, ACTIVATIONS[activation])?.0)
    });
    let what = format!("{rows} x {channels}, {:?}, {}", ACTIVATIONS[activation], T::SUFFIX);
    // One rounding of the output, and sums in float.
    let close = T::ROUNDOFF.max(2e-5);
    let statistics = norm.statistics::<T>(None);
    let launch = columns(&name::<T>("batch_norm_forward"), channels, norm.pieces);
    let launch = norm.vectors(launch.buffer(buffer::<T>(&norm.x)), &statistics);
    let launch = norm.constants(launch.buffer(unwritten::<T>(rows * channels)), activation);
    let found = launch.run().unwrap();
    assert_close(&values::<T>(&found[5]), &expected.y, close, &what);
    let (x, dy) = (buffer::<T>(&norm.x), buffer::<T>(&expected.dy));
    let launch = columns(&name::<T>("batch_norm_sums"), channels, norm.pieces);
    let launch = norm.vectors(launch.buffer(x.clone()).buffer(dy.clone()), &statistics);
    let launch = launch.buffer(unwritten::<f32>(2 * norm.pieces * channels));
    let partial = norm.constants(launch, activation).run().unwrap().remove(6);
    let launch = columns("batch_norm_parameters_f32", channels, 1).buffer(partial);
    let launch = launch.buffer(statistics[1].clone());
    let launch = launch.buffer(unwritten::<f32>(channels)).buffer(unwritten::<f32>(channels));
    let found = launch.int(norm.pieces).int(channels).float(EPSILON).run().unwrap();
    // Of two rows the gradient nearly cancels.
    let loose = if rows > 2 { 2e-5 } else { 1e-3 };
    assert_close(&values::<f32>(&found[2]), &expected.gradients[1], loose, &what);
    assert_close(&values::<f32>(&found[3]), &expected.gradients[2], loose, &what);
    let launch = columns(&name::<T>("batch_norm_backward"), channels, norm.pieces);
    let launch = norm.vectors(launch.buffer(x).buffer(dy), &statistics);
    let launch = launch.buffer(found[2].clone()).buffer(found[3].clone());
    let launch = launch.buffer(unwritten::<T>(rows * channels));
    let found = norm.constants(launch, activation).run().unwrap();
    let close = if rows > 2 { close } else { 4e-3 };
    assert_close(&values::<T>(&found[8]), &expected.gradients[0], close, &what);
}

#[test]
fn batch_norms_with_their_activation() {
    for (rows, channels) in SHAPES {
        for activation in 0..ACTIVATIONS.len() {
            norm_agrees::<f32>(rows, channels, activation);
            norm_agrees::<bf16>(rows, channels, activation);
        }
    }
}

#[test]
fn a_large_mean_does_not_cancel_the_variance() {
    let norm = Norm::new::<f32>(300, 40, 1000.0);
    let [mean, variance, running_mean, running_variance] = norm.statistics::<f32>(Some(0.1));
    let column = |c: usize| norm.x.iter().skip(c).step_by(40);
    let means: Vec<f64> = (0..40).map(|c| column(c).sum::<f64>() / 300.0).collect();
    let squares = |c: usize| column(c).map(|v| (v - means[c]).powi(2)).sum::<f64>();
    let variances: Vec<f64> = (0..40).map(|c| squares(c) / 300.0).collect();
    assert_close(&values::<f32>(&mean), &means, 1e-6, "mean");
    assert_close(&values::<f32>(&variance), &variances, 1e-4, "variance");
    let moved: Vec<f64> = means.iter().map(|mean| 0.9 + 0.1 * mean).collect();
    assert_close(&values::<f32>(&running_mean), &moved, 1e-6, "running mean");
    let moved: Vec<f64> = (0..40).map(|c| 0.9 + 0.1 * squares(c) / 299.0).collect();
    assert_close(&values::<f32>(&running_variance), &moved, 1e-4, "running variance");
}

fn bias_agrees<T: Element>(rows: usize, channels: usize, activation: usize) {
    let x: Vec<f64> = some(rows * channels, 1).iter().map(|v| v * 8.0).collect();
    let (x, bias) = (exact::<T>(&x), exact::<f32>(&some(channels, 2)));
    let inputs: [(&[f64], &[usize]); 2] = [(&x, &[rows, channels]), (&bias, &[channels])];
    let expected =
        reference(&inputs, exact::<T>, |t| bias_activation(&t[0], &t[1], ACTIVATIONS[activation]));
    let what = format!("{rows} x {channels}, {:?}, {}", ACTIVATIONS[activation], T::SUFFIX);
    let close = T::ROUNDOFF.max(1e-5);
    let launch = threads(&name::<T>("bias_activation_forward"), x.len());
    let launch = launch.buffer(buffer::<T>(&x)).buffer(buffer::<f32>(&bias));
    let launch = launch.buffer(unwritten::<T>(x.len())).int(rows).int(channels).int(activation);
    assert_close(&values::<T>(&launch.run().unwrap()[2]), &expected.y, close, &what);
    let launch = columns(&name::<T>("bias_activation_backward"), channels, 1);
    let launch = launch.buffer(buffer::<T>(&x)).buffer(buffer::<f32>(&bias));
    let launch = launch.buffer(buffer::<T>(&expected.dy)).buffer(unwritten::<T>(x.len()));
    let launch = launch.buffer(unwritten::<f32>(channels)).int(rows).int(channels).int(activation);
    let found = launch.run().unwrap();
    assert_close(&values::<T>(&found[3]), &expected.gradients[0], close, &what);
    assert_close(&values::<f32>(&found[4]), &expected.gradients[1], 1e-5, &what);
}

#[test]
fn biases_with_their_activation() {
    for (rows, channels) in SHAPES {
        for activation in 0..ACTIVATIONS.len() {
            bias_agrees::<f32>(rows, channels, activation);
            bias_agrees::<bf16>(rows, channels, activation);
        }
    }
}

#[test]
fn cross_entropies_with_soft_targets() {
    for (rows, classes) in [(1, 2), (3, 10), (7, 300), (300, 33), (2, 1000)] {
        let z: Vec<f64> = some(rows * classes, 1).iter().map(|v| v * 30.0).collect();
        let z = exact::<f32>(&z);
        let shares: Vec<f64> = some(rows * classes, 2).iter().map(|v| v + 1.01).collect();
        let share =
            |row: &[f64]| row.iter().map(|v| v / row.iter().sum::<f64>()).collect::<Vec<_>>();
        let target = exact::<f32>(&shares.chunks(classes).flat_map(share).collect::<Vec<_>>());
        let dims = [rows, classes];
        let expected = reference(&[(&z, &dims), (&target, &dims)], exact::<f32>, |t| {
            cross_entropy(&t[0], &t[1])
        });
        let what = format!("{rows} x {classes}");
        let blocks = |kernel: &str, count| Launch::new(kernel, [count, 1], [256, 1]);
        let (z, target) = (buffer::<f32>(&z), buffer::<f32>(&target));
        let launch =
            blocks("cross_entropy_rows_f32", rows).buffer(z.clone()).buffer(target.clone());
        let losses = launch.buffer(unwritten::<f32>(rows)).int(classes).run().unwrap().remove(2);
        let launch = blocks("cross_entropy_mean_f32", 1).buffer(losses).buffer(unwritten::<f32>(1));
        let found = launch.int(rows).run().unwrap();
        assert_close(&values::<f32>(&found[1]), &expected.y, 1e-5, &what);
        let launch = blocks("cross_entropy_backward_f32", rows).buffer(z).buffer(target);
        let launch =
            launch.buffer(buffer::<f32>(&expected.dy)).buffer(unwritten::<f32>(rows * classes));
        let found = launch.int(rows).int(classes).run().unwrap();
        assert_close(&values::<f32>(&found[3]), &expected.gradients[0], 1e-5, &what);
    }
}
