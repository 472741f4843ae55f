//! Models decoded and run: against PyTorch's golden numbers, and what they state of themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod decoded;

use std::collections::BTreeSet;
use std::path::PathBuf;

use cream_arch::{Architecture, Path, Space, Widths, published};
use cream_onnx::{Batch, BatchNorm, Export, Normalisation, Opset, Options, model};
use cream_weights::{NetworkTensors, StoredTensors, expected_tensors};
use decoded::Model;
use decoded::run::{Array, logits};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// The network of the golden numbers.
fn narrow() -> Architecture {
    let widths = Widths { stem: 8, stages: vec![8, 16, 16, 24, 32], last: 40, features: 48 };
    let space = Space::published().with_widths(&widths).unwrap();
    let path = Path(vec![vec![0], vec![3, 1], vec![4], vec![2, 5], vec![1]]);
    space.architecture(&path, 64, 10).unwrap()
}

/// Weights, input and logits that PyTorch computed.
struct Golden {
    tensors: NetworkTensors,
    input: Array,
    logits: Array,
}

impl Golden {
    fn read(architecture: &Architecture) -> Self {
        let file = "../../tests/golden/childnet.safetensors";
        let bytes = std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let mut views = Vec::new();
        for (name, view) in golden.tensors() {
            if let Some(name) = name.strip_prefix("before/") {
                views.push((name.to_owned(), view));
            }
        }
        let weights = safetensors::serialize(views, None).unwrap();
        let tensors = StoredTensors::parse(&weights).unwrap().of_network(architecture).unwrap();
        let array = |name: &str| {
            let view = golden.tensor(name).unwrap();
            assert_eq!(view.dtype(), Dtype::F64);
            let values = view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
            Array { shape: view.shape().to_vec(), values }
        };
        Self { tensors, input: array("input"), logits: array("logits_eval") }
    }

    /// The first images alone: plain loops take their time.
    fn first(&self, images: usize) -> (Array, Array) {
        let first = |all: &Array| {
            let values = all.values[..all.values.len() / all.shape[0] * images].to_vec();
            Array { shape: [&[images][..], &all.shape[1..]].concat(), values }
        };
        (first(&self.input), first(&self.logits))
    }
}

/// `max|a - b| / max|b|`.
fn difference(a: &Array, b: &Array) -> f64 {
    assert_eq!(a.shape, b.shape);
    let scale = b.values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let apart = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f64::max) / scale
}

fn export(architecture: &Architecture, tensors: &NetworkTensors, options: &Options) -> Model {
    let export = Export { architecture, tensors, classes: None };
    Model::decode(&model(&export, options).unwrap())
}

#[test]
fn logits_are_those_of_pytorch() {
    let architecture = narrow();
    let golden = Golden::read(&architecture);
    let (images, expected) = golden.first(2);
    for batch_norm in [BatchNorm::Folded, BatchNorm::Kept] {
        let options = Options { batch_norm, ..Options::default() };
        let found = logits(&export(&architecture, &golden.tensors, &options), images.clone());
        let apart = difference(&found, &expected);
        assert!(apart < 1e-5, "{batch_norm:?}: {apart:e}");
    }
}

#[test]
fn a_model_that_normalises_takes_pixels() {
    let mut architecture = narrow();
    architecture.input.mean = [0.5, 0.25, 0.75];
    architecture.input.std = [0.5, 0.2, 1.0];
    let golden = Golden::read(&architecture);
    let (mut pixels, expected) = golden.first(1);
    for (channel, values) in pixels.values.chunks_mut(64 * 64).enumerate() {
        let (mean, std) = (architecture.input.mean[channel], architecture.input.std[channel]);
        values.iter_mut().for_each(|value| *value = (*value * std + mean) * 255.0);
    }
    let options = Options { normalisation: Normalisation::Inside, ..Options::default() };
    let model = export(&architecture, &golden.tensors, &options);
    assert_eq!(model.metadata("input"), Some("\"0..255\""));
    let apart = difference(&logits(&model, pixels), &expected);
    assert!(apart < 1e-5, "{apart:e}");
}

/// Weights that differ, in every tensor of the network.
fn some_tensors(architecture: &Architecture) -> NetworkTensors {
    let expected = expected_tensors(architecture);
    let bytes: Vec<Vec<u8>> = expected
        .iter()
        .map(|tensor| {
            let values = 0..tensor.shape.iter().product::<usize>();
            values.flat_map(|i| (0.5 + (i % 7) as f32 / 16.0).to_le_bytes()).collect()
        })
        .collect();
    let views = expected.iter().zip(&bytes).map(|(tensor, bytes)| {
        (tensor.name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap())
    });
    let file = safetensors::serialize(views, None).unwrap();
    StoredTensors::parse(&file).unwrap().of_network(architecture).unwrap()
}

