//! Archives, read where they are: the official pair with its development kit, or one tar.
//!
//! A first pass over the headers finds every image; each is then one positioned read.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{Sink, Write as _, sink};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cream_cli::Failure;
use cream_data::shards::checksum::Summing;
use cream_data::shards::index::Classes;

use super::devkit::Devkit;
use super::item::{Archive, Entry};
use super::stored::OpenFile;
use super::tar::{Kind, MAX_MEMBERS, Member, Members, shown};
use super::{Found, Item, Origin, SetAside, fault, is_named_like_an_image, printable, repeated};

/// Names of the archives as downloaded.
const TRAIN: &str = "ILSVRC2012_img_train.tar";
const VAL: &str = "ILSVRC2012_img_val.tar";
const DEVKIT: &str = "ILSVRC2012_devkit_t12.tar.gz";

/// Whether `src` is a tar or holds the official training archive.
pub fn is_in(src: &Path) -> bool {
    src.join(TRAIN).is_file() || src.is_file() && is_tar(src)
}

fn is_tar(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tar")
}

/// Lists the images of the archives.
pub fn find(src: &Path, workers: usize) -> Result<Found, Failure> {
    let train = if src.is_dir() { src.join(TRAIN) } else { src.to_owned() };
    let archive = open(&train)?;
    let listed = Listed::of(&archive, workers).map_err(|reason| fault(&train, reason))?;
    let mut found = listed.numbered().map_err(|reason| fault(&train, reason))?;
    let mut seen = Summing::new(sink());
    for item in found.train.iter().chain(&found.val) {
        sum_up(item, &mut seen);
    }
    let (val, kit) = (src.join(VAL), src.join(DEVKIT));
    if src.is_dir() && val.is_file() {
        if !kit.is_file() {
            let reason =
                "missing: it says which class each validation image is of; download it too";
            return Err(fault(&kit, reason));
        }
        validation(&mut found, &val, &kit)?;
        found.val.iter().for_each(|item| sum_up(item, &mut seen));
    }
    found.fingerprint = seen.finish().2;
    Ok(found)
}

/// Class, key and length of an image stand for what it is, as with folders.
fn sum_up(item: &Item, sum: &mut Summing<Sink>) {
    if let Origin::Entry(entry) = &item.origin {
        // Writing to nowhere cannot fail.
        let _ = writeln!(sum, "{},{},{}", item.class, item.key, entry.length());
    }
}

fn open(path: &Path) -> Result<Arc<Archive>, Failure> {
    let bytes = OpenFile::open(path).map_err(|error| fault(path, error))?;
    let name = printable(path.file_name().unwrap_or_default()).into_owned();
    Ok(Arc::new(Archive { bytes: Arc::new(bytes), name }))
}

/// Images of one archive, their classes numbered as they were met.
#[derive(Debug, Default)]
pub struct Listed {
    classes: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, u32>,
    train: Vec<Item>,
    val: Vec<Item>,
    bad: Vec<SetAside>,
    ignored: u64,
}

impl Listed {
    /// Lists a tar of one tar per class, or of class folders.
    ///
    /// # Errors
    /// The broken rule.
    pub fn of(archive: &Arc<Archive>, workers: usize) -> Result<Self, String> {
        let mut listed = Self::default();
        let mut inner = Vec::new();
        let mut members = Members::new(&*archive.bytes, 0, archive.bytes.len());
        while let Some(member) = members.next()? {
            let path = as_path(&member.path);
            if is_tar(path) && member.kind != Kind::Folder {
                let (class, tar) = inner_tar(archive, &member)?;
                inner.push(Inner { class: listed.class(class), ..tar });
                continue;
            }
            if listed.passes_over(&member) {
                continue;
            }
            match place(&member.path) {
                Ok((part, class)) => {
                    let class = listed.class(class);
                    listed.add(part, class, archive, &member);
                }
                Err(reason) => listed.set_aside(None, archive, &member, reason),
            }
        }
        for part in all_inner(&inner, workers)? {
            listed.train.extend(part.train);
            listed.bad.extend(part.bad);
            listed.ignored += part.ignored;
        }
        Ok(listed)
    }

