//! How a training ends that is asked to, and what keeps it from beginning.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

#[path = "../../../lib/train/tests/tiny/stopping.rs"]
mod stopping;
#[path = "../../../lib/train/tests/tiny/mod.rs"]
mod tiny;
#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;

use stopping::Trainer;
use tool::Tool;

const RETRAIN: Tool = Tool::new("arch-retrain", env!("CARGO_BIN_EXE_arch-retrain"));

const FLAGS: &str = "--optimizer sgd --epochs 2 --warmup-epochs 0 --batch 8 --learning-rate 0.05 \
    --ema-decay 0.9 --transform pad-crop";

fn in_a_folder(check: impl FnOnce(&Trainer)) {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    tiny::write_shards(&dir.join("data"));
    fs::write(dir.join("arch.json"), tiny::architecture(tiny::PATH).to_json()).unwrap();
    fs::write(dir.join("recipe.toml"), "cooldown-epochs = 0\n").unwrap();
    let folder = dir.display();
    let arguments = format!(
        "--data {folder}/data --arch {folder}/arch.json --config {folder}/recipe.toml {FLAGS} --out {folder}/"
    );
    let results = &["model.safetensors", "model-raw.safetensors", "arch.json", "metrics.csv"];
    check(&Trainer { tool: &RETRAIN, arguments: &arguments, dir, results });
}

#[test]
fn it_stops_after_so_much() {
    in_a_folder(|trainer| trainer.stops_after_so_much());
}

#[test]
fn it_stops_at_a_signal_and_keeps_others_out() {
    // The recipe's epochs would be over before the signal comes.
    in_a_folder(|trainer| {
        let arguments = trainer.arguments.replace("--epochs 2 ", "--epochs 100000 ");
        Trainer { arguments: &arguments, ..*trainer }.stops_at_a_signal_and_keeps_others_out();
    });
}

#[test]
fn it_refuses_a_damaged_shard() {
    in_a_folder(|trainer| {
        trainer.refuses_a_damaged_shard(&trainer.dir.join("data/train-000000.tar"));
    });
}
