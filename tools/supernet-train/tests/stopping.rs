//! How a search ends that is asked to, and what keeps it from beginning.
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

const SEARCH: Tool = Tool::new("supernet-train", env!("CARGO_BIN_EXE_supernet-train"));

const FLAGS: &str = "--image-size 32 --depths 1,1,1,1,1 --epochs 2 --batch 8 --learning-rate 0.05 \
    --warmup-epochs 1 --board-size 4 --transform pad-crop --prior uniform";

fn in_a_folder(check: impl FnOnce(&Trainer)) {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    tiny::write_shards(&dir.join("data"));
    fs::write(dir.join("space.toml"), tiny::space_toml()).unwrap();
    fs::write(dir.join("recipe.toml"), "slice = 2\nrecalibration-batches = 2\n").unwrap();
    let folder = dir.display();
    let arguments = format!(
        "--data {folder}/data --space {folder}/space.toml --config {folder}/recipe.toml {FLAGS} --out {folder}/"
    );
    let results = &["board.json", "supernet.safetensors", "metrics.csv"];
    check(&Trainer { tool: &SEARCH, arguments: &arguments, dir, results });
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
