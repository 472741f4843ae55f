//! Weights of a tiny network, as files.

use cream_arch::{Architecture, Path, Space, Widths};
use cream_weights::{expected_tensors, file_head, file_head_of};
use safetensors::Dtype;
use serde_json::{Value, json};

/// A network of a few thousand parameters in three classes.
pub fn architecture() -> Architecture {
    let widths = Widths { stem: 8, stages: vec![8; 5], last: 8, features: 16 };
    let space = Space::published().with_widths(&widths).unwrap();
    space.architecture(&Path(vec![vec![0]; 5]), 32, 3).unwrap()
}

/// What a retraining says of its weights.
pub fn description() -> Value {
    let architecture: Value = serde_json::from_str(&architecture().to_json()).unwrap();
    json!({
        "format": "cream-weights",
        "version": 1,
        "weights": "ema",
        "architecture": architecture,
        "classes": ["cat", "a \"dog\"", "bird"],
    })
}

/// Tensors by name: type, shape and bytes.
pub type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

/// Every tensor of the network, in the order of the file.
pub fn tensors() -> Tensors {
    let mut expected = expected_tensors(&architecture());
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    let values = |n: usize| (0..n).flat_map(|i| (0.25 + (i % 5) as f32 / 8.0).to_le_bytes());
    let one = |tensor: cream_weights::ExpectedTensor| {
        let bytes = values(tensor.shape.iter().product()).collect();
        (tensor.name, Dtype::F32, tensor.shape, bytes)
    };
    expected.into_iter().map(one).collect()
}

/// A file of these; without a description a foreign one.
pub fn file(description: Option<&Value>, tensors: &Tensors) -> Vec<u8> {
    let shapes: Vec<_> = tensors
        .iter()
        .map(|(name, dtype, shape, _)| (name.as_str(), *dtype, shape.as_slice()))
        .collect();
    let mut bytes = match description {
        Some(description) => file_head(description, &shapes).unwrap(),
        None => file_head_of(&[], &shapes).unwrap(),
    };
    tensors.iter().for_each(|(_, _, _, values)| bytes.extend(values));
    bytes
}
