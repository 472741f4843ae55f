//! The table of samples beside `index.json`: one line each, in shard order.

use std::fmt::Write as _;
use std::io;

use super::index::{FileRecord, SplitFiles};
use crate::decode::MAX_BYTES;

/// The first line of a table.
pub const HEADER: &str = "key,class,shard,offset,length,search_val";
/// Most bytes of a table, about 30 million samples.
pub const MAX_TABLE_BYTES: u64 = 1 << 31;

/// One sample of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Unique in its class; see [`escape_key`].
    pub key: String,
    /// Place of its class in the index's list.
    pub class: u32,
    /// Place of its shard in the split's list.
    pub shard: u32,
    /// Where the image's bytes start in the shard.
    pub offset: u64,
    /// How many there are.
    pub length: u32,
    /// Whether a training sample is set aside to rank paths with.
    pub search_val: bool,
}

/// A file stem as a key: bytes that mean something to a tar, to WebDataset (which splits names at
/// the first dot) or to a CSV line, and bytes that are not UTF-8, become `%XX`. Different stems
/// give different keys.
#[must_use]
pub fn escape_key(stem: &[u8]) -> String {
    let mut key = String::with_capacity(stem.len());
    for chunk in stem.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '.' | ',' | '"' | '%' | '/' | '\\' => escape_byte(&mut key, character as u8),
                control if control.is_control() => {
                    let mut buffer = [0; 4];
                    for byte in control.encode_utf8(&mut buffer).bytes() {
                        escape_byte(&mut key, byte);
                    }
                }
                plain => key.push(plain),
            }
        }
        for byte in chunk.invalid() {
            escape_byte(&mut key, *byte);
        }
    }
    key
}

fn escape_byte(key: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(key, "%{byte:02X}");
}

/// Writes a table.
///
/// # Errors
/// Those of `out`.
pub fn write(rows: &[Row], out: &mut impl io::Write) -> io::Result<()> {
    writeln!(out, "{HEADER}")?;
    for row in rows {
        let Row { key, class, shard, offset, length, search_val } = row;
        writeln!(out, "{key},{class},{shard},{offset},{length},{}", u8::from(*search_val))?;
    }
    Ok(())
}

/// A table in memory: keys in one string, the rest in fixed-size entries.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    keys: String,
}

/// A sample's place and label.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub offset: u64,
    pub length: u32,
    pub class: u32,
    pub shard: u32,
    pub search_val: bool,
    key_end: u32,
}

impl Table {
    /// Reads a table and checks every line against the index. Errors are `line N: reason`.
    pub fn parse(bytes: &[u8], split: &SplitFiles, classes: usize) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
        let mut lines = text.split_terminator('\n');
        if lines.next() != Some(HEADER) {
            return Err(format!("line 1: must be {HEADER}"));
        }
        let mut table = Self::default();
        for (number, line) in lines.enumerate() {
            table
                .add(line, &split.shards, classes)
                .map_err(|reason| format!("line {}: {reason}", number + 2))?;
        }
        let marked = table.entries.iter().filter(|entry| entry.search_val).count() as u64;
        if table.entries.len() as u64 != split.samples || marked != split.search_validation {
            return Err(format!(
                "{} samples, {marked} of them for search validation, but index.json says {} and {}",
                table.entries.len(),
                split.samples,
                split.search_validation
            ));
        }
        Ok(table)
    }

    fn add(&mut self, line: &str, shards: &[FileRecord], classes: usize) -> Result<(), String> {
        let mut fields = line.split(',');
        let mut next = || fields.next().ok_or_else(|| "fewer than 6 fields".to_owned());
        let key = next()?;
        let class: u32 = number(next()?, "class")?;
        let shard: u32 = number(next()?, "shard")?;
        let offset: u64 = number(next()?, "offset")?;
        let length: u32 = number(next()?, "length")?;
        let search_val = match next()? {
            "0" => false,
            "1" => true,
            other => return Err(format!("search_val is {other:?}, not 0 or 1")),
        };
        if fields.next().is_some() {
            return Err("more than 6 fields".to_owned());
        }
        if class as usize >= classes {
            return Err(format!("class {class}, but there are {classes} classes"));
        }
        let Some(file) = shards.get(shard as usize) else {
            return Err(format!("shard {shard}, but there are {} shards", shards.len()));
        };
        let inside = offset.checked_add(length.into()).is_some_and(|end| end <= file.bytes);
        if length == 0 || u64::from(length) > MAX_BYTES || !inside {
            return Err(format!(
                "bytes {offset} + {length} do not lie in {} of {} bytes",
                file.file, file.bytes
            ));
        }
        let before = self
            .entries
            .len()
            .checked_sub(1)
            .map(|last| (self.entries[last].class, self.key(last)));
        if key.is_empty() || before.is_some_and(|before| before >= (class, key)) {
            return Err(format!(
                "key {key:?} of class {class} is empty, twice there or out of order"
            ));
        }
        self.keys.push_str(key);
        let key_end = u32::try_from(self.keys.len()).map_err(|_| "too many keys".to_owned())?;
        self.entries.push(Entry { offset, length, class, shard, search_val, key_end });
        Ok(())
    }

    /// The entries in shard order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The key of entry `index`, which must exist.
    pub fn key(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].key_end as usize);
        &self.keys[start..self.entries[index].key_end as usize]
    }
}

