//! Weights exported by the built tool.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

#[path = "../../../lib/onnx/tests/decoded/mod.rs"]
mod decoded;
mod weights;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use cream_weights::{Contents, StoredTensors};
use decoded::Model;
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// Runs the tool in a folder that holds weights of ours and foreign ones, `net.safetensors` and `plain.safetensors`.
fn run(folder: &Path, arguments: &str) -> Output {
    let own = weights::file(Some(&weights::description()), &weights::tensors());
    fs::write(folder.join("net.safetensors"), own).unwrap();
    let plain = weights::file(None, &weights::tensors());
    fs::write(folder.join("plain.safetensors"), plain).unwrap();
    fs::write(folder.join("arch.json"), weights::architecture().to_json()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_path-export"));
    command.current_dir(folder).args(arguments.split(' ')).output().unwrap()
}

fn succeeds(folder: &Path, arguments: &str) -> Output {
    let output = run(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments}: {errors}");
    output
}

#[test]
fn a_model_goes_to_a_file_or_to_standard_output_and_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let output = succeeds(place, "--weights net.safetensors --format onnx --out net.onnx");
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("at 32 px for 3 classes") && said.contains("ONNX of opset 17"), "{said}");
    let bytes = fs::read(place.join("net.onnx")).unwrap();
    let piped = succeeds(place, "--weights net.safetensors --format onnx --quiet");
    assert!(piped.stdout == bytes && piped.stderr.is_empty());
    let named = succeeds(place, "--weights net.safetensors --format onnx --quiet --out -");
    assert!(named.stdout == bytes);
    let model = Model::decode(&bytes);
    let classes: Value = serde_json::from_str(model.metadata("classes").unwrap()).unwrap();
    assert_eq!(classes, json!(["cat", "a \"dog\"", "bird"]));
}

#[test]
fn flags_shape_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let export = |flags: &str| {
        let line = format!("--weights net.safetensors --format onnx --quiet {flags}");
        Model::decode(&succeeds(folder.path(), &line).stdout)
    };
    let model =
        export("--opset 13 --batch 4 --keep-batch-norm --include-normalisation --image-size 64");
    assert_eq!(model.opsets, [(String::new(), vec![13])]);
    assert_eq!(model.inputs[0].1, ["4", "3", "64", "64"]);
    assert_eq!(model.node("bn1").operator, "BatchNormalization");
    assert_eq!(model.nodes[0].operator, "Sub");
    assert_eq!(model.metadata("input"), Some("\"0..255\""));
    let plain = export("--batch dynamic");
    assert_eq!(plain.inputs[0].1, ["batch", "3", "32", "32"]);
    assert!(plain.nodes.iter().all(|node| node.operator != "BatchNormalization"));
}

#[test]
fn foreign_weights_are_exported_with_an_architecture_and_a_run_by_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let line = "--weights plain.safetensors --arch arch.json --format onnx --quiet";
    let model = Model::decode(&succeeds(place, line).stdout);
    assert_eq!(model.metadata("classes"), None);
    fs::create_dir(place.join("run")).unwrap();
    fs::copy(place.join("net.safetensors"), place.join("run/model.safetensors")).unwrap();
    let of_run = succeeds(place, "--weights run --format onnx --quiet").stdout;
    assert!(of_run == succeeds(place, "--weights net.safetensors --format onnx --quiet").stdout);
}

#[test]
fn a_hugging_face_folder_holds_the_network_its_labels_and_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    succeeds(place, "--weights net.safetensors --format huggingface --out net");
    let text = fs::read_to_string(place.join("net/config.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["num_classes"], 3);
    assert_eq!(config["num_features"], 16);
    assert_eq!(config["id2label"], json!({"0": "cat", "1": "a \"dog\"", "2": "bird"}));
    assert_eq!(config["label2id"], json!({"cat": 0, "a \"dog\"": 1, "bird": 2}));
    let architecture = weights::architecture();
    let feeding = &config["pretrained_cfg"];
    assert_eq!(feeding["mean"], json!(architecture.input.mean));
    assert_eq!(feeding["input_size"], json!([3, 32, 32]));
    assert_eq!(feeding["pool_size"], json!([1, 1]));
    assert_eq!(
        (&feeding["crop_pct"], &feeding["interpolation"]),
        (&json!(0.875), &json!("bicubic"))
    );
    let whole: Value = serde_json::from_str(&architecture.to_json()).unwrap();
    assert_eq!(config["cream"], whole);

    let bytes = fs::read(place.join("net/model.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    let written = SafeTensors::deserialize(&bytes).unwrap();
    let written: BTreeMap<_, _> = written.iter().map(|(name, view)| (name, view.data())).collect();
    let tensors = weights::tensors();
    let given = tensors.iter().map(|(name, _, _, bytes)| (name.as_str(), bytes.as_slice()));
    assert!(written == given.collect());
    // The folder's weights are ours again.
    match StoredTensors::parse(&bytes).unwrap().contents {
        Contents::Weights(own) => assert_eq!(own.architecture, architecture),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_dir(place.join("net")).unwrap().count(), 2);
}

#[test]
fn labels_that_are_not_known_or_not_one_to_one_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let config = |name: &str| -> Value {
        let text = fs::read_to_string(place.join(name).join("config.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    succeeds(
        place,
        "--weights plain.safetensors --arch arch.json --format huggingface --out plain",
    );
    assert!(config("plain").get("id2label").is_none());
    let mut description = weights::description();
    description["classes"] = json!(["crane", "crane", "bird"]);
    description["architecture"]["input"]["evaluation"] = json!({"method": "pad-crop"});
    let twice = weights::file(Some(&description), &weights::tensors());
    fs::write(place.join("twice.safetensors"), twice).unwrap();
    succeeds(place, "--weights twice.safetensors --format huggingface --out twice");
    let config = config("twice");
    assert_eq!(config["id2label"]["1"], "crane");
    assert!(config.get("label2id").is_none());
    assert!(config["pretrained_cfg"].get("crop_pct").is_none());
}
