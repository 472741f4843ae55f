//! Class folders: `train/CLASS/*` and `val/CLASS/*`, or `CLASS/*` alone.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Sink, Write as _, sink};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use cream_cli::Failure;
use cream_data::shards::checksum::Summing;

use super::item::Folder;
use super::{Found, Item, Origin, fault, is_named_like_an_image, printable, repeated, stem_key};

/// Folders inside class folders are searched this deep; links that lead in circles end here.
const MAX_DEPTH: usize = 8;

/// Lists the class folders of `src`.
pub fn find(src: &Path) -> Result<Found, Failure> {
    let (train_folder, val_folder) = (src.join("train"), src.join("val"));
    let train_folder = if train_folder.is_dir() { train_folder } else { src.to_owned() };
    let classes = folders_of(&train_folder)?;
    if classes.is_empty() {
        let reason = "no class folders, no train.csv and no IDX files; see imagenet-prep --help";
        return Err(fault(src, reason));
    }
    let mut walk = Walk { root: src, ignored: 0, seen: Summing::new(sink()) };
    let train = walk.part(&train_folder, &classes, &classes)?;
    let val = if train_folder != src && val_folder.is_dir() {
        walk.part(&val_folder, &folders_of(&val_folder)?, &classes)?
    } else {
        Vec::new()
    };
    let names: Vec<String> = classes.iter().map(|name| printable(name).into_owned()).collect();
    if let Some(name) = repeated(&names) {
        return Err(fault(src, format!("two class folders are both called {name}; rename one")));
    }
    Ok(Found {
        kind: "class folders",
        train,
        val,
        ignored: walk.ignored,
        fingerprint: walk.seen.finish().2,
        ..Found::of(names)
    })
}

/// Names of the folders in `dir`, hidden ones left out, sorted by bytes.
fn folders_of(dir: &Path) -> Result<Vec<OsString>, Failure> {
    let names = entries(dir)?.into_iter().filter(|name| dir.join(name).is_dir());
    Ok(names.filter(|name| !is_hidden(name)).collect())
}

fn entries(dir: &Path) -> Result<Vec<OsString>, Failure> {
    let entries = fs::read_dir(dir).map_err(|error| fault(dir, error))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(|error| fault(dir, error))?.file_name());
    }
    names.sort_unstable();
    Ok(names)
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

struct Walk<'a> {
    root: &'a Path,
    ignored: u64,
    /// Name and size of every image, one a line, summed up.
    seen: Summing<Sink>,
}

impl Walk<'_> {
    /// The images of the class folders `present` of `dir`, numbered as in `classes`.
    fn part(
        &mut self,
        dir: &Path,
        present: &[OsString],
        classes: &[OsString],
    ) -> Result<Vec<Item>, Failure> {
        let mut items = Vec::new();
        for name in present {
            let folder = dir.join(name);
            let Ok(class) = classes.binary_search(name) else {
                return Err(fault(&folder, "no training folder has this class's name"));
            };
            self.folder(&folder, class as u32, 0, &mut items)?;
        }
        Ok(items)
    }

    fn folder(
        &mut self,
        folder: &Path,
        class: u32,
        depth: usize,
        items: &mut Vec<Item>,
    ) -> Result<(), Failure> {
        let parent = Arc::new(Folder::below(self.root, folder));
        for name in entries(folder)? {
            let path = folder.join(&name);
            // What cannot be looked at is read later, and set aside with the reason.
            let metadata = fs::metadata(&path).ok();
            if is_hidden(&name) {
                self.ignored += 1;
            } else if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
                if depth >= MAX_DEPTH {
                    return Err(fault(&path, format!("more than {MAX_DEPTH} folders deep")));
                }
                self.folder(&path, class, depth + 1, items)?;
            } else if is_named_like_an_image(&path) {
                let relative = path.strip_prefix(self.root).unwrap_or(&path);
                let relative = printable(relative.as_os_str());
                let size = metadata.map_or(0, |found| found.len());
                // Writing to nowhere cannot fail.
                let _ = writeln!(self.seen, "{relative},{size}");
                let origin = Origin::File(Arc::clone(&parent), Path::new(&name).into());
                items.push(Item { class, key: stem_key(&path).into(), origin });
            } else {
                self.ignored += 1;
            }
        }
        Ok(())
    }
}
