//! What can stop a run.

use cream_data::DataError;
use std::io::ErrorKind;
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
    #[error("{problem} at step {step} (epoch {}, {what}); {advice}{images}", epoch + 1)]
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
        /// Where the batch's images are listed, as the end of the sentence; empty if it was no step.
        images: String,
    },
    /// A file of a run that is not as the run wrote it.
    #[error("{}: {reason}; copy it again or make it anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A run's manifest that cannot be used.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why not, with what to do.
        reason: String,
    },
    /// A folder that cannot be a run's.
    #[error("{}: {source}{}", path.display(), remedy(source))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No checkpoint of a run can be used.
    #[error("{last}; no other checkpoint is left: bring it back or start anew with --resume never")]
    NoCheckpoint {
        /// Why the last one tried cannot be used.
        last: String,
    },
    /// A run's folder that another process writes to.
    #[error(
        "{}: in use by another process{}; wait for it or give another --out",
        path.display(),
        holder.map(|id| format!(" ({id})")).unwrap_or_default()
    )]
    InUse {
        /// The run's folder.
        path: PathBuf,
        /// The other process.
        holder: Option<u32>,
    },
    /// A tensor file that cannot be used.
    #[error("{}: {reason}", path.display())]
    TensorFile {
        /// The file.
        path: PathBuf,
        /// Why not, with what to do.
        reason: String,
    },
    /// A checkpoint that cannot be used.
    #[error("checkpoint {}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why not, with what to do.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}{}", path.display(), remedy(source))]
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
            Self::Setting(_)
            | Self::Architecture(_)
            | Self::Checkpoint { .. }
            | Self::Damaged { .. }
            | Self::Manifest { .. }
            | Self::NoCheckpoint { .. }
            | Self::TensorFile { .. }
            | Self::InUse { .. } => true,
            Self::Data(error) => {
                !matches!(error, DataError::Io { .. } | DataError::WorkerLost { .. })
            }
            Self::Folder { source, .. } => !is_full(source),
            Self::Network(_) | Self::NonFinite { .. } | Self::Io { .. } => false,
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// What to do about an error of the file system, where that is known.
fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        _ if is_full(error) => {
            "; nothing written before is lost: free some space and run the same command again"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; make it accessible or give another folder"
        }
        _ => "",
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Network(error.into())
    }
}
