//! Finding and loading weights.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use candle_core::{DType, Device};
use cream_arch::Architecture;
use cream_cli::{Failure, OrFail, read_text};
use cream_nn::{ChildNet, TensorFile, ToBeLoaded};
use cream_train::checkpoint::take_group;
use cream_train::run_folder::check_against_manifest;

use crate::args::{Args, Which};

/// Builds the network that a weights file is for, and loads it.
pub fn network(weights: &Path, args: &Args, device: &Device) -> Result<ChildNet, Failure> {
    let path = weights_file(weights, args.which());
    let what = path.display().to_string();
    let mut file = read(&path).or_input()?;
    select(&mut file, args.which()).context(what.clone()).or_input()?;
    let architecture = match &args.arch {
        Some(arch) => {
            let text = read_text(arch, 1 << 24)?;
            Architecture::from_json(&text).context(arch.clone()).or_input()?
        }
        None => own_architecture(&file).context(what.clone()).or_input()?,
    };
    let mut init = ToBeLoaded::from_tensors(&file.tensors);
    let network = ChildNet::new(&architecture, &mut init, DType::F32, device)
        .with_context(|| what.clone())
        .or_input()?;
    network.weights().load(&file.tensors, |_| false).context(what).or_input()?;
    Ok(network)
}

/// A folder stands for the weights in it.
fn weights_file(path: &Path, which: Which) -> PathBuf {
    if !path.is_dir() {
        return path.to_owned();
    }
    let raw = path.join("model-raw.safetensors");
    if which == Which::Raw && raw.exists() { raw } else { path.join("model.safetensors") }
}

/// Reads a safetensors file.
pub fn read(path: &Path) -> anyhow::Result<TensorFile> {
    let what = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(what)?;
    check_against_manifest(path, &bytes)?;
    TensorFile::from_bytes(&bytes).with_context(what)
}

/// Leaves the tensors of one set of weights, under their plain names.
fn select(file: &mut TensorFile, which: Which) -> anyhow::Result<()> {
    let averaged = take_group(&mut file.tensors, "ema");
    let raw = take_group(&mut file.tensors, "weights");
    if averaged.is_empty() && raw.is_empty() {
        let holds_average = file.description["weights"] == "ema";
        return match which {
            Which::Average if !holds_average => bail!("holds no averaged weights; leave out --ema"),
            Which::Raw if holds_average => {
                bail!("holds averaged weights; give the model-raw.safetensors beside it")
            }
            _ => Ok(()),
        };
    }
    file.tensors = match which {
        Which::Average if averaged.is_empty() => {
            bail!("holds no averaged weights; leave out --ema")
        }
        Which::Either | Which::Average if !averaged.is_empty() => averaged,
        _ => raw,
    };
    Ok(())
}

/// The architecture in a file's metadata: a weights file's, or a checkpoint's.
fn own_architecture(file: &TensorFile) -> anyhow::Result<Architecture> {
    let description = &file.description;
    let found = [&description["architecture"], &description["run"]["settings"]["architecture"]];
    match found.into_iter().find(|value| !value.is_null()) {
        Some(value) => Ok(Architecture::from_json(&value.to_string()).context("its architecture")?),
        None => {
            Err(anyhow!("does not say what network it is for; give its architecture with --arch"))
        }
    }
}
