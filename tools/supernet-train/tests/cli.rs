//! Runs the built tool on a tiny shard set.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

#[path = "../../../lib/train/tests/tiny/mod.rs"]
mod tiny;
#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cream_arch::BoardFile;
use tempfile::TempDir;
use tool::Tool;

const SEARCH: Tool = Tool::new("supernet-train", env!("CARGO_BIN_EXE_supernet-train"));

const RECIPE: &str = r#"
image-size = 32
depths = [1, 1, 1, 1, 1]
epochs = 2
batch = 8
learning-rate = 0.05
warmup-epochs = 1
board-size = 4
slice = 2
meta-interval = 1
recalibration-batches = 2
transform = "pad-crop"
shift = 3
checkpoint-steps = 1
"#;

/// Shards, a narrow space, a recipe.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        tiny::write_shards(&place.path("data"));
        fs::write(place.path("space.toml"), tiny::space_toml()).unwrap();
        fs::write(place.path("recipe.toml"), RECIPE).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The arguments of a search into `out`, then others.
    fn search(&self, out: &str, more: &str) -> String {
        let dir = self.0.path().display();
        format!(
            "--data {dir}/data --out {dir}/{out} --space {dir}/space.toml --config {dir}/recipe.toml {more}"
        )
    }

    fn results(&self, out: &str) -> [Vec<u8>; 3] {
        ["supernet.safetensors", "board.json", "metrics.csv"]
            .map(|name| fs::read(self.path(out).join(name)).unwrap())
    }
}

#[test]
fn help_version_and_missing_arguments() {
    SEARCH.explains_itself();
}

#[test]
fn print_config_shows_values_with_their_sources() {
    let place = Place::new();
    let recipe = place.path("recipe.toml");
    let arguments = format!("--print-config --config {} --batch 16", recipe.display());
    let output = SEARCH.command(&arguments).env("CREAM_EPOCHS", "7").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "batch = 16  # flag --batch".to_owned(),
        "epochs = 7  # environment CREAM_EPOCHS".to_owned(),
        format!("slice = 2  # {}", recipe.display()),
        "momentum = 0.9  # default".to_owned(),
        "# flops-max is not set (default)".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn a_search_leaves_the_same_files_with_any_number_of_threads() {
    let place = Place::new();
    let (out, errors) = SEARCH.succeeds(&place.search("one", "--threads 1 --flops-max 0.5"), "");
    assert_eq!(out, "");
    for text in ["flops-max 0.5 binds", "36 images to train on, 12 to rank", "best path [["] {
        assert!(errors.contains(text), "{errors}");
    }
    let results = place.results("one");
    let quiet = place.search("three", "--threads 3 --workers 2 --flops-max 0.5 --quiet");
    assert_eq!(SEARCH.succeeds(&quiet, ""), (String::new(), String::new()));
    assert!(results == place.results("three"));
    let board = BoardFile::from_json(std::str::from_utf8(&results[1]).unwrap()).unwrap();
    assert!(!board.entries.is_empty());
    assert!(board.entries.iter().all(|entry| entry.flops <= 500_000));

    // The settings that it left make the same search; a finished one is taken up at its end.
    let config = place.path("one/config.toml");
    let dir = place.0.path().display();
    let again = format!(
        "--data {dir}/data --out {dir}/again --space {dir}/space.toml --config {}",
        config.display()
    );
    let (_, log) = SEARCH.succeeds(&format!("{again} --log-format json"), "");
    assert!(results == place.results("again"));
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["event"].is_string(), "{line}");
    }
    fs::remove_file(place.path("again/board.json")).unwrap();
    let (_, errors) = SEARCH.succeeds(&again, "");
    assert!(errors.contains("resuming from"), "{errors}");
    assert!(results == place.results("again"));
}

