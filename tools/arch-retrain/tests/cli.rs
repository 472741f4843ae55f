//! Runs the built tool on a tiny shard set.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

#[path = "../../../lib/train/tests/tiny/mod.rs"]
mod tiny;
#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use cream_arch::Architecture;
use cream_nn::{SuperNet, TensorFile};
use cream_train::KeyedInitialisation;
use tempfile::TempDir;
use tool::Tool;

const RETRAIN: Tool = Tool::new("arch-retrain", env!("CARGO_BIN_EXE_arch-retrain"));

const RECIPE: &str = r#"
optimizer = "sgd"
epochs = 1
cooldown-epochs = 0
warmup-epochs = 0
batch = 8
learning-rate = 0.05
ema-decay = 0.0
transform = "pad-crop"
"#;

/// Shards, a narrow network, a recipe.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        tiny::write_shards(&place.path("data"));
        fs::write(place.path("arch.json"), tiny::architecture(tiny::PATH).to_json()).unwrap();
        fs::write(place.path("recipe.toml"), RECIPE).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The arguments of a training into `out`, then others. `@` in these stands for the folder.
    fn retrain(&self, out: &str, more: &str) -> String {
        format!("--arch @/arch.json --data @/data --out @/{out} --config @/recipe.toml {more}")
            .replace('@', self.0.path().to_str().unwrap())
    }

    /// The same with the architecture on standard input.
    fn piped(&self, out: &str, more: &str) -> String {
        self.retrain(out, more).replace(&format!("{}/arch.json", self.0.path().display()), "-")
    }

    fn refuses(&self, more: &str) -> String {
        let error = RETRAIN.refuses(&self.retrain("out", more), "");
        assert!(!self.path("out/model.safetensors").exists());
        error
    }
}

