//! What a search's checkpoint holds, and how it is taken up again.

use super::{Position, Search, SearchPlan};
use crate::TrainError;
use crate::checkpoint::{Checkpoint, Identity, check_position};
use crate::initialise::KeyedInitialisation;
use crate::matching::Matching;
use crate::prioritized::PrioritizedPaths;
use crate::report::Report;
use crate::run_folder::{Place, Resume};
use crate::settings::SearchSettings;
use candle_core::DType;
use cream_arch::BoardEntry;
use cream_nn::SuperNet;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The part of a checkpoint that is not tensors.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    position: Position,
    board: Vec<BoardEntry>,
    prior: Vec<f64>,
    optimizer_steps: u64,
    metrics: String,
    skipped: u64,
}

/// The networks before their first step.
pub(super) fn networks(
    plan: &SearchPlan,
    classes: usize,
) -> Result<(SuperNet, Matching), TrainError> {
    let SearchPlan { settings, space, shape, device, .. } = plan;
    let mut init = KeyedInitialisation::new(settings.seed);
    let dtype = DType::F32;
    let supernet = SuperNet::new(space, &shape.depths, classes, &mut init, dtype, device)?;
    let matching = Matching::new(settings.slice, classes, &mut init, dtype, device)?;
    Ok((supernet, matching))
}

fn place_of(position: &Position, steps_per_epoch: usize) -> Place {
    let Position { step, epoch, batch, .. } = *position;
    Place { step, epoch, unscored: batch == steps_per_epoch, score: None }
}

impl Search<'_> {
    fn identity(&self) -> Identity {
        let space = serde_json::to_value(&self.plan.space).unwrap_or_default();
        Identity::new("search", &self.plan.settings, self.data.checksum()).with("space", space)
    }

    /// Writes a checkpoint, with the best entry's score where the board has just been scored.
    pub(super) fn save_checkpoint(&self, score: Option<f64>) -> Result<PathBuf, TrainError> {
        let (board, probes) = self.prioritized.state();
        let (momentum, _, optimizer_steps) = self.optimizer.state();
        let state = State {
            position: self.position,
            board,
            optimizer_steps,
            prior: self.prior.clone(),
            metrics: self.metrics.rows().to_owned(),
            skipped: self.skipped,
        };
        let mut checkpoint = Checkpoint::new(self.identity(), &state)?;
        checkpoint.put("weights", self.supernet.weights().tensors());
        checkpoint.put("matching", self.matching.weights().tensors());
        checkpoint.put("momentum", momentum.clone());
        checkpoint.put("probe", probes);
        if let Some(name) = checkpoint.non_finite()? {
            return Err(
                self.non_finite(&format!("{name} is not finite"), "the supernet".to_owned())
            );
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
        let mut checkpoint = Checkpoint::from_file(path.clone(), &mut found, &self.identity())?;
        let state: State = checkpoint.state()?;
        let device = &self.plan.device;
        let fail = |reason: String| TrainError::Checkpoint { path: path.clone(), reason };
        for (group, weights) in
            [("weights", self.supernet.weights()), ("matching", self.matching.weights())]
        {
            let loaded = weights.load(&checkpoint.take(group), |_| false);
            loaded.map_err(|error| fail(error.to_string()))?;
        }
        let (momentum, parameters) =
            (checkpoint.take_to("momentum", device)?, &self.supernet.weights().parameters);
        self.optimizer
            .restore(momentum, Default::default(), state.optimizer_steps, parameters)
            .map_err(fail)?;
        let SearchSettings { board_size: capacity, precision, .. } = self.plan.settings;
        let mut probes = checkpoint.take_to("probe", device)?;
        for (_, images) in probes.iter_mut().filter(|(name, _)| name.ends_with("/images")) {
            *images = images.to_dtype(precision.dtype())?;
        }
        self.prioritized =
            PrioritizedPaths::restore(capacity, &state.board, &probes).map_err(fail)?;
        for entry in &state.board {
            let parameters = self.supernet.path_parameters(&entry.path);
            parameters.map_err(|error| fail(error.to_string()))?;
        }
        (self.position, self.prior, self.skipped) = (state.position, state.prior, state.skipped);
        let Position { epoch, batch, step, skipped, .. } = self.position;
        let per_epoch = self.schedule.steps_per_epoch;
        check_position(epoch, batch, step, skipped, per_epoch).map_err(fail)?;
        self.folder.take_up(&found, place_of(&self.position, per_epoch))?;
        self.metrics = self.folder.metrics(state.metrics)?;
        report.message(&format!("resuming from {} (epoch {epoch}, step {step})", path.display()));
        Ok(())
    }
}
