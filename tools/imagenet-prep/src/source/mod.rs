//! What SRC holds, as one list of samples whatever its form.

mod archives;
mod devkit;
mod folders;
mod idx;
mod item;
mod list;
mod matlab;
mod parquet;
pub mod readers;
mod select;
mod stored;
mod tar;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cream_cli::{Failure, OrFail};
use cream_data::shards::index::Classes;
use cream_data::shards::{checksum, escape_key};
use serde_json::{Value, json};

pub use item::Item;
use item::Origin;
pub use select::{Choice, ClassChoice};

/// All images of a source, each part ordered by class, then key.
#[derive(Debug)]
pub struct Listing {
    /// `archives`, `parquet files`, `class folders`, `list files` or `IDX files`.
    pub kind: &'static str,
    /// The classes in the order of their numbers.
    pub classes: Classes,
    /// Training images.
    pub train: Vec<Item>,
    /// Validation images.
    pub val: Vec<Item>,
    /// Images set aside before they were read.
    pub bad: Vec<SetAside>,
    /// Files passed over because they are not called like an image.
    pub ignored: u64,
    /// Names and sizes of all that was found, summed up.
    fingerprint: String,
}

/// An image set aside, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Its class, where that is known.
    pub class: Option<u32>,
    /// What reports call it.
    pub name: String,
    /// Why it was set aside.
    pub reason: String,
}

/// What one form of source yields before keys are final and a choice is made.
struct Found {
    kind: &'static str,
    classes: Classes,
    train: Vec<Item>,
    val: Vec<Item>,
    bad: Vec<SetAside>,
    ignored: u64,
    fingerprint: String,
}

impl Found {
    /// Classes and no images yet.
    fn of(classes: impl Into<Classes>) -> Self {
        Self {
            kind: "",
            classes: classes.into(),
            train: Vec::new(),
            val: Vec::new(),
            bad: Vec::new(),
            ignored: 0,
            fingerprint: String::new(),
        }
    }
}

/// Lists SRC and chooses classes, images and validation images.
///
/// # Errors
/// [`Failure::Input`] when SRC is of no known form, or not as that form should be.
pub fn list(choice: &Choice) -> Result<Listing, Failure> {
    let src = &choice.src;
    let metadata = std::fs::metadata(src).map_err(|error| fault(src, error))?;
    let found = if archives::is_in(src) {
        archives::find(src, choice.workers)?
    } else if !metadata.is_dir() {
        let reason = "not a folder; give the folder that holds the images, or a .tar of them";
        return Err(fault(src, reason));
    } else if idx::is_in(src) {
        idx::find(src)?
    } else if src.join(list::TRAIN).is_file() {
        list::find(src)?
    } else if parquet::is_in(src) {
        parquet::find(src)?
    } else {
        folders::find(src)?
    };
    let mut listing = select::choose(found, choice)?;
    for part in [&mut listing.train, &mut listing.val] {
        let bad = order(part, &listing.classes.ids);
        listing.bad.extend(bad.into_iter().map(|item| SetAside {
            class: Some(item.class),
            name: item.name().into_owned(),
            reason: DUPLICATE.to_owned(),
        }));
    }
    listing.check(src)?;
    Ok(listing)
}

const DUPLICATE: &str = "duplicate key: another image of this class has the same name";

/// Makes keys unique and sorts by class, then key. A name that occurs in several classes gets the
/// class's name before it; of several in one class the first by path stays, and the others are
/// returned.
fn order(items: &mut Vec<Item>, classes: &[String]) -> Vec<Item> {
    let mut keys: Vec<(&str, u32)> = items.iter().map(|i| (&*i.key, i.class)).collect();
    keys.sort_unstable();
    keys.dedup();
    let shared: std::collections::HashSet<String> = keys
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|same| same.len() > 1)
        .map(|same| same[0].0.to_owned())
        .collect();
    for item in items.iter_mut().filter(|item| shared.contains(&*item.key)) {
        let class = classes.get(item.class as usize).map_or("", String::as_str);
        item.key = format!("{}_{}", escape_key(class.as_bytes()), item.key).into();
    }
    sort(items);
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

/// Sorts by class, then key; equal ones by name, which is only worked out for them.
fn sort(items: &mut [Item]) {
    items.sort_by(|a, b| {
        (a.class, &a.key).cmp(&(b.class, &b.key)).then_with(|| a.name().cmp(&b.name()))
    });
}

impl Listing {
    fn check(&self, src: &Path) -> Result<(), Failure> {
        let mut counts = vec![0_u64; self.classes.ids.len()];
        for item in &self.train {
            counts[item.class as usize] += 1;
        }
        if let Some(empty) = counts.iter().position(|&count| count == 0) {
            let class = &self.classes.ids[empty];
            let reason = format!("class {class} has no training images; remove it or add some");
            return Err(fault(src, reason));
        }
        if self.val.is_empty() {
            return Err(fault(src, "no validation images; make some with --val-share 0.1"));
        }
        Ok(())
    }

    /// What of the source and the choice decides what the shards hold; with the settings of
    /// writing they make equal bytes.
    pub fn inputs(&self, choice: &Choice) -> Vec<(&'static str, Value)> {
        vec![
            ("source", json!(self.kind)),
            ("source_sha256", json!(self.fingerprint)),
            ("val_share", json!(choice.val_share)),
            ("seed", json!(choice.seed)),
            ("per_class", json!(choice.per_class)),
            ("val_per_class", json!(choice.val_per_class)),
            ("classes", json!(checksum::of_bytes(self.classes.ids.join("\n").as_bytes()))),
        ]
    }
}

/// The lines of a text file, blank ones left out.
///
/// # Errors
/// [`Failure::Input`] when it cannot be read, is not UTF-8 or has more than 64 MiB.
pub fn lines(path: &Path) -> Result<Vec<String>, Failure> {
    let text = path.to_str().ok_or_else(|| anyhow::anyhow!("{path:?}: not UTF-8")).or_input()?;
    let text = cream_cli::read_text(text, 1 << 26)?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// An error about SRC.
fn fault(path: &Path, reason: impl std::fmt::Display) -> Failure {
    Failure::input(format!("{}: {reason}", path.display()))
}

/// A name for people and JSON: what is not UTF-8 becomes `%XX`.
fn printable(name: &OsStr) -> Cow<'_, str> {
    match name.to_str() {
        Some(text) => text.into(),
        None => escape_key(name.as_bytes()).into(),
    }
}

/// A name that occurs twice.
fn repeated(names: &[String]) -> Option<&String> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
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
