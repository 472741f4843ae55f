//! Finding and loading weights.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use candle_core::{DType, Device};
use cream_arch::{Architecture, published_file};
use cream_cli::{Failure, OrFail, read_or_shipped};
use cream_nn::pytorch::Which;
use cream_nn::{ChildNet, Contents, TensorFile, ToBeLoaded, WeightsDescription, rename_foreign};
use cream_train::checkpoint::take_group;
use cream_train::tensor_files::{self, Form};

use crate::args::Args;
use crate::failure;
use crate::sink::Sink;

/// A network with its weights.
pub struct Loaded {
    /// The network.
    pub network: ChildNet,
    /// Names of its classes, where the file has them.
    pub classes: Option<Vec<String>>,
    /// Whether the weights are known to be averaged.
    pub averaged: bool,
}

/// What a weights file is for.
struct Own {
    architecture: Architecture,
    classes: Option<Vec<String>>,
    averaged: bool,
}

/// Builds the network that a weights file is for, and loads it.
pub fn load(weights: &Path, args: &Args, device: &Device) -> Result<Loaded, Failure> {
    let path = weights_file(weights, args.which()).or_input()?;
    let what = path.display().to_string();
    let (mut file, form) = tensor_files::read_weights(&path, args.which()).map_err(failure)?;
    let own = match form {
        Form::PyTorch => None,
        Form::Safetensors => select(&mut file, args.which()).context(what.clone()).or_input()?,
    };
    let foreign = own.is_none();
    let averaged = own.as_ref().map_or(args.which() == Which::Averaged, |own| own.averaged);
    let (own, classes) = own.map_or((None, None), |own| (Some(own.architecture), own.classes));
    let architecture = match (&args.arch, own) {
        (Some(arch), _) => {
            let text = read_or_shipped(arch, 1 << 24, published_file)?;
            Architecture::from_json(&text).context(arch.clone()).or_input()?
        }
        (None, Some(architecture)) => architecture,
        (None, None) => {
            return Err(Failure::input(format!(
                "{what}: does not say what network it is for; give its architecture with --arch"
            )));
        }
    };
    let architecture = resized(architecture, args)?;
    if foreign {
        file.tensors =
            rename_foreign(file.tensors, &architecture).context(what.clone()).or_input()?;
    }
    let mut init = ToBeLoaded::from_tensors(&file.tensors);
    let network = ChildNet::new(&architecture, &mut init, DType::F32, device)
        .with_context(|| what.clone())
        .or_input()?;
    network.weights().load(&file.tensors, |_| false).context(what).or_input()?;
    Ok(Loaded { network, classes, averaged })
}

/// Writes a network's weights as `arch-retrain` writes them.
pub fn save(
    file: &Path,
    network: &ChildNet,
    classes: Vec<String>,
    averaged: bool,
) -> Result<(), Failure> {
    let architecture = network.architecture().clone();
    let description = WeightsDescription { averaged, architecture, classes }.to_json();
    let tensors = network.weights().tensors();
    let bytes = TensorFile { description, tensors }.to_bytes();
    let Some(mut sink) = Sink::begin(Some(file))? else { return Ok(()) };
    bytes.map_err(anyhow::Error::from).or_run().and_then(|bytes| {
        sink.write(&bytes).or_run()?;
        sink.finish().or_run()
    })
}

/// The network with the input size that is asked for; its weights fit any.
fn resized(architecture: Architecture, args: &Args) -> Result<Architecture, Failure> {
    match args.image_size {
        None => Ok(architecture),
        Some(size) => {
            architecture.with_image_size(size as usize).context("--image-size").or_input()
        }
    }
}

/// A folder stands for the weights in it.
fn weights_file(path: &Path, which: Which) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let raw = path.join("model-raw.safetensors");
    let file =
        if which == Which::Raw && raw.exists() { raw } else { path.join("model.safetensors") };
    if !file.exists() {
        bail!(
            "{}: holds no model.safetensors, which arch-retrain writes when it is done; give the folder of a \
             finished retraining, a weights file or a checkpoint",
            path.display()
        );
    }
    Ok(file)
}

/// Leaves the tensors of one set of weights, under their plain names; returns what the file says it is for.
fn select(file: &mut TensorFile, which: Which) -> anyhow::Result<Option<Own>> {
    match file.contents()? {
        Contents::Foreign if which == Which::Averaged => {
            bail!("does not say whether its weights are averaged; leave out --ema")
        }
        Contents::Foreign => Ok(None),
        Contents::Weights(own) if which == Which::Averaged && !own.averaged => {
            bail!("holds no averaged weights; leave out --ema")
        }
        Contents::Weights(own) if which == Which::Raw && own.averaged => {
            bail!("holds averaged weights; give the model-raw.safetensors beside it")
        }
        Contents::Weights(own) => {
            let WeightsDescription { averaged, architecture, classes } = *own;
            Ok(Some(Own { architecture, classes: Some(classes), averaged }))
        }
        Contents::Checkpoint(kind) if kind == "retrain" => {
            let (architecture, averaged) = of_checkpoint(file, which)?;
            Ok(Some(Own { architecture, classes: None, averaged }))
        }
        Contents::Checkpoint(_) => {
            bail!("is a checkpoint of a search; finish that and give its folder to --supernet")
        }
        Contents::Supernet(_) => bail!("is a supernet; score its paths with --supernet"),
        Contents::Output(format) => bail!("holds {format}, not weights; give a weights file"),
    }
}

/// Leaves the weights that are asked for; returns their network and whether they are averaged.
fn of_checkpoint(file: &mut TensorFile, which: Which) -> anyhow::Result<(Architecture, bool)> {
    let averaged = take_group(&mut file.tensors, "ema");
    let raw = take_group(&mut file.tensors, "weights");
    let take = which != Which::Raw && !averaged.is_empty();
    if which == Which::Averaged && !take {
        bail!("holds no averaged weights; leave out --ema");
    }
    file.tensors = if take { averaged } else { raw };
    let architecture = &file.description["run"]["settings"]["architecture"];
    if architecture.is_null() {
        return Err(anyhow!("names no architecture: it is damaged, take the checkpoint before it"));
    }
    let architecture = Architecture::from_json(&architecture.to_string());
    Ok((architecture.context("its architecture")?, take))
}
