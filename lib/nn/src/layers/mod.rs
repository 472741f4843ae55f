//! Layers: a struct and a constructor per file, named and shaped as PyTorch's on disk, channels-last inside.

mod batch_norm;
mod block;
mod convolution;
mod dense;
mod depthwise;
mod drop_path;
mod head;
mod squeeze_excite;
mod stem;

pub use batch_norm::BatchNorm;
pub use block::Block;
pub(crate) use block::Separable;
pub use convolution::Convolution;
pub(crate) use convolution::Rows;
pub use dense::Dense;
pub use depthwise::DepthwiseConvolution;
pub use drop_path::DropPath;
pub(crate) use drop_path::scaled;
pub(crate) use head::Features;
pub use head::Head;
pub use squeeze_excite::SqueezeExcite;
pub use stem::Stem;

use crate::ops::cast::cast_each;
use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, TensorId, Var};
use std::sync::{Arc, Mutex, PoisonError};

/// What batch norms normalise with, and what they do to their running statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// The running statistics: inference.
    Running,
    /// The batch's own; running statistics stay as they are (teachers, probes, the matching update).
    Batch,
    /// The batch's own, which also move the running ones by the norm's momentum: ordinary training.
    Update,
    /// The batch's own, of which the running ones become the plain mean over batches: recalibration.
    Average {
        /// Batches averaged so far; 0 starts anew.
        seen: usize,
    },
}

/// Gradients of parameters that operations of several layers leave here, past the tensors' own graph.
#[derive(Clone, Debug, Default)]
pub struct Gradients(Arc<Mutex<Vec<(TensorId, Tensor)>>>);

impl Gradients {
    pub(crate) fn put(&self, parameter: &Var, gradient: Tensor) {
        let id = parameter.as_tensor().id();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((id, gradient));
    }

    /// Brings those in another dtype into this one.
    pub(crate) fn convert(&self, dtype: DType) -> Result<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others = || all.iter().filter(|(_, gradient)| gradient.dtype() != dtype);
        let tensors: Vec<&Tensor> = others().map(|(_, gradient)| gradient).collect();
        let converted = cast_each(&tensors, dtype)?;
        let others = all.iter_mut().filter(|(_, gradient)| gradient.dtype() != dtype);
        others.zip(converted).for_each(|((_, gradient), new)| *gradient = new);
        Ok(())
    }

    fn take(&self) -> Vec<(TensorId, Tensor)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How the layers of a network are run. All ways give the same numbers, up to rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// The fastest on the device: fused on the CPU, otherwise as [`Way::Tensorwise`].
    #[default]
    Best,
    /// Every layer as its own operators, and gradients by the tensors' own graph.
    LayerByLayer,
    /// The operators one at a time, and gradients by the operators' own backward functions without a graph.
    Tensorwise,
}

/// How a network is run: everything that makes one forward pass differ from another.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Use and update of batch statistics.
    pub statistics: Statistics,
    /// Where the gradients of a backward pass are to go. Without it no activation is kept.
    pub gradients: Option<Gradients>,
    /// Factors for the features before the classifier, `[N, features]`: 0 or 1 / (1 - rate) each.
    pub dropout: Option<Tensor>,
    /// Stochastic depth, in training.
    pub drop_path: Option<DropPath>,
    /// Momentum of running statistics (0.1 keeps 90 % of the old).
    pub momentum: f64,
    /// Added to variances.
    pub epsilon: f64,
    /// How the layers are run.
    pub way: Way,
}

impl Pass {
    /// A pass with the given use of statistics, without gradients or dropout.
    pub fn new(statistics: Statistics, norm: &cream_arch::Norm) -> Self {
        let (momentum, epsilon) = (norm.momentum, norm.epsilon);
        let (gradients, dropout, drop_path, way) = (None, None, None, Way::Best);
        Self { statistics, gradients, dropout, drop_path, momentum, epsilon, way }
    }

    /// The same with a backward pass to follow.
    #[must_use]
    pub fn with_gradients(self) -> Self {
        Self { gradients: Some(Gradients::default()), ..self }
    }

    /// The same with every layer run by itself: the plain statement that faster ways are held to.
    #[must_use]
    pub fn layer_by_layer(self) -> Self {
        Self { way: Way::LayerByLayer, ..self }
    }

    /// The same with gradients taken tensor by tensor, on the CPU too, where there is a faster way.
    #[must_use]
    pub fn tensorwise(self) -> Self {
        Self { way: Way::Tensorwise, ..self }
    }

    /// The gradients of `loss`, which this pass led to, with respect to every parameter on its way.
    ///
    /// # Errors
    /// When the pass was one without gradients, or a second backward pass is asked for.
    pub fn backward(&self, loss: &Tensor) -> Result<GradStore> {
        let Some(gradients) = &self.gradients else {
            candle_core::bail!("a backward pass for a pass without gradients");
        };
        let mut store = loss.backward()?;
        for (id, gradient) in gradients.take() {
            store.insert_id(id, gradient);
        }
        Ok(store)
    }

    /// The same with these dropout factors.
    #[must_use]
    pub fn with_dropout(self, factors: Option<Tensor>) -> Self {
        Self { dropout: factors, ..self }
    }

    /// The same with stochastic depth.
    #[must_use]
    pub fn with_drop_path(self, drop_path: Option<DropPath>) -> Self {
        Self { drop_path, ..self }
    }

    /// The factor of what block `block` adds to its input, one for each image; `None` for 1.
    pub(crate) fn branch_factors(&self, block: usize, images: usize) -> Result<Option<&[f64]>> {
        if self.statistics == Statistics::Running {
            return Ok(None);
        }
        let factors = self.drop_path.as_ref().and_then(|drop_path| drop_path.of_block(block));
        match factors {
            Some(factors) if factors.len() != images => candle_core::bail!(
                "stochastic depth: {} factors for {images} images in block {block}",
                factors.len()
            ),
            factors => Ok(factors),
        }
    }

    /// The same as `[N, 1]`, where and as `x` `[N, H, W, C]` is.
    pub(crate) fn branch_tensor(&self, block: usize, x: &Tensor) -> Result<Option<Tensor>> {
        let Some(factors) = self.branch_factors(block, x.dim(0)?)? else { return Ok(None) };
        let factors = Tensor::new(factors, x.device())?.to_dtype(x.dtype())?;
        Ok(Some(factors.unsqueeze(1)?))
    }

    /// A parameter as this pass sees it: a constant unless gradients are wanted.
    pub(crate) fn value(&self, parameter: &Var) -> Tensor {
        match self.gradients {
            Some(_) => parameter.as_tensor().clone(),
            None => parameter.as_detached_tensor(),
        }
    }
}
