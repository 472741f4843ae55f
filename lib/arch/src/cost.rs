//! Counting: multiply-accumulates, parameters and FLOPs of every layer, in four conventions.

mod memory;
mod walk;

use serde::{Deserialize, Serialize};

use crate::{Activation, ArchError, Architecture, Path, Space};

/// What a layer is, as far as counting goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerKind {
    /// Ungrouped convolution; with bias only in a head after the pool.
    Convolution,
    /// Convolution with one group per channel.
    Depthwise,
    /// Batch norm with scale and offset.
    BatchNorm,
    /// Squeeze-excite's mean over space.
    SqueezePool,
    /// Squeeze-excite's first 1x1 convolution, with bias, and its activation.
    SqueezeReduce,
    /// Squeeze-excite's second 1x1 convolution, with bias, and its gate function.
    SqueezeExpand,
    /// Multiplication of a map by squeeze-excite's gate.
    SqueezeGate,
    /// The head's mean over space.
    GlobalPool,
    /// The classifier.
    Linear,
}

/// One layer's counts for one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerCost {
    /// Parameter name's prefix, such as `blocks.1.0.conv_pw`; layers without parameters are named
    /// after the module that holds them: `blocks.1.0.se.pool`, `blocks.1.0.se.gate`, `pool`.
    pub name: String,
    /// What it is.
    pub kind: LayerKind,
    /// Channels, height, width that it reads.
    pub input: [usize; 3],
    /// Channels, height, width that it writes.
    pub output: [usize; 3],
    /// Learned scalars; running statistics are not learned.
    pub params: u64,
    /// Multiply-accumulates of convolutions and linear layers.
    pub macs: u64,
    /// Output elements that get a bias added.
    pub biases: u64,
    /// Applied to its output; none also for squeeze-excite's gate function.
    pub activation: Activation,
    /// Elements of other tensors that must wait while it runs: the input of a residual block, the
    /// map whose gate is computed, the gate.
    pub waiting: u64,
}

/// How costs are counted. `M` is multiply-accumulates of convolutions and linear layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Convention {
    /// M, plus 2 per output element of every batch norm, plus 1 per input element of every global
    /// pool: what the published names 14 to 604 and all limits mean.
    #[default]
    Published,
    /// M alone.
    Macs,
    /// As the Python package thop: M, plus 4 per output element of every batch norm, plus input and
    /// output elements of every global pool.
    Thop,
    /// As the Python package ptflops: published, plus bias additions, plus squeeze-excite's twice
    /// reduced width, expanded width and gated elements, plus the head pool's input once more.
    Ptflops,
}

impl LayerCost {
    /// Operations of this layer.
    pub fn flops(&self, convention: Convention) -> u64 {
        use LayerKind::{
            BatchNorm, GlobalPool, SqueezeExpand, SqueezeGate, SqueezePool, SqueezeReduce,
        };
        let (input, output) = (elements(self.input), elements(self.output));
        let published = match self.kind {
            BatchNorm => 2 * output,
            SqueezePool | GlobalPool => input,
            _ => 0,
        };
        let beyond = match (convention, self.kind) {
            (Convention::Macs, _) => return self.macs,
            (Convention::Published, _) => 0,
            (Convention::Thop, BatchNorm) => 2 * output,
            (Convention::Thop, SqueezePool | GlobalPool) => output,
            (Convention::Thop, _) => 0,
            (Convention::Ptflops, SqueezeReduce) => self.biases + 2 * output,
            (Convention::Ptflops, SqueezeExpand) => self.biases + output,
            (Convention::Ptflops, SqueezeGate) => output,
            (Convention::Ptflops, GlobalPool) => input,
            (Convention::Ptflops, _) => self.biases,
        };
        self.macs + published + beyond
    }
}

/// Counts of a whole network for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// In the order in which they run.
    pub layers: Vec<LayerCost>,
}

impl Cost {
    /// Counts a validated architecture at its own input size.
    pub fn of(architecture: &Architecture) -> Self {
        Self { layers: walk::layers(architecture) }
    }

    /// Learned scalars.
    pub fn params(&self) -> u64 {
        self.layers.iter().map(|layer| layer.params).sum()
    }

    /// Multiply-accumulates of convolutions and linear layers.
    pub fn macs(&self) -> u64 {
        self.flops(Convention::Macs)
    }

