//! Batch normalisation fused with the activation that follows it.

use super::{Pass, Statistics};
use crate::ops::batch_norm::{self, Running, Seen, batch_norm_onto, moving, normalise};
use crate::weights::{Builder, Init};
use candle_core::{DType, Result, Tensor, Var};
use cream_arch::Activation;

/// `f((x - mean) / sqrt(var + eps) * weight + bias)` over the last dimension (Ioffe and Szegedy, 2015), the
/// running variance unbiased as in PyTorch.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    pub(crate) weight: Var,
    pub(crate) bias: Var,
    pub(crate) running_mean: Var,
    pub(crate) running_var: Var,
    pub(crate) activation: Activation,
}

impl BatchNorm {
    /// A norm of `channels` channels: scale 1, bias 0, running mean 0 and variance 1.
    ///
    /// # Errors
    /// When its tensors cannot be allocated.
    pub fn new(mut b: Builder, channels: usize, activation: Activation) -> Result<Self> {
        Ok(Self {
            weight: b.parameter("weight", &[channels], Init::Constant(1.0))?,
            bias: b.parameter("bias", &[channels], Init::Constant(0.0))?,
            running_mean: b.buffer("running_mean", &[channels], Init::Constant(0.0))?,
            running_var: b.buffer("running_var", &[channels], Init::Constant(1.0))?,
            activation,
        })
    }

    /// Normalises `x` `[..., C]`.
    ///
    /// # Errors
    /// When the channels differ, or in training when there is one value per channel only.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let (weight, bias) = (pass.value(&self.weight), pass.value(&self.bias));
        if pass.statistics == Statistics::Running {
            let (mean, var) = (self.running_mean.as_tensor(), self.running_var.as_tensor());
            return normalise(x, &weight, &bias, mean, var, pass.epsilon, self.activation);
        }
        Ok(self.of_batch(x, (&weight, &bias), None, pass)?.0)
    }

    /// Normalises `x` with its own statistics, adds a residual, if there is one, of which no gradient is taken, and moves the
    /// running statistics as the pass says. Returns what the operator's
    /// backward pass needs beside its input, too.
    pub(crate) fn of_batch(
        &self,
        x: &Tensor,
        (weight, bias): (&Tensor, &Tensor),
        residual: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<(Tensor, Seen)> {
        let running = momentum(pass).map(|momentum| Running {
            mean: self.running_mean.as_detached_tensor(),
            variance: self.running_var.as_detached_tensor(),
            momentum,
        });
        let (epsilon, activation) = (pass.epsilon, self.activation);
        let (y, seen) = match residual {
            None => moving(x, weight, bias, epsilon, activation, running)?,
            Some(residual) => {
                batch_norm_onto(x, [weight, bias], epsilon, activation, running, residual)?
            }
        };
        if let Seen::Host(batch) = &seen {
            self.observe(batch, pass)?;
        }
        Ok((y, seen))
    }

    /// Moves the running statistics towards those of a batch, as the pass says.
    pub(crate) fn observe(&self, batch: &batch_norm::Statistics, pass: &Pass) -> Result<()> {
        match momentum(pass) {
            Some(momentum) => self.update(batch, momentum),
            None => Ok(()),
        }
    }

    /// running = (1 - momentum) * running + momentum * batch.
    fn update(&self, batch: &batch_norm::Statistics, momentum: f64) -> Result<()> {
        let unbiased = batch.rows as f64 / (batch.rows as f64 - 1.0);
        let variance: Vec<f64> = batch.variance.iter().map(|v| v * unbiased).collect();
        for (running, new) in [(&self.running_mean, &batch.mean), (&self.running_var, &variance)] {
            let old: Vec<f64> = running.to_dtype(DType::F64)?.to_vec1()?;
            // A whole replacement must not touch the old value, which may be infinite.
            let mix = |(old, new): (&f64, &f64)| match momentum {
                1.0 => *new,
                _ => (1.0 - momentum) * old + momentum * new,
            };
            let mixed: Vec<f64> = old.iter().zip(new).map(mix).collect();
            let mixed = Tensor::from_vec(mixed, running.shape(), running.device())?;
            running.set(&mixed.to_dtype(running.dtype())?)?;
        }
        Ok(())
    }
}

/// The share that a batch's statistics have in the running ones; none where those stay as they are.
fn momentum(pass: &Pass) -> Option<f64> {
    match pass.statistics {
        Statistics::Update => Some(pass.momentum),
        Statistics::Average { seen } => Some(1.0 / (seen as f64 + 1.0)),
        Statistics::Running | Statistics::Batch => None,
    }
}
