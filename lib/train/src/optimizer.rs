//! Optimizers: which updates, in which order, with which state.

use crate::dot::{dot_all, dots_there};
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use cream_nn::ops::update::{self, Item, RmspropStep};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The optimizers offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// SGD with Nesterov's momentum.
    Sgd,
    /// RMSProp in TensorFlow's form: mean square from 1, epsilon inside the root, rate inside the buffer.
    RmspropTf,
    /// AdamW (Loshchilov and Hutter, 2019).
    Adamw,
}

/// An optimizer's constants. Weight decay acts on parameters of more than one dimension only: not on biases
/// and norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Which optimizer.
    pub kind: Kind,
    /// Momentum; beta1 of AdamW.
    pub momentum: f64,
    /// Decay of the mean square: alpha of RMSProp, beta2 of AdamW.
    pub alpha: f64,
    /// Epsilon of RMSProp or AdamW.
    pub epsilon: f64,
    /// Weight decay: coupled (added to the gradient) but for AdamW.
    pub weight_decay: f64,
}

/// A rule with its state: one or two tensors per parameter that has been stepped, by name.
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: Rule,
    /// Momentum buffers, or first moments.
    momentum: BTreeMap<String, Tensor>,
    /// Mean squares, or second moments.
    square: BTreeMap<String, Tensor>,
    /// Steps taken.
    steps: u64,
}

impl Optimizer {
    /// The optimizer before its first step.
    pub fn new(rule: Rule) -> Self {
        Self { rule, momentum: BTreeMap::new(), square: BTreeMap::new(), steps: 0 }
    }

    /// One step at `rate` on the given parameters; no other parameter and no other state changes.
    ///
    /// # Errors
    /// When a gradient is missing or does not fit.
    pub fn step(&mut self, gradients: &[Gradient<'_>], rate: f64) -> Result<()> {
        self.steps += 1;
        let Rule { kind, momentum, alpha, epsilon, weight_decay } = self.rule;
        for Gradient { name, parameter, .. } in gradients {
            ensure(&mut self.momentum, name, parameter, 0.0)?;
            match kind {
                Kind::Sgd => {}
                Kind::RmspropTf => ensure(&mut self.square, name, parameter, 1.0)?,
                Kind::Adamw => ensure(&mut self.square, name, parameter, 0.0)?,
            }
        }
        let decay = |parameter: &Var| if parameter.rank() > 1 { weight_decay } else { 0.0 };
        match kind {
            Kind::Sgd => {
                let step = update::SgdStep { rate, momentum, decay: weight_decay };
                update::sgd_each(&self.with_momentum(gradients, decay)?, step)
            }
            Kind::RmspropTf => {
                let step = RmspropStep { rate, momentum, alpha, epsilon, decay: weight_decay };
                update::rmsprop_each(&self.with_moments(gradients, decay)?, step)
            }
            Kind::Adamw => {
                let step = update::AdamWStep {
                    beta1: momentum,
                    beta2: alpha,
                    rate: rate / (1.0 - momentum.powf(self.steps as f64)),
                    correction: (1.0 - alpha.powf(self.steps as f64)).sqrt().recip(),
                    epsilon,
                    keep: 1.0,
                };
                let keep = |parameter: &Var| 1.0 - rate * decay(parameter);
                update::adamw_each(&self.with_moments(gradients, keep)?, step)
            }
        }
    }

    /// The parameters with their momentum.
    fn with_momentum<'a>(
        &'a self,
        gradients: &'a [Gradient<'_>],
        own: impl Fn(&Var) -> f64,
    ) -> Result<Vec<Item<'a, 2>>> {
        let item = |Gradient { name, parameter, gradient }: &'a Gradient<'_>| {
            let targets = [parameter.as_tensor(), slot(&self.momentum, name)?];
            Ok(Item { targets, source: gradient, own: own(parameter) })
        };
        gradients.iter().map(item).collect()
    }

    /// The parameters with both their moments.
    fn with_moments<'a>(
        &'a self,
        gradients: &'a [Gradient<'_>],
        own: impl Fn(&Var) -> f64,
    ) -> Result<Vec<Item<'a, 3>>> {
        let item = |Gradient { name, parameter, gradient }: &'a Gradient<'_>| {
            let state = [slot(&self.momentum, name)?, slot(&self.square, name)?];
            let targets = [parameter.as_tensor(), state[0], state[1]];
            Ok(Item { targets, source: gradient, own: own(parameter) })
        };
        gradients.iter().map(item).collect()
    }

    /// The state, for a checkpoint.
    pub fn state(&self) -> (&BTreeMap<String, Tensor>, &BTreeMap<String, Tensor>, u64) {
        (&self.momentum, &self.square, self.steps)
    }

    /// Takes up a state again.
    ///
    /// # Errors
    /// Names a tensor that is not one of the network's parameters, or is missing.
    pub fn restore(
        &mut self,
        momentum: BTreeMap<String, Tensor>,
        square: BTreeMap<String, Tensor>,
        steps: u64,
        parameters: &BTreeMap<String, Var>,
    ) -> std::result::Result<(), String> {
        for (name, tensor) in momentum.iter().chain(&square) {
            if parameters.get(name).map(|p| p.dims()) != Some(tensor.dims()) {
                return Err(format!("its optimizer state {name} does not fit the network"));
            }
        }
        let squares = if self.rule.kind == Kind::Sgd { 0 } else { momentum.len() };
        if square.len() != squares || (steps > 0 && momentum.is_empty()) {
            return Err("its optimizer state is incomplete".to_owned());
        }
        (self.momentum, self.square, self.steps) = (momentum, square, steps);
        Ok(())
    }
}

