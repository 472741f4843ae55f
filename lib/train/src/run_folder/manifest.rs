//! `manifest.json`: what a run has written, with sizes and checksums.
//!
//! A checkpoint counts once the manifest names it. It is written before the manifest and removed after it, so that
//! a run that is killed anywhere between leaves a manifest whose files are all there.

use super::{CHECKPOINTS, Place, RESULTS, Retention};
use crate::TrainError;
use cream_data::shards::checksum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The manifest's name in a run's folder.
pub(crate) const MANIFEST: &str = "manifest.json";

const FORMAT: &str = "cream-run";
const VERSION: u32 = 1;
/// A manifest has a line for each of a few files.
const MOST_BYTES: u64 = 1 << 24;
const ANEW: &str =
    "use the program that wrote it, bring the right one back, or start anew with --resume never";

/// A file with what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileEntry {
    /// Relative to the run's folder.
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
}

impl FileEntry {
    pub(crate) fn of(file: &str, content: &[u8]) -> Self {
        let (bytes, sha256) = (content.len() as u64, checksum::of_bytes(content));
        Self { file: file.to_owned(), bytes, sha256 }
    }

    /// Says that so many bytes are not as many as they were.
    pub(crate) fn check_length(&self, bytes: u64) -> Result<(), String> {
        if bytes == self.bytes {
            return Ok(());
        }
        Err(format!("has {bytes} bytes, {MANIFEST} says {}: it is damaged", self.bytes))
    }

    /// Says what differs in `content`.
    pub(crate) fn check(&self, content: &[u8]) -> Result<(), String> {
        self.check_length(content.len() as u64)?;
        let found = checksum::of_bytes(content);
        if found == self.sha256 {
            return Ok(());
        }
        let short = |sum: &str| sum.chars().take(12).collect::<String>();
        Err(format!(
            "has SHA-256 {}..., {MANIFEST} says {}...: it is damaged",
            short(&found),
            short(&self.sha256)
        ))
    }
}

/// A checkpoint with its place in the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointEntry {
    /// Relative to the run's folder.
    pub file: String,
    bytes: u64,
    sha256: String,
    /// Steps taken.
    pub step: u64,
    /// Epochs done.
    pub epoch: usize,
    /// Validation top-1 of the weights at that time, at the end of an epoch that was evaluated.
    pub score: Option<f64>,
}

impl CheckpointEntry {
    pub(crate) fn of(file: FileEntry, place: &Place) -> Self {
        let FileEntry { file, bytes, sha256 } = file;
        let Place { step, epoch, score, .. } = *place;
        Self { file, bytes, sha256, step, epoch, score }
    }

    /// Whether the file's name is that of its step.
    fn is_named_after_its_step(&self) -> bool {
        let Self { step, epoch, score, .. } = *self;
        [false, true]
            .iter()
            .any(|&unscored| Place { step, epoch, unscored, score }.file() == self.file)
    }

    pub(crate) fn content(&self) -> FileEntry {
        let Self { file, bytes, sha256, .. } = self.clone();
        FileEntry { file, bytes, sha256 }
    }
}

/// The manifest of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: String,
    version: u32,
    /// By step.
    pub checkpoints: Vec<CheckpointEntry>,
    /// What the finished run leaves; named before it is written.
    pub results: Vec<FileEntry>,
}

impl Default for Manifest {
    fn default() -> Self {
        let (checkpoints, results) = (Vec::new(), Vec::new());
        Self { format: FORMAT.to_owned(), version: VERSION, checkpoints, results }
    }
}

impl Manifest {
    /// Reads the manifest of the run in `root`; `None` where there is none.
    pub(crate) fn read(root: &Path) -> Result<Option<Self>, TrainError> {
        let path = root.join(MANIFEST);
        let Some(bytes) = read_bytes(&path)? else { return Ok(None) };
        let unusable = |reason| TrainError::Manifest { path: path.clone(), reason };
        match Self::parse(&bytes).map_err(|reason| unusable(format!("{reason}; {ANEW}")))? {
            Some(manifest) => Ok(Some(manifest)),
            None => Err(unusable("is not a run's; give another --out".to_owned())),
        }
    }

