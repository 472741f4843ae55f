//! MATLAB's level 5 MAT-file with one compressed structure array, as MathWorks' "MAT-File Format"
//! describes it.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Types of data elements.
const INT8: u32 = 1;
const UINT8: u32 = 2;
const UINT16: u32 = 4;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
const UTF8: u32 = 16;

/// Classes of arrays.
const STRUCT: u32 = 2;
const CHAR: u32 = 4;
const DOUBLE: u32 = 6;

/// Longest field name with its zero.
const NAME: usize = 32;

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One row of characters.
    Text(String),
    /// One row of doubles, or 0 x 0 where there are none.
    Numbers(Vec<usize>),
}

impl Value {
    /// A scalar.
    pub fn number(value: usize) -> Self {
        Self::Numbers(vec![value])
    }
}

/// A file with the structure array `name`, of as many rows as given and one column.
///
/// # Errors
/// Where a length does not fit the format.
pub fn file(name: &str, fields: &[&str], rows: &[Vec<Value>]) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    put(&mut content, INT32, &(NAME as i32).to_le_bytes())?;
    let mut names = Vec::new();
    for field in fields {
        let mut padded = field.as_bytes().to_vec();
        padded.resize(NAME, 0);
        names.extend(padded);
    }
    put(&mut content, INT8, &names)?;
    for value in rows.iter().flatten() {
        content.extend(matrix_of(value)?);
    }
    let array = matrix(STRUCT, [rows.len(), 1], name, &content)?;

    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&array)?;
    let packed = packed.finish()?;

    let text = "MATLAB 5.0 MAT-file, Platform: GLNXA64, Created on: Sun Jun 10 00:00:00 2012";
    let mut bytes = format!("{text:<116}").into_bytes();
    // No offset to data of subsystems, version 1.0, little-endian.
    bytes.extend([0; 8]);
    bytes.extend([0x00, 0x01, b'I', b'M']);
    bytes.extend(COMPRESSED.to_le_bytes());
    bytes.extend(length(packed.len())?.to_le_bytes());
    bytes.extend(packed);
    Ok(bytes)
}

fn matrix_of(value: &Value) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    match value {
        Value::Text(text) => {
            put(&mut content, UTF8, text.as_bytes())?;
            matrix(CHAR, [1, text.chars().count()], "", &content)
        }
        Value::Numbers(numbers) => {
            put_numbers(&mut content, numbers)?;
            let rows = usize::from(!numbers.is_empty());
            matrix(DOUBLE, [rows, numbers.len()], "", &content)
        }
    }
}

/// Whole numbers are stored in the smallest type that holds all of them, whatever the array's class.
fn put_numbers(out: &mut Vec<u8>, numbers: &[usize]) -> Result<()> {
    let most = numbers.iter().max().copied().unwrap_or(0);
    if u8::try_from(most).is_ok() {
        let bytes: Vec<u8> = numbers.iter().map(|&number| number as u8).collect();
        put(out, UINT8, &bytes)
    } else if u16::try_from(most).is_ok() {
        let bytes: Vec<u8> = numbers.iter().flat_map(|&n| (n as u16).to_le_bytes()).collect();
        put(out, UINT16, &bytes)
    } else {
        let mut bytes = Vec::new();
        for &number in numbers {
            bytes.extend(i32::try_from(number)?.to_le_bytes());
        }
        put(out, INT32, &bytes)
    }
}

/// An array element: flags, dimensions, name, then what the class demands.
fn matrix(class: u32, dimensions: [usize; 2], name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    put(&mut body, UINT32, &[class.to_le_bytes(), [0; 4]].concat())?;
    let [rows, columns] = dimensions.map(i32::try_from);
    put(&mut body, INT32, &[rows?.to_le_bytes(), columns?.to_le_bytes()].concat())?;
    put(&mut body, INT8, name.as_bytes())?;
    body.extend(content);
    let mut element = Vec::new();
    put(&mut element, MATRIX, &body)?;
    Ok(element)
}

/// An element, padded to eight bytes; of one to four bytes in the short form, which MATLAB prefers.
fn put(out: &mut Vec<u8>, kind: u32, data: &[u8]) -> Result<()> {
    let size = length(data.len())?;
    if (1..=4).contains(&size) {
        out.extend((size << 16 | kind).to_le_bytes());
        out.extend(data);
        out.resize(out.len() + 4 - data.len(), 0);
    } else {
        out.extend(kind.to_le_bytes());
        out.extend(size.to_le_bytes());
        out.extend(data);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    Ok(())
}

fn length(bytes: usize) -> Result<u32> {
    u32::try_from(bytes).with_context(|| format!("{bytes} bytes: too many for an element"))
}
