//! A network built from an architecture.

use crate::NnError;
use crate::layers::{Block, Head, Pass, Statistics, Stem};
use crate::network::Network;
use crate::weights::{Builder, Initialise, Weights};
use candle_core::{DType, Device, Result, Tensor};
use cream_arch::Architecture;

/// The network that an architecture file describes.
#[derive(Clone, Debug)]
pub struct ChildNet {
    architecture: Architecture,
    stem: Stem,
    blocks: Vec<Vec<Block>>,
    head: Head,
    weights: Weights,
}

impl ChildNet {
    /// Builds the network with starting values from `initialise`.
    ///
    /// # Errors
    /// When the architecture is invalid or its tensors cannot be allocated.
    pub fn new(
        architecture: &Architecture,
        initialise: &mut dyn Initialise,
        dtype: DType,
        device: &Device,
    ) -> std::result::Result<Self, NnError> {
        architecture.validate()?;
        let mut weights = Weights::default();
        let mut b = Builder::new(&mut weights, initialise, dtype, device);
        let padding = architecture.padding;
        let stem = Stem::new(&mut b, &architecture.stem, padding)?;
        let mut channels = architecture.stem.channels;
        let mut blocks = Vec::with_capacity(architecture.stages.len());
        for (s, stage) in architecture.stages.iter().enumerate() {
            let mut layers = Vec::with_capacity(stage.len());
            for (l, rule) in stage.iter().enumerate() {
                layers.push(Block::new(&mut b.at("blocks").at(s).at(l), rule, channels, padding)?);
                channels = rule.channels;
            }
            blocks.push(layers);
        }
        let head = Head::new(&mut b, &architecture.head, channels, architecture.num_classes)?;
        Ok(Self { architecture: architecture.clone(), stem, blocks, head, weights })
    }

    /// What the network was built from.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Its tensors.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// A pass of this network, without gradients or dropout.
    pub fn pass(&self, statistics: Statistics) -> Pass {
        Pass::new(statistics, &self.architecture.norm)
    }

    /// Normalised images `[N, H, W, 3]` to logits `[N, classes]`.
    ///
    /// # Errors
    /// When the images are too small for the network's strides.
    pub fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Tensor> {
        let blocks = self.blocks.iter().flatten().collect();
        Network { stem: &self.stem, blocks, head: &self.head }.forward(images, pass)
    }
}