    /// `None` for JSON that is something else.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        if bytes.len() as u64 > MOST_BYTES {
            return Err(format!("more than {MOST_BYTES} bytes"));
        }
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if value["format"] != FORMAT {
            return Ok(None);
        }
        // Before the rest: another version may have other keys.
        if value["version"] != VERSION {
            let found = &value["version"];
            return Err(format!(
                "is {FORMAT} version {found}; this program reads version {VERSION}"
            ));
        }
        let manifest: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        manifest.check()?;
        Ok(Some(manifest))
    }

    /// Names are joined to the folder's, and what they name may be removed: they must be a run's.
    fn check(&self) -> Result<(), String> {
        let odd = self.checkpoints.iter().find(|entry| !entry.is_named_after_its_step());
        if let Some(entry) = odd {
            return Err(format!("names {:?} as the checkpoint of step {}", entry.file, entry.step));
        }
        if !self.checkpoints.is_sorted_by(|a, b| a.step < b.step) {
            return Err("its checkpoints are not in the order of their steps".to_owned());
        }
        let odd = self.results.iter().find(|entry| !RESULTS.contains(&entry.file.as_str()));
        if let Some(entry) = odd {
            return Err(format!("names {:?} as a result", entry.file));
        }
        let is_sum = |sum: &str| sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit());
        match self.files().find(|entry| !is_sum(&entry.sha256)) {
            Some(entry) => Err(format!("has no SHA-256 for {}", entry.file)),
            None => Ok(()),
        }
    }

    fn files(&self) -> impl Iterator<Item = FileEntry> {
        let checkpoints = self.checkpoints.iter().map(CheckpointEntry::content);
        checkpoints.chain(self.results.iter().cloned())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Plain data with string keys always serialises.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Adds a checkpoint and takes out those that need not be kept: all but the newest and, by score, the best. Of equal
    /// scores the earlier is the better. Returns the files taken out.
    pub(crate) fn admit(&mut self, entry: CheckpointEntry, retention: Retention) -> Vec<String> {
        let added = entry.file.clone();
        let step = entry.step;
        let (same, mut all): (Vec<_>, Vec<_>) =
            self.checkpoints.drain(..).partition(|other| other.step == step);
        all.push(entry);
        all.sort_by_key(|entry| entry.step);
        let mut ranked: Vec<(f64, u64)> =
            all.iter().filter_map(|e| e.score.map(|score| (score, e.step))).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let newest = all.iter().rev().take(retention.newest.max(1)).map(|entry| entry.step);
        let best = ranked.iter().take(retention.best).map(|&(_, step)| step);
        let kept: BTreeSet<u64> = newest.chain(best).collect();
        let (keep, mut out): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|entry| kept.contains(&entry.step));
        self.checkpoints = keep;
        out.extend(same);
        out.into_iter().map(|entry| entry.file).filter(|file| *file != added).collect()
    }
}

fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, TrainError> {
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TrainError::io(path)(error)),
    }
}

/// What the manifest of the run that holds a file says of it; `None` for a file that no manifest names.
///
/// # Errors
/// [`TrainError::Manifest`] for a run's manifest that cannot be read.
pub(crate) fn entry_of(path: &Path) -> Result<Option<FileEntry>, TrainError> {
    let absolute = std::path::absolute(path).map_err(TrainError::io(path))?;
    let Some(folder) = absolute.parent() else { return Ok(None) };
    // A result lies in the run's folder, a checkpoint one below.
    let is_checkpoint = folder.file_name().is_some_and(|name| name == CHECKPOINTS);
    let root = if is_checkpoint { folder.parent().unwrap_or(folder) } else { folder };
    let manifest = root.join(MANIFEST);
    let Some(bytes) = read_bytes(&manifest)? else { return Ok(None) };
    let parsed = Manifest::parse(&bytes).map_err(|reason| TrainError::Manifest {
        path: manifest,
        reason: format!("{reason}; copy the run again, or the file alone to another folder"),
    })?;
    let name = absolute.strip_prefix(root).unwrap_or(path);
    Ok(parsed.and_then(|m| m.files().find(|entry| Path::new(&entry.file) == name)))
}

