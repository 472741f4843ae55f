//! Files and folders that appear whole or not at all: written aside in the same place, synced, renamed.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, anyhow};
use cream_cli::{Failure, OrFail};
use tempfile::Builder;

/// Writes a file, in the place of one that is there.
///
/// # Errors
/// [`Failure::Input`] for a place where none can be made, [`Failure::Run`] when writing breaks.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let what = || path.display().to_string();
    // What the name stands for would go: a device, a pipe, a folder.
    if path.exists() && !path.is_file() {
        return Err(Failure::input(format!("{}: is there, and is no file; name a file", what())));
    }
    let (folder, prefix) = place(path).with_context(what).or_input()?;
    let aside = Builder::new()
        .prefix(&prefix)
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder);
    let mut aside = aside.map_err(advised).with_context(what).or_input()?;
    let written = aside.write_all(bytes).and_then(|()| aside.as_file().sync_all());
    written.with_context(what).or_run()?;
    aside.persist(path).map_err(|error| error.error).with_context(what).or_run()?;
    sync(folder).with_context(what).or_run()
}

/// Writes a new folder of files.
///
/// # Errors
/// [`Failure::Input`] for one that is there, or a place where none can be made; [`Failure::Run`] when writing breaks.
pub fn write_folder(path: &Path, files: &[(&str, &[u8])]) -> Result<(), Failure> {
    let what = || path.display().to_string();
    if path.symlink_metadata().is_ok() {
        return Err(Failure::input(format!("{}: is there already; name a new folder", what())));
    }
    let (parent, prefix) = place(path).with_context(what).or_input()?;
    let aside = Builder::new()
        .prefix(&prefix)
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(parent);
    let aside = aside.map_err(advised).with_context(what).or_input()?;
    for (name, bytes) in files {
        let written = File::create_new(aside.path().join(name))
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        written.with_context(what).or_run()?;
    }
    sync(aside.path()).with_context(what).or_run()?;
    fs::rename(aside.path(), path).with_context(what).or_run()?;
    // It has another name now, and stays.
    let _ = aside.keep();
    sync(parent).with_context(what).or_run()
}

/// The folder that a path is in, and how a name aside of it begins.
fn place(path: &Path) -> anyhow::Result<(&Path, OsString)> {
    let name = path.file_name().ok_or_else(|| anyhow!("is no name for a file; give one"))?;
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")), prefix))
}

/// What to do about a place where nothing can be made.
fn advised(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => anyhow!("its folder is not there; make it first"),
        io::ErrorKind::PermissionDenied => anyhow!("its folder cannot be written; choose another"),
        _ => error.into(),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.onnx");
        write_file(&path, b"a longer first content").unwrap();
        write_file(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // As any new file of this process, not its owner's alone.
        let plain = folder.path().join("plain");
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
        assert_eq!(write_file(folder.path(), b"third").unwrap_err().status(), 2);
    }

    #[test]
    fn a_folder_that_breaks_on_its_way_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net");
        // The second file cannot be made: its folder is not there.
        let broken = write_folder(&path, &[("a", b"1"), ("none/b", b"2")]).unwrap_err();
        assert_eq!(broken.status(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        write_folder(&path, &[("a", b"1"), ("b", b"2")]).unwrap();
        assert_eq!(fs::read(path.join("b")).unwrap(), b"2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(write_folder(&path, &[]).unwrap_err().status(), 2);
    }
}
