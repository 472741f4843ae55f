//! Writing a shard set: the same samples in the same order give the same bytes.

use std::io;
use std::path::{Path, PathBuf};

use super::checksum::Summing;
use super::index::{Classes, FORMAT, FileRecord, Index, SplitFiles, Splits, VERSION};
use super::table::{self, Row};
use super::{INDEX_FILE, Split};
use crate::decode::ImageKind;
use crate::error::DataError;
use crate::files::{Aside, write_whole};
use crate::keyed::{self, Key, Purpose};

/// Bytes after which a shard is closed, unless told otherwise.
pub const DEFAULT_SHARD_BYTES: u64 = 256 << 20;

/// Writes the shards of one part, sample by sample in their final order.
pub struct SplitWriter {
    dir: PathBuf,
    name: &'static str,
    shard_bytes: u64,
    open: Option<Shard>,
    shards: Vec<FileRecord>,
    rows: Vec<Row>,
}

/// A shard being written aside.
struct Shard {
    file: String,
    tar: tar::Builder<Summing<AsideOut>>,
}

/// Bytes after which a shard begins to be synced while it is written. Else all threads would wait at
/// its end.
const SYNCED_AT_ONCE: usize = 16 << 20;

/// Lets the tar own the file aside.
struct AsideOut {
    aside: Aside,
    unsynced: usize,
}

impl io::Write for AsideOut {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.aside.writer().write(buffer)?;
        self.unsynced += count;
        if self.unsynced >= SYNCED_AT_ONCE {
            self.unsynced = 0;
            self.aside.sync_early()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.aside.writer().flush()
    }
}

/// The shards and rows of one part, all on disk but for its table.
#[derive(Debug)]
pub struct WrittenSplit {
    name: &'static str,
    shards: Vec<FileRecord>,
    /// The samples, for marking search validation before the table is written.
    pub rows: Vec<Row>,
}

impl SplitWriter {
    /// A writer into `dir`: of `val-*.tar` for [`Split::Validation`], else of `train-*.tar`.
    #[must_use]
    pub fn new(dir: &Path, split: Split, shard_bytes: u64) -> Self {
        let name = if split == Split::Validation { "val" } else { "train" };
        let (shards, rows) = (Vec::new(), Vec::new());
        Self { dir: dir.to_owned(), name, shard_bytes, open: None, shards, rows }
    }

    /// Goes on after shards that an earlier run finished, whose samples are `rows`.
    #[must_use]
    pub fn after(mut self, shards: Vec<FileRecord>, rows: Vec<Row>) -> Self {
        (self.shards, self.rows) = (shards, rows);
        self
    }

    /// The shards that are on disk under their names, with their samples first in [`rows`](Self::rows).
    #[must_use]
    pub fn closed(&self) -> &[FileRecord] {
        &self.shards
    }

    /// The samples so far, in order; those of the open shard last.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Adds a sample. Samples come ordered by class, then key; the reader insists on it.
    ///
    /// # Errors
    /// [`DataError::Io`] naming the shard.
    pub fn push(
        &mut self,
        key: &str,
        class: u32,
        kind: ImageKind,
        image: &[u8],
    ) -> Result<(), DataError> {
        let label = class.to_string();
        let needed = entry_bytes(image.len()) + entry_bytes(label.len());
        if self.open.as_ref().is_some_and(|s| s.tar.get_ref().bytes() + needed > self.shard_bytes) {
            self.close_shard()?;
        }
        let mut shard = match self.open.take() {
            Some(shard) => shard,
            None => self.new_shard()?,
        };
        let path = self.dir.join(&shard.file);
        append(&mut shard.tar, &format!("{key}.{}", kind.extension()), image)
            .map_err(DataError::io(&path))?;
        // The image's bytes are the last that were written, but for padding to whole blocks.
        let padded = entry_bytes(image.len()) - BLOCK;
        let offset = shard.tar.get_ref().bytes() - padded;
        append(&mut shard.tar, &format!("{key}.cls"), label.as_bytes())
            .map_err(DataError::io(&path))?;
        self.open = Some(shard);
        self.rows.push(Row {
            key: key.to_owned(),
            class,
            shard: self.shards.len() as u32,
            offset,
            length: image.len() as u32,
            search_val: false,
        });
        Ok(())
    }

