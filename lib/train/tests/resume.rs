//! Runs are a function of settings and data: repeated, interrupted anywhere and resumed, with any number of
//! threads and workers, or after damage to a checkpoint, they leave the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

#[path = "tiny/place.rs"]
mod place;
mod tiny;

use cream_data::ShardSet;
use cream_train::TrainError;
use cream_train::optimizer::Kind;
use cream_train::report::{Report, Silent};
use cream_train::retrain::retrain;
use cream_train::run_folder::{Resume, RunFolder};
use cream_train::search::search;
use cream_train::settings::{PickMethod, Prior, PriorName, RetrainSettings, SearchSettings};
use cream_train::sitting::Sitting;
use place::{Messages, Place, Run, same};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;

fn interrupt(place: &Place, run: &Run, name: &str, at: At) {
    let go = || place.go(run, name, &Resume::Auto, &mut Interrupt { at, seen: 0 });
    let stopped = catch_unwind(AssertUnwindSafe(go)).unwrap_err();
    assert!(stopped.is::<At>());
    let written = |file: &str| place.path(name).join(file).exists();
    assert!(!written(run.results()[0]) && !written(run.results()[1]), "{name}");
}

/// Where a run is cut off, counted from where it began or was taken up.
#[derive(Clone, Copy, Debug)]
enum At {
    /// After this many steps, before a checkpoint of the last one.
    Step(usize),
    /// At this message: the first of a new run comes when an epoch's row is in the metrics and its checkpoint is
    /// not yet written; a resumed run says first where it resumes.
    Message(usize),
}

struct Interrupt {
    at: At,
    seen: usize,
}

impl Interrupt {
    fn count(&mut self, limit: usize) {
        self.seen += 1;
        if self.seen == limit {
            resume_unwind(Box::new(self.at));
        }
    }
}

impl Report for Interrupt {
    fn begin(&mut self, _: u64, _: u64, _: &'static str) {}
    fn end(&mut self) {}
    fn warning(&mut self, _: &str) {}

    fn advance(&mut self, _: u64, _: String) {
        if let At::Step(limit) = self.at {
            self.count(limit);
        }
    }

    fn message(&mut self, _: &str) {
        if let At::Message(limit) = self.at {
            self.count(limit);
        }
    }
}

fn in_pool(threads: usize, work: impl FnOnce() + Send) {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work);
}

/// Cuts a run off in every kind of place, twice in two of them; `last_step` is of the run.
fn interrupted_runs_end_alike(run: &Run, last_step: usize) {
    let place = Place::new();
    let expected = place.finish(run, "whole");
    let cuts: [&[At]; 6] = [
        &[At::Step(1)],
        &[At::Step(5)],
        &[At::Step(last_step)],
        &[At::Message(1)],
        // The resumed run's second message is its next epoch's end.
        &[At::Message(2), At::Message(2)],
        &[At::Step(7), At::Step(1)],
    ];
    for cuts in cuts {
        let name = format!("{cuts:?}");
        for &at in cuts {
            interrupt(&place, run, &name, at);
        }
        same(run, &expected, &place.finish(run, &name), &name);
    }
}

#[test]
fn interrupted_searches_end_alike() {
    interrupted_runs_end_alike(&Run::Search(tiny::search_settings()), 12);
}

#[test]
fn interrupted_retrainings_end_alike() {
    interrupted_runs_end_alike(&Run::Retrain(tiny::retrain_settings()), 18);
}

/// Steps of five batches, of which the epoch's last one fills none; mixing, stochastic depth and a teacher.
#[test]
fn interrupted_retrainings_of_large_steps_end_alike() {
    let settings = RetrainSettings {
        batch: 3,
        accumulate: 5,
        drop_path: 0.3,
        mixup: 0.4,
        teacher_temperature: 2.0,
        checkpoint_steps: 2,
        ..tiny::retrain_settings()
    };
    interrupted_runs_end_alike(&Run::Taught(settings), 9);
}

#[test]
fn another_teacher_is_refused() {
    let place = Place::new();
    let settings = tiny::retrain_settings();
    interrupt(&place, &Run::Taught(settings.clone()), "taught", At::Step(5));
    let go = |run: Run| place.go(&run, "taught", &Resume::Auto, &mut Silent);
    let error = go(Run::Retrain(settings.clone())).unwrap_err().to_string();
    assert!(error.contains("teacher is \"\", was \""), "{error}");
    let other = RetrainSettings { teacher_weight: 0.25, ..settings };
    let error = go(Run::Taught(other)).unwrap_err().to_string();
    assert!(error.contains("teacher-weight is 0.25, was 0.5"), "{error}");
}

