//! Safetensors files with something wrong in their header.

#![allow(dead_code, reason = "every test uses its part")]

use std::path::Path;

use serde_json::{Map, Value};

/// A file taken apart.
#[derive(Clone)]
pub struct Damaged {
    header: Map<String, Value>,
    values: Vec<u8>,
}

impl Damaged {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, values) = rest.split_at(u64::from_le_bytes(*length) as usize);
        Self { header: serde_json::from_slice(header).unwrap(), values: values.to_vec() }
    }

    pub fn rename(mut self, from: &str, to: &str) -> Self {
        let tensor = self.header.remove(from).unwrap();
        self.header.insert(to.to_owned(), tensor);
        self
    }

    /// Changes `dtype`, `shape` or `data_offsets` of a tensor.
    pub fn set(mut self, tensor: &str, key: &str, value: Value) -> Self {
        assert_ne!(self.header[tensor][key], value, "the damage changes nothing");
        self.header[tensor][key] = value;
        self
    }

    /// The text that should be a description.
    pub fn metadata(mut self, text: &str) -> Self {
        self.header["__metadata__"]["cream"] = text.into();
        self
    }

    pub fn write(&self, path: &Path) {
        let header = serde_json::to_vec(&self.header).unwrap();
        let bytes = [&(header.len() as u64).to_le_bytes(), &header[..], &self.values].concat();
        std::fs::write(path, bytes).unwrap();
    }
}
