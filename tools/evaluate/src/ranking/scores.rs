//! Scores of the same paths, alone and with inherited weights.

use std::collections::HashMap;

use anyhow::{Context, anyhow, bail};
use cream_arch::Path;
use cream_cli::{Failure, OrFail, read_text};
use serde::Deserialize;

const MAX_BYTES: u64 = 64 << 20;

/// What is read of a line, as evaluate prints it.
#[derive(Clone, Deserialize)]
struct Line {
    path: Path,
    flops: u64,
    top1: f64,
    loss: f64,
    images: u64,
}

/// One ranking: of each path its scores, in the order of the paths. More is better in both.
pub struct Ranking {
    /// Share of images that are right.
    pub top1: Vec<f64>,
    /// Loss, negative.
    pub likelihood: Vec<f64>,
}

/// A search whose rankings are compared.
pub struct Search {
    /// As given.
    pub name: String,
    /// One for each of its runs.
    pub runs: Vec<Ranking>,
}

/// Everything that is compared.
pub struct Scores {
    /// FLOPs as published, by path.
    pub flops: Vec<f64>,
    /// Images that a network was scored on.
    pub images: u64,
    /// By seed, each network having been trained alone.
    pub alone: Vec<Ranking>,
    /// By search, in the order of the command line.
    pub searches: Vec<Search>,
}

/// Reads the files of the command line: of `alone` one for each seed, of `inherited` a name and a file each.
///
/// # Errors
/// [`Failure::Input`], naming file and line, for what are no such scores, or not of the same paths.
pub fn read(alone: &[String], inherited: &[(String, String)]) -> Result<Scores, Failure> {
    let Some(first) = alone.first() else { return Err(Failure::input("--alone: give a file")) };
    let lines = lines(first).or_input()?;
    let paths: Vec<Path> = lines.iter().map(|line| line.path.clone()).collect();
    if paths.len() < 3 {
        return Err(Failure::input(format!(
            "{first}: holds {} paths; rank 3 or more",
            paths.len()
        )));
    }
    let rankings = alone.iter().map(|file| ranking(file, first, &paths));
    let mut scores = Scores {
        flops: lines.iter().map(|line| line.flops as f64).collect(),
        images: lines[0].images,
        alone: rankings.collect::<Result<_, _>>().or_input()?,
        searches: Vec::new(),
    };
    for (name, file) in inherited {
        let run = ranking(file, first, &paths).or_input()?;
        match scores.searches.iter_mut().find(|search| search.name == *name) {
            Some(search) => search.runs.push(run),
            None => scores.searches.push(Search { name: name.clone(), runs: vec![run] }),
        }
    }
    Ok(scores)
}

/// The lines of a file, of a path that comes twice the first.
fn lines(file: &str) -> anyhow::Result<Vec<Line>> {
    let text = read_text(file, MAX_BYTES).map_err(Failure::into_error)?;
    let mut seen = std::collections::HashSet::new();
    let mut lines = Vec::new();
    for (number, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let what = || format!("{file}: line {}", number + 1);
        let line: Line = serde_json::from_str(text)
            .map_err(|error| {
                anyhow!("{error}; give lines as evaluate prints them with --format json")
            })
            .with_context(what)?;
        if !(line.top1.is_finite() && line.loss.is_finite()) {
            return Err(anyhow!("a score is no number; train that network again"))
                .with_context(what);
        }
        if seen.insert(line.path.clone()) {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// The scores of a file in the order of the paths.
fn ranking(file: &str, first: &str, paths: &[Path]) -> anyhow::Result<Ranking> {
    let lines = lines(file)?;
    if let Some(line) = lines.iter().find(|line| !paths.contains(&line.path)) {
        bail!(
            "{file}: scores path {}, which {first} does not; give scores of the same paths",
            line.path
        );
    }
    let by_path: HashMap<&Path, &Line> = lines.iter().map(|line| (&line.path, line)).collect();
    let mut ranking = Ranking { top1: Vec::new(), likelihood: Vec::new() };
    for path in paths {
        let Some(line) = by_path.get(path) else {
            bail!(
                "{file}: has no score of path {path}, which {first} has; give scores of the same paths"
            );
        };
        ranking.top1.push(line.top1);
        ranking.likelihood.push(-line.loss);
    }
    Ok(ranking)
}