/// Cut off once in mid-epoch, with every other rule that keeps something from step to step.
#[test]
fn other_recipes_end_alike() {
    let (search, retrain) = (tiny::search_settings(), tiny::retrain_settings());
    let runs = [
        Run::Search(SearchSettings { prior: Prior::Named(PriorName::Board), ..search.clone() }),
        Run::Search(SearchSettings { pick_method: PickMethod::Top1, ..search.clone() }),
        Run::Search(SearchSettings {
            depths: Some(vec![1, 2, 1, 2, 1]),
            min_depths: Some(vec![1; 5]),
            ..search.clone()
        }),
        Run::Search(SearchSettings { pick_method: PickMethod::None, ..search }),
        Run::Retrain(RetrainSettings { ema_decay: 0.0, optimizer: Kind::Sgd, ..retrain.clone() }),
        Run::Retrain(RetrainSettings { ema_warmup: true, optimizer: Kind::Adamw, ..retrain }),
    ];
    let place = Place::new();
    for (number, run) in runs.iter().enumerate() {
        let name = format!("whole{number}");
        place.go(run, &name, &Resume::Auto, &mut Silent).unwrap();
        // Past the checkpoints of steps 9 and 8, which are in the middle of an epoch.
        let cut = format!("cut{number}");
        interrupt(&place, run, &cut, At::Step(11));
        place.go(run, &cut, &Resume::Auto, &mut Silent).unwrap();
        for file in ["metrics.csv", "supernet.safetensors", "board.json", "model.safetensors"] {
            let bytes = |name: &str| fs::read(place.path(name).join(file)).ok();
            assert!(bytes(&name) == bytes(&cut), "{file} of run {number}");
        }
    }
}

/// Also that a finished run can be resumed from any of its checkpoints, and that they are where they should be.
fn every_checkpoint_leads_to_the_same_end(run: &Run, steps: &[u64]) {
    let place = Place::new();
    let run = run.keeping(100);
    let expected = place.finish(&run, "whole");
    assert_eq!(place.checkpoints("whole"), steps);
    // Later checkpoints and results are still there.
    for &step in steps {
        let from = Resume::From(place.checkpoint("whole", step));
        let mut messages = Messages::default();
        place.go(&run, "whole", &from, &mut messages).unwrap();
        assert!(messages.0[0].contains(&format!("step {step})")), "{:?}", messages.0);
        same(&run, &expected, &place.results(&run, "whole"), &format!("from step {step}"));
    }
    let few = run.keeping(2);
    place.finish(&few, "few");
    assert_eq!(place.checkpoints("few"), steps[steps.len() - 2..]);
}

#[test]
fn every_checkpoint_of_a_search_leads_to_the_same_end() {
    let run = Run::Search(tiny::search_settings());
    every_checkpoint_leads_to_the_same_end(&run, &[3, 4, 6, 8, 9, 12]);
}

#[test]
fn every_checkpoint_of_a_retraining_leads_to_the_same_end() {
    let run = Run::Retrain(tiny::retrain_settings());
    every_checkpoint_leads_to_the_same_end(&run, &[4, 6, 8, 12, 16, 18]);
}

fn threads_and_workers_change_nothing(run: &Run) {
    let place = Place::new();
    let expected = place.finish(run, "reference");
    for (threads, workers) in [(1, 0), (2, 1), (3, 3)] {
        let name = format!("{threads} threads, {workers} workers");
        in_pool(threads, || {
            let found = place.finish(&run.with_workers(workers), &name);
            same(run, &expected, &found, &name);
        });
    }
    // Also half of a run each.
    interrupt(&place, &run.with_workers(3), "mixed", At::Step(7));
    let found = place.finish(&run.with_workers(0), "mixed");
    same(run, &expected, &found, "other workers after resuming");
}

#[test]
fn threads_and_workers_change_nothing_in_a_search() {
    threads_and_workers_change_nothing(&Run::Search(tiny::search_settings()));
}

#[test]
fn threads_and_workers_change_nothing_in_a_retraining() {
    threads_and_workers_change_nothing(&Run::Retrain(tiny::retrain_settings()));
}

fn damage_is_passed_over(run: &Run) {
    let place = Place::new();
    let expected = place.finish(run, "whole");
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("one bit turned", |path| {
            let mut bytes = fs::read(path).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("cut short", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 7]).unwrap();
        }),
        ("empty", |path| fs::write(path, b"").unwrap()),
        ("overwritten", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, vec![0xff; bytes.len()]).unwrap();
        }),
    ];
    for (name, damage) in damages {
        interrupt(&place, run, name, At::Step(8));
        let steps = place.checkpoints(name);
        damage(&place.checkpoint(name, steps[1]));
        let mut messages = Messages::default();
        place.go(run, name, &Resume::Auto, &mut messages).unwrap();
        let text = messages.0.join("\n");
        assert!(text.contains(&format!("step-{:09}.safetensors", steps[1])), "{text}");
        assert!(text.contains(&format!("step {})", steps[0])), "{text}");
        same(run, &expected, &place.results(run, name), name);
        let kept = place.checkpoint(name, steps[1]).with_extension("safetensors.damaged");
        assert!(kept.exists(), "what is damaged may still be of use");
    }
    // With nothing left to pass over to, the run stops rather than starts anew.
    interrupt(&place, run, "all", At::Step(8));
    for step in place.checkpoints("all") {
        fs::write(place.checkpoint("all", step), b"").unwrap();
    }
    let error = place.go(run, "all", &Resume::Auto, &mut Silent).unwrap_err();
    assert!(matches!(error, TrainError::NoCheckpoint { .. }) && error.is_input(), "{error}");
    place.go(run, "all", &Resume::Never, &mut Silent).unwrap();
    same(run, &expected, &place.results(run, "all"), "anew over damaged checkpoints");
}

