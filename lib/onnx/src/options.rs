//! What an export may be asked for.

use std::ops::RangeInclusive;

use cream_weights::WeightsError;
use thiserror::Error;

/// How a network is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Version of the operators.
    pub opset: Opset,
    /// Images that are run at once.
    pub batch: Batch,
    /// What becomes of batch norms.
    pub batch_norm: BatchNorm,
    /// Whether the model normalises its input.
    pub normalisation: Normalisation,
}

/// A version of ONNX's operators; 17 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opset(u32);

/// Images that are run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Batch {
    /// As many as are given; the dimension is called `batch`.
    #[default]
    Dynamic,
    /// Always so many.
    Fixed(u32),
}

/// What becomes of the batch norms that follow convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BatchNorm {
    /// Each is folded into its convolution, in float64, and the weights are rounded once.
    #[default]
    Folded,
    /// Nodes of their own, with the weights as they were.
    Kept,
}

/// What the model's input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalisation {
    /// `(value / 255 - mean) / std`.
    #[default]
    Outside,
    /// Values from 0 to 255; the model begins with the normalisation.
    Inside,
}

/// Why a network was not written.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum OnnxError {
    /// Operators of a version that the model does not keep to.
    #[error(
        "opset {asked} is not one that is written; allowed: {} to {}",
        Opset::ALLOWED.start(),
        Opset::ALLOWED.end()
    )]
    Opset {
        /// The version.
        asked: u32,
    },
    /// More bytes than a message may have.
    #[error(
        "the model would have {bytes} bytes, and ONNX keeps to less than {limit}; export a smaller network"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The first size that is too large.
        limit: usize,
    },
    /// Weights that the network has not.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl Opset {
    /// Between these, the operators that a model has mean the same.
    pub const ALLOWED: RangeInclusive<u32> = 13..=22;

    /// This version.
    ///
    /// # Errors
    /// [`OnnxError::Opset`] for one that is not [allowed](Self::ALLOWED).
    pub fn new(version: u32) -> Result<Self, OnnxError> {
        match Self::ALLOWED.contains(&version) {
            true => Ok(Self(version)),
            false => Err(OnnxError::Opset { asked: version }),
        }
    }

    /// Its number.
    pub fn version(self) -> u32 {
        self.0
    }

    /// The format's version that came with these operators, so that old runtimes read the file.
    pub(crate) fn ir_version(self) -> i64 {
        match self.0 {
            ..15 => 7,
            15..19 => 8,
            19..21 => 9,
            21.. => 10,
        }
    }
}

impl Default for Opset {
    fn default() -> Self {
        Self(17)
    }
}