/// Starts a parameter's state, unless it has one.
fn ensure(
    slots: &mut BTreeMap<String, Tensor>,
    name: &str,
    parameter: &Var,
    start: f64,
) -> Result<()> {
    if !slots.contains_key(name) {
        let values = Tensor::ones(parameter.shape(), parameter.dtype(), parameter.device())?;
        slots.insert(name.to_owned(), values.affine(start, 0.0)?);
    }
    Ok(())
}

fn slot<'a>(slots: &'a BTreeMap<String, Tensor>, name: &str) -> Result<&'a Tensor> {
    match slots.get(name) {
        Some(slot) => Ok(slot),
        None => candle_core::bail!("optimizer state of {name} is missing"),
    }
}

/// A parameter with its gradient.
#[derive(Clone, Debug)]
pub struct Gradient<'a> {
    /// The parameter's name.
    pub name: &'a str,
    /// The parameter.
    pub parameter: &'a Var,
    /// Its gradient, contiguous, of its shape.
    pub gradient: Tensor,
}

/// Takes the gradients of `parameters` out of a backward pass.
///
/// # Errors
/// When a parameter has none: it took no part in the loss.
pub fn gradients<'a>(
    store: &mut GradStore,
    parameters: impl IntoIterator<Item = (&'a str, &'a Var)>,
) -> Result<Vec<Gradient<'a>>> {
    parameters
        .into_iter()
        .map(|(name, parameter)| match store.remove(parameter) {
            Some(gradient) => {
                Ok(Gradient { name, parameter, gradient: gradient.contiguous()?.detach() })
            }
            None => candle_core::bail!("{name} has no gradient"),
        })
        .collect()
}

/// The Euclidean norm of all gradients together.
///
/// # Errors
/// When a gradient cannot be read.
pub fn norm(gradients: &[Gradient<'_>]) -> Result<f64> {
    let pairs = gradients.iter().map(|g| (&g.gradient, &g.gradient));
    Ok(dot_all(pairs)?.sqrt())
}

/// Added to norms before a limit is divided by them: PyTorch's, in `clip_grad_norm_`.
const NORM_EPSILON: f64 = 1e-6;

/// Scales all gradients so that their common norm is at most `limit`. On another device than the CPU nothing waits for
/// the norm.
///
/// # Errors
/// When a gradient cannot be read.
pub fn clip(gradients: &mut [Gradient<'_>], limit: f64) -> Result<()> {
    let pairs = || gradients.iter().map(|g| (&g.gradient, &g.gradient));
    if let Some(squares) = dots_there(pairs())? {
        let norm = squares.sqrt()?.affine(1.0, NORM_EPSILON)?;
        let factor = norm.recip()?.affine(limit, 0.0)?.minimum(1.0)?;
        for g in gradients {
            g.gradient = g.gradient.broadcast_mul(&factor.to_dtype(g.gradient.dtype())?)?;
        }
        return Ok(());
    }
    let factor = limit / (norm(gradients)? + NORM_EPSILON);
    if factor < 1.0 {
        for g in gradients {
            g.gradient = g.gradient.affine(factor, 0.0)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn var(values: &[f64]) -> Var {
        Var::from_tensor(&Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()).unwrap()
    }

    #[test]
    fn clipping_keeps_the_direction_and_caps_the_norm() {
        let (a, b) = (var(&[3.0]), var(&[4.0]));
        let gradient = |v: &Var| v.as_tensor().copy().unwrap();
        let mut grads = [
            Gradient { name: "a", parameter: &a, gradient: gradient(&a) },
            Gradient { name: "b", parameter: &b, gradient: gradient(&b) },
        ];
        clip(&mut grads, 10.0).unwrap();
        assert_eq!(norm(&grads).unwrap(), 5.0);
        clip(&mut grads, 1.0).unwrap();
        assert!((norm(&grads).unwrap() - 1.0).abs() < 1e-6);
        let first: Vec<f64> = grads[0].gradient.to_vec1().unwrap();
        assert!((first[0] - 0.6).abs() < 1e-6);
    }

    /// The first AdamW step moves every parameter by the rate, whatever the gradient's size.
    #[test]
    fn adamw_starts_with_the_rate() {
        let rule = Rule {
            kind: Kind::Adamw,
            momentum: 0.9,
            alpha: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.1,
        };
        let p = var(&[1.0, -2.0]);
        let gradient = Tensor::from_slice(&[1e-3, 50.0], 2, &Device::Cpu).unwrap();
        let mut optimizer = Optimizer::new(rule);
        optimizer.step(&[Gradient { name: "p", parameter: &p, gradient }], 0.01).unwrap();
        let moved: Vec<f64> = p.to_vec1().unwrap();
        assert!((moved[0] - 0.99).abs() < 1e-6 && (moved[1] + 2.01).abs() < 1e-6, "{moved:?}");
    }
}
