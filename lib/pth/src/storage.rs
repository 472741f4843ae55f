//! Storages: flat arrays that tensors are views of.

use std::collections::HashMap;

use crate::error::shown;
use crate::{DType, PthError};

/// A storage, declared in the pickle and filled from the bytes behind it.
#[derive(Clone, Debug)]
pub(crate) struct Storage<'a> {
    pub key: &'a str,
    pub dtype: DType,
    /// Elements.
    pub count: u64,
    /// Its elements, little-endian.
    pub bytes: Option<&'a [u8]>,
}

impl<'a> Storage<'a> {
    /// Bytes that its elements take.
    pub fn length(&self) -> Result<u64, PthError> {
        let bytes = self.count.checked_mul(self.dtype.bytes() as u64);
        bytes.ok_or_else(|| self.error(format!("{} elements are too many", self.count)))
    }

    pub fn error(&self, reason: String) -> PthError {
        PthError::Storage { key: shown(self.key), reason }
    }
}

/// The storages of a file, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Storages<'a> {
    all: Vec<Storage<'a>>,
    by_key: HashMap<&'a str, u32>,
}

impl<'a> Storages<'a> {
    /// Notes a storage that the pickle names; its index. What was noted before must be the same.
    pub fn declare(&mut self, key: &'a str, dtype: DType, count: u64) -> Result<u32, PthError> {
        if let Some(&index) = self.by_key.get(key)
            && let Some(known) = self.all.get(index as usize)
        {
            if (known.dtype, known.count) != (dtype, count) {
                return Err(known.error(format!(
                    "is {count} elements of {dtype} in one place and {} of {} in another",
                    known.count, known.dtype
                )));
            }
            return Ok(index);
        }
        let index = self.all.len() as u32;
        self.all.push(Storage { key, dtype, count, bytes: None });
        self.by_key.insert(key, index);
        Ok(index)
    }

    pub fn get(&self, index: u32) -> Option<&Storage<'a>> {
        self.all.get(index as usize)
    }

    pub fn find(&mut self, key: &str) -> Option<&mut Storage<'a>> {
        let index = *self.by_key.get(key)?;
        self.all.get_mut(index as usize)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Storage<'a>> {
        self.all.iter_mut()
    }
}
