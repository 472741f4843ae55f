//! `index.json`: what a shard set holds, with a checksum for every file of it.

use std::io::Read;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::{INDEX_FILE, checksum};
use crate::error::DataError;

/// What `format` says in every index.
pub const FORMAT: &str = "cream-shards";
/// The version that this program writes and reads.
pub const VERSION: u64 = 1;
/// Most bytes of an `index.json`.
pub const MAX_INDEX_BYTES: u64 = 1 << 26;
/// Most classes of a set.
pub const MAX_CLASSES: usize = 1 << 20;
/// Most shards of a split.
const MAX_SHARDS: usize = 1 << 20;

/// The whole of an `index.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u64,
    /// Class names; a label is a place in this list.
    pub classes: Vec<String>,
    /// What the classes are called in words, where that is known; as many as there are classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// The two parts.
    pub splits: Splits,
    /// How the set was made: what imagenet-prep compares before it does nothing. Not read by
    /// trainers.
    pub made: serde_json::Value,
}

/// The classes of a set, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes {
    /// What labels, folders and reports call them, such as `n01440764`.
    pub ids: Vec<String>,
    /// What people call them, such as `tench, Tinca tinca`; as many as there are ids.
    pub names: Option<Vec<String>>,
}

impl From<Vec<String>> for Classes {
    fn from(ids: Vec<String>) -> Self {
        Self { ids, names: None }
    }
}

/// The two parts of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// Training samples, search validation among them.
    pub train: SplitFiles,
    /// Validation samples.
    pub val: SplitFiles,
}

/// The files of one part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitFiles {
    /// Number of samples.
    pub samples: u64,
    /// How many of them are marked for search validation; 0 in `val`.
    pub search_validation: u64,
    /// The table of samples.
    pub table: FileRecord,
    /// The shards in order.
    pub shards: Vec<FileRecord>,
}

/// A file beside the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Its name, without any folder.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Index {
    /// Reads and checks the index of the folder `dir`; also its own checksum.
    ///
    /// # Errors
    /// [`DataError::NoIndex`], [`DataError::NoFolder`], [`DataError::Version`], or [`DataError::Index`] naming the broken
    /// rule.
    pub fn read(dir: &Path) -> Result<(Self, String), DataError> {
        let path = dir.join(INDEX_FILE);
        let file = match std::fs::File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(DataError::NoIndex { path: dir.to_owned() });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(DataError::NoFolder { path: dir.to_owned() });
            }
            result => result.map_err(DataError::io(&path))?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_INDEX_BYTES + 1).read_to_end(&mut bytes).map_err(DataError::io(&path))?;
        let index = Self::parse(&bytes).map_err(|fault| match fault {
            Fault::Version(found) => {
                DataError::Version { path: path.clone(), found, expected: VERSION }
            }
            Fault::Rule(reason) => DataError::Index { path: path.clone(), reason },
        })?;
        Ok((index, checksum::of_bytes(&bytes)))
    }

    fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() as u64 > MAX_INDEX_BYTES {
            return rule(format!("more than {MAX_INDEX_BYTES} bytes"));
        }
        // The header first: another version may have other fields.
        #[derive(Deserialize)]
        struct Header {
            format: String,
            version: u64,
        }
        let header: Header = serde_json::from_slice(bytes).map_err(syntax)?;
        if header.format != FORMAT {
            return rule(format!("format is {:?}, not {FORMAT:?}", header.format));
        }
        if header.version != VERSION {
            return Err(Fault::Version(header.version));
        }
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let index: Self = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| Fault::Rule(format!("{}: {}", error.path(), error.inner())))?;
        reader.end().map_err(syntax)?;
        index.check()?;
        Ok(index)
    }

    fn check(&self) -> Result<(), Fault> {
        let classes = self.classes.len();
        if !(1..=MAX_CLASSES).contains(&classes) {
            return rule(format!("classes: {classes} names, but 1 to {MAX_CLASSES} are allowed"));
        }
        if let Some(names) = &self.class_names
            && names.len() != classes
        {
            let names = names.len();
            return rule(format!("class_names: {names} names for {classes} classes"));
        }
        for (name, split) in [("train", &self.splits.train), ("val", &self.splits.val)] {
            if split.shards.len() > MAX_SHARDS {
                return rule(format!("splits.{name}.shards: more than {MAX_SHARDS}"));
            }
            if split.samples > u64::from(u32::MAX) / 2 {
                let samples = split.samples;
                return rule(format!("splits.{name}.samples: {samples}, more than 2^31 - 1"));
            }
            check_record(&format!("splits.{name}.table"), &split.table)?;
            for (place, record) in split.shards.iter().enumerate() {
                check_record(&format!("splits.{name}.shards[{place}]"), record)?;
            }
        }
        Ok(())
    }
}

fn check_record(at: &str, record: &FileRecord) -> Result<(), Fault> {
    let mut parts = Path::new(&record.file).components();
    let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    if !plain {
        return rule(format!("{at}.file: {:?} is not a plain file name", record.file));
    }
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if record.sha256.len() != 64 || !record.sha256.bytes().all(hex) {
        return rule(format!("{at}.sha256: not 64 hexadecimal digits"));
    }
    Ok(())
}

enum Fault {
    Version(u64),
    Rule(String),
}

fn rule<T>(reason: String) -> Result<T, Fault> {
    Err(Fault::Rule(reason))
}

fn syntax(error: serde_json::Error) -> Fault {
    Fault::Rule(error.to_string())
}
