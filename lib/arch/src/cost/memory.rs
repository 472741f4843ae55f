//! Peak activation memory, by a model that is stated rather than measured.

use super::{Cost, LayerCost, LayerKind, elements};
use crate::{Activation, ArchError};

const BYTES_PER_ELEMENT: u64 = 4;

impl Cost {
    /// Most bytes of f32 activations alive at once in a forward pass without gradients.
    ///
    /// The model: layers run one after the other; batch norm, activation, gate and residual
    /// addition work in place; a layer's input is freed once read, but a residual block's input
    /// lives until it is added and a map until it is gated. Weights and scratch memory are not
    /// counted.
    pub fn inference_memory(&self, batch: u64) -> Result<u64, ArchError> {
        bytes(self.layers.iter().map(LayerCost::live).max().unwrap_or(0), batch)
    }

    /// Bytes of f32 activations that a training step keeps for its backward pass.
    ///
    /// The model: convolutions, linear layers and batch norms keep their input, an activation its
    /// input too, a gate both factors; a tensor that two layers keep is counted once. Gradients,
    /// weights, optimizer state and scratch memory are not counted.
    pub fn training_memory(&self, batch: u64) -> Result<u64, ArchError> {
        bytes(self.layers.iter().map(LayerCost::kept).sum(), batch)
    }
}

impl LayerCost {
    fn live(&self) -> u64 {
        let own = match self.kind {
            LayerKind::BatchNorm | LayerKind::SqueezeGate => elements(self.output),
            _ => elements(self.input) + elements(self.output),
        };
        own + self.waiting
    }

    fn kept(&self) -> u64 {
        let (input, output) = (elements(self.input), elements(self.output));
        let before_activation = if self.activation == Activation::None { 0 } else { output };
        match self.kind {
            LayerKind::SqueezePool | LayerKind::GlobalPool => 0,
            LayerKind::SqueezeGate => input + self.output[0] as u64,
            // Its output goes through the gate's function, which is no activation of the network.
            LayerKind::SqueezeExpand => input + output,
            _ => input + before_activation,
        }
    }
}

fn bytes(elements: u64, batch: u64) -> Result<u64, ArchError> {
    let per_image = elements.checked_mul(BYTES_PER_ELEMENT);
    per_image.and_then(|bytes| bytes.checked_mul(batch)).ok_or(ArchError::Batch { batch })
}
