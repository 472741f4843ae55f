//! A folder with the tiny data set, in which searches and retrainings are run.

#![allow(dead_code, reason = "every test uses its part")]

use crate::tiny;
use candle_core::{DType, Device};
use cream_data::ShardSet;
use cream_nn::ChildNet;
use cream_train::distillation::TeacherPlan;
use cream_train::report::{Report, Silent};
use cream_train::retrain::{RetrainPlan, retrain};
use cream_train::run_folder::{Resume, RunFolder};
use cream_train::search::search;
use cream_train::settings::{RetrainSettings, SearchSettings};
use cream_train::sitting::{Outcome, Sitting, Stopped};
use cream_train::{KeyedInitialisation, TrainError};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// What is run: a search, a retraining, or one with a teacher.
#[derive(Clone)]
pub enum Run {
    Search(SearchSettings),
    Retrain(RetrainSettings),
    Taught(RetrainSettings),
}

impl Run {
    pub fn results(&self) -> &'static [&'static str] {
        match self {
            Self::Search(_) => &["supernet.safetensors", "board.json", "metrics.csv"],
            Self::Retrain(_) | Self::Taught(_) => {
                &["model.safetensors", "model-raw.safetensors", "metrics.csv"]
            }
        }
    }

    pub fn with_workers(&self, count: usize) -> Self {
        let mut run = self.clone();
        match &mut run {
            Self::Search(settings) => settings.workers = count,
            Self::Retrain(settings) | Self::Taught(settings) => settings.workers = count,
        }
        run
    }

    pub fn keeping(&self, count: usize) -> Self {
        let mut run = self.clone();
        match &mut run {
            Self::Search(settings) => (settings.keep_checkpoints, settings.keep_best) = (count, 0),
            Self::Retrain(settings) | Self::Taught(settings) => {
                (settings.keep_checkpoints, settings.keep_best) = (count, 0)
            }
        }
        run
    }
}

pub fn stopped<T>(outcome: Outcome<T>) -> Option<Stopped> {
    match outcome {
        Outcome::Done(_) => None,
        Outcome::Stopped(stopped) => Some(stopped),
    }
}

/// Data with folders for runs on it.
pub struct Place {
    pub dir: TempDir,
    pub data: Arc<ShardSet>,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shards = dir.path().join("data");
        tiny::write_shards(&shards);
        Self { data: Arc::new(ShardSet::open(&shards).unwrap()), dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn go(
        &self,
        run: &Run,
        name: &str,
        resume: &Resume,
        report: &mut dyn Report,
    ) -> Result<(), TrainError> {
        let sitting = Sitting::to_the_end(resume.clone());
        self.sit(run, name, &sitting, report).map(|stopped| assert!(stopped.is_none()))
    }

    /// Also says where a sitting ended before the run was done.
    pub fn sit(
        &self,
        run: &Run,
        name: &str,
        sitting: &Sitting,
        report: &mut dyn Report,
    ) -> Result<Option<Stopped>, TrainError> {
        let folder = RunFolder::open(self.path(name), &sitting.resume).unwrap();
        match run {
            Run::Search(settings) => {
                let plan = tiny::search_plan(settings.clone());
                search(&plan, &self.data, &folder, sitting, report).map(stopped)
            }
            Run::Retrain(settings) => {
                let plan = tiny::retrain_plan(settings.clone());
                retrain(&plan, &self.data, &folder, sitting, report).map(stopped)
            }
            Run::Taught(settings) => {
                let plan = taught_plan(settings.clone());
                retrain(&plan, &self.data, &folder, sitting, report).map(stopped)
            }
        }
    }

    /// Runs to the end and returns the bytes of the results.
    pub fn finish(&self, run: &Run, name: &str) -> Vec<Vec<u8>> {
        self.go(run, name, &Resume::Auto, &mut Silent).unwrap();
        self.results(run, name)
    }

    pub fn results(&self, run: &Run, name: &str) -> Vec<Vec<u8>> {
        let read = |file: &&str| fs::read(self.path(name).join(file)).unwrap();
        run.results().iter().map(read).collect()
    }

    /// Steps of the checkpoints that are there.
    pub fn checkpoints(&self, name: &str) -> Vec<u64> {
        let files = fs::read_dir(self.path(name).join("checkpoints")).unwrap();
        let step = |name: String| -> Option<u64> {
            name.strip_suffix(".safetensors")?.get("step-".len()..)?.get(..9)?.parse().ok()
        };
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut steps: Vec<u64> = names.filter_map(step).collect();
        steps.sort_unstable();
        steps
    }

    pub fn checkpoint(&self, name: &str, step: u64) -> PathBuf {
        self.path(name).join(format!("checkpoints/step-{step:09}.safetensors"))
    }
}

/// What a run says.
#[derive(Default)]
pub struct Messages(pub Vec<String>);

impl Report for Messages {
    fn begin(&mut self, _: u64, _: u64, _: &'static str) {}
    fn advance(&mut self, _: u64, _: String) {}
    fn end(&mut self) {}

    fn message(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    fn warning(&mut self, text: &str) {
        self.message(text);
    }
}

pub fn same(run: &Run, expected: &[Vec<u8>], found: &[Vec<u8>], what: &str) {
    for (name, (a, b)) in run.results().iter().zip(expected.iter().zip(found)) {
        assert!(a == b, "{name} differs: {what}");
    }
}

/// A retraining with a teacher of random weights, whose input is normalised in another way.
fn taught_plan(settings: RetrainSettings) -> RetrainPlan {
    let mut architecture = tiny::architecture("[[2],[1],[0],[3],[5]]");
    architecture.input.mean = [0.4; 3];
    let mut init = KeyedInitialisation::new(11);
    let network = ChildNet::new(&architecture, &mut init, DType::F32, &Device::Cpu).unwrap();
    let teacher = TeacherPlan { architecture, tensors: network.weights().snapshot().unwrap() };
    RetrainPlan { teacher: Some(teacher), ..tiny::retrain_plan(settings) }
}
