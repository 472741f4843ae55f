//! One image of a source: its class, its key, and where its bytes are.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cream_data::decode::MAX_BYTES;
use cream_data::error::ImageError;

use super::idx::IdxImages;
use super::parquet::Row;
use super::stored::Stored;
use super::tar::{Member, Members, shown};
use super::{printable, stem_key};

/// One image of the source. There is one for each of a million images, so it is kept small: what
/// is only needed for reports is worked out when asked for.
#[derive(Debug)]
pub struct Item {
    /// Place of its class in [`Listing::classes`](super::Listing::classes).
    pub class: u32,
    /// Its key in the shards.
    pub key: Box<str>,
    /// Where its bytes are.
    pub(super) origin: Origin,
}

/// Where an image's bytes are.
#[derive(Debug)]
pub(super) enum Origin {
    /// A file, by its path from a folder.
    File(Arc<Folder>, Box<Path>),
    /// Image of this number of an IDX file.
    Idx(Arc<IdxImages>, u32),
    /// A file in an archive.
    Entry(Entry),
    /// A row of a parquet file.
    Row(Row),
}

/// An archive, which may lie inside another one.
#[derive(Debug)]
pub struct Archive {
    /// The bytes of the outermost.
    pub bytes: Arc<dyn Stored>,
    /// What reports call it.
    pub name: String,
}

/// A file in an archive.
#[derive(Debug)]
pub struct Entry {
    archive: Arc<Archive>,
    /// Where its headers begin, and how long they are; its name is read again when asked for.
    start: u64,
    headers: u32,
    /// No more than `u32` counts: an image is far smaller.
    length: u32,
}

impl Entry {
    /// The image of a class that a member of an archive is.
    pub(super) fn item(archive: &Arc<Archive>, member: &Member, class: u32) -> Item {
        let entry = Self {
            archive: Arc::clone(archive),
            start: member.start,
            headers: u32::try_from(member.data - member.start).unwrap_or(u32::MAX),
            length: u32::try_from(member.size).unwrap_or(u32::MAX),
        };
        let key = stem_key(Path::new(OsStr::from_bytes(&member.path))).into();
        Item { class, key, origin: Origin::Entry(entry) }
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u32 {
        self.length
    }

    fn path(&self) -> Vec<u8> {
        let data = self.start + u64::from(self.headers);
        let end = data + u64::from(self.length).next_multiple_of(512);
        let member = Members::new(&*self.archive.bytes, self.start, end).next();
        member.ok().flatten().map(|member| member.path).unwrap_or_default()
    }

    fn read(&self) -> Result<Vec<u8>, String> {
        check_length(self.length.into())?;
        let data = self.start + u64::from(self.headers);
        self.archive.bytes.part(data, self.length.into()).map_err(|error| error.to_string())
    }
}

/// A folder, shared by the files in it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Its path from SRC, as reports name it.
    relative: PathBuf,
}

impl Folder {
    /// SRC itself.
    pub fn root(src: &Path) -> Self {
        Self { path: src.to_owned(), relative: PathBuf::new() }
    }

    /// The folder `path` below `src`.
    pub fn below(src: &Path, path: &Path) -> Self {
        let relative = path.strip_prefix(src).unwrap_or(path).to_owned();
        Self { path: path.to_owned(), relative }
    }
}

impl Item {
    /// What reports call the image: its path from SRC, or its place in the file that holds it.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        match &self.origin {
            Origin::File(folder, name) => {
                printable(folder.relative.join(name).as_os_str()).into_owned().into()
            }
            Origin::Idx(images, index) => format!("{}#{index}", images.name).into(),
            Origin::Entry(entry) => {
                format!("{}/{}", entry.archive.name, shown(&entry.path())).into()
            }
            Origin::Row(row) => row.name().into(),
        }
    }

    /// The image's encoded bytes: those of the source, or for IDX a grey PNG of its values.
    ///
    /// # Errors
    /// The reason why there are none, for the quarantine report.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        match &self.origin {
            Origin::File(folder, name) => read_file(&folder.path.join(name)),
            Origin::Idx(images, index) => {
                images.png(*index as usize).map_err(|error| error.to_string())
            }
            Origin::Entry(entry) => entry.read(),
            Origin::Row(row) => row.read(),
        }
    }
}

pub(super) fn check_length(bytes: u64) -> Result<(), String> {
    if bytes > MAX_BYTES {
        return Err(ImageError::TooManyBytes { bytes, limit: MAX_BYTES }.to_string());
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    // Before it is opened: opening a pipe waits for somebody to write to it.
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    check_length(metadata.len())?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
