//! Paths: which choice each searched layer takes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ArchError;

/// Choice index per layer of each searched stage, written `[[0],[3,3],[3,3],[1],[3]]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Path(pub Vec<Vec<usize>>);

/// How index lists printed with the original release are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reading {
    /// Every index means the choice it names.
    #[default]
    Literal,
    /// A stage of one layer takes the block that the release built there whatever index it
    /// printed.
    Released,
}

impl Path {
    /// Layers of each searched stage.
    pub fn depths(&self) -> Vec<usize> {
        self.0.iter().map(Vec::len).collect()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (s, stage) in self.0.iter().enumerate() {
            f.write_str(if s == 0 { "[" } else { ",[" })?;
            for (l, choice) in stage.iter().enumerate() {
                if l > 0 {
                    f.write_str(",")?;
                }
                write!(f, "{choice}")?;
            }
            f.write_str("]")?;
        }
        f.write_str("]")
    }
}

impl FromStr for Path {
    type Err = ArchError;

    fn from_str(text: &str) -> Result<Self, ArchError> {
        serde_json::from_str(text).map_err(|error| ArchError::Path {
            path: text.chars().take(200).collect(),
            reason: format!("{error}; write lists such as [[0],[3,3],[3,3],[1],[3]]"),
        })
    }
}
