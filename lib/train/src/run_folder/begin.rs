//! How a run begins or is taken up in its folder: which checkpoint, and what becomes of what is there.

use super::manifest::{CheckpointEntry, FileEntry, MANIFEST, Manifest, entry_of};
use super::{
    CHECKPOINTS, METRICS, NON_FINITE, Place, RESULTS, RunFolder, is_checkpoint, list, name_of,
    remove,
};
use crate::TrainError;
use cream_nn::TensorFile;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where a run starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The run's newest checkpoint, if it has one.
    Auto,
    /// Nothing: an earlier run's files are moved aside.
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

/// A checkpoint that a run can be taken up from.
#[derive(Debug)]
pub struct Found {
    /// Its file.
    pub path: PathBuf,
    /// What it holds.
    pub file: TensorFile,
    /// Its bytes, where the folder's manifest does not name it.
    unlisted: Option<Vec<u8>>,
    /// Newer ones that were passed over.
    damaged: Vec<PathBuf>,
    by_name: bool,
}

const NO_MANIFEST: &str = "is missing, so that the checkpoints there cannot be checked: bring it \
    back, give one of them with --resume PATH, or start anew with --resume never";

impl RunFolder {
    /// The checkpoint to start from; `None` to start anew. Nothing is changed yet. A newest checkpoint that is damaged is
    /// passed over for the one before, and `warn` is told.
    ///
    /// # Errors
    /// When the checkpoint asked for cannot be read, or none of those there can.
    pub fn find(
        &self,
        resume: &Resume,
        mut warn: impl FnMut(&str),
    ) -> Result<Option<Found>, TrainError> {
        match resume {
            Resume::Never => Ok(None),
            Resume::From(path) => self.find_named(path, warn).map(Some),
            Resume::Auto => {
                let mut damaged = Vec::new();
                let mut last = None;
                for entry in self.manifest.borrow().checkpoints.iter().rev() {
                    let path = self.file(&entry.file);
                    match read(&path, Some(&entry.content()))? {
                        Ok((file, _)) => {
                            let found =
                                Found { path, file, unlisted: None, damaged, by_name: false };
                            return Ok(Some(found));
                        }
                        Err(reason) => {
                            let text = format!("{}: {reason}", path.display());
                            warn(&format!("{text}; trying the one before"));
                            last = Some(text);
                            damaged.push(path);
                        }
                    }
                }
                match last {
                    Some(last) => Err(TrainError::NoCheckpoint { last }),
                    None if !self.manifest_was_there && !self.unlisted()?.is_empty() => {
                        let (path, reason) = (self.file(MANIFEST), NO_MANIFEST.to_owned());
                        Err(TrainError::Manifest { path, reason })
                    }
                    None => Ok(None),
                }
            }
        }
    }

    fn find_named(&self, path: &Path, mut warn: impl FnMut(&str)) -> Result<Found, TrainError> {
        let refusal = |reason| TrainError::Checkpoint { path: path.to_owned(), reason };
        let entry = entry_of(path)?;
        let (file, bytes) = read(path, entry.as_ref())?.map_err(refusal)?;
        if entry.is_none() {
            warn(&format!("{}: no {MANIFEST} names it; taken unchecked", path.display()));
        }
        let listed = self.listed(path).is_some();
        let unlisted = (!listed).then_some(bytes);
        Ok(Found { path: path.to_owned(), file, unlisted, damaged: Vec::new(), by_name: true })
    }

    /// The manifest's entry for a file.
    fn listed(&self, path: &Path) -> Option<CheckpointEntry> {
        let manifest = self.manifest.borrow();
        let same = |entry: &&CheckpointEntry| is_same_file(&self.file(&entry.file), path);
        manifest.checkpoints.iter().find(same).cloned()
    }

    /// Begins a run at its first step. What an earlier one left goes to a folder `earlier-N` inside, which is returned.
    ///
    /// # Errors
    /// When a file cannot be moved, removed or written.
    pub fn begin_anew(&self) -> Result<Option<PathBuf>, TrainError> {
        let kept = self.move_aside()?;
        self.write_manifest()?;
        self.state(true)?;
        Ok(kept)
    }

    /// Goes on from a checkpoint: what is of later steps is forgotten.
    ///
    /// # Errors
    /// When a file cannot be moved, removed or written, or the manifest says another step than the checkpoint.
    pub fn take_up(&self, found: &Found, place: Place) -> Result<(), TrainError> {
        let step = place.step;
        if let Some(entry) = self.listed(&found.path)
            && entry.step != step
        {
            let reason = format!("is of step {step}, {MANIFEST} says {}", entry.step);
            return Err(TrainError::Damaged { path: found.path.clone(), reason });
        }
        for path in &found.damaged {
            let mut aside = path.clone().into_os_string();
            aside.push(".damaged");
            move_file(path, Path::new(&aside))?;
        }
        if let Some(bytes) = &found.unlisted {
            self.adopt(&found.path, bytes, place)?;
        }
        let newest = self.manifest.borrow().checkpoints.last().map(|entry| entry.step);
        if found.by_name || newest != Some(step) {
            // They would say that the run is done.
            RESULTS.iter().try_for_each(|name| remove(&self.file(name)))?;
            self.manifest.borrow_mut().results.clear();
        }
        self.manifest.borrow_mut().checkpoints.retain(|entry| entry.step <= step);
        self.write_manifest()?;
        for path in self.unlisted()? {
            // Those before are leftovers too, but for a manifest that was lost.
            if self.manifest_was_there || step_of(&path).is_none_or(|other| other >= step) {
                remove(&path)?;
            }
        }
        self.state(found.by_name)
    }