fn read(path: &Path) -> TensorFile {
    TensorFile::from_bytes(&fs::read(path).unwrap()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn help_version_and_missing_arguments() {
    RETRAIN.explains_itself();
}

#[test]
fn print_config_shows_values_with_their_sources() {
    let place = Place::new();
    let recipe = place.path("recipe.toml");
    let arguments = format!("--print-config --config {} --dropout 0.3", recipe.display());
    let output = RETRAIN.command(&arguments).env("CREAM_SCHEDULE", "step").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "dropout = 0.3  # flag --dropout".to_owned(),
        "schedule = \"step\"  # environment CREAM_SCHEDULE".to_owned(),
        format!("optimizer = \"sgd\"  # {}", recipe.display()),
        "label-smoothing = 0.1  # default".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn a_piped_architecture_is_trained_alike_with_any_number_of_threads() {
    let place = Place::new();
    let text = fs::read_to_string(place.path("arch.json")).unwrap();
    let (out, errors) = RETRAIN.succeeds(&place.piped("one", "--threads 1"), &text);
    assert_eq!(out, "");
    assert!(errors.contains("of 20 validation images"), "{errors}");
    let quiet = place.retrain("three", "--threads 3 --workers 2 --quiet");
    assert_eq!(RETRAIN.succeeds(&quiet, ""), (String::new(), String::new()));
    for name in ["model.safetensors", "metrics.csv", "arch.json"] {
        let bytes = |out: &str| fs::read(place.path(out).join(name)).unwrap();
        assert!(bytes("one") == bytes("three"), "{name}");
    }
    // Without an average there is one set of weights; it carries its network and classes.
    assert!(!place.path("one/model-raw.safetensors").exists());
    let file = read(&place.path("one/model.safetensors"));
    assert_eq!(file.description["format"], "cream-weights");
    assert_eq!(file.description["weights"], "raw");
    assert_eq!(file.description["classes"][2], "class 2, \"2\"");
    let own = Architecture::from_json(&file.description["architecture"].to_string()).unwrap();
    assert_eq!(own, Architecture::from_json(&text).unwrap());
    assert_eq!(file.tensors["classifier.weight"].dims(), [4, 48]);
}

#[test]
fn an_average_leaves_both_sets_of_weights() {
    let place = Place::new();
    RETRAIN.succeeds(&place.retrain("out", "--ema-decay 0.5"), "");
    let averaged = read(&place.path("out/model.safetensors"));
    let raw = read(&place.path("out/model-raw.safetensors"));
    assert_eq!(averaged.description["weights"], "ema");
    assert_eq!(raw.description["weights"], "raw");
    let name = "classifier.weight";
    assert_ne!(values(&averaged.tensors[name]), values(&raw.tensors[name]));
    assert_eq!(averaged.tensors.keys().count(), raw.tensors.keys().count());
}

#[test]
fn given_weights_are_where_training_starts() {
    let place = Place::new();
    RETRAIN.succeeds(&place.retrain("first", ""), "");
    // As PyTorch would have saved them.
    let mut foreign = read(&place.path("first/model.safetensors"));
    foreign.description = serde_json::Value::Null;
    let counter = Tensor::new(7_i64, &Device::Cpu).unwrap();
    foreign.tensors.insert("bn1.num_batches_tracked".to_owned(), counter);
    fs::write(place.path("foreign.safetensors"), foreign.to_bytes().unwrap()).unwrap();
    let still = "--init @/foreign.safetensors --learning-rate 1e-12 --weight-decay 0";
    RETRAIN.succeeds(&place.retrain("second", still), "");
    let first = read(&place.path("first/model.safetensors")).tensors;
    let second = read(&place.path("second/model.safetensors")).tensors;
    for name in ["conv_stem.weight", "blocks.3.0.conv_dw.weight", "classifier.weight"] {
        let pairs = values(&first[name]).into_iter().zip(values(&second[name]));
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6), "{name}");
    }

    // Another number of classes: the classifier starts anew, the rest is taken.
    tiny::write_shards_of(&place.path("data"), 3);
    let error = RETRAIN.refuses(&place.retrain("third", still), "");
    assert!(error.contains("4 classes and the data 3; give --classes 3"), "{error}");
    let (_, errors) =
        RETRAIN.succeeds(&place.retrain("third", &format!("{still} --classes 3")), "");
    let text = "starting anew: classifier.weight (given [4, 48], needed [3, 48]), classifier.bias (given [4], needed [3])";
    assert!(errors.contains(text), "{errors}");
    let third = read(&place.path("third/model.safetensors")).tensors;
    assert_eq!(third["classifier.weight"].dims(), [3, 48]);
    let pairs =
        values(&first["conv_head.weight"]).into_iter().zip(values(&third["conv_head.weight"]));
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));

    // Our own weights carry their network.
    let own = "--init @/third/model.safetensors --learning-rate 1e-12 --weight-decay 0";
    let arguments = place.retrain("fourth", own);
    let (_, arguments) = arguments.split_once("arch.json ").unwrap();
    let (_, errors) = RETRAIN.succeeds(arguments, "");
    assert!(!errors.contains("starting anew"), "{errors}");
    let fourth = read(&place.path("fourth/model.safetensors"));
    assert_eq!(fourth.description["architecture"]["num_classes"], 3);
    let own = "--init @/foreign.safetensors";
    let arguments = place.retrain("fifth", own);
    let (_, arguments) = arguments.split_once("arch.json ").unwrap();
    assert!(RETRAIN.refuses(arguments, "").contains("--arch is missing"));
}

