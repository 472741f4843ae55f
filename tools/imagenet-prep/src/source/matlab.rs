//! The synsets of the development kit's `meta.mat`: a MATLAB 5 file with one structure array.
//!
//! Read is what is needed and no more: little-endian, plain or deflated elements, a structure array
//! `synsets` with the fields `ILSVRC2012_ID` (a number), `WNID` and `words` (text). The others are
//! passed over by their lengths.

use std::io::Read;

use flate2::read::ZlibDecoder;

/// Most bytes that the file's elements unpack to; the published one has some 2 MB.
const MAX_UNPACKED: u64 = 1 << 26;
/// Most synsets; the published file has 1,860.
const MAX_SYNSETS: usize = 1 << 17;
/// Bytes before the first element.
const HEADER: usize = 128;

/// A category of the label set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synset {
    /// The number that the ground truth gives it, from 1.
    pub id: u32,
    /// WordNet's name, such as `n01440764`.
    pub wnid: String,
    /// What it is called, such as `tench, Tinca tinca`.
    pub words: String,
}

/// The kinds of element that matter.
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// The classes of matrix that matter.
const STRUCTURE: u8 = 2;

/// Reads the synsets.
///
/// # Errors
/// The broken rule.
pub fn synsets(file: &[u8]) -> Result<Vec<Synset>, String> {
    match file.get(HEADER - 2..HEADER) {
        Some(b"IM") => {}
        Some(b"MI") => return Err("big-endian; only little-endian files are read".to_owned()),
        _ => return Err("not a MATLAB 5 file".to_owned()),
    }
    let mut rest = &file[HEADER..];
    let mut budget = MAX_UNPACKED;
    while !rest.is_empty() {
        let (kind, data) = element(&mut rest)?;
        let unpacked;
        let found = match kind {
            COMPRESSED => {
                let mut bytes = Vec::new();
                ZlibDecoder::new(data)
                    .take(budget + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|error| format!("a deflated element: {error}"))?;
                let size = bytes.len() as u64;
                budget = budget
                    .checked_sub(size)
                    .ok_or_else(|| format!("it unpacks to more than {MAX_UNPACKED} bytes"))?;
                unpacked = bytes;
                let (kind, data) = element(&mut &unpacked[..])?;
                if kind == MATRIX { structure(data)? } else { None }
            }
            MATRIX => structure(data)?,
            _ => None,
        };
        if let Some(synsets) = found {
            return Ok(synsets);
        }
    }
    Err("no structure array synsets".to_owned())
}

/// The next element of `rest`: its kind and data.
fn element<'a>(rest: &mut &'a [u8]) -> Result<(u32, &'a [u8]), String> {
    const CUT: &str = "cut: an element is longer than what holds it";
    let word = |at: usize| {
        let bytes = rest.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes).ok_or(CUT)
    };
    let first = word(0)?;
    // Up to four bytes lie in the tag itself.
    let (kind, start, size) = match (first & 0xffff, (first >> 16) as usize) {
        (kind, 0) => (kind, 8, word(4)? as usize),
        (kind, size @ 1..=4) => (kind, 4, size),
        (_, size) => return Err(format!("a small element of {size} bytes")),
    };
    let data = rest.get(start..).and_then(|rest| rest.get(..size)).ok_or(CUT)?;
    let padded = match (start, kind) {
        (4, _) => 8,
        (_, COMPRESSED) => start + size,
        _ => start + size.next_multiple_of(8),
    };
    *rest = rest.get(padded..).unwrap_or_default();
    Ok((kind, data))
}

/// A matrix's class and its dimensions; `rest` is left behind its name, which is the third.
fn head<'a>(rest: &mut &'a [u8]) -> Result<(u8, Vec<usize>, &'a [u8]), String> {
    let (_, flags) = element(rest)?;
    let class = *flags.first().ok_or("a matrix without flags")?;
    let (_, dimensions) = element(rest)?;
    let dimensions = dimensions
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize)
        .collect();
    let (_, name) = element(rest)?;
    Ok((class, dimensions, name))
}

