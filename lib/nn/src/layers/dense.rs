//! Layers on pooled vectors: linear layers, and 1x1 convolutions with bias, which are the same there.

use super::Pass;
use crate::ops::bias_activation::bias_activation;
use crate::weights::{Builder, Init};
use candle_core::{Result, Tensor, Var};
use cream_arch::Activation;

/// `f(x W^T + b)` on rows.
#[derive(Clone, Debug)]
pub struct Dense {
    pub(crate) weight: Var,
    pub(crate) bias: Var,
    pub(crate) activation: Activation,
}

impl Dense {
    /// A linear layer, weight `[out, in]` uniform within 1 / sqrt(out), bias 0.
    ///
    /// # Errors
    /// When its tensors cannot be allocated.
    pub fn linear(mut b: Builder, channels_in: usize, channels_out: usize) -> Result<Self> {
        let init = Init::Uniform(1.0 / (channels_out as f64).sqrt());
        let weight = b.parameter("weight", &[channels_out, channels_in], init)?;
        Self::with_weight(b, weight, channels_out, Activation::None)
    }

    /// A 1x1 convolution with bias, weight `[out, in, 1, 1]` normal with std sqrt(2 / out), bias 0.
    ///
    /// # Errors
    /// When its tensors cannot be allocated.
    pub fn convolution(
        mut b: Builder,
        channels_in: usize,
        channels_out: usize,
        activation: Activation,
    ) -> Result<Self> {
        let init = Init::Normal((2.0 / channels_out as f64).sqrt());
        let weight = b.parameter("weight", &[channels_out, channels_in, 1, 1], init)?;
        Self::with_weight(b, weight, channels_out, activation)
    }

    fn with_weight(
        mut b: Builder,
        weight: Var,
        out: usize,
        activation: Activation,
    ) -> Result<Self> {
        let bias = b.parameter("bias", &[out], Init::Constant(0.0))?;
        Ok(Self { weight, bias, activation })
    }

    /// `[N, in]` to `[N, out]`.
    ///
    /// # Errors
    /// When the channels differ.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let matrix = self.matrix(&pass.value(&self.weight).to_dtype(x.dtype())?)?;
        bias_activation(&x.matmul(&matrix.t()?)?, &pass.value(&self.bias), self.activation)
    }

    /// The weight as a matrix `[out, in]`.
    pub(crate) fn matrix(&self, weight: &Tensor) -> Result<Tensor> {
        weight.reshape((weight.dim(0)?, weight.dim(1)?))
    }
}
