//! Parquet files as Hugging Face's library writes them: `image.bytes`, `image.path` and `label`.
//!
//! Rows are in random order and shards are not, so every image is read by itself. A page is no unit
//! for that: writers put all images of a row group into one, its dictionary. So when the first image
//! of a row group is asked for, the group's pages are unpacked once and the place of every image is
//! noted, 24 bytes each; with snappy, the 64 KiB blocks that hold it. From then on an image takes one
//! positioned read of its own bytes and at most two blocks more. Each byte is read about twice in
//! all, whatever the order; memory is bounded by the largest page, times the number of threads.
//!
//! The reader is its own because it needs those places, and because it is fed by strangers: it
//! allocates no more than the bytes there are can fill, and has no case in which it panics.

mod column;
mod footer;
mod snappy;
mod thrift;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cream_cli::Failure;
use cream_data::shards::checksum;
use cream_data::shards::index::{Classes, MAX_CLASSES};

use super::item::check_length;
use super::stored::{NamedFile, Stored};
use super::tar::MAX_MEMBERS;
use super::{Found, Item, Origin, SetAside, fault, printable, repeated, stem_key};
use column::Place;
use footer::{Chunk, Footer, Group};

/// Files of a part, by how their names begin; a later one counts where the earlier are not there.
const VALIDATION: [&str; 3] = ["validation", "val", "test"];

/// A row that holds an image.
#[derive(Debug)]
pub struct Row {
    group: Arc<RowGroup>,
    index: u32,
}

/// The images of one row group.
#[derive(Debug)]
struct RowGroup {
    file: Arc<dyn Stored>,
    /// What reports call the file.
    name: Arc<str>,
    /// The number in the file of its first row.
    first: u64,
    chunk: Chunk,
    path: Option<Chunk>,
    /// Where its images are; found when the first of them is read.
    places: OnceLock<Result<Vec<Place>, String>>,
}

impl Row {
    /// What reports call it.
    pub fn name(&self) -> String {
        format!("{}#{}", self.group.name, self.group.first + u64::from(self.index))
    }

    /// The image's bytes.
    ///
    /// # Errors
    /// The reason why there are none.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        let RowGroup { file, chunk, places, .. } = &*self.group;
        let places = places.get_or_init(|| column::places(&**file, chunk)).as_ref();
        let place = places.map_err(|reason| format!("image.bytes: {reason}"))?;
        let place = place.get(self.index as usize).ok_or("no such row")?;
        match place.length() {
            Some(length) => check_length(length)?,
            None => return Err(self.why_null()),
        }
        place.read(&**file, chunk.codec)
    }

    fn why_null(&self) -> String {
        let path = self.group.path.as_ref().and_then(|path| {
            let texts = column::texts(&*self.group.file, path).ok()?;
            texts.get(self.index as usize).cloned().flatten()
        });
        match path {
            Some(path) => format!(
                "it has no bytes, only the path {}; write the files anew with images embedded",
                String::from_utf8_lossy(&path).escape_debug()
            ),
            None => "its image is null".to_owned(),
        }
    }
}

/// Whether `src` holds such files.
pub fn is_in(src: &Path) -> bool {
    [src.to_owned(), src.join("data")].iter().any(|dir| !files(dir, "train").is_empty())
}

/// The files of a part in `dir`, sorted by name.
fn files(dir: &Path, part: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let is_of_part = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let stem = name.and_then(|name| name.strip_suffix(".parquet"));
        let rest = stem.and_then(|stem| stem.strip_prefix(part));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) && path.is_file()
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_of_part).collect();
    files.sort_unstable();
    files
}

/// Lists the rows of the files in `src` or its folder `data`.
pub fn find(src: &Path) -> Result<Found, Failure> {
    let data = src.join("data");
    let dir = if files(src, "train").is_empty() { data } else { src.to_owned() };
    let mut rows = Rows::default();
    let train = rows.part("train", &files(&dir, "train"))?;
    let validation = VALIDATION.map(|part| files(&dir, part));
    let val = validation.iter().find(|files| !files.is_empty());
    let val = rows.part("val", val.map_or(&[][..], Vec::as_slice))?;
    let count = match &rows.names {
        Some(names) => names.len(),
        None => rows.highest.map_or(0, |label| label as usize + 1),
    };
    let (classes, numbers) = classes(count, rows.names.take(), &rows.synsets);
    if let Some(name) = repeated(&classes.ids) {
        return Err(fault(&dir, format!("two labels are both called {name}")));
    }
    let fingerprint = checksum::of_bytes(rows.seen.concat().as_bytes());
    let mut found = Found { kind: "parquet files", fingerprint, ..Found::of(classes) };
    (found.train, found.val, found.bad) = (train, val, rows.bad);
    for item in found.train.iter_mut().chain(&mut found.val) {
        item.class = numbers[item.class as usize];
    }
    Ok(found)
}

/// The rows of one file.
///
/// # Errors
/// The broken rule.
pub fn rows(file: Arc<dyn Stored>, name: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    Rows::default().file("train", &mut 0, file, name, &mut items)?;
    Ok(items)
}

/// What the files say together.
#[derive(Default)]
struct Rows {
    names: Option<Vec<String>>,
    highest: Option<u32>,
    /// For each label the synset that the names of its training images begin with, if all with one.
    synsets: BTreeMap<u32, Option<Box<str>>>,
    bad: Vec<SetAside>,
    seen: Vec<String>,
    count: u64,
}

