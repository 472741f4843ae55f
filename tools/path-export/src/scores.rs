//! Paths of a supernet with their scores, as evaluate prints them.

use std::collections::HashSet;

use anyhow::{Context, anyhow};
use cream_arch::{BoardEntry, BoardFile, Convention, Cost, Path};
use cream_cli::{Failure, OrFail, read_text};
use serde::Deserialize;

use crate::MAX_BYTES;

/// The split that paths are chosen by.
const SPLIT: &str = "search-val";

/// What is read of a line; the rest of it is for people.
#[derive(Deserialize)]
struct Line {
    path: Path,
    flops: u64,
    split: String,
    top1: f64,
}

/// The scored paths on a file or standard input as entries of the board whose supernet scored them,
/// best first; of a path that comes twice the first.
///
/// # Errors
/// [`Failure::Input`], naming the line, for what is no such path or was scored on other images.
pub fn read(file: &str, board: &BoardFile) -> Result<Vec<BoardEntry>, Failure> {
    let text = read_text(file, MAX_BYTES)?;
    let what = if file == "-" { "standard input" } else { file };
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let entry = entry(line, board).with_context(|| format!("{what}: line {}", number + 1));
        let entry = entry.or_input()?;
        if seen.insert(entry.path.clone()) {
            entries.push(entry);
        }
    }
    if entries.is_empty() {
        return Err(Failure::input(format!(
            "{what}: holds no scores; evaluate --supernet RUN --arch PATHS prints them"
        )));
    }
    entries.sort_by(|a, b| {
        let by_score =
            b.validation_top1.unwrap_or(0.0).total_cmp(&a.validation_top1.unwrap_or(0.0));
        by_score.then(a.flops.cmp(&b.flops)).then_with(|| a.path.cmp(&b.path))
    });
    Ok(entries)
}

fn entry(line: &str, board: &BoardFile) -> anyhow::Result<BoardEntry> {
    let Line { path, flops, split, top1 } = serde_json::from_str(line)
        .map_err(|error| anyhow!("{error}; give lines as evaluate --supernet prints them"))?;
    if split != SPLIT {
        return Err(anyhow!(
            "scored on split {split}, by which no path may be chosen; score with --split {SPLIT}"
        ));
    }
    let network = board.space.architecture(&path, board.image_size, board.num_classes)?;
    if !board.shape().holds(&path) {
        return Err(anyhow!("path {path} is none of that supernet; give the run that scored it"));
    }
    let cost = Cost::of(&network);
    let counted = cost.flops(Convention::Published);
    if flops != counted {
        return Err(anyhow!("flops is {flops}; the path counts {counted}"));
    }
    if !(0.0..=1.0).contains(&top1) {
        return Err(anyhow!("top1 is {top1}; a share is 0 to 1"));
    }
    let (flops, params) = (counted, cost.params());
    Ok(BoardEntry { path, flops, params, batch_top1: 0.0, validation_top1: Some(top1), step: 0 })
}
