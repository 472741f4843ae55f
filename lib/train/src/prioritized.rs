//! The board of prioritized paths with what the matching network needs of each: probe images and soft labels.

use crate::TrainError;
use crate::matching::Probe;
use candle_core::Tensor;
use cream_arch::{Admission, Board, BoardEntry, Candidate, Entry, Path};
use std::collections::BTreeMap;

/// A board whose entries keep probes, in the same order.
#[derive(Clone, Debug)]
pub struct PrioritizedPaths {
    board: Board,
    probes: Vec<Probe>,
}

impl PrioritizedPaths {
    /// An empty board.
    pub fn new(capacity: usize) -> Self {
        Self { board: Board::new(capacity), probes: Vec::new() }
    }

    /// The board.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The entries' probes, in the order of the board's entries.
    pub fn probes(&self) -> Vec<&Probe> {
        self.probes.iter().collect()
    }

    /// The path of the best-ranked entry.
    pub fn best(&self) -> Option<&Path> {
        self.board.ranked().first().map(|entry| &entry.path)
    }

    /// Offers a path; one that enters, or is there, keeps the probe that `probe` makes.
    ///
    /// # Errors
    /// What `probe` fails with.
    pub fn offer(
        &mut self,
        candidate: Candidate,
        probe: impl FnOnce() -> Result<Probe, TrainError>,
    ) -> Result<Admission, TrainError> {
        let admission = self.board.offer(candidate);
        match admission {
            Admission::Rejected => {}
            Admission::Inserted { .. } => self.probes.push(probe()?),
            Admission::Updated { index } | Admission::Replaced { index } => {
                self.probes[index] = probe()?
            }
        }
        Ok(admission)
    }

    /// Gives every entry its validation score, in the order of entries.
    pub fn set_validation_scores(&mut self, scores: &[f64]) {
        for (entry, &score) in self.board.entries.iter_mut().zip(scores) {
            entry.validation_score = Some(score);
        }
    }

    /// Entries in their order and probe tensors by name, for a checkpoint.
    pub fn state(&self) -> (Vec<BoardEntry>, BTreeMap<String, Tensor>) {
        let entries = self.board.entries.iter().map(BoardEntry::from).collect();
        let tensors = self.probes.iter().enumerate().flat_map(|(i, probe)| {
            [
                (format!("{i}/images"), probe.images.clone()),
                (format!("{i}/soft_labels"), probe.soft_labels.clone()),
            ]
        });
        (entries, tensors.collect())
    }

    /// Takes up a state again.
    ///
    /// # Errors
    /// Names a probe that is missing, or says that there are too many entries.
    pub fn restore(
        capacity: usize,
        entries: &[BoardEntry],
        tensors: &BTreeMap<String, Tensor>,
    ) -> Result<Self, String> {
        let tensor =
            |name: String| tensors.get(&name).cloned().ok_or(format!("probe {name} is missing"));
        let probe = |i: usize| -> Result<Probe, String> {
            Ok(Probe {
                images: tensor(format!("{i}/images"))?,
                soft_labels: tensor(format!("{i}/soft_labels"))?,
            })
        };
        if entries.len() > capacity {
            return Err(format!("its board has {} entries of {capacity}", entries.len()));
        }
        let probes = (0..entries.len()).map(probe).collect::<Result<_, _>>()?;
        let entries = entries.iter().map(|e| Entry {
            path: e.path.clone(),
            flops: e.flops,
            params: e.params,
            batch_score: e.batch_top1,
            validation_score: e.validation_top1,
            step: e.step,
        });
        Ok(Self { board: Board { capacity, entries: entries.collect() }, probes })
    }
}
