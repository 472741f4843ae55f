//! What a run knows of the shards that it has finished, so that the next one need not make them again.
//!
//! Once a shard has its name, a record beside it (`.train-000000.tar.done`) says which images lie in
//! it and where, and which ones were set aside on the way. A record counts only for a run of equal
//! input, options and program, and only when those of all shards before it count. So whenever a run is
//! killed, what the next one keeps is whole, and it ends with the bytes of one that was never killed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use cream_cli::{Failure, OrFail, VERSION};
use cream_data::files::write_whole;
use cream_data::shards::Row;
use cream_data::shards::checksum;
use cream_data::shards::index::FileRecord;
use cream_data::{DataError, Split};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A place in the listing of a part.
type Index = usize;

/// The records of one run.
pub struct Records {
    out: PathBuf,
    run: String,
}

/// A record as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// What the shard depends on, summed up.
    run: String,
    shard: FileRecord,
    /// For each sample its place in the listing, and offset and length in the shard.
    samples: Vec<(Index, u64, u32)>,
    /// Images set aside since the shard before, with the reason.
    bad: Vec<(Index, String)>,
    /// Where the next shard's images begin in the listing.
    next: Index,
}

/// As much of a part as is finished.
#[derive(Default)]
pub struct Finished {
    pub shards: Vec<FileRecord>,
    pub rows: Vec<Row>,
    /// Images set aside, with the reason.
    pub bad: Vec<(Index, String)>,
    /// Where to go on in the listing.
    pub next: Index,
}

impl Records {
    /// Those in the folder `out` of runs with these inputs and this program.
    pub fn new(out: &Path, inputs: &Value) -> Self {
        let run = json!({ "by": VERSION, "inputs": inputs }).to_string();
        Self { out: out.to_owned(), run: checksum::of_bytes(run.as_bytes()) }
    }

    /// The shards of a part of `count` images that need not be made again. `sample` gives an image's
    /// key and class. `still_bad` looks once more at images that were set aside: what can be read now
    /// belongs into a shard.
    pub fn recall<'a>(
        &self,
        split: Split,
        count: usize,
        sample: impl Fn(Index) -> (&'a str, u32),
        still_bad: impl Fn(&[(Index, String)]) -> bool,
    ) -> Finished {
        let mut finished = Finished::default();
        while let Some(record) = self.read(split, finished.shards.len())
            && record.follows(&finished, count)
            && still_bad(&record.bad)
        {
            let shard = finished.shards.len() as u32;
            finished.rows.extend(record.samples.iter().map(|&(index, offset, length)| {
                let (key, class) = sample(index);
                Row { key: key.to_owned(), class, shard, offset, length, search_val: false }
            }));
            finished.bad.extend(record.bad);
            finished.shards.push(record.shard);
            finished.next = record.next;
        }
        finished
    }

    fn read(&self, split: Split, shard: usize) -> Option<Record> {
        let file = shard_file(split, shard);
        let text = fs::read(self.out.join(record_file(&file))).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        let metadata = fs::metadata(self.out.join(&file)).ok()?;
        let same = record.run == self.run
            && record.shard.file == file
            && metadata.is_file()
            && metadata.len() == record.shard.bytes;
        same.then_some(record)
    }

    /// Says that the last of `shards` is finished and that the next one begins with image `next` of
    /// the listing. `indices` are the places in the listing of its samples, `rows`.
    ///
    /// # Errors
    /// [`Failure::Run`] naming the record's file.
    pub fn add(
        &self,
        shard: &FileRecord,
        (indices, rows): (&[Index], &[Row]),
        bad: &[(Index, String)],
        next: Index,
    ) -> Result<(), Failure> {
        let places = indices.iter().zip(rows);
        let samples = places.map(|(&index, row)| (index, row.offset, row.length)).collect();
        let (run, shard) = (self.run.clone(), shard.clone());
        let path = self.out.join(record_file(&shard.file));
        let record = Record { run, shard, samples, bad: bad.to_vec(), next };
        write_whole(&path, |out| {
            serde_json::to_writer(&mut *out, &record)?;
            out.flush()
        })
        .map_err(DataError::io(&path))
        .or_run()
    }
}

