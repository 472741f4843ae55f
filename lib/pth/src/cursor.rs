//! Reading forward through bytes, each length checked against what is left.

use crate::PthError;

/// A place in the file. Offsets count from the file's start even where the end lies before the file's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// From byte `at`, to the end of `bytes`.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()) }
    }

    /// Bytes from the start.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Bytes to the end.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `length` bytes, which are `what`.
    pub fn take(&mut self, length: u64, what: &'static str) -> Result<&'a [u8], PthError> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let Some(taken) = taken else {
            let (offset, left) = (self.at, rest.len());
            return Err(PthError::Truncated { offset, what, needed: length, left });
        };
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], PthError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, what)?);
        Ok(array)
    }

    pub fn u8(&mut self, what: &'static str) -> Result<u8, PthError> {
        Ok(self.array::<1>(what)?[0])
    }

    pub fn u16(&mut self, what: &'static str) -> Result<u16, PthError> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub fn u32(&mut self, what: &'static str) -> Result<u32, PthError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64, PthError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Pickle's only big-endian number.
    pub fn f64_big_endian(&mut self, what: &'static str) -> Result<f64, PthError> {
        self.array(what).map(f64::from_be_bytes)
    }

    /// The bytes before the next newline, which is passed over.
    pub fn line(&mut self, what: &'static str) -> Result<&'a [u8], PthError> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            let (offset, left) = (self.at, rest.len());
            return Err(PthError::Truncated { offset, what, needed: left as u64 + 1, left });
        };
        self.at += length + 1;
        Ok(&rest[..length])
    }
}
