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

/// Held and locked while shards are written; left behind by an interrupted run, it says that what
/// is in the folder may be replaced.
const LOCK_FILE: &str = ".imagenet-prep.lock";

/// A folder that this process alone writes to.
pub struct Claimed {
    path: PathBuf,
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
            return same(out, &index.made, inputs).map(|()| None);
        }
        Err(DataError::NoIndex { .. }) if !options.overwrite => refuse_foreign(out)?,
        // A set of another version or a broken index is replaced only when told to.
        Err(error) if !options.overwrite => return Err(Failure::Input(error.into())),
        _ => {}
    }
    fs::create_dir_all(out).map_err(DataError::io(out)).or_input()?;
    let lock = lock(out)?;
    clear(out).map_err(DataError::io(out)).or_run()?;
    Ok(Some(Claimed { path: out.clone(), _lock: lock }))
}

impl Claimed {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the claim on a finished set.
    pub fn release(self) -> Result<(), Failure> {
        let lock = self.path.join(LOCK_FILE);
        fs::remove_file(&lock)
            .and_then(|()| sync_folder_of(&lock))
            .map_err(DataError::io(&lock))
            .or_run()
    }
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

/// Removes a set: its index first, so that no half of it is ever taken for whole.
fn clear(out: &Path) -> io::Result<()> {
    let index = out.join(INDEX_FILE);
    if index.exists() {
        fs::remove_file(&index)?;
        sync_folder_of(&index)?;
    }
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_ours) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Whether this tool gives files such a name: shards, tables, the report, and each written aside
/// (`.NAME.*.tmp`).
fn is_ours(name: &str) -> bool {
    let whole = match name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp")) {
        Some(aside) => aside.rsplit_once('.').map_or("", |(name, _)| name),
        None => name,
    };
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
            ".index.json.77-3.tmp",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in ["train-1.tar", "train.csv", "notes.txt", "train-00000a.tar", ".tmp", "x.tmp"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
