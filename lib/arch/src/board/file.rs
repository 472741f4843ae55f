//! `board.json`: what a search leaves of its board.

use serde::{Deserialize, Serialize};

use super::{Board, Entry};
use crate::{
    ArchError, Architecture, Convention, Cost, FlopsInterval, Path, Provenance, Shape, Source,
    Space, header, json,
};

const MAX_ENTRIES: usize = 10_000;

/// The board of a search with all that is needed to rebuild its networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardFile {
    /// Says that the file is a board.
    pub format: BoardTag,
    /// Version of the format; 1.
    pub version: u32,
    /// The whole search space.
    pub space: Space,
    /// Layers per searched stage of the supernet.
    pub depths: Vec<usize>,
    /// Layers per searched stage that a path has at least; all of them where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_depths: Option<Vec<usize>>,
    /// Side of the square input in pixels.
    pub image_size: usize,
    /// Outputs of the classifier.
    pub num_classes: usize,
    /// Limits of the search.
    pub interval: FlopsInterval,
    /// Seed of the search.
    pub seed: u64,
    /// Best first.
    pub entries: Vec<BoardEntry>,
}

/// The word `cream-board`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum BoardTag {
    /// The only value.
    #[default]
    #[serde(rename = "cream-board")]
    Board,
}

/// One path with its costs, as raw counts, and scores, 0..1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardEntry {
    /// Choice index per layer of each searched stage.
    pub path: Path,
    /// FLOPs as published.
    pub flops: u64,
    /// Parameters.
    pub params: u64,
    /// Training batch's top-1 with inherited weights.
    pub batch_top1: f64,
    /// Search-validation top-1 with inherited weights; null before the first scoring.
    pub validation_top1: Option<f64>,
    /// Step of the search that gave the batch score.
    pub step: u64,
}

impl From<&Entry> for BoardEntry {
    fn from(entry: &Entry) -> Self {
        Self {
            path: entry.path.clone(),
            flops: entry.flops,
            params: entry.params,
            batch_top1: entry.batch_score,
            validation_top1: entry.validation_score,
            step: entry.step,
        }
    }
}

impl BoardFile {
    /// The file of a board.
    pub fn new(
        board: &Board,
        space: Space,
        shape: Shape,
        num_classes: usize,
        interval: FlopsInterval,
        seed: u64,
    ) -> Self {
        let elastic = shape.is_elastic();
        let Shape { image_size, depths, min_depths } = shape;
        let min_depths = elastic.then_some(min_depths);
        let entries = board.ranked().into_iter().map(BoardEntry::from).collect();
        let format = BoardTag::Board;
        Self {
            format,
            version: 1,
            space,
            depths,
            min_depths,
            image_size,
            num_classes,
            interval,
            seed,
            entries,
        }
    }

    /// What the supernet was trained at.
    pub fn shape(&self) -> Shape {
        let depths = self.depths.clone();
        let min_depths = self.min_depths.clone().unwrap_or_else(|| depths.clone());
        Shape { image_size: self.image_size, depths, min_depths }
    }

    /// Reads and validates a board; errors name the JSON path.
    pub fn from_json(text: &str) -> Result<Self, ArchError> {
        let file: Self = json::parse(text, header::BOARD)?;
        file.validate()?;
        Ok(file)
    }

    /// The file, one entry per line, ending in a newline.
    pub fn to_json(&self) -> String {
        json::pretty(self)
    }

    /// The network of one of the entries, with where it came from. `run` names the run or file for
    /// people.
    pub fn architecture(
        &self,
        entry: &BoardEntry,
        run: Option<String>,
    ) -> Result<Architecture, ArchError> {
        let mut network =
            self.space.architecture(&entry.path, self.image_size, self.num_classes)?;
        network.provenance = Some(Provenance {
            space: Some(self.space.name.clone()),
            path: Some(entry.path.clone()),
            run,
            seed: Some(self.seed),
            step: Some(entry.step),
            batch_top1: Some(entry.batch_top1),
            validation_top1: entry.validation_top1,
            flops: Some(entry.flops),
            params: Some(entry.params),
            ..Provenance::from(Source::Search)
        });
        Ok(network)
    }

    /// The entries that no cheaper or equally cheap one matches in score, cheapest first. Scores
    /// are validation top-1; batch top-1 only where no entry has the former.
    pub fn pareto<'a>(&self, entries: &[&'a BoardEntry]) -> Vec<&'a BoardEntry> {
        let validated = entries.iter().any(|entry| entry.validation_top1.is_some());
        let score = |entry: &BoardEntry| {
            if validated { entry.validation_top1 } else { Some(entry.batch_top1) }
        };
        let mut scored: Vec<(f64, &BoardEntry)> =
            entries.iter().filter_map(|&entry| Some((score(entry)?, entry))).collect();
        scored.sort_by(|(a, x), (b, y)| x.flops.cmp(&y.flops).then(b.total_cmp(a)));
        let mut best = f64::NEG_INFINITY;
        scored.retain(|&(score, _)| {
            let better = score > best;
            best = best.max(score);
            better
        });
        scored.into_iter().map(|(_, entry)| entry).collect()
    }

    fn validate(&self) -> Result<(), ArchError> {
        header::BOARD.check(self.version)?;
        self.space.validate().map_err(|error| error.inside("space"))?;
        self.space.check_shape(&self.shape())?;
        self.interval.validate().map_err(|error| error.inside("interval"))?;
        // Size and classes by any of the paths, so that an error about them does not speak of an entry.
        let cheap = Path(self.depths.iter().map(|&layers| vec![0; layers]).collect());
        self.space.architecture(&cheap, self.image_size, self.num_classes)?;
        if self.entries.len() > MAX_ENTRIES {
            let found = format!("a list of {}", self.entries.len());
            return Err(ArchError::value("entries", found, format!("at most {MAX_ENTRIES}")));
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let at = format!("entries[{index}]");
            self.validate_entry(entry).map_err(|error| error.inside(&at))?;
        }
        Ok(())
    }

    /// The costs stated must be those that the path counts, or a limit would select wrongly.
    fn validate_entry(&self, entry: &BoardEntry) -> Result<(), ArchError> {
        let network = self.space.architecture(&entry.path, self.image_size, self.num_classes)?;
        if !self.shape().holds(&entry.path) {
            let depths = &self.depths;
            let allowed = match &self.min_depths {
                Some(least) => format!("{least:?} to {depths:?} layers"),
                None => format!("{depths:?} layers"),
            };
            return Err(ArchError::value("path", &entry.path, allowed));
        }
        let cost = Cost::of(&network);
        let counted = cost.flops(Convention::Published);
        if entry.flops != counted {
            return Err(ArchError::value(
                "flops",
                entry.flops,
                format!("{counted}, which the path counts"),
            ));
        }
        if entry.params != cost.params() {
            let allowed = format!("{}, which the path counts", cost.params());
            return Err(ArchError::value("params", entry.params, allowed));
        }
        let scores =
            [("batch_top1", Some(entry.batch_top1)), ("validation_top1", entry.validation_top1)];
        for (key, score) in scores {
            if let Some(score) = score.filter(|score| !(0.0..=1.0).contains(score)) {
                return Err(ArchError::number(key, score, "0 to 1"));
            }
        }
        Ok(())
    }
}