#[test]
fn damaged_checkpoints_of_a_search_are_passed_over() {
    damage_is_passed_over(&Run::Search(tiny::search_settings()));
}

#[test]
fn damaged_checkpoints_of_a_retraining_are_passed_over() {
    damage_is_passed_over(&Run::Retrain(tiny::retrain_settings()));
}

#[test]
fn other_settings_are_refused_by_name() {
    let place = Place::new();
    let started = tiny::search_settings();
    interrupt(&place, &Run::Search(started.clone()), "search", At::Step(5));
    let refusal = |settings: SearchSettings| {
        let run = Run::Search(settings);
        let error = place.go(&run, "search", &Resume::Auto, &mut Silent).unwrap_err();
        assert!(error.is_input(), "{error}");
        error.to_string()
    };
    let text = refusal(SearchSettings { label_smoothing: 0.2, ..started.clone() });
    assert!(text.contains("label-smoothing is 0.2, was 0.1"), "{text}");
    assert!(text.contains("only threads, workers, device, checkpoint-steps,"), "{text}");
    let text = refusal(SearchSettings { seed: 1, epochs: 4, ..started.clone() });
    assert!(text.contains("epochs is 4, was 3") && text.contains("seed is 1, was 0"), "{text}");
    let mut other = started.clone();
    other.augmentation.shift = 2;
    assert!(refusal(other).contains("shift is 2, was 3"));
    // Those that change nothing may change.
    let free = SearchSettings {
        threads: Some(1),
        workers: 0,
        device: "cpu".to_owned(),
        checkpoint_steps: 1,
        keep_checkpoints: 5,
        ..started
    };
    place.finish(&Run::Search(free), "search");
}

#[test]
fn another_space_network_or_data_set_is_refused() {
    let place = Place::new();
    interrupt(&place, &Run::Search(tiny::search_settings()), "search", At::Step(5));
    let folder = RunFolder::open(place.path("search"), &Resume::Auto).unwrap();
    let mut plan = tiny::search_plan(tiny::search_settings());
    // Shapes are the same, so nothing but the description can tell.
    plan.space.norm.momentum = 0.2;
    let auto = Sitting::to_the_end(Resume::Auto);
    let error = search(&plan, &place.data, &folder, &auto, &mut Silent).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("space"), "{error}");

    let run = Run::Retrain(tiny::retrain_settings());
    interrupt(&place, &run, "retrain", At::Step(5));
    let folder = RunFolder::open(place.path("retrain"), &Resume::Auto).unwrap();
    let mut plan = tiny::retrain_plan(tiny::retrain_settings());
    plan.architecture.norm.momentum = 0.2;
    let error = retrain(&plan, &place.data, &folder, &auto, &mut Silent).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("architecture"), "{error}");

    tiny::write_shards_of(&place.path("other"), tiny::CLASSES);
    let mut index = fs::read_to_string(place.path("other/index.json")).unwrap();
    index = index.replace("\"made\": {}", "\"made\": {\"by\": \"another\"}");
    fs::write(place.path("other/index.json"), index).unwrap();
    let other = Arc::new(ShardSet::open(place.path("other")).unwrap());
    let plan = tiny::retrain_plan(tiny::retrain_settings());
    let error = retrain(&plan, &other, &folder, &auto, &mut Silent).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("data set"), "{error}");

    drop(folder);
    let newest = place.checkpoints("search")[1];
    let wrong = Resume::From(place.checkpoint("search", newest));
    let error = place.go(&run, "retrain", &wrong, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("belongs to a search, not a retrain"), "{error}");
}

#[test]
fn starting_anew_takes_away_what_says_that_the_run_is_done() {
    let place = Place::new();
    let run = Run::Retrain(tiny::retrain_settings());
    place.finish(&run, "run");
    let mut interrupt = Interrupt { at: At::Step(5), seen: 0 };
    let go = || place.go(&run, "run", &Resume::Never, &mut interrupt);
    assert!(catch_unwind(AssertUnwindSafe(go)).is_err());
    assert!(!place.path("run/model.safetensors").exists());
    assert!(!place.path("run/model-raw.safetensors").exists());
    assert_eq!(place.checkpoints("run"), [4]);
}
