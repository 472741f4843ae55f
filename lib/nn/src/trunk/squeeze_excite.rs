//! The gates of a block (Hu et al., 2018) from the means of its images: two small products.

use super::dense::{activated, affine, affine_backward, through_activation};
use crate::layers::{Gradients, SqueezeExcite};
use crate::ops::buffer::Pooled;
use crate::ops::gate;
use candle_core::Result;

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) struct Squeezed<T> {
    /// Means `[N, C]`.
    pooled: Vec<T>,
    /// Before the first activation, `[N, width]`.
    reduced: Vec<T>,
    /// Before the gate, `[N, C]`.
    expanded: Vec<T>,
    /// The gates, `[N, C]`.
    pub(crate) gates: Vec<T>,
}

impl<T: Pooled> Squeezed<T> {
    /// The gates for the means of images.
    pub(crate) fn new(layer: &SqueezeExcite, pooled: Vec<T>) -> Result<Self> {
        let reduced = affine(&layer.conv_reduce, &pooled)?;
        let expanded = affine(&layer.conv_expand, &activated(&layer.conv_reduce, &reduced))?;
        let gates = expanded.iter().map(|&s| gate::value(layer.gate, s)).collect();
        Ok(Self { pooled, reduced, expanded, gates })
    }

    /// From the gates' gradients to those of the means, and of the layer's parameters.
    pub(crate) fn backward(
        &self,
        layer: &SqueezeExcite,
        mut dgates: Vec<T>,
        sink: &Gradients,
    ) -> Result<Vec<T>> {
        for (d, &s) in dgates.iter_mut().zip(&self.expanded) {
            *d *= gate::slope(layer.gate, s);
        }
        let inner = activated(&layer.conv_reduce, &self.reduced);
        let mut dinner = affine_backward(&layer.conv_expand, &inner, &dgates, sink)?;
        through_activation(&layer.conv_reduce, &self.reduced, &mut dinner);
        affine_backward(&layer.conv_reduce, &self.pooled, &dinner, sink)
    }
}