impl Record {
    /// Whether the record goes on where `before` ends, within a listing of `count` images.
    fn follows(&self, before: &Finished, count: usize) -> bool {
        let mut last = before.next;
        let ascending = self.samples.iter().all(|&(index, offset, length)| {
            let end = offset.checked_add(length.into());
            let inside = end.is_some_and(|end| end <= self.shard.bytes);
            let good = last <= index && index < self.next && inside;
            last = index + 1;
            good
        });
        let inside = |index: Index| (before.next..self.next).contains(&index);
        ascending && self.next <= count && self.bad.iter().all(|(index, _)| inside(*index))
    }
}

/// A shard's name.
fn shard_file(split: Split, number: usize) -> String {
    let name = if split == Split::Validation { "val" } else { "train" };
    format!("{name}-{number:06}.tar")
}

/// The name of a shard's record.
pub fn record_file(shard: &str) -> String {
    format!(".{shard}.done")
}

/// The shard whose record has this name.
pub fn recorded(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".done")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three shards of ten images; image 13 is bad.
    fn three(dir: &Path, inputs: &Value) -> Records {
        let records = Records::new(dir, inputs);
        for number in 0..3 {
            let file = shard_file(Split::Train, number);
            fs::write(dir.join(&file), [0; 100]).unwrap();
            let shard = FileRecord { file, bytes: 100, sha256: "0".repeat(64) };
            let indices: Vec<usize> =
                (number * 10..number * 10 + 10).filter(|&index| index != 13).collect();
            let row = |_: &usize| Row {
                key: String::new(),
                class: 0,
                shard: 0,
                offset: 50,
                length: 50,
                search_val: false,
            };
            let rows: Vec<Row> = indices.iter().map(row).collect();
            let bad = if number == 1 { vec![(13, "cut".to_owned())] } else { Vec::new() };
            records.add(&shard, (&indices, &rows), &bad, number * 10 + 10).unwrap();
        }
        records
    }

    fn recalled(records: &Records, count: usize) -> Finished {
        records.recall(Split::Train, count, |_| ("key", 7), |_| true)
    }

    #[test]
    fn finished_shards_are_recalled_with_their_samples() {
        let dir = tempfile::tempdir().unwrap();
        let records = three(dir.path(), &json!({}));
        let finished = recalled(&records, 35);
        assert_eq!((finished.shards.len(), finished.rows.len(), finished.next), (3, 29, 30));
        assert_eq!(finished.bad, [(13, "cut".to_owned())]);
        assert_eq!((finished.rows[13].key.as_str(), finished.rows[13].shard), ("key", 1));
        assert_eq!(records.recall(Split::Validation, 35, |_| ("", 0), |_| true).next, 0);
    }

    #[test]
    fn what_does_not_agree_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let records = three(dir.path(), &json!({}));
        assert_eq!(recalled(&Records::new(dir.path(), &json!({ "seed": 1 })), 35).next, 0);
        // A listing that is shorter, an image that can be read now.
        assert_eq!(recalled(&records, 25).next, 20);
        assert_eq!(records.recall(Split::Train, 35, |_| ("", 0), <[_]>::is_empty).next, 10);
        let path = |number| dir.path().join(shard_file(Split::Train, number));
        fs::write(path(2), [0; 99]).unwrap();
        assert_eq!(recalled(&records, 35).next, 20);
        fs::write(dir.path().join(".train-000001.tar.done"), "{\"run\":").unwrap();
        assert_eq!(recalled(&records, 35).next, 10);
        fs::remove_file(path(0)).unwrap();
        assert_eq!(recalled(&records, 35).next, 0);
    }

    #[test]
    fn a_record_that_contradicts_itself_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let records = three(dir.path(), &json!({}));
        let path = dir.path().join(".train-000000.tar.done");
        let good = fs::read_to_string(&path).unwrap();
        for (from, to) in [
            ("[0,50,50]", "[0,51,50]"),
            ("[0,50,50]", "[1,50,50]"),
            ("[9,50,50]", "[10,50,50]"),
            ("\"bad\":[]", "\"bad\":[[10,\"x\"]]"),
            ("\"next\":10", "\"next\":36"),
            ("train-000000.tar", "train-000001.tar"),
        ] {
            assert!(good.contains(from), "{good}");
            fs::write(&path, good.replacen(from, to, 1)).unwrap();
            assert_eq!(recalled(&records, 35).next, 0, "{from} -> {to}");
        }
    }
}
