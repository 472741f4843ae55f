//! A batch norm and its activation, applied where the next layer reads: what a convolution leaves is stored as it is,
//! with the numbers that turn it into the next layer's input.

use super::elementwise::{self, Affine, PieceSums};
use crate::layers::{BatchNorm, Pass};
use crate::ops::batch_norm::{Moments, Statistics as Moved};
use crate::ops::buffer::Pooled;
use candle_core::{DType, Result, Var};
use cream_arch::Activation;

/// `f(z)`, `z = (x - mean) * scale + bias`, one of each per channel.
#[derive(Debug)]
pub(crate) struct Norm<T> {
    pub(crate) mean: Vec<T>,
    pub(crate) scale: Vec<T>,
    pub(crate) bias: Vec<T>,
    pub(crate) activation: Activation,
    /// Variance plus epsilon, and the rows it was taken over: for the backward pass.
    variance: Vec<f64>,
    scale_wide: Vec<f64>,
    rows: usize,
}

/// The backward pass through the statistics: `dx = g * scale + (x - mean) * a + b`, where g is the gradient of z.
#[derive(Debug)]
pub(crate) struct NormGradient<T> {
    a: Vec<T>,
    b: Vec<T>,
    pub(crate) weight: Vec<f64>,
    pub(crate) bias: Vec<f64>,
}

/// Sums over rows of `g (x - mean)` and of `g`, one of each per channel.
#[derive(Debug)]
pub(crate) struct Sums {
    pub(crate) gx: Vec<f64>,
    pub(crate) g: Vec<f64>,
}

impl Sums {
    pub(crate) fn zeros(channels: usize) -> Self {
        Self { gx: vec![0.0; channels], g: vec![0.0; channels] }
    }

    /// Adds another piece's.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, v) in self.gx.iter_mut().zip(&other.gx) {
            *sum += v;
        }
        for (sum, v) in self.g.iter_mut().zip(&other.g) {
            *sum += v;
        }
    }

    /// The sum of pieces in their order.
    pub(crate) fn total<'a>(channels: usize, pieces: impl Iterator<Item = &'a Self>) -> Self {
        let mut total = Self::zeros(channels);
        pieces.for_each(|piece| total.add(piece));
        total
    }
}

fn wide(vector: &Var) -> Result<Vec<f64>> {
    vector.to_dtype(DType::F64)?.to_vec1()
}

impl<T: Pooled> Norm<T> {
    /// The norm with the statistics of this batch, which also move the running ones as the pass says.
    pub(crate) fn of_batch(layer: &BatchNorm, pieces: &[Moments<T>], pass: &Pass) -> Result<Self> {
        let statistics = Moved::combined(pieces, layer.weight.elem_count());
        if statistics.rows < 2 {
            candle_core::bail!(
                "batch norm in training needs more than one value per channel; use a larger batch or image"
            );
        }
        layer.observe(&statistics, pass)?;
        let (weight, bias) = (wide(&layer.weight)?, wide(&layer.bias)?);
        let variance: Vec<f64> = statistics.variance.iter().map(|v| v + pass.epsilon).collect();
        Ok(Self::new(layer, statistics.mean, (weight, bias), variance, statistics.rows))
    }

    /// The norm with the running statistics.
    pub(crate) fn running(layer: &BatchNorm, pass: &Pass) -> Result<Self> {
        let [mean, variance] = [&layer.running_mean, &layer.running_var].map(wide);
        let variance = variance?.iter().map(|v| v + pass.epsilon).collect();
        Ok(Self::new(layer, mean?, (wide(&layer.weight)?, wide(&layer.bias)?), variance, 0))
    }

    fn new(
        layer: &BatchNorm,
        mean: Vec<f64>,
        (weight, bias): (Vec<f64>, Vec<f64>),
        variance: Vec<f64>,
        rows: usize,
    ) -> Self {
        let scale_wide: Vec<f64> =
            weight.iter().zip(&variance).map(|(w, v)| w / v.sqrt()).collect();
        let narrow = |v: &[f64]| v.iter().map(|&v| T::from_f64(v)).collect();
        Self {
            mean: narrow(&mean),
            scale: narrow(&scale_wide),
            bias: narrow(&bias),
            activation: layer.activation,
            variance,
            scale_wide,
            rows,
        }
    }