#[test]
fn a_path_starts_from_its_weights_in_a_supernet() {
    let place = Place::new();
    let mut init = KeyedInitialisation::new(5);
    let (space, depths) = (tiny::space(), tiny::DEPTHS);
    let supernet = SuperNet::new(&space, &depths, 4, &mut init, DType::F32, &Device::Cpu).unwrap();
    let description = serde_json::json!({
        "format": "cream-supernet", "version": 1, "space": space, "depths": depths,
        "image_size": tiny::SIZE, "num_classes": 4, "seed": 0,
    });
    let tensors = supernet.weights().tensors();
    let bytes = TensorFile { description, tensors: tensors.clone() }.to_bytes().unwrap();
    fs::write(place.path("supernet.safetensors"), bytes).unwrap();
    let still = "--init @/supernet.safetensors --learning-rate 1e-12 --weight-decay 0";
    RETRAIN.succeeds(&place.retrain("out", still), "");
    let own = read(&place.path("out/model.safetensors")).tensors;
    // The path's choices are [0], [3], [2], [1] and [4].
    for (ours, theirs) in [
        ("conv_stem.weight", "conv_stem.weight"),
        ("blocks.0.0.conv_dw.weight", "blocks.0.0.0.conv_dw.weight"),
        ("blocks.2.0.conv_dw.weight", "blocks.2.0.3.conv_dw.weight"),
        ("blocks.5.0.conv_pwl.weight", "blocks.5.0.4.conv_pwl.weight"),
        ("blocks.6.0.conv.weight", "blocks.6.0.0.conv.weight"),
        ("classifier.weight", "classifier.weight"),
    ] {
        let pairs = values(&own[ours]).into_iter().zip(values(&tensors[theirs]));
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6), "{ours}");
    }
    let deeper = tiny::architecture("[[0],[3,1],[2],[1],[4]]").to_json();
    let error = RETRAIN.refuses(&place.piped("deeper", still), &deeper);
    assert!(
        error.contains("does not fit a supernet of [1, 1, 1, 1, 1] layers per stage"),
        "{error}"
    );
    let mut other = tiny::architecture(tiny::PATH);
    other.head.channels = 40;
    let error = RETRAIN.refuses(&place.piped("other", still), &other.to_json());
    assert!(error.contains("no path of this supernet") && error.contains("head"), "{error}");
}

