//! The architecture file: a network stated so that a reader needs no table to rebuild it.

mod evaluation;
mod provenance;
pub(crate) mod validation;

use serde::{Deserialize, Serialize};

use crate::{ArchError, header, json};
pub use evaluation::{EvaluationTransform, Interpolation};
pub use provenance::{Provenance, Source};

/// A convolutional classifier: stem, stages of blocks, head, classifier.
///
/// Shapes are channels, height, width; every output side is `ceil(input side / stride)` in both
/// padding modes, as kernels are odd. Parameters carry the published checkpoints' names:
/// `conv_stem`, `bn1`, `blocks.S.L.…`, `conv_head`, `classifier`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Says that the file is an architecture.
    pub format: FormatTag,
    /// Version of the format; 1.
    pub version: u32,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Side of the square input in pixels.
    pub image_size: usize,
    /// Outputs of the classifier.
    pub num_classes: usize,
    /// How an image becomes an input tensor.
    pub input: Input,
    /// Padding of every convolution.
    pub padding: Padding,
    /// Settings of every batch norm.
    pub norm: Norm,
    /// First convolution, with batch norm and activation.
    pub stem: Stem,
    /// Blocks in order, grouped as the parameter names are: `stages[S][L]` is `blocks.S.L`.
    pub stages: Vec<Vec<Block>>,
    /// From the last block to the features that the classifier reads.
    pub head: Head,
    /// Where the network came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// The word `cream-architecture`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum FormatTag {
    /// The only value.
    #[default]
    #[serde(rename = "cream-architecture")]
    Architecture,
}

/// Normalisation and evaluation transform of the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Mean of each of red, green and blue, of values scaled to 0..1.
    pub mean: [f64; 3],
    /// Standard deviation of each, of values scaled to 0..1.
    pub std: [f64; 3],
    /// From an image of any size to `image_size`, when evaluating.
    pub evaluation: EvaluationTransform,
}

/// Zero padding of convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// `kernel / 2` on both sides.
    Half,
    /// TensorFlow's SAME: `max((ceil(size / stride) - 1) * stride + kernel - size, 0)` in all, the
    /// smaller half first.
    Same,
}

/// Batch norm settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Norm {
    /// Added to the variance.
    pub epsilon: f64,
    /// Weight of the new batch in the running statistics.
    pub momentum: f64,
}

/// First convolution on the image's three channels; batch norm and activation follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Side of the kernel, odd.
    pub kernel: usize,
    /// Step of the kernel.
    pub stride: usize,
    /// Output channels.
    pub channels: usize,
    /// After the batch norm.
    pub activation: Activation,
}

/// One block. One flat struct for all operators, so that an error can name the exact key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Which layers the block is made of.
    pub operator: Operator,
    /// Side of the depthwise kernel (of the only kernel, in a convolution), odd.
    pub kernel: usize,
    /// Step of that kernel.
    pub stride: usize,
    /// Expanded width over input channels, before rounding to a multiple of 8; inverted residuals
    /// only.
    #[serde(default)]
    pub expansion: Option<f64>,
    /// Output channels.
    pub channels: usize,
    /// After every batch norm but the last of the two separable operators, which are linear.
    pub activation: Activation,
    /// Channel attention after the depthwise convolution.
    #[serde(default)]
    pub squeeze_excite: Option<SqueezeExcite>,
}

/// The layers of a block. Convolutions have no bias, each is followed by batch norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operator {
    /// Depthwise `conv_dw`, `bn1`, activation; squeeze-excite; 1x1 `conv_pw`, `bn2`; residual.
    DepthwiseSeparable,
    /// 1x1 `conv_pw`, `bn1`, activation; depthwise `conv_dw`, `bn2`, activation; squeeze-excite;
    /// 1x1 `conv_pwl`, `bn3`; residual. (MobileNetV2, arXiv 1801.04381, section 3.)
    InvertedResidual,
    /// `conv`, `bn1`, activation; no residual.
    Convolution,
}

/// Squeeze-excite (arXiv 1709.01507): mean over space, 1x1 with bias to `width`, activation, 1x1
/// with bias back, gate, multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqueezeExcite {
    /// Reduced channels.
    pub width: usize,
    /// Between the two convolutions.
    pub activation: Activation,
    /// After the second.
    pub gate: Gate,
}

/// Elementwise activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Swish,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x * relu6(x + 3) / 6`.
    HSwish,
    /// `x`.
    None,
}

/// Squeeze-excite's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// `relu6(x + 3) / 6`.
    HardSigmoid,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

/// From the last block's output to the classifier's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Before or after the global average pool.
    pub position: HeadPosition,
    /// Features that the classifier reads.
    pub channels: usize,
    /// After the convolution, or after its batch norm.
    pub activation: Activation,
}

/// Where the head's 1x1 convolution `conv_head` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadPosition {
    /// On the pooled vector, with bias and without batch norm.
    AfterPool,
    /// On the map, without bias and with batch norm `bn2`; the pool follows the activation.
    BeforePool,
}

impl Architecture {
    /// Reads and validates one architecture; errors name the JSON path and what is allowed there.
    pub fn from_json(text: &str) -> Result<Self, ArchError> {
        let architecture: Self = json::parse(text, header::ARCHITECTURE)?;
        architecture.validate()?;
        Ok(architecture)
    }

    /// Reads and validates one or more architectures that follow each other, such as JSON lines.
    pub fn many_from_json(text: &str) -> Result<Vec<Self>, ArchError> {
        json::parse_many(text, header::ARCHITECTURE, Self::validate)
    }

    /// The file, one block per line, ending in a newline.
    pub fn to_json(&self) -> String {
        json::pretty(self)
    }

    /// The file as one line without its newline, for JSON lines.
    pub fn to_json_line(&self) -> String {
        json::line(self)
    }

    /// The same network at another input size.
    pub fn with_image_size(mut self, image_size: usize) -> Result<Self, ArchError> {
        self.image_size = image_size;
        self.validate()?;
        Ok(self)
    }

    /// The same network with a classifier of so many classes. The counts that it was exported with, if those
    /// were of other classes, go.
    pub fn with_classes(mut self, num_classes: usize) -> Result<Self, ArchError> {
        if num_classes != self.num_classes
            && let Some(provenance) = &mut self.provenance
        {
            (provenance.flops, provenance.params) = (None, None);
        }
        self.num_classes = num_classes;
        self.validate()?;
        Ok(self)
    }
}

impl Block {
    /// Channels of the depthwise convolution: rounded `in_channels * expansion` in an inverted
    /// residual, `in_channels` otherwise.
    pub fn expanded(&self, in_channels: usize) -> usize {
        match (self.operator, self.expansion) {
            (Operator::InvertedResidual, Some(expansion)) => {
                round_to_8(in_channels as f64 * expansion)
            }
            _ => in_channels,
        }
    }

    /// Whether the block's input is added to its output.
    pub fn has_residual(&self, in_channels: usize) -> bool {
        self.operator != Operator::Convolution && self.stride == 1 && self.channels == in_channels
    }
}

/// Nearest multiple of 8, at least 8, and the next one up where that would be below 0.9 of `v`.
///
/// ```
/// assert_eq!(cream_arch::round_to_8(80.0 * 2.3), 184);
/// assert_eq!(cream_arch::round_to_8(11.0), 16);
/// ```
pub fn round_to_8(v: f64) -> usize {
    let rounded = (((v + 4.0) / 8.0) as usize * 8).max(8);
    if (rounded as f64) < 0.9 * v { rounded + 8 } else { rounded }
}
