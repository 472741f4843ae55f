//! `manifest.json`: what a run has written, with sizes and checksums.
//!
//! A checkpoint counts once the manifest names it. It is written before the manifest and removed after it, so that
//! a run that is killed anywhere between leaves a manifest whose files are all there.

use crate::TrainError;
use cream_data::shards::checksum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Component, Path};

/// The manifest's name in a run's folder.
pub(crate) const MANIFEST: &str = "manifest.json";

const FORMAT: &str = "cream-run";
const VERSION: u32 = 1;
/// A manifest has a line for each of a few files.
const MOST_BYTES: u64 = 1 << 24;

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

    /// Says what differs in `content`.
    pub(crate) fn check(&self, content: &[u8]) -> Result<(), String> {
        if content.len() as u64 != self.bytes {
            return Err(format!(
                "has {} bytes, {MANIFEST} says {}: it is damaged",
                content.len(),
                self.bytes
            ));
        }
        let found = checksum::of_bytes(content);
        if found != self.sha256 {
            return Err(format!(
                "has SHA-256 {}..., {MANIFEST} says {}...: it is damaged",
                &found[..12],
                self.sha256.get(..12).unwrap_or(&self.sha256)
            ));
        }
        Ok(())
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
    pub(crate) fn of(file: FileEntry, step: u64, epoch: usize, score: Option<f64>) -> Self {
        let FileEntry { file, bytes, sha256 } = file;
        Self { file, bytes, sha256, step, epoch, score }
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
        let mut bytes = Vec::new();
        let read = fs::File::open(&path)
            .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(TrainError::io(&path))?,
        };
        match Self::parse(&bytes) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(reason) => Err(TrainError::Manifest { path, reason }),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MOST_BYTES {
            return Err(format!("more than {MOST_BYTES} bytes"));
        }
        // Before the rest: another version may have other keys.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if (head.format.as_str(), head.version) != (FORMAT, VERSION) {
            return Err(format!(
                "is {} version {}; this program reads {FORMAT} version {VERSION}",
                head.format, head.version
            ));
        }
        let mut manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        manifest.checkpoints.sort_by_key(|entry| entry.step);
        for FileEntry { file, .. } in manifest.files() {
            // The names are joined to the folder's.
            let mut parts = Path::new(&file).components();
            if !parts.all(|part| matches!(part, Component::Normal(_))) {
                return Err(format!("names {file}, which is not in the run's folder"));
            }
        }
        Ok(manifest)
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

    /// Adds a checkpoint and takes out those that need not be kept: all but the `newest` last and, by score, the `best`
    /// first. Of equal scores the earlier is the better. Returns the files taken out.
    pub(crate) fn admit(
        &mut self,
        entry: CheckpointEntry,
        newest: usize,
        best: usize,
    ) -> Vec<String> {
        self.checkpoints.retain(|other| other.step != entry.step);
        self.checkpoints.push(entry);
        self.checkpoints.sort_by_key(|entry| entry.step);
        let mut ranked: Vec<(f64, u64)> = self
            .checkpoints
            .iter()
            .filter_map(|entry| entry.score.map(|score| (score, entry.step)))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let last = self.checkpoints.iter().rev().take(newest.max(1)).map(|entry| entry.step);
        let kept: BTreeSet<u64> =
            last.chain(ranked.into_iter().take(best).map(|(_, step)| step)).collect();
        let (keep, out) = self.checkpoints.drain(..).partition(|entry| kept.contains(&entry.step));
        self.checkpoints = keep;
        let out: Vec<CheckpointEntry> = out;
        out.into_iter().map(|entry| entry.file).collect()
    }
}

/// Checks the content of a file of a run against the run's manifest; true if that names the file. A file that no run's
/// folder holds, or that its manifest does not name, cannot be checked.
///
/// # Errors
/// [`TrainError::Damaged`] when the content is not what the run wrote, [`TrainError::Manifest`] for a manifest that
/// cannot be read.
pub fn check_against_manifest(path: &Path, content: &[u8]) -> Result<bool, TrainError> {
    let absolute = std::path::absolute(path).map_err(TrainError::io(path))?;
    // A result lies in the run's folder, a checkpoint one below.
    for root in absolute.ancestors().skip(1).take(2) {
        let Ok(name) = absolute.strip_prefix(root) else { continue };
        let Some(manifest) = Manifest::read(root)? else { continue };
        let Some(entry) = manifest.files().find(|entry| Path::new(&entry.file) == name) else {
            continue;
        };
        let damaged = |reason| TrainError::Damaged { path: path.to_owned(), reason };
        return entry.check(content).map(|()| true).map_err(damaged);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: u64, score: Option<f64>) -> CheckpointEntry {
        let file = FileEntry::of(&format!("checkpoints/{step}"), b"");
        CheckpointEntry::of(file, step, 0, score)
    }

    fn steps(manifest: &Manifest) -> Vec<u64> {
        manifest.checkpoints.iter().map(|entry| entry.step).collect()
    }

    #[test]
    fn the_last_and_the_best_are_kept() {
        let mut manifest = Manifest::default();
        let scores = [None, Some(0.5), None, Some(0.7), None, Some(0.7), Some(0.6), None];
        let mut out = Vec::new();
        for (step, score) in (1..).zip(scores) {
            out.extend(manifest.admit(entry(step, score), 2, 1));
        }
        assert_eq!(steps(&manifest), [4, 7, 8]);
        assert_eq!(out.len(), 5);
        manifest.admit(entry(9, Some(0.9)), 1, 0);
        assert_eq!(steps(&manifest), [9]);
    }

    #[test]
    fn a_checkpoint_written_again_replaces_itself() {
        let mut manifest = Manifest::default();
        manifest.admit(entry(3, None), 2, 1);
        assert!(manifest.admit(entry(3, Some(0.5)), 2, 1).is_empty());
        assert_eq!(steps(&manifest), [3]);
    }

    #[test]
    fn what_it_writes_it_reads_and_nothing_else() {
        let mut manifest = Manifest::default();
        manifest.admit(entry(3, Some(0.1)), 2, 1);
        manifest.results.push(FileEntry::of("board.json", b"{}"));
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
        let text = String::from_utf8(bytes).unwrap();
        let refusal = |from: &str, to: &str| {
            assert!(text.contains(from), "{text}");
            Manifest::parse(text.replace(from, to).as_bytes()).unwrap_err()
        };
        assert!(refusal("\"version\": 1", "\"version\": 2").contains("reads cream-run version 1"));
        assert!(refusal("\"board.json\"", "\"../board.json\"").contains("../board.json"));
        assert!(refusal("\"results\"", "\"others\"").contains("others"));
        assert!(Manifest::parse(&text.as_bytes()[..40]).is_err());
    }

    #[test]
    fn content_is_checked_by_length_and_sum() {
        let entry = FileEntry::of("board.json", b"abc");
        assert_eq!(entry.check(b"abc"), Ok(()));
        assert!(entry.check(b"ab").unwrap_err().contains("has 2 bytes, manifest.json says 3"));
        assert!(entry.check(b"abd").unwrap_err().contains("SHA-256"));
    }
}
