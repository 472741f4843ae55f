//! The supernet: every choice of every searched layer, of which one path runs at a time.

use crate::NnError;
use crate::layers::{Block, Head, Pass, Statistics, Stem};
use crate::network::Network;
use crate::weights::{Builder, Initialise, Weights};
use candle_core::{DType, Device, Tensor, Var};
use cream_arch::{Path, Space};
use std::iter::once;

/// All choices of a space at given depths, with one stem, first and last block and head.
#[derive(Clone, Debug)]
pub struct SuperNet {
    space: Space,
    depths: Vec<usize>,
    stem: Stem,
    first: Block,
    /// Searched stage, layer, choice.
    stages: Vec<Vec<Vec<Block>>>,
    last: Block,
    head: Head,
    weights: Weights,
}

impl SuperNet {
    /// Builds the supernet of `space` with `depths[s]` layers in searched stage s.
    ///
    /// # Errors
    /// When the tensors cannot be allocated.
    pub fn new(
        space: &Space,
        depths: &[usize],
        num_classes: usize,
        initialise: &mut dyn Initialise,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, NnError> {
        let mut weights = Weights::default();
        let mut b = Builder::new(&mut weights, initialise, dtype, device);
        let padding = space.padding;
        let stem = Stem::new(&mut b, &space.stem, padding)?;
        // The choice index follows the layer in the fixed stages too.
        let mut fixed = b.at("blocks.0.0.0");
        let first = Block::new(&mut fixed, &space.first_block(), space.stem.channels, padding)?;
        let mut stages = Vec::with_capacity(depths.len());
        for (s, &depth) in depths.iter().enumerate() {
            let mut layers = Vec::with_capacity(depth);
            for l in 0..depth {
                let mut stage = b.at("blocks");
                let mut stage = stage.at(s + 1);
                let mut layer = stage.at(l);
                let choice = |c| {
                    let (rule, channels) = (space.block(s, l, c), space.in_channels(s, l));
                    Block::new(&mut layer.at(c), &rule, channels, padding)
                };
                layers.push((0..space.choices.len()).map(choice).collect::<Result<_, _>>()?);
            }
            stages.push(layers);
        }
        let channels = space.stages.last().map_or(space.stem.channels, |s| s.channels);
        let rule = space.last_block();
        let mut fixed = b.at(format_args!("blocks.{}.0.0", depths.len() + 1));
        let last = Block::new(&mut fixed, &rule, channels, padding)?;
        let head = Head::new(&mut b, &space.head, rule.channels, num_classes)?;
        let (space, depths) = (space.clone(), depths.to_vec());
        Ok(Self { space, depths, stem, first, stages, last, head, weights })
    }

    /// The space that it holds.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Layers per searched stage.
    pub fn depths(&self) -> &[usize] {
        &self.depths
    }

    /// Its tensors.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// A pass of this network, without gradients or dropout.
    pub fn pass(&self, statistics: Statistics) -> Pass {
        Pass::new(statistics, &self.space.norm)
    }

    /// Normalised images `[N, H, W, 3]` through `path` to logits `[N, classes]`. A path may be shallower than
    /// the supernet; it then takes the first layers of each stage.
    ///
    /// # Errors
    /// When the path does not fit, or the images are too small for the strides.
    pub fn forward(&self, images: &Tensor, path: &Path, pass: &Pass) -> Result<Tensor, NnError> {
        self.check(path)?;
        let searched = self.stages.iter().zip(&path.0).flat_map(|(layers, choices)| {
            layers.iter().zip(choices).map(|(layer, &choice)| &layer[choice])
        });
        let blocks = once(&self.first).chain(searched).chain(once(&self.last)).collect();
        Ok(Network { stem: &self.stem, blocks, head: &self.head }.forward(images, pass)?)
    }

    /// The parameters that a step on `path` changes: stem, head, classifier, fixed blocks and the
    /// path's own choices, by name.
    ///
    /// # Errors
    /// When the path does not fit.
    pub fn path_parameters(&self, path: &Path) -> Result<Vec<(&str, &Var)>, NnError> {
        self.on_path(path, self.weights.parameters.iter())
    }

    /// The running statistics that a pass on `path` may update, by name.
    ///
    /// # Errors
    /// When the path does not fit.
    pub fn path_buffers(&self, path: &Path) -> Result<Vec<(&str, &Var)>, NnError> {
        self.on_path(path, self.weights.buffers.iter())
    }

    fn on_path<'a>(
        &'a self,
        path: &Path,
        tensors: impl Iterator<Item = (&'a String, &'a Var)>,
    ) -> Result<Vec<(&'a str, &'a Var)>, NnError> {
        self.check(path)?;
        let on_path = |name: &str| match searched_choice(name, self.depths.len()) {
            Some((stage, layer, choice)) => path.0[stage].get(layer) == Some(&choice),
            None => true,
        };
        Ok(tensors.filter(|(name, _)| on_path(name)).map(|(name, v)| (name.as_str(), v)).collect())
    }

    fn check(&self, path: &Path) -> Result<(), NnError> {
        let choices = self.space.choices.len();
        let fits = path.0.len() == self.depths.len()
            && path.0.iter().zip(&self.depths).all(|(stage, &depth)| {
                (1..=depth).contains(&stage.len()) && stage.iter().all(|&c| c < choices)
            });
        if fits {
            return Ok(());
        }
        Err(NnError::Path { path: path.to_string(), depths: self.depths.clone(), choices })
    }
}

/// (searched stage, layer, choice) of a tensor of a searched layer, from its name.
fn searched_choice(name: &str, stages: usize) -> Option<(usize, usize, usize)> {
    let mut parts = name.strip_prefix("blocks.")?.splitn(4, '.');
    let mut index = || parts.next()?.parse::<usize>().ok();
    let (stage, layer, choice) = (index()?, index()?, index()?);
    (1..=stages).contains(&stage).then(|| (stage - 1, layer, choice))
}
