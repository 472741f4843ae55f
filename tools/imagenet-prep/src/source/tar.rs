//! The members of a tar, found by its headers alone: nothing of their data is read.
//!
//! POSIX ustar and pax, GNU long names, and the form before both. What a header claims is checked
//! against the bytes there are, and no name is ever used as a path.

use super::stored::Stored;

const BLOCK: u64 = 512;
/// Most bytes of a pax header or a long name; systems allow paths of 4 KiB.
const MAX_EXTENSION: u64 = 1 << 20;
/// Most members of an archive: ImageNet's training archive has 1.28 million.
pub const MAX_MEMBERS: u64 = 1 << 24;

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where its headers begin.
    pub start: u64,
    /// Where its data begins.
    pub data: u64,
    /// Bytes of data.
    pub size: u64,
    /// Its name as it stands there.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file with its data.
    File,
    /// A folder.
    Folder,
    /// Something else, in words.
    Other(&'static str),
}

/// Goes through the members from one place to another of an archive.
#[derive(Debug)]
pub struct Members<'a> {
    bytes: &'a dyn Stored,
    at: u64,
    end: u64,
    count: u64,
}

/// What the headers before a member's own say of it.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl<'a> Members<'a> {
    /// Those between `start` and `end`, which lies inside `bytes`.
    pub fn new(bytes: &'a dyn Stored, start: u64, end: u64) -> Self {
        Self { bytes, at: start, end, count: 0 }
    }

    /// The next member, or nothing where the archive says that it ends.
    ///
    /// # Errors
    /// The broken rule, with the place.
    pub fn next(&mut self) -> Result<Option<Member>, String> {
        let start = self.at;
        let mut extension = Extension::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let (at, type_flag) = (self.at, header[156]);
            let stated = number(&header[124..136])
                .map_err(|reason| format!("{}, size {reason}", place(at)))?;
            if matches!(type_flag, b'L' | b'K' | b'x' | b'g') {
                let text = self.extension(stated)?;
                match type_flag {
                    b'L' => extension.path = Some(until_nul(&text).to_vec()),
                    b'x' => pax(&text, &mut extension)
                        .map_err(|reason| format!("{}, pax header: {reason}", place(at)))?,
                    _ => {}
                }
                continue;
            }
            let path = extension.path.take().unwrap_or_else(|| name(&header));
            let kind = kind(type_flag, extension.sparse, &path);
            let mut data = at + BLOCK;
            if type_flag == b'S' {
                data = self.skip_sparse_map(&header, data)?;
            }
            // Folders, links and devices have no data, whatever they say.
            let size = match type_flag {
                b'1'..=b'6' => 0,
                _ => extension.size.unwrap_or(stated),
            };
            let member = Member { start, data, size, path, kind };
            self.at = self.after(&member)?;
            return Ok(Some(member));
        }
    }

    /// The header at the present place, or nothing where an empty block ends the archive.
    fn header(&mut self) -> Result<Option<[u8; 512]>, String> {
        let (at, end) = (self.at, self.end);
        if end.saturating_sub(at) < BLOCK {
            return Err(format!(
                "cut: it ends after {end} bytes without the empty block that ends an archive"
            ));
        }
        let mut header = [0; 512];
        self.bytes.read_at(&mut header, at).map_err(|error| format!("{}: {error}", place(at)))?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let stated = number(&header[148..156]);
        let sum = |value: fn(u8) -> i64| -> i64 {
            let counted = header.iter().enumerate();
            counted.map(|(i, &b)| if (148..156).contains(&i) { 32 } else { value(b) }).sum()
        };
        // Some old programs added up signed bytes.
        let sums = [sum(i64::from), sum(|byte| i64::from(byte as i8))];
        if !stated.is_ok_and(|stated| sums.contains(&(stated as i64))) {
            return Err(format!("{}: no tar header: its checksum is wrong", place(at)));
        }
        self.count += 1;
        if self.count > MAX_MEMBERS {
            return Err(format!("more than {MAX_MEMBERS} entries"));
        }
        Ok(Some(header))
    }

    /// The data of an extension header, which the next header follows.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, String> {
        let at = self.at;
        if size > MAX_EXTENSION {
            let what = format!("an extended header of {size} bytes");
            return Err(format!("{}: {what}, more than {MAX_EXTENSION}", place(at)));
        }
        let data = at + BLOCK;
        let (path, kind) = (b"extended header".to_vec(), Kind::File);
        self.at = self.after(&Member { start: at, data, size, path, kind })?;
        self.bytes.part(data, size).map_err(|error| format!("{}: {error}", place(at)))
    }

    /// Where the data of an old GNU sparse file begins: after as many blocks of its map as say that
    /// one more follows.
    fn skip_sparse_map(&self, header: &[u8; 512], mut data: u64) -> Result<u64, String> {
        let mut more = header[482] != 0;
        while more {
            let mut flag = [0];
            self.bytes
                .read_at(&mut flag, data.saturating_add(504))
                .map_err(|error| format!("{}: {error}", place(data)))?;
            more = flag[0] != 0;
            data += BLOCK;
        }
        Ok(data)
    }

    /// Where the next header is, which must be inside.
    fn after(&self, member: &Member) -> Result<u64, String> {
        let padded = member.size.checked_next_multiple_of(BLOCK);
        let next = padded.and_then(|size| member.data.checked_add(size));
        next.filter(|&next| next <= self.end).ok_or_else(|| {
            format!(
                "cut: {} at byte {} says {} bytes, but the archive ends at byte {}",
                shown(&member.path),
                member.start,
                member.size,
                self.end
            )
        })
    }
}

