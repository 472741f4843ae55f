//! Updates of parameters and averages in place, one pass over each, without temporaries.
//!
//! In the formulas g is the gradient with the coupled weight decay: g = dL/dp + decay * p. All tensors
//! of one update have the same shape and dtype and are contiguous; anything else is an error.

mod kernel;
#[cfg(test)]
mod tests;

use super::element::Element;
use candle_core::{Result, Tensor};
use kernel::{Rule2, Rule3, impl_inplace, rule};

rule!(Rule3 Momentum { momentum, decay } (m, p, grad) => m * momentum + (grad + p * decay));
rule!(Rule3 Nesterov { rate, momentum, decay } (p, m, grad) => p - ((grad + p * decay) + m * momentum) * rate);
rule!(Rule2 Step { rate } (p, m) => p - m * rate);
rule!(Rule2 Decay { decay } (grad, p) => grad + p * decay);
rule!(Rule2 MeanSquare { beta } (v, g) => v + (g * g - v) * beta);
rule!(Rule3 RmsProp { rate, momentum, epsilon } (m, v, g) => m * momentum + g * rate / Element::sqrt(v + epsilon));
rule!(Rule2 Average { keep, take } (m, v) => m * keep + v * take);
rule!(Rule2 AverageSquare { keep, take } (v, g) => v * keep + g * g * take);
rule!(Rule3 AdamW { rate, correction, epsilon, keep } (p, m, v) => p * keep - m * rate / (Element::sqrt(v) * correction + epsilon));

/// Momentum buffer of SGD: `m = momentum * m + g`. From zeros, the first buffer is the first gradient, as
/// in PyTorch.
pub fn momentum(m: &Tensor, p: &Tensor, grad: &Tensor, momentum: f64, decay: f64) -> Result<()> {
    m.inplace_op3(p, grad, &Momentum { momentum, decay })
}

/// SGD with Nesterov's momentum, after [`momentum`]: `p = p - rate * (g + momentum * m)`.
pub fn nesterov(
    p: &Tensor,
    m: &Tensor,
    grad: &Tensor,
    rate: f64,
    momentum: f64,
    decay: f64,
) -> Result<()> {
    p.inplace_op3(m, grad, &Nesterov { rate, momentum, decay })
}

/// A step along a buffer: `p = p - rate * m`.
pub fn step(p: &Tensor, m: &Tensor, rate: f64) -> Result<()> {
    p.inplace_op2(m, &Step { rate })
}

/// Coupled weight decay: `grad = grad + decay * p`.
pub fn decay(grad: &Tensor, p: &Tensor, decay: f64) -> Result<()> {
    grad.inplace_op2(p, &Decay { decay })
}

/// Mean square of RMSProp: `v = v + (1 - alpha) * (g^2 - v)`.
pub fn mean_square(v: &Tensor, g: &Tensor, alpha: f64) -> Result<()> {
    v.inplace_op2(g, &MeanSquare { beta: 1.0 - alpha })
}

/// Buffer of RMSProp in TensorFlow's form, the learning rate inside the buffer and epsilon inside the
/// root: `m = momentum * m + rate * g / sqrt(v + epsilon)`.
pub fn rmsprop(
    m: &Tensor,
    v: &Tensor,
    g: &Tensor,
    rate: f64,
    momentum: f64,
    epsilon: f64,
) -> Result<()> {
    m.inplace_op3(v, g, &RmsProp { rate, momentum, epsilon })
}

/// An exponential moving average, of weights or of gradients: `m = keep * m + (1 - keep) * value`.
pub fn average(m: &Tensor, value: &Tensor, keep: f64) -> Result<()> {
    m.inplace_op2(value, &Average { keep, take: 1.0 - keep })
}

/// Second moment of Adam: `v = keep * v + (1 - keep) * grad^2`.
pub fn average_square(v: &Tensor, grad: &Tensor, keep: f64) -> Result<()> {
    v.inplace_op2(grad, &AverageSquare { keep, take: 1.0 - keep })
}

/// The numbers of one AdamW step t.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// rate / (1 - beta1^t).
    pub rate: f64,
    /// 1 / sqrt(1 - beta2^t).
    pub correction: f64,
    /// Added to the root of the corrected second moment.
    pub epsilon: f64,
    /// 1 - rate * decay, the decoupled weight decay.
    pub keep: f64,
}

/// AdamW (Loshchilov and Hutter, 2019, algorithm 2):
/// `p = keep * p - rate * m / (sqrt(v) * correction + epsilon)`.
pub fn adamw(p: &Tensor, m: &Tensor, v: &Tensor, step: AdamWStep) -> Result<()> {
    let AdamWStep { rate, correction, epsilon, keep } = step;
    p.inplace_op3(m, v, &AdamW { rate, correction, epsilon, keep })
}