    pub(crate) fn channels(&self) -> usize {
        self.mean.len()
    }

    fn affine(&self) -> Affine<'_, T> {
        let Self { mean, scale, bias, activation, .. } = self;
        Affine { mean, scale, bias, activation: *activation }
    }

    /// `out = f(z)` on rows.
    pub(crate) fn activate(&self, x: &[T], out: &mut [T]) {
        elementwise::activate(&self.affine(), x, None, out);
    }

    /// `out = f(z) + other` on rows.
    pub(crate) fn activate_and_add(&self, x: &[T], other: &[T], out: &mut [T]) {
        elementwise::activate(&self.affine(), x, Some(other), out);
    }

    /// `out = f(z)` and `slope = f'(z)` on rows.
    pub(crate) fn activate_with_slope(&self, x: &[T], out: &mut [T], slope: &mut [T]) {
        elementwise::activate_with_slope(&self.affine(), x, out, slope);
    }

    /// `sums += f(z)`, per channel over rows.
    pub(crate) fn sum_activated(&self, x: &[T], sums: &mut [T]) {
        elementwise::sum_activated(&self.affine(), x, sums);
    }

    /// `g = (g * gate + pooled) * f'(z)` on rows of one image, and adds what the backward pass needs to `sums`.
    pub(crate) fn gated_gradient(
        &self,
        x: &[T],
        g: &mut [T],
        through: (&[T], &[T]),
        sums: &mut Sums,
    ) {
        sums.take_in(&elementwise::gradient(&self.affine(), x, g, Some(through)));
    }

    /// `g = g * f'(z)` on rows, and adds to `sums`.
    pub(crate) fn gradient(&self, x: &[T], g: &mut [T], sums: &mut Sums) {
        sums.take_in(&elementwise::gradient(&self.affine(), x, g, None));
    }

    /// `g = g * slope` on rows, the slope being known, and adds to `sums`.
    pub(crate) fn gradient_by_slope(&self, x: &[T], slope: &[T], g: &mut [T], sums: &mut Sums) {
        sums.take_in(&elementwise::gradient_by_slope(&self.mean, x, slope, g));
    }

    /// Adds to `sums` what rows of the gradient of z give, for a norm without activation.
    pub(crate) fn sum_linear(&self, x: &[T], g: &[T], sums: &mut Sums) {
        sums.take_in(&elementwise::sums(&self.mean, x, g));
    }

    /// The backward pass through the statistics, from the sums over all rows.
    pub(crate) fn differentiate(&self, sums: Sums) -> NormGradient<T> {
        let m = self.rows as f64;
        let channels = 0..self.variance.len();
        let a = |c: usize| -self.scale_wide[c] * sums.gx[c] / self.variance[c] / m;
        let b = |c: usize| -self.scale_wide[c] * sums.g[c] / m;
        NormGradient {
            a: channels.clone().map(|c| T::from_f64(a(c))).collect(),
            b: channels.clone().map(|c| T::from_f64(b(c))).collect(),
            weight: channels.map(|c| sums.gx[c] / self.variance[c].sqrt()).collect(),
            bias: sums.g,
        }
    }

    /// `out = dx` on rows, from the gradient g of z.
    pub(crate) fn input_gradient(&self, by: &NormGradient<T>, x: &[T], g: &[T], out: &mut [T]) {
        elementwise::input_gradient([&self.mean, &self.scale, &by.a, &by.b], x, g, out);
    }
}

impl Sums {
    fn take_in<T: Pooled>(&mut self, piece: &PieceSums<T>) {
        for (sum, v) in self.gx.iter_mut().zip(&piece.gx) {
            *sum += v.to_f64();
        }
        for (sum, v) in self.g.iter_mut().zip(&piece.g) {
            *sum += v.to_f64();
        }
    }
}
