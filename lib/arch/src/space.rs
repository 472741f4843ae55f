//! The search space as data: what is fixed, what each searched layer chooses among.

mod build;
mod validation;

use serde::{Deserialize, Serialize};

use crate::{
    Activation, ArchError, Block, Head, Input, Norm, Operator, Padding, SqueezeExcite, Stem,
    architecture::Gate, header, json, round_to_8, wording,
};

/// Stem, one fixed depthwise-separable block (stage 0), searched stages of inverted residuals, one
/// 1x1 convolution (the last stage), head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Says that the file is a space.
    pub format: SpaceTag,
    /// Version of the format; 1.
    pub version: u32,
    /// Name for people and provenance.
    pub name: String,
    /// Of the blocks.
    pub activation: Activation,
    /// Of every convolution.
    pub padding: Padding,
    /// Normalisation and evaluation transform.
    pub input: Input,
    /// Of every batch norm.
    pub norm: Norm,
    /// First convolution.
    pub stem: Stem,
    /// Stage 0.
    pub first: FirstBlock,
    /// Rule for every block's squeeze-excite; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub squeeze_excite: Option<SqueezeExciteRule>,
    /// What each searched layer chooses among, in the order of the index.
    pub choices: Vec<Choice>,
    /// The searched stages.
    pub stages: Vec<SearchedStage>,
    /// The last stage.
    pub last: LastBlock,
    /// From there to the classifier.
    pub head: Head,
    /// How a FLOPs interval chooses size and layers.
    pub growth: Growth,
}

/// The word `cream-space`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SpaceTag {
    /// The only value.
    #[default]
    #[serde(rename = "cream-space")]
    Space,
}

/// Stage 0: one depthwise-separable block that keeps the stem's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstBlock {
    /// Side of the depthwise kernel.
    pub kernel: usize,
    /// Step of that kernel.
    pub stride: usize,
}

/// Squeeze-excite whose width is a ratio of the block's expanded width.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqueezeExciteRule {
    /// Reduced width over expanded width, before rounding to a multiple of 8.
    pub ratio: f64,
    /// Between the two convolutions.
    pub activation: Activation,
    /// After the second.
    pub gate: Gate,
}

/// One operator that a searched layer may take: an inverted residual of this kernel and expansion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Side of the depthwise kernel.
    pub kernel: usize,
    /// Expanded width over input channels.
    pub expansion: f64,
}

/// A stage whose layers are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchedStage {
    /// Output channels of every layer.
    pub channels: usize,
    /// Stride of the first layer; the others' is 1.
    pub stride: usize,
    /// Most layers that a FLOPs interval chooses.
    pub max_layers: usize,
    /// Choice that the original release built in a stage of one layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_choice: Option<usize>,
}

/// The last stage: a 1x1 convolution, batch norm, activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastBlock {
    /// Output channels.
    pub channels: usize,
}

/// How a FLOPs interval chooses the input size and the layers per stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// Input sizes to try, largest first, in pixels.
    pub sizes: Vec<usize>,
    /// Layers per searched stage to start from.
    pub start: Vec<usize>,
    /// Searched stages, from 1, in the order in which they gain a layer.
    pub order: Vec<usize>,
}

/// Channel counts of a space, for narrow networks in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widths {
    /// Of the stem and stage 0.
    pub stem: usize,
    /// Of each searched stage.
    pub stages: Vec<usize>,
    /// Of the last stage.
    pub last: usize,
    /// Of the head.
    pub features: usize,
}

impl Space {
    /// The space of the published networks (`configs/space/cream.toml`).
    #[allow(clippy::expect_used, reason = "the embedded file is read by a test")]
    pub fn published() -> Self {
        Self::from_toml(include_str!("../../../configs/space/cream.toml"))
            .expect("the embedded space is valid")
    }

    /// Reads and validates a space that was written as JSON; errors name the JSON path.
    ///
    /// # Errors
    /// As [`Space::from_toml`].
    pub fn from_json(text: &str) -> Result<Self, ArchError> {
        let space: Self = json::parse(text, header::SPACE)?;
        space.validate()?;
        Ok(space)
    }

