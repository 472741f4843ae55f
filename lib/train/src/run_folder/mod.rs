//! A run's folder: where its files are, who may write them, its manifest, its metrics, and its checkpoints.

mod begin;
mod lock;
mod manifest;
mod metrics;

pub use begin::{Found, Resume};
pub use manifest::check_against_manifest;
pub use metrics::Metrics;

use crate::TrainError;
use cream_data::files::{sync_folder_of, write_whole};
use cream_nn::TensorFile;
use lock::Lock;
use manifest::{CheckpointEntry, FileEntry, MANIFEST, Manifest};
use std::cell::RefCell;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The folder of one run, which nobody else can write while this exists.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    manifest: RefCell<Manifest>,
    /// Whether the manifest was read, rather than begun.
    manifest_was_there: bool,
    /// Files that state what the run is, written when it begins.
    statement: Vec<(String, Vec<u8>)>,
    lock: Lock,
}

/// How many checkpoints stay.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The newest.
    pub newest: usize,
    /// Those of the best validation scores.
    pub best: usize,
}

/// Where in a run a checkpoint is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Steps taken.
    pub step: u64,
    /// Epochs done.
    pub epoch: usize,
    /// All of an epoch's steps are taken, and it is still to be scored.
    pub unscored: bool,
    /// Validation top-1 now, right after an evaluation.
    pub score: Option<f64>,
}

impl Place {
    /// Checkpoints of one step before and after the scoring differ, and so do their names: one is never written over
    /// another that the manifest names.
    fn file(&self) -> String {
        let suffix = if self.unscored { "-unscored" } else { "" };
        format!("{CHECKPOINTS}/step-{:09}{suffix}.safetensors", self.step)
    }
}

const CHECKPOINTS: &str = "checkpoints";
const METRICS: &str = "metrics.csv";
const NON_FINITE: &str = "non-finite-step-";
/// What says by being there that a run is done.
const RESULTS: [&str; 4] =
    ["board.json", "supernet.safetensors", "model.safetensors", "model-raw.safetensors"];

impl RunFolder {
    /// Opens or creates the folder, for this process alone, and removes what killed processes left half-written.
    ///
    /// # Errors
    /// When it cannot be created or is in use, or, to resume by, its manifest cannot be read.
    pub fn open(root: impl Into<PathBuf>, resume: &Resume) -> Result<Self, TrainError> {
        let root = root.into();
        let unusable = |source| TrainError::Folder { path: root.clone(), source };
        // Of a file in its place the first says less than the second.
        fs::create_dir_all(&root)
            .or_else(|error| fs::read_dir(&root).map(drop).and(Err(error)))
            .map_err(unusable)?;
        sync_folder_of(&root).map_err(unusable)?;
        // Before anything in it is touched.
        let lock = Lock::take(&root)?;
        let checkpoints = root.join(CHECKPOINTS);
        fs::create_dir_all(&checkpoints).map_err(unusable)?;
        for folder in [&root, &checkpoints] {
            for path in list(folder)?.iter().filter(|path| is_temporary(path)) {
                remove(path)?;
            }
        }
        let manifest = match (Manifest::read(&root), resume) {
            (Err(error), Resume::Auto) => return Err(error),
            // Not needed.
            (Err(_), _) => None,
            (Ok(manifest), _) => manifest,
        };
        let manifest_was_there = manifest.is_some();
        let manifest = RefCell::new(manifest.unwrap_or_default());
        Ok(Self { root, manifest, manifest_was_there, statement: Vec::new(), lock })
    }

