//! A dense convolution with its norm and activation: the stem, expansions and projections, wide convolutions.
//!
//! All three products take their operands where they lie: `x W^T` forward, `dy W` and `dy^T x` backward.

use super::norm;
use super::parameters::{Forward, give};
use crate::layers::{BatchNorm, Convolution, Gradients, Pass, Rows};
use crate::ops::patches;
use candle_core::{Result, Shape, Tensor};

/// A convolution and the norm behind it.
pub(super) type Layers<'a> = (&'a Convolution, &'a BatchNorm);

/// What the backward pass needs.
#[derive(Debug)]
pub(super) struct Saved {
    rows: Rows,
    /// The weight `[out, kernel * kernel * in]` in the activations' dtype.
    matrix: Tensor,
    norm: norm::Saved,
}

/// `[N, H, W, in]` to `[N, H', W', out]`, and what the backward pass needs.
pub(super) fn forward(
    layers: Layers<'_>,
    x: &Tensor,
    run: &Forward<'_>,
) -> Result<(Tensor, Saved)> {
    forward_onto(layers, x, None, run)
}

/// The same with something shaped as the output added to it.
pub(super) fn forward_onto(
    (conv, bn): Layers<'_>,
    x: &Tensor,
    residual: Option<&Tensor>,
    run: &Forward<'_>,
) -> Result<(Tensor, Saved)> {
    let rows = conv.rows(x)?;
    let matrix = conv.matrix(&run.weight(&conv.weight))?;
    let (y, norm) = norm::forward(bn, rows.product(&matrix)?, residual, run.pass)?;
    Ok((y, Saved { rows, matrix, norm }))
}

/// The gradient of the input; hands over those of the parameters.
pub(super) fn backward(
    layers: Layers<'_>,
    saved: Saved,
    dy: Tensor,
    pass: &Pass,
    sink: &Gradients,
) -> Result<Tensor> {
    let Saved { rows, matrix, norm } = saved;
    let dy = through_norm(layers, norm, dy, pass, sink)?;
    give_weight(layers.0, &rows, &dy, sink)?;
    let [n, h, w] = rows.input_places();
    let shape = Shape::from((n, h, w, layers.0.weight.dim(1)?));
    let window = rows.window;
    drop(rows);
    let drows = dy.matmul(&matrix)?;
    match window {
        Some(window) => patches::input_gradient(&drows, &shape, &window),
        None => drows.reshape(shape),
    }
}

/// The same for the first layer, whose input is an image that needs no gradient.
pub(super) fn backward_of_first(
    layers: Layers<'_>,
    saved: Saved,
    dy: Tensor,
    pass: &Pass,
    sink: &Gradients,
) -> Result<()> {
    let dy = through_norm(layers, saved.norm, dy, pass, sink)?;
    give_weight(layers.0, &saved.rows, &dy, sink)
}

/// The gradient of the convolution's output as rows `[N * H' * W', out]`.
fn through_norm(
    (_, bn): Layers<'_>,
    saved: norm::Saved,
    dy: Tensor,
    pass: &Pass,
    sink: &Gradients,
) -> Result<Tensor> {
    norm::backward(bn, saved, dy, pass, sink)?.flatten_to(2)
}

fn give_weight(conv: &Convolution, rows: &Rows, dy: &Tensor, sink: &Gradients) -> Result<()> {
    let dmatrix = dy.t()?.matmul(&rows.values)?;
    let (out, channels, kernel, _) = conv.weight.dims4()?;
    if kernel == 1 {
        return give(sink, &conv.weight, &dmatrix);
    }
    let dweight = dmatrix.reshape((out, kernel, kernel, channels))?.permute((0, 3, 1, 2))?;
    give(sink, &conv.weight, &dweight.contiguous()?)
}
