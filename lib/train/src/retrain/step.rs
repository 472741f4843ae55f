//! One step of a retraining.

use super::Retraining;
use crate::TrainError;
use crate::accumulation::Accumulation;
use crate::drop_path::draw;
use crate::non_finite::{Before, Step};
use crate::optimizer::{clip, gradients, non_finite};
use crate::score::Tally;
use crate::settings::RetrainSettings;
use candle_core::{DType, Tensor};
use cream_data::keyed::{Key, Purpose, chance};
use cream_data::{Batch, Loader};
use cream_nn::layers::{DropPath, Statistics};
use cream_nn::ops::cross_entropy::cross_entropy;
use std::fmt;

/// The mean loss of one step.
pub(super) struct Loss(f64);

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.3}", self.0)
    }
}

/// What the batches of a step have given so far.
#[derive(Default)]
struct Learned {
    gradients: Accumulation,
    /// Sum of the batches' mean losses.
    loss: f64,
    tally: Tally,
}

impl Retraining<'_> {
    /// Trains on the next global batch.
    pub(super) fn step(&mut self, batches: &mut Loader) -> Result<Step<Loss>, TrainError> {
        let RetrainSettings { accumulate, skip_nonfinite, .. } = self.plan.settings;
        let running = self.network.weights().buffers.values();
        let before = Before::step(running, self.skipped < skip_nonfinite)?;
        let mut learned = Learned::default();
        for number in 0..accumulate {
            let batch = next(batches)?;
            if let Err(problem) = self.learn(&batch, number, &mut learned) {
                let skipped = before.settle(Err(problem), (self.folder, self.data), &batch)?;
                // Nothing of this step counts: its other batches are passed over with it.
                (number + 1..accumulate).try_for_each(|_| next(batches).map(drop))?;
                self.skipped += 1;
                self.position.skipped += 1;
                self.advance();
                return Ok(skipped);
            }
        }
        let loss = learned.loss / accumulate as f64;
        self.position.loss += loss;
        self.position.tally.merge(learned.tally);
        self.update(learned.gradients)?;
        self.advance();
        Ok(Step::Taken(Loss(loss)))
    }

    fn advance(&mut self) {
        self.position.step += 1;
        self.position.batch += 1;
    }

    /// Forward and backward pass of batch `number` of the step.
    fn learn(&self, batch: &Batch, number: usize, learned: &mut Learned) -> Result<(), TrainError> {
        let images = self.feed.images(batch)?;
        let target = self.feed.targets(batch, self.plan.settings.label_smoothing)?;
        let pass = self.network.pass(Statistics::Update).with_gradients();
        let pass = pass.with_dropout(self.dropout(batch.len(), number)?);
        let pass = pass.with_drop_path(self.drop_path(batch.len(), number));
        let logits = self.network.forward(&images, &pass)?;
        let loss = match &self.teacher {
            None => cross_entropy(&logits, &target)?,
            Some(teacher) => teacher.loss(&logits, &target, (batch, &images))?,
        };
        let parameters = self.network.weights().parameters.iter();
        let parameters = parameters.map(|(name, var)| (name.as_str(), var));
        let gradients = gradients(&mut pass.backward(&loss)?, parameters)?;
        // Only now, as it waits for the device to have come this far.
        let value = loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        if !value.is_finite() {
            return Err(self.non_finite(&format!("the loss is {value}")));
        }
        if let Some(name) = non_finite(&gradients)? {
            return Err(self.non_finite(&format!("the gradient of {name} is not finite")));
        }
        // Loss and logits hold the graph, and the graph every activation: none is needed any more.
        let answers = logits.detach();
        drop((loss, logits));
        learned.loss += value;
        learned.tally.add(&answers, &batch.labels)?;
        learned.gradients.add(&gradients)?;
        Ok(())
    }

    /// Moves the weights, and their average.
    fn update(&mut self, gradients: Accumulation) -> Result<(), TrainError> {
        let weights = self.network.weights();
        let mut gradients = gradients.mean(weights.parameters.iter())?;
        let limit = self.plan.settings.clip_gradient;
        if limit > 0.0 {
            clip(&mut gradients, limit)?;
        }
        self.optimizer.step(&gradients, self.schedule.rate(self.position.step))?;
        if let Some(ema) = &mut self.ema {
            ema.update(weights)?;
        }
        Ok(())
    }

    /// Dropout factors `[images, features]` of batch `number` of this step.
    fn dropout(&self, images: usize, number: usize) -> Result<Option<Tensor>, TrainError> {
        let RetrainSettings { dropout: rate, seed, .. } = self.plan.settings;
        if rate == 0.0 {
            return Ok(None);
        }
        let indices = [self.position.step, number as u64];
        let mut rng = Key::new(seed, Purpose::Dropout).rng(&indices);
        let features = self.plan.architecture.head.channels;
        let kept = (1.0 / (1.0 - rate)) as f32;
        let factor = |_| if chance(&mut rng, rate) { 0.0 } else { kept };
        let factors: Vec<f32> = (0..images * features).map(factor).collect();
        Ok(Some(Tensor::from_vec(factors, (images, features), &self.plan.device)?))
    }

    /// Stochastic depth of batch `number` of this step.
    fn drop_path(&self, images: usize, number: usize) -> Option<DropPath> {
        let RetrainSettings { drop_path: rate, seed, .. } = self.plan.settings;
        let blocks = self.plan.architecture.stages.iter().map(Vec::len).sum();
        let places = number * images..(number + 1) * images;
        (rate > 0.0).then(|| draw(rate, blocks, (seed, self.position.step), &places))
    }
}

/// The next batch of an epoch that has one.
fn next(batches: &mut Loader) -> Result<Batch, TrainError> {
    match batches.next() {
        Some(batch) => Ok(batch?),
        None => Err(TrainError::Setting("the epoch has fewer batches than steps".to_owned())),
    }
}
