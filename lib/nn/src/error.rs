//! What can go wrong with networks and their files.

use thiserror::Error;

/// An error of this crate.
#[derive(Debug, Error)]
pub enum NnError {
    /// Candle refused an operation.
    #[error(transparent)]
    Tensor(candle_core::Error),
    /// Weights that are not those of the network, or a description that is not as its format says.
    #[error(transparent)]
    Weights(#[from] cream_weights::WeightsError),
    /// A file that is not safetensors, or not one of ours.
    #[error("{0}")]
    File(String),
    /// A path that the supernet does not hold.
    #[error(
        "path {path} does not fit a supernet of {depths:?} layers per stage with {choices} choices"
    )]
    Path {
        /// The path.
        path: String,
        /// Layers per searched stage of the supernet.
        depths: Vec<usize>,
        /// Choices per layer.
        choices: usize,
    },
    /// An architecture that cannot be built.
    #[error(transparent)]
    Architecture(#[from] cream_arch::ArchError),
}

impl From<candle_core::Error> for NnError {
    /// Leaves out the backtrace that Candle prints with its errors where backtraces are switched on: what is told to
    /// people is one line.
    fn from(error: candle_core::Error) -> Self {
        match error {
            candle_core::Error::WithBacktrace { inner, .. } => Self::from(*inner),
            error => Self::Tensor(error),
        }
    }
}
