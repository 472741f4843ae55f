//! The folder that shards go to: whose it is, whether it is finished, and who writes to it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use cream_cli::{Failure, OrFail};
use cream_data::files::sync_folder_of;
use cream_data::shards::INDEX_FILE;
use cream_data::shards::index::Index;
use cream_data::{DataError, ShardSet};
use serde_json::Value;

use crate::args::Options;
use crate::resume::recorded;

/// Held and locked while shards are written; left behind by an interrupted run, it says that what
/// is in the folder may be replaced.
const LOCK_FILE: &str = ".imagenet-prep.lock";

/// A folder that this process alone writes to.
pub struct Claimed {
    path: PathBuf,
    /// Whether the folder was not there before.
    made: bool,
    _lock: File,
}

/// Claims OUT for writing, or returns nothing when it already holds what would be written.
///
/// # Errors
/// [`Failure::Input`] when OUT holds something else, or another process writes to it.
pub fn claim(options: &Options, inputs: &Value) -> Result<Option<Claimed>, Failure> {
    let out = &options.out;
    refuse_source(options)?;
    match Index::read(out) {
        Ok((index, _)) if !options.overwrite => {
            same(out, &index.made, inputs)?;
            return tidy(out).map(|()| None);
        }
        Err(DataError::NoIndex { .. }) if !options.overwrite => refuse_foreign(out)?,
        // A set of another version or a broken index is replaced only when told to.
        Err(error) if !options.overwrite => return Err(Failure::Input(error.into())),
        _ => {}
    }
    let made = !out.exists();
    fs::create_dir_all(out).map_err(DataError::io(out)).or_input()?;
    let lock = lock(out)?;
    let claimed = Claimed { path: out.clone(), made, _lock: lock };
    if out.join(INDEX_FILE).exists() {
        // It goes first, so that no half of a set is ever taken for whole; and nothing of a set that
        // is to be replaced is what an interrupted run left.
        remove(&out.join(INDEX_FILE))?;
        claimed.clear(|_| false)?;
    }
    Ok(Some(claimed))
}

impl Claimed {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what this tool wrote there, but for the files to keep.
    ///
    /// # Errors
    /// [`Failure::Run`] naming the file that cannot be removed.
    pub fn clear(&self, keep: impl Fn(&str) -> bool) -> Result<(), Failure> {
        self.ours(keep)?.iter().try_for_each(|(path, _)| remove(path))
    }

    /// Bytes of the files that [`clear`](Self::clear) would remove.
    pub fn stale(&self, keep: impl Fn(&str) -> bool) -> u64 {
        self.ours(keep).map_or(0, |files| files.iter().map(|(_, bytes)| bytes).sum())
    }

    /// Gives the claim up, with the folder if there is nothing in it and there was none before.
    pub fn abandon(&self) {
        let others = |entry: io::Result<fs::DirEntry>| {
            entry.map_or(true, |entry| entry.file_name() != LOCK_FILE)
        };
        // Whatever cannot be removed is only in the way, and the next run says so.
        if fs::read_dir(&self.path).is_ok_and(|mut entries| !entries.any(others)) {
            let _ = fs::remove_file(self.path.join(LOCK_FILE));
            if self.made {
                let _ = fs::remove_dir(&self.path);
            }
        }
    }

    /// Ends the claim on a finished set.
    ///
    /// # Errors
    /// [`Failure::Run`] naming the file that cannot be removed.
    pub fn release(self) -> Result<(), Failure> {
        self.clear(|file| recorded(file).is_none() && !file.ends_with(".tmp"))?;
        remove(&self.path.join(LOCK_FILE))
    }

    /// Files that this tool gives names to, with their sizes.
    fn ours(&self, keep: impl Fn(&str) -> bool) -> Result<Vec<(PathBuf, u64)>, Failure> {
        let fault = || DataError::io(&self.path);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(fault()).or_run()? {
            let entry = entry.map_err(fault()).or_run()?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| is_ours(name) && !keep(name)) {
                files.push((entry.path(), entry.metadata().map_or(0, |found| found.len())));
            }
        }
        Ok(files)
    }
}

