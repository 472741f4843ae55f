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
    /// A device without room for a step.
    #[error(
        "the device has no room for a step of {batch} images; {}",
        match batch / 2 {
            0 => "give smaller images or a smaller network".to_owned(),
            half => format!("try --batch {half}"),
        }
    )]
    OutOfMemory {
        /// Images of a step.
        batch: usize,
    },
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

    /// The same of a step of `batch` images: where the device had no room for it, the error says so and names a batch
    /// to try.
    #[must_use]
    pub fn of_batch(self, batch: usize) -> Self {
        match &self {
            Self::Network(cream_nn::NnError::Tensor(error)) if is_out_of_memory(error) => {
                Self::OutOfMemory { batch }
            }
            _ => self,
        }
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
            | Self::OutOfMemory { .. }
            | Self::InUse { .. } => true,
            Self::Data(error) => {
                !matches!(error, DataError::Io { .. } | DataError::WorkerLost { .. })
            }
            Self::Folder { source, .. } => !is_full(source),
            Self::Network(_) | Self::NonFinite { .. } | Self::Io { .. } => false,
        }
    }
}

/// Whether an allocation on a device failed; Candle has no variant for it.
fn is_out_of_memory(error: &candle_core::Error) -> bool {
    let text = error.to_string();
    ["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED"]
        .iter()
        .any(|name| text.contains(name))
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

#[cfg(test)]
mod tests {
    use super::TrainError;

    #[test]
    fn a_device_without_room_names_a_batch_to_try() {
        let full = || candle_core::Error::Msg("DriverError(CUDA_ERROR_OUT_OF_MEMORY)".to_owned());
        let error = |batch| TrainError::from(full()).of_batch(batch);
        assert!(error(96).is_input() && error(96).to_string().ends_with("try --batch 48"));
        assert!(error(1).to_string().ends_with("a smaller network"), "{}", error(1));
        let other = TrainError::from(candle_core::Error::Msg("another".to_owned())).of_batch(96);
        assert_eq!(other.to_string(), "another");
    }
}
