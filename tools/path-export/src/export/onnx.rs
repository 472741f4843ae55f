//! ONNX models.

use std::io::{IsTerminal, stdout};
use std::path::Path;

use anyhow::Context;
use cream_cli::{Failure, OrFail, write_stdout};
use cream_onnx::{Export, Options, model};

use super::{Network, files};

/// Writes the model to a file or to standard output; returns its bytes.
pub fn write(network: &Network, out: Option<&Path>, options: &Options) -> Result<usize, Failure> {
    if out.is_none() && stdout().is_terminal() {
        return Err(Failure::input(
            "standard output is a terminal, and a model is no text; give --out FILE",
        ));
    }
    let classes = network.classes.as_deref();
    let (architecture, tensors) = (&network.architecture, &network.tensors);
    let export = Export { architecture, tensors, classes };
    let bytes = model(&export, options).context("--format onnx").or_input()?;
    match out {
        Some(path) => files::write_file(path, &bytes)?,
        None => write_stdout(&bytes)?,
    }
    Ok(bytes.len())
}
