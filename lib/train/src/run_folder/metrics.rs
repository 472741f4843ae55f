//! `metrics.csv`.

use crate::TrainError;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// `metrics.csv`, one row per epoch. It holds nothing that depends on the clock, so that repeated and resumed
/// runs write the same bytes.
#[derive(Debug, Default)]
pub struct Metrics {
    path: PathBuf,
    rows: String,
}

impl Metrics {
    /// The file at `path`, which holds `rows`.
    pub(super) fn new(path: PathBuf, rows: String) -> Self {
        Self { path, rows }
    }

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