    /// How many images there are, those set aside among them.
    #[must_use]
    pub fn images(&self) -> usize {
        self.train.len() + self.val.len() + self.bad.len()
    }

    fn class(&mut self, name: &[u8]) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.classes.len() as u32;
        self.classes.push(name.to_vec());
        self.numbers.insert(name.to_vec(), number);
        number
    }

    /// Whether a member is nothing that could be an image; files are counted.
    fn passes_over(&mut self, member: &Member) -> bool {
        let path = as_path(&member.path);
        let no_image =
            member.kind == Kind::Folder || is_hidden(path) || !is_named_like_an_image(path);
        self.ignored += u64::from(no_image && member.kind != Kind::Folder);
        no_image
    }

    fn add(&mut self, part: Part, class: u32, archive: &Arc<Archive>, member: &Member) {
        match usable(member) {
            Ok(()) => match part {
                Part::Train => self.train.push(Entry::item(archive, member, class)),
                Part::Val => self.val.push(Entry::item(archive, member, class)),
            },
            Err(reason) => self.set_aside(Some(class), archive, member, reason),
        }
    }

    fn set_aside(
        &mut self,
        class: Option<u32>,
        archive: &Archive,
        member: &Member,
        reason: String,
    ) {
        let name = format!("{}/{}", archive.name, shown(&member.path));
        self.bad.push(SetAside { class, name, reason });
    }

    /// The same with the classes in the order of their names.
    ///
    /// # Errors
    /// The broken rule.
    pub(super) fn numbered(self) -> Result<Found, String> {
        if self.train.is_empty() {
            return Err(
                "no images in class folders and no tars of classes; see imagenet-prep --help"
                    .to_owned(),
            );
        }
        let mut has_train = vec![false; self.classes.len()];
        self.train.iter().for_each(|item| has_train[item.class as usize] = true);
        if let Some(item) = self.val.iter().find(|item| !has_train[item.class as usize]) {
            let class = shown(&self.classes[item.class as usize]);
            return Err(format!("no training images of the class {class}"));
        }
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        order.sort_by_key(|&place| &self.classes[place]);
        let mut numbers = vec![0; order.len()];
        for (number, &place) in order.iter().enumerate() {
            numbers[place] = number as u32;
        }
        let name =
            |&place: &usize| printable(as_path(&self.classes[place]).as_os_str()).into_owned();
        let classes: Vec<String> = order.iter().map(name).collect();
        if let Some(name) = repeated(&classes) {
            return Err(format!("two classes are both called {name}"));
        }
        let mut found = Found { kind: "archives", ..Found::of(classes) };
        (found.train, found.val, found.bad) = (self.train, self.val, self.bad);
        found.ignored = self.ignored;
        for item in found.train.iter_mut().chain(&mut found.val) {
            item.class = numbers[item.class as usize];
        }
        for class in found.bad.iter_mut().filter_map(|bad| bad.class.as_mut()) {
            *class = numbers[*class as usize];
        }
        Ok(found)
    }
}

/// An archive inside another, of one class.
struct Inner {
    archive: Arc<Archive>,
    class: u32,
    start: u64,
    end: u64,
}

/// The class that an archive in an archive is of, and the archive.
fn inner_tar<'a>(archive: &Archive, member: &'a Member) -> Result<(&'a [u8], Inner), String> {
    let name = shown(&member.path);
    if member.kind != Kind::File || leads_out(&member.path) {
        return Err(format!("{name} at byte {} is no plain tar of a class", member.start));
    }
    let class = as_path(&member.path).file_stem().unwrap_or_default().as_bytes();
    let (bytes, name) = (Arc::clone(&archive.bytes), format!("{}/{name}", archive.name));
    let (start, end) = (member.data, member.data + member.size);
    Ok((class, Inner { archive: Arc::new(Archive { bytes, name }), class: 0, start, end }))
}

