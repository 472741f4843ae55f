//! The gates of a block (Hu et al., 2018) from the means of its images: two small products.

use super::buffer::Pooled;
use super::parameters::{give, values, with_values};
use super::pointwise::{backward_panels, forward_panels};
use crate::layers::{Dense, Gradients, SqueezeExcite};
use crate::ops::activation::{Function, with_activation};
use crate::ops::gate;
use crate::ops::product::{RowSum, multiply_in_parallel};
use candle_core::Result;

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) struct Squeezed<T> {
    /// Means `[N, C]`.
    pooled: Vec<T>,
    /// Before the first activation, `[N, width]`.
    reduced: Vec<T>,
    /// Before the gate, `[N, C]`.
    expanded: Vec<T>,
    /// The gates, `[N, C]`.
    pub(crate) gates: Vec<T>,
}

impl<T: Pooled> Squeezed<T> {
    /// The gates for the means of images.
    pub(crate) fn new(layer: &SqueezeExcite, pooled: Vec<T>) -> Result<Self> {
        let reduced = affine(&layer.conv_reduce, &pooled)?;
        let expanded = affine(&layer.conv_expand, &activated(&layer.conv_reduce, &reduced))?;
        let gates = expanded.iter().map(|&s| gate::value(layer.gate, s)).collect();
        Ok(Self { pooled, reduced, expanded, gates })
    }

    /// From the gates' gradients to those of the means, and of the layer's parameters.
    pub(crate) fn backward(
        &self,
        layer: &SqueezeExcite,
        mut dgates: Vec<T>,
        sink: &Gradients,
    ) -> Result<Vec<T>> {
        for (d, &s) in dgates.iter_mut().zip(&self.expanded) {
            *d *= gate::slope(layer.gate, s);
        }
        let activation = layer.conv_reduce.activation;
        let inner = activated(&layer.conv_reduce, &self.reduced);
        let mut dinner = affine_backward(&layer.conv_expand, &inner, &dgates, sink)?;
        for (d, &z) in dinner.iter_mut().zip(&self.reduced) {
            *d *= with_activation!(activation, F => F::slope_at(z));
        }
        affine_backward(&layer.conv_reduce, &self.pooled, &dinner, sink)
    }
}

fn activated<T: Pooled>(layer: &Dense, z: &[T]) -> Vec<T> {
    with_activation!(layer.activation, F => z.iter().map(|&z| F::at(z)).collect())
}

/// `x W^T + b` for rows of x.
fn affine<T: Pooled>(layer: &Dense, x: &[T]) -> Result<Vec<T>> {
    let (n, k) = (layer.weight.dim(0)?, layer.weight.dim(1)?);
    let bias = values::<T>(&layer.bias)?;
    let mut y = bias.repeat(x.len() / k);
    let weight = with_values(&layer.weight, |w| forward_panels(w, (n, k)))?;
    multiply_in_parallel(x, &weight, &mut y, true);
    Ok(y)
}

/// The gradient of x from that of `x W^T + b`; hands over those of W and b.
fn affine_backward<T: Pooled>(
    layer: &Dense,
    x: &[T],
    dy: &[T],
    sink: &Gradients,
) -> Result<Vec<T>> {
    let (n, k) = (layer.weight.dim(0)?, layer.weight.dim(1)?);
    let weight = with_values(&layer.weight, |w| backward_panels(w, (n, k)))?;
    let (mut dx, mut dw) = (vec![T::zero(); x.len()], vec![T::zero(); n * k]);
    rayon::join(
        || multiply_in_parallel(dy, &weight, &mut dx, false),
        || RowSum::new().add(&mut dw, (dy, n), (x, k)),
    );
    give(sink, &layer.weight, dw)?;
    let mut db = vec![T::zero(); n];
    for row in dy.chunks_exact(n) {
        for (sum, &v) in db.iter_mut().zip(row) {
            *sum += v;
        }
    }
    give(sink, &layer.bias, db)?;
    Ok(dx)
}
