//! The layers of a network in the order in which they run, with shapes and counts.

use std::fmt;

use super::{Convention, LayerCost, LayerKind, elements};
use crate::{Activation, Architecture, Block, HeadPosition, Operator};

/// Follows a map's shape through layers and notes each.
pub(super) struct Walk {
    pub(super) layers: Vec<LayerCost>,
    pub(super) shape: [usize; 3],
}

/// Every layer of the network.
pub(super) fn layers(architecture: &Architecture) -> Vec<LayerCost> {
    let size = architecture.image_size;
    let mut walk = Walk { layers: Vec::new(), shape: [3, size, size] };
    let stem = architecture.stem;
    walk.convolution("conv_stem", stem.channels, stem.kernel, stem.stride);
    walk.norm("bn1", stem.activation);
    for (s, stage) in architecture.stages.iter().enumerate() {
        for (l, block) in stage.iter().enumerate() {
            walk.block(Some(format_args!("blocks.{s}.{l}.")), block);
        }
    }
    let head = architecture.head;
    match head.position {
        HeadPosition::AfterPool => {
            walk.pool("pool", LayerKind::GlobalPool);
            walk.biased("conv_head", LayerKind::Convolution, head.channels, head.activation);
        }
        HeadPosition::BeforePool => {
            walk.convolution("conv_head", head.channels, 1, 1);
            walk.norm("bn2", head.activation);
            walk.pool("pool", LayerKind::GlobalPool);
        }
    }
    walk.biased("classifier", LayerKind::Linear, architecture.num_classes, Activation::None);
    walk.layers
}

/// FLOPs as published of one block on an input of channels, height, width.
pub(super) fn block_flops(block: &Block, input: [usize; 3]) -> u64 {
    let mut walk = Walk { layers: Vec::new(), shape: input };
    walk.block(None, block);
    walk.layers.iter().map(|layer| layer.flops(Convention::Published)).sum()
}

impl Walk {
    /// Layers are named after `prefix`, or not at all where only their counts are wanted.
    fn block(&mut self, prefix: Option<fmt::Arguments<'_>>, block: &Block) {
        let named =
            |layer: &str| prefix.map(|prefix| format!("{prefix}{layer}")).unwrap_or_default();
        let (channels, act) = (block.channels, block.activation);
        let input = self.shape;
        let first = self.layers.len();
        match block.operator {
            Operator::DepthwiseSeparable => {
                self.depthwise(named("conv_dw"), block);
                self.norm(named("bn1"), act);
                self.squeeze_excite(named, block);
                self.pointwise(named("conv_pw"), LayerKind::Convolution, channels);
                self.norm(named("bn2"), Activation::None);
            }
            Operator::InvertedResidual => {
                let expanded = block.expanded(self.shape[0]);
                self.pointwise(named("conv_pw"), LayerKind::Convolution, expanded);
                self.norm(named("bn1"), act);
                self.depthwise(named("conv_dw"), block);
                self.norm(named("bn2"), act);
                self.squeeze_excite(named, block);
                self.pointwise(named("conv_pwl"), LayerKind::Convolution, channels);
                self.norm(named("bn3"), Activation::None);
            }
            Operator::Convolution => {
                self.convolution(named("conv"), channels, block.kernel, block.stride);
                self.norm(named("bn1"), act);
            }
        }
        if block.has_residual(input[0]) {
            // The first layer reads the block's input itself.
            self.layers[first + 1..].iter_mut().for_each(|layer| layer.waiting += elements(input));
        }
    }

    fn squeeze_excite(&mut self, named: impl Fn(&str) -> String, block: &Block) {
        let Some(squeeze) = block.squeeze_excite else { return };
        let map = self.shape;
        self.pool(named("se.pool"), LayerKind::SqueezePool);
        let reduce = named("se.conv_reduce");
        self.biased(reduce, LayerKind::SqueezeReduce, squeeze.width, squeeze.activation);
        let expand = named("se.conv_expand");
        self.biased(expand, LayerKind::SqueezeExpand, map[0], Activation::None);
        let expanded = self.layers.len();
        self.layers[expanded - 2..].iter_mut().for_each(|layer| layer.waiting = elements(map));
        self.shape = map;
        let gate = self.row(named("se.gate"), LayerKind::SqueezeGate, map);
        self.note(LayerCost { waiting: map[0] as u64, ..gate });
    }

    fn convolution(
        &mut self,
        name: impl Into<String>,
        channels: usize,
        kernel: usize,
        stride: usize,
    ) {
        let taps = (self.shape[0] * kernel * kernel) as u64;
        let row = self.row(name, LayerKind::Convolution, self.strided(channels, stride));
        self.note_taps(row, taps);
    }

    fn depthwise(&mut self, name: impl Into<String>, block: &Block) {
        let taps = (block.kernel * block.kernel) as u64;
        let output = self.strided(self.shape[0], block.stride);
        self.note_taps(self.row(name, LayerKind::Depthwise, output), taps);
    }

    /// 1x1 convolution of stride 1.
    fn pointwise(&mut self, name: impl Into<String>, kind: LayerKind, channels: usize) {
        let output = [channels, self.shape[1], self.shape[2]];
        self.note_taps(self.row(name, kind, output), self.shape[0] as u64);
    }

    /// 1x1 convolution with bias, or a linear layer, which counts the same.
    fn biased(
        &mut self,
        name: impl Into<String>,
        kind: LayerKind,
        channels: usize,
        activation: Activation,
    ) {
        let taps = self.shape[0] as u64;
        let output = [channels, self.shape[1], self.shape[2]];
        self.note_taps(self.row(name, kind, output), taps);
        if let Some(layer) = self.layers.last_mut() {
            layer.params += channels as u64;
            layer.biases = elements(output);
            layer.activation = activation;
        }
    }

    fn norm(&mut self, name: impl Into<String>, activation: Activation) {
        let params = 2 * self.shape[0] as u64;
        let row = self.row(name, LayerKind::BatchNorm, self.shape);
        self.note(LayerCost { params, activation, ..row });
    }

    fn pool(&mut self, name: impl Into<String>, kind: LayerKind) {
        self.note(self.row(name, kind, [self.shape[0], 1, 1]));
    }

    fn strided(&self, channels: usize, stride: usize) -> [usize; 3] {
        [channels, self.shape[1].div_ceil(stride), self.shape[2].div_ceil(stride)]
    }

    /// A layer from the present shape to `output` that counts nothing yet.
    fn row(&self, name: impl Into<String>, kind: LayerKind, output: [usize; 3]) -> LayerCost {
        let (name, input, activation) = (name.into(), self.shape, Activation::None);
        LayerCost {
            name,
            kind,
            input,
            output,
            params: 0,
            macs: 0,
            biases: 0,
            activation,
            waiting: 0,
        }
    }

    /// Notes a layer each of whose output elements is a sum of `taps` products.
    fn note_taps(&mut self, row: LayerCost, taps: u64) {
        let params = taps * row.output[0] as u64;
        let macs = taps * elements(row.output);
        self.note(LayerCost { params, macs, ..row });
    }

    fn note(&mut self, row: LayerCost) {
        self.shape = row.output;
        self.layers.push(row);
    }
}
