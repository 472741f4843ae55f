//! Layers: a struct and a constructor per file, named and shaped as PyTorch's on disk, channels-last inside.

mod batch_norm;
mod block;
mod convolution;
mod dense;
mod depthwise;
mod head;
mod squeeze_excite;
mod stem;

pub use batch_norm::BatchNorm;
pub use block::Block;
pub use convolution::Convolution;
pub use dense::Dense;
pub use depthwise::DepthwiseConvolution;
pub use head::Head;
pub use squeeze_excite::SqueezeExcite;
pub use stem::Stem;

use candle_core::{Tensor, Var};

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

/// How a network is run: everything that makes one forward pass differ from another.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Use and update of batch statistics.
    pub statistics: Statistics,
    /// Whether a backward pass follows. Without it no activation is kept.
    pub gradients: bool,
    /// Factors for the features before the classifier, `[N, features]`: 0 or 1 / (1 - rate) each.
    pub dropout: Option<Tensor>,
    /// Momentum of running statistics (0.1 keeps 90 % of the old).
    pub momentum: f64,
    /// Added to variances.
    pub epsilon: f64,
}

impl Pass {
    /// A pass with the given use of statistics, without gradients or dropout.
    pub fn new(statistics: Statistics, norm: &cream_arch::Norm) -> Self {
        let (momentum, epsilon) = (norm.momentum, norm.epsilon);
        Self { statistics, gradients: false, dropout: None, momentum, epsilon }
    }

    /// The same with a backward pass to follow.
    #[must_use]
    pub fn with_gradients(self) -> Self {
        Self { gradients: true, ..self }
    }

    /// The same with these dropout factors.
    #[must_use]
    pub fn with_dropout(self, factors: Option<Tensor>) -> Self {
        Self { dropout: factors, ..self }
    }

    /// A parameter as this pass sees it: a constant unless gradients are wanted.
    pub(crate) fn value(&self, parameter: &Var) -> Tensor {
        if self.gradients { parameter.as_tensor().clone() } else { parameter.as_detached_tensor() }
    }
}
