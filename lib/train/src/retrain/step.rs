//! One step of a retraining.

use super::{Position, Retraining};
use crate::TrainError;
use crate::accumulation::Accumulation;
use crate::drop_path::draw;
use crate::incoming::{Incoming, Sent};
use crate::non_finite::{Before, Step, with_images};
use crate::optimizer::{clip, gradients};
use crate::readout::Readout;
use crate::score::Tally;
use crate::settings::RetrainSettings;
use candle_core::Tensor;
use cream_data::Batch;
use cream_data::keyed::{Key, Purpose, chance};
use cream_nn::layers::{DropPath, Statistics};
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::transfer::to_device;
use std::fmt;

/// The mean loss of the last step that has been read.
pub(super) struct Loss(Option<f64>);

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |loss| write!(f, "loss {loss:.3}"))
    }
}

/// When the numbers of a step are read, for which a device must have come as far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Before its update: bad ones change nothing.
    BeforeUpdate,
    /// When the next step is in the device's queue, which so is never empty. Bad ones are found one update too late, which
    /// is early enough for a run that ends there: nothing is written with numbers unread.
    OneStepLater,
}

/// A batch of a step whose numbers have not been read.
pub(super) struct Unread {
    step: u64,
    epoch: usize,
    batch: Batch,
    readout: Readout,
}

/// What the batches of a step have said.
#[derive(Default)]
struct Said {
    /// Sum of the batches' mean losses.
    loss: f64,
    tally: Tally,
}

impl Retraining<'_> {
    /// Trains on the next global batch.
    pub(super) fn step(&mut self, batches: &mut Incoming) -> Result<Step<Loss>, TrainError> {
        let RetrainSettings { accumulate, skip_nonfinite, .. } = self.plan.settings;
        let running = self.network.weights().buffers.values();
        let tolerant = self.skipped < skip_nonfinite;
        let before = Before::step(running, tolerant)?;
        let reading = if tolerant { Reading::BeforeUpdate } else { self.reading };
        let (mut gradients, mut said) = (Accumulation::default(), Said::default());
        let mut unread = Vec::new();
        for number in 0..accumulate {
            let sent = next(batches)?;
            let learned = self.learn(sent, number, &mut gradients)?;
            batches.look_ahead();
            if reading == Reading::OneStepLater {
                unread.push(learned);
                continue;
            }
            let (batch, outcome) = self.read(learned, &mut said);
            if outcome.is_err() {
                let skipped = before.settle(outcome, (self.folder, self.data), &batch)?;
                // Nothing of this step counts: its other batches are passed over with it.
                (number + 1..accumulate).try_for_each(|_| next(batches).map(drop))?;
                self.skipped += 1;
                self.position.skipped += 1;
                self.advance();
                return Ok(skipped);
            }
        }
        self.update(gradients)?;
        self.advance();
        let loss = match reading {
            Reading::BeforeUpdate => Some(self.count(said)),
            Reading::OneStepLater => {
                let earlier = std::mem::replace(&mut self.unread, unread);
                self.read_all(earlier)?
            }
        };
        Ok(Step::Taken(Loss(loss)))
    }

    fn advance(&mut self) {
        self.position.step += 1;
        self.position.batch += 1;
    }

    /// Forward and backward pass of batch `number` of the step.
    fn learn(
        &self,
        sent: Sent,
        number: usize,
        sum: &mut Accumulation,
    ) -> Result<Unread, TrainError> {
        let (images, batch) = (self.feed.images_of(&sent)?, &sent.batch);
        let target = self.feed.targets(batch, self.plan.settings.label_smoothing)?;
        let pass = self.network.pass(Statistics::Update).with_gradients();
        let pass = pass.with_dropout(self.dropout(batch.len(), number)?);
        let pass = pass.with_drop_path(self.drop_path(batch.len(), number));
        let logits = self.network.forward(&images, &pass)?;
        let loss = match &self.teacher {
            None => cross_entropy(&logits, &target)?,
            Some(teacher) => teacher.loss(&logits, &target, (&sent, &images))?,
        };
        let parameters = self.network.weights().parameters.iter();
        let parameters = parameters.map(|(name, var)| (name.as_str(), var));
        let gradients = gradients(&mut pass.backward(&loss)?, parameters)?;
        let readout = Readout::begin(&loss, &gradients, &logits)?;
        sum.add(&gradients)?;
        let Position { step, epoch, .. } = self.position;
        Ok(Unread { step, epoch, batch: sent.batch, readout })
    }

    /// Waits for a batch's numbers and counts them, unless they are not finite.
    fn read(&self, unread: Unread, said: &mut Said) -> (Batch, Result<Loss, TrainError>) {
        let Unread { step, epoch, batch, readout } = unread;
        let read = || {
            let numbers = readout.wait()?;
            let names = self.network.weights().parameters.keys().map(String::as_str);
            if let Some(problem) = numbers.problem(names) {
                return Err(self.non_finite(&problem, (step, epoch)));
            }
            said.loss += numbers.loss;
            said.tally.add(&numbers.logits, &batch.labels)?;
            Ok(Loss(Some(numbers.loss)))
        };
        let outcome = read();
        (batch, outcome)
    }

    /// Takes what a step's batches have said into the epoch's sums; returns the step's loss.
    fn count(&mut self, said: Said) -> f64 {
        let loss = said.loss / self.plan.settings.accumulate as f64;
        self.position.loss += loss;
        self.position.tally.merge(said.tally);
        loss
    }

    /// Reads the numbers of the last step, if they have not been read: before anything is made of the epoch's sums or
    /// written.
    pub(super) fn read_up(&mut self) -> Result<(), TrainError> {
        let unread = std::mem::take(&mut self.unread);
        self.read_all(unread).map(drop)
    }

    /// The loss of a step of which nothing has been read; `None` where there is none.
    fn read_all(&mut self, unread: Vec<Unread>) -> Result<Option<f64>, TrainError> {
        if unread.is_empty() {
            return Ok(None);
        }
        let mut said = Said::default();
        for unread in unread {
            let (batch, outcome) = self.read(unread, &mut said);
            with_images(outcome, (self.folder, self.data), &batch)?;
        }
        Ok(Some(self.count(said)))
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
        Ok(Some(to_device(factors, (images, features), &self.plan.device)?))
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
fn next(batches: &mut Incoming) -> Result<Sent, TrainError> {
    match batches.next() {
        Some(sent) => sent,
        None => Err(TrainError::Setting("the epoch has fewer batches than steps".to_owned())),
    }
}
