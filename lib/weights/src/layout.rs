//! How a safetensors file is laid out: its beginning for a file that is written as its values come, and what is
//! wrong with one that cannot be read.

use std::collections::BTreeMap;

use safetensors::SafeTensorError;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use crate::WeightsError;

/// The metadata key whose value is a JSON object that says what a file holds.
pub const METADATA_KEY: &str = "cream";

const LENGTH_BYTES: usize = 8;

/// Everything of a file before the values: for tensors whose shapes are known and whose values follow, each whole and
/// in the order given, which must be the format's: wider types first, then by name.
///
/// # Errors
/// When a shape has more bytes than can be counted.
pub fn file_head(
    description: &Value,
    tensors: &[(&str, Dtype, &[usize])],
) -> Result<Vec<u8>, WeightsError> {
    file_head_of(&[(METADATA_KEY, &description.to_string())], tensors)
}

/// The same with these metadata, in this order.
///
/// # Errors
/// As [`file_head`].
pub fn file_head_of(
    metadata: &[(&str, &str)],
    tensors: &[(&str, Dtype, &[usize])],
) -> Result<Vec<u8>, WeightsError> {
    // Key order is part of the bytes: metadata first, as the format's library writes it.
    let pairs: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{}:{}", json!(key), json!(value))).collect();
    let mut text = format!("{{\"__metadata__\":{{{}}}", pairs.join(","));
    let mut start = 0_usize;
    for (name, dtype, shape) in tensors {
        let width = dtype.bitsize() / 8;
        let bytes = shape.iter().try_fold(width, |product, &side| product.checked_mul(side));
        let end = bytes.and_then(|bytes| start.checked_add(bytes)).ok_or_else(|| {
            WeightsError::File(format!("tensor {name}: shape {shape:?} is too large for a file"))
        })?;
        let (name, dtype) = (json!(name), json!(dtype));
        text += &format!(
            ",{name}:{{\"dtype\":{dtype},\"shape\":{},\"data_offsets\":[{start},{end}]}}",
            json!(shape)
        );
        start = end;
    }
    text.push('}');
    let mut text = text.into_bytes();
    text.resize(text.len().next_multiple_of(LENGTH_BYTES), b' ');
    Ok([&(text.len() as u64).to_le_bytes(), &text[..]].concat())
}

/// Why bytes are no safetensors file, and what to do.
pub fn explain(bytes: &[u8], error: &SafeTensorError) -> String {
    let there = bytes.len();
    let why = match error {
        SafeTensorError::HeaderTooSmall => format!("it has {there} bytes; copy it again"),
        SafeTensorError::HeaderTooLarge => {
            "it does not begin with the length of a header; is it the right file?".to_owned()
        }
        SafeTensorError::InvalidHeaderLength => {
            format!("it ends after {there} bytes, inside its header; copy it again")
        }
        SafeTensorError::MetadataIncompleteBuffer => match promised(bytes) {
            Some(promised) => {
                format!("it has {there} bytes, and its header speaks of {promised}; copy it again")
            }
            None => format!("{error}; copy it again"),
        },
        SafeTensorError::TensorInvalidInfo => {
            let named = misshapen(bytes);
            format!("size, type and place of a tensor do not agree{named}; make the file anew")
        }
        SafeTensorError::InvalidOffset(_) => format!("{error}; make the file anew"),
        _ => format!("{error}; is it the right file?"),
    };
    format!("not a safetensors file: {why}")
}

/// The tensors that a header lists.
fn header(bytes: &[u8]) -> Option<(usize, BTreeMap<String, Value>)> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let mut tensors: BTreeMap<String, Value> = serde_json::from_slice(rest.get(..length)?).ok()?;
    tensors.remove("__metadata__");
    Some((length, tensors))
}

fn promised(bytes: &[u8]) -> Option<u64> {
    let (length, tensors) = header(bytes)?;
    let end = tensors.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64()).max()?;
    end.checked_add((LENGTH_BYTES + length) as u64)
}

