//! What can be wrong with shards and images.

use std::path::{Path, PathBuf};

/// A broken rule of the shard format or of an image, with the values that broke it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The folder holds no `index.json`.
    #[error("{0}: no index.json; make shards with imagenet-prep SRC {0}", path.display())]
    NoIndex {
        /// The folder given.
        path: PathBuf,
    },
    /// What should be a set's folder is a file.
    #[error("{}: not a folder; give the folder that imagenet-prep made", path.display())]
    NoFolder {
        /// The path given.
        path: PathBuf,
    },
    /// A file that the index names is not there.
    #[error(
        "{}: missing, but index.json names it; \
         copy the folder again or make it anew with imagenet-prep --overwrite",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused to read or write.
    #[error("{}: {source}{}", path.display(), remedy(source))]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of the index does not read as its format says.
    #[error("{}: {reason}; make the shards anew with imagenet-prep --overwrite", path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// The broken rule.
        reason: String,
    },
    /// The index is of another version than this program reads.
    #[error(
        "{}: format version {found}, but this program reads version {expected}; {}\
         make the shards anew with imagenet-prep --overwrite",
        path.display(),
        if found > expected { "use the newer program that made them, or " } else { "" }
    )]
    Version {
        /// The index file.
        path: PathBuf,
        /// The version it names.
        found: u64,
        /// The version that is read.
        expected: u64,
    },
    /// A file differs from what the index says of it.
    #[error(
        "{}: {what} is {found}, but index.json says {expected}; \
         copy the folder again or make it anew with imagenet-prep --overwrite",
        path.display()
    )]
    Mismatch {
        /// The file that differs.
        path: PathBuf,
        /// Which property differs.
        what: &'static str,
        /// What was found.
        found: String,
        /// What the index says.
        expected: String,
    },
    /// An image could not be decoded.
    #[error("{0}")]
    Image(#[from] ImageError),
    /// A sample of a shard could not be decoded.
    #[error("{}: sample {key}: {source}; run imagenet-prep again with --overwrite", path.display())]
    Sample {
        /// The shard file.
        path: PathBuf,
        /// The sample's key.
        key: String,
        /// Why it could not be decoded.
        source: ImageError,
    },
    /// A name that is none of the splits.
    #[error("unknown split {0:?}; known are train, search-train, search-val and val")]
    UnknownSplit(String),
    /// A sample number outside the set.
    #[error("no sample {index}: the set has {count}")]
    NoSample {
        /// The number asked for.
        index: u32,
        /// Samples in the set.
        count: usize,
    },
    /// A setting outside its range.
    #[error("{name} is {value}, but must be {allowed}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The value given.
        value: String,
        /// The values allowed.
        allowed: &'static str,
    },
    /// A loading thread ended without a word, which is a defect of this program.
    #[error("loading thread {worker} ended early; please report this with the lines printed above")]
    WorkerLost {
        /// The thread's number.
        worker: usize,
    },
}

impl DataError {
    /// Puts the file's name to an error of the operating system.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }
}

/// What to do about an error of the file system, where that is known: a clause to put after it.
#[must_use]
pub fn remedy(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; make it accessible or give another path"
        }
        _ => "",
    }
}

/// Why bytes are no usable image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Neither JPEG nor PNG, by its first bytes.
    #[error("neither JPEG nor PNG (it starts with {start})")]
    UnknownFormat {
        /// The first bytes, in hexadecimal.
        start: String,
    },
    /// The file has more bytes than an image may have.
    #[error("{bytes} bytes, more than the {limit} allowed")]
    TooManyBytes {
        /// Bytes in the file.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The image claims more pixels than are decoded.
    #[error("{width} x {height} pixels, more than the {limit} allowed")]
    TooManyPixels {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Pixels allowed.
        limit: usize,
    },
    /// The data ends before the image does.
    #[error("truncated: the data ends before the image does")]
    Truncated,
    /// The decoder found a fault.
    #[error("broken {kind}: {reason}")]
    Broken {
        /// `JPEG` or `PNG`.
        kind: &'static str,
        /// What the decoder says.
        reason: String,
    },
}
