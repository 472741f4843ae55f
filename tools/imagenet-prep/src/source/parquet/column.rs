//! The values of a column's part in a row group, page by page.

use std::io::Read;
use std::ops::Range;

use flate2::read::MultiGzDecoder;

use super::super::stored::Stored;
use super::footer::{Chunk, Codec, Type};
use super::snappy::{self, BLOCK, Blocks};
use super::thrift::{structure, varint};

/// Most bytes of a page, packed or not. Writers close pages at 1 MiB, but a dictionary may hold all
/// images of a row group.
pub const MAX_PAGE: u64 = 1 << 30;
/// Bytes read for a page's header at first, and at most.
const HEADER: u64 = 1 << 12;
const MAX_HEADER: u64 = 1 << 20;
const CUT: &str = "its values end too early";

/// Where the bytes of a value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where in the file what holds them begins.
    at: u64,
    /// How long that is.
    take: u32,
    /// Bytes of it, unpacked, before the value; [`UNPACKED`](Self::UNPACKED) where it is not packed.
    skip: u32,
    /// Bytes of the value.
    length: u32,
}

impl Place {
    /// No value.
    const NULL: Self = Self { at: 0, take: 0, skip: 0, length: u32::MAX };

    const UNPACKED: u32 = u32::MAX;

    /// Bytes of the value, if there is one.
    pub fn length(self) -> Option<u64> {
        (self != Self::NULL).then_some(self.length.into())
    }

    /// Reads the value.
    pub fn read(self, file: &dyn Stored, codec: Codec) -> Result<Vec<u8>, String> {
        if self.length == 0 {
            return Ok(Vec::new());
        }
        let packed = file.part(self.at, self.take.into()).map_err(|error| error.to_string())?;
        if self.skip == Self::UNPACKED {
            return Ok(packed);
        }
        let size = self.skip as usize + self.length as usize;
        let mut bytes = match codec {
            Codec::Plain => packed,
            Codec::Snappy => snappy::unpack_part(&packed, size)?,
            Codec::Gzip => gunzip(&packed, size)?,
        };
        if bytes.len() < size {
            return Err(CUT.to_owned());
        }
        bytes.truncate(size);
        bytes.drain(..self.skip as usize);
        Ok(bytes)
    }
}

