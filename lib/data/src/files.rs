//! Files that appear whole or not at all: written aside in the same folder, synced, renamed, and
//! the folder synced.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

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
    /// Syncing of what is written so far, which goes on beside the writing.
    early: Option<JoinHandle<io::Result<()>>>,
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
        Ok(Self { file, temporary, target: target.to_owned(), committed: false, early: None })
    }

    /// Where the content goes.
    pub fn writer(&mut self) -> &mut BufWriter<File> {
        &mut self.file
    }

    /// Begins to sync what is written so far, unless that is going on: [`commit`](Self::commit) has
    /// less to wait for then. Content that was not given to the file yet is left out.
    ///
    /// # Errors
    /// Those of the syncing before.
    pub fn sync_early(&mut self) -> io::Result<()> {
        if self.early.as_ref().is_some_and(|running| !running.is_finished()) {
            return Ok(());
        }
        self.synced_early()?;
        let file = self.file.get_ref().try_clone()?;
        let syncing = std::thread::Builder::new().spawn(move || file.sync_data());
        // Without a thread to spare, all is synced at the end.
        self.early = syncing.ok();
        Ok(())
    }

    /// Waits for it. What the file system reports there it does not report again.
    fn synced_early(&mut self) -> io::Result<()> {
        match self.early.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("syncing ended early")),
        }
    }

    /// Syncs the content, gives the file its name and syncs the folder.
    ///
    /// # Errors
    /// Those of the file system; the file aside is then removed.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.synced_early()?;
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
    fn content_synced_on_the_way_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.bin");
        let mut aside = Aside::create(&path).unwrap();
        let part: Vec<u8> = (0..1 << 19).map(|place| (place % 251) as u8).collect();
        for _ in 0..5 {
            aside.writer().write_all(&part).unwrap();
            aside.sync_early().unwrap();
        }
        aside.commit().unwrap();
        assert!(fs::read(&path).unwrap() == part.repeat(5));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_without_a_name_is_an_error() {
        assert!(write_whole(Path::new("/"), |_| Ok(())).is_err());
    }
}
