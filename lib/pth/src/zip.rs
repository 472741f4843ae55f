//! The zip form's archive: entries stored as they are, found by the central directory.

use std::collections::HashMap;
use std::ops::Range;

use crate::PthError;
use crate::cursor::Cursor;
use crate::error::shown;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
/// Bytes of the end record without its comment, and of the locator before it.
const END_LENGTH: usize = 22;
const LOCATOR_LENGTH: usize = 20;
/// The longest comment.
const MAX_COMMENT: usize = 0xffff;
/// Where 32 bits do not suffice, and an extra field of this number holds 64.
const SATURATED: u32 = u32::MAX;
const EXTRA64: u16 = 1;

/// The entries of an archive: where the bytes of each lie in the file.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    entries: HashMap<&'a str, Range<usize>>,
}

/// Where the central directory lies.
struct Directory {
    entries: u64,
    start: u64,
    length: u64,
}

fn error(entry: &str, reason: impl Into<String>) -> PthError {
    PthError::Archive { entry: shown(entry), reason: reason.into() }
}

fn damaged(what: &str) -> PthError {
    error("the zip archive", format!("{what}; the file is damaged: copy or download it again"))
}

impl<'a> Archive<'a> {
    /// Reads the central directory.
    pub fn open(file: &'a [u8]) -> Result<Self, PthError> {
        let directory = directory(file)?;
        let start = usize::try_from(directory.start).ok().filter(|&start| start <= file.len());
        let start = start.ok_or_else(|| damaged("its directory lies beyond its end"))?;
        let mut cursor = Cursor::new(file, start);
        let listed = cursor.take(directory.length, "the zip archive's directory")?;
        let mut cursor = Cursor::new(&file[..start + listed.len()], start);
        let mut entries = HashMap::new();
        let mut extents = Vec::new();
        for _ in 0..directory.entries {
            let (name, header, bytes) = entry(&mut cursor, &file[..start])?;
            extents.push((header..bytes.end, name));
            if entries.insert(name, bytes).is_some() {
                return Err(damaged(&format!("{} is there twice", shown(name))));
            }
        }
        extents.sort_by_key(|(extent, _)| extent.start);
        for pair in extents.windows(2) {
            if let [(first, name), (second, other)] = pair
                && second.start < first.end
            {
                let (name, other) = (shown(name), shown(other));
                return Err(damaged(&format!("{name} and {other} overlap")));
            }
        }
        Ok(Self { entries })
    }

    /// Where the bytes of an entry lie.
    pub fn find(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(name).cloned()
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.entries.keys().copied()
    }
}

/// Finds the central directory by the record at the archive's end.
fn directory(file: &[u8]) -> Result<Directory, PthError> {
    let missing = || {
        damaged(
            "it has no directory at its end, so that it is cut short or something lies behind it",
        )
    };
    let last = file.len().checked_sub(END_LENGTH).ok_or_else(missing)?;
    let is_end = |&at: &usize| {
        file[at..].starts_with(&END.to_le_bytes())
            && file[at + 20..].starts_with(&((last - at) as u16).to_le_bytes())
    };
    let end = (last.saturating_sub(MAX_COMMENT)..=last).rev().find(is_end).ok_or_else(missing)?;
    let mut record = Cursor::new(file, end + 4);
    const WHAT: &str = "the zip archive's end record";
    let disks = [record.u16(WHAT)?, record.u16(WHAT)?];
    record.u16(WHAT)?;
    let entries = record.u16(WHAT)?;
    let (length, start) = (record.u32(WHAT)?, record.u32(WHAT)?);
    let locator = end.checked_sub(LOCATOR_LENGTH).map(|at| &file[at..]);
    if let Some(locator) = locator.filter(|bytes| bytes.starts_with(&LOCATOR64.to_le_bytes())) {
        return directory64(file, locator);
    }
    if disks != [0, 0] {
        return Err(damaged("it is one of several parts"));
    }
    Ok(Directory { entries: entries.into(), start: start.into(), length: length.into() })
}

