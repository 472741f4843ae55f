//! The gates of a block (Hu et al., 2018).

use super::dense;
use super::parameters::Forward;
use crate::layers::{Gradients, SqueezeExcite};
use crate::ops::{
    gate::{self, gate},
    pool::{self, global_average},
};
use candle_core::{Result, Tensor};

/// What the backward pass needs.
#[derive(Debug)]
pub(super) struct Saved {
    x: Tensor,
    reduce: dense::Saved,
    expand: dense::Saved,
    /// Before the gate, `[N, C]`.
    s: Tensor,
}

/// `x` `[N, H, W, C]` times its gates, and what the backward pass needs.
pub(super) fn forward(
    layer: &SqueezeExcite,
    x: Tensor,
    run: &Forward<'_>,
) -> Result<(Tensor, Saved)> {
    let (reduced, reduce) = dense::forward(&layer.conv_reduce, global_average(&x)?, run)?;
    let (s, expand) = dense::forward(&layer.conv_expand, reduced, run)?;
    let y = gate(&x, &s, layer.gate)?;
    Ok((y, Saved { x, reduce, expand, s }))
}

/// The gradient of x; hands over those of the parameters.
pub(super) fn backward(
    layer: &SqueezeExcite,
    saved: Saved,
    dy: Tensor,
    sink: &Gradients,
) -> Result<Tensor> {
    let (dx, ds) = gate::backward(&saved.x, &saved.s, &dy, layer.gate)?;
    drop(dy);
    let dreduced = dense::backward(&layer.conv_expand, &saved.expand, &ds, sink)?;
    let dmeans = dense::backward(&layer.conv_reduce, &saved.reduce, &dreduced, sink)?;
    dx + pool::backward(&dmeans, saved.x.shape())?
}
