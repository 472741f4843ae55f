//! What the footer of a parquet file says: its columns, and where each row group's part of them is.

use serde_json::Value as Json;

use super::super::stored::Stored;
use super::thrift::{Value, structure};

/// Most bytes of a footer. Those of ImageNet's files have some 50 KB.
const MAX_FOOTER: u64 = 1 << 25;
/// Most rows of a file. ImageNet's have some 4,400.
const MAX_ROWS: u64 = 1 << 24;
/// Most rows of a row group; writers make one of a million rows or fewer.
const MAX_GROUP_ROWS: u64 = 1 << 20;
const MAGIC: &[u8; 4] = b"PAR1";

/// How pages are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Plain,
    Snappy,
    Gzip,
}

/// A type of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Int32,
    Int64,
    Bytes,
}

/// The part of a column that is in one row group.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Where its pages begin.
    pub start: u64,
    /// Bytes of its pages.
    pub length: u64,
    /// How they are packed.
    pub codec: Codec,
    /// What its values are.
    pub kind: Type,
    /// Levels of nesting that may each be null.
    pub levels: u32,
    /// Values, nulls among them.
    pub rows: usize,
}

/// The columns of one row group.
#[derive(Debug)]
pub struct Group {
    pub image: Chunk,
    pub path: Option<Chunk>,
    pub label: Chunk,
}

/// What is needed of a footer.
#[derive(Debug)]
pub struct Footer {
    pub groups: Vec<Group>,
    /// Names of the labels, where the file has them.
    pub names: Option<Vec<String>>,
    /// The footer itself.
    pub bytes: Vec<u8>,
}

/// A column of the schema.
struct Column {
    /// Its place among the chunks of a row group.
    place: usize,
    kind: Option<i64>,
    levels: u32,
    repeated: bool,
}

impl Footer {
    /// Reads the footer of a file.
    ///
    /// # Errors
    /// The broken rule.
    pub fn read(file: &dyn Stored) -> Result<Self, String> {
        let size = file.len();
        let part = |offset, length| file.part(offset, length).map_err(|error| error.to_string());
        if size < 12 || part(0, 4)? != MAGIC {
            return Err("not a parquet file: it does not begin with PAR1".to_owned());
        }
        let tail = part(size - 8, 8)?;
        if &tail[4..] != MAGIC {
            return Err("cut: it does not end with PAR1, as parquet files do".to_owned());
        }
        let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
        if length > MAX_FOOTER || length + 12 > size {
            return Err(format!("a footer of {length} bytes in a file of {size}"));
        }
        let bytes = part(size - 8 - length, length)?;
        let (groups, names) =
            Self::parse(&bytes, size - 8 - length).map_err(|reason| format!("footer: {reason}"))?;
        Ok(Self { groups, names, bytes })
    }

    fn parse(bytes: &[u8], end: u64) -> Result<(Vec<Group>, Option<Vec<String>>), String> {
        let (footer, _) = structure(bytes)?;
        let schema = footer.list(2);
        let find = |path: [&str; 2]| find(schema, &path[..if path[1].is_empty() { 1 } else { 2 }]);
        let image = required(find(["image", "bytes"])?, "image.bytes", schema)?;
        let label = required(find(["label", ""])?, "label", schema)?;
        let path = find(["image", "path"])?;
        let (mut groups, mut rows) = (Vec::new(), 0_u64);
        for (number, group) in footer.list(4).iter().enumerate() {
            let count = group.count(3).ok_or("a row group without rows")?;
            rows = rows.saturating_add(count);
            if rows > MAX_ROWS || count > MAX_GROUP_ROWS {
                return Err(format!(
                    "more than {MAX_GROUP_ROWS} rows in a group or {MAX_ROWS} in all"
                ));
            }
            let chunk = |column: &Column, name: &str, kinds: &[Type]| {
                chunk(group, column, kinds, count, end)
                    .map_err(|reason| format!("row group {number}, column {name}: {reason}"))
            };
            groups.push(Group {
                image: chunk(&image, "image.bytes", &[Type::Bytes])?,
                path: path.as_ref().map(|p| chunk(p, "image.path", &[Type::Bytes])).transpose()?,
                label: chunk(&label, "label", &[Type::Int32, Type::Int64])?,
            });
        }
        Ok((groups, label_names(&footer)))
    }
}