#[test]
fn a_model_says_what_it_takes_gives_and_is() {
    let architecture = narrow();
    let tensors = some_tensors(&architecture);
    let names: Vec<String> = (0..10).map(|class| format!("class \"{class}\"")).collect();
    let whole = Export { architecture: &architecture, tensors: &tensors, classes: Some(&names) };
    let bytes = model(&whole, &Options::default()).unwrap();
    assert!(bytes == model(&whole, &Options::default()).unwrap());
    let found = Model::decode(&bytes);
    let sides = |sides: &[&str]| sides.iter().map(|&side| side.to_owned()).collect::<Vec<_>>();
    assert_eq!(found.inputs, [("images".to_owned(), sides(&["batch", "3", "64", "64"]))]);
    assert_eq!(found.outputs, [("logits".to_owned(), sides(&["batch", "10"]))]);
    assert_eq!(
        (found.ir_version.clone(), found.opsets.clone()),
        (vec![8], vec![(String::new(), vec![17])])
    );
    let read: Architecture =
        Architecture::from_json(found.metadata("architecture").unwrap()).unwrap();
    assert_eq!(read, architecture);
    let classes: Vec<String> = serde_json::from_str(found.metadata("classes").unwrap()).unwrap();
    assert_eq!(classes, names);
    let mean: [f64; 3] = serde_json::from_str(found.metadata("mean").unwrap()).unwrap();
    assert_eq!(mean, architecture.input.mean);
    assert_eq!(found.metadata("input"), Some("\"normalised\""));

    let fixed =
        Options { batch: Batch::Fixed(5), opset: Opset::new(21).unwrap(), ..Options::default() };
    let found = export(&architecture, &tensors, &fixed);
    assert_eq!(found.inputs[0].1[0], "5");
    assert_eq!(found.outputs[0].1, ["5", "10"]);
    assert_eq!((found.ir_version, found.opsets), (vec![10], vec![(String::new(), vec![21])]));
    assert_eq!(found.metadata.iter().filter(|(key, _)| key == "classes").count(), 0);
}

#[test]
fn every_value_is_there_before_it_is_read_and_every_constant_is_read() {
    for (name, batch_norm) in [
        ("14", BatchNorm::Folded),
        ("mobilenet-v3-large", BatchNorm::Kept),
        ("efficientnet-lite0", BatchNorm::Folded),
    ] {
        let architecture = published(name).unwrap();
        let options = Options { batch_norm, ..Options::default() };
        let model = export(&architecture, &some_tensors(&architecture), &options);
        let mut there: BTreeSet<&str> = model.constants.keys().map(String::as_str).collect();
        let mut unread = there.clone();
        there.insert("images");
        for node in &model.nodes {
            for input in &node.inputs {
                assert!(there.contains(input.as_str()), "{name}: {} reads {input}", node.output);
                unread.remove(input.as_str());
            }
            assert!(there.insert(&node.output), "{name}: {} twice", node.output);
        }
        assert_eq!(unread, BTreeSet::new(), "{name}");
        assert_eq!(model.nodes.last().unwrap().output, "logits", "{name}");
    }
}

#[test]
fn pads_are_those_of_the_size_and_activations_those_of_the_block() {
    let lite = published("efficientnet-lite0").unwrap();
    let tensors = some_tensors(&lite);
    let pads = |model: &Model, conv: &str| model.node(conv).integers["pads"].clone();
    let model = export(&lite, &tensors, &Options::default());
    // 224 to 112 with 3 pixels at stride 2: 111 * 2 + 3 - 224 = 1 in all, after the map.
    assert_eq!(pads(&model, "conv_stem"), [0, 0, 1, 1]);
    assert_eq!(pads(&model, "blocks.0.0.conv_dw"), [1, 1, 1, 1]);
    assert_eq!(pads(&model, "blocks.0.0.conv_pw"), [0, 0, 0, 0]);
    // 56 to 28 with 5 at stride 2: 27 * 2 + 5 - 56 = 3, the smaller half first.
    assert_eq!(pads(&model, "blocks.2.0.conv_dw"), [1, 1, 2, 2]);
    assert_eq!(model.node("blocks.2.0.conv_dw").integers["group"], [144]);
    assert_eq!(model.node("bn1.relu6").operator, "Clip");
    assert_eq!(model.node("bn1.relu6").inputs, ["conv_stem", "zero", "six"]);
    assert_eq!((model.constants["zero"].values[0], model.constants["six"].values[0]), (0.0, 6.0));
    assert_eq!(model.node("pool").inputs, ["bn2.relu6"]);
    // 225 to 113: 112 * 2 + 3 - 225 = 2.
    let odd = lite.with_image_size(225).unwrap();
    assert_eq!(pads(&export(&odd, &tensors, &Options::default()), "conv_stem"), [1, 1, 1, 1]);

    let v3 = published("mobilenet-v3-large").unwrap();
    let model = export(&v3, &some_tensors(&v3), &Options::default());
    assert_eq!(pads(&model, "conv_stem"), [1, 1, 1, 1]);
    assert_eq!(pads(&model, "blocks.2.0.conv_dw"), [2, 2, 2, 2]);
    assert_eq!(model.node("bn1.hard_sigmoid").floats["alpha"], (1.0_f64 / 6.0) as f32);
    assert_eq!(model.node("bn1.hard_sigmoid").floats["beta"], 0.5);
    assert_eq!(model.node("bn1.h_swish").inputs, ["conv_stem", "bn1.hard_sigmoid"]);
    assert_eq!(model.node("blocks.0.0.bn1.relu").operator, "Relu");
    assert_eq!(model.node("blocks.0.0.sum").inputs, ["blocks.0.0.conv_pw", "bn1.h_swish"]);
    assert_eq!(model.node("blocks.2.0.se.gate").operator, "HardSigmoid");
    assert_eq!(model.node("conv_head").inputs[0], "pool");
    assert_eq!(model.node("features").inputs, ["conv_head.h_swish"]);
}

#[test]
fn an_opset_whose_operators_mean_something_else_is_refused() {
    for version in [0, 12, 23, u32::MAX] {
        let error = Opset::new(version).unwrap_err().to_string();
        assert!(error.ends_with("allowed: 13 to 22"), "{error}");
    }
}
