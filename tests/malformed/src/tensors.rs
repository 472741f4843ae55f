//! Safetensors files.

use candle_core::DType;
use cream_arch::published;
use cream_nn::{Contents, TensorFile};
use cream_weights::StoredTensors;

/// Reads the bytes as weights, a checkpoint or any other safetensors file.
pub fn tensors(bytes: &[u8]) {
    of_a_network(bytes);
    let Ok(file) = TensorFile::from_bytes(bytes) else { return };
    assert_eq!(file.contents().is_ok(), StoredTensors::parse(bytes).is_ok(), "two readers differ");
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

/// Reads them as the weights of one network, without a tensor library.
fn of_a_network(bytes: &[u8]) {
    let Ok(stored) = StoredTensors::parse(bytes) else { return };
    let architecture = match stored.contents {
        Contents::Weights(ref own) => Ok(own.architecture.clone()),
        Contents::Foreign => published("14"),
        _ => return,
    };
    let Ok(tensors) = stored.of_network(&architecture.unwrap()) else { return };
    for (name, tensor) in tensors.iter() {
        assert_eq!(tensor.values.len(), tensor.shape.iter().product::<usize>(), "{name}");
        assert!(tensor.values.iter().all(|value| value.is_finite()), "{name}");
    }
}
