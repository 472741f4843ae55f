//! List files: `train.csv` and `val.csv` with the columns `path` and `label`.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use cream_cli::Failure;
use cream_data::shards::checksum;

use super::item::Folder;
use super::{Found, Item, Origin, fault, stem_key};

/// The list that must be there.
pub const TRAIN: &str = "train.csv";
const VAL: &str = "val.csv";
/// Most bytes of a list.
const MAX_LIST_BYTES: u64 = 1 << 31;

/// A line of a list: path and label.
pub type Entry = (Vec<u8>, String);

/// Lists what the list files of `src` name.
pub fn find(src: &Path) -> Result<Found, Failure> {
    let train = read(&src.join(TRAIN))?;
    let val_path = src.join(VAL);
    let val = if val_path.is_file() { read(&val_path)? } else { Vec::new() };
    let mut classes: Vec<String> = train.iter().map(|(_, label)| label.clone()).collect();
    // Numbers are ordered as numbers: 2 before 10.
    let all_numbers = classes.iter().all(|label| label.parse::<u64>().is_ok());
    classes.sort_by_cached_key(|label| {
        (if all_numbers { label.parse::<u64>().unwrap_or(0) } else { 0 }, label.clone())
    });
    classes.dedup();
    let numbers: std::collections::HashMap<&str, u32> =
        classes.iter().map(String::as_str).zip(0..).collect();
    let root = Arc::new(Folder::root(src));
    let mut seen = Vec::new();
    let mut items = |entries: Vec<Entry>, list: &Path| {
        let mut items = Vec::with_capacity(entries.len());
        for (path, label) in entries {
            let Some(&class) = numbers.get(label.as_str()) else {
                let reason = format!("label {label} does not occur in {TRAIN}");
                return Err(fault(list, reason));
            };
            seen.extend([&path[..], b",", label.as_bytes(), b"\n"].concat());
            let relative = Path::new(OsStr::from_bytes(&path));
            let origin = Origin::File(Arc::clone(&root), relative.into());
            items.push(Item { class, key: stem_key(relative).into(), origin });
        }
        seen.push(b'\n');
        Ok(items)
    };
    let (train, val) = (items(train, &src.join(TRAIN))?, items(val, &val_path)?);
    let fingerprint = checksum::of_bytes(&seen);
    Ok(Found { kind: "list files", train, val, fingerprint, ..Found::of(classes) })
}

fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let size = std::fs::metadata(path).map_err(|error| fault(path, error))?.len();
    if size > MAX_LIST_BYTES {
        return Err(fault(path, format!("{size} bytes, more than {MAX_LIST_BYTES}")));
    }
    let file = std::fs::File::open(path).map_err(|error| fault(path, error))?;
    parse(file).map_err(|reason| fault(path, reason))
}

/// The lines of a list.
///
/// # Errors
/// The broken rule.
pub fn parse(file: impl Read) -> Result<Vec<Entry>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(file);
    let header = reader.byte_headers().map_err(|error| error.to_string())?.clone();
    let column = |name: &str| {
        let place = header.iter().position(|field| field == name.as_bytes());
        place.ok_or_else(|| format!("no column {name}: the first line must name path and label"))
    };
    let (path_column, label_column) = (column("path")?, column("label")?);
    let mut entries = Vec::new();
    for record in reader.byte_records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: usize, name: &str| match record.get(column) {
            Some(field) if !field.is_empty() => Ok(field),
            _ => Err(format!("line {line}: empty {name}")),
        };
        let label = std::str::from_utf8(field(label_column, "label")?)
            .map_err(|_| format!("line {line}: the label is not UTF-8"))?;
        entries.push((field(path_column, "path")?.to_vec(), label.trim().to_owned()));
    }
    if entries.is_empty() {
        return Err("no images; add lines with path and label".to_owned());
    }
    Ok(entries)
}
