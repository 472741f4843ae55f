//! Reading and writing what tools exchange: text from a file or standard input, data to standard
//! output, whole files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::{Failure, OrFail};

/// Reads a text file, or standard input for `-`.
///
/// # Errors
/// [`Failure::Input`], naming the path, when it cannot be read, holds more than `limit` bytes or is
/// not UTF-8.
pub fn read_text(path: &str, limit: u64) -> Result<String, Failure> {
    if path == "-" {
        return bounded(io::stdin().lock(), limit).context("standard input").or_input();
    }
    File::open(path)
        .map_err(anyhow::Error::from)
        .and_then(|file| bounded(file, limit))
        .with_context(|| path.to_owned())
        .or_input()
}

fn bounded(source: impl Read, limit: u64) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file of exactly `limit` bytes from a longer one.
    source.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(anyhow!("larger than the {limit} bytes allowed; is it the right file?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow!("not UTF-8 text (byte {at}); is it the right file?")
    })
}

/// Writes `data` to standard output and flushes it.
///
/// # Errors
/// [`Failure::Run`]; a broken pipe among them, which [`crate::main`] takes for success.
pub fn write_stdout(data: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(data.as_ref()).and_then(|()| out.flush()).context("standard output").or_run()
}

/// Writes a file that appears whole or not at all: written beside `path`, synced, renamed over it,
/// and the folder synced.
///
/// # Errors
/// [`Failure::Run`], naming the path; `path` is then as it was before.
pub fn write_whole(path: &Path, data: &[u8]) -> Result<(), Failure> {
    let aside = aside(path);
    let written = write_synced(&aside, data).and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&aside);
    }
    written
        .and_then(|()| File::open(folder(path))?.sync_all())
        .with_context(|| path.display().to_string())
        .or_run()
}

fn write_synced(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(data)?;
    file.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The process id keeps two tools that write the same file from sharing the unfinished one.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(failure: Failure) -> String {
        assert_eq!(failure.status(), 2);
        format!("{:#}", failure.error())
    }

    #[test]
    fn text_up_to_the_limit_is_read_and_more_is_refused() {
        assert_eq!(bounded(&b"abcd"[..], 4).unwrap(), "abcd");
        let error = bounded(&b"abcde"[..], 4).unwrap_err().to_string();
        assert!(error.contains("larger than the 4 bytes"), "{error}");
        assert_eq!(bounded(&b"ab"[..], u64::MAX).unwrap(), "ab");
    }

    #[test]
    fn errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.json");
        let error = message(read_text(missing.to_str().unwrap(), 10).unwrap_err());
        assert!(error.contains("missing.json: No such file"), "{error}");

        let binary = folder.path().join("binary");
        fs::write(&binary, b"ab\xff").unwrap();
        let error = message(read_text(binary.to_str().unwrap(), 10).unwrap_err());
        assert!(error.contains("binary: not UTF-8 text (byte 2)"), "{error}");
    }

    #[test]
    fn a_whole_file_replaces_the_old_and_leaves_nothing_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("inner")).unwrap();
        let failure = write_whole(&path, b"x").unwrap_err();
        assert_eq!(failure.status(), 1);
        assert!(format!("{:#}", failure.error()).contains("taken: "));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
