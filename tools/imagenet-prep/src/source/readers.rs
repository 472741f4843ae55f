//! The readers of what comes from strangers, as functions of bytes: for fuzzing and for tests.

use std::sync::Arc;

use super::archives::Listed;
use super::devkit::Devkit;
use super::item::Archive;
use super::{Item, idx, list, parquet};

/// The images of a tar of class folders or of a tar per class.
///
/// # Errors
/// The broken rule.
pub fn archive(bytes: Vec<u8>) -> Result<Vec<Item>, String> {
    let archive = Archive { bytes: Arc::new(bytes), name: "archive.tar".to_owned() };
    let found = Listed::of(&Arc::new(archive), 1)?.numbered()?;
    Ok(found.train.into_iter().chain(found.val).collect())
}

/// The synsets of the first `count` validation images that a development kit knows.
///
/// # Errors
/// The broken rule.
pub fn devkit(bytes: Vec<u8>, count: usize) -> Result<Vec<String>, String> {
    let kit = Devkit::parse(bytes)?;
    Ok((1..=count).filter_map(|number| kit.synset_of(number).ok().map(str::to_owned)).collect())
}

/// The rows of a parquet file that may be images.
///
/// # Errors
/// The broken rule.
pub fn parquet(bytes: Vec<u8>) -> Result<Vec<Item>, String> {
    parquet::rows(Arc::new(bytes), "train.parquet")
}

/// Dimensions and values of an IDX file of images, gzipped or not.
///
/// # Errors
/// The broken rule.
pub fn idx(bytes: &[u8]) -> Result<([usize; 3], Vec<u8>), String> {
    idx::parse(bytes, bytes.starts_with(&[0x1f, 0x8b]))
}

/// Path and label of each line of a list file.
///
/// # Errors
/// The broken rule.
pub fn list_file(bytes: &[u8]) -> Result<Vec<(Vec<u8>, String)>, String> {
    list::parse(bytes)
}
