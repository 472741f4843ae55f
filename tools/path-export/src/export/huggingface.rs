//! A folder as Hugging Face's hub and libraries have it: `config.json` and `model.safetensors`.

use std::collections::BTreeSet;
use std::path::Path;

use cream_arch::{Architecture, EvaluationTransform, Interpolation};
use cream_cli::{Failure, OrFail};
use cream_weights::{METADATA_KEY, file_head_of};
use safetensors::Dtype;
use serde::{Serialize, Serializer};

use super::{Network, files};

/// `config.json`: timm's keys where it has them, Hugging Face's for the labels.
#[derive(Serialize)]
struct Config<'a> {
    architecture: &'a str,
    num_classes: usize,
    num_features: usize,
    global_pool: &'static str,
    image_size: usize,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "by_number")]
    id2label: Option<&'a [String]>,
    /// Left out where two classes have one name.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "by_name")]
    label2id: Option<&'a [String]>,
    pretrained_cfg: PretrainedCfg,
    /// The whole network.
    cream: &'a Architecture,
}

/// How timm feeds a network.
#[derive(Serialize)]
struct PretrainedCfg {
    input_size: [usize; 3],
    fixed_input_size: bool,
    pool_size: [usize; 2],
    mean: [f64; 3],
    std: [f64; 3],
    /// Of images that are scaled; timm's keys cannot state another transform.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    crop: Option<Crop>,
    num_classes: usize,
    first_conv: &'static str,
    classifier: &'static str,
}

#[derive(Serialize)]
struct Crop {
    crop_pct: f64,
    crop_mode: &'static str,
    interpolation: Interpolation,
}

/// Writes the folder; returns the bytes of its files.
pub fn write(network: &Network, folder: &Path) -> Result<usize, Failure> {
    let config = serde_json::to_string_pretty(&config(network)).or_run()? + "\n";
    let model = model(network)?;
    files::write_folder(
        folder,
        &[("config.json", config.as_bytes()), ("model.safetensors", &model)],
    )?;
    Ok(config.len() + model.len())
}

fn config(network: &Network) -> Config<'_> {
    let architecture = &network.architecture;
    let size = architecture.image_size;
    let strides = architecture.stages.iter().flatten().map(|block| block.stride);
    let map = strides.fold(size.div_ceil(architecture.stem.stride), usize::div_ceil);
    let crop = match architecture.input.evaluation {
        EvaluationTransform::ResizeCrop { crop: crop_pct, interpolation } => {
            Some(Crop { crop_pct, crop_mode: "center", interpolation })
        }
        EvaluationTransform::PadCrop => None,
    };
    let labels = network.classes.as_deref();
    Config {
        architecture: architecture.name.as_deref().unwrap_or("cream"),
        num_classes: architecture.num_classes,
        num_features: architecture.head.channels,
        global_pool: "avg",
        image_size: size,
        id2label: labels,
        label2id: labels.filter(|names| names.iter().collect::<BTreeSet<_>>().len() == names.len()),
        pretrained_cfg: PretrainedCfg {
            input_size: [3, size, size],
            fixed_input_size: false,
            pool_size: [map, map],
            mean: architecture.input.mean,
            std: architecture.input.std,
            crop,
            num_classes: architecture.num_classes,
            first_conv: "conv_stem",
            classifier: "classifier",
        },
        cream: architecture,
    }
}

/// PyTorch's names and shapes; `format` is what its readers look for.
fn model(network: &Network) -> Result<Vec<u8>, Failure> {
    let description = network.description.to_string();
    let mut metadata = vec![("format", "pt")];
    if !network.description.is_null() {
        metadata.push((METADATA_KEY, &description));
    }
    let tensors = network.tensors.iter();
    let shapes: Vec<_> =
        tensors.map(|(name, tensor)| (name, Dtype::F32, tensor.shape.as_slice())).collect();
    let mut bytes = file_head_of(&metadata, &shapes).or_run()?;
    for (_, tensor) in network.tensors.iter() {
        bytes.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(bytes)
}

fn by_number<S: Serializer>(names: &Option<&[String]>, out: S) -> Result<S::Ok, S::Error> {
    let numbered = names.unwrap_or_default().iter().enumerate();
    out.collect_map(numbered.map(|(number, name)| (number.to_string(), name)))
}

fn by_name<S: Serializer>(names: &Option<&[String]>, out: S) -> Result<S::Ok, S::Error> {
    let numbered = names.unwrap_or_default().iter().enumerate();
    out.collect_map(numbered.map(|(number, name)| (name, number)))
}
