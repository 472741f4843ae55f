//! A run may be done in many sittings, in a folder that is its own: what is there is as the manifest says, and nothing
//! that a killed process left is in the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

#[path = "tiny/place.rs"]
mod place;
mod tiny;

use cream_data::shards::checksum;
use cream_train::TrainError;
use cream_train::report::{Report, Silent};
use cream_train::retrain::retrain;
use cream_train::run_folder::{Resume, RunFolder, check_against_manifest};
use cream_train::settings::RetrainSettings;
use cream_train::sitting::{After, Reason, Sitting};
use place::{Messages, Place, Run, same};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
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
    let held = RunFolder::open(place.path("run"), &Resume::Auto).unwrap();
    let error = RunFolder::open(place.path("run"), &Resume::Auto).unwrap_err();
    assert!(matches!(error, TrainError::InUse { .. }) && error.is_input(), "{error}");
    let holder = format!("in use by another process ({})", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    drop(held);
    RunFolder::open(place.path("run"), &Resume::Auto).unwrap();
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

/// The first line that says where a run is taken up.
fn resumed(messages: &Messages) -> &str {
    messages.0.iter().find(|text| text.contains("resuming from")).unwrap()
}

#[test]
fn checkpoints_without_their_manifest_are_not_taken_for_a_new_run() {
    let place = Place::new();
    let run = retraining().keeping(3);
    let expected = place.finish(&run, "run");
    let path = place.path("run/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let refusal = |part: &str| {
        let folder = RunFolder::open(place.path("run"), &Resume::Auto);
        let error = folder.and_then(|folder| folder.find(&Resume::Auto, |_| ())).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(part), "{error}");
        assert_eq!(place.checkpoints("run").len(), 3, "nothing is lost");
    };
    fs::write(&path, text.replace("\"version\": 1", "\"version\": 7")).unwrap();
    refusal("is cream-run version 7; this program reads version 1; use the program that wrote it");
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    refusal("manifest.json: EOF while parsing");
    fs::write(&path, "{}").unwrap();
    refusal("manifest.json: is not a run's; give another --out");
    fs::remove_file(&path).unwrap();
    refusal("manifest.json: is missing");
    // One can be named, and is then taken as it is. Killed right away, the run goes on from it; its elder stays.
    let [first, named, _] = place.checkpoints("run")[..] else { panic!("three checkpoints") };
    let from = Resume::From(place.checkpoint("run", named));
    let sitting = Sitting { after: Some(After::Steps(1)), ..Sitting::to_the_end(from) };
    let mut messages = Messages::default();
    let stopped = place.sit(&run, "run", &sitting, &mut messages).unwrap().unwrap();
    assert!(messages.0[0].contains("taken unchecked"), "{:?}", messages.0);
    assert!(stopped.to_string().contains("run it again with --resume auto"), "{stopped}");
    fs::remove_file(&stopped.checkpoint).unwrap();
    assert!(place.checkpoint("run", first).exists());
    assert!(!place.path("run/model.safetensors").exists(), "it is not done any more");
    let mut messages = Messages::default();
    place.go(&run, "run", &Resume::Auto, &mut messages).unwrap();
    assert!(resumed(&messages).contains(&format!("step {named})")), "{:?}", messages.0);
    same(&run, &expected, &place.results(&run, "run"), "from a checkpoint without manifest");
}

#[test]
fn a_checkpoint_of_another_folder_can_be_taken_up() {
    let place = Place::new();
    let run = retraining();
    let expected = place.finish(&run, "one");
    let other = Run::Retrain(RetrainSettings { seed: 1, ..tiny::retrain_settings() });
    let others = place.finish(&other, "two");
    let from = Resume::From(place.checkpoint("one", place.checkpoints("one")[0]));
    place.go(&run, "two", &from, &mut Silent).unwrap();
    same(&run, &expected, &place.results(&run, "two"), "in a folder that held another run");
    same(&run, &others, &place.results(&run, "two/earlier-1"), "the other run");
    // It is this folder's own now.
    place.go(&run, "two", &Resume::Auto, &mut Silent).unwrap();
}

