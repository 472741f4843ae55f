//! CPU kernels: one pass for the statistics, one to normalise; two passes in the backward direction.

use super::Statistics;
use crate::ops::activation::Function;
use crate::ops::element::Element;
use crate::ops::lanes::Lanes;
use crate::ops::simd::vectorised;
use crate::ops::threads::{fill_rows, map_pieces, rows_per_piece};

/// Weight, bias and statistics of one normalisation.
pub(super) struct Affine<'a> {
    pub(super) weight: Vec<f64>,
    pub(super) bias: Vec<f64>,
    pub(super) epsilon: f64,
    pub(super) statistics: &'a Statistics,
}

/// Gradients of input, weight and bias.
pub(super) struct Gradients<T> {
    pub(super) dx: Vec<T>,
    pub(super) dweight: Vec<f64>,
    pub(super) dbias: Vec<f64>,
}

fn narrow<T: Element>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&v| T::from_f64(v)).collect()
}

/// Mean and biased variance per channel. Each piece of rows gives its sum and its squared deviations
/// from its own mean; pieces are combined in float64 by Chan's formula, so that nothing cancels.
pub(super) fn statistics<T: Element>(x: &[T], channels: usize) -> Statistics {
    let rows = x.len() / channels;
    let pieces = map_pieces(rows, rows_per_piece(channels), |range| {
        moments_of(&x[range.start * channels..range.end * channels], channels)
    });
    Statistics::combined(&pieces, channels)
}

/// Mean and sum of squared deviations from it of one piece of rows, per channel.
#[derive(Clone, Debug)]
pub(crate) struct Moments<T> {
    rows: usize,
    mean: Vec<T>,
    squares: Vec<T>,
}

impl<T: Element> Moments<T> {
    /// Those of a piece of rows that is small enough to be read twice.
    pub(crate) fn of(piece: &[T], channels: usize) -> Self {
        vectorised(|| moments_of(piece, channels))
    }
}

impl Statistics {
    /// The statistics of all rows from those of pieces, in their order.
    pub(crate) fn combined<T: Element>(pieces: &[Moments<T>], channels: usize) -> Self {
        let (mut mean, mut squares, mut rows) = (vec![0.0; channels], vec![0.0; channels], 0);
        for piece in pieces {
            let (seen, n) = (rows as f64, piece.rows as f64);
            let total = seen + n;
            for c in 0..channels {
                let delta = piece.mean[c].to_f64() - mean[c];
                mean[c] += delta * n / total;
                squares[c] += piece.squares[c].to_f64() + delta * delta * seen * n / total;
            }
            rows += piece.rows;
        }
        Self { mean, variance: squares.iter().map(|s| s / rows as f64).collect(), rows }
    }
}

#[inline(always)]
fn moments_of<T: Element>(piece: &[T], channels: usize) -> Moments<T> {
    let rows = piece.len() / channels;
    let mut mean = vec![T::zero(); channels];
    for row in piece.chunks_exact(channels) {
        for (m, &v) in mean.iter_mut().zip(row) {
            *m += v;
        }
    }
    let scale = T::from_f64(1.0 / rows as f64);
    for m in &mut mean {
        *m *= scale;
    }
    let mut squares = vec![T::zero(); channels];
    for row in piece.chunks_exact(channels) {
        for ((s, &v), &m) in squares.iter_mut().zip(row).zip(&mean) {
            let d = v - m;
            *s += d * d;
        }
    }
    Moments { rows, mean, squares }
}

/// y = f((x - mean) * scale + bias), per channel. The mean is taken off first, as folding it into the bias would
/// cancel where it is large against the deviation.
pub(super) fn normalise<T: Lanes, F: Function>(
    x: &[T],
    mean: &[f64],
    scale: &[f64],
    bias: &[f64],
) -> Vec<T> {
    let channels = scale.len();
    let (mean, scale, bias) = (narrow::<T>(mean), narrow::<T>(scale), narrow::<T>(bias));
    let mut y = vec![T::zero(); x.len()];
    fill_rows(&mut y, channels, rows_per_piece(channels), |first, out| {
        let x = &x[first * channels..first * channels + out.len()];
        for (out, x) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            normalise_row::<T, F>(out, x, &mean, &scale, &bias);
        }
    });
    y
}