/// Checks the content of a file of a run against the run's manifest; true if that names the file. A file that no run's
/// folder holds, or that its manifest does not name, cannot be checked.
///
/// # Errors
/// [`TrainError::Damaged`] when the content is not what the run wrote, [`TrainError::Manifest`] for a manifest that
/// cannot be read.
pub fn check_against_manifest(path: &Path, content: &[u8]) -> Result<bool, TrainError> {
    let Some(entry) = entry_of(path)? else { return Ok(false) };
    let damaged = |reason| TrainError::Damaged { path: path.to_owned(), reason };
    entry.check(content).map(|()| true).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: u64, score: Option<f64>, unscored: bool) -> CheckpointEntry {
        let place = Place { step, epoch: 0, unscored, score };
        CheckpointEntry::of(FileEntry::of(&place.file(), b""), &place)
    }

    fn steps(manifest: &Manifest) -> Vec<u64> {
        manifest.checkpoints.iter().map(|entry| entry.step).collect()
    }

    const TWO_AND_ONE: Retention = Retention { newest: 2, best: 1 };

    #[test]
    fn the_last_and_the_best_are_kept() {
        let mut manifest = Manifest::default();
        let scores = [None, Some(0.5), None, Some(0.7), None, Some(0.7), Some(0.6), None];
        let mut out = Vec::new();
        for (step, score) in (1..).zip(scores) {
            out.extend(manifest.admit(entry(step, score, false), TWO_AND_ONE));
        }
        assert_eq!(steps(&manifest), [4, 7, 8]);
        assert_eq!(out.len(), 5);
        manifest.admit(entry(9, Some(0.9), false), Retention { newest: 1, best: 0 });
        assert_eq!(steps(&manifest), [9]);
    }

    #[test]
    fn a_step_has_one_checkpoint() {
        let mut manifest = Manifest::default();
        assert!(manifest.admit(entry(3, None, true), TWO_AND_ONE).is_empty());
        assert!(manifest.admit(entry(3, None, true), TWO_AND_ONE).is_empty(), "the same again");
        let out = manifest.admit(entry(3, Some(0.5), false), TWO_AND_ONE);
        assert_eq!(out, ["checkpoints/step-000000003-unscored.safetensors"]);
        assert_eq!(steps(&manifest), [3]);
    }

    #[test]
    fn what_it_writes_it_reads_and_nothing_else() {
        let mut manifest = Manifest::default();
        manifest.admit(entry(3, Some(0.1), false), TWO_AND_ONE);
        manifest.admit(entry(4, None, true), TWO_AND_ONE);
        manifest.results.push(FileEntry::of("board.json", b"{}"));
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::parse(&bytes).unwrap().unwrap(), manifest);
        let text = String::from_utf8(bytes).unwrap();
        let with = |from: &str, to: &str| {
            assert!(text.contains(from), "{text}");
            Manifest::parse(text.replacen(from, to, 1).as_bytes())
        };
        for (from, to, said) in [
            ("\"version\": 1", "\"version\": 2", "version 2; this program reads version 1"),
            ("\"board.json\"", "\"../board.json\"", "../board.json"),
            ("\"board.json\"", "\"config.toml\"", "config.toml"),
            ("\"checkpoints/step-000000003.safetensors\"", "\"board.json\"", "of step 3"),
            ("\"checkpoints/step-000000003.safetensors\"", "\"\"", "of step 3"),
            ("\"step\": 3", "\"step\": 5", "of step 5"),
            ("\"results\"", "\"others\"", "others"),
            ("\"sha256\": \"", "\"sha256\": \"x", "no SHA-256"),
        ] {
            let error = with(from, to).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(Manifest::parse(&text.as_bytes()[..40]).is_err());
        // Somebody else's manifest.json.
        assert_eq!(with("cream-run", "web-app"), Ok(None));
        assert_eq!(Manifest::parse(b"[1, 2]"), Ok(None));
    }

    #[test]
    fn content_is_checked_by_length_and_sum() {
        let entry = FileEntry::of("board.json", b"abc");
        assert_eq!(entry.check(b"abc"), Ok(()));
        assert!(entry.check(b"ab").unwrap_err().contains("has 2 bytes, manifest.json says 3"));
        assert!(entry.check(b"abd").unwrap_err().contains("SHA-256"));
    }
}