    /// Makes a checkpoint that the manifest does not name the run's own.
    fn adopt(&self, path: &Path, bytes: &[u8], place: Place) -> Result<(), TrainError> {
        let name = place.file();
        if !is_same_file(&self.file(CHECKPOINTS), path.parent().unwrap_or(Path::new("."))) {
            // Another run's: this folder's own is not its past.
            self.move_aside()?;
        }
        if !is_same_file(&self.file(&name), path) {
            self.write(&name, bytes)?;
        }
        let mut manifest = self.manifest.borrow_mut();
        manifest.checkpoints.retain(|entry| entry.step < place.step);
        manifest.checkpoints.push(CheckpointEntry::of(FileEntry::of(&name, bytes), &place));
        Ok(())
    }

    /// Writes the statement: all of it, or what is missing.
    fn state(&self, all: bool) -> Result<(), TrainError> {
        let files = self.statement.iter().filter(|(name, _)| all || !self.file(name).exists());
        files.into_iter().try_for_each(|(name, bytes)| self.write(name, bytes))
    }

    /// Moves what an earlier run left into a new folder inside, and returns that; removes it where there is nothing that
    /// took work. Results go first, whose presence says that a run is done; what states the run goes last.
    fn move_aside(&self) -> Result<Option<PathBuf>, TrainError> {
        let (results, others): (Vec<PathBuf>, Vec<PathBuf>) = list(&self.root)?
            .into_iter()
            .filter(|path| is_of_the_run(path))
            .partition(|path| RESULTS.contains(&name_of(path)));
        let checkpoints = self.file(CHECKPOINTS);
        let unlisted = self.unlisted()?;
        // Where there is a manifest, what it does not name is what a killed process had not finished.
        let worth_keeping = !results.is_empty()
            || !self.manifest.borrow().checkpoints.is_empty()
            || (!self.manifest_was_there && !unlisted.is_empty());
        *self.manifest.borrow_mut() = Manifest::default();
        if !worth_keeping {
            // The manifest last: checkpoints without one would be taken for a run's that has lost it.
            let leftovers = unlisted.iter().chain(others.iter().filter(|path| !is_stated(path)));
            leftovers.into_iter().try_for_each(|path| remove(path))?;
            return Ok(None);
        }
        let aside = self.new_folder()?;
        let to = |path: &Path| aside.join(name_of(path));
        let (stated, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|path| is_stated(path));
        for path in results.iter().chain([&checkpoints]).chain(&others).chain(&stated) {
            move_file(path, &to(path))?;
        }
        fs::create_dir_all(&checkpoints).map_err(TrainError::io(&checkpoints))?;
        Ok(Some(aside))
    }

    /// `earlier-1`, or the next number that is free.
    fn new_folder(&self) -> Result<PathBuf, TrainError> {
        for number in 1_u32.. {
            let path = self.file(&format!("earlier-{number}"));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                created => return created.map(|()| path.clone()).map_err(TrainError::io(path)),
            }
        }
        Err(TrainError::io(&self.root)(ErrorKind::AlreadyExists.into()))
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
}

/// What states the run: written when it begins, and what make goes by.
fn is_stated(path: &Path) -> bool {
    ["config.toml", "arch.json"].contains(&name_of(path))
}

/// A run's files but for checkpoints.
fn is_of_the_run(path: &Path) -> bool {
    let name = name_of(path);
    RESULTS.contains(&name)
        || [MANIFEST, METRICS].contains(&name)
        || name.starts_with(NON_FINITE)
        || is_stated(path)
}

/// The step in a checkpoint's name.
fn step_of(path: &Path) -> Option<u64> {
    let rest = name_of(path).strip_prefix("step-")?;
    rest.get(..9)?.parse().ok()
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Moves a file or folder that may not be there.
fn move_file(from: &Path, to: &Path) -> Result<(), TrainError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(TrainError::io(from)(error)),
        _ => Ok(()),
    }
}

/// Reads a checkpoint of which `expected` is known; what is wrong with the file itself is the inner error.
#[allow(
    clippy::type_complexity,
    reason = "a file with its bytes, or why not, or why it cannot be said"
)]
fn read(
    path: &Path,
    expected: Option<&FileEntry>,
) -> Result<Result<(TensorFile, Vec<u8>), String>, TrainError> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Err("No such file or directory".to_owned()));
        }
        Err(error) => return Err(TrainError::io(path)(error)),
    };
    // Before the bytes take memory.
    if let Some(Err(reason)) = expected.map(|entry| entry.check_length(length)) {
        return Ok(Err(reason));
    }
    let bytes = fs::read(path).map_err(TrainError::io(path))?;
    if let Some(Err(reason)) = expected.map(|entry| entry.check(&bytes)) {
        return Ok(Err(reason));
    }
    Ok(TensorFile::from_bytes(&bytes).map(|file| (file, bytes)).map_err(|error| error.to_string()))
}
