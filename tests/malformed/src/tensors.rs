//! Safetensors files.

use candle_core::DType;
use cream_nn::{Contents, TensorFile};

/// Reads the bytes as weights, a checkpoint or any other safetensors file.
pub fn tensors(bytes: &[u8]) {
    let Ok(file) = TensorFile::from_bytes(bytes) else { return };
    for (name, tensor) in &file.tensors {
        let held = tensor.elem_count() * tensor.dtype().size_in_bytes();
        assert!(held <= bytes.len(), "{name}: {held} bytes from a file of {}", bytes.len());
    }
    if let Ok(Contents::Weights(weights)) = file.contents() {
        assert_eq!(weights.classes.len(), weights.architecture.num_classes);
    }
    // Half-precision weights are read, never written.
    let written = |dtype| !matches!(dtype, DType::F16 | DType::BF16);
    if !file.tensors.values().all(|tensor| written(tensor.dtype())) {
        assert!(file.to_bytes().is_err());
        return;
    }
    let first = file.to_bytes().unwrap();
    let again = TensorFile::from_bytes(&first).unwrap();
    assert_eq!(again.description, file.description);
    for ((name, tensor), (other, same)) in file.tensors.iter().zip(&again.tensors) {
        assert_eq!((name, tensor.dims()), (other, same.dims()));
        assert_eq!(tensor.dtype(), same.dtype(), "{name}");
    }
    assert_eq!(again.to_bytes().unwrap(), first, "not the same bytes twice");
}
