//! Updates of parameters and averages in place: whole steps of the optimizers, one pass over memory each, without
//! temporaries.
//!
//! In the formulas g is the gradient with the coupled weight decay, g = dL/dp + decay * p, where a step has one. All
//! tensors of one update are different ones of the same shape and dtype, and contiguous; anything else is an error.

#[cfg(feature = "cuda")]
mod cuda;
mod kernel;
#[cfg(test)]
mod tests;

use super::element::Element;
use candle_core::{Result, Tensor};
use kernel::{Rule, Scale, update};

/// SGD with Nesterov's momentum: `m = momentum * m + g; p = p - rate * (g + momentum * m)`. From zeros, the first
/// buffer is the first gradient, as in PyTorch.
#[derive(Clone, Copy, Debug)]
pub struct SgdStep {
    /// Learning rate.
    pub rate: f64,
    /// Momentum.
    pub momentum: f64,
    /// Coupled weight decay.
    pub decay: f64,
}

impl Rule<2> for SgdStep {
    #[inline(always)]
    fn apply<T: Element>(&self, [p, m]: [T; 2], grad: T) -> [T; 2] {
        let [rate, momentum, decay] = [self.rate, self.momentum, self.decay].map(T::from_f64);
        let g = grad + p * decay;
        let m = m * momentum + g;
        [p - (g + m * momentum) * rate, m]
    }
}

/// RMSProp in TensorFlow's form, the learning rate inside the buffer and epsilon inside the root:
/// `v = v + (1 - alpha) * (g^2 - v); m = momentum * m + rate * g / sqrt(v + epsilon); p = p - m`.
#[derive(Clone, Copy, Debug)]
pub struct RmspropStep {
    /// Learning rate.
    pub rate: f64,
    /// Momentum.
    pub momentum: f64,
    /// Decay of the mean square.
    pub alpha: f64,
    /// Added to the mean square.
    pub epsilon: f64,
    /// Coupled weight decay.
    pub decay: f64,
}

impl Rule<3> for RmspropStep {
    #[inline(always)]
    fn apply<T: Element>(&self, [p, m, v]: [T; 3], grad: T) -> [T; 3] {
        let [rate, momentum, decay] = [self.rate, self.momentum, self.decay].map(T::from_f64);
        let [beta, epsilon] = [1.0 - self.alpha, self.epsilon].map(T::from_f64);
        let g = grad + p * decay;
        let v = v + (g * g - v) * beta;
        let m = m * momentum + g * rate / Element::sqrt(v + epsilon);
        [p - m, m, v]
    }
}

/// AdamW (Loshchilov and Hutter, 2019, algorithm 2), step t: `m = beta1 * m + (1 - beta1) * g;
/// v = beta2 * v + (1 - beta2) * g^2; p = keep * p - rate * m / (sqrt(v) * correction + epsilon)`.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Learning rate / (1 - beta1^t).
    pub rate: f64,
    /// 1 / sqrt(1 - beta2^t).
    pub correction: f64,
    /// Added to the root of the corrected second moment.
    pub epsilon: f64,
    /// 1 - learning rate * decay, the decoupled weight decay.
    pub keep: f64,
}

impl Rule<3> for AdamWStep {
    #[inline(always)]
    fn apply<T: Element>(&self, [p, m, v]: [T; 3], g: T) -> [T; 3] {
        let [beta1, take1] = [self.beta1, 1.0 - self.beta1].map(T::from_f64);
        let [beta2, take2] = [self.beta2, 1.0 - self.beta2].map(T::from_f64);
        let [rate, correction, epsilon, keep] =
            [self.rate, self.correction, self.epsilon, self.keep].map(T::from_f64);
        let m = m * beta1 + g * take1;
        let v = v * beta2 + g * g * take2;
        [p * keep - m * rate / (Element::sqrt(v) * correction + epsilon), m, v]
    }
}

/// One of the updates that are made together: the tensors that change, with the parameter first, and the one that they
/// change by.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a, const N: usize> {
    /// Those that change.
    pub targets: [&'a Tensor; N],
    /// The gradient, a direction or new values.
    pub source: &'a Tensor,
    /// What this one has of its own: its weight decay, or what AdamW's step keeps of it.
    pub own: f64,
}

/// Steps of SGD, each on a parameter with its momentum buffer, with its own weight decay for the step's.
///
/// # Errors
/// As this module says.
pub fn sgd_each(items: &[Item<'_, 2>], step: SgdStep) -> Result<()> {
    let constants = [step.rate, step.momentum];
    each("sgd", items, &constants, |decay| SgdStep { decay, ..step })
}

/// Steps of RMSProp, each on a parameter with its buffer and mean square, with its own weight decay for the step's.
///
/// # Errors
/// As this module says.
pub fn rmsprop_each(items: &[Item<'_, 3>], step: RmspropStep) -> Result<()> {
    let constants = [step.rate, step.momentum, 1.0 - step.alpha, step.epsilon];
    each("rmsprop", items, &constants, |decay| RmspropStep { decay, ..step })
}

/// Steps of AdamW, each on a parameter with its moments, with what is kept of it for the step's.
///
/// # Errors
/// As this module says.
pub fn adamw_each(items: &[Item<'_, 3>], step: AdamWStep) -> Result<()> {
    let AdamWStep { rate, beta1, beta2, correction, epsilon, .. } = step;
    let constants = [rate, beta1, 1.0 - beta1, beta2, 1.0 - beta2, correction, epsilon];
    each("adamw", items, &constants, |keep| AdamWStep { keep, ..step })
}

/// Steps along directions: `p = p - rate * d`.
///
/// # Errors
/// As this module says.
pub fn step_each(items: &[Item<'_, 1>], rate: f64) -> Result<()> {
    each("blend", items, &[1.0, -rate], |_| Scale { keep: 1.0, take: -rate })
}

/// Exponential moving averages, of weights or of gradients: `m = keep * m + (1 - keep) * value`.
///
/// # Errors
/// As this module says.
pub fn average_each(items: &[Item<'_, 1>], keep: f64) -> Result<()> {
    each("blend", items, &[keep, 1.0 - keep], |_| Scale { keep, take: 1.0 - keep })
}

/// [`step_each`] of one parameter.
///
/// # Errors
/// As this module says.
pub fn step(p: &Tensor, d: &Tensor, rate: f64) -> Result<()> {
    step_each(&[Item { targets: [p], source: d, own: 0.0 }], rate)
}

/// One rule on all items: on CUDA in few launches, with `constants` as the kernel of this name takes them.
fn each<const N: usize, R: Rule<N>>(
    name: &'static str,
    items: &[Item<'_, N>],
    constants: &[f64],
    rule: impl Fn(f64) -> R,
) -> Result<()> {
    for item in items {
        check(name, item)?;
    }
    #[cfg(feature = "cuda")]
    if items.first().is_some_and(|item| item.source.device().is_cuda()) {
        return cuda::each(name, items, constants);
    }
    let _ = constants;
    items.iter().try_for_each(|item| update(name, item.targets, item.source, &rule(item.own)))
}

fn check<const N: usize>(name: &str, item: &Item<'_, N>) -> Result<()> {
    let source = item.source;
    for target in item.targets {
        if target.dims() != source.dims() || target.dtype() != source.dtype() {
            candle_core::bail!(
                "{name}: {:?} {:?} to update from {:?} {:?}",
                target.dtype(),
                target.dims(),
                source.dtype(),
                source.dims()
            );
        }
    }
    Ok(())
}
