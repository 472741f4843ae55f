//! A run may be done in many sittings, in a folder that is its own: what is there is as the manifest says, and nothing
//! that a killed process left is in the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

#[path = "tiny/place.rs"]
mod place;
mod tiny;

use cream_data::shards::checksum;
use cream_train::TrainError;
use cream_train::report::{Report, Silent};
use cream_train::run_folder::{Resume, RunFolder, check_against_manifest};
use cream_train::sitting::{After, Reason, Sitting};
use place::{Messages, Place, Run, same};
use serde_json::Value;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

fn search() -> Run {
    Run::Search(tiny::search_settings())
}

fn retraining() -> Run {
    Run::Retrain(tiny::retrain_settings())
}

fn manifest(place: &Place, name: &str) -> Value {
    let text = fs::read_to_string(place.path(name).join("manifest.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Sittings of so many steps until the run is done: their number.
fn in_sittings_of(place: &Place, run: &Run, name: &str, steps: u64) -> usize {
    let sitting = Sitting { after: Some(After::Steps(steps)), ..Sitting::to_the_end(Resume::Auto) };
    for number in 1..=100 {
        let Some(stopped) = place.sit(run, name, &sitting, &mut Silent).unwrap() else {
            return number;
        };
        assert_eq!(stopped.step, number as u64 * steps);
        assert_eq!(stopped.reason, Reason::Enough(After::Steps(steps)));
        assert!(stopped.checkpoint.exists());
        assert!(!place.path(name).join(run.results()[0]).exists(), "not done");
    }
    panic!("never done");
}

/// Ends in the middle of epochs, and after the last step of one, before what is scored at its end.
#[test]
fn runs_in_many_sittings_end_alike() {
    // Twelve steps in epochs of four, and eighteen in epochs of six.
    for (run, whole, per_epoch) in [(search(), 12, 4), (retraining(), 18, 6)] {
        let place = Place::new();
        let expected = place.finish(&run, "whole");
        for steps in [1, per_epoch, 5] {
            let name = format!("by {steps}");
            let sittings = in_sittings_of(&place, &run, &name, steps);
            assert_eq!(sittings as u64, whole / steps + 1, "{name}");
            same(&run, &expected, &place.results(&run, &name), &name);
        }
    }
}

/// Asks for an end at the given step, as a signal's handler does.
struct Ask {
    signal: Arc<AtomicI32>,
    left: usize,
}

impl Report for Ask {
    fn begin(&mut self, _: u64, _: u64, _: &'static str) {}
    fn end(&mut self) {}
    fn message(&mut self, _: &str) {}
    fn warning(&mut self, _: &str) {}

    fn advance(&mut self, _: u64, _: String) {
        self.left -= 1;
        if self.left == 0 {
            self.signal.store(15, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_signal_ends_the_sitting_after_its_step() {
    for run in [search(), retraining()] {
        let place = Place::new();
        let expected = place.finish(&run, "whole");
        let sitting = Sitting::to_the_end(Resume::Auto);
        let mut ask = Ask { signal: Arc::clone(&sitting.signal), left: 7 };
        let stopped = place.sit(&run, "run", &sitting, &mut ask).unwrap().unwrap();
        assert_eq!((stopped.reason, stopped.step), (Reason::Signal(15), 7));
        assert!(stopped.to_string().contains("step 7 by signal 15; run the same command again"));
        same(&run, &expected, &place.finish(&run, "run"), "after a signal");
    }
}

#[test]
fn a_folder_is_one_process_s_at_a_time() {
    let place = Place::new();
    let held = RunFolder::create(place.path("run")).unwrap();
    let error = RunFolder::create(place.path("run")).unwrap_err();
    assert!(matches!(error, TrainError::InUse { .. }) && error.is_input(), "{error}");
    let holder = format!("in use by another process ({})", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    drop(held);
    RunFolder::create(place.path("run")).unwrap();
}

#[test]
fn the_manifest_names_what_is_there() {
    for run in [search(), retraining()] {
        let place = Place::new();
        place.finish(&run, "run");
        let manifest = manifest(&place, "run");
        let listed =
            ["checkpoints", "results"].map(|key| manifest[key].as_array().unwrap().clone());
        let on_disk = place.checkpoints("run");
        let steps: Vec<u64> =
            listed[0].iter().map(|entry| entry["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, on_disk);
        assert_eq!(listed[1].len(), 2);
        for entry in listed.iter().flatten() {
            let path = place.path("run").join(entry["file"].as_str().unwrap());
            let mut bytes = fs::read(&path).unwrap();
            assert_eq!(entry["bytes"], bytes.len() as u64);
            assert_eq!(entry["sha256"], checksum::of_bytes(&bytes));
            assert!(check_against_manifest(&path, &bytes).unwrap());
            bytes[0] ^= 1;
            let error = check_against_manifest(&path, &bytes).unwrap_err();
            assert!(error.is_input() && error.to_string().contains("damaged"), "{error}");
        }
        // What no manifest names cannot be judged.
        assert!(!check_against_manifest(&place.path("run/metrics.csv"), b"").unwrap());
        assert!(!check_against_manifest(&place.path("data/index.json"), b"").unwrap());
    }
}

#[test]
fn the_best_checkpoint_stays_beside_the_newest() {
    let place = Place::new();
    let mut settings = tiny::retrain_settings();
    (settings.keep_checkpoints, settings.keep_best) = (100, 0);
    place.finish(&Run::Retrain(settings.clone()), "all");
    let all = manifest(&place, "all");
    let scored = |entry: &&Value| entry["score"].is_f64();
    let score = |entry: &&Value| entry["score"].as_f64().unwrap();
    let entries = all["checkpoints"].as_array().unwrap();
    // Of equals the earlier, which `max_by` does not give.
    let best = entries.iter().filter(scored).rev().max_by(|a, b| score(a).total_cmp(&score(b)));
    let best = best.unwrap()["step"].as_u64().unwrap();
    assert_eq!(entries.iter().filter(scored).count(), 3, "an evaluation per epoch");

    (settings.keep_checkpoints, settings.keep_best) = (1, 1);
    place.finish(&Run::Retrain(settings), "few");
    let mut expected = vec![best, 18];
    expected.dedup();
    assert_eq!(place.checkpoints("few"), expected);
}

/// As if killed while a file was being written, and between a checkpoint and the manifest.
#[test]
fn what_killed_processes_leave_is_cleared_away() {
    let place = Place::new();
    let run = retraining();
    let expected = place.finish(&run, "whole");
    let sitting = Sitting { after: Some(After::Steps(7)), ..Sitting::to_the_end(Resume::Auto) };
    place.sit(&run, "run", &sitting, &mut Silent).unwrap().unwrap();
    let left = [
        ".manifest.json.12345-0.tmp",
        "checkpoints/.step-000000008.safetensors.12345-1.tmp",
        "checkpoints/step-000000008.safetensors",
        "checkpoints/step-000000099.safetensors",
    ];
    for name in left {
        fs::write(place.path("run").join(name), b"half of a fi").unwrap();
    }
    let mut messages = Messages::default();
    place.go(&run, "run", &Resume::Auto, &mut messages).unwrap();
    assert!(messages.0[0].contains("(epoch 1, step 7)"), "{:?}", messages.0);
    same(&run, &expected, &place.results(&run, "run"), "after clearing away");
    for name in [left[0], left[1], left[3]] {
        assert!(!place.path("run").join(name).exists(), "{name}");
    }
}

#[test]
fn checkpoints_without_their_manifest_are_not_taken_for_a_new_run() {
    let place = Place::new();
    let run = retraining();
    let expected = place.finish(&run, "run");
    let path = place.path("run/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let refusal = |part: &str| {
        let folder = RunFolder::create(place.path("run"));
        let error = folder.and_then(|folder| folder.load_checkpoint(&Resume::Auto, |_| ()));
        let error = error.unwrap_err();
        assert!(error.is_input() && error.to_string().contains(part), "{error}");
    };
    fs::remove_file(&path).unwrap();
    refusal("manifest.json: is missing");
    fs::write(&path, text.replace("\"version\": 1", "\"version\": 7")).unwrap();
    refusal("is cream-run version 7; this program reads cream-run version 1");
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    refusal("manifest.json: EOF while parsing");
    fs::remove_file(&path).unwrap();
    // A checkpoint can be named, and is then taken as it is.
    let mut messages = Messages::default();
    let from = Resume::From(place.checkpoint("run", 16));
    place.go(&run, "run", &from, &mut messages).unwrap();
    assert!(messages.0[0].contains("taken unchecked"), "{:?}", messages.0);
    same(&run, &expected, &place.results(&run, "run"), "from a checkpoint without manifest");
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_and_lists_its_images() {
    let runs = [
        Run::Search({
            let mut settings = tiny::search_settings();
            (settings.learning_rate, settings.checkpoint_steps) = (Some(1e30), 1);
            settings
        }),
        Run::Retrain({
            let mut settings = tiny::retrain_settings();
            (settings.learning_rate, settings.checkpoint_steps) = (Some(1e30), 1);
            (settings.clip_gradient, settings.warmup_epochs) = (0.0, 0);
            settings
        }),
    ];
    for run in runs {
        let place = Place::new();
        let error = place.go(&run, "run", &Resume::Auto, &mut Silent).unwrap_err();
        let TrainError::NonFinite { step, batch: Some(list), advice, .. } = &error else {
            panic!("{error}");
        };
        assert!(!error.is_input());
        assert!(error.to_string().contains(&list.display().to_string()), "{error}");
        if *step > 1 {
            assert!(advice.contains("checkpoints/step-00000000"), "{advice}");
        }
        let text = fs::read_to_string(list).unwrap();
        let keys: Vec<&str> =
            text.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(keys.len(), 8, "{text}");
        let known: Vec<&str> = cream_data::Split::ALL
            .iter()
            .flat_map(|&split| place.data.samples(split))
            .map(|sample| place.data.key(sample).unwrap())
            .collect();
        assert!(keys.iter().all(|key| known.contains(key)), "{text}");
        // A run that begins anew has nothing to do with it.
        let folder = RunFolder::create(place.path("run")).unwrap();
        folder.clear().unwrap();
        assert!(!list.exists());
    }
}
