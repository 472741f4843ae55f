//! Layers on pooled vectors, with the gradients of their parameters handed over at once.

use super::parameters::{give, values, with_values};
use crate::layers::{Dense, Gradients};
use crate::ops::activation::{Function, with_activation};
use crate::ops::buffer::Pooled;
use crate::ops::product::dense;
use candle_core::Result;

fn sides(layer: &Dense, elements: usize) -> Result<(usize, usize)> {
    let (n, k) = (layer.weight.dim(0)?, layer.weight.dim(1)?);
    if !elements.is_multiple_of(k) {
        candle_core::bail!("layer of {k} channels: the input has others");
    }
    Ok((n, k))
}

/// `x W^T + b` for rows of x.
pub(super) fn affine<T: Pooled>(layer: &Dense, x: &[T]) -> Result<Vec<T>> {
    let sides = sides(layer, x.len())?;
    let bias = values::<T>(&layer.bias)?;
    with_values(&layer.weight, |weight| dense::product(x, weight, sides, &bias))
}

/// The layer's activation of what [`affine`] gives.
pub(super) fn activated<T: Pooled>(layer: &Dense, z: &[T]) -> Vec<T> {
    with_activation!(layer.activation, F => z.iter().map(|&z| F::at(z)).collect())
}

/// The gradient behind the activation to that of z, in place.
pub(super) fn through_activation<T: Pooled>(layer: &Dense, z: &[T], g: &mut [T]) {
    with_activation!(layer.activation, F => {
        for (g, &z) in g.iter_mut().zip(z) {
            *g *= F::slope_at(z);
        }
    });
}

/// The gradient of x from that of `x W^T + b`; hands over those of W and b.
pub(super) fn affine_backward<T: Pooled>(
    layer: &Dense,
    x: &[T],
    dy: &[T],
    sink: &Gradients,
) -> Result<Vec<T>> {
    let sides = sides(layer, x.len())?;
    let dx = with_values(&layer.weight, |weight| dense::input_gradient(dy, weight, sides))?;
    give(sink, &layer.weight, dense::weight_gradient(dy, x, sides))?;
    let mut db = vec![T::zero(); sides.0];
    for row in dy.chunks_exact(sides.0) {
        for (sum, &v) in db.iter_mut().zip(row) {
            *sum += v;
        }
    }
    give(sink, &layer.bias, db)?;
    Ok(dx)
}