#[inline(always)]
fn normalise_row<T: Lanes, F: Function>(
    out: &mut [T],
    x: &[T],
    mean: &[T],
    scale: &[T],
    bias: &[T],
) {
    let n = out.len();
    let (x, mean, scale, bias) = (&x[..n], &mean[..n], &scale[..n], &bias[..n]);
    for c in 0..n {
        out[c] = F::at((x[c] - mean[c]) * scale[c] + bias[c]);
    }
}

/// What the backward kernels need of one channel each.
struct Vectors<T> {
    mean: Vec<T>,
    scale: Vec<T>,
    bias: Vec<T>,
}

/// The backward pass, with z computed again from the input.
pub(super) fn backward<T: Lanes, F: Function>(x: &[T], dy: &[T], affine: &Affine) -> Gradients<T> {
    let Affine { weight, bias, epsilon, statistics } = affine;
    let channels = weight.len();
    let rows = x.len() / channels;
    let scale = super::scales(weight, &statistics.variance, *epsilon);
    let vectors =
        Vectors { mean: narrow::<T>(&statistics.mean), scale: narrow(&scale), bias: narrow(bias) };
    let sums = map_pieces(rows, rows_per_piece(channels), |range| {
        let span = range.start * channels..range.end * channels;
        piece_sums::<T, F>(&x[span.clone()], &dy[span], &vectors)
    });
    // sum g (x - mean) and sum g, per channel.
    let (mut gx, mut dbias) = (vec![0.0; channels], vec![0.0; channels]);
    for (piece_gx, piece_g) in &sums {
        for c in 0..channels {
            gx[c] += piece_gx[c].to_f64();
            dbias[c] += piece_g[c].to_f64();
        }
    }
    // dx = scale * g + (x - mean) * a + b, with the two means over rows folded into a and b.
    let m = rows as f64;
    let variance = |c: usize| statistics.variance[c] + epsilon;
    let a: Vec<f64> = (0..channels).map(|c| -scale[c] * gx[c] / variance(c) / m).collect();
    let b: Vec<f64> = (0..channels).map(|c| -scale[c] * dbias[c] / m).collect();
    let dweight = (0..channels).map(|c| gx[c] / variance(c).sqrt()).collect();
    let (a, b) = (narrow::<T>(&a), narrow::<T>(&b));
    let mut dx = vec![T::zero(); x.len()];
    fill_rows(&mut dx, channels, rows_per_piece(channels), |first, out| {
        let span = first * channels..first * channels + out.len();
        let rows = x[span.clone()].chunks_exact(channels).zip(dy[span].chunks_exact(channels));
        for (out, (x, dy)) in out.chunks_exact_mut(channels).zip(rows) {
            input_gradient_row::<T, F>(out, x, dy, &vectors, &a, &b);
        }
    });
    Gradients { dx, dweight, dbias }
}

/// Sums over one piece of `g (x - mean)` and of `g`, per channel.
#[inline(always)]
fn piece_sums<T: Lanes, F: Function>(x: &[T], dy: &[T], v: &Vectors<T>) -> (Vec<T>, Vec<T>) {
    let n = v.mean.len();
    let (mut gx, mut g_sum) = (vec![T::zero(); n], vec![T::zero(); n]);
    for (x, dy) in x.chunks_exact(n).zip(dy.chunks_exact(n)) {
        let (gx, g_sum) = (&mut gx[..n], &mut g_sum[..n]);
        let (mean, scale, bias) = (&v.mean[..n], &v.scale[..n], &v.bias[..n]);
        for c in 0..n {
            let centred = x[c] - mean[c];
            let g = dy[c] * F::slope_at(centred * scale[c] + bias[c]);
            gx[c] += g * centred;
            g_sum[c] += g;
        }
    }
    (gx, g_sum)
}

#[inline(always)]
fn input_gradient_row<T: Lanes, F: Function>(
    out: &mut [T],
    x: &[T],
    dy: &[T],
    v: &Vectors<T>,
    a: &[T],
    b: &[T],
) {
    let n = out.len();
    let (x, dy, a, b) = (&x[..n], &dy[..n], &a[..n], &b[..n]);
    let (mean, scale, bias) = (&v.mean[..n], &v.scale[..n], &v.bias[..n]);
    for c in 0..n {
        let centred = x[c] - mean[c];
        let g = dy[c] * F::slope_at(centred * scale[c] + bias[c]);
        out[c] = g * scale[c] + centred * a[c] + b[c];
    }
}
