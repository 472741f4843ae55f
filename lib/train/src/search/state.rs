//! What a search's checkpoint holds, and how it is taken up again.

use super::{Position, Search, SearchPlan};
use crate::TrainError;
use crate::checkpoint::{Checkpoint, Identity, check_position};
use crate::initialise::KeyedInitialisation;
use crate::matching::Matching;
use crate::prioritized::PrioritizedPaths;
use crate::report::Report;
use crate::run_folder::Resume;
use candle_core::DType;
use cream_arch::BoardEntry;
use cream_nn::SuperNet;
use serde::{Deserialize, Serialize};

/// The part of a checkpoint that is not tensors.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    position: Position,
    board: Vec<BoardEntry>,
    prior: Vec<f64>,
    optimizer_steps: u64,
    metrics: String,
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

impl Search<'_> {
    fn identity(&self) -> Identity {
        let space = serde_json::to_value(&self.plan.space).unwrap_or_default();
        Identity::new("search", &self.plan.settings, self.data.checksum()).with("space", space)
    }

    pub(super) fn save_checkpoint(&self) -> Result<(), TrainError> {
        if !self.supernet.weights().are_finite()? {
            return Err(self.non_finite("a weight is not finite", "the supernet".to_owned()));
        }
        let (board, probes) = self.prioritized.state();
        let (momentum, _, optimizer_steps) = self.optimizer.state();
        let state = State {
            position: self.position,
            board,
            optimizer_steps,
            prior: self.prior.clone(),
            metrics: self.metrics.rows().to_owned(),
        };
        let mut checkpoint = Checkpoint::new(self.identity(), &state)?;
        checkpoint.put("weights", self.supernet.weights().tensors());
        checkpoint.put("matching", self.matching.weights().tensors());
        checkpoint.put("momentum", momentum.clone());
        checkpoint.put("probe", probes);
        let keep = self.plan.settings.keep_checkpoints;
        self.folder.save_checkpoint(self.position.step, &checkpoint.into_file(), keep)?;
        Ok(())
    }

    /// Takes up a checkpoint, or starts anew.
    pub(super) fn resume(
        &mut self,
        resume: &Resume,
        report: &mut dyn Report,
    ) -> Result<(), TrainError> {
        let found = self.folder.load_checkpoint(resume, |text| report.warning(text))?;
        let Some((path, file)) = found else {
            self.folder.clear()?;
            self.metrics = self.folder.metrics(String::new())?;
            return Ok(());
        };
        let mut checkpoint = Checkpoint::from_file(path.clone(), file, &self.identity())?;
        let state: State = checkpoint.state()?;
        self.supernet.weights().load(&checkpoint.take("weights"), |_| false)?;
        self.matching.weights().load(&checkpoint.take("matching"), |_| false)?;
        let fail = |reason: String| TrainError::Checkpoint { path: path.clone(), reason };
        let (momentum, parameters) =
            (checkpoint.take("momentum"), &self.supernet.weights().parameters);
        self.optimizer
            .restore(momentum, Default::default(), state.optimizer_steps, parameters)
            .map_err(fail)?;
        let (capacity, probes) = (self.plan.settings.board_size, checkpoint.take("probe"));
        self.prioritized =
            PrioritizedPaths::restore(capacity, &state.board, &probes).map_err(fail)?;
        for entry in &state.board {
            self.supernet.path_parameters(&entry.path)?;
        }
        (self.position, self.prior) = (state.position, state.prior);
        let Position { epoch, batch, step, .. } = self.position;
        let per_epoch = self.schedule.steps_per_epoch;
        check_position(epoch, batch, step, per_epoch).map_err(fail)?;
        self.folder.discard_after(step)?;
        self.metrics = self.folder.metrics(state.metrics)?;
        report.message(&format!("resuming from {} (epoch {epoch}, step {step})", path.display()));
        Ok(())
    }
}
