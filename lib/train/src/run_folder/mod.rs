//! A run's folder: where its files are, who may write them, its manifest, its metrics, and its checkpoints.

mod lock;
mod manifest;
mod metrics;

pub use manifest::check_against_manifest;
pub use metrics::Metrics;

use crate::TrainError;
use cream_data::files::write_whole;
use cream_nn::TensorFile;
use lock::Lock;
use manifest::{CheckpointEntry, FileEntry, MANIFEST, Manifest};
use std::cell::RefCell;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Where a run starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The run's newest checkpoint, if it has one.
    Auto,
    /// Nothing: results, checkpoints and metrics of an earlier run are removed.
    Never,
    /// This checkpoint.
    From(PathBuf),
}

impl Resume {
    /// `auto`, `never`, or a checkpoint's path.
    pub fn from_flag(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "never" => Self::Never,
            path => Self::From(path.into()),
        }
    }
}

/// The folder of one run, which nobody else can write while this exists.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    manifest: RefCell<Manifest>,
    _lock: Lock,
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
    /// Validation top-1 now, right after an evaluation.
    pub score: Option<f64>,
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
    /// When it cannot be created or is in use, or its manifest cannot be read.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let root = root.into();
        let checkpoints = root.join(CHECKPOINTS);
        fs::create_dir_all(&checkpoints).map_err(TrainError::io(&checkpoints))?;
        let lock = Lock::take(&root)?;
        for folder in [&root, &checkpoints] {
            for path in list(folder)? {
                if is_temporary(&path) {
                    remove(&path)?;
                }
            }
        }
        let manifest = RefCell::new(Manifest::read(&root)?.unwrap_or_default());
        Ok(Self { root, manifest, _lock: lock })
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

    /// Lists the images of a batch whose step gave numbers that are not finite.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_non_finite(&self, step: u64, rows: &str) -> Result<PathBuf, TrainError> {
        let name = format!("{NON_FINITE}{step:09}.csv");
        self.write(&name, rows.as_bytes())?;
        Ok(self.file(&name))
    }

    /// Whether a run that resumes so begins at its first step.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn starts_anew(&self, resume: &Resume) -> Result<bool, TrainError> {
        Ok(match resume {
            Resume::Never => true,
            Resume::From(_) => false,
            Resume::Auto => self.newest_checkpoint().is_none() && !self.has_unlisted()?,
        })
    }

    /// Forgets an earlier run's results, checkpoints and metrics.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clear(&self) -> Result<(), TrainError> {
        // Results first, whose presence says that a run is done; checkpoints when the manifest has let go of them.
        for name in RESULTS.iter().chain(&[METRICS]) {
            remove(&self.file(name))?;
        }
        for path in list(&self.root)? {
            if name_of(&path).starts_with(NON_FINITE) {
                remove(&path)?;
            }
        }
        *self.manifest.borrow_mut() = Manifest::default();
        self.write_manifest()?;
        self.remove_unlisted()
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
        let Place { step, epoch, score } = place;
        let name = format!("{CHECKPOINTS}/step-{step:09}.safetensors");
        let bytes = checkpoint.to_bytes()?;
        self.write(&name, &bytes)?;
        let entry = CheckpointEntry::of(FileEntry::of(&name, &bytes), step, epoch, score);
        let out = self.manifest.borrow_mut().admit(entry, retention.newest, retention.best);
        self.write_manifest()?;
        for file in out {
            remove(&self.file(&file))?;
        }
        Ok(self.file(&name))
    }

    /// The checkpoint to start from, with its file; `None` to start anew. A newest checkpoint that is damaged is passed
    /// over for the one before, and `warn` is told.
    ///
    /// # Errors
    /// When the checkpoint asked for cannot be read, or none of those there can.
    pub fn load_checkpoint(
        &self,
        resume: &Resume,
        mut warn: impl FnMut(&str),
    ) -> Result<Option<(PathBuf, TensorFile)>, TrainError> {
        match resume {
            Resume::Never => Ok(None),
            Resume::From(path) => {
                let (file, checked) = read_checkpoint(path)?;
                if !checked {
                    warn(&format!("{}: no {MANIFEST} names it; taken unchecked", path.display()));
                }
                Ok(Some((path.clone(), file)))
            }
            Resume::Auto => {
                let mut last = None;
                for entry in self.manifest.borrow().checkpoints.iter().rev() {
                    let path = self.file(&entry.file);
                    match read_checkpoint(&path) {
                        Ok((file, _)) => return Ok(Some((path, file))),
                        Err(error) => {
                            warn(&format!("{error}; trying the one before"));
                            last = Some(error);
                        }
                    }
                }
                match last {
                    Some(last) => Err(TrainError::NoCheckpoint { last: last.to_string() }),
                    None if self.has_unlisted()? => {
                        let (path, reason) = (self.file(MANIFEST), UNLISTED.to_owned());
                        Err(TrainError::Manifest { path, reason })
                    }
                    None => Ok(None),
                }
            }
        }
    }

    /// The newest checkpoint's file.
    pub fn newest_checkpoint(&self) -> Option<PathBuf> {
        self.manifest.borrow().checkpoints.last().map(|entry| self.file(&entry.file))
    }

    /// Forgets checkpoints of steps after `step`, those of a branch that the run has left, and removes those that the
    /// manifest does not name.
    ///
    /// # Errors
    /// When a file cannot be written or removed.
    pub fn discard_after(&self, step: u64) -> Result<(), TrainError> {
        self.manifest.borrow_mut().checkpoints.retain(|entry| entry.step <= step);
        self.write_manifest()?;
        self.remove_unlisted()
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

    /// Checkpoints that the manifest does not name: written by a process that was killed before it could.
    fn unlisted(&self) -> Result<Vec<PathBuf>, TrainError> {
        let manifest = self.manifest.borrow();
        let listed: Vec<PathBuf> =
            manifest.checkpoints.iter().map(|entry| self.file(&entry.file)).collect();
        let mut found = list(&self.file(CHECKPOINTS))?;
        found.retain(|path| is_checkpoint(path) && !listed.contains(path));
        Ok(found)
    }

    /// Whether there are checkpoints but no manifest: a folder copied in part, or another program's. A run has a
    /// manifest before its first checkpoint.
    fn has_unlisted(&self) -> Result<bool, TrainError> {
        Ok(!self.file(MANIFEST).exists() && !self.unlisted()?.is_empty())
    }

    fn remove_unlisted(&self) -> Result<(), TrainError> {
        self.unlisted()?.iter().try_for_each(|path| remove(path))
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

const UNLISTED: &str = "is missing, so that the checkpoints there cannot be checked; bring it back or give one with --resume PATH";

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

/// As [`write_whole`] names what it has not finished.
fn is_temporary(path: &Path) -> bool {
    name_of(path).starts_with('.') && name_of(path).ends_with(".tmp")
}

fn is_checkpoint(path: &Path) -> bool {
    name_of(path).starts_with("step-") && name_of(path).ends_with(".safetensors")
}

/// Reads a checkpoint; also whether a manifest names it, which its content was then checked against.
fn read_checkpoint(path: &Path) -> Result<(TensorFile, bool), TrainError> {
    let refusal = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|error| refusal(error.to_string()))?;
    let checked = check_against_manifest(path, &bytes)?;
    let file = TensorFile::from_bytes(&bytes).map_err(|error| refusal(error.to_string()))?;
    Ok((file, checked))
}
