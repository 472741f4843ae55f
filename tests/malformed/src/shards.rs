//! Shard sets: an index, two tables, two shards.

use std::fs;
use std::path::Path;

use cream_data::shards::{INDEX_FILE, checksum};
use cream_data::{SampleId, ShardSet, Split, decode};
use serde_json::Value;

/// A line of its own between the files of a set.
const BETWEEN: &[u8] = b"\n%%\n";
/// The files after the index, in order.
const FILES: [&str; 4] = ["train-table.csv", "train-000000.tar", "val-table.csv", "val-000000.tar"];
/// Samples decoded of each split: a table may name one image thousands of times.
const DECODED: usize = 4;

/// Reads the bytes as `index.json` and the four files of [`FILES`], with a line `%%` between
/// them; what is refused is read once more with right sizes, checksums and counts in the index.
pub fn shards(bytes: &[u8]) {
    let mut parts = split(bytes).into_iter();
    let index = parts.next().unwrap_or_default();
    let files: Vec<&[u8]> = parts.chain(std::iter::repeat(&b""[..])).take(FILES.len()).collect();
    let dir = folder();
    for (name, content) in FILES.iter().zip(&files) {
        fs::write(dir.path().join(name), content).unwrap();
    }
    if read(dir.path(), index).is_some() {
        return;
    }
    let Some(index) = sealed(index, &files) else { return };
    if let Some(set) = read(dir.path(), index.as_bytes()) {
        set.verify().unwrap();
    }
}

/// In memory where there is such a folder.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while parts.len() < FILES.len()
        && let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN)
    {
        parts.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    parts.push(rest);
    parts
}

/// The index with what it says of the files made true.
fn sealed(index: &[u8], files: &[&[u8]]) -> Option<String> {
    let mut index: Value = serde_json::from_slice(index).ok()?;
    let content = |name: &str| FILES.iter().position(|&file| file == name).map(|at| files[at]);
    let seal = |record: &mut Value| {
        let name = record.get("file").and_then(Value::as_str).map(str::to_owned);
        if let (Some(record), Some(bytes)) =
            (record.as_object_mut(), name.as_deref().and_then(content))
        {
            record.insert("bytes".to_owned(), bytes.len().into());
            record.insert("sha256".to_owned(), checksum::of_bytes(bytes).into());
        }
    };
    for split in index.get_mut("splits")?.as_object_mut()?.values_mut() {
        let table = split.get_mut("table")?;
        seal(table);
        let table = content(table.get("file")?.as_str()?)?;
        let lines: Vec<&[u8]> = table.split(|&byte| byte == b'\n').skip(1).collect();
        let rows = lines.iter().filter(|line| !line.is_empty()).count();
        let marked = lines.iter().filter(|line| line.ends_with(b",1")).count();
        split.get_mut("shards")?.as_array_mut()?.iter_mut().for_each(seal);
        let split = split.as_object_mut()?;
        split.insert("samples".to_owned(), rows.into());
        split.insert("search_validation".to_owned(), marked.into());
    }
    Some(index.to_string())
}

/// What must hold for every set that opens.
fn read(dir: &Path, index: &[u8]) -> Option<ShardSet> {
    fs::write(dir.join(INDEX_FILE), index).unwrap();
    let set = ShardSet::open(dir).ok()?;
    let count = set.len(Split::Train) + set.len(Split::Validation);
    assert_eq!(
        set.len(Split::SearchTrain) + set.len(Split::SearchValidation),
        set.len(Split::Train)
    );
    let mut encoded = Vec::new();
    for split in Split::ALL {
        let samples = set.samples(split);
        assert_eq!(samples.len(), set.len(split), "{split}");
        for &sample in &samples {
            assert!((sample.index() as usize) < count);
            assert!((set.label(sample).unwrap() as usize) < set.num_classes());
            assert!(!set.key(sample).unwrap().is_empty());
            set.read(sample, &mut encoded).unwrap();
            assert!(!encoded.is_empty());
        }
        for &sample in samples.iter().take(DECODED) {
            set.read(sample, &mut encoded).unwrap();
            let _ = decode(&encoded);
        }
    }
    assert!(set.label(SampleId::from_index(count as u32)).is_err());
    let _ = set.verify();
    Some(set)
}