#[test]
fn a_teacher_teaches_and_belongs_to_the_run() {
    let place = Place::new();
    RETRAIN.succeeds(&place.retrain("first", ""), "");
    let loss = |more: &str| -> f64 {
        let taught = format!("--resume never --seed 1 {more}");
        RETRAIN.succeeds(&place.retrain("taught", &taught), "");
        let rows = fs::read_to_string(place.path("taught/metrics.csv")).unwrap();
        rows.lines().nth(1).unwrap().split(',').nth(3).unwrap().parse().unwrap()
    };
    let teacher = "--teacher @/first/model.safetensors";
    let plain = loss("");
    assert_eq!(loss(&format!("{teacher} --teacher-weight 0")), plain);
    let taught = loss(&format!("{teacher} --teacher-weight 1 --teacher-temperature 2"));
    assert!(taught.is_finite() && taught >= 0.0 && taught != plain, "{taught} {plain}");

    let mut foreign = read(&place.path("first/model.safetensors"));
    foreign.description = serde_json::Value::Null;
    fs::write(place.path("foreign.safetensors"), foreign.to_bytes().unwrap()).unwrap();
    loss("--teacher @/foreign.safetensors --teacher-arch @/arch.json");
    for (more, parts) in [
        (
            "--teacher @/foreign.safetensors",
            ["foreign.safetensors: does not say", "--teacher-arch"],
        ),
        ("--teacher @/none", ["none: No such file", ""]),
        ("--teacher-arch @/arch.json", ["--teacher", ""]),
        (
            "--teacher @/taught/checkpoints/step-000000006.safetensors",
            ["is a checkpoint", "model.safetensors"],
        ),
        (format!("{teacher} --teacher-weight 1.5").as_str(), ["teacher-weight is 1.5", "0 to 1"]),
        (
            format!("{teacher} --teacher-temperature 0").as_str(),
            ["teacher-temperature is 0", "0.01"],
        ),
        (format!("{teacher} --classes 3").as_str(), ["3 classes and the data 4", ""]),
    ] {
        let output = RETRAIN.run(&place.retrain("refused", more), "");
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{more}: {error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{more}: {error}");
    }
    let mut larger = tiny::architecture(tiny::PATH);
    larger.image_size = 64;
    fs::write(place.path("larger.json"), larger.to_json()).unwrap();
    let error = place.refuses(&format!("{teacher} --teacher-arch @/larger.json"));
    assert!(error.contains("images of 64 pixels and the network of 32"), "{error}");
    larger.image_size = 32;
    larger.num_classes = 7;
    fs::write(place.path("larger.json"), larger.to_json()).unwrap();
    let error = place.refuses(&format!("{teacher} --teacher-arch @/larger.json"));
    assert!(error.contains("teacher has 7 classes and the network 4"), "{error}");
}

#[test]
fn weights_that_cannot_be_a_start_are_refused() {
    let place = Place::new();
    RETRAIN.succeeds(&place.retrain("first", ""), "");
    let bytes = fs::read(place.path("first/model.safetensors")).unwrap();
    fs::write(place.path("cut.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    let error = place.refuses("--init @/cut.safetensors");
    assert!(error.contains("cut.safetensors: not a safetensors file"), "{error}");
    let error = place.refuses("--init @/first/checkpoints/step-000000006.safetensors");
    assert!(error.contains("is a checkpoint"), "{error}");
    let error = place.refuses("--init @/none.safetensors");
    assert!(error.contains("none.safetensors"), "{error}");
    let other = tiny::architecture("[[1],[3],[2],[1],[4]]").to_json();
    let arguments = place.piped("out", "--init @/first/model.safetensors");
    let error = RETRAIN.refuses(&arguments, &other);
    assert!(error.contains("initial weights") && error.contains("blocks.1.0.bn1"), "{error}");
}

#[test]
fn wrong_input_is_one_line_that_says_what_to_do() {
    let place = Place::new();
    let error = place.refuses("--batch 100");
    assert!(error.contains("48 training images") && error.contains("smaller --batch"), "{error}");
    let error = place.refuses("--dropout 1");
    assert!(error.contains("dropout is 1"), "{error}");
    let error = place.refuses("--optimizer adam");
    assert!(error.contains("adam") && error.contains("adamw"), "{error}");
    let missing = place.retrain("out", "").replace("/data ", "/none ");
    let error = RETRAIN.refuses(&missing, "");
    assert!(error.contains("none: no index.json; make shards with imagenet-prep"), "{error}");

    fs::write(place.path("recipe.toml"), "optimiser = \"sgd\"").unwrap();
    let error = place.refuses("");
    assert!(error.contains("unknown key `optimiser`; did you mean `optimizer`?"), "{error}");
    assert!(!place.path("out").exists());
}

#[test]
fn wrong_networks_are_named() {
    let place = Place::new();
    let mut network = tiny::architecture(tiny::PATH);
    network.num_classes = 10;
    let error = RETRAIN.refuses(&place.piped("out", ""), &network.to_json());
    assert!(error.contains("10 classes and the data 4"), "{error}");
    assert!(error.contains("--classes 4"), "{error}");
    let text = tiny::architecture(tiny::PATH).to_json();
    for (input, named) in [
        (text.replace("\"kernel\": 3", "\"kernel\": 4"), "kernel"),
        (text.replace("\"padding\"", "\"pading\""), "pading"),
        (text[..text.len() / 2].to_owned(), "standard input"),
        (String::new(), "standard input"),
    ] {
        let error = RETRAIN.refuses(&place.piped("out", ""), &input);
        assert!(error.contains("standard input: ") && error.contains(named), "{error}");
    }
    assert!(!place.path("out").exists());
}

#[test]
fn a_run_goes_on_only_with_its_own_settings() {
    let place = Place::new();
    RETRAIN.succeeds(&place.retrain("out", ""), "");
    fs::remove_file(place.path("out/model.safetensors")).unwrap();
    let error = place.refuses("--seed 3");
    assert!(error.contains("seed is 3, was 0") && error.contains("--resume never"), "{error}");
    let (_, errors) = RETRAIN.succeeds(&place.retrain("out", "--workers 0 --threads 1"), "");
    assert!(errors.contains("resuming from"), "{errors}");
    RETRAIN.succeeds(&place.retrain("out", "--seed 3 --resume never"), "");
    let config = fs::read_to_string(place.path("out/config.toml")).unwrap();
    assert!(config.contains("seed = 3\n"), "{config}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_training_at_its_step() {
    let place = Place::new();
    let more = "--quiet --learning-rate 1e30 --checkpoint-steps 1";
    let error = RETRAIN.fails(&place.retrain("out", more));
    assert_eq!(error.lines().count(), 1, "{error}");
    for text in ["the loss is NaN at step ", "checkpoints/step-", "learning-rate"] {
        assert!(error.contains(text), "{text}: {error}");
    }
    assert!(!place.path("out/model.safetensors").exists());
}
