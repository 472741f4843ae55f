//! What can stop a run.

use cream_data::DataError;
use std::path::PathBuf;
use thiserror::Error;

/// An error of this crate.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The network or its files.
    #[error(transparent)]
    Network(#[from] cream_nn::NnError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The space, a path or an architecture.
    #[error(transparent)]
    Architecture(#[from] cream_arch::ArchError),
    /// A setting that cannot work, with what to use instead.
    #[error("{0}")]
    Setting(String),
    /// A loss or weight that is no number.
    #[error("{problem} at step {step} (epoch {epoch}, {what}); {advice}")]
    NonFinite {
        /// What is not finite.
        problem: String,
        /// Steps taken before.
        step: u64,
        /// Epoch, from 0.
        epoch: usize,
        /// The path or network that was trained.
        what: String,
        /// Where the run can be taken up again, and how.
        advice: String,
    },
    /// A checkpoint that cannot be used.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why not, with what to do.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl TrainError {
    /// Wraps an I/O error of a file.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }

    /// Whether the cause is what the run was given rather than what happened on its way: exit
    /// status 2 rather than 1.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Setting(_) | Self::Architecture(_) | Self::Checkpoint { .. } => true,
            Self::Data(error) => {
                !matches!(error, DataError::Io { .. } | DataError::WorkerLost { .. })
            }
            Self::Network(_) | Self::NonFinite { .. } | Self::Io { .. } => false,
        }
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Network(error.into())
    }
}
