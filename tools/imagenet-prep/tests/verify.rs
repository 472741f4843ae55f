//! `imagenet-prep verify`: which files of a set are broken.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn prep(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_imagenet-prep")).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn set(dir: &Path) -> PathBuf {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/fashion-mnist");
    let out = dir.join("set");
    let words = [images.to_str().unwrap(), out.to_str().unwrap(), "--shard-size", "1", "--quiet"];
    assert!(prep(&words).status.success());
    out
}

#[test]
fn a_whole_set_is_said_to_be_whole() {
    let dir = tempfile::tempdir().unwrap();
    let out = set(dir.path());
    let output = prep(&["verify", out.to_str().unwrap()]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(text(&output.stderr).contains("agree with their checksums; 10 classes"));
}

#[test]
fn every_broken_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = set(dir.path());
    let shard = out.join("train-000001.tar");
    let mut bytes = fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&shard, bytes).unwrap();
    fs::remove_file(out.join("val-000000.tar")).unwrap();
    let table = out.join("val-table.csv");
    let rows = fs::read(&table).unwrap();
    fs::write(&table, &rows[..rows.len() - 9]).unwrap();
    for workers in ["1", "3"] {
        let output = prep(&["verify", out.to_str().unwrap(), "--workers", workers, "--quiet"]);
        assert_eq!(output.status.code(), Some(2));
        let lines: Vec<&str> = text(&output.stdout).lines().collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("train-000001.tar: its SHA-256 is"), "{lines:?}");
        assert_eq!(lines[1], "val-000000.tar: missing");
        assert!(lines[2].starts_with("val-table.csv: ") && lines[2].contains("bytes, but"));
        let error = text(&output.stderr);
        assert!(error.contains("the first train-000001.tar;"), "{error}");
    }
}

#[test]
fn what_is_no_set_and_what_goes_without_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().to_str().unwrap();
    let none = prep(&["verify", empty]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("no index.json"));
    assert_eq!(prep(&["verify", empty, "--workers", "0"]).status.code(), Some(2));
    // Without a subcommand both folders are still required.
    assert!(text(&prep(&[empty]).stderr).contains("<OUT>"));
}
