//! The first convolution.

use super::{BatchNorm, Convolution, Pass};
use crate::weights::Builder;
use candle_core::{Result, Tensor};
use cream_arch::Padding;

/// Convolution, batch norm and activation on the image.
#[derive(Clone, Debug)]
pub struct Stem {
    pub(crate) conv_stem: Convolution,
    pub(crate) bn1: BatchNorm,
}

impl Stem {
    /// The stem that `rule` describes, on three colour channels.
    ///
    /// # Errors
    /// When its tensors cannot be allocated.
    pub fn new(b: &mut Builder, rule: &cream_arch::Stem, padding: Padding) -> Result<Self> {
        let channels = [3, rule.channels];
        Ok(Self {
            conv_stem: Convolution::new(
                b.at("conv_stem"),
                channels,
                rule.kernel,
                rule.stride,
                padding,
            )?,
            bn1: BatchNorm::new(b.at("bn1"), rule.channels, rule.activation)?,
        })
    }

    /// `[N, H, W, 3]` to `[N, H', W', C]`.
    ///
    /// # Errors
    /// When the image is smaller than one window.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.bn1.forward(&self.conv_stem.forward(x, pass)?, pass)
    }
}
