//! Snappy, the compression that parquet writers use unless told otherwise.
//!
//! Encoders work on blocks of 64 KiB that do not refer to each other. Where that holds, whatever
//! lies in a few blocks can be unpacked without those before.

use super::thrift::varint;

/// Bytes that encoders pack at a time.
pub const BLOCK: usize = 1 << 16;
const CUT: &str = "snappy: cut";

/// Where the blocks of packed bytes begin.
#[derive(Debug, Default)]
pub struct Blocks {
    /// For each block its first place in the packed bytes.
    pub starts: Vec<usize>,
    /// Whether a block refers to one before it or begins inside an element.
    pub entangled: bool,
}

/// Unpacks all of `packed`, which must make `size` bytes: these, and the blocks they came from.
///
/// # Errors
/// The broken rule.
pub fn unpack(packed: &[u8], size: usize) -> Result<(Vec<u8>, Blocks), String> {
    let (stated, start) = varint(packed)?;
    if stated != size as u64 {
        return Err(format!("snappy: says {stated} bytes for a page of {size}"));
    }
    let mut blocks = Blocks::default();
    let out = elements(packed, start, size, Some(&mut blocks))?;
    if out.len() != size {
        return Err(format!("snappy: {} bytes instead of {size}", out.len()));
    }
    Ok((out, blocks))
}

/// Unpacks what begins with an element, as far as the first `size` bytes.
///
/// # Errors
/// The broken rule.
pub fn unpack_part(packed: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let mut out = elements(packed, 0, size, None)?;
    if out.len() < size {
        return Err(CUT.to_owned());
    }
    out.truncate(size);
    Ok(out)
}

/// Unpacks the elements from `at`, until there are `size` bytes or no more elements.
fn elements(
    packed: &[u8],
    mut at: usize,
    size: usize,
    mut blocks: Option<&mut Blocks>,
) -> Result<Vec<u8>, String> {
    let mut out: Vec<u8> = Vec::with_capacity(size.min(packed.len().saturating_mul(2)));
    while at < packed.len() && out.len() < size {
        let inside = out.len() % BLOCK;
        if let Some(blocks) = blocks.as_deref_mut()
            && inside == 0
        {
            blocks.starts.push(at);
        }
        let tag = packed[at];
        at += 1;
        let (length, back) = element(packed, &mut at, tag)?;
        if out.len() + length > size.saturating_add(BLOCK) {
            return Err(format!("snappy: more than {size} bytes"));
        }
        if let Some(blocks) = blocks.as_deref_mut() {
            blocks.entangled |= inside + length > BLOCK || back.is_some_and(|back| back > inside);
        }
        match back {
            None => {
                let end = at.checked_add(length).ok_or(CUT)?;
                out.extend_from_slice(packed.get(at..end).ok_or(CUT)?);
                at = end;
            }
            Some(back) => copy(&mut out, back, length)?,
        }
    }
    Ok(out)
}

/// An element's length, and for a copy how far back it begins. `at` is left behind its header.
fn element(packed: &[u8], at: &mut usize, tag: u8) -> Result<(usize, Option<usize>), String> {
    let mut little_endian = |count: usize| {
        let bytes = packed.get(*at..*at + count).ok_or(CUT)?;
        *at += count;
        Ok::<usize, String>(bytes.iter().rev().fold(0, |value, &b| value << 8 | usize::from(b)))
    };
    let upper = usize::from(tag >> 2);
    Ok(match tag & 3 {
        0 if upper < 60 => (upper + 1, None),
        0 => (little_endian(upper - 59)? + 1, None),
        1 => ((upper & 7) + 4, Some((upper >> 3) << 8 | little_endian(1)?)),
        2 => (upper + 1, Some(little_endian(2)?)),
        _ => (upper + 1, Some(little_endian(4)?)),
    })
}

/// Repeats `length` bytes from `back` bytes ago, which may include some that it writes.
fn copy(out: &mut Vec<u8>, back: usize, length: usize) -> Result<(), String> {
    let start = out.len().checked_sub(back).filter(|_| back > 0);
    let start = start.ok_or("snappy: a copy from before the beginning")?;
    if back >= length {
        out.extend_from_within(start..start + length);
    } else {
        for place in start..start + length {
            out.push(out[place]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint_of(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    fn literal(bytes: &[u8]) -> Vec<u8> {
        let length = ((bytes.len() - 1) as u16).to_le_bytes();
        [&[61 << 2], &length[..], bytes].concat()
    }

    /// A copy of `length` bytes from `back` ago.
    fn copy_of(length: usize, back: usize) -> Vec<u8> {
        [&[(length as u8 - 1) << 2 | 2], &(back as u16).to_le_bytes()[..]].concat()
    }

    #[test]
    fn a_block_can_be_unpacked_by_itself_where_none_refers_to_another() {
        let noise: Vec<u8> = (0..BLOCK as u32).map(|i| (i * i / 7) as u8).collect();
        let second = [literal(&[1, 2, 3]), copy_of(8, 3), literal(&noise[..500])].concat();
        let first = literal(&noise);
        let size = BLOCK + 3 + 8 + 500;
        let head = varint_of(size);
        let packed = [&head[..], &first, &second].concat();
        let (bytes, blocks) = unpack(&packed, size).unwrap();
        assert_eq!(&bytes[BLOCK..BLOCK + 12], [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, noise[0]]);
        assert!(!blocks.entangled);
        assert_eq!(blocks.starts, [head.len(), head.len() + first.len()]);
        let part = unpack_part(&packed[blocks.starts[1]..], 11).unwrap();
        assert_eq!(part, bytes[BLOCK..BLOCK + 11]);
        // One that reaches into the block before it cannot.
        let reaching =
            [&head[..], &first, &literal(&[1, 2, 3]), &copy_of(8, 9), &literal(&noise[..500])];
        assert!(unpack(&reaching.concat(), size).unwrap().1.entangled);
    }

    #[test]
    fn what_is_no_snappy_is_refused() {
        for (packed, size) in [
            (&[][..], 0),
            (&[5], 4),
            (&[4], 4),
            (&[4, 3 << 2, 1, 2], 4),
            (&[4, 1, 0], 4),
            (&[4, 1, 1], 4),
            (&[2, 3 << 2, 1, 2, 3, 4], 2),
            (&[4, 63 << 2, 0xff, 0xff, 0xff, 0xff], 4),
        ] {
            assert!(unpack(packed, size).is_err(), "{packed:?}");
        }
    }
}