/// Whole numbers, null where there is none.
pub fn numbers(file: &dyn Stored, chunk: &Chunk) -> Result<Vec<Option<i64>>, String> {
    let width = if chunk.kind == Type::Int32 { 4 } else { 8 };
    values(
        file,
        chunk,
        |page| {
            let bytes = &page.bytes[page.values..];
            let mut numbers = Vec::new();
            for value in bytes.chunks_exact(width).take(page.stored) {
                numbers.push(Some(match *value {
                    [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
                    [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
                    _ => return Err(CUT.to_owned()),
                }));
            }
            Ok(numbers)
        },
        None,
    )
}

/// Texts or other short bytes, null where there is none.
pub fn texts(file: &dyn Stored, chunk: &Chunk) -> Result<Vec<Option<Box<[u8]>>>, String> {
    values(
        file,
        chunk,
        |page| {
            let ranges = page.ranges()?;
            Ok(ranges.into_iter().map(|range| Some(page.bytes[range].into())).collect())
        },
        None,
    )
}

/// Where values are that are too large to keep.
pub fn places(file: &dyn Stored, chunk: &Chunk) -> Result<Vec<Place>, String> {
    values(
        file,
        chunk,
        |page| {
            let ranges = page.ranges()?;
            Ok(ranges.into_iter().map(|range| page.place(range)).collect())
        },
        Place::NULL,
    )
}

/// A page, unpacked.
struct Page {
    /// Where its packed bytes are in the file, and how many.
    at: u64,
    packed: usize,
    bytes: Vec<u8>,
    blocks: Option<Blocks>,
    codec: Codec,
    /// Where in `bytes` the values begin.
    values: usize,
    /// Values that are there, nulls not among them.
    stored: usize,
}

impl Page {
    /// Where in the unpacked bytes each value is; before each stands its length.
    fn ranges(&self) -> Result<Vec<Range<usize>>, String> {
        let (mut ranges, mut at) = (Vec::new(), self.values);
        for _ in 0..self.stored {
            let length = self.bytes.get(at..at + 4).ok_or(CUT)?;
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            let start = at + 4;
            at = start
                .checked_add(length as usize)
                .filter(|&end| end <= self.bytes.len())
                .ok_or(CUT)?;
            ranges.push(start..at);
        }
        Ok(ranges)
    }

    /// Where in the file a value is.
    fn place(&self, range: Range<usize>) -> Place {
        let length = range.len() as u32;
        let (start, end, skip) = match (&self.blocks, self.codec) {
            (_, Codec::Plain) => (range.start, range.end, Place::UNPACKED as usize),
            (Some(blocks), _) if !blocks.entangled => {
                let (first, last) = (range.start / BLOCK, range.end.saturating_sub(1) / BLOCK + 1);
                let start = *blocks.starts.get(first).unwrap_or(&0);
                let end = blocks.starts.get(last).copied().unwrap_or(self.packed);
                (start, end, range.start % BLOCK)
            }
            (Some(blocks), _) => (*blocks.starts.first().unwrap_or(&0), self.packed, range.start),
            (None, _) => (0, self.packed, range.start),
        };
        let take = end.saturating_sub(start) as u32;
        Place { at: self.at + start as u64, take, skip: skip as u32, length }
    }
}

/// Reads a chunk's pages and puts their values in the order of the rows.
fn values<T: Clone>(
    file: &dyn Stored,
    chunk: &Chunk,
    plain: impl Fn(&Page) -> Result<Vec<T>, String>,
    null: T,
) -> Result<Vec<T>, String> {
    let (mut at, end) = (chunk.start, chunk.start + chunk.length);
    let (mut rows, mut dictionary): (Vec<T>, Option<Vec<T>>) = (Vec::new(), None);
    while rows.len() < chunk.rows {
        let fault = |reason: String| format!("page at byte {at}: {reason}");
        let header = Header::read(file, at, end).map_err(fault)?;
        let next = header.data + header.packed;
        if header.kind == Kind::Other {
            at = next;
            continue;
        }
        let (page, present) = header.page(file, chunk, chunk.rows - rows.len()).map_err(fault)?;
        let values = match header.encoding {
            0 => plain(&page).map_err(fault)?,
            2 | 8 if header.kind == Kind::Data => {
                let known = dictionary.as_deref().ok_or("no dictionary before it".to_owned());
                known.and_then(|known| chosen(&page, known)).map_err(fault)?
            }
            // A dictionary's values are always plain; old writers call them otherwise.
            2 => plain(&page).map_err(fault)?,
            other => return Err(fault(encoding(other))),
        };
        if values.len() != page.stored {
            return Err(fault(CUT.to_owned()));
        }
        if header.kind == Kind::Dictionary {
            dictionary = Some(values);
        } else {
            let mut values = values.into_iter();
            for present in present {
                let value = if present { values.next() } else { None };
                rows.push(value.unwrap_or_else(|| null.clone()));
            }
        }
        at = next;
    }
    Ok(rows)
}

fn encoding(number: i64) -> String {
    let name = match number {
        5 => "DELTA_BINARY_PACKED",
        6 => "DELTA_LENGTH_BYTE_ARRAY",
        7 => "DELTA_BYTE_ARRAY",
        _ => "unknown",
    };
    format!(
        "its encoding is {name}; PLAIN and dictionaries are read: write the file anew with these"
    )
}

/// Values of a page that names them by their places in the dictionary.
fn chosen<T: Clone>(page: &Page, dictionary: &[T]) -> Result<Vec<T>, String> {
    if page.stored == 0 {
        return Ok(Vec::new());
    }
    let (width, places) = page.bytes[page.values..].split_first().ok_or(CUT)?;
    let places = hybrid(places, u32::from(*width), page.stored)?;
    let value = |place: u32| dictionary.get(place as usize).cloned();
    let values: Option<Vec<T>> = places.into_iter().map(value).collect();
    values.ok_or_else(|| format!("a place beyond its dictionary of {}", dictionary.len()))
}

/// `count` numbers of `width` bits, in runs of equal ones and packed eights.
fn hybrid(mut bytes: &[u8], width: u32, count: usize) -> Result<Vec<u32>, String> {
    if width > 32 {
        return Err(format!("numbers of {width} bits"));
    }
    let mut numbers: Vec<u32> = Vec::new();
    while numbers.len() < count {
        let (header, length) = varint(bytes).map_err(|_| CUT)?;
        bytes = &bytes[length..];
        let left = count - numbers.len();
        if header & 1 == 0 {
            let size = width.div_ceil(8) as usize;
            let value = bytes.get(..size).ok_or(CUT)?;
            let value = value.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
            bytes = &bytes[size..];
            let run = usize::try_from(header >> 1).unwrap_or(usize::MAX).min(left);
            numbers.resize(numbers.len() + run, value);
        } else {
            let eights = usize::try_from(header >> 1).unwrap_or(usize::MAX);
            let taken = eights.saturating_mul(8).min(left);
            let mask = ((1_u64 << width) - 1) as u32;
            let bits = |place: usize| -> Option<u32> {
                let first = place * width as usize;
                let last = (first + width as usize).div_ceil(8);
                let window = bytes.get(first / 8..last)?;
                let word = window.iter().rev().fold(0_u64, |word, &b| word << 8 | u64::from(b));
                Some((word >> (first % 8)) as u32 & mask)
            };
            for place in 0..taken {
                numbers.push(bits(place).ok_or(CUT)?);
            }
            let size = eights.saturating_mul(width as usize).min(bytes.len());
            bytes = &bytes[size..];
        }
    }
    Ok(numbers)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Dictionary,
    Other,
}

/// What stands before a page.
struct Header {
    kind: Kind,
    /// Where its bytes begin, and how many there are.
    data: u64,
    packed: u64,
    unpacked: u64,
    count: u64,
    encoding: i64,
    /// Whether levels stand before what is packed, as in pages of the second form.
    second_form: bool,
    /// Of the second form: bytes of levels before the packed ones, and whether these are packed.
    level_bytes: u64,
    is_packed: bool,
}

impl Header {
    fn read(file: &dyn Stored, at: u64, end: u64) -> Result<Self, String> {
        let left = end.saturating_sub(at);
        let read = |most: u64| file.part(at, left.min(most)).map_err(|error| error.to_string());
        let bytes = read(HEADER)?;
        match structure(&bytes) {
            Ok((value, length)) => Self::parse(&value, at + length as u64, end),
            Err(_) if left > HEADER => {
                let bytes = read(MAX_HEADER)?;
                let (value, length) = structure(&bytes)?;
                Self::parse(&value, at + length as u64, end)
            }
            Err(reason) => Err(reason),
        }
    }

    fn parse(value: &super::thrift::Value, data: u64, end: u64) -> Result<Self, String> {
        let (kind, about) = match value.number(1) {
            Some(0) => (Kind::Data, value.field(5)),
            Some(2) => (Kind::Dictionary, value.field(7)),
            Some(3) => (Kind::Data, value.field(8)),
            _ => (Kind::Other, None),
        };
        let sizes = (value.count(3), value.count(2));
        let (Some(packed), Some(unpacked)) = sizes else { return Err("no size".to_owned()) };
        if packed > MAX_PAGE || unpacked > MAX_PAGE || packed > end.saturating_sub(data) {
            let left = end.saturating_sub(data);
            return Err(format!("{packed} bytes that unpack to {unpacked}, where {left} are left"));
        }
        let mut header = Self {
            kind,
            data,
            packed,
            unpacked,
            count: 0,
            encoding: 0,
            second_form: value.number(1) == Some(3),
            level_bytes: 0,
            is_packed: true,
        };
        if let Some(about) = about {
            header.count = about.count(1).ok_or("no number of values")?;
            let second = header.second_form;
            header.encoding = about.number(if second { 4 } else { 2 }).ok_or("no encoding")?;
            if second {
                let bytes = (about.count(5), about.count(6));
                let (Some(nulls), Some(repeats)) = bytes else {
                    return Err("no levels".to_owned());
                };
                if repeats != 0 || nulls > packed.min(unpacked) {
                    return Err(format!("levels of {nulls} and {repeats} bytes"));
                }
                header.level_bytes = nulls;
                header.is_packed = about.number(7) != Some(0);
            }
        } else if kind != Kind::Other {
            return Err("no header of its kind".to_owned());
        }
        Ok(header)
    }

    /// The page, and for each of its rows whether there is a value.
    fn page(
        &self,
        file: &dyn Stored,
        chunk: &Chunk,
        left: usize,
    ) -> Result<(Page, Vec<bool>), String> {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        // A dictionary has no more values than there are rows, and no page more than are left.
        if count > if self.kind == Kind::Dictionary { chunk.rows } else { left } {
            return Err(format!("{count} values, where {left} are left"));
        }
        if self.kind == Kind::Data && count == 0 && self.packed == 0 {
            return Err("no values".to_owned());
        }
        let second = self.second_form;
        let levels = file.part(self.data, self.level_bytes).map_err(|error| error.to_string())?;
        let at = self.data + self.level_bytes;
        let packed = file.part(at, self.packed - self.level_bytes).map_err(|e| e.to_string())?;
        let size = (self.unpacked - self.level_bytes) as usize;
        let codec = if self.is_packed { chunk.codec } else { Codec::Plain };
        let length = packed.len();
        let (bytes, blocks) = match codec {
            Codec::Plain => (packed, None),
            Codec::Snappy => {
                let (bytes, blocks) = snappy::unpack(&packed, size)?;
                (bytes, Some(blocks))
            }
            Codec::Gzip => (gunzip(&packed, size)?, None),
        };
        if bytes.len() != size {
            return Err(format!("{} bytes unpacked, not {size}", bytes.len()));
        }
        let mut page = Page { at, packed: length, bytes, blocks, codec, values: 0, stored: count };
        if self.kind == Kind::Dictionary || chunk.levels == 0 {
            return Ok((page, vec![true; if self.kind == Kind::Dictionary { 0 } else { count }]));
        }
        let levels = if second { &levels[..] } else { page.levels()? };
        let width = u32::BITS - chunk.levels.leading_zeros();
        let levels = hybrid(levels, width, count)?;
        let present: Vec<bool> = levels.iter().map(|&level| level == chunk.levels).collect();
        page.values = if second { 0 } else { 4 + page.levels()?.len() };
        page.stored = present.iter().filter(|&&present| present).count();
        Ok((page, present))
    }
}

impl Page {
    /// The levels that pages of the first form begin with, their length before them.
    fn levels(&self) -> Result<&[u8], String> {
        let (length, rest) = self.bytes.split_at_checked(4).ok_or(CUT)?;
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        Ok(rest.get(..length as usize).ok_or(CUT)?)
    }
}

fn gunzip(packed: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed)
        .take(size as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("gzip: {error}"))?;
    Ok(bytes)
}