fn number<T: std::str::FromStr>(text: &str, field: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{field} is {text:?}, not a whole number in range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_letters_and_escape_the_rest_one_to_one() {
        assert_eq!(escape_key(b"n01440764_10026"), "n01440764_10026");
        assert_eq!(escape_key("gr\u{fc}n 1".as_bytes()), "gr\u{fc}n 1");
        assert_eq!(escape_key(b"a.b,c%41\\\"\n"), "a%2Eb%2Cc%2541%5C%22%0A");
        assert_eq!(escape_key(b"x\xff\xfey"), "x%FF%FEy");
        assert_ne!(escape_key(b"\xff"), escape_key(b"%FF"));
    }

    fn parse(lines: &str) -> Result<Table, String> {
        let shard =
            FileRecord { file: "train-000000.tar".into(), bytes: 4096, sha256: String::new() };
        let split = SplitFiles {
            samples: 2,
            search_validation: 1,
            table: shard.clone(),
            shards: vec![shard],
        };
        Table::parse(format!("{HEADER}\n{lines}").as_bytes(), &split, 2)
    }

    #[test]
    fn what_is_written_is_read() {
        let row = |key: &str, class, search_val| Row {
            key: key.into(),
            class,
            shard: 0,
            offset: 512,
            length: 100,
            search_val,
        };
        let mut text = Vec::new();
        write(&[row("b", 0, true), row("a", 1, false)], &mut text).unwrap();
        let body = String::from_utf8(text).unwrap();
        let table = parse(body.strip_prefix(HEADER).unwrap().trim_start()).unwrap();
        assert_eq!((table.key(0), table.key(1)), ("b", "a"));
        assert!(table.entries()[0].search_val && !table.entries()[1].search_val);
        assert_eq!((table.entries()[1].class, table.entries()[1].offset), (1, 512));
    }

    #[test]
    fn each_broken_line_is_named() {
        let good = "a,0,0,512,10,1\n";
        for (bad, reason) in [
            ("b,0,0,512,10\n", "fewer than 6"),
            ("b,0,0,512,10,0,\n", "more than 6"),
            ("b,2,0,512,10,0\n", "class 2"),
            ("b,0,1,512,10,0\n", "shard 1"),
            ("b,0,0,4090,10,0\n", "do not lie"),
            ("b,0,0,512,0,0\n", "do not lie"),
            ("b,0,0,18446744073709551615,10,0\n", "do not lie"),
            ("b,0,0,512,4294967296,0\n", "length is"),
            ("b,-1,0,512,10,0\n", "class is"),
            ("b,0,0,512,10,2\n", "search_val"),
            ("a,0,0,512,10,0\n", "twice"),
            (",1,0,512,10,0\n", "empty"),
        ] {
            let error = parse(&format!("{good}{bad}")).unwrap_err();
            assert!(error.starts_with("line 3") && error.contains(reason), "{bad}: {error}");
        }
        assert!(parse(good).unwrap_err().contains("1 samples"));
        assert!(parse("").unwrap_err().contains("0 samples"));
    }
}
