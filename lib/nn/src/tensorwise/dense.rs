//! Layers on pooled vectors.

use super::parameters::{Forward, give};
use crate::layers::{Dense, Gradients};
use crate::ops::bias_activation::{self, bias_activation};
use candle_core::{Result, Tensor};

/// What the backward pass needs.
#[derive(Debug)]
pub(super) struct Saved {
    x: Tensor,
    /// The weight `[out, in]` in the activations' dtype.
    matrix: Tensor,
    /// `x W^T`.
    product: Tensor,
}

/// `f(x W^T + b)` on rows, and what the backward pass needs.
pub(super) fn forward(layer: &Dense, x: Tensor, run: &Forward<'_>) -> Result<(Tensor, Saved)> {
    let matrix = layer.matrix(&run.weight(&layer.weight))?;
    let product = x.matmul(&matrix.t()?)?;
    let y = bias_activation(&product, &layer.bias.as_detached_tensor(), layer.activation)?;
    Ok((y, Saved { x, matrix, product }))
}

/// The gradient of x; hands over those of W and b.
pub(super) fn backward(
    layer: &Dense,
    saved: &Saved,
    dy: &Tensor,
    sink: &Gradients,
) -> Result<Tensor> {
    let bias = layer.bias.as_detached_tensor();
    let (g, dbias) = bias_activation::backward(&saved.product, &bias, dy, layer.activation)?;
    give(sink, &layer.bias, &dbias)?;
    give(sink, &layer.weight, &g.t()?.matmul(&saved.x)?)?;
    g.matmul(&saved.matrix)
}
