//! Norms with the batch's own statistics.

use super::parameters::give;
use crate::layers::{BatchNorm, Gradients, Pass};
use crate::ops::batch_norm::{self, Seen};
use candle_core::{Result, Tensor};

/// What the backward pass needs.
#[derive(Debug)]
pub(super) struct Saved {
    x: Tensor,
    seen: Seen,
}

/// The norm and activation of `x`, with a residual added if there is one, and what the backward pass needs. Running
/// statistics move as the pass says.
pub(super) fn forward(
    bn: &BatchNorm,
    x: Tensor,
    residual: Option<&Tensor>,
    pass: &Pass,
) -> Result<(Tensor, Saved)> {
    let (weight, bias) = (bn.weight.as_detached_tensor(), bn.bias.as_detached_tensor());
    let (y, seen) = bn.of_batch(&x, (&weight, &bias), residual, pass)?;
    Ok((y, Saved { x, seen }))
}

/// The gradient of x; hands over those of scale and shift.
pub(super) fn backward(
    bn: &BatchNorm,
    saved: Saved,
    dy: Tensor,
    pass: &Pass,
    sink: &Gradients,
) -> Result<Tensor> {
    let (weight, bias) = (bn.weight.as_detached_tensor(), bn.bias.as_detached_tensor());
    let tensors = [&saved.x, &weight, &bias, &dy];
    let (dx, dweight, dbias) =
        batch_norm::backward(tensors, &saved.seen, pass.epsilon, bn.activation)?;
    give(sink, &bn.weight, &dweight)?;
    give(sink, &bn.bias, &dbias)?;
    Ok(dx)
}
