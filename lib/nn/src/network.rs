//! Layers in a row, and the way that a pass takes through them.

use crate::layers::{Block, Head, Pass, Stem, Way};
use crate::{tensorwise, trunk};
use candle_core::{Result, Tensor};

/// The layers that a pass runs: those of a child network, or of one path through a supernet.
pub(crate) struct Network<'a> {
    pub(crate) stem: &'a Stem,
    pub(crate) blocks: Vec<&'a Block>,
    pub(crate) head: &'a Head,
}

impl Network<'_> {
    /// Images `[N, H, W, 3]` to logits `[N, classes]`.
    pub(crate) fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Tensor> {
        if trunk::takes(images, pass) {
            return trunk::forward(images, self, pass);
        }
        match (pass.way, &pass.gradients) {
            (Way::Best | Way::Tensorwise, Some(sink)) => {
                tensorwise::forward(images, self, pass, sink)
            }
            // Without gradients, parameters are constants and nothing but the next layer's input is kept.
            _ => self.layer_by_layer(images, pass),
        }
    }

    /// The same by the layers' own operators.
    pub(crate) fn layer_by_layer(&self, images: &Tensor, pass: &Pass) -> Result<Tensor> {
        let mut x = self.stem.forward(images, pass)?;
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x, index, pass)?;
        }
        self.head.forward(&x, pass)
    }
}
