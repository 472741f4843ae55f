//! What SRC holds, as one list of samples whatever its form.
//!
//! Official archives and parquet files will be further forms here; re-encoding will be a step
//! between reading a sample and checking it (`crate::prepare`).

mod folders;
mod idx;
mod list;
mod select;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cream_cli::Failure;
use cream_data::shards::{checksum, escape_key};
use serde_json::{Value, json};

use crate::args::Options;
use idx::IdxImages;

/// One image of the source.
#[derive(Debug, Clone)]
pub struct Item {
    /// Place of its class in [`Listing::classes`].
    pub class: u32,
    /// Its key in the shards.
    pub key: String,
    /// What the quarantine report calls it.
    pub name: String,
    /// Where its bytes are.
    pub origin: Origin,
}

/// Where an image's bytes are.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// Image `index` of an IDX file.
    Idx(Arc<IdxImages>, usize),
}

/// All images of a source, each part ordered by class, then key.
#[derive(Debug)]
pub struct Listing {
    /// `class folders`, `list files` or `IDX files`.
    pub kind: &'static str,
    /// Class names in the order of their numbers.
    pub classes: Vec<String>,
    /// Training images.
    pub train: Vec<Item>,
    /// Validation images.
    pub val: Vec<Item>,
    /// Images set aside before they were read, with the reason.
    pub bad: Vec<(Item, String)>,
    /// Files passed over because they are not called like an image.
    pub ignored: u64,
    /// Names and sizes of all that was found, summed up.
    pub fingerprint: String,
}

/// What one form of source yields before keys are final and a choice is made.
struct Found {
    kind: &'static str,
    classes: Vec<String>,
    train: Vec<Item>,
    val: Vec<Item>,
    ignored: u64,
    fingerprint: String,
}

/// Lists SRC and chooses classes, images and validation images as the options say.
///
/// # Errors
/// [`Failure::Input`] when SRC is of no known form, or not as that form should be.
pub fn list(options: &Options) -> Result<Listing, Failure> {
    let src = &options.src;
    let metadata = std::fs::metadata(src).map_err(|error| fault(src, error))?;
    if !metadata.is_dir() {
        return Err(fault(src, "not a folder; give the folder that holds the images"));
    }
    let found = if idx::is_in(src) {
        idx::find(src)?
    } else if src.join(list::TRAIN).is_file() {
        list::find(src)?
    } else {
        folders::find(src)?
    };
    let mut listing = select::choose(found, options)?;
    for part in [&mut listing.train, &mut listing.val] {
        let bad = order(part, &listing.classes);
        listing.bad.extend(bad.into_iter().map(|item| (item, DUPLICATE.to_owned())));
    }
    listing.check(src)?;
    Ok(listing)
}

const DUPLICATE: &str = "duplicate key: another image of this class has the same name";

/// Makes keys unique and sorts by class, then key. A name that occurs in several classes gets the
/// class's name before it; of several in one class the first by path stays, and the others are
/// returned.
fn order(items: &mut Vec<Item>, classes: &[String]) -> Vec<Item> {
    let mut keys: Vec<(&str, u32)> = items.iter().map(|i| (i.key.as_str(), i.class)).collect();
    keys.sort_unstable();
    keys.dedup();
    let shared: std::collections::HashSet<String> = keys
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|same| same.len() > 1)
        .map(|same| same[0].0.to_owned())
        .collect();
    for item in items.iter_mut().filter(|item| shared.contains(&item.key)) {
        let class = classes.get(item.class as usize).map_or("", String::as_str);
        item.key = format!("{}_{}", escape_key(class.as_bytes()), item.key);
    }
    items.sort_by(|a, b| (a.class, &a.key, &a.name).cmp(&(b.class, &b.key, &b.name)));
    let mut bad = Vec::new();
    let mut kept: Vec<Item> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        match kept.last() {
            Some(last) if (last.class, &last.key) == (item.class, &item.key) => bad.push(item),
            _ => kept.push(item),
        }
    }
    *items = kept;
    bad
}

impl Listing {
    fn check(&self, src: &Path) -> Result<(), Failure> {
        let mut counts = vec![0_u64; self.classes.len()];
        for item in &self.train {
            counts[item.class as usize] += 1;
        }
        if let Some(empty) = counts.iter().position(|&count| count == 0) {
            let class = &self.classes[empty];
            let reason = format!("class {class} has no training images; remove it or add some");
            return Err(fault(src, reason));
        }
        if self.val.is_empty() {
            return Err(fault(src, "no validation images; make some with --val-share 0.1"));
        }
        Ok(())
    }

    /// Everything that decides what the shards hold: two runs with equal inputs give equal bytes.
    pub fn inputs(&self, options: &Options) -> Value {
        json!({
            "source": self.kind,
            "source_sha256": self.fingerprint,
            "search_val_share": options.search_val_share,
            "val_share": options.val_share,
            "seed": options.seed,
            "shard_bytes": options.shard_bytes,
            "per_class": options.per_class,
            "val_per_class": options.val_per_class,
            "classes": checksum::of_bytes(self.classes.join("\n").as_bytes()),
        })
    }
}

/// An error about SRC.
fn fault(path: &Path, reason: impl std::fmt::Display) -> Failure {
    Failure::input(format!("{}: {reason}", path.display()))
}

/// A name for people and JSON: what is not UTF-8 becomes `%XX`.
fn printable(name: &OsStr) -> String {
    match name.to_str() {
        Some(text) => text.to_owned(),
        None => escape_key(name.as_bytes()),
    }
}

/// Whether a file is called like an image. What it is, its content says later.
fn is_named_like_an_image(path: &Path) -> bool {
    const EXTENSIONS: [&str; 9] =
        ["jpg", "jpeg", "png", "bmp", "gif", "webp", "tif", "tiff", "ppm"];
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|found| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(found)))
}

/// The key of a file, before it is made unique.
fn stem_key(path: &Path) -> String {
    escape_key(path.file_stem().unwrap_or_default().as_bytes())
}