#[test]
fn a_search_that_was_killed_is_taken_up() {
    let place = Place::new();
    SEARCH.succeeds(&place.search("whole", ""), "");
    let mut child = SEARCH.start(&place.search("killed", ""));
    let deadline = Instant::now() + Duration::from_secs(60);
    let started = || fs::read_dir(place.path("killed/checkpoints")).is_ok_and(|d| d.count() > 0);
    while !started() {
        assert!(Instant::now() < deadline, "no checkpoint after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    SEARCH.succeeds(&place.search("killed", ""), "");
    assert!(place.results("whole") == place.results("killed"));
}

#[test]
fn wrong_input_is_one_line_that_says_what_to_do() {
    let place = Place::new();
    let dir = place.0.path().display().to_string();
    let with = |more: &str| SEARCH.refuses(&place.search("out", more), "");

    let error = SEARCH.refuses(&format!("--data {dir}/none --out {dir}/out"), "");
    assert!(error.contains("none: no index.json; make shards with imagenet-prep"), "{error}");

    let (cheapest, costliest) = tiny::costs().range();
    let error = with("--flops-max 0.1");
    for flops in [cheapest, costliest] {
        assert!(error.contains(&(flops as f64 / 1e6).to_string()), "{flops}: {error}");
    }
    let error = with("--flops-min 5 --flops-max 1");
    assert!(error.contains("flops_min"), "{error}");

    let error = with("--batch 64 --warmup-epochs 1");
    assert!(error.contains("36 images to search on") && error.contains("64"), "{error}");
    let error = with("--batch 3");
    assert!(error.contains("2 x slice = 4"), "{error}");
    let error = with("--warmup-epochs 2");
    assert!(error.contains("warmup-epochs is 2 of 2 epochs"), "{error}");
    let error = with("--device gpu");
    assert!(error.contains("gpu") && error.contains("cpu"), "{error}");
    let error = with("--device cuda:4096");
    assert!(error.contains("device cuda:4096") && error.contains("--device cpu"), "{error}");
    let error = with("--device cpu --precision bf16");
    assert!(error.contains("precision bf16") && error.contains("--device cuda"), "{error}");
    let error = with("--precision fp16");
    assert!(error.contains("precision") && error.contains("bf16"), "{error}");
    let error = with("--pick-method best");
    assert!(error.contains("pick-method") && error.contains("top1"), "{error}");
    let error = with(&format!("--quiet --resume {dir}/none.safetensors"));
    assert!(error.contains("none.safetensors"), "{error}");
    assert_eq!(error.matches("No such file").count(), 1, "{error}");
    assert!(!place.path("out/metrics.csv").exists() && !place.path("out/board.json").exists());
}

#[test]
fn wrong_files_are_named() {
    let place = Place::new();
    let dir = place.0.path().display().to_string();
    let run = format!("--data {dir}/data --out {dir}/out --config {dir}/wrong.toml");
    for (text, named) in [
        ("epoch = 3", "unknown key `epoch`; did you mean `epochs`?"),
        ("epochs = \"many\"", "key `epochs`"),
        ("epochs = ", "line 1"),
        ("[search]\nepochs = 3", "search"),
    ] {
        fs::write(place.path("wrong.toml"), text).unwrap();
        let error = SEARCH.refuses(&run, "");
        assert!(error.contains("wrong.toml") && error.contains(named), "{error}");
    }
    let missing = SEARCH.refuses(&run.replace("wrong.toml", "missing.toml"), "");
    assert!(missing.contains("missing.toml"), "{missing}");

    fs::write(place.path("space.toml"), tiny::space_toml().replace("swish", "swoosh")).unwrap();
    let error = SEARCH.refuses(&place.search("out", ""), "");
    assert!(error.contains("space.toml") && error.contains("activation"), "{error}");
    assert!(!place.path("out").exists());
}

#[test]
fn a_loss_that_is_no_number_stops_the_search_at_its_step() {
    let place = Place::new();
    let error = SEARCH.fails(&place.search("out", "--quiet --learning-rate 1e30"));
    assert_eq!(error.lines().count(), 1, "{error}");
    for text in ["the loss is NaN at step ", "path [[", "checkpoints/step-", "learning-rate"] {
        assert!(error.contains(text), "{text}: {error}");
    }
    assert!(!place.path("out/board.json").exists());
}
