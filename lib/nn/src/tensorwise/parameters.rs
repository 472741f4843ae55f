//! Parameters as a pass multiplies with them, and their gradients on the way out.

use crate::layers::{Block, Features, Gradients, Pass, Separable, SqueezeExcite};
use crate::network::Network;
use crate::ops::cast::cast_each;
use candle_core::{DType, Result, Tensor, TensorId, Var};
use std::collections::HashMap;

/// A forward pass, with the weights of its products in the activations' dtype.
pub(super) struct Forward<'a> {
    pub(super) pass: &'a Pass,
    /// The weights that have another dtype than the activations, in that of the activations.
    rounded: HashMap<TensorId, Tensor>,
}

impl<'a> Forward<'a> {
    /// For activations of this dtype; the weights are rounded together.
    pub(super) fn new(network: &Network<'_>, dtype: DType, pass: &'a Pass) -> Result<Self> {
        let mut weights = weights(network);
        weights.retain(|weight| weight.dtype() != dtype);
        let tensors: Vec<Tensor> =
            weights.iter().map(|weight| weight.as_detached_tensor()).collect();
        let rounded = cast_each(&tensors.iter().collect::<Vec<_>>(), dtype)?;
        let ids = weights.iter().map(|weight| weight.as_tensor().id());
        Ok(Self { pass, rounded: ids.zip(rounded).collect() })
    }

    /// A weight in the activations' dtype, as a constant.
    pub(super) fn weight(&self, weight: &Var) -> Tensor {
        let rounded = self.rounded.get(&weight.as_tensor().id());
        rounded.cloned().unwrap_or_else(|| weight.as_detached_tensor())
    }
}

/// The weights that activations are multiplied with by Candle's products.
fn weights<'a>(network: &Network<'a>) -> Vec<&'a Var> {
    let gates = |layer: &'a SqueezeExcite| [&layer.conv_reduce.weight, &layer.conv_expand.weight];
    let separable = |layers: Separable<'a>| {
        let expand = layers.expand.map(|(conv, _)| &conv.weight);
        let gates = layers.squeeze_excite.map(gates);
        let project = &layers.project.0.weight;
        expand.into_iter().chain(gates.into_iter().flatten()).chain([project]).collect()
    };
    let mut all = vec![&network.stem.conv_stem.weight];
    for &block in &network.blocks {
        let own: Vec<&Var> = match block {
            Block::Convolution(block) => vec![&block.conv.weight],
            Block::DepthwiseSeparable(block) => separable(Separable::from(block)),
            Block::InvertedResidual(block) => separable(Separable::from(block)),
        };
        all.extend(own);
    }
    let wide = match &network.head.features {
        Features::AfterPool(conv) => &conv.weight,
        Features::BeforePool(conv, _) => &conv.weight,
    };
    all.extend([wide, &network.head.classifier.weight]);
    all
}

/// Hands a parameter's gradient over, shaped as the parameter, in the dtype that it has.
pub(super) fn give(sink: &Gradients, parameter: &Var, gradient: &Tensor) -> Result<()> {
    sink.put(parameter, gradient.reshape(parameter.shape())?);
    Ok(())
}
