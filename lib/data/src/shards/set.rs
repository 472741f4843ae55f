//! Reading a shard set.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::index::{FileRecord, Index, SplitFiles};
use super::table::{Entry, MAX_TABLE_BYTES, Table};
use super::{SampleId, Split, checksum};
use crate::error::DataError;

/// An open shard set. Any number of threads may read from one.
#[derive(Debug)]
pub struct ShardSet {
    dir: PathBuf,
    index: Index,
    checksum: String,
    train: Part,
    val: Part,
}

#[derive(Debug)]
struct Part {
    table: Table,
    /// Opened when first read, so that a set of many shards needs no descriptor for each.
    files: Vec<OnceLock<File>>,
}

impl ShardSet {
    /// Opens the set in `dir` and checks the index, the tables with their checksums, and the
    /// presence and size of every shard. The shards' content is checked by [`verify`](Self::verify).
    ///
    /// # Errors
    /// A [`DataError`] naming the file and the broken rule.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, DataError> {
        let dir = dir.as_ref().to_owned();
        let (index, checksum) = Index::read(&dir)?;
        let classes = index.classes.len();
        let train = Part::open(&dir, &index.splits.train, classes)?;
        let val = Part::open(&dir, &index.splits.val, classes)?;
        Ok(Self { dir, index, checksum, train, val })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Class names; a label is a place in this list.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.index.classes
    }

    /// What the classes are called in words, in the same order, where the source said so.
    #[must_use]
    pub fn class_names(&self) -> Option<&[String]> {
        self.index.class_names.as_deref()
    }

    /// Number of classes.
    #[must_use]
    pub fn num_classes(&self) -> usize {
        self.index.classes.len()
    }

    /// SHA-256 of `index.json`, which holds those of all other files: equal for equal data.
    #[must_use]
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// Number of samples in a split.
    #[must_use]
    pub fn len(&self, split: Split) -> usize {
        let train = &self.index.splits.train;
        match split {
            Split::Train => self.train.table.entries().len(),
            Split::SearchTrain => (train.samples - train.search_validation) as usize,
            Split::SearchValidation => train.search_validation as usize,
            Split::Validation => self.val.table.entries().len(),
        }
    }

    /// The samples of a split in shard order: by class, then by key.
    #[must_use]
    pub fn samples(&self, split: Split) -> Vec<SampleId> {
        let train = self.train.table.entries();
        let count = train.len() as u32;
        let marked = |wanted: bool| {
            let all = train.iter().zip(0..count);
            all.filter(|(entry, _)| entry.search_val == wanted).map(|(_, i)| SampleId(i)).collect()
        };
        match split {
            Split::Train => (0..count).map(SampleId).collect(),
            Split::SearchTrain => marked(false),
            Split::SearchValidation => marked(true),
            Split::Validation => {
                (count..count + self.val.table.entries().len() as u32).map(SampleId).collect()
            }
        }
    }

    /// Reads a sample's encoded image into `buffer`, replacing its content.
    ///
    /// # Errors
    /// [`DataError::Io`] naming the shard, [`DataError::NoSample`].
    pub fn read(&self, sample: SampleId, buffer: &mut Vec<u8>) -> Result<(), DataError> {
        let (part, index) = self.find(sample)?;
        let entry = part.table.entries()[index];
        let path = self.shard_path(sample, entry);
        let file = match part.files[entry.shard as usize].get() {
            Some(file) => file,
            None => {
                let opened = File::open(&path).map_err(DataError::io(&path))?;
                part.files[entry.shard as usize].get_or_init(|| opened)
            }
        };
        buffer.resize(entry.length as usize, 0);
        file.read_exact_at(buffer, entry.offset).map_err(DataError::io(&path))
    }

    /// How many bytes a sample's encoded image has.
    ///
    /// # Errors
    /// [`DataError::NoSample`].
    pub fn bytes(&self, sample: SampleId) -> Result<u32, DataError> {
        self.find(sample).map(|(part, index)| part.table.entries()[index].length)
    }

    /// A sample's class number.
    ///
    /// # Errors
    /// [`DataError::NoSample`].
    pub fn label(&self, sample: SampleId) -> Result<u32, DataError> {
        self.find(sample).map(|(part, index)| part.table.entries()[index].class)
    }

    /// A sample's key: its source's file stem, escaped.
    ///
    /// # Errors
    /// [`DataError::NoSample`].
    pub fn key(&self, sample: SampleId) -> Result<&str, DataError> {
        self.find(sample).map(|(part, index)| part.table.key(index))
    }

    /// Names and sizes in bytes of all shards, to be checked with [`verify_shard`](Self::verify_shard).
    pub fn shards(&self) -> impl Iterator<Item = (&str, u64)> {
        let splits = &self.index.splits;
        let records = splits.train.shards.iter().chain(&splits.val.shards);
        records.map(|record| (record.file.as_str(), record.bytes))
    }

    /// Reads the shard of this place in [`shards`](Self::shards) and compares its checksum.
    ///
    /// # Errors
    /// [`DataError::Mismatch`], [`DataError::Io`].
    pub fn verify_shard(&self, place: usize) -> Result<(), DataError> {
        let splits = &self.index.splits;
        let mut records = splits.train.shards.iter().chain(&splits.val.shards);
        let Some(record) = records.nth(place) else { return Ok(()) };
        let path = self.dir.join(&record.file);
        let found = checksum::of_file(&path).map_err(DataError::io(&path))?;
        same(&path, "its SHA-256", found, record.sha256.clone())
    }

    /// Reads every shard and compares its checksum.
    ///
    /// # Errors
    /// [`DataError::Mismatch`] for the first that differs, [`DataError::Io`].
    pub fn verify(&self) -> Result<(), DataError> {
        (0..self.shards().count()).try_for_each(|place| self.verify_shard(place))
    }

    /// The file that holds a sample; the folder for a sample outside the set.
    #[must_use]
    pub fn shard_of(&self, sample: SampleId) -> PathBuf {
        match self.find(sample) {
            Ok((part, index)) => self.shard_path(sample, part.table.entries()[index]),
            Err(_) => self.dir.clone(),
        }
    }

    /// Says which sample an image's error is about; other errors stay as they are.
    #[must_use]
    pub fn name_fault(&self, sample: SampleId, error: DataError) -> DataError {
        match (error, self.key(sample)) {
            (DataError::Image(source), Ok(key)) => {
                let (path, key) = (self.shard_of(sample), key.to_owned());
                DataError::Sample { path, key, source }
            }
            (error, _) => error,
        }
    }

    fn find(&self, sample: SampleId) -> Result<(&Part, usize), DataError> {
        let (train, index) = (self.train.table.entries().len(), sample.0 as usize);
        let count = train + self.val.table.entries().len();
        if index < train {
            Ok((&self.train, index))
        } else if index < count {
            Ok((&self.val, index - train))
        } else {
            Err(DataError::NoSample { index: sample.0, count })
        }
    }

    fn shard_path(&self, sample: SampleId, entry: Entry) -> PathBuf {
        let is_train = (sample.0 as usize) < self.train.table.entries().len();
        let splits = &self.index.splits;
        let split = if is_train { &splits.train } else { &splits.val };
        self.dir.join(&split.shards[entry.shard as usize].file)
    }
}

