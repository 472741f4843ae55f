//! Thrift's compact protocol, in which parquet writes its headers, as a tree of values.

/// Deepest nesting; parquet's is eight.
const MAX_DEPTH: u32 = 24;
/// Most values of one header. A value takes 32 bytes here and may take one there.
const MAX_VALUES: u32 = 1 << 22;
const CUT: &str = "cut in a header";

/// A value. Kinds of numbers are not told apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A truth value or whole number.
    Number(i64),
    /// Text or bytes.
    Bytes(&'a [u8]),
    /// A list or set.
    List(Vec<Value<'a>>),
    /// Fields by their numbers.
    Struct(Vec<(i16, Value<'a>)>),
    /// Something parquet's headers do not need here.
    Other,
}

impl<'a> Value<'a> {
    /// A field of a structure.
    pub fn field(&self, number: i16) -> Option<&Value<'a>> {
        match self {
            Self::Struct(fields) => fields.iter().find(|(n, _)| *n == number).map(|(_, v)| v),
            _ => None,
        }
    }

    /// A field that is a number.
    pub fn number(&self, field: i16) -> Option<i64> {
        match self.field(field) {
            Some(Self::Number(value)) => Some(*value),
            _ => None,
        }
    }

    /// A field that is a number of bytes, rows or the like.
    pub fn count(&self, field: i16) -> Option<u64> {
        self.number(field).and_then(|value| u64::try_from(value).ok())
    }

    /// A field that is text or bytes.
    pub fn bytes(&self, field: i16) -> Option<&'a [u8]> {
        match self.field(field) {
            Some(Self::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// A field that is a list; empty when it is not there.
    pub fn list(&self, field: i16) -> &[Value<'a>] {
        match self.field(field) {
            Some(Self::List(list)) => list,
            _ => &[],
        }
    }
}

/// Reads the structure that `bytes` begin with, and says how long it is.
///
/// # Errors
/// The broken rule.
pub fn structure(bytes: &[u8]) -> Result<(Value<'_>, usize), String> {
    let mut reader = Reader { bytes, at: 0, values: 0 };
    let value = reader.structure(0)?;
    Ok((value, reader.at))
}

/// An unsigned number of seven bits a byte, least first: its value and length.
pub fn varint(bytes: &[u8]) -> Result<(u64, usize), String> {
    let mut value = 0_u64;
    for (place, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place as u32);
        if byte & 0x80 == 0 {
            return Ok((value, place + 1));
        }
    }
    Err(if bytes.len() < 10 { CUT.to_owned() } else { "a number without an end".to_owned() })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: u32,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count)).ok_or(CUT)?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<u64, String> {
        let (value, length) = varint(self.bytes.get(self.at..).unwrap_or_default())?;
        self.at += length;
        Ok(value)
    }

    /// Numbers near zero are short: 0, -1, 1, -2, ...
    fn zigzag(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn structure(&mut self, depth: u32) -> Result<Value<'a>, String> {
        let (mut fields, mut number) = (Vec::new(), 0_i16);
        loop {
            let header = self.byte()?;
            let kind = header & 0xf;
            if kind == 0 {
                return Ok(Value::Struct(fields));
            }
            number = match header >> 4 {
                0 => self.zigzag()? as i16,
                step => number.wrapping_add(step.into()),
            };
            // A field's truth value is its kind.
            let value = match kind {
                1 | 2 => {
                    self.count(depth + 1)?;
                    Value::Number(i64::from(kind == 1))
                }
                _ => self.value(kind, depth + 1)?,
            };
            fields.push((number, value));
        }
    }

    /// One value more, so deep.
    fn count(&mut self, depth: u32) -> Result<(), String> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return Err(format!("a header of over {MAX_VALUES} values or {MAX_DEPTH} levels"));
        }
        Ok(())
    }

    fn value(&mut self, kind: u8, depth: u32) -> Result<Value<'a>, String> {
        self.count(depth)?;
        match kind {
            1..=3 => Ok(Value::Number((self.byte()? as i8).into())),
            4..=6 => Ok(Value::Number(self.zigzag()?)),
            7 => self.take(8).map(|_| Value::Other),
            8 => {
                let length = usize::try_from(self.varint()?).map_err(|_| CUT)?;
                self.take(length).map(Value::Bytes)
            }
            9 | 10 => self.list(depth),
            12 => self.structure(depth),
            _ => Err(format!("a header with a value of kind {kind}")),
        }
    }

    fn list(&mut self, depth: u32) -> Result<Value<'a>, String> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.varint()?,
            count => count.into(),
        };
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(self.value(header & 0xf, depth + 1)?);
        }
        Ok(Value::List(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Truth values take one byte there and many times that here: they count as all values do.
    #[test]
    fn values_are_bounded_whatever_they_are() {
        let mut header = vec![0x11; MAX_VALUES as usize];
        header.push(0);
        assert!(structure(&header).is_ok());
        header.insert(0, 0x11);
        assert!(structure(&header).unwrap_err().contains("values"));
        // Lists of lists.
        assert!(
            structure(&[[0x19].as_slice(), &[0x19; 64]].concat()).unwrap_err().contains("levels")
        );
    }
}
