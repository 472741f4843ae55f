//! The blocks of a network.

use super::{BatchNorm, Convolution, DepthwiseConvolution, Pass, SqueezeExcite, scaled};
use crate::weights::Builder;
use candle_core::{Result, Tensor};
use cream_arch::{Activation, Operator, Padding};

/// One block. The names of its layers are those of the published checkpoints.
#[derive(Clone, Debug)]
pub enum Block {
    /// Depthwise convolution, squeeze-excite, pointwise convolution (MobileNetV1, and the first block here).
    DepthwiseSeparable(DepthwiseSeparable),
    /// Expand, depthwise, squeeze-excite, project (MobileNetV2, section 3.3).
    InvertedResidual(InvertedResidual),
    /// Convolution, batch norm, activation.
    Convolution(ConvolutionBlock),
}

impl Block {
    /// The block that `rule` describes, on `channels` input channels.
    ///
    /// # Errors
    /// When its tensors cannot be allocated.
    pub fn new(
        b: &mut Builder,
        rule: &cream_arch::Block,
        channels: usize,
        padding: Padding,
    ) -> Result<Self> {
        Ok(match rule.operator {
            Operator::DepthwiseSeparable => {
                Self::DepthwiseSeparable(DepthwiseSeparable::new(b, rule, channels, padding)?)
            }
            Operator::InvertedResidual => {
                Self::InvertedResidual(InvertedResidual::new(b, rule, channels, padding)?)
            }
            Operator::Convolution => {
                Self::Convolution(ConvolutionBlock::new(b, rule, channels, padding)?)
            }
        })
    }

    /// `[N, H, W, C]` to `[N, H', W', C']`, as block number `index` of its network.
    ///
    /// # Errors
    /// When the channels differ, or the factors of stochastic depth do not fit.
    pub fn forward(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        match self {
            Self::DepthwiseSeparable(block) => block.forward(x, index, pass),
            Self::InvertedResidual(block) => block.forward(x, index, pass),
            Self::Convolution(block) => block.forward(x, pass),
        }
    }
}

/// See [`Block::DepthwiseSeparable`].
#[derive(Clone, Debug)]
pub struct DepthwiseSeparable {
    pub(crate) conv_dw: DepthwiseConvolution,
    pub(crate) bn1: BatchNorm,
    pub(crate) se: Option<SqueezeExcite>,
    pub(crate) conv_pw: Convolution,
    pub(crate) bn2: BatchNorm,
    pub(crate) residual: bool,
}

impl DepthwiseSeparable {
    fn new(b: &mut Builder, rule: &cream_arch::Block, c: usize, padding: Padding) -> Result<Self> {
        let (kernel, stride) = (rule.kernel, rule.stride);
        Ok(Self {
            conv_dw: DepthwiseConvolution::new(b.at("conv_dw"), c, kernel, stride, padding)?,
            bn1: BatchNorm::new(b.at("bn1"), c, rule.activation)?,
            se: squeeze_excite(b, c, rule)?,
            conv_pw: Convolution::pointwise(b.at("conv_pw"), c, rule.channels)?,
            bn2: BatchNorm::new(b.at("bn2"), rule.channels, Activation::None)?,
            residual: rule.has_residual(c),
        })
    }

    fn forward(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let y = self.bn1.forward(&self.conv_dw.forward(x, pass)?, pass)?;
        let y = gated(&self.se, y, pass)?;
        let y = self.bn2.forward(&self.conv_pw.forward(&y, pass)?, pass)?;
        if self.residual { added(y, x, index, pass) } else { Ok(y) }
    }
}

/// See [`Block::InvertedResidual`].
#[derive(Clone, Debug)]
pub struct InvertedResidual {
    pub(crate) conv_pw: Convolution,
    pub(crate) bn1: BatchNorm,
    pub(crate) conv_dw: DepthwiseConvolution,
    pub(crate) bn2: BatchNorm,
    pub(crate) se: Option<SqueezeExcite>,
    pub(crate) conv_pwl: Convolution,
    pub(crate) bn3: BatchNorm,
    pub(crate) residual: bool,
}