fn place(at: u64) -> String {
    format!("byte {at}")
}

/// A name for messages.
pub fn shown(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn name(header: &[u8; 512]) -> Vec<u8> {
    let name = until_nul(&header[..100]);
    // Only POSIX's form has a prefix there.
    let prefix = if header[257..263] == *b"ustar\0" { until_nul(&header[345..500]) } else { b"" };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

fn kind(type_flag: u8, sparse: bool, path: &[u8]) -> Kind {
    match type_flag {
        b'0' | b'7' | 0 if sparse => Kind::Other("a sparse file"),
        // Before POSIX, a slash behind its name made a folder.
        b'0' | b'7' | 0 if path.ends_with(b"/") => Kind::Folder,
        b'0' | b'7' | 0 => Kind::File,
        b'5' => Kind::Folder,
        b'1' => Kind::Other("a hard link"),
        b'2' => Kind::Other("a symbolic link"),
        b'3' | b'4' => Kind::Other("a device"),
        b'6' => Kind::Other("a pipe"),
        b'S' => Kind::Other("a sparse file"),
        _ => Kind::Other("an entry of unknown type"),
    }
}

/// A number field: octal digits, or big-endian bytes after one with the highest bit set.
fn number(field: &[u8]) -> Result<u64, String> {
    if field[0] & 0x80 != 0 {
        if field[0] & 0x40 != 0 {
            return Err("is negative".to_owned());
        }
        let (first, rest) = (field[0] & 0x3f, &field[1..]);
        let value = [&[first], rest].concat().iter().try_fold(0_u64, |value, &byte| {
            value.checked_mul(256).map(|value| value + u64::from(byte))
        });
        return value.filter(|&v| v <= i64::MAX as u64).ok_or("is beyond all files".to_owned());
    }
    let digits = until_nul(field).trim_ascii();
    digits.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'7' => Ok(value * 8 + u64::from(digit - b'0')),
        _ => Err(format!("{:?} is no octal number", shown(field))),
    })
}

/// Records of a pax header: `LENGTH KEY=VALUE\n`, the length that of the whole record.
fn pax(mut text: &[u8], extension: &mut Extension) -> Result<(), String> {
    while !text.is_empty() && text[0] != 0 {
        let space = text.iter().position(|&byte| byte == b' ').ok_or("no length")?;
        let length = std::str::from_utf8(&text[..space]).ok().and_then(|t| t.parse().ok());
        let record = length.filter(|&length: &usize| length > space + 1);
        let record = record.and_then(|length| text.get(..length)).ok_or("a wrong length")?;
        text = &text[record.len()..];
        let body = record[space + 1..].strip_suffix(b"\n").ok_or("no newline")?;
        let equals = body.iter().position(|&byte| byte == b'=').ok_or("no =")?;
        let (key, value) = (&body[..equals], &body[equals + 1..]);
        match key {
            b"path" => extension.path = Some(value.to_vec()),
            b"size" => {
                let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                let size = size.filter(|&size| size <= i64::MAX as u64);
                extension.size = Some(size.ok_or_else(|| format!("size {:?}", shown(value)))?);
            }
            _ if key.starts_with(b"GNU.sparse.") => extension.sparse = true,
            _ => {}
        }
    }
    Ok(())
}
