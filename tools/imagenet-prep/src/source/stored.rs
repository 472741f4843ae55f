//! Bytes that are read at any place: a file, or a part of it, or what is in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of known length, read by place. Any number of threads may read.
pub trait Stored: Send + Sync + std::fmt::Debug {
    /// How many there are.
    fn len(&self) -> u64;

    /// Fills `buffer` with those from `offset`.
    ///
    /// # Errors
    /// Those of reading; [`io::ErrorKind::UnexpectedEof`] where they end before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// `length` bytes from `offset`. Nothing is allocated for bytes that are not there.
    ///
    /// # Errors
    /// Those of [`read_at`](Self::read_at).
    fn part(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let end = offset.checked_add(length).filter(|&end| end <= self.len());
        let (Some(_), Ok(length)) = (end, usize::try_from(length)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let mut bytes = vec![0; length];
        self.read_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

impl Stored for Vec<u8> {
    fn len(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A file that stays open.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    length: u64,
}

impl OpenFile {
    /// Opens `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Self { length: metadata.len(), file })
    }
}

impl Stored for OpenFile {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

/// A file that is opened for each reading: a set may have more files than a process may hold open.
#[derive(Debug)]
pub struct NamedFile {
    path: PathBuf,
    length: u64,
}

impl NamedFile {
    /// Looks at `path`.
    pub fn find(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), length: OpenFile::open(path)?.length })
    }
}

impl Stored for NamedFile {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        File::open(&self.path)?.read_exact_at(buffer, offset)
    }
}