/// As if killed when the scored checkpoint was written, before the manifest was.
#[test]
fn a_checkpoint_is_never_written_over_one_that_counts() {
    let place = Place::new();
    let mut settings = tiny::retrain_settings();
    (settings.keep_checkpoints, settings.keep_best) = (1, 0);
    let run = Run::Retrain(settings);
    let expected = place.finish(&run, "whole");
    let sitting = Sitting { after: Some(After::Steps(6)), ..Sitting::to_the_end(Resume::Auto) };
    let stopped = place.sit(&run, "run", &sitting, &mut Silent).unwrap().unwrap();
    assert!(stopped.checkpoint.ends_with("step-000000006-unscored.safetensors"));
    let [manifest, checkpoint] = [place.path("run/manifest.json"), stopped.checkpoint]
        .map(|path| (fs::read(&path).unwrap(), path));
    let sitting = Sitting { after: Some(After::Steps(1)), ..sitting };
    place.sit(&run, "run", &sitting, &mut Silent).unwrap().unwrap();
    assert!(!checkpoint.1.exists(), "the scored one took its place");
    for (bytes, path) in [manifest, checkpoint] {
        fs::write(path, bytes).unwrap();
    }
    fs::write(place.checkpoint("run", 6), b"whole, but not named").unwrap();
    same(&run, &expected, &place.finish(&run, "run"), "after a kill between the two");
}

#[test]
fn what_an_earlier_run_left_is_kept() {
    let place = Place::new();
    let run = retraining();
    let expected = place.finish(&run, "run");
    for number in 1..=2 {
        place.go(&run, "run", &Resume::Never, &mut Silent).unwrap();
        same(&run, &expected, &place.results(&run, "run"), "begun anew");
        let earlier = format!("run/earlier-{number}");
        same(&run, &expected, &place.results(&run, &earlier), "the earlier run");
        let checkpoint = place.checkpoint(&earlier, 18);
        let bytes = fs::read(&checkpoint).unwrap();
        assert!(check_against_manifest(&checkpoint, &bytes).unwrap(), "with its manifest");
    }
    // A run that cannot begin touches nothing; one that has done nothing leaves nothing.
    let mut misfit = tiny::retrain_plan(tiny::retrain_settings());
    misfit.init = Some(BTreeMap::new());
    let folder = RunFolder::open(place.path("run"), &Resume::Never).unwrap();
    let never = Sitting::to_the_end(Resume::Never);
    retrain(&misfit, &place.data, &folder, &never, &mut Silent).unwrap_err();
    drop(folder);
    same(&run, &expected, &place.results(&run, "run"), "after a run that could not begin");
    fs::write(place.path("run/manifest.json"), "{").unwrap();
    place.go(&run, "run", &Resume::Never, &mut Silent).unwrap();
    assert!(place.path("run/earlier-3").exists() && !place.path("run/earlier-4").exists());
    let folder = RunFolder::open(place.path("new"), &Resume::Never).unwrap();
    assert_eq!(folder.begin_anew().unwrap(), None);
    assert_eq!(folder.begin_anew().unwrap(), None);
}

/// As if killed between the first checkpoint and the manifest: a run that has begun, and nothing to keep.
#[test]
fn a_first_checkpoint_that_does_not_count_is_written_again() {
    let place = Place::new();
    let run = retraining();
    let expected = place.finish(&run, "whole");
    let folder = RunFolder::open(place.path("run"), &Resume::Auto).unwrap();
    folder.begin_anew().unwrap();
    drop(folder);
    fs::write(place.checkpoint("run", 4), b"whole, but not named").unwrap();
    same(&run, &expected, &place.finish(&run, "run"), "from the beginning");
    assert!(!place.path("run/earlier-1").exists());
}

#[test]
fn somebody_else_s_manifest_is_none_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let weights = dir.path().join("model.safetensors");
    for text in [r#"{"name": "a web app"}"#, "[]"] {
        fs::write(dir.path().join("manifest.json"), text).unwrap();
        assert!(!check_against_manifest(&weights, b"").unwrap(), "{text}");
    }
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
        let TrainError::NonFinite { step, images, advice, .. } = &error else {
            panic!("{error}");
        };
        assert!(!error.is_input());
        let list = PathBuf::from(images.rsplit(' ').next().unwrap());
        assert!(error.to_string().ends_with(&list.display().to_string()), "{error}");
        if *step > 1 {
            assert!(advice.contains("checkpoints/step-00000000"), "{advice}");
        }
        let text = fs::read_to_string(&list).unwrap();
        let keys: Vec<&str> =
            text.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(keys.len(), 8, "{text}");
        let known: Vec<&str> = cream_data::Split::ALL
            .iter()
            .flat_map(|&split| place.data.samples(split))
            .map(|sample| place.data.key(sample).unwrap())
            .collect();
        assert!(keys.iter().all(|key| known.contains(key)), "{text}");
        // What went wrong is said even where the list cannot be written.
        fs::remove_file(&list).unwrap();
        fs::create_dir_all(list.join("in the way")).unwrap();
        let error = place.go(&run, "run", &Resume::Auto, &mut Silent).unwrap_err();
        for part in ["the loss is", "at step", "could not be listed"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
