//! What a retraining's checkpoint holds, how it is taken up again, and what the run leaves.

use super::{Position, RetrainPlan, Retraining};
use crate::TrainError;
use crate::checkpoint::{Checkpoint, Identity, check_position};
use crate::distillation::TeacherPlan;
use crate::initialise::KeyedInitialisation;
use crate::report::Report;
use crate::run_folder::{Place, Resume};
use crate::score::Tally;
use candle_core::{DType, Tensor};
use cream_arch::Architecture;
use cream_nn::{ChildNet, TensorFile, WeightsDescription};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The part of a checkpoint that is not tensors.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    position: Position,
    optimizer_steps: u64,
    metrics: String,
    validation: Tally,
    skipped: u64,
}

impl RetrainPlan {
    /// Checksum of the weights that the run starts from; empty for random ones.
    fn init_checksum(&self) -> String {
        self.init.as_ref().map(|tensors| checksum(Value::Null, tensors)).unwrap_or_default()
    }

    /// Checksum of the teacher; empty for none.
    fn teacher_checksum(&self) -> String {
        let checksum = |plan: &TeacherPlan| checksum(stated(&plan.architecture), &plan.tensors);
        self.teacher.as_ref().map(checksum).unwrap_or_default()
    }
}

fn checksum(description: Value, tensors: &BTreeMap<String, Tensor>) -> String {
    let tensors = tensors.clone();
    let bytes = TensorFile { description, tensors }.to_bytes().unwrap_or_default();
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The architecture without its name and where it came from, which say nothing about the network.
fn stated(architecture: &Architecture) -> Value {
    let mut network = architecture.clone();
    (network.name, network.provenance) = (None, None);
    serde_json::to_value(network).unwrap_or_default()
}

/// The network before its first step. Given weights may have another classifier: then that starts anew, of which a line
/// for people tells.
pub(super) fn network(plan: &RetrainPlan) -> Result<(ChildNet, Option<String>), TrainError> {
    let mut init = KeyedInitialisation::new(plan.settings.seed);
    let network = ChildNet::new(&plan.architecture, &mut init, DType::F32, &plan.device)?;
    let Some(given) = &plan.init else { return Ok((network, None)) };
    let (mut given, mut anew) = (given.clone(), Vec::new());
    for name in ["classifier.weight", "classifier.bias"] {
        let own = network.weights().parameters.get(name);
        if let (Some(own), Some(theirs)) = (own, given.get_mut(name))
            && own.dims() != theirs.dims()
        {
            anew.push(format!("{name} (given {:?}, needed {:?})", theirs.dims(), own.dims()));
            *theirs = own.as_detached_tensor().copy()?;
        }
    }
    let loaded = network.weights().load(&given, |_| false);
    loaded.map_err(|error| TrainError::Setting(format!("the initial weights: {error}")))?;
    let text = (!anew.is_empty()).then(|| format!("starting anew: {}", anew.join(", ")));
    Ok((network, text))
}

/// What a run of `plan` on the data set of this checksum is.
pub(super) fn identity(plan: &RetrainPlan, data: &str) -> Identity {
    Identity::new("retrain", &plan.settings, data)
        .with("architecture", stated(&plan.architecture))
        .with("init", plan.init_checksum().into())
        .with("teacher", plan.teacher_checksum().into())
}

fn place_of(position: &Position, steps_per_epoch: usize) -> Place {
    let Position { step, epoch, batch, .. } = *position;
    Place { step, epoch, unscored: batch == steps_per_epoch, score: None }
}

impl Retraining<'_> {
    /// Writes a checkpoint, with the validation score where the weights have just been scored.
    pub(super) fn save_checkpoint(&self, score: Option<f64>) -> Result<PathBuf, TrainError> {
        let (momentum, square, optimizer_steps) = self.optimizer.state();
        let state = State {
            position: self.position,
            optimizer_steps,
            metrics: self.metrics.rows().to_owned(),
            validation: self.validation,
            skipped: self.skipped,
        };
        let mut checkpoint = Checkpoint::new(self.identity.clone(), &state)?;
        checkpoint.put("weights", self.network.weights().tensors());
        checkpoint.put("momentum", momentum.clone());
        checkpoint.put("square", square.clone());
        if let Some(ema) = &self.ema {
            checkpoint.put("ema", ema.tensors().clone());
        }
        if let Some(name) = checkpoint.non_finite()? {
            let Position { step, epoch, .. } = self.position;
            return Err(self.non_finite(&format!("{name} is not finite"), (step, epoch)));
        }
        let place = Place { score, ..place_of(&self.position, self.schedule.steps_per_epoch) };
        let retention = self.plan.settings.retention();
        self.folder.save_checkpoint(place, &checkpoint.into_file(), retention)
    }

    /// Takes up a checkpoint, or starts anew.
    pub(super) fn resume(
        &mut self,
        resume: &Resume,
        report: &mut dyn Report,
    ) -> Result<(), TrainError> {
        let Some(mut found) = self.folder.find(resume, |text| report.warning(text))? else {
            if let Some(kept) = self.folder.begin_anew()? {
                report.message(&format!("what was there is now in {}", kept.display()));
            }
            self.metrics = self.folder.metrics(String::new())?;
            return Ok(());
        };
        let path = found.path.clone();
        let mut checkpoint = Checkpoint::from_file(path.clone(), &mut found, &self.identity)?;
        let state: State = checkpoint.state()?;
        let fail = |reason: String| TrainError::Checkpoint { path: path.clone(), reason };
        let loaded = self.network.weights().load(&checkpoint.take("weights"), |_| false);
        loaded.map_err(|error| fail(error.to_string()))?;
        let device = &self.plan.device;
        let momentum = checkpoint.take_to("momentum", device)?;
        let square = checkpoint.take_to("square", device)?;
        let parameters = &self.network.weights().parameters;
        self.optimizer
            .restore(momentum, square, state.optimizer_steps, parameters)
            .map_err(fail)?;
        if let Some(ema) = &mut self.ema {
            // Skipped steps are not averaged.
            let averaged = state.position.step.saturating_sub(state.skipped);
            ema.restore(checkpoint.take_to("ema", device)?, averaged).map_err(fail)?;
        }
        (self.position, self.validation) = (state.position, state.validation);
        self.skipped = state.skipped;
        let Position { epoch, batch, step, skipped, .. } = self.position;
        let per_epoch = self.schedule.steps_per_epoch;
        check_position(epoch, batch, step, skipped, per_epoch).map_err(fail)?;
        self.folder.take_up(&found, place_of(&self.position, per_epoch))?;
        self.metrics = self.folder.metrics(state.metrics)?;
        report.message(&format!("resuming from {} (epoch {epoch}, step {step})", path.display()));
        Ok(())
    }

    /// Writes the results.
    pub(super) fn finish(&self) -> Result<(), TrainError> {
        let raw = self.weights_file(self.network.weights().tensors(), false).to_bytes()?;
        let Some(ema) = &self.ema else {
            return self.folder.write_results(&[("model.safetensors", raw)]);
        };
        let averaged = self.weights_file(ema.tensors().clone(), true).to_bytes()?;
        self.folder
            .write_results(&[("model-raw.safetensors", raw), ("model.safetensors", averaged)])
    }

    fn weights_file(&self, tensors: BTreeMap<String, Tensor>, averaged: bool) -> TensorFile {
        let architecture = self.plan.architecture.clone();
        let classes = self.data.classes().to_vec();
        let description = WeightsDescription { averaged, architecture, classes }.to_json();
        TensorFile { description, tensors }
    }
}
