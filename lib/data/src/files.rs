//! Files that appear whole or not at all: written aside in the same folder, synced, renamed, and
//! the folder synced.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `path` whole: `fill` writes to a file aside, which takes the name only when `fill` and
/// all syncing succeeded. On an error the old content of `path`, if any, stays.
///
/// # Errors
/// Whatever `fill` or the file system returns.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut aside = Aside::create(path)?;
    fill(aside.writer())?;
    aside.commit()
}

/// A file being written aside of the name that it will have. Dropped without
/// [`commit`](Aside::commit), it is removed.
#[derive(Debug)]
pub struct Aside {
    file: BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl Aside {
    /// Starts a file that will be named `target`.
    ///
    /// # Errors
    /// Those of creating a file in the target's folder.
    pub fn create(target: &Path) -> io::Result<Self> {
        // Process id and a counter: two writers of one name, in one process or two, never share
        // a temporary file.
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file name")
        })?;
        let mut aside = OsString::from(".");
        aside.push(name);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        aside.push(format!(".{}-{number}.tmp", std::process::id()));
        let temporary = target.with_file_name(aside);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(Self { file, temporary, target: target.to_owned(), committed: false })
    }

    /// Where the content goes.
    pub fn writer(&mut self) -> &mut BufWriter<File> {
        &mut self.file
    }

    /// Syncs the content, gives the file its name and syncs the folder.
    ///
    /// # Errors
    /// Those of the file system; the file aside is then removed.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.committed = true;
        sync_folder_of(&self.target)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing useful can be done if this fails; the name says that the file is temporary.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Syncs the folder that holds `path`, so that a rename or removal in it survives a power cut.
///
/// # Errors
/// Those of opening and syncing the folder.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_content_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.json");
        write_whole(&path, |out| out.write_all(b"old")).unwrap();
        let failed = write_whole(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn content_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.json");
        write_whole(&path, |out| out.write_all(b"a longer first content")).unwrap();
        write_whole(&path, |out| out.write_all(b"second")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn a_path_without_a_name_is_an_error() {
        assert!(write_whole(Path::new("/"), |_| Ok(())).is_err());
    }
}
