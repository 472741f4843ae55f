//! A separable block: expansion (where it has one), depthwise convolution, squeeze-excite, projection, residual.

use super::parameters::{Forward, give};
use super::{convolution, norm, squeeze_excite};
use crate::layers::{DepthwiseConvolution, Gradients, Pass, Separable, scaled};
use crate::ops::Window;
use crate::ops::depthwise::{self, depthwise};
use candle_core::{Result, Tensor};

/// What the backward pass needs.
#[derive(Debug)]
pub(super) struct Saved {
    expand: Option<convolution::Saved>,
    /// What the depthwise convolution reads.
    x: Tensor,
    window: Window,
    norm: norm::Saved,
    squeeze_excite: Option<squeeze_excite::Saved>,
    project: convolution::Saved,
    /// Factors of the branch `[N, 1]`, with stochastic depth.
    factors: Option<Tensor>,
}

/// Block number `index` of its network, and what its backward pass needs.
pub(super) fn forward(
    layers: &Separable<'_>,
    input: Tensor,
    index: usize,
    run: &Forward<'_>,
) -> Result<(Tensor, Saved)> {
    let factors = if layers.residual { run.pass.branch_tensor(index, &input)? } else { None };
    let (x, expand) = match layers.expand {
        Some(expand) => {
            let (x, saved) = convolution::forward(expand, &input, run)?;
            (x, Some(saved))
        }
        None => (input.clone(), None),
    };
    let (conv, bn) = layers.depthwise;
    let window = conv.window(&x)?;
    let y = depthwise(&x, &conv.weight.as_detached_tensor(), window)?;
    let (y, norm) = norm::forward(bn, y, None, run.pass)?;
    let (y, squeeze_excite) = match layers.squeeze_excite {
        Some(layer) => {
            let (y, saved) = squeeze_excite::forward(layer, y, run)?;
            (y, Some(saved))
        }
        None => (y, None),
    };
    let residual = (layers.residual && factors.is_none()).then_some(&input);
    let (y, project) = convolution::forward_onto(layers.project, &y, residual, run)?;
    let out = match &factors {
        Some(factors) => (scaled(&y, factors)? + &input)?,
        None => y,
    };
    Ok((out, Saved { expand, x, window, norm, squeeze_excite, project, factors }))
}

/// The gradient of the input, from that of the output.
pub(super) fn backward(
    layers: &Separable<'_>,
    saved: Saved,
    dout: Tensor,
    pass: &Pass,
    sink: &Gradients,
) -> Result<Tensor> {
    let Saved { expand, x, window, norm, squeeze_excite, project, factors } = saved;
    let skip = layers.residual.then(|| dout.clone());
    let g = match &factors {
        Some(factors) => scaled(&dout, factors)?,
        None => dout,
    };
    let mut g = convolution::backward(layers.project, project, g, pass, sink)?;
    if let (Some(layer), Some(saved)) = (layers.squeeze_excite, squeeze_excite) {
        g = squeeze_excite::backward(layer, saved, g, sink)?;
    }
    let (conv, bn) = layers.depthwise;
    let g = norm::backward(bn, norm, g, pass, sink)?;
    let mut g = through_depthwise(conv, x, g, &window, sink)?;
    if let (Some(layers), Some(saved)) = (layers.expand, expand) {
        g = convolution::backward(layers, saved, g, pass, sink)?;
    }
    match skip {
        Some(skip) => g + skip,
        None => Ok(g),
    }
}

/// The gradient of x; hands over that of the weight.
fn through_depthwise(
    conv: &DepthwiseConvolution,
    x: Tensor,
    dy: Tensor,
    window: &Window,
    sink: &Gradients,
) -> Result<Tensor> {
    give(sink, &conv.weight, &depthwise::weight_gradient(&x, &dy, window)?)?;
    drop(x);
    depthwise::input_gradient(&conv.weight.as_detached_tensor(), &dy, window)
}
