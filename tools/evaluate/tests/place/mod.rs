//! What the tests of the built tool work on: a tiny shard set, with networks and supernets made here.

#![allow(dead_code, reason = "every test uses its part")]

#[path = "../../../../lib/train/tests/tiny/mod.rs"]
pub mod tiny;
#[path = "../../../../lib/train/tests/tiny/tool.rs"]
pub mod tool;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use cream_arch::Architecture;
use cream_data::ShardSet;
use cream_nn::{ChildNet, TensorFile};
use cream_train::KeyedInitialisation;
use cream_train::report::Silent;
use cream_train::retrain::retrain;
use cream_train::run_folder::{Resume, RunFolder};
use cream_train::search::search;
use cream_train::sitting::Sitting;
use serde_json::{Value, json};
use tempfile::TempDir;
use tool::Tool;

pub const EVALUATE: Tool = Tool::new("evaluate", env!("CARGO_BIN_EXE_evaluate"));

/// Shards, and what else a test makes there. `@` in arguments stands for the folder.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        tiny::write_shards(&place.path("data"));
        fs::write(place.path("arch.json"), tiny::architecture(tiny::PATH).to_json()).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn data(&self) -> Arc<ShardSet> {
        Arc::new(ShardSet::open(self.path("data")).unwrap())
    }

    /// Untrained weights of the network that `arch.json` describes, as a foreign program would write them.
    pub fn foreign(&self) -> TensorFile {
        let tensors = Self::tensors(&tiny::architecture(tiny::PATH));
        TensorFile { description: Value::Null, tensors }
    }

    /// The same as a weights file of ours, in `w.safetensors`, with these names of its classes.
    pub fn named(self, classes: &[&str]) -> Self {
        let network = Architecture { num_classes: classes.len(), ..tiny::architecture(tiny::PATH) };
        let description = json!({
            "format": "cream-weights", "version": 1, "weights": "raw", "architecture": network,
            "classes": classes,
        });
        let tensors = Self::tensors(&network);
        self.write("w.safetensors", &TensorFile { description, tensors });
        self
    }

    /// Weights that nobody trained.
    pub fn tensors(network: &Architecture) -> BTreeMap<String, Tensor> {
        let mut init = KeyedInitialisation::new(3);
        let network = ChildNet::new(network, &mut init, DType::F32, &Device::Cpu).unwrap();
        network.weights().tensors()
    }

    pub fn write(&self, name: &str, file: &TensorFile) {
        fs::write(self.path(name), file.to_bytes().unwrap()).unwrap();
    }

    /// A finished retraining with an average, in `run`.
    pub fn retrained(self) -> Self {
        let folder = RunFolder::open(self.path("run"), &Resume::Auto).unwrap();
        let plan = tiny::retrain_plan(tiny::retrain_settings());
        retrain(&plan, &self.data(), &folder, &Sitting::to_the_end(Resume::Auto), &mut Silent)
            .unwrap();
        self
    }

    /// A finished search, in `search`.
    pub fn searched(self) -> Self {
        let folder = RunFolder::open(self.path("search"), &Resume::Auto).unwrap();
        let plan = tiny::search_plan(tiny::search_settings());
        search(&plan, &self.data(), &folder, &Sitting::to_the_end(Resume::Auto), &mut Silent)
            .unwrap();
        self
    }

    pub fn arguments(&self, arguments: &str) -> String {
        format!("--data @/data {arguments}").replace('@', self.0.path().to_str().unwrap())
    }

    pub fn output(&self, arguments: &str, input: &str) -> String {
        EVALUATE.succeeds(&self.arguments(arguments), input).0
    }

    pub fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.output(&format!("{arguments} --format json"), "")).unwrap()
    }

    pub fn refuses(&self, arguments: &str, input: &str) -> String {
        EVALUATE.refuses(&self.arguments(arguments), input)
    }
}
