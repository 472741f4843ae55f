//! One step of the search.

use super::{Position, Search};
use crate::TrainError;
use crate::incoming::Sent;
use crate::matching::{Choice, MatchingBatch, Probe};
use crate::non_finite::{Before, Step};
use crate::optimizer::gradients;
use crate::readout::Readout;
use crate::score::Tally;
use crate::settings::{PickMethod, SearchSettings};
use crate::targets::{distilled, softmax};
use candle_core::Tensor;
use cream_arch::{Candidate, Path};
use cream_data::keyed::{Key, Purpose};
use cream_nn::layers::Statistics;
use cream_nn::ops::cross_entropy::cross_entropy;
use std::fmt;

/// Loss and top-1 of one step's batch.
pub(super) struct BatchScore {
    loss: f64,
    top1: f64,
}

impl fmt::Display for BatchScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.3}, top-1 {:.1} %", self.loss, self.top1 * 100.0)
    }
}

/// A teacher for a student, and the weight of its labels.
struct Teaching {
    teacher: Path,
    rho: f64,
}

impl Search<'_> {
    /// Draws a path and trains it on the batch. `meanwhile` is called when the device has its work and is not waited for
    /// yet.
    pub(super) fn step(
        &mut self,
        sent: &Sent,
        meanwhile: impl FnOnce(),
    ) -> Result<Step<BatchScore>, TrainError> {
        let SearchSettings { seed, skip_nonfinite, .. } = self.plan.settings;
        let step = self.position.step;
        let path = self.sampler.sample(&mut Key::new(seed, Purpose::Path).rng(&[step, 0]));
        let running = self.supernet.path_buffers(&path)?;
        let moved = running.into_iter().map(|(_, var)| var);
        let moved = moved.chain(self.matching.weights().parameters.values());
        let before = Before::step(moved, self.skipped < skip_nonfinite)?;
        let outcome = self.train(path, sent, meanwhile);
        let outcome = before.settle(outcome, (self.folder, self.data), &sent.batch)?;
        if let Step::Skipped(_) = outcome {
            self.skipped += 1;
            self.position.skipped += 1;
        }
        self.position.step += 1;
        self.position.batch += 1;
        Ok(outcome)
    }

    /// Finds the path a teacher, trains it on the batch and offers it to the board.
    fn train(
        &mut self,
        path: Path,
        sent: &Sent,
        meanwhile: impl FnOnce(),
    ) -> Result<BatchScore, TrainError> {
        let settings = &self.plan.settings;
        let step = self.position.step;
        let rate = self.schedule.rate(step);
        let images = self.feed.images_of(sent)?;
        let hard = self.feed.targets(&sent.batch, settings.label_smoothing)?;
        let open = self.position.epoch >= settings.warmup_epochs;
        let teaching = if open { self.find_teacher(&path, &images, &hard, rate)? } else { None };
        let target = match &teaching {
            Some(teaching) => {
                let pass = self.supernet.pass(Statistics::Batch);
                let soft = softmax(&self.supernet.forward(&images, &teaching.teacher, &pass)?)?;
                distilled(&soft, &hard, teaching.rho)?
            }
            None => hard,
        };
        let pass = self.supernet.pass(Statistics::Update).with_gradients();
        let logits = self.supernet.forward(&images, &path, &pass)?;
        let loss = cross_entropy(&logits, &target)?;
        let parameters = self.supernet.path_parameters(&path)?;
        let gradients = gradients(&mut pass.backward(&loss)?, parameters)?;
        let readout = Readout::begin(&loss, &gradients, &logits)?;
        meanwhile();
        // Only now, as it waits for the device to have come this far.
        let numbers = readout.wait()?;
        if let Some(problem) = numbers.problem(gradients.iter().map(|g| g.name)) {
            return Err(self.non_finite(&problem, format!("path {path}")));
        }
        // Loss and logits hold the graph, and the graph every activation: none is needed any more.
        let answers = logits.detach();
        drop((loss, logits));
        self.optimizer.step(&gradients, rate)?;
        let mut tally = Tally::default();
        tally.add(&numbers.logits, &sent.batch.labels)?;
        if open {
            self.offer(path, &images, &answers, tally.top1())?;
        }
        let position = &mut self.position;
        position.loss += numbers.loss;
        position.correct += tally.top1 as f64;
        position.images += tally.images;
        Ok(BatchScore { loss: numbers.loss, top1: tally.top1() })
    }

    /// The teacher of `path`; `None` while the board is empty, and where nobody teaches. Every `meta-interval` steps after the warm-up the
    /// matching network is updated on this batch first.
    fn find_teacher(
        &self,
        path: &Path,
        images: &Tensor,
        targets: &Tensor,
        rate: f64,
    ) -> Result<Option<Teaching>, TrainError> {
        let settings = &self.plan.settings;
        let Some(best) = self.prioritized.best() else { return Ok(None) };
        match settings.pick_method {
            PickMethod::None => return Ok(None),
            PickMethod::Top1 => return Ok(Some(Teaching { teacher: best.clone(), rho: 0.5 })),
            PickMethod::Meta => {}
        }
        let probes = self.prioritized.probes();
        let mut choice = self.matching.choose(&self.supernet, path, &probes)?;
        let warmup = (settings.warmup_epochs * self.schedule.steps_per_epoch) as u64;
        let open_steps = self.position.step - warmup;
        if open_steps > 0 && open_steps.is_multiple_of(settings.meta_interval) {
            self.update_matching(path, &choice, images, targets, rate)?;
            choice = self.matching.choose(&self.supernet, path, &probes)?;
        }
        let teacher = self.prioritized.board().entries[choice.entry].path.clone();
        Ok(Some(Teaching { teacher, rho: choice.rho }))
    }

    fn update_matching(
        &self,
        path: &Path,
        choice: &Choice,
        images: &Tensor,
        targets: &Tensor,
        rate: f64,
    ) -> Result<(), TrainError> {
        let settings = &self.plan.settings;
        let k = settings.slice;
        let batch = MatchingBatch {
            inner_images: images.narrow(0, 0, k)?,
            outer_images: images.narrow(0, k, k)?,
            outer_targets: targets.narrow(0, k, k)?,
        };
        let teacher = &self.prioritized.board().entries[choice.entry].path;
        let gradient =
            self.matching.gradient(&self.supernet, path, teacher, choice, &batch, rate)?;
        if !gradient.bias.is_finite() {
            let problem = "the matching network's gradient is not finite";
            return Err(self.non_finite(problem, format!("path {path}")));
        }
        Ok(self.matching.step(&gradient, settings.meta_learning_rate)?)
    }

    fn offer(
        &mut self,
        path: Path,
        images: &Tensor,
        logits: &Tensor,
        batch_score: f64,
    ) -> Result<(), TrainError> {
        let (flops, params) = self.cost(&path)?;
        let slice = self.plan.settings.slice.min(images.dim(0)?);
        let candidate = Candidate { path, flops, params, batch_score, step: self.position.step };
        self.prioritized.offer(candidate, || {
            Ok(Probe {
                // Storage of its own: a view, and `copy` too, would keep the whole batch.
                images: images.narrow(0, 0, slice)?.force_contiguous()?,
                soft_labels: softmax(&logits.narrow(0, 0, slice)?)?,
            })
        })?;
        Ok(())
    }

    pub(super) fn non_finite(&self, problem: &str, what: String) -> TrainError {
        let Position { epoch, step, .. } = self.position;
        let (problem, advice) = (problem.to_owned(), self.folder.advice());
        TrainError::NonFinite { problem, step, epoch, what, advice, images: String::new() }
    }
}
