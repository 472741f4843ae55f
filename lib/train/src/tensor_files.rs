//! Reading files of tensors of which nothing is known yet.

use crate::TrainError;
use crate::run_folder::check_against_manifest;
use cream_nn::TensorFile;
use cream_nn::pytorch::{self, Which};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Far more than any network of this program's.
const MAX_BYTES: u64 = 16 << 30;

/// Whose form a file of weights has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Safetensors, of whatever program.
    Safetensors,
    /// What `torch.save` writes.
    PyTorch,
}

/// Reads a file of weights: safetensors as [`read`] does, or a checkpoint of PyTorch's, of which `which` chooses the
/// weights; these are foreign and have no description.
///
/// # Errors
/// Those of [`read`], and [`TrainError::TensorFile`] for a checkpoint that is damaged or holds no such weights.
pub fn read_weights(path: &Path, which: Which) -> Result<(TensorFile, Form), TrainError> {
    let bytes = bytes(path)?;
    if !pytorch::is_checkpoint(&bytes) {
        return Ok((parsed(path, &bytes)?, Form::Safetensors));
    }
    let tensors = pytorch::weights(&bytes, which).map_err(|error| refusal(path, error))?;
    Ok((TensorFile { description: serde_json::Value::Null, tensors }, Form::PyTorch))
}

/// Reads a safetensors file, bounded, and holds it against the manifest of the run that it is of, if it is of one.
///
/// # Errors
/// [`TrainError::TensorFile`] naming the file, and those of [`check_against_manifest`].
pub fn read(path: &Path) -> Result<TensorFile, TrainError> {
    parsed(path, &bytes(path)?)
}

fn refusal(path: &Path, reason: impl ToString) -> TrainError {
    TrainError::TensorFile { path: path.to_owned(), reason: reason.to_string() }
}

fn parsed(path: &Path, bytes: &[u8]) -> Result<TensorFile, TrainError> {
    TensorFile::from_bytes(bytes).map_err(|error| refusal(path, error))
}

fn bytes(path: &Path) -> Result<Vec<u8>, TrainError> {
    let refusal = |reason: String| refusal(path, reason);
    let system = |error: std::io::Error| {
        let advice = match error.kind() {
            ErrorKind::NotFound => "; check the name",
            ErrorKind::PermissionDenied => "; make it readable",
            _ => "",
        };
        refusal(format!("{error}{advice}"))
    };
    let file = File::open(path).map_err(system)?;
    // A device or pipe may have no end.
    if !file.metadata().map_err(system)?.is_file() {
        return Err(refusal("is not a file; give a file of weights".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(system)?;
    if bytes.len() as u64 > MAX_BYTES {
        let text = format!("larger than the {MAX_BYTES} bytes allowed; is it the right file?");
        return Err(refusal(text));
    }
    check_against_manifest(path, &bytes)?;
    Ok(bytes)
}
