//! Pool, features and classifier.

use super::{BatchNorm, Convolution, Dense, Pass};
use crate::ops::pool::global_average;
use crate::weights::Builder;
use candle_core::{Result, Tensor};
use cream_arch::{HeadPosition, Padding};

/// The end of a network, with its wide convolution on either side of the pool.
#[derive(Clone, Debug)]
pub struct Head {
    pub(crate) features: Features,
    pub(crate) classifier: Dense,
}

/// How the features come about.
#[derive(Clone, Debug)]
pub(crate) enum Features {
    /// Pool, then a 1x1 convolution with bias (MobileNetV3 and the networks of this search).
    AfterPool(Dense),
    /// 1x1 convolution and batch norm, then the pool (EfficientNet).
    BeforePool(Convolution, BatchNorm),
}

impl Head {
    /// The head that `rule` describes.
    ///
    /// # Errors
    /// When its tensors cannot be allocated.
    pub fn new(
        b: &mut Builder,
        rule: &cream_arch::Head,
        channels_in: usize,
        num_classes: usize,
    ) -> Result<Self> {
        let conv = b.at("conv_head");
        let features = match rule.position {
            HeadPosition::AfterPool => Features::AfterPool(Dense::convolution(
                conv,
                channels_in,
                rule.channels,
                rule.activation,
            )?),
            HeadPosition::BeforePool => {
                let channels = [channels_in, rule.channels];
                let conv = Convolution::new(conv, channels, 1, 1, Padding::Half)?;
                Features::BeforePool(
                    conv,
                    BatchNorm::new(b.at("bn2"), rule.channels, rule.activation)?,
                )
            }
        };
        let classifier = Dense::linear(b.at("classifier"), rule.channels, num_classes)?;
        Ok(Self { features, classifier })
    }

    /// `[N, H, W, C]` to logits `[N, classes]`.
    ///
    /// # Errors
    /// When the channels or the dropout factors do not fit.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let mut features = match &self.features {
            Features::AfterPool(conv) => conv.forward(&global_average(x)?, pass)?,
            Features::BeforePool(conv, bn) => {
                global_average(&bn.forward(&conv.forward(x, pass)?, pass)?)?
            }
        };
        if let Some(factors) = &pass.dropout {
            features = (&features * factors.to_dtype(features.dtype())?)?;
        }
        // The loss is taken in the parameters' own precision.
        let logits = self.classifier.forward(&features, pass)?;
        logits.to_dtype(self.classifier.weight.dtype())
    }
}
