//! CPU kernels: one pass for the statistics, one to normalise; two passes in the backward direction.

use super::Statistics;
use crate::ops::activation::Function;
use crate::ops::element::Element;
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
        let piece = &x[range.start * channels..range.end * channels];
        piece_moments(piece, channels)
    });
    let (mut mean, mut squares, mut seen) = (vec![0.0; channels], vec![0.0; channels], 0.0);
    for (n, piece_mean, piece_squares) in &pieces {
        let total = seen + n;
        for c in 0..channels {
            let delta = piece_mean[c].to_f64() - mean[c];
            mean[c] += delta * n / total;
            squares[c] += piece_squares[c].to_f64() + delta * delta * seen * n / total;
        }
        seen = total;
    }
    Statistics { mean, variance: squares.iter().map(|s| s / seen).collect(), rows }
}

/// Rows, mean and sum of squared deviations of one piece.
#[inline(always)]
fn piece_moments<T: Element>(piece: &[T], channels: usize) -> (f64, Vec<T>, Vec<T>) {
    let rows = (piece.len() / channels) as f64;
    let mut mean = vec![T::zero(); channels];
    for row in piece.chunks_exact(channels) {
        for (m, &v) in mean.iter_mut().zip(row) {
            *m += v;
        }
    }
    let scale = T::from_f64(1.0 / rows);
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
    (rows, mean, squares)
}

/// y = f(x * scale + shift), per channel.
pub(super) fn scale_shift<T: Element, F: Function>(
    x: &[T],
    scale: &[f64],
    shift: &[f64],
) -> Vec<T> {
    let channels = scale.len();
    let (scale, shift) = (narrow::<T>(scale), narrow::<T>(shift));
    let mut y = vec![T::zero(); x.len()];
    fill_rows(&mut y, channels, rows_per_piece(channels), |first, out| {
        let x = &x[first * channels..first * channels + out.len()];
        for (out, x) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for (((o, &v), &a), &b) in out.iter_mut().zip(x).zip(&scale).zip(&shift) {
                *o = F::value(v * a + b);
            }
        }
    });
    y
}

/// The backward pass, with z computed again from the input.
pub(super) fn backward<T: Element, F: Function>(
    x: &[T],
    dy: &[T],
    affine: &Affine,
) -> Gradients<T> {
    let Affine { weight, bias, epsilon, statistics } = affine;
    let channels = weight.len();
    let rows = x.len() / channels;
    let (scale, shift) =
        super::folded(weight, bias, &statistics.mean, &statistics.variance, *epsilon);
    let inverse: Vec<f64> =
        statistics.variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect();
    let (scale_t, shift_t) = (narrow::<T>(&scale), narrow::<T>(&shift));
    let (mean_t, inverse_t) = (narrow::<T>(&statistics.mean), narrow::<T>(&inverse));
    let sums = map_pieces(rows, rows_per_piece(channels), |range| {
        let (x, dy) = (
            &x[range.start * channels..range.end * channels],
            &dy[range.start * channels..range.end * channels],
        );
        piece_sums::<T, F>(x, dy, &scale_t, &shift_t, &mean_t, &inverse_t)
    });
    let (mut dweight, mut dbias) = (vec![0.0; channels], vec![0.0; channels]);
    for (gh, g) in &sums {
        for c in 0..channels {
            dweight[c] += gh[c].to_f64();
            dbias[c] += g[c].to_f64();
        }
    }
    // dx = scale * g + x * a + b, with the two means folded into a and b.
    let m = rows as f64;
    let a: Vec<f64> = (0..channels).map(|c| -scale[c] * inverse[c] * dweight[c] / m).collect();
    let b: Vec<f64> = (0..channels).map(|c| -scale[c] * dbias[c] / m).collect();
    let (a, b) = (narrow::<T>(&a), narrow::<T>(&b));
    let mut dx = vec![T::zero(); x.len()];
    fill_rows(&mut dx, channels, rows_per_piece(channels), |first, out| {
        let span = first * channels..first * channels + out.len();
        for ((out, x), dy) in out
            .chunks_exact_mut(channels)
            .zip(x[span.clone()].chunks_exact(channels))
            .zip(dy[span.clone()].chunks_exact(channels))
        {
            input_gradient_row::<T, F>(out, x, dy, [&scale_t, &shift_t, &mean_t, &a, &b]);
        }
    });
    Gradients { dx, dweight, dbias }
}

/// Sums over one piece of `g h` and of `g`, per channel.
#[inline(always)]
fn piece_sums<T: Element, F: Function>(
    x: &[T],
    dy: &[T],
    scale: &[T],
    shift: &[T],
    mean: &[T],
    inverse: &[T],
) -> (Vec<T>, Vec<T>) {
    let channels = scale.len();
    let (mut gx, mut g_sum) = (vec![T::zero(); channels], vec![T::zero(); channels]);
    for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
        let sums = gx.iter_mut().zip(&mut g_sum);
        let folded = scale.iter().zip(shift).zip(mean);
        for (((&v, &d), (gx, sum)), ((&a, &b), &m)) in x.iter().zip(dy).zip(sums).zip(folded) {
            let g = d * F::slope(v * a + b);
            *gx += g * (v - m);
            *sum += g;
        }
    }
    for (s, &i) in gx.iter_mut().zip(inverse) {
        *s *= i;
    }
    (gx, g_sum)
}

#[inline(always)]
fn input_gradient_row<T: Element, F: Function>(
    out: &mut [T],
    x: &[T],
    dy: &[T],
    [scale, shift, mean, a, b]: [&[T]; 5],
) {
    let n = out.len();
    let (x, dy) = (&x[..n], &dy[..n]);
    let (scale, shift, mean, a, b) = (&scale[..n], &shift[..n], &mean[..n], &a[..n], &b[..n]);
    for c in 0..n {
        let g = dy[c] * F::slope(x[c] * scale[c] + shift[c]);
        out[c] = g * scale[c] + (x[c] - mean[c]) * a[c] + b[c];
    }
}
