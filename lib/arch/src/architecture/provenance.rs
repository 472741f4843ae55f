//! Where a network came from.

use serde::{Deserialize, Serialize};

use crate::Path;

/// Where a network came from. Costs are raw counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// What chose the path.
    pub source: Source,
    /// Name of the search space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// Choice index per layer of each searched stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// Run directory or board file that the path was exported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Seed of the search, of the sampling or of the evolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Number of a sampled path or of a child under that seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Step of the search at which the path was last offered to the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Training batch's top-1 with inherited weights, 0..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_top1: Option<f64>,
    /// Search-validation top-1 with inherited weights, 0..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_top1: Option<f64>,
    /// FLOPs as published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops: Option<u64>,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<u64>,
    /// SHA-256 of the supernet's weights file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supernet_sha256: Option<String>,
}

/// What chose a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A published network or baseline, by name.
    Published,
    /// The board of a search.
    Search,
    /// Random sampling inside a FLOPs interval.
    Sample,
    /// Index lists given by a person.
    Lists,
    /// A list of paths that were scored with a search's weights.
    Scores,
    /// Crossover or mutation of such paths.
    Evolution,
}

impl From<Source> for Provenance {
    /// Nothing known but what chose the path.
    fn from(source: Source) -> Self {
        Self {
            source,
            space: None,
            path: None,
            run: None,
            seed: None,
            index: None,
            step: None,
            batch_top1: None,
            validation_top1: None,
            flops: None,
            params: None,
            supernet_sha256: None,
        }
    }
}
