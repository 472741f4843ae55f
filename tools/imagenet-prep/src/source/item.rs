//! One image of a source: its class, its key, and where its bytes are.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cream_data::decode::MAX_BYTES;
use cream_data::error::ImageError;

use super::idx::IdxImages;
use super::printable;

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
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    if metadata.len() > MAX_BYTES {
        let error = ImageError::TooManyBytes { bytes: metadata.len(), limit: MAX_BYTES };
        return Err(error.to_string());
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
