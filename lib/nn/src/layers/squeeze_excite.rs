//! Squeeze-and-excitation (Hu et al., 2018).

use super::{Dense, Pass};
use crate::ops::{gate::gate, pool::global_average};
use crate::weights::Builder;
use candle_core::{Result, Tensor};
use cream_arch::{Activation, Gate};

/// `x * g(expand(f(reduce(mean(x)))))`.
#[derive(Clone, Debug)]
pub struct SqueezeExcite {
    pub(crate) conv_reduce: Dense,
    pub(crate) conv_expand: Dense,
    pub(crate) gate: Gate,
}

impl SqueezeExcite {
    /// A gate on `channels` channels, as `rule` says.
    ///
    /// # Errors
    /// When its tensors cannot be allocated.
    pub fn new(mut b: Builder, channels: usize, rule: &cream_arch::SqueezeExcite) -> Result<Self> {
        let (width, activation) = (rule.width, rule.activation);
        Ok(Self {
            conv_reduce: Dense::convolution(b.at("conv_reduce"), channels, width, activation)?,
            conv_expand: Dense::convolution(
                b.at("conv_expand"),
                width,
                channels,
                Activation::None,
            )?,
            gate: rule.gate,
        })
    }

    /// `[N, H, W, C]` to the same shape.
    ///
    /// # Errors
    /// When the channels differ.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let s = self.conv_reduce.forward(&global_average(x)?, pass)?;
        gate(x, &self.conv_expand.forward(&s, pass)?, self.gate)
    }
}
