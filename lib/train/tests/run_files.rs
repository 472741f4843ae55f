//! What runs leave in their folder, as FORMATS.md describes it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod tiny;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cream_arch::{BoardFile, Convention, Cost, Space};
use cream_data::ShardSet;
use cream_nn::TensorFile;
use cream_train::report::Silent;
use cream_train::retrain::retrain;
use cream_train::run_folder::{Resume, RunFolder};
use cream_train::search::search;
use cream_train::settings::{RetrainSettings, SearchSettings};
use cream_train::sitting::Sitting;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The folder of a finished run.
struct Finished(TempDir);

impl Finished {
    fn search(settings: SearchSettings) -> Self {
        let (dir, data) = shards();
        let folder = RunFolder::open(dir.path(), &Resume::Auto).unwrap();
        search(
            &tiny::search_plan(settings),
            &data,
            &folder,
            &Sitting::to_the_end(Resume::Auto),
            &mut Silent,
        )
        .unwrap();
        Self(dir)
    }

    fn retrain(settings: RetrainSettings) -> Self {
        let (dir, data) = shards();
        let folder = RunFolder::open(dir.path(), &Resume::Auto).unwrap();
        retrain(
            &tiny::retrain_plan(settings),
            &data,
            &folder,
            &Sitting::to_the_end(Resume::Auto),
            &mut Silent,
        )
        .unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn tensors(&self, name: &str) -> TensorFile {
        TensorFile::from_bytes(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

fn shards() -> (TempDir, Arc<ShardSet>) {
    let dir = tempfile::tempdir().unwrap();
    let data: &Path = &dir.path().join("data");
    tiny::write_shards(data);
    let data = Arc::new(ShardSet::open(data).unwrap());
    (dir, data)
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The part before the slash of every tensor's name.
fn groups(file: &TensorFile) -> Vec<&str> {
    let groups = file.tensors.keys().map(|name| name.split_once('/').unwrap().0);
    groups.collect::<BTreeSet<&str>>().into_iter().collect()
}

#[test]
fn a_supernet_says_what_it_holds() {
    let run = Finished::search(tiny::search_settings());
    let file = run.tensors("supernet.safetensors");
    let description = &file.description;
    let expected = ["depths", "format", "image_size", "num_classes", "seed", "space", "version"];
    assert_eq!(keys(description), expected);
    assert_eq!(description["format"], "cream-supernet");
    assert_eq!(description["depths"], json!(tiny::DEPTHS));
    let space = Space::from_json(&description["space"].to_string()).unwrap();
    assert_eq!(space, tiny::space());
    // Four classes on two probe images.
    assert_eq!(file.tensors["meta_layer.weight"].dims(), [1, 8]);
    assert_eq!(file.tensors["blocks.1.0.5.conv_dw.weight"].dims(), [48, 1, 7, 7]);

    let file = run.tensors("checkpoints/step-000000012.safetensors");
    assert_eq!(groups(&file), ["matching", "momentum", "probe", "weights"]);
    assert_eq!(file.tensors["probe/0/images"].dims(), [2, 32, 32, 3]);
    assert_eq!(file.tensors["probe/0/soft_labels"].dims(), [2, 4]);
    let run = &file.description["run"];
    assert_eq!(keys(&file.description), ["run", "state"]);
    assert_eq!(keys(run), ["data", "format", "kind", "settings", "version"]);
    assert_eq!((&run["format"], &run["kind"]), (&json!("cream-checkpoint"), &json!("search")));
    let state = &file.description["state"];
    let expected = ["board", "metrics", "optimizer_steps", "position", "prior", "skipped"];
    assert_eq!(keys(state), expected);
    let expected = ["batch", "correct", "epoch", "images", "loss", "skipped", "step"];
    assert_eq!(keys(&state["position"]), expected);
}

#[test]
fn a_model_says_what_it_holds() {
    let run = Finished::retrain(tiny::retrain_settings());
    for (name, weights) in [("model.safetensors", "ema"), ("model-raw.safetensors", "raw")] {
        let description = run.tensors(name).description;
        assert_eq!(keys(&description), ["architecture", "classes", "format", "version", "weights"]);
        assert_eq!(description["format"], "cream-weights");
        assert_eq!(description["weights"], weights);
    }
    let file = run.tensors("checkpoints/step-000000018.safetensors");
    assert_eq!(groups(&file), ["ema", "momentum", "square", "weights"]);
    let state = &file.description["state"];
    assert_eq!(keys(state), ["metrics", "optimizer_steps", "position", "skipped", "validation"]);
    assert_eq!(keys(&state["position"]), ["batch", "epoch", "loss", "skipped", "step", "tally"]);
}

#[test]
fn the_board_keeps_to_the_interval_and_the_matching_network_learns() {
    let run = Finished::search(tiny::search_settings());
    let board = BoardFile::from_json(&run.text("board.json")).unwrap();
    assert!(!board.entries.is_empty() && board.entries.len() <= 4);
    let (cheapest, costliest) = tiny::costs().range();
    let interval = tiny::interval();
    assert!(interval.min > cheapest && interval.max < costliest, "the limits bind");
    for entry in &board.entries {
        let network = tiny::space().architecture(&entry.path, tiny::SIZE, 4).unwrap();
        let flops = Cost::of(&network).flops(Convention::Published);
        assert!(interval.contains(flops) && flops == entry.flops, "{}: {flops}", entry.path);
        assert!(entry.validation_top1.is_some());
    }
    let ranks: Vec<f64> = board.entries.iter().filter_map(|entry| entry.validation_top1).collect();
    assert!(ranks.is_sorted_by(|a, b| a >= b), "{ranks:?}");
    let idle = SearchSettings { meta_interval: 1000, ..tiny::search_settings() };
    let [found, idle] = [run, Finished::search(idle)]
        .map(|run| std::fs::read(run.path("supernet.safetensors")).unwrap());
    assert!(found != idle, "updates change the supernet");
}

#[test]
fn metrics_have_a_row_per_epoch_and_no_other() {
    let metrics = Finished::search(tiny::search_settings()).text("metrics.csv");
    let rows: Vec<&str> = metrics.lines().collect();
    assert_eq!(
        rows[0],
        "epoch,step,learning_rate,train_loss,train_top1,board_entries,best_search_val_top1,best_flops,best_path"
    );
    assert_eq!(rows.len(), 4);
    // The board opens with the second epoch.
    assert!(rows[1].starts_with("1,4,") && rows[1].ends_with(",0,,,"), "{}", rows[1]);
    assert!(rows[3].starts_with("3,12,") && rows[3].contains("[["), "{}", rows[3]);
    let settings = RetrainSettings { evaluate_epochs: 2, ..tiny::retrain_settings() };
    let metrics = Finished::retrain(settings).text("metrics.csv");
    let rows: Vec<&str> = metrics.lines().collect();
    assert_eq!(
        rows[0],
        "epoch,step,learning_rate,train_loss,train_top1,val_loss,val_top1,val_top5"
    );
    assert_eq!(rows.len(), 4);
    assert!(rows[1].starts_with("1,6,") && rows[1].ends_with(",,,"), "{}", rows[1]);
    assert!(rows[2].starts_with("2,12,") && !rows[2].ends_with(','), "{}", rows[2]);
    assert!(rows[3].starts_with("3,18,") && !rows[3].ends_with(','), "{}", rows[3]);
}
