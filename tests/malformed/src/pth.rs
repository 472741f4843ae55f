//! PyTorch's checkpoints, in either form.

use cream_pth::{Checkpoint, Which};

/// What all weights may take, beside the file: four times its length and 1 MiB.
const SLACK: usize = 1 << 20;

/// Reads the bytes as a checkpoint, and its weights, averaged and raw.
pub fn pth(bytes: &[u8]) {
    let checkpoint = match Checkpoint::read(bytes) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return one_line(&error.to_string()),
    };
    assert_eq!(checkpoint.value(checkpoint.root()), checkpoint.value(checkpoint.root()));
    for which in [Which::Either, Which::Averaged, Which::Raw] {
        match checkpoint.state_dict(which) {
            Ok(weights) => {
                assert!(!weights.tensors.is_empty(), "{which:?}: weights without a tensor");
                let mut total = 0;
                for (name, tensor) in &weights.tensors {
                    let values = tensor.contiguous();
                    let expected = tensor.count() * tensor.dtype.bytes();
                    assert_eq!(values.len(), expected, "{name}: {:?}", tensor.shape);
                    total += expected;
                }
                assert!(total <= 4 * bytes.len() + SLACK, "{total} bytes of {}", bytes.len());
            }
            Err(error) => one_line(&error.to_string()),
        }
    }
}

fn one_line(error: &str) {
    assert!(!error.contains('\n') && error.len() < 20_000, "{error}");
}