    /// With files that state what the run is: its settings, its network. They are written when the run begins.
    #[must_use]
    pub fn stating<'a>(mut self, files: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let files = files.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes()));
        self.statement.extend(files);
        self
    }

    /// What people must see to themselves because the system does not.
    pub fn warning(&self) -> Option<String> {
        (!self.lock.is_held()).then(|| {
            let root = self.root.display();
            format!("{root}: its file system cannot lock; see to it that no other run uses it")
        })
    }

    /// A file of the run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file of the run, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written; what was there before is still there.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        let path = self.file(name);
        write_whole(&path, |writer| writer.write_all(bytes)).map_err(TrainError::io(path))
    }

    /// Writes what the run leaves when it is done, in the order given; the last one says that all are there. The manifest
    /// names them first.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write_results(&self, results: &[(&str, Vec<u8>)]) -> Result<(), TrainError> {
        let entries = results.iter().map(|(name, bytes)| FileEntry::of(name, bytes)).collect();
        self.manifest.borrow_mut().results = entries;
        self.write_manifest()?;
        results.iter().try_for_each(|(name, bytes)| self.write(name, bytes))
    }

    fn write_manifest(&self) -> Result<(), TrainError> {
        self.write(MANIFEST, &self.manifest.borrow().to_bytes())
    }

    /// Lists the images of a batch whose step gave numbers that are not finite; returns the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_non_finite(&self, step: u64, rows: &str) -> Result<PathBuf, TrainError> {
        let name = format!("{NON_FINITE}{step:09}.csv");
        self.write(&name, rows.as_bytes())?;
        Ok(self.file(&name))
    }

    /// Writes a checkpoint and removes those that need not stay.
    ///
    /// # Errors
    /// When it cannot be written; the checkpoints before are still there.
    pub fn save_checkpoint(
        &self,
        place: Place,
        checkpoint: &TensorFile,
        retention: Retention,
    ) -> Result<PathBuf, TrainError> {
        let name = place.file();
        let bytes = checkpoint.to_bytes()?;
        self.write(&name, &bytes)?;
        let entry = CheckpointEntry::of(FileEntry::of(&name, &bytes), &place);
        let out = self.manifest.borrow_mut().admit(entry, retention);
        self.write_manifest()?;
        for file in out {
            remove(&self.file(&file))?;
        }
        Ok(self.file(&name))
    }

    /// The newest checkpoint's file.
    pub fn newest_checkpoint(&self) -> Option<PathBuf> {
        self.manifest.borrow().checkpoints.last().map(|entry| self.file(&entry.file))
    }

    /// What to do after a run broke down.
    pub fn advice(&self) -> String {
        match self.newest_checkpoint() {
            Some(file) => format!(
                "the last good checkpoint is {}; lower learning-rate and start anew, or go on from it with --skip-nonfinite N",
                file.display()
            ),
            None => "lower learning-rate and start anew, or give --skip-nonfinite N".to_owned(),
        }
    }

    /// The metrics file, holding `rows` and no more: what is past a checkpoint is written again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn metrics(&self, rows: String) -> Result<Metrics, TrainError> {
        self.write(METRICS, rows.as_bytes())?;
        Ok(Metrics::new(self.file(METRICS), rows))
    }
}

/// The paths in a folder.
fn list(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let entries = fs::read_dir(folder).map_err(TrainError::io(folder))?;
    entries.map(|entry| Ok(entry.map_err(TrainError::io(folder))?.path())).collect()
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<(), TrainError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(TrainError::io(path)(error)),
        _ => Ok(()),
    }
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// A file of a run that [`write_whole`] has not finished: `.NAME.PROCESS-NUMBER.tmp`.
fn is_temporary(path: &Path) -> bool {
    let parts = || {
        let name = name_of(path).strip_prefix('.')?.strip_suffix(".tmp")?;
        let (name, numbers) = name.rsplit_once('.')?;
        let (process, number) = numbers.split_once('-')?;
        let are_numbers = process.parse::<u32>().is_ok() && number.parse::<u64>().is_ok();
        are_numbers.then_some(name)
    };
    let is_ours = |name: &str| {
        RESULTS.contains(&name)
            || [MANIFEST, METRICS, "config.toml", "arch.json"].contains(&name)
            || name.starts_with(NON_FINITE)
            || is_checkpoint(Path::new(name))
    };
    parts().is_some_and(is_ours)
}

fn is_checkpoint(path: &Path) -> bool {
    name_of(path).starts_with("step-") && name_of(path).ends_with(".safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_are_a_run_s_own() {
        let ours = |name: &str| is_temporary(Path::new(name));
        assert!(ours("run/.board.json.12-0.tmp"));
        assert!(ours("run/checkpoints/.step-000000008-unscored.safetensors.123-45.tmp"));
        for other in ["board.json", ".board.json.tmp", ".p.csv.12-0.tmp", ".board.json.12-x.tmp"] {
            assert!(!ours(other), "{other}");
        }
    }
}
