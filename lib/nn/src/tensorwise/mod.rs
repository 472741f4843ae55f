//! A network with gradients as one operation on any device: the operators one at a time on whole tensors, and a backward
//! pass that calls the operators' own backward functions in reverse.
//!
//! Layer by layer, Candle's graph has a node for every operator. Its backward pass gives each argument of a node a tensor
//! of zeros and adds the gradient to that, which makes two launches and four passes over memory out of nothing, and it
//! does so for views as well. Here an activation's gradient goes from one operator straight into the next. Sums are taken
//! only where an activation is read twice: a residual block's input, and what gates are made from and applied to. The
//! image's gradient is not taken.
//!
//! Kept for the backward pass are the outputs of the convolutions, before their norms, and what the products and
//! gates read: the norms' outputs, and the gated ones. That is a little less than the graph holds, which keeps the
//! branches of residual blocks too. Each is dropped as soon as the backward pass is past it. Outputs of norms and gates
//! could be made again from those of the convolutions, in one pass over memory each: they are more than half of what is
//! kept, should memory ever be short.
//!
//! Activations may have a narrower dtype than parameters. A weight is then rounded once in a pass, and the gradient of a
//! weight, a product's result in the narrow dtype, is widened. The CPU has a faster way in [`crate::trunk`]; it runs this
//! one in tests, against the layers in [`crate::layers`].

mod convolution;
mod dense;
mod head;
mod norm;
mod parameters;
mod separable;
mod squeeze_excite;

use crate::layers::{Block, Gradients, Head, Pass, Separable, Statistics, Stem};
use crate::network::Network;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, Result, Shape, Tensor};
use parameters::Forward;
use std::sync::{Mutex, PoisonError};

const NAME: &str = "network";

/// Images `[N, H, W, 3]` to logits `[N, classes]`, with a backward pass that leaves the parameters' gradients in `sink`.
///
/// # Errors
/// When the images are too small for the strides, or channels differ.
pub(crate) fn forward(
    images: &Tensor,
    network: &Network<'_>,
    pass: &Pass,
    sink: &Gradients,
) -> Result<Tensor> {
    let images = images.detach().contiguous()?;
    let constants = Pass { gradients: None, ..pass.clone() };
    let (logits, saved) = if pass.statistics == Statistics::Running {
        (network.layer_by_layer(&images, &constants)?, None)
    } else {
        let (logits, saved) =
            run(&images, network, &Forward::new(network, images.dtype(), &constants)?)?;
        (logits, Some(saved))
    };
    let op = Tensorwise {
        stem: network.stem.clone(),
        blocks: network.blocks.iter().copied().cloned().collect(),
        head: network.head.clone(),
        pass: constants,
        sink: sink.clone(),
        saved: Mutex::new(saved),
    };
    // The stem's weight ties the output to a parameter, so that a backward pass comes through here.
    logits.apply_op2(network.stem.conv_stem.weight.as_tensor(), op)
}

/// Logits as they are, with the backward pass of the network behind them.
struct Tensorwise {
    stem: Stem,
    blocks: Vec<Block>,
    head: Head,
    pass: Pass,
    sink: Gradients,
    saved: Mutex<Option<Saved>>,
}

/// What the backward pass needs.
#[derive(Debug)]
struct Saved {
    stem: convolution::Saved,
    blocks: Vec<SavedBlock>,
    head: head::Saved,
}

#[derive(Debug)]
enum SavedBlock {
    Separable(Box<separable::Saved>),
    Convolution(Box<convolution::Saved>),
}

impl CustomOp2 for Tensorwise {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((logits.try_clone(layout)?, layout.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        layout: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((logits.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        dlogits: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(saved) = saved else {
            candle_core::bail!("{NAME}: one backward pass for each forward pass with gradients");
        };
        self.run_back(saved, dlogits)?;
        Ok((None, None))
    }
}

/// Logits, and what the backward pass needs.
fn run(images: &Tensor, network: &Network<'_>, run: &Forward<'_>) -> Result<(Tensor, Saved)> {
    let stem = (&network.stem.conv_stem, &network.stem.bn1);
    let (mut x, stem) = convolution::forward(stem, images, run)?;
    let mut blocks = Vec::with_capacity(network.blocks.len());
    for (index, block) in network.blocks.iter().enumerate() {
        let (out, saved) = forward_block(block, x, index, run)?;
        blocks.push(saved);
        x = out;
    }
    let (logits, head) = head::forward(network.head, x, run)?;
    Ok((logits, Saved { stem, blocks, head }))
}

fn forward_block(
    block: &Block,
    x: Tensor,
    index: usize,
    run: &Forward<'_>,
) -> Result<(Tensor, SavedBlock)> {
    let layers = match block {
        Block::Convolution(block) => {
            let (out, saved) = convolution::forward((&block.conv, &block.bn1), &x, run)?;
            return Ok((out, SavedBlock::Convolution(Box::new(saved))));
        }
        Block::DepthwiseSeparable(block) => Separable::from(block),
        Block::InvertedResidual(block) => Separable::from(block),
    };
    let (out, saved) = separable::forward(&layers, x, index, run)?;
    Ok((out, SavedBlock::Separable(Box::new(saved))))
}

impl Tensorwise {
    fn run_back(&self, saved: Saved, dlogits: &Tensor) -> Result<()> {
        let (pass, sink) = (&self.pass, &self.sink);
        let mut g = head::backward(&self.head, saved.head, dlogits, pass, sink)?;
        for (block, saved) in self.blocks.iter().zip(saved.blocks).rev() {
            g = match (block, saved) {
                (Block::Convolution(block), SavedBlock::Convolution(saved)) => {
                    convolution::backward((&block.conv, &block.bn1), *saved, g, pass, sink)?
                }
                (Block::DepthwiseSeparable(block), SavedBlock::Separable(saved)) => {
                    separable::backward(&Separable::from(block), *saved, g, pass, sink)?
                }
                (Block::InvertedResidual(block), SavedBlock::Separable(saved)) => {
                    separable::backward(&Separable::from(block), *saved, g, pass, sink)?
                }
                _ => candle_core::bail!("{NAME}: a block's activations are another one's"),
            };
        }
        let stem = (&self.stem.conv_stem, &self.stem.bn1);
        convolution::backward_of_first(stem, saved.stem, g, pass, sink)?;
        // Those of weights that were rounded are in the activations' dtype.
        sink.convert(self.stem.conv_stem.weight.dtype())
    }
}
