//! Values of a checkpoint, in one table that refers to itself by index.
//!
//! Indices keep a hostile file in bounds: what is named a million times is held once, a list that contains itself is
//! finite, and nothing recurses, in reading or in dropping.

use crate::pickle::Global;
use crate::storage::Storages;
use crate::tensor::View;

/// Objects of one file: some fifty times what large checkpoints hold with their optimizer's state.
pub(crate) const MAX_OBJECTS: usize = 1 << 22;

/// Names a value of one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(pub(crate) u32);

/// A value of a checkpoint; those inside it are named.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer of more than 64 bits: little-endian two's complement.
    Long(&'a [u8]),
    /// A number.
    Float(f64),
    /// A string.
    Str(&'a str),
    /// Bytes, or a string of Python 2 that is not UTF-8.
    Bytes(&'a [u8]),
    /// Bytes that are the code points of a string: so protocol 2 holds them.
    Latin1(&'a str),
    /// A list.
    List(Vec<Id>),
    /// A tuple, or a shape.
    Tuple(Vec<Id>),
    /// A dictionary of any kind, in its order: keys and values.
    Dict(Vec<(Id, Id)>),
    /// A tensor or parameter; [`crate::Checkpoint::tensor`] gives it.
    Tensor(View),
    /// A storage, by its place in the file's table.
    Storage(u32),
    /// The type of NumPy's scalars and arrays, such as `f8`.
    NumpyType(&'a str),
    /// A class or function that the file names.
    Global(Global),
    /// Something that was recognised and is not kept, such as a namespace: its class.
    Record(&'static str),
}

impl Value<'_> {
    /// What a message calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Long(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Str(_) => "a string",
            Self::Bytes(_) | Self::Latin1(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
            Self::Tensor(_) => "a tensor",
            Self::Storage(_) => "a storage",
            Self::NumpyType(_) => "a NumPy type",
            Self::Global(_) => "a class or function",
            Self::Record(class) => class,
        }
    }
}

/// All values of a file, and the storages that its tensors view.
#[derive(Debug, Default)]
pub(crate) struct Objects<'a> {
    values: Vec<Value<'a>>,
    pub storages: Storages<'a>,
}

impl<'a> Objects<'a> {
    /// Adds a value; `None` when there are too many.
    pub fn add(&mut self, value: Value<'a>) -> Option<Id> {
        if self.values.len() >= MAX_OBJECTS {
            return None;
        }
        self.values.push(value);
        Some(Id(self.values.len() as u32 - 1))
    }

    pub fn get(&self, id: Id) -> &Value<'a> {
        self.values.get(id.0 as usize).unwrap_or(&Value::None)
    }

    pub fn get_mut(&mut self, id: Id) -> Option<&mut Value<'a>> {
        self.values.get_mut(id.0 as usize)
    }

    /// The string that `id` is.
    pub fn text(&self, id: Id) -> Option<&'a str> {
        match *self.get(id) {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The integer that `id` is, if it is not negative.
    pub fn count(&self, id: Id) -> Option<u64> {
        match *self.get(id) {
            Value::Int(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// The value of the last item under `key`.
    pub fn item(&self, dict: Id, key: &str) -> Option<Id> {
        let Value::Dict(items) = self.get(dict) else { return None };
        items.iter().rev().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }
}
