//! One process at a time in a run's folder.

use crate::TrainError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

const LOCK: &str = ".lock";

/// Holds a run's folder. The system lets go of it when the process ends, however it does.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    held: bool,
}

impl Lock {
    /// # Errors
    /// [`TrainError::InUse`] when another process, or another part of this one, holds the folder.
    pub(super) fn take(root: &Path) -> Result<Self, TrainError> {
        let path = root.join(LOCK);
        let unusable = |source| TrainError::Folder { path: root.to_owned(), source };
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(unusable)?;
        let held = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who it is helps, but is not needed.
                let _ = file.take(20).read_to_string(&mut holder);
                let holder = holder.trim().parse().ok();
                return Err(TrainError::InUse { path: root.to_owned(), holder });
            }
            // Some network file systems cannot; a run there is as safe as its user is careful.
            Err(TryLockError::Error(_)) => false,
        };
        // The process's number is a courtesy to whoever comes second.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file, held })
    }

    /// False on a file system that cannot lock.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }
}
