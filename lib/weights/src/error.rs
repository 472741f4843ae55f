//! What can be wrong with a weights file.

use thiserror::Error;

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum WeightsError {
    /// Weights that are not those of the network.
    #[error(
        "the weights do not fit the network ({count} {}): {first}; give weights of this network, or the \
         architecture that these are for",
        if *count == 1 { "difference" } else { "differences" }
    )]
    Mismatch {
        /// Tensors that differ.
        count: usize,
        /// The first few of them.
        first: String,
    },
    /// A value that no network can be run with.
    #[error("{name} holds {value} at {index}, and {rule}; take weights from before they broke")]
    Value {
        /// The tensor.
        name: String,
        /// The value found.
        value: f32,
        /// Its place in the flat tensor, from 0.
        index: usize,
        /// What it breaks.
        rule: &'static str,
    },
    /// A file that is not safetensors, or not one of ours.
    #[error("{0}")]
    File(String),
}

impl WeightsError {
    /// The differences between a file's tensors and a network's.
    pub fn mismatch(problems: &[String]) -> Self {
        Self::Mismatch { count: problems.len(), first: first_few(problems) }
    }
}

/// The first problems, and how many more there are.
pub fn first_few(problems: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = problems[..problems.len().min(SHOWN)].join("; ");
    if problems.len() > SHOWN {
        text.push_str(&format!("; and {} more", problems.len() - SHOWN));
    }
    text
}