impl Part {
    fn open(dir: &Path, split: &SplitFiles, classes: usize) -> Result<Self, DataError> {
        for shard in &split.shards {
            check_size(dir, shard)?;
        }
        let path = check_size(dir, &split.table)?;
        let fault = |reason| DataError::Index { path: path.clone(), reason };
        if split.table.bytes > MAX_TABLE_BYTES {
            return Err(fault(format!("more than {MAX_TABLE_BYTES} bytes")));
        }
        let file = File::open(&path).map_err(DataError::io(&path))?;
        let mut bytes = Vec::new();
        file.take(MAX_TABLE_BYTES + 1).read_to_end(&mut bytes).map_err(DataError::io(&path))?;
        same(&path, "its SHA-256", checksum::of_bytes(&bytes), split.table.sha256.clone())?;
        let table = Table::parse(&bytes, split, classes).map_err(fault)?;
        if split.search_validation > split.samples {
            return Err(fault("more search-validation samples than samples".to_owned()));
        }
        Ok(Self { table, files: split.shards.iter().map(|_| OnceLock::new()).collect() })
    }
}

fn check_size(dir: &Path, record: &FileRecord) -> Result<PathBuf, DataError> {
    let path = dir.join(&record.file);
    let found = match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(DataError::Missing { path });
        }
        found => found.map_err(DataError::io(&path))?.len(),
    };
    same(&path, "its size in bytes", found.to_string(), record.bytes.to_string())?;
    Ok(path)
}

fn same(path: &Path, what: &'static str, found: String, expected: String) -> Result<(), DataError> {
    if found == expected {
        return Ok(());
    }
    Err(DataError::Mismatch { path: path.to_owned(), what, found, expected })
}