    /// Closes the shard that is open, if one is: syncs it and gives it its name.
    ///
    /// # Errors
    /// [`DataError::Io`] naming the shard.
    pub fn close_shard(&mut self) -> Result<(), DataError> {
        let Some(Shard { file, tar }) = self.open.take() else { return Ok(()) };
        let path = self.dir.join(&file);
        let (out, bytes, sha256) = tar.into_inner().map_err(DataError::io(&path))?.finish();
        out.aside.commit().map_err(DataError::io(&path))?;
        self.shards.push(FileRecord { file, bytes, sha256 });
        Ok(())
    }

    /// Closes the last shard.
    ///
    /// # Errors
    /// [`DataError::Io`] naming the shard.
    pub fn finish(mut self) -> Result<WrittenSplit, DataError> {
        self.close_shard()?;
        Ok(WrittenSplit { name: self.name, shards: self.shards, rows: self.rows })
    }

    fn new_shard(&self) -> Result<Shard, DataError> {
        let file = format!("{}-{:06}.tar", self.name, self.shards.len());
        let path = self.dir.join(&file);
        let aside = Aside::create(&path).map_err(DataError::io(&path))?;
        Ok(Shard { file, tar: tar::Builder::new(Summing::new(AsideOut { aside, unsynced: 0 })) })
    }
}

const BLOCK: u64 = 512;

/// Bytes that a sample takes in a shard, its label included.
#[must_use]
pub fn sample_bytes(image: usize) -> u64 {
    // No label is longer than a block.
    entry_bytes(image) + 2 * BLOCK
}

/// Header and content in whole blocks.
fn entry_bytes(length: usize) -> u64 {
    BLOCK + (length as u64).next_multiple_of(BLOCK)
}

/// Times, owners and modes are fixed, so that they do not make the bytes differ.
fn append(tar: &mut tar::Builder<Summing<AsideOut>>, name: &str, data: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, name, data)
}

/// Marks `share` of each class's samples for search validation, drawn by (seed, class): rounded,
/// at least one and never all where a class has two or more.
pub fn mark_search_validation(rows: &mut [Row], share: f64, seed: u64) {
    let key = Key::new(seed, Purpose::SearchValidation);
    for class in rows.chunk_by_mut(|a, b| a.class == b.class) {
        let take = drawn(class.len(), share);
        let mut order: Vec<usize> = (0..class.len()).collect();
        keyed::shuffle(&mut key.rng(&[u64::from(class[0].class), 0]), &mut order);
        for &index in &order[..take] {
            class[index].search_val = true;
        }
    }
}

/// How many of `count` samples of a class a share of them is.
#[must_use]
pub fn drawn(count: usize, share: f64) -> usize {
    if share <= 0.0 || count < 2 {
        return 0;
    }
    ((count as f64 * share).round() as usize).clamp(1, count - 1)
}

/// Writes the tables and, last, `index.json`, which makes the set whole.
///
/// # Errors
/// [`DataError::Io`] naming the file.
pub fn write_index(
    dir: &Path,
    classes: impl Into<Classes>,
    train: WrittenSplit,
    val: WrittenSplit,
    made: serde_json::Value,
) -> Result<Index, DataError> {
    let splits = Splits { train: write_table(dir, train)?, val: write_table(dir, val)? };
    let Classes { ids: classes, names: class_names } = classes.into();
    let format = FORMAT.to_owned();
    let index = Index { format, version: VERSION, classes, class_names, splits, made };
    let path = dir.join(INDEX_FILE);
    write_whole(&path, |out| {
        serde_json::to_writer_pretty(&mut *out, &index)?;
        io::Write::write_all(out, b"\n")
    })
    .map_err(DataError::io(&path))?;
    Ok(index)
}

fn write_table(dir: &Path, split: WrittenSplit) -> Result<SplitFiles, DataError> {
    let WrittenSplit { name, shards, rows } = split;
    let file = format!("{name}-table.csv");
    let path = dir.join(&file);
    let mut record = None;
    write_whole(&path, |out| {
        let mut summing = Summing::new(out);
        table::write(&rows, &mut summing)?;
        let (_, bytes, sha256) = summing.finish();
        record = Some(FileRecord { file, bytes, sha256 });
        Ok(())
    })
    .map_err(DataError::io(&path))?;
    let table = record
        .ok_or_else(|| DataError::io(&path)(io::Error::other("the table was not written")))?;
    let search_validation = rows.iter().filter(|row| row.search_val).count() as u64;
    Ok(SplitFiles { samples: rows.len() as u64, search_validation, table, shards })
}