fn remove(path: &Path) -> Result<(), Failure> {
    fs::remove_file(path).and_then(|()| sync_folder_of(path)).map_err(DataError::io(path)).or_run()
}

fn refuse_source(options: &Options) -> Result<(), Failure> {
    let same = match (fs::canonicalize(&options.choice.src), fs::canonicalize(&options.out)) {
        (Ok(src), Ok(out)) => src == out,
        _ => false,
    };
    if same {
        let out = options.out.display();
        return Err(Failure::input(format!("{out}: is SRC itself; give another folder for OUT")));
    }
    Ok(())
}

/// A finished set: equal to what would be made, or an error that says how it differs.
fn same(out: &Path, made: &Value, inputs: &Value) -> Result<(), Failure> {
    let old = &made["inputs"];
    if old == inputs {
        return match ShardSet::open(out) {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Input(error.into())),
        };
    }
    let differing = inputs.as_object().and_then(|new| new.iter().find(|(k, v)| old[*k] != **v));
    let what = differing.map_or_else(String::new, |(key, value)| match key.as_str() {
        "source_sha256" => " (SRC holds other files now)".to_owned(),
        "classes" => " (other classes)".to_owned(),
        key => format!(" ({key} was {}, is {value})", old[key]),
    });
    Err(Failure::input(format!(
        "{}: holds shards made from other input or settings{what}; give another OUT, or --overwrite",
        out.display()
    )))
}

/// Removes what is left of a run that was interrupted after its set was whole.
fn tidy(out: &Path) -> Result<(), Failure> {
    let path = out.join(LOCK_FILE);
    if !path.exists() {
        return Ok(());
    }
    let lock = lock(out)?;
    Claimed { path: out.to_owned(), made: false, _lock: lock }.release()
}

/// An unfinished set of an earlier run may be replaced; other people's files may not.
fn refuse_foreign(out: &Path) -> Result<(), Failure> {
    let mut entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::input(format!("{}: {error}", out.display()))),
    };
    if entries.next().is_some() && !out.join(LOCK_FILE).exists() {
        return Err(Failure::input(format!(
            "{}: not empty and no shard set; give another OUT, or --overwrite to write beside what is there",
            out.display()
        )));
    }
    Ok(())
}

fn lock(out: &Path) -> Result<File, Failure> {
    let path = out.join(LOCK_FILE);
    let file = File::create(&path).map_err(DataError::io(&path)).or_input()?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Failure::input(format!(
            "{}: another imagenet-prep writes here; wait for it or give another OUT",
            out.display()
        ))),
        Err(fs::TryLockError::Error(error)) => {
            Err(Failure::run(format!("{}: {error}", path.display())))
        }
    }
}

/// Whether this tool gives files such a name: shards and their records, tables, the report, and each
/// written aside (`.NAME.*.tmp`).
fn is_ours(name: &str) -> bool {
    let whole = match name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp")) {
        Some(aside) => aside.rsplit_once('.').map_or("", |(name, _)| name),
        None => name,
    };
    let whole = recorded(whole).unwrap_or(whole);
    let split = whole.strip_prefix("train-").or_else(|| whole.strip_prefix("val-"));
    let shard = |rest: &str| {
        let number = rest.strip_suffix(".tar");
        number.is_some_and(|n| n.len() >= 6 && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    split.is_some_and(|rest| rest == "table.csv" || shard(rest))
        || whole == crate::prepare::QUARANTINE
        || whole == INDEX_FILE
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_names_that_this_tool_gives_are_removed() {
        for ours in [
            "train-000000.tar",
            "val-123456.tar",
            "train-table.csv",
            "quarantine.csv",
            ".train-000001.tar.77-3.tmp",
            ".val-000001.tar.done",
            "..val-000001.tar.done.77-3.tmp",
            ".index.json.77-3.tmp",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "train-1.tar",
            "train.csv",
            "notes.txt",
            "train-00000a.tar",
            ".tmp",
            "x.tmp",
            ".x.done",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
