//! A file that an evaluation leaves.
//!
//! It is begun aside before the first image is scored, so that a place that cannot be written is known then, and takes its
//! name when all images are through.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cream_cli::{Failure, OrFail};
use cream_data::DataError;
use cream_data::files::Aside;

/// A file that grows aside.
pub struct Sink {
    path: PathBuf,
    file: Aside,
}

impl Sink {
    /// Begins a file, if one was asked for.
    ///
    /// # Errors
    /// [`Failure::Input`] for a path that cannot be written.
    pub fn begin(path: Option<&Path>) -> Result<Option<Self>, Failure> {
        let Some(path) = path else { return Ok(None) };
        // The file aside would be made beside a folder, and could then not take its name.
        if path.is_dir() {
            let path = path.display();
            return Err(Failure::input(format!("{path}: is a folder; give a file to write")));
        }
        // A device or pipe would be replaced by the file.
        if path.exists() && !path.is_file() {
            let path = path.display();
            return Err(Failure::input(format!(
                "{path}: is no ordinary file; give the name of one to write"
            )));
        }
        match Aside::create(path) {
            Ok(file) => Ok(Some(Self { path: path.to_owned(), file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = path.display();
                Err(Failure::input(format!(
                    "{path}: {error}; give a file in a folder that is there"
                )))
            }
            Err(error) => Err(DataError::io(path)(error)).or_input(),
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.file.writer().write_all(bytes).map_err(DataError::io(&self.path))
    }

    /// Adds a row of a CSV.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn row<T: AsRef<[u8]>>(
        &mut self,
        fields: impl IntoIterator<Item = T>,
    ) -> Result<(), DataError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let line = writer.write_record(fields).map_err(io::Error::from).and_then(|()| {
            writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
        });
        self.write(&line.map_err(DataError::io(&self.path))?)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(self) -> Result<(), DataError> {
        self.file.commit().map_err(DataError::io(self.path))
    }
}
