//! Every bad input ends with status 2 and one line that says what is wrong, where, and what to do next.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

#[path = "../../../lib/train/tests/tiny/bad_input.rs"]
mod bad_input;
#[path = "../../../lib/train/tests/tiny/damage.rs"]
mod damage;
#[path = "../../../lib/train/tests/tiny/mod.rs"]
mod tiny;
#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;

use bad_input::Table;
use candle_core::{DType, Device};
use cream_nn::{ChildNet, TensorFile};
use cream_train::KeyedInitialisation;
use damage::Damaged;
use serde_json::json;
use tempfile::TempDir;
use tool::Tool;

const RETRAIN: Tool = Tool::new("arch-retrain", env!("CARGO_BIN_EXE_arch-retrain"));
const GOOD: &str = "--arch @/arch.json --data @/data --out @/out --config @/recipe.toml --quiet";

const RECIPE: &str = "epochs = 1\nbatch = 8\nwarmup-epochs = 0\n";

fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    tiny::write_shards(&dir.path().join("data"));
    let network = tiny::architecture(tiny::PATH);
    fs::write(dir.path().join("arch.json"), network.to_json()).unwrap();
    fs::write(dir.path().join("recipe.toml"), RECIPE).unwrap();
    let mut init = KeyedInitialisation::new(3);
    let weights = ChildNet::new(&network, &mut init, DType::F32, &Device::Cpu).unwrap();
    let tensors = weights.weights().tensors();
    let file = TensorFile { description: serde_json::Value::Null, tensors };
    fs::write(dir.path().join("w.safetensors"), file.to_bytes().unwrap()).unwrap();
    dir
}

#[test]
fn initial_weights_that_do_not_fit_are_listed_by_name() {
    let dir = place();
    let table = Table::new(&RETRAIN, dir.path());
    let good = Damaged::read(&dir.path().join("w.safetensors"));
    let init = format!("{GOOD} --init @/bad.safetensors");
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, Damaged, &[&str]); 4] = [
        ("tensor missing, another too many", good.clone().rename("bn1.bias", "bn1.bais"), &["bn1.bias is missing", "bn1.bais is not part of this network"]),
        ("tensor of another shape", good.clone().set("bn1.bias", "shape", json!([2, 4])), &["bn1.bias has shape [2, 4], not [8]"]),
        ("tensor of integers", good.clone().set("bn1.bias", "dtype", json!("U32")), &["bn1.bias has type u32, not f32"]),
        ("tensor of a type not supported", good.set("bn1.bias", "dtype", json!("I32")), &["@/bad.safetensors: a type that is not supported: bn1.bias has I32"]),
    ];
    for (what, file, parts) in rows {
        file.write(&dir.path().join("bad.safetensors"));
        table.refuses(what, &init, parts);
    }
    let bytes = fs::read(dir.path().join("w.safetensors")).unwrap();
    fs::write(dir.path().join("bad.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    table.refuses(
        "truncated weights",
        &init,
        &["@/bad.safetensors: not a safetensors file", "copy it again"],
    );
    table.refuses(
        "text for weights",
        &format!("{GOOD} --init @/arch.json"),
        &["@/arch.json: not a safetensors file", "is it the right file?"],
    );
    table.refuses("missing weights", &format!("{GOOD} --init @/none"), &["@/none: No such file"]);
    assert!(!dir.path().join("out/model.safetensors").exists());
}

#[test]
fn architectures_recipes_and_places_are_named() {
    let dir = place();
    let table = Table::new(&RETRAIN, dir.path());
    let text = fs::read_to_string(dir.path().join("arch.json")).unwrap();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &str, &[&str]); 6] = [
        ("newer version", "\"version\": 1", "\"version\": 2", &["version: 2 is not allowed; allowed: 1; the file is of a newer program"]),
        ("another kind of file", "cream-architecture", "cream-board", &["format: cream-board is not allowed"]),
        ("misspelt key", "\"padding\"", "\"pading\"", &["pading: unknown field", "did you mean `padding`?"]),
        ("image smaller than the strides", "\"image_size\": 32", "\"image_size\": 16", &["image_size: 16 is not allowed; allowed: at least the product of all strides, 32"]),
        ("huge number of channels", "\"channels\": 48", "\"channels\": 999999", &["channels: 999999 is not allowed; allowed: 1 to 16384"]),
        ("truncated", "\"head\"", "", &["@/bad.json: "]),
    ];
    let arguments = GOOD.replace("@/arch.json", "@/bad.json");
    for (what, from, to, parts) in rows {
        assert!(text.contains(from), "{what}: the row changes nothing");
        fs::write(dir.path().join("bad.json"), text.replace(from, to)).unwrap();
        table.refuses(
            &format!("architecture: {what}"),
            &arguments,
            &[&["@/bad.json: "], parts].concat(),
        );
    }
    let classes = text.replace("\"num_classes\": 4", "\"num_classes\": 7");
    fs::write(dir.path().join("bad.json"), classes).unwrap();
    table.refuses(
        "network of other classes",
        &arguments,
        &["7 classes and the data 4", "--classes 4"],
    );
    for (what, recipe, parts) in [
        (
            "misspelt key",
            "optimiser = \"sgd\"",
            "@/recipe.toml: unknown key `optimiser`; did you mean `optimizer`?",
        ),
        (
            "unknown word",
            "optimizer = \"adam\"",
            "@/recipe.toml: key `optimizer`: unknown variant `adam`",
        ),
        ("dropout of everything", "dropout = 1.0", "dropout is 1; give at least 0 and below 1"),
        ("batch larger than the data", "batch = 100", "48 training images"),
    ] {
        fs::write(dir.path().join("recipe.toml"), recipe).unwrap();
        table.refuses(what, GOOD, &[parts]);
    }
    fs::write(dir.path().join("recipe.toml"), RECIPE).unwrap();
    table.refuses(
        "missing architecture",
        &GOOD.replace("@/arch.json", "@/none"),
        &["@/none: No such file"],
    );
    table.refuses(
        "data that are not there",
        &GOOD.replace("@/data", "@/none"),
        &["@/none: no index.json; make shards with imagenet-prep"],
    );
    table.refuses(
        "file for a run's folder",
        &GOOD.replace("@/out", "@/arch.json"),
        &["@/arch.json", "Not a directory"],
    );
    assert!(!dir.path().join("out").exists());
}
