//! Reading tensor files of which nothing is known yet.

use crate::TrainError;
use crate::run_folder::check_against_manifest;
use cream_nn::TensorFile;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Far more than any network of this program's.
const MAX_BYTES: u64 = 16 << 30;

/// Reads a safetensors file, bounded, and holds it against the manifest of the run that it is of, if it is of one.
///
/// # Errors
/// [`TrainError::TensorFile`] naming the file, and those of [`check_against_manifest`].
pub fn read(path: &Path) -> Result<TensorFile, TrainError> {
    let refusal = |reason: String| TrainError::TensorFile { path: path.to_owned(), reason };
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
        return Err(refusal("is not a file; give a safetensors file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(system)?;
    if bytes.len() as u64 > MAX_BYTES {
        let text = format!("larger than the {MAX_BYTES} bytes allowed; is it the right file?");
        return Err(refusal(text));
    }
    check_against_manifest(path, &bytes)?;
    TensorFile::from_bytes(&bytes).map_err(|error| refusal(error.to_string()))
}