/// The synsets in a matrix, if it is the one that holds them.
fn structure(mut rest: &[u8]) -> Result<Option<Vec<Synset>>, String> {
    let (class, dimensions, name) = head(&mut rest)?;
    if class != STRUCTURE || name != b"synsets" {
        return Ok(None);
    }
    let count = dimensions.iter().try_fold(1_usize, |count, &d| count.checked_mul(d));
    let count = count
        .filter(|&count| count <= MAX_SYNSETS)
        .ok_or_else(|| format!("{dimensions:?} synsets, more than {MAX_SYNSETS}"))?;
    let (_, length) = element(&mut rest)?;
    let length = match length {
        [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
        _ => return Err("no length of field names".to_owned()),
    };
    let (_, names) = element(&mut rest)?;
    if length == 0 || !names.len().is_multiple_of(length) || names.len() > 1 << 16 {
        return Err(format!("field names of {length} in {} bytes", names.len()));
    }
    let names: Vec<&[u8]> = names
        .chunks_exact(length)
        .map(|name| name.split(|&byte| byte == 0).next().unwrap_or_default())
        .collect();
    let column = |wanted: &str| {
        let found = names.iter().position(|name| *name == wanted.as_bytes());
        found.ok_or_else(|| format!("no field {wanted} of synsets"))
    };
    let columns = [column("ILSVRC2012_ID")?, column("WNID")?, column("words")?];
    let mut synsets = Vec::new();
    for number in 1..=count {
        let mut fields: Vec<&[u8]> = Vec::with_capacity(names.len());
        for _ in &names {
            fields
                .push(element(&mut rest).map_err(|reason| format!("synset {number}: {reason}"))?.1);
        }
        let fault = |reason: String| format!("synset {number}: {reason}");
        let [id, wnid, words] = columns.map(|column| fields[column]);
        synsets.push(Synset {
            id: integer(id).map_err(fault)?,
            wnid: text(wnid).map_err(fault)?,
            words: text(words).map_err(fault)?,
        });
    }
    Ok(Some(synsets))
}

/// A matrix of one whole number, which is stored in whatever kind it fits.
fn integer(mut matrix: &[u8]) -> Result<u32, String> {
    head(&mut matrix)?;
    let (kind, data) = element(&mut matrix)?;
    let value = match (kind, data) {
        (1, [a]) => f64::from(*a as i8),
        (2, [a]) => f64::from(*a),
        (3, [a, b]) => f64::from(i16::from_le_bytes([*a, *b])),
        (4, [a, b]) => f64::from(u16::from_le_bytes([*a, *b])),
        (5, [a, b, c, d]) => f64::from(i32::from_le_bytes([*a, *b, *c, *d])),
        (6, [a, b, c, d]) => f64::from(u32::from_le_bytes([*a, *b, *c, *d])),
        (9, data) => match <[u8; 8]>::try_from(data) {
            Ok(bytes) => f64::from_le_bytes(bytes),
            Err(_) => return Err(format!("a number of {} bytes", data.len())),
        },
        _ => return Err(format!("no number: kind {kind}, {} bytes", data.len())),
    };
    if value.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&value) {
        return Err(format!("{value} is no number of a synset"));
    }
    Ok(value as u32)
}

/// A matrix of characters in one row.
fn text(mut matrix: &[u8]) -> Result<String, String> {
    head(&mut matrix)?;
    let (kind, data) = element(&mut matrix)?;
    let text = match kind {
        4 | 17 => {
            let units = data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).collect::<Result<String, _>>().ok()
        }
        1 | 2 | 16 => String::from_utf8(data.to_vec()).ok(),
        _ => return Err(format!("no text: kind {kind}")),
    };
    text.ok_or_else(|| "text that is not Unicode".to_owned())
}
