//! Weights out of PyTorch's checkpoints.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use cream_pth::Checkpoint;
pub use cream_pth::Which;

use crate::NnError;

/// Whether bytes begin as PyTorch's files do, a zip archive or a pickle, and not as safetensors, which begin with the
/// length of a JSON object.
pub fn is_checkpoint(bytes: &[u8]) -> bool {
    let safetensors = bytes.get(8) == Some(&b'{');
    !safetensors && (bytes.starts_with(b"PK") || bytes.starts_with(&[0x80]))
}

/// The weights in a checkpoint under its own names, integers as 64-bit ones.
///
/// # Errors
/// [`NnError::File`] for what is no checkpoint, is damaged, names anything but tensors and plain values, or holds no such
/// weights.
pub fn weights(bytes: &[u8], which: Which) -> Result<BTreeMap<String, Tensor>, NnError> {
    let file = |error: cream_pth::PthError| NnError::File(error.to_string());
    let checkpoint = Checkpoint::read(bytes).map_err(file)?;
    let found = checkpoint.state_dict(which).map_err(file)?;
    found.tensors.iter().map(|(name, tensor)| Ok((name.clone(), converted(tensor)?))).collect()
}

fn converted(tensor: &cream_pth::Tensor<'_>) -> candle_core::Result<Tensor> {
    use cream_pth::DType as Theirs;
    let (bytes, shape) = (tensor.contiguous(), &tensor.shape[..]);
    let raw = |dtype| Tensor::from_raw_buffer(&bytes, dtype, shape, &Device::Cpu);
    match tensor.dtype {
        Theirs::F32 => raw(DType::F32),
        Theirs::F64 => raw(DType::F64),
        Theirs::F16 => raw(DType::F16),
        Theirs::BF16 => raw(DType::BF16),
        Theirs::I64 => raw(DType::I64),
        Theirs::U8 | Theirs::Bool => raw(DType::U8),
        Theirs::I32 => integers(&bytes, shape, |b: [u8; 4]| i64::from(i32::from_le_bytes(b))),
        Theirs::I16 => integers(&bytes, shape, |b: [u8; 2]| i64::from(i16::from_le_bytes(b))),
        Theirs::I8 => integers(&bytes, shape, |b: [u8; 1]| i64::from(i8::from_le_bytes(b))),
    }
}

fn integers<const N: usize>(
    bytes: &[u8],
    shape: &[usize],
    value: impl Fn([u8; N]) -> i64,
) -> candle_core::Result<Tensor> {
    let values: Vec<i64> = bytes.as_chunks::<N>().0.iter().map(|&chunk| value(chunk)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}
