//! Weights in forms that other programs read.

mod files;
mod huggingface;
mod onnx;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use cream_arch::{Architecture, published_file};
use cream_cli::{Failure, OrFail, read_or_shipped};
use cream_weights::{Contents, NetworkTensors, StoredTensors};
use serde_json::Value;

use crate::request::{Target, Weights};
use crate::{MAX_BYTES, Note, described};

/// Far more than any network of this program's.
const MAX_WEIGHTS: u64 = 16 << 30;

/// A trained network.
struct Network {
    architecture: Architecture,
    tensors: NetworkTensors,
    /// Names of the classes, where the file holds them.
    classes: Option<Vec<String>>,
    /// What the file says of itself, of this architecture; `Null` in a foreign one.
    description: Value,
}

/// Reads the weights that a request names, and writes what they become.
pub fn export(request: &Weights, note: Note) -> Result<(), Failure> {
    let network = read(request)?;
    let (bytes, what) = match &request.target {
        Target::Onnx { out, options } => {
            let bytes = onnx::write(&network, out.as_deref(), options)?;
            (bytes, format!("ONNX of opset {}", options.opset.version()))
        }
        Target::HuggingFace { folder } => {
            (huggingface::write(&network, folder)?, "config.json and model.safetensors".to_owned())
        }
    };
    let megabytes = bytes as f64 / 1e6;
    note.say(&format!("{}; {what}, {megabytes:.1} MB", described(&network.architecture)));
    Ok(())
}

fn read(request: &Weights) -> Result<Network, Failure> {
    let file = weights_file(&request.file).or_input()?;
    let what = file.display().to_string();
    let bytes = read_bytes(&file).context(what.clone()).or_input()?;
    let stored = StoredTensors::parse(&bytes).context(what.clone()).or_input()?;
    let own = own(&stored.contents).context(what.clone()).or_input()?;
    let mut architecture = match (&request.arch, &own) {
        (Some(arch), _) => {
            let text = read_or_shipped(arch, MAX_BYTES, published_file)?;
            let said = if arch == "-" { "standard input" } else { arch };
            Architecture::from_json(&text).context(said.to_owned()).or_input()?
        }
        (None, Some((architecture, _))) => architecture.clone(),
        (None, None) => {
            return Err(Failure::input(format!(
                "{what}: does not say what network it is for; give its architecture with --arch"
            )));
        }
    };
    let tensors = stored.of_network(&architecture).context(what).or_input()?;
    if let Some(size) = request.image_size {
        architecture = architecture.with_image_size(size).context("--image-size").or_input()?;
    }
    let named = own.map(|(_, classes)| classes);
    let classes = named.filter(|classes| classes.len() == architecture.num_classes);
    let mut description = stored.description;
    if !description.is_null() {
        description["architecture"] = serde_json::to_value(&architecture).or_run()?;
    }
    Ok(Network { architecture, tensors, classes, description })
}

/// A folder stands for the weights in it.
fn weights_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join("model.safetensors");
    if !file.exists() {
        bail!(
            "{}: holds no model.safetensors, which arch-retrain writes when it is done; give the folder of a \
             finished retraining or a weights file",
            path.display()
        );
    }
    Ok(file)
}

fn read_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!("{error}; check the name"),
        ErrorKind::PermissionDenied => anyhow!("{error}; make it readable"),
        _ => error.into(),
    })?;
    // A device or pipe may have no end.
    if !file.metadata()?.is_file() {
        bail!("is not a file; give a safetensors file");
    }
    let mut bytes = Vec::new();
    file.take(MAX_WEIGHTS + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_WEIGHTS {
        bail!("larger than the {MAX_WEIGHTS} bytes allowed; is it the right file?");
    }
    Ok(bytes)
}

/// The network that a file says it is for and the names of its classes; none of a foreign file.
fn own(contents: &Contents) -> anyhow::Result<Option<(Architecture, Vec<String>)>> {
    match contents {
        Contents::Foreign => Ok(None),
        Contents::Weights(own) => Ok(Some((own.architecture.clone(), own.classes.clone()))),
        Contents::Checkpoint(_) => bail!(
            "is a checkpoint; give the model.safetensors that arch-retrain writes when it is done"
        ),
        Contents::Supernet(_) => {
            bail!(
                "is a supernet; retrain one of its paths with arch-retrain and give those weights"
            )
        }
        Contents::Output(format) => bail!("holds {format}, not weights; give a weights file"),
    }
}