    /// Operations in a convention.
    pub fn flops(&self, convention: Convention) -> u64 {
        self.layers.iter().map(|layer| layer.flops(convention)).sum()
    }
}

/// FLOPs as published of every choice of every searched layer, and of all that is fixed. A
/// network's cost is their sum, because a choice changes no other layer's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceCosts {
    /// Stem, stage 0, last stage, head and classifier.
    pub fixed: u64,
    /// FLOPs by searched stage, layer and choice.
    pub stages: Vec<Vec<Vec<u64>>>,
}

impl ChoiceCosts {
    /// FLOPs as published of a path of at most these depths; `None` where an index is out of range.
    pub fn flops(&self, path: &Path) -> Option<u64> {
        if path.0.len() != self.stages.len() {
            return None;
        }
        let stages = self.stages.iter().zip(&path.0);
        let mut choices = stages.flat_map(|(layers, choices)| {
            choices.iter().enumerate().map(|(layer, &choice)| layers.get(layer)?.get(choice))
        });
        choices.try_fold(self.fixed, |sum, flops| Some(sum + flops?))
    }

    /// Costs by choice of every searched layer in order.
    pub fn layers(&self) -> impl Iterator<Item = &Vec<u64>> {
        self.stages.iter().flatten()
    }

    /// FLOPs of the cheapest and of the costliest path.
    pub fn range(&self) -> (u64, u64) {
        let sum =
            |pick: fn(&Vec<u64>) -> Option<u64>| -> u64 { self.layers().filter_map(pick).sum() };
        let cheapest = sum(|costs| costs.iter().min().copied());
        let costliest = sum(|costs| costs.iter().max().copied());
        (self.fixed + cheapest, self.fixed + costliest)
    }
}

impl Space {
    /// FLOPs as published of all choices at these layers per stage and this input size.
    pub fn choice_costs(
        &self,
        depths: &[usize],
        image_size: usize,
        num_classes: usize,
    ) -> Result<ChoiceCosts, ArchError> {
        self.check_depths(depths)?;
        let network = |layers: &dyn Fn(usize) -> usize| {
            let path = depths.iter().map(|&depth| vec![0; layers(depth)]).collect();
            self.architecture(&Path(path), image_size, num_classes)
        };
        network(&|depth| depth)?;
        // What is fixed costs the same however many layers are searched.
        let shallow = Cost::of(&network(&|_| 1)?).flops(Convention::Published);
        let mut side = self.side_before(0, image_size);
        let mut stages = Vec::with_capacity(depths.len());
        let mut of_zeros = 0;
        for (stage, &layers) in depths.iter().enumerate() {
            let mut costs = vec![self.flops_by_choice(stage, 0, side)];
            of_zeros += costs[0][0];
            side = side.div_ceil(self.stages[stage].stride);
            if layers > 1 {
                costs.resize(layers, self.flops_by_choice(stage, 1, side));
            }
            stages.push(costs);
        }
        Ok(ChoiceCosts { fixed: shallow - of_zeros, stages })
    }

    /// FLOPs as published by choice of a layer after the first of a searched stage, at this input
    /// size: those all read and write alike.
    pub(crate) fn later_layer_flops(&self, stage: usize, image_size: usize) -> Vec<u64> {
        self.flops_by_choice(stage, 1, self.side_before(stage + 1, image_size))
    }

    /// FLOPs as published of each choice of a layer that reads a map of this side.
    fn flops_by_choice(&self, stage: usize, layer: usize, side: usize) -> Vec<u64> {
        let input = [self.in_channels(stage, layer), side, side];
        let blocks = (0..self.choices.len()).map(|choice| self.block(stage, layer, choice));
        blocks.map(|block| walk::block_flops(&block, input)).collect()
    }

    /// Side of the map that a searched stage reads.
    fn side_before(&self, stage: usize, image_size: usize) -> usize {
        let fixed = image_size.div_ceil(self.stem.stride).div_ceil(self.first.stride);
        self.stages[..stage].iter().fold(fixed, |side, stage| side.div_ceil(stage.stride))
    }
}

fn elements([channels, height, width]: [usize; 3]) -> u64 {
    channels as u64 * height as u64 * width as u64
}