    /// Reads and validates a space file.
    pub fn from_toml(text: &str) -> Result<Self, ArchError> {
        let reader = toml::Deserializer::parse(text).map_err(|error| syntax(text, &error))?;
        let space: Self = serde_path_to_error::deserialize(reader).map_err(|error| {
            let location = error.path().to_string();
            let location = if location == "." { "the document".to_owned() } else { location };
            let reason = wording::plain(error.inner().message());
            explain(text).unwrap_or(ArchError::Parse { location, reason })
        })?;
        space.validate()?;
        Ok(space)
    }

    /// The same space with other channel counts; `widths.stages` must name every searched stage.
    pub fn with_widths(mut self, widths: &Widths) -> Result<Self, ArchError> {
        if widths.stages.len() != self.stages.len() {
            let allowed = format!("{} stages", self.stages.len());
            return Err(ArchError::value("widths.stages", widths.stages.len(), allowed));
        }
        self.stem.channels = widths.stem;
        for (stage, &channels) in self.stages.iter_mut().zip(&widths.stages) {
            stage.channels = channels;
        }
        self.last.channels = widths.last;
        self.head.channels = widths.features;
        self.validate()?;
        Ok(self)
    }

    /// Input channels of a layer; `stage` counts searched stages from 0.
    ///
    /// # Panics
    /// If `stage` is not a searched stage.
    pub fn in_channels(&self, stage: usize, layer: usize) -> usize {
        match (stage, layer) {
            (0, 0) => self.stem.channels,
            (_, 0) => self.stages[stage - 1].channels,
            _ => self.stages[stage].channels,
        }
    }

    /// The block that `choice` makes of a layer; `stage` counts searched stages from 0.
    ///
    /// # Panics
    /// If `stage` or `choice` is not in the space.
    pub fn block(&self, stage: usize, layer: usize, choice: usize) -> Block {
        let Choice { kernel, expansion } = self.choices[choice];
        let in_channels = self.in_channels(stage, layer);
        Block {
            operator: Operator::InvertedResidual,
            kernel,
            stride: if layer == 0 { self.stages[stage].stride } else { 1 },
            expansion: Some(expansion),
            channels: self.stages[stage].channels,
            activation: self.activation,
            squeeze_excite: self.squeeze_excite(round_to_8(in_channels as f64 * expansion)),
        }
    }

    /// The block of stage 0.
    pub fn first_block(&self) -> Block {
        Block {
            operator: Operator::DepthwiseSeparable,
            kernel: self.first.kernel,
            stride: self.first.stride,
            expansion: None,
            channels: self.stem.channels,
            activation: self.activation,
            squeeze_excite: self.squeeze_excite(self.stem.channels),
        }
    }

    /// The block of the last stage.
    pub fn last_block(&self) -> Block {
        Block {
            operator: Operator::Convolution,
            kernel: 1,
            stride: 1,
            expansion: None,
            channels: self.last.channels,
            activation: self.activation,
            squeeze_excite: None,
        }
    }

    fn squeeze_excite(&self, expanded: usize) -> Option<SqueezeExcite> {
        self.squeeze_excite.map(|rule| SqueezeExcite {
            width: round_to_8(expanded as f64 * rule.ratio),
            activation: rule.activation,
            gate: rule.gate,
        })
    }
}

/// Text that is no TOML, by its line.
fn syntax(text: &str, error: &toml::de::Error) -> ArchError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let location = format!("line {}", before.matches('\n').count() + 1);
    ArchError::Parse { location, reason: format!("{}; is it the right file?", error.message()) }
}

/// What is wrong with a file as a whole, which says more than the first key that does not fit.
fn explain(text: &str) -> Option<ArchError> {
    let table: toml::Table = toml::from_str(text).ok()?;
    let version = || u64::try_from(table.get("version")?.as_integer()?).ok();
    header::SPACE
        .check_kind(table.get("format")?.as_str()?)
        .err()
        .or_else(|| header::SPACE.check(version()?).err())
}
