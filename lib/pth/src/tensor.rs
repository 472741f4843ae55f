//! Tensors: views of storages.

use std::fmt;

use crate::value::{Id, Objects, Value};

/// Most dimensions of a tensor; PyTorch's own operators stop there too.
const MAX_RANK: usize = 64;

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    BF16,
    /// 64-bit integers.
    I64,
    /// 32-bit integers.
    I32,
    /// 16-bit integers.
    I16,
    /// 8-bit integers.
    I8,
    /// Bytes.
    U8,
    /// One byte each, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes per element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

impl fmt::Display for DType {
    /// PyTorch's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::Bool => "bool",
        })
    }
}

/// A tensor as the pickle states it: checked to lie inside its storage, its shape and strides tuples of integers that
/// are not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub(crate) storage: u32,
    pub(crate) offset: u64,
    shape: Id,
    strides: Id,
}

impl View {
    /// Checks a tensor of `storage`; offset and strides count elements. An error says what is wrong.
    pub(crate) fn new(
        objects: &Objects<'_>,
        storage: Id,
        offset: Id,
        shape: Id,
        strides: Id,
    ) -> Result<Self, String> {
        let Value::Storage(storage) = *objects.get(storage) else {
            return Err(format!("a tensor of {}", objects.get(storage).kind()));
        };
        let count = objects.storages.get(storage).map_or(0, |storage| storage.count);
        let offset = objects.count(offset).ok_or("a tensor's offset is no such number")?;
        let view = Self { storage, offset, shape, strides };
        let (sizes, steps) = (dimensions(objects, shape)?, dimensions(objects, strides)?);
        if sizes.len() != steps.len() {
            return Err(format!("a tensor of {} sizes and {} strides", sizes.len(), steps.len()));
        }
        let end = if sizes.contains(&0) { Some(0) } else { last(&sizes, &steps, offset) };
        match end {
            Some(end) if end <= count => Ok(view),
            _ => Err(format!(
                "a tensor of shape {sizes:?}, strides {steps:?} and offset {offset} does not fit its storage of \
                 {count} elements"
            )),
        }
    }

    /// Shape and strides.
    pub(crate) fn layout(&self, objects: &Objects<'_>) -> Result<(Vec<u64>, Vec<u64>), String> {
        Ok((dimensions(objects, self.shape)?, dimensions(objects, self.strides)?))
    }
}

/// One past the last element that is read.
fn last(sizes: &[u64], steps: &[u64], offset: u64) -> Option<u64> {
    let mut end = offset.checked_add(1)?;
    for (size, step) in sizes.iter().zip(steps) {
        end = end.checked_add((size - 1).checked_mul(*step)?)?;
    }
    Some(end)
}

fn dimensions(objects: &Objects<'_>, id: Id) -> Result<Vec<u64>, String> {
    let Value::Tuple(ids) = objects.get(id) else {
        return Err(format!("a tensor's sizes or strides are {}", objects.get(id).kind()));
    };
    if ids.len() > MAX_RANK {
        return Err(format!("a tensor of {} dimensions, more than {MAX_RANK}", ids.len()));
    }
    let counts: Option<Vec<u64>> = ids.iter().map(|&id| objects.count(id)).collect();
    counts.ok_or_else(|| "a tensor's sizes or strides are not whole numbers from 0".to_owned())
}

/// A tensor with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// Type of the elements.
    pub dtype: DType,
    /// Elements along each dimension; none for a scalar.
    pub shape: Vec<usize>,
    /// Elements of the storage from one to the next along each dimension.
    pub strides: Vec<usize>,
    /// Elements of the storage before the first.
    pub offset: usize,
    /// All elements of the storage, little-endian, those of other tensors included.
    pub(crate) storage: &'a [u8],
}

impl Tensor<'_> {
    /// Elements.
    pub fn count(&self) -> usize {
        // The others of an empty tensor may be of any size.
        if self.shape.contains(&0) { 0 } else { self.shape.iter().product() }
    }

    /// The elements in row-major order, little-endian.
    pub fn contiguous(&self) -> Vec<u8> {
        let size = self.dtype.bytes();
        let bytes = |from: usize, count: usize| {
            self.storage.get(from * size..(from + count) * size).unwrap_or_default()
        };
        if self.count() == 0 {
            return Vec::new();
        }
        let (rows, run) = self.runs();
        let mut out = Vec::with_capacity(self.count() * size);
        let mut index = vec![0; rows];
        // The stride along a single element is never taken, and may be any number.
        let step = |axis: usize| if self.shape[axis] == 1 { 0 } else { self.strides[axis] };
        let mut from = self.offset;
        loop {
            out.extend_from_slice(bytes(from, run));
            // The next index, the last dimension running fastest.
            let mut axis = rows;
            loop {
                let Some(before) = axis.checked_sub(1) else { return out };
                axis = before;
                index[axis] += 1;
                from += step(axis);
                if index[axis] < self.shape[axis] {
                    break;
                }
                from -= step(axis) * self.shape[axis];
                index[axis] = 0;
            }
        }
    }

    /// Leading dimensions that are walked, and the elements of the remaining ones, which lie side by side.
    fn runs(&self) -> (usize, usize) {
        let (mut rows, mut run) = (self.shape.len(), 1);
        while rows > 0 && (self.shape[rows - 1] == 1 || self.strides[rows - 1] == run) {
            rows -= 1;
            run *= self.shape[rows];
        }
        (rows, run)
    }
}
