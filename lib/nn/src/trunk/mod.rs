//! The CPU's way from image to logits: all layers as one operation, in training with a backward pass of its own, in
//! inference with the norms known beforehand.
//!
//! Layer by layer, every activation would be written and read a dozen times in a step, and memory traffic is what
//! bounds this workload. Here each convolution reads the output of the one before it, applies that one's norm,
//! activation and gate to what it has just read, and leaves its own output as it is, with the statistics taken
//! while it was in the cache. The backward pass does the same in the other direction. `lib/nn/PERFORMANCE.md`
//! has the numbers.
//!
//! Work is cut into pieces by the shapes alone and partial sums are added in the order of the pieces: the same bits come
//! out at any number of threads.

mod bottleneck;
mod branch;
mod convolution;
mod dense;
mod depthwise;
mod elementwise;
mod head;
mod inference;
mod norm;
mod parameters;
mod pointwise;
mod rows;
mod squeeze_excite;

use crate::layers::{Block, Head, Pass, Separable, Statistics, Stem, Way};
use crate::network::Network;
use crate::ops::buffer::{Buffer, Pooled};
use crate::ops::element::{dispatch, dtype_of, slice, with_slice, wrap};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};
use norm::{Norm, Sums};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

const NAME: &str = "trunk";

/// What flows between layers, `[N, H, W, C]`.
struct Activation<T: Pooled> {
    values: Arc<Buffer<T>>,
    shape: [usize; 4],
}

impl<T: Pooled> Clone for Activation<T> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), shape: self.shape }
    }
}

/// Images `[N, H, W, 3]` to logits `[N, classes]`.
///
/// # Errors
/// When the images are too small for the strides, or channels differ.
pub(crate) fn forward(images: &Tensor, network: &Network<'_>, pass: &Pass) -> Result<Tensor> {
    let op = Trunk {
        stem: network.stem.clone(),
        blocks: network.blocks.iter().copied().cloned().collect(),
        head: network.head.clone(),
        pass: pass.clone(),
        saved: Mutex::new(None),
    };
    // The stem's weight ties the output to a parameter, so that a backward pass comes through here.
    let weight = pass.value(&network.stem.conv_stem.weight);
    images.contiguous()?.apply_op2(&weight, op)
}

/// Whether a pass is run here: on the CPU, where it is the best way.
pub(crate) fn takes(images: &Tensor, pass: &Pass) -> bool {
    pass.way == Way::Best
        && matches!(images.device(), candle_core::Device::Cpu)
        && matches!(images.dtype(), DType::F32 | DType::F64)
}

struct Trunk {
    stem: Stem,
    blocks: Vec<Block>,
    head: Head,
    pass: Pass,
    saved: Mutex<Option<AnySaved>>,
}

enum AnySaved {
    F32(Saved<f32>),
    F64(Saved<f64>),
}

struct Saved<T: Pooled> {
    stem: convolution::Saved<T>,
    blocks: Vec<SavedBlock<T>>,
    head: head::Saved<T>,
}

enum SavedBlock<T: Pooled> {
    Bottleneck(Box<bottleneck::Saved<T>>),
    Convolution(Box<convolution::Saved<T>>),
}

/// An element type that a trunk keeps its activations in.
trait Kept: Pooled {
    fn keep(saved: Saved<Self>) -> AnySaved;
    fn kept(saved: AnySaved) -> Option<Saved<Self>>;
}

impl Kept for f32 {
    fn keep(saved: Saved<f32>) -> AnySaved {
        AnySaved::F32(saved)
    }
    fn kept(saved: AnySaved) -> Option<Saved<f32>> {
        if let AnySaved::F32(saved) = saved { Some(saved) } else { None }
    }
}

impl Kept for f64 {
    fn keep(saved: Saved<f64>) -> AnySaved {
        AnySaved::F64(saved)
    }
    fn kept(saved: AnySaved) -> Option<Saved<f64>> {
        if let AnySaved::F64(saved) = saved { Some(saved) } else { None }
    }
}