fn directory64(file: &[u8], locator: &[u8]) -> Result<Directory, PthError> {
    const WHAT: &str = "the zip archive's 64-bit end record";
    let at = Cursor::new(locator, 8).u64(WHAT)?;
    let at =
        usize::try_from(at).map_err(|_| damaged("its 64-bit end record lies beyond its end"))?;
    let mut record = Cursor::new(file, at);
    if record.u32(WHAT)? != END64 {
        return Err(damaged("its 64-bit end record is not where it should be"));
    }
    record.take(20, WHAT)?;
    record.u64(WHAT)?;
    let (entries, length, start) = (record.u64(WHAT)?, record.u64(WHAT)?, record.u64(WHAT)?);
    Ok(Directory { entries, start, length })
}

/// Reads an entry of the directory: its name, where its header begins, and where its bytes lie, all of that in `file`,
/// which ends where the directory begins.
fn entry<'a>(
    cursor: &mut Cursor<'a>,
    file: &'a [u8],
) -> Result<(&'a str, usize, Range<usize>), PthError> {
    const WHAT: &str = "an entry of the zip archive's directory";
    if cursor.u32(WHAT)? != CENTRAL {
        return Err(damaged("its directory has fewer entries than it says"));
    }
    cursor.take(4, WHAT)?;
    let (flags, method) = (cursor.u16(WHAT)?, cursor.u16(WHAT)?);
    cursor.take(8, WHAT)?;
    let (packed, length) = (cursor.u32(WHAT)?, cursor.u32(WHAT)?);
    let (name, extra, comment) = (cursor.u16(WHAT)?, cursor.u16(WHAT)?, cursor.u16(WHAT)?);
    cursor.take(8, WHAT)?;
    let header = cursor.u32(WHAT)?;
    let name = cursor.take(name.into(), WHAT)?;
    let extra = cursor.take(extra.into(), WHAT)?;
    cursor.take(comment.into(), WHAT)?;
    let name = str::from_utf8(name).map_err(|_| damaged("a name in it is not UTF-8"))?;
    if flags & 1 != 0 || method != 0 {
        let how = if flags & 1 != 0 { "encrypted" } else { "compressed" };
        return Err(error(
            name,
            format!(
                "is {how}, which torch.save never does; unpack the archive and pack it again with zip -0"
            ),
        ));
    }
    let [length, packed, header] = widened([length, packed, header], extra)
        .ok_or_else(|| damaged(&format!("the 64-bit sizes of {} are not there", shown(name))))?;
    if length != packed {
        return Err(damaged(&format!("{} has two sizes", shown(name))));
    }
    let header = usize::try_from(header).ok().filter(|&header| header <= file.len());
    let header =
        header.ok_or_else(|| damaged(&format!("{} lies beyond the directory", shown(name))))?;
    let mut local = Cursor::new(file, header);
    const LOCAL_WHAT: &str = "a zip entry's header";
    if local.u32(LOCAL_WHAT)? != LOCAL {
        return Err(damaged(&format!("{} is not where the directory says", shown(name))));
    }
    local.take(22, LOCAL_WHAT)?;
    let before = [local.u16(LOCAL_WHAT)?, local.u16(LOCAL_WHAT)?];
    local.take(before.map(u64::from).iter().sum(), LOCAL_WHAT)?;
    let start = local.offset();
    local.take(length, "a zip entry")?;
    Ok((name, header, start..local.offset()))
}

/// The three numbers, each that is saturated replaced by the next one of the 64-bit extra field.
fn widened(numbers: [u32; 3], extra: &[u8]) -> Option<[u64; 3]> {
    const WHAT: &str = "an extra field";
    let mut wide = numbers.map(u64::from);
    let mut fields = Cursor::new(extra, 0);
    while numbers.contains(&SATURATED) {
        let (kind, length) = (fields.u16(WHAT).ok()?, fields.u16(WHAT).ok()?);
        let field = fields.take(length.into(), WHAT).ok()?;
        if kind != EXTRA64 {
            continue;
        }
        let mut field = Cursor::new(field, 0);
        for (wide, number) in wide.iter_mut().zip(numbers) {
            if number == SATURATED {
                *wide = field.u64(WHAT).ok()?;
            }
        }
        break;
    }
    Some(wide)
}