/// Lists the tars of all classes, several at once; the result is in their order.
fn all_inner(inner: &[Inner], workers: usize) -> Result<Vec<Listed>, String> {
    let (next, total) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let done: Mutex<Vec<(usize, Result<Listed, String>)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(tar) = inner.get(place) else { return };
            let mut listed = one_inner(tar);
            let count = listed.as_ref().map_or(0, Listed::images);
            if total.fetch_add(count, Ordering::Relaxed) + count > MAX_MEMBERS as usize {
                listed = Err(format!("more than {MAX_MEMBERS} images"));
            }
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, listed));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers.min(inner.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, listed)| listed).collect()
}

fn one_inner(tar: &Inner) -> Result<Listed, String> {
    let mut listed = Listed::default();
    let mut members = Members::new(&*tar.archive.bytes, tar.start, tar.end);
    let named = |reason| format!("{}: {reason}", tar.archive.name);
    while let Some(member) = members.next().map_err(named)? {
        if !listed.passes_over(&member) {
            listed.add(Part::Train, tar.class, &tar.archive, &member);
        }
    }
    Ok(listed)
}

/// Whether a member called like an image may be one.
fn usable(member: &Member) -> Result<(), String> {
    match member.kind {
        Kind::Other(what) => Err(format!("{what}, not a file")),
        _ if leads_out(&member.path) => Err("its name leads out of the archive".to_owned()),
        _ => Ok(()),
    }
}

/// Names are never used as paths; one that would leave its folder is a sign of tampering.
fn leads_out(path: &[u8]) -> bool {
    path.starts_with(b"/") || path.split(|&byte| byte == b'/').any(|part| part == b"..")
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_bytes().starts_with(b".")
}

#[derive(Clone, Copy)]
enum Part {
    Train,
    Val,
}

/// Part and class of an image in a tar of class folders: `CLASS/*`, or with `train` or `val` before
/// it, and perhaps one folder around these.
fn place(path: &[u8]) -> Result<(Part, &[u8]), String> {
    let parts: Vec<&[u8]> =
        path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    let folders = &parts[..parts.len().saturating_sub(1)];
    match folders {
        [b"train", class, ..] | [_, b"train", class, ..] => Ok((Part::Train, class)),
        [b"val", class, ..] | [_, b"val", class, ..] => Ok((Part::Val, class)),
        [class, ..] => Ok((Part::Train, class)),
        [] => Err("in no class folder".to_owned()),
    }
}

/// Adds the official validation images, and what the kit calls the classes.
fn validation(found: &mut Found, val: &Path, kit: &Path) -> Result<(), Failure> {
    let devkit = Devkit::read(kit)?;
    found.classes.names = devkit.names(&found.classes.ids);
    let archive = open(val)?;
    let mut listed = Listed::default();
    let mut members = Members::new(&*archive.bytes, 0, archive.bytes.len());
    while let Some(member) = members.next().map_err(|reason| fault(val, reason))? {
        if listed.passes_over(&member) {
            continue;
        }
        let number =
            number(as_path(&member.path)).ok_or("no number of a validation image".to_owned());
        match number.and_then(|number| devkit.synset_of(number)) {
            Ok(synset) => {
                let class =
                    class_of(&found.classes, synset).map_err(|reason| fault(val, reason))?;
                listed.add(Part::Val, class, &archive, &member);
            }
            Err(reason) => listed.set_aside(None, &archive, &member, reason),
        }
    }
    found.val.extend(listed.val);
    found.bad.extend(listed.bad);
    found.ignored += listed.ignored;
    Ok(())
}

fn class_of(classes: &Classes, synset: &str) -> Result<u32, String> {
    let place = classes.ids.binary_search_by(|id| id.as_str().cmp(synset));
    place.map(|place| place as u32).map_err(|_| {
        format!("has images of the class {synset}, of which the training archive has none")
    })
}

/// The number in `ILSVRC2012_val_00000001.JPEG`.
fn number(path: &Path) -> Option<usize> {
    let stem = path.file_stem()?.to_str()?;
    let digits = stem.rsplit_once('_').filter(|(before, _)| before.ends_with("val"))?.1;
    digits.parse().ok()
}