impl CustomOp2 for Trunk {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        dispatch!(dtype_of(images), NAME, T => {
            let images = Buffer::copy_of(slice::<T>(images, layout, NAME)?);
            let images = Activation { values: Arc::new(images), shape: [n, h, w, c] };
            if self.pass.statistics == Statistics::Running {
                let out = inference::run(images, &self.stem, &self.blocks, &self.pass)?;
                let logits = head::infer(&self.head, &out, &self.pass)?;
                let classes = logits.len() / n;
                return Ok((wrap(logits), (n, classes).into()));
            }
            let (logits, saved) = self.run::<T>(images)?;
            if let Some(saved) = saved {
                *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(T::keep(saved));
            }
            let classes = logits.len() / n;
            Ok((wrap(logits), (n, classes).into()))
        })
    }

    fn bwd(
        &self,
        images: &Tensor,
        _: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let dy = dy.contiguous()?;
        dispatch!(images.dtype(), NAME, T => {
            let Some(saved) = saved.and_then(T::kept) else {
                candle_core::bail!("{NAME}: one backward pass for each forward pass with gradients");
            };
            with_slice::<T, _>(&dy, NAME, |dlogits| self.run_back(saved, dlogits))?;
        });
        Ok((None, None))
    }
}

impl Trunk {
    /// Logits, and what the backward pass needs if there is to be one.
    fn run<T: Pooled>(&self, images: Activation<T>) -> Result<(Vec<T>, Option<Saved<T>>)> {
        let pass = &self.pass;
        let keep = pass.gradients.is_some();
        let (mut x, stem) =
            convolution::forward(&self.stem.conv_stem, &self.stem.bn1, images, pass)?;
        let stem = keep.then_some(stem);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (index, block) in self.blocks.iter().enumerate() {
            let (out, saved) = match block {
                Block::Convolution(block) => {
                    let (out, saved) = convolution::forward(&block.conv, &block.bn1, x, pass)?;
                    (out, SavedBlock::Convolution(Box::new(saved)))
                }
                Block::DepthwiseSeparable(block) => {
                    let (out, saved) =
                        bottleneck::forward(&Separable::from(block), x, index, pass)?;
                    (out, SavedBlock::Bottleneck(Box::new(saved)))
                }
                Block::InvertedResidual(block) => {
                    let (out, saved) =
                        bottleneck::forward(&Separable::from(block), x, index, pass)?;
                    (out, SavedBlock::Bottleneck(Box::new(saved)))
                }
            };
            if keep {
                blocks.push(saved);
            }
            x = out;
        }
        let (logits, head) = head::forward(&self.head, x, pass)?;
        Ok((logits, stem.map(|stem| Saved { stem, blocks, head })))
    }

    fn run_back<T: Pooled>(&self, saved: Saved<T>, dlogits: &[T]) -> Result<()> {
        let Some(sink) = &self.pass.gradients else {
            candle_core::bail!("{NAME}: a backward pass without gradients");
        };
        let mut g = head::backward(&self.head, saved.head, dlogits, sink)?;
        for (block, saved) in self.blocks.iter().zip(saved.blocks).rev() {
            g = match (block, saved) {
                (Block::Convolution(block), SavedBlock::Convolution(saved)) => {
                    let dx = convolution::backward(&block.conv, &block.bn1, *saved, g, true, sink)?;
                    dx.unwrap_or_else(|| Buffer::new(0))
                }
                (Block::DepthwiseSeparable(block), SavedBlock::Bottleneck(saved)) => {
                    bottleneck::backward(&Separable::from(block), *saved, g, sink)?
                }
                (Block::InvertedResidual(block), SavedBlock::Bottleneck(saved)) => {
                    bottleneck::backward(&Separable::from(block), *saved, g, sink)?
                }
                _ => candle_core::bail!("{NAME}: a block's activations are another one's"),
            };
        }
        convolution::backward(&self.stem.conv_stem, &self.stem.bn1, saved.stem, g, false, sink)?;
        Ok(())
    }
}

/// Elements of one piece of elementwise work: whole rows of `channels`.
fn piece(channels: usize) -> usize {
    (16 * 1024 / channels).max(1) * channels
}

/// Fills `out` in pieces; `kernel` gets the index of the piece's first element.
fn rows_in_parallel<T: Pooled>(
    out: &mut [T],
    channels: usize,
    kernel: impl Fn(usize, &mut [T]) + Sync,
) {
    let piece = piece(channels);
    out.par_chunks_mut(piece).enumerate().for_each(|(i, out)| kernel(i * piece, out));
}

/// The gradient behind a norm and activation to the one before the activation, in place.
fn gradient_in_parallel<T: Pooled>(norm: &Norm<T>, y: &[T], g: &mut [T]) -> Sums {
    let piece = piece(norm.channels());
    let pieces: Vec<Sums> = g
        .par_chunks_mut(piece)
        .zip(y.par_chunks(piece))
        .map(|(g, y)| {
            let mut sums = Sums::zeros(norm.channels());
            norm.gradient(y, g, &mut sums);
            sums
        })
        .collect();
    Sums::total(norm.channels(), pieces.iter())
}
