//! The board of prioritized paths: which paths stay, in what order. Plain data; the images and
//! labels kept with an entry are the trainer's.

mod file;

use std::cmp::Ordering;

use crate::Path;

pub use file::{BoardEntry, BoardFile, BoardTag};

/// A costlier path must beat the worst entry by this much top-1: five points.
const MARGIN: f64 = 0.05;
/// Scores are fractions of a batch; a difference below this is rounding.
const ROUNDING: f64 = 1e-9;

/// At most `capacity` distinct paths, in the order in which they took their places.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// Entries held at most.
    pub capacity: usize,
    /// Entries held; an entry keeps its index until it leaves.
    pub entries: Vec<Entry>,
}

/// A path on the board.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The path.
    pub path: Path,
    /// FLOPs as published.
    pub flops: u64,
    /// Parameters.
    pub params: u64,
    /// Top-1 on the training batch it was last offered with, 0..1: decides admission.
    pub batch_score: f64,
    /// Top-1 on the search-validation split, 0..1, once scored: decides rank.
    pub validation_score: Option<f64>,
    /// Step of the search that gave the batch score.
    pub step: u64,
}

/// A path offered to the board after its training step.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The path.
    pub path: Path,
    /// FLOPs as published.
    pub flops: u64,
    /// Parameters.
    pub params: u64,
    /// Top-1 on the training batch, 0..1.
    pub batch_score: f64,
    /// Step of the search.
    pub step: u64,
}

/// What became of an offer; `index` is the place in `entries` whose probes are now the candidate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The board is as before.
    Rejected,
    /// The path was there and has the new score.
    Updated {
        /// Its place.
        index: usize,
    },
    /// The board was not full.
    Inserted {
        /// The new last place.
        index: usize,
    },
    /// The worst entry left.
    Replaced {
        /// The place it had.
        index: usize,
    },
}

impl Board {
    /// An empty board.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, entries: Vec::new() }
    }

    /// Offers a path. One that is there takes the new score, better or worse. A board that is not
    /// full admits any path; a full one a path whose score is at least 0.05 above the worst
    /// entry's, or above it at all while costing less than that entry.
    pub fn offer(&mut self, candidate: Candidate) -> Admission {
        if !candidate.batch_score.is_finite() || self.capacity == 0 {
            return Admission::Rejected;
        }
        let Candidate { path, flops, params, batch_score, step } = candidate;
        if let Some(index) = self.entries.iter().position(|entry| entry.path == path) {
            let entry = &mut self.entries[index];
            (entry.batch_score, entry.step) = (batch_score, step);
            return Admission::Updated { index };
        }
        let entry = Entry { path, flops, params, batch_score, validation_score: None, step };
        if self.entries.len() < self.capacity {
            self.entries.push(entry);
            return Admission::Inserted { index: self.entries.len() - 1 };
        }
        match self.worst() {
            Some(index) if entry.displaces(&self.entries[index]) => {
                self.entries[index] = entry;
                Admission::Replaced { index }
            }
            _ => Admission::Rejected,
        }
    }

    /// Place of the entry that leaves next: of the lowest batch score, and among equals the
    /// costliest, then the one scored last.
    pub fn worst(&self) -> Option<usize> {
        (0..self.entries.len()).min_by(|&a, &b| {
            let (a, b) = (&self.entries[a], &self.entries[b]);
            let by_score = a.batch_score.total_cmp(&b.batch_score);
            by_score.then(b.flops.cmp(&a.flops)).then(b.step.cmp(&a.step))
        })
    }

    /// Entries best first: by validation score where there is one, before all others by batch
    /// score; among equals the cheaper first.
    pub fn ranked(&self) -> Vec<&Entry> {
        let mut ranked: Vec<&Entry> = self.entries.iter().collect();
        ranked.sort_by(|a, b| a.rank(b));
        ranked
    }

    /// Operator prior that the board suggests: how often each choice occurs in its entries, plus
    /// one each so that none dies out, as fractions.
    pub fn prior(&self, choices: usize) -> Vec<f64> {
        let mut counts = vec![1.0; choices];
        for &choice in self.entries.iter().flat_map(|entry| entry.path.0.iter().flatten()) {
            if let Some(count) = counts.get_mut(choice) {
                *count += 1.0;
            }
        }
        let sum: f64 = counts.iter().sum();
        counts.into_iter().map(|count| count / sum).collect()
    }
}

impl Entry {
    fn displaces(&self, worst: &Entry) -> bool {
        let lead = self.batch_score - worst.batch_score;
        lead >= MARGIN - ROUNDING || (lead > ROUNDING && self.flops < worst.flops)
    }

    fn rank(&self, other: &Entry) -> Ordering {
        let by_validation = match (self.validation_score, other.validation_score) {
            (Some(a), Some(b)) => b.total_cmp(&a),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => other.batch_score.total_cmp(&self.batch_score),
        };
        by_validation.then(self.flops.cmp(&other.flops)).then_with(|| self.path.cmp(&other.path))
    }
}
