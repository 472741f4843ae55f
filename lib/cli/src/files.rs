//! Reading and writing what tools exchange: text from a file or standard input, data to standard
//! output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

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
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => anyhow!("{error}; check the name"),
            io::ErrorKind::PermissionDenied => anyhow!("{error}; make it readable"),
            _ => error.into(),
        })
        .and_then(|file| bounded(file, limit))
        .with_context(|| path.to_owned())
        .or_input()
}

/// Reads a text as [`read_text`] does; where there is no file of that name, takes the one that comes with the program
/// under it, if `shipped` knows one.
///
/// # Errors
/// Those of [`read_text`].
pub fn read_or_shipped(
    path: &str,
    limit: u64,
    shipped: impl Fn(&str) -> Option<&'static str>,
) -> Result<String, Failure> {
    match shipped(path) {
        Some(text) if !Path::new(path).exists() => Ok(text.to_owned()),
        _ => read_text(path, limit),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
    fn a_file_comes_before_what_is_shipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("43");
        let path = path.to_str().unwrap();
        let read = || read_or_shipped(path, 100, |name| (name == path).then_some("shipped"));
        assert_eq!(read().unwrap(), "shipped");
        assert!(
            message(read_or_shipped(path, 100, |_| None).unwrap_err()).contains("No such file")
        );
        fs::write(path, "own").unwrap();
        assert_eq!(read().unwrap(), "own");
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
}
