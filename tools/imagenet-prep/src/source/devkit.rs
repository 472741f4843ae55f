//! The development kit: which class each validation image is of, and what classes are called.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use cream_cli::Failure;
use flate2::read::MultiGzDecoder;

use super::fault;
use super::matlab::{Synset, synsets};
use super::stored::Stored;
use super::tar::{Kind, Members};

/// Most bytes that the kit unpacks to; the published one has some 6 MB.
const MAX_UNPACKED: u64 = 1 << 26;
/// Most validation images.
const MAX_LABELS: usize = 1 << 24;
const TRUTH: &str = "ILSVRC2012_validation_ground_truth.txt";
const META: &str = "meta.mat";

/// What is taken from a development kit.
#[derive(Debug, PartialEq, Eq)]
pub struct Devkit {
    /// The synset's number of each validation image, in the order of the images' numbers.
    truth: Vec<u32>,
    /// In the order of their numbers.
    synsets: Vec<Synset>,
}

impl Devkit {
    /// Reads the archive at `path`.
    ///
    /// # Errors
    /// [`Failure::Input`] with the broken rule.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let mut file = File::open(path).map_err(|error| fault(path, error))?;
        let mut packed = Vec::new();
        file.by_ref()
            .take(MAX_UNPACKED + 1)
            .read_to_end(&mut packed)
            .map_err(|error| fault(path, error))?;
        Self::parse(packed).map_err(|reason| fault(path, reason))
    }

    /// Reads a tar, gzipped or plain.
    ///
    /// # Errors
    /// The broken rule.
    pub fn parse(packed: Vec<u8>) -> Result<Self, String> {
        let bytes = unpack(packed)?;
        let (mut truth, mut meta) = (None, None);
        let mut members = Members::new(&bytes, 0, bytes.len() as u64);
        while let Some(member) = members.next()? {
            let name = member.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            let wanted = match name {
                _ if member.kind != Kind::File => continue,
                _ if name == TRUTH.as_bytes() => &mut truth,
                _ if name == META.as_bytes() => &mut meta,
                _ => continue,
            };
            *wanted = Some(bytes.part(member.data, member.size).map_err(|e| e.to_string())?);
        }
        let truth = truth.ok_or_else(|| format!("no data/{TRUTH} in it"))?;
        let meta = meta.ok_or_else(|| format!("no data/{META} in it"))?;
        let truth = labels(&truth).map_err(|reason| format!("{TRUTH}: {reason}"))?;
        let mut synsets = synsets(&meta).map_err(|reason| format!("{META}: {reason}"))?;
        synsets.sort_by_key(|synset| synset.id);
        Ok(Self { truth, synsets })
    }

    /// The name of the synset of validation image `number`, counted from 1.
    pub fn synset_of(&self, number: usize) -> Result<&str, String> {
        let id = number.checked_sub(1).and_then(|place| self.truth.get(place));
        let id = id.ok_or_else(|| {
            format!("the ground truth has {} images, none of number {number}", self.truth.len())
        })?;
        let synset = self.synsets.binary_search_by_key(id, |synset| synset.id);
        synset
            .map(|place| &*self.synsets[place].wnid)
            .map_err(|_| format!("{META} has no synset {id}"))
    }

    /// What classes are called, where the kit knows any of them; the others are called by their id.
    pub fn names(&self, ids: &[String]) -> Option<Vec<String>> {
        let words: HashMap<&str, &str> =
            self.synsets.iter().map(|synset| (&*synset.wnid, &*synset.words)).collect();
        let known = ids.iter().any(|id| words.contains_key(&**id));
        known.then(|| {
            ids.iter().map(|id| (*words.get(&**id).unwrap_or(&&**id)).to_owned()).collect()
        })
    }
}

fn unpack(packed: Vec<u8>) -> Result<Vec<u8>, String> {
    let too_large =
        || format!("more than {MAX_UNPACKED} bytes unpacked; that is no development kit");
    let bytes = if packed.starts_with(&[0x1f, 0x8b]) {
        let mut bytes = Vec::new();
        MultiGzDecoder::new(&packed[..])
            .take(MAX_UNPACKED + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("not whole as gzip: {error}"))?;
        bytes
    } else {
        packed
    };
    if bytes.len() as u64 > MAX_UNPACKED { Err(too_large()) } else { Ok(bytes) }
}

/// One number a line.
fn labels(text: &[u8]) -> Result<Vec<u32>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8")?;
    let mut labels = Vec::new();
    for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let label = text.trim().parse().map_err(|_| {
            format!("line {}: {:?} is no number of a synset", line + 1, text.trim())
        })?;
        labels.push(label);
        if labels.len() > MAX_LABELS {
            return Err(format!("more than {MAX_LABELS} lines"));
        }
    }
    if labels.is_empty() {
        return Err("no lines".to_owned());
    }
    Ok(labels)
}
