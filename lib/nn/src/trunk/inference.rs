//! Inference: norms are known beforehand, so each is applied to what its convolution has just left in the cache. An
//! expanded activation lives for a few rows only, between its expansion and the depthwise convolution that takes it.

use super::bottleneck::sides;
use super::depthwise::Shape;
use super::norm::Norm;
use super::parameters::with_values;
use super::pointwise::{self, Gates, Rows, forward_panels};
use super::squeeze_excite::Squeezed;
use super::{Activation, convolution};
use crate::layers::{BatchNorm, Block, Convolution, Pass, Separable, Stem};
use crate::ops::Window;
use crate::ops::buffer::Pooled;
use crate::ops::product::Panels;
use candle_core::Result;
use std::sync::Arc;

/// Stem and blocks on images.
pub(super) fn run<T: Pooled>(
    images: Activation<T>,
    stem: &Stem,
    blocks: &[Block],
    pass: &Pass,
) -> Result<Activation<T>> {
    let mut x = dense(&stem.conv_stem, &stem.bn1, &images, pass)?;
    for block in blocks {
        x = match block {
            Block::Convolution(block) => dense(&block.conv, &block.bn1, &x, pass)?,
            Block::DepthwiseSeparable(block) => bottleneck(&Separable::from(block), &x, pass)?,
            Block::InvertedResidual(block) => bottleneck(&Separable::from(block), &x, pass)?,
        };
    }
    Ok(x)
}

/// A convolution with its norm and activation.
pub(super) fn dense<T: Pooled>(
    conv: &Convolution,
    bn: &BatchNorm,
    x: &Activation<T>,
    pass: &Pass,
) -> Result<Activation<T>> {
    let (window, weight, (n, k)) = convolution::prepare(conv, x)?;
    let norm = Norm::running(bn, pass)?;
    let rows = x.shape[0] * window.out_height * window.out_width;
    let input = convolution::input(x, &window);
    let out = pointwise::apply(&input, rows, (n, k), &weight, &norm, None);
    let shape = [x.shape[0], window.out_height, window.out_width, n];
    Ok(Activation { values: Arc::new(out), shape })
}

/// The expansion in front of a depthwise convolution, row by row.
pub(super) struct Expansion<'a, T: Pooled> {
    pub(super) weight: &'a Panels<T>,
    pub(super) norm: &'a Norm<T>,
    /// Input channels.
    pub(super) channels: usize,
}

fn bottleneck<T: Pooled>(
    layers: &Separable<'_>,
    x: &Activation<T>,
    pass: &Pass,
) -> Result<Activation<T>> {
    let [images, h, w, channels] = x.shape;
    let expand = match layers.expand {
        Some((conv, bn)) => {
            let (n, k) = sides(conv, channels)?;
            let weight = with_values(&conv.weight, |v| forward_panels(v, (n, k)))?;
            Some((weight, Norm::running(bn, pass)?))
        }
        None => None,
    };
    let (conv, bn) = layers.depthwise;
    let window = Window::new(conv.kernel, conv.stride, conv.padding, h, w)?;
    let shape = with_values(&conv.weight, |v| Shape::new(window, v))?;
    let norm = Norm::running(bn, pass)?;
    let expansion = expand.as_ref().map(|(weight, norm)| Expansion { weight, norm, channels });
    let (y, means) = shape.infer(&x.values, images, expansion.as_ref(), &norm);
    let pixels = window.out_height * window.out_width;
    let squeezed = layers.squeeze_excite.map(|layer| Squeezed::new(layer, means)).transpose()?;
    let (conv, bn) = layers.project;
    let (n, k) = sides(conv, shape.channels)?;
    let weight = with_values(&conv.weight, |v| forward_panels(v, (n, k)))?;
    let input = match &squeezed {
        Some(squeezed) => Rows::Scaled(&y, Gates { values: &squeezed.gates, pixels }),
        None => Rows::Plain(&y),
    };
    let residual = layers.residual.then_some(&x.values[..]);
    let norm = Norm::running(bn, pass)?;
    let out = pointwise::apply(&input, images * pixels, (n, k), &weight, &norm, residual);
    let shape = [images, window.out_height, window.out_width, n];
    Ok(Activation { values: Arc::new(out), shape })
}