/// The first few tensors whose shape and type make another number of bytes than their place has.
fn misshapen(bytes: &[u8]) -> String {
    const SHOWN: usize = 3;
    let Some((_, tensors)) = header(bytes) else { return String::new() };
    let wrong = tensors.iter().filter(|(_, tensor)| !agrees(tensor).unwrap_or(false));
    let named: Vec<&str> = wrong.map(|(name, _)| name.as_str()).take(SHOWN).collect();
    if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) }
}

fn agrees(tensor: &Value) -> Option<bool> {
    let dtype: Dtype = serde_json::from_value(tensor["dtype"].clone()).ok()?;
    let sides = tensor["shape"].as_array()?;
    let bits = sides
        .iter()
        .try_fold(dtype.bitsize() as u64, |product, side| product.checked_mul(side.as_u64()?))?;
    let offset = |place: usize| tensor["data_offsets"][place].as_u64();
    Some(offset(1)?.checked_sub(offset(0)?)? == bits / 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoredTensors;
    use safetensors::tensor::TensorView;
    use std::collections::HashMap;

    #[test]
    fn a_file_written_as_its_values_come_is_the_one_written_at_once() {
        let description = json!({"format": "cream-logits", "version": 1, "é\"": "\\"});
        let labels: Vec<u8> = [3_i64, -1].into_iter().flat_map(i64::to_le_bytes).collect();
        let logits = [0.5_f32, 1.0, -2.0, 0.0, 4.0, 8.0];
        let logits: Vec<u8> = logits.into_iter().flat_map(f32::to_le_bytes).collect();
        let views = [
            ("logits", TensorView::new(Dtype::F32, vec![2, 3], &logits).unwrap()),
            ("labels", TensorView::new(Dtype::I64, vec![2], &labels).unwrap()),
        ];
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), description.to_string())]);
        let whole = safetensors::serialize(views, Some(metadata)).unwrap();
        let shapes = [("labels", Dtype::I64, &[2][..]), ("logits", Dtype::F32, &[2, 3])];
        let mut streamed = file_head(&description, &shapes).unwrap();
        streamed.extend([labels, logits].concat());
        assert!(streamed == whole);
        assert!(file_head(&description, &[("a", Dtype::F32, &[usize::MAX])]).is_err());
    }

    #[test]
    fn metadata_keep_their_order() {
        let head = file_head_of(&[("format", "pt"), ("a\"", "b")], &[]).unwrap();
        let text = std::str::from_utf8(&head[LENGTH_BYTES..]).unwrap();
        assert_eq!(text.trim_end(), r#"{"__metadata__":{"format":"pt","a\"":"b"}}"#);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let shapes = [("a", Dtype::F32, &[2][..]), ("b", Dtype::F32, &[1])];
        let good = [file_head_of(&[], &shapes).unwrap(), vec![0; 12]].concat();
        StoredTensors::parse(&good).unwrap();
        let replaced = |from: &str, to: &str| {
            let at = good.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
            [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()
        };
        let long = good.len() - 12;
        for (bytes, said) in [
            (b"1234".to_vec(), "it has 4 bytes; copy it again".to_owned()),
            (
                good[..long - 5].to_vec(),
                format!("it ends after {} bytes, inside its header", long - 5),
            ),
            (
                good[..good.len() - 1].to_vec(),
                format!("it has {} bytes, and its header speaks of {}", good.len() - 1, good.len()),
            ),
            (b"{\"format\": 1}".to_vec(), "is it the right file?".to_owned()),
            (
                replaced("\"shape\":[1]", "\"shape\":[9]"),
                "do not agree (b); make the file anew".to_owned(),
            ),
            (replaced("[8,12]", "[7,11]"), "invalid offset for tensor `b`".to_owned()),
        ] {
            let error = StoredTensors::parse(&bytes).unwrap_err().to_string();
            assert!(
                error.starts_with("not a safetensors file: ") && error.contains(&said),
                "{said}: {error}"
            );
        }
    }
}