impl Rows {
    fn part(&mut self, part: &str, files: &[PathBuf]) -> Result<Vec<Item>, Failure> {
        let mut items = Vec::new();
        let mut first = 0;
        for path in files {
            let file = NamedFile::find(path).map_err(|error| fault(path, error))?;
            let name = printable(path.file_name().unwrap_or_default()).into_owned();
            let listed = self.file(part, &mut first, Arc::new(file), &name, &mut items);
            listed.map_err(|reason| fault(path, reason))?;
        }
        Ok(items)
    }

    fn file(
        &mut self,
        part: &str,
        first: &mut u64,
        file: Arc<dyn Stored>,
        name: &str,
        items: &mut Vec<Item>,
    ) -> Result<(), String> {
        let Footer { groups, names, bytes } = Footer::read(&*file)?;
        if names.as_ref().is_some_and(|names| !(1..=MAX_CLASSES).contains(&names.len())) {
            return Err(format!("names of 0 or more than {MAX_CLASSES} labels"));
        }
        if self.seen.is_empty() {
            self.names = names;
        } else if self.names != names {
            return Err("its labels have other names than those of the file before".to_owned());
        }
        self.seen.push(format!("{name},{},{}\n", file.len(), checksum::of_bytes(&bytes)));
        let name: Arc<str> = name.into();
        let mut row = 0;
        for group in groups {
            let count = group.image.rows as u64;
            self.count += count;
            if self.count > MAX_MEMBERS {
                return Err(format!("more than {MAX_MEMBERS} rows in all"));
            }
            self.group(part, *first, row, &file, &name, group, items)?;
            row += count;
            *first += count;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "where a row group is takes that many")]
    fn group(
        &mut self,
        part: &str,
        first: u64,
        first_of_file: u64,
        file: &Arc<dyn Stored>,
        name: &Arc<str>,
        group: Group,
        items: &mut Vec<Item>,
    ) -> Result<(), String> {
        let labels = column::numbers(&**file, &group.label).map_err(|e| format!("label: {e}"))?;
        let texts = group.path.as_ref().map(|path| column::texts(&**file, path)).transpose();
        let mut texts =
            texts.map_err(|reason| format!("image.path: {reason}"))?.unwrap_or_default();
        let group = Arc::new(RowGroup {
            file: Arc::clone(file),
            name: Arc::clone(name),
            first: first_of_file,
            chunk: group.image,
            path: group.path,
            places: OnceLock::new(),
        });
        for (index, label) in labels.into_iter().enumerate() {
            let row = Row { group: Arc::clone(&group), index: index as u32 };
            let path = texts.get_mut(index).and_then(Option::take);
            match self.class(label) {
                Ok(class) => {
                    if part == "train" {
                        self.note_synset(class, path.as_deref());
                    }
                    let number = first + index as u64;
                    let key = match path.as_deref().map(key_of).filter(|key| !key.is_empty()) {
                        Some(key) => key,
                        None => format!("{part}-{number:08}"),
                    };
                    items.push(Item { class, key: key.into(), origin: Origin::Row(row) });
                }
                Err(reason) => {
                    self.bad.push(SetAside { class: None, name: row.name(), reason });
                }
            }
        }
        Ok(())
    }

    fn class(&mut self, label: Option<i64>) -> Result<u32, String> {
        let label = label.ok_or("its label is null")?;
        let most = self.names.as_ref().map_or(MAX_CLASSES, Vec::len);
        match usize::try_from(label) {
            Ok(class) if class < most => {
                self.highest = self.highest.max(Some(class as u32));
                Ok(class as u32)
            }
            _ => Err(format!("its label {label} is none of {most}")),
        }
    }

    fn note_synset(&mut self, class: u32, path: Option<&[u8]>) {
        let synset = path.and_then(synset_of);
        let noted = self.synsets.entry(class).or_insert_with(|| synset.map(Into::into));
        if noted.as_deref() != synset {
            *noted = None;
        }
    }
}

fn key_of(path: &[u8]) -> String {
    stem_key(Path::new(OsStr::from_bytes(path)))
}

/// The synset in `n01440764_10026.JPEG`.
fn synset_of(path: &[u8]) -> Option<&str> {
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    let (synset, rest) = name.split_at_checked(9)?;
    let synset = std::str::from_utf8(synset).ok()?;
    (is_synset(synset) && rest.starts_with(b"_")).then_some(synset)
}

fn is_synset(name: &str) -> bool {
    let digits = name.strip_prefix('n');
    digits.is_some_and(|d| d.len() == 8 && d.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The classes of `count` labels, and for each label the number of its class: where labels are
/// synsets, or the images' names say which they are, classes are in the order of these.
fn classes(
    count: usize,
    names: Option<Vec<String>>,
    synsets: &BTreeMap<u32, Option<Box<str>>>,
) -> (Classes, Vec<u32>) {
    let labels = 0..count as u32;
    let told: Option<Vec<String>> =
        labels.clone().map(|label| synsets.get(&label)?.as_deref().map(str::to_owned)).collect();
    let told = told.filter(|ids| repeated(ids).is_none());
    let (ids, words) = match (names, told) {
        (Some(names), _) if names.iter().all(|name| is_synset(name)) => (names, None),
        (names, Some(ids)) => (ids, names),
        // The order of the labels is all there is.
        (names, None) => {
            let ids = names.unwrap_or_else(|| labels.clone().map(|l| l.to_string()).collect());
            return (ids.into(), labels.collect());
        }
    };
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&label| &ids[label]);
    let mut numbers = vec![0; order.len()];
    for (number, &label) in order.iter().enumerate() {
        numbers[label] = number as u32;
    }
    let sorted = |list: Vec<String>| order.iter().map(|&label| list[label].clone()).collect();
    (Classes { names: words.map(sorted), ids: sorted(ids) }, numbers)
}
