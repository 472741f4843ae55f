//! Shards: plain tars in the WebDataset convention, beside an index that makes any sample one
//! positioned read. `lib/data/FORMATS.md` describes the files.

pub mod checksum;
pub mod index;
mod set;
mod table;
pub mod writer;

pub use set::ShardSet;
pub use table::{Row, escape_key};

use std::fmt;
use std::str::FromStr;

use crate::error::DataError;

/// Name of the index in a shard folder; written last, so its presence says that the set is whole.
pub const INDEX_FILE: &str = "index.json";

/// A sample's number in its set: training samples first, then validation samples, each in shard
/// order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampleId(u32);

impl SampleId {
    /// The sample of this number, which need not exist.
    #[must_use]
    pub fn from_index(index: u32) -> Self {
        Self(index)
    }

    /// The number.
    #[must_use]
    pub fn index(self) -> u32 {
        self.0
    }
}

/// A part of a shard set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// All training samples; retraining uses them.
    Train,
    /// Training samples without the search-validation ones; the search trains on them.
    SearchTrain,
    /// Training samples set aside to rank paths with; never the official validation set.
    SearchValidation,
    /// The official validation set.
    Validation,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 4] =
        [Self::Train, Self::SearchTrain, Self::SearchValidation, Self::Validation];

    /// The name on command lines and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::SearchTrain => "search-train",
            Self::SearchValidation => "search-val",
            Self::Validation => "val",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Split {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::ALL
            .into_iter()
            .find(|split| split.name() == text)
            .ok_or_else(|| DataError::UnknownSplit(text.to_owned()))
    }
}