impl InvertedResidual {
    fn new(b: &mut Builder, rule: &cream_arch::Block, c: usize, padding: Padding) -> Result<Self> {
        let (width, kernel, stride) = (rule.expanded(c), rule.kernel, rule.stride);
        Ok(Self {
            conv_pw: Convolution::pointwise(b.at("conv_pw"), c, width)?,
            bn1: BatchNorm::new(b.at("bn1"), width, rule.activation)?,
            conv_dw: DepthwiseConvolution::new(b.at("conv_dw"), width, kernel, stride, padding)?,
            bn2: BatchNorm::new(b.at("bn2"), width, rule.activation)?,
            se: squeeze_excite(b, width, rule)?,
            conv_pwl: Convolution::pointwise(b.at("conv_pwl"), width, rule.channels)?,
            bn3: BatchNorm::new(b.at("bn3"), rule.channels, Activation::None)?,
            residual: rule.has_residual(c),
        })
    }

    fn forward(&self, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
        let y = self.bn1.forward(&self.conv_pw.forward(x, pass)?, pass)?;
        let y = self.bn2.forward(&self.conv_dw.forward(&y, pass)?, pass)?;
        let y = gated(&self.se, y, pass)?;
        let y = self.bn3.forward(&self.conv_pwl.forward(&y, pass)?, pass)?;
        if self.residual { added(y, x, index, pass) } else { Ok(y) }
    }
}

/// See [`Block::Convolution`].
#[derive(Clone, Debug)]
pub struct ConvolutionBlock {
    pub(crate) conv: Convolution,
    pub(crate) bn1: BatchNorm,
}

impl ConvolutionBlock {
    fn new(b: &mut Builder, rule: &cream_arch::Block, c: usize, padding: Padding) -> Result<Self> {
        let channels = [c, rule.channels];
        Ok(Self {
            conv: Convolution::new(b.at("conv"), channels, rule.kernel, rule.stride, padding)?,
            bn1: BatchNorm::new(b.at("bn1"), rule.channels, rule.activation)?,
        })
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.bn1.forward(&self.conv.forward(x, pass)?, pass)
    }
}

/// The layers of a separable block of either kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Separable<'a> {
    pub(crate) expand: Option<(&'a Convolution, &'a BatchNorm)>,
    pub(crate) depthwise: (&'a DepthwiseConvolution, &'a BatchNorm),
    pub(crate) squeeze_excite: Option<&'a SqueezeExcite>,
    pub(crate) project: (&'a Convolution, &'a BatchNorm),
    pub(crate) residual: bool,
}

impl<'a> From<&'a DepthwiseSeparable> for Separable<'a> {
    fn from(block: &'a DepthwiseSeparable) -> Self {
        Self {
            expand: None,
            depthwise: (&block.conv_dw, &block.bn1),
            squeeze_excite: block.se.as_ref(),
            project: (&block.conv_pw, &block.bn2),
            residual: block.residual,
        }
    }
}

impl<'a> From<&'a InvertedResidual> for Separable<'a> {
    fn from(block: &'a InvertedResidual) -> Self {
        Self {
            expand: Some((&block.conv_pw, &block.bn1)),
            depthwise: (&block.conv_dw, &block.bn2),
            squeeze_excite: block.se.as_ref(),
            project: (&block.conv_pwl, &block.bn3),
            residual: block.residual,
        }
    }
}

fn squeeze_excite(
    b: &mut Builder,
    c: usize,
    rule: &cream_arch::Block,
) -> Result<Option<SqueezeExcite>> {
    rule.squeeze_excite.as_ref().map(|se| SqueezeExcite::new(b.at("se"), c, se)).transpose()
}

/// The branch `y` of block number `index`, added to its input.
fn added(y: Tensor, x: &Tensor, index: usize, pass: &Pass) -> Result<Tensor> {
    match pass.branch_tensor(index, x)? {
        Some(factors) => scaled(&y, &factors)? + x,
        None => y + x,
    }
}

fn gated(se: &Option<SqueezeExcite>, y: Tensor, pass: &Pass) -> Result<Tensor> {
    match se {
        Some(se) => se.forward(&y, pass),
        None => Ok(y),
    }
}
