//! A run's folder: where its files are, its metrics, and its checkpoints.

use crate::TrainError;
use cream_data::files::write_whole;
use cream_nn::TensorFile;
use std::fs;
use std::io::Write;
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

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

const CHECKPOINTS: &str = "checkpoints";
const METRICS: &str = "metrics.csv";
/// What says by being there that a run is done.
const RESULTS: [&str; 4] =
    ["board.json", "supernet.safetensors", "model.safetensors", "model-raw.safetensors"];

impl RunFolder {
    /// Opens or creates the folder.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let root = root.into();
        let checkpoints = root.join(CHECKPOINTS);
        fs::create_dir_all(&checkpoints).map_err(TrainError::io(checkpoints))?;
        Ok(Self { root })
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

    /// Whether a run that resumes so begins at its first step.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn starts_anew(&self, resume: &Resume) -> Result<bool, TrainError> {
        Ok(match resume {
            Resume::Never => true,
            Resume::From(_) => false,
            Resume::Auto => self.newest_checkpoint()?.is_none(),
        })
    }

    /// Forgets an earlier run's results, checkpoints and metrics.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clear(&self) -> Result<(), TrainError> {
        let checkpoints = self.checkpoints()?.into_iter().map(|(_, path)| path);
        let files = RESULTS.iter().chain([&METRICS]).map(|name| self.file(name));
        for path in files.chain(checkpoints) {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(TrainError::io(path)(e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the checkpoint of `step` and removes all but the newest `keep`.
    ///
    /// # Errors
    /// When it cannot be written; the checkpoints before are still there.
    pub fn save_checkpoint(
        &self,
        step: u64,
        checkpoint: &TensorFile,
        keep: usize,
    ) -> Result<PathBuf, TrainError> {
        let name = format!("{CHECKPOINTS}/step-{step:09}.safetensors");
        self.write(&name, &checkpoint.to_bytes()?)?;
        let mut older = self.checkpoints()?;
        older.retain(|&(other, _)| other < step);
        older.truncate((older.len() + 1).saturating_sub(keep.max(1)));
        remove(older)?;
        Ok(self.file(&name))
    }

    /// The checkpoint to start from, with its file; `None` to start anew. A newest checkpoint that cannot be read
    /// is passed over for the one before, and `warn` is told.
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
            Resume::From(path) => Ok(Some((path.clone(), read_checkpoint(path)?))),
            Resume::Auto => {
                let mut last = None;
                for (_, path) in self.checkpoints()?.into_iter().rev() {
                    match read_checkpoint(&path) {
                        Ok(file) => return Ok(Some((path, file))),
                        Err(error) => {
                            warn(&format!("{error}; trying the one before"));
                            last = Some(error);
                        }
                    }
                }
                last.map_or(Ok(None), Err)
            }
        }
    }

    /// The newest checkpoint's file.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn newest_checkpoint(&self) -> Result<Option<PathBuf>, TrainError> {
        Ok(self.checkpoints()?.pop().map(|(_, path)| path))
    }

    /// Removes checkpoints of steps after `step`: those of a branch that the run has left.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn discard_after(&self, step: u64) -> Result<(), TrainError> {
        let mut later = self.checkpoints()?;
        later.retain(|&(other, _)| other > step);
        remove(later)
    }

    /// What to do after a run broke down.
    pub fn advice(&self) -> String {
        match self.newest_checkpoint().ok().flatten() {
            Some(file) => format!(
                "the last good checkpoint is {}; lower learning-rate and start anew, or resume from it",
                file.display()
            ),
            None => "lower learning-rate and start anew".to_owned(),
        }
    }

    /// Checkpoints by step, oldest first.
    fn checkpoints(&self) -> Result<Vec<(u64, PathBuf)>, TrainError> {
        let folder = self.file(CHECKPOINTS);
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(TrainError::io(&folder))? {
            let path = entry.map_err(TrainError::io(&folder))?.path();
            if let Some(step) = checkpoint_step(&path) {
                found.push((step, path));
            }
        }
        found.sort();
        Ok(found)
    }

    /// The metrics file, holding `rows` and no more: what is past a checkpoint is written again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn metrics(&self, rows: String) -> Result<Metrics, TrainError> {
        self.write(METRICS, rows.as_bytes())?;
        Ok(Metrics { path: self.file(METRICS), rows })
    }
}

fn remove(checkpoints: Vec<(u64, PathBuf)>) -> Result<(), TrainError> {
    for (_, path) in checkpoints {
        fs::remove_file(&path).map_err(TrainError::io(path))?;
    }
    Ok(())
}

fn checkpoint_step(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}

fn read_checkpoint(path: &Path) -> Result<TensorFile, TrainError> {
    let refusal = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|error| refusal(error.to_string()))?;
    TensorFile::from_bytes(&bytes).map_err(|error| refusal(error.to_string()))
}

/// `metrics.csv`, one row per epoch. It holds nothing that depends on the clock, so that repeated and resumed
/// runs write the same bytes.
#[derive(Debug, Default)]
pub struct Metrics {
    path: PathBuf,
    rows: String,
}

impl Metrics {
    /// The file's text, for the checkpoint.
    pub fn rows(&self) -> &str {
        &self.rows
    }

    /// Adds a row; the first one brings the header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, row: &[(&str, String)]) -> Result<(), TrainError> {
        let text = csv_lines(row, self.rows.is_empty())
            .map_err(|e| TrainError::io(&self.path)(std::io::Error::other(e)))?;
        let append = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new().append(true).open(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        append().map_err(TrainError::io(&self.path))?;
        self.rows.push_str(&text);
        Ok(())
    }
}

fn csv_lines(
    row: &[(&str, String)],
    header: bool,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if header {
        writer.write_record(row.iter().map(|(name, _)| name))?;
    }
    writer.write_record(row.iter().map(|(_, value)| value))?;
    Ok(String::from_utf8(writer.into_inner()?)?)
}