fn required(found: Option<Column>, name: &str, schema: &[Value]) -> Result<Column, String> {
    found.ok_or_else(|| {
        let known: Vec<String> = schema.iter().skip(1).take(8).map(name_of).collect();
        format!("no column {name}; it has {}", known.join(", "))
    })
}

fn name_of(element: &Value) -> String {
    String::from_utf8_lossy(element.bytes(4).unwrap_or_default()).into_owned()
}

/// The column of this path from the root. The schema is the tree's nodes, each before its children.
fn find(schema: &[Value], path: &[&str]) -> Result<Option<Column>, String> {
    /// A node whose children are not all met.
    struct Open {
        left: u64,
        matches: bool,
        levels: u32,
        repeated: bool,
    }
    let root = schema.first().ok_or("no schema")?;
    let left = root.count(5).unwrap_or(0);
    let mut open = vec![Open { left, matches: true, levels: 0, repeated: false }];
    let mut place = 0;
    for element in &schema[1..] {
        while open.last().is_some_and(|node| node.left == 0) {
            open.pop();
        }
        let depth = open.len();
        let parent = open.last_mut().ok_or("more columns than the schema says")?;
        parent.left -= 1;
        let wanted = path.get(depth - 1).map(|name| name.as_bytes());
        let matches = parent.matches && wanted.is_some() && element.bytes(4) == wanted;
        let levels = parent.levels + u32::from(element.number(3) != Some(0));
        let repeated = parent.repeated || element.number(3) == Some(2);
        match element.count(5) {
            Some(left @ 1..) => {
                if depth > 16 {
                    return Err("columns more than 16 deep".to_owned());
                }
                open.push(Open { left, matches, levels, repeated });
            }
            _ if matches && depth == path.len() => {
                return Ok(Some(Column { place, kind: element.number(1), levels, repeated }));
            }
            _ => place += 1,
        }
    }
    Ok(None)
}

fn chunk(
    group: &Value,
    column: &Column,
    kinds: &[Type],
    rows: u64,
    end: u64,
) -> Result<Chunk, String> {
    let kind = match column.kind {
        Some(1) => Some(Type::Int32),
        Some(2) => Some(Type::Int64),
        Some(6) => Some(Type::Bytes),
        _ => None,
    };
    let kind = kind.filter(|kind| kinds.contains(kind) && !column.repeated);
    let kind = kind.ok_or("of another type than images and labels are")?;
    let about = group.list(1).get(column.place).and_then(|chunk| chunk.field(3));
    let about = about.ok_or("missing")?;
    let codec = match about.number(4) {
        Some(0) => Codec::Plain,
        Some(1) => Codec::Snappy,
        Some(2) => Codec::Gzip,
        other => {
            return Err(format!("compressed with {}; snappy, gzip or none are read", name(other)));
        }
    };
    let data = about.count(9).ok_or("no place of its pages")?;
    // Some writers say 0 for none.
    let dictionary = about.count(11).filter(|&at| at > 0);
    let start = dictionary.map_or(data, |at| at.min(data));
    let length = about.count(7).ok_or("no length of its pages")?;
    if start < 4 || start.checked_add(length).is_none_or(|last| last > end) {
        return Err(format!("{length} bytes at byte {start}, but its data ends at byte {end}"));
    }
    if about.count(5) != Some(rows) {
        return Err(format!("{} values in {rows} rows", about.number(5).unwrap_or(-1)));
    }
    Ok(Chunk { start, length, codec, kind, levels: column.levels, rows: rows as usize })
}

fn name(codec: Option<i64>) -> String {
    match codec {
        Some(3) => "LZO".to_owned(),
        Some(4) => "Brotli".to_owned(),
        Some(5 | 7) => "LZ4".to_owned(),
        Some(6) => "zstd".to_owned(),
        Some(other) => format!("method {other}"),
        None => "nothing named".to_owned(),
    }
}

/// `info.features.label.names` of what Hugging Face's library writes beside the schema.
fn label_names(footer: &Value) -> Option<Vec<String>> {
    let about = footer.list(5).iter().find(|pair| pair.bytes(1) == Some(b"huggingface"))?;
    let about: Json = serde_json::from_slice(about.bytes(2)?).ok()?;
    let names = about.pointer("/info/features/label/names")?.as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
