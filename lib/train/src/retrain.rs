//! Training one network from scratch, or on from given weights.

mod state;
mod step;
#[cfg(test)]
mod tests;

use self::step::{Reading, Unread};
use crate::TrainError;
use crate::checkpoint::{Identity, is_due};
use crate::data_wait::DataWait;
use crate::distillation::{Teacher, TeacherPlan};
use crate::ema::Ema;
use crate::evaluate::evaluate_network;
use crate::feed::Feed;
use crate::incoming::Incoming;
use crate::memory;
use crate::optimizer::Optimizer;
use crate::report::Report;
use crate::run_folder::{Metrics, Resume, RunFolder};
use crate::schedule::Schedule;
use crate::score::Tally;
use crate::settings::{RetrainSettings, eval_transform};
use crate::sitting::{Outcome, Reason, Sitting, Stopped};
use candle_core::{DType, Device, Tensor};
use cream_arch::Architecture;
use cream_data::{Loader, LoaderSettings, ShardSet, Split, TrainTransform, Transform};
use cream_nn::{ChildNet, ToBeLoaded};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Everything that a retraining is a function of, but for the images.
#[derive(Clone, Debug)]
pub struct RetrainPlan {
    /// The settings.
    pub settings: RetrainSettings,
    /// The network.
    pub architecture: Architecture,
    /// Weights to start from instead of random ones.
    pub init: Option<BTreeMap<String, Tensor>>,
    /// A network to learn from besides the labels.
    pub teacher: Option<TeacherPlan>,
    /// Where the weights lie.
    pub device: Device,
}

impl RetrainPlan {
    /// Whether the plan can be carried out on these images.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for what cannot work.
    pub fn check(&self, data: &ShardSet) -> Result<(), TrainError> {
        self.settings.check()?;
        self.settings.precision.check(&self.device)?;
        let (expected, classes) = (self.architecture.num_classes, data.num_classes());
        if classes != expected {
            return Err(TrainError::Setting(format!(
                "the architecture has {expected} classes and the data {classes}; give --classes {classes}"
            )));
        }
        if let Some(teacher) = &self.teacher {
            teacher.check(&self.architecture)?;
        }
        let images = data.len(Split::Train);
        if self.settings.steps_per_epoch(images) > 0 {
            return Ok(());
        }
        let RetrainSettings { batch, accumulate, .. } = self.settings;
        Err(TrainError::Setting(if accumulate == 1 {
            format!(
                "the data has {images} training images, fewer than one batch of {batch}; give a smaller --batch"
            )
        } else {
            format!(
                "the data has {images} training images, fewer than a step of {accumulate} batches of {batch}; give a \
                 smaller --accumulate or --batch"
            )
        }))
    }
}

/// Where a retraining stands, with sums over the epoch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Position {
    epoch: usize,
    batch: usize,
    step: u64,
    loss: f64,
    tally: Tally,
    /// Steps of the epoch that were skipped.
    skipped: u64,
}

/// A retraining under way.
struct Retraining<'a> {
    plan: &'a RetrainPlan,
    data: &'a Arc<ShardSet>,
    feed: Feed,
    folder: &'a RunFolder,
    /// What checkpoints are held to belong to.
    identity: Identity,
    network: ChildNet,
    teacher: Option<Teacher>,
    optimizer: Optimizer,
    ema: Option<Ema>,
    schedule: Schedule,
    metrics: Metrics,
    position: Position,
    /// Steps of the run that were skipped, their numbers not being finite.
    skipped: u64,
    /// The last evaluation on the validation split.
    validation: Tally,
    reading: Reading,
    /// Batches of the last step whose numbers are to be read yet.
    unread: Vec<Unread>,
}

/// Trains a network on all training images and leaves `model.safetensors` (the averaged weights if there is an
/// average, and then `model-raw.safetensors` besides) and `metrics.csv` in the folder. Returns the last score on the
/// validation images. A checkpoint is written at the end of every epoch and every `checkpoint-steps` steps, and when the
/// sitting ends before the training.
///
/// # Errors
/// Settings that cannot work, unreadable data, a loss or gradient that is not finite, files that cannot be written, or
/// a device without room for a step.
pub fn retrain(
    plan: &RetrainPlan,
    data: &Arc<ShardSet>,
    folder: &RunFolder,
    sitting: &Sitting,
    report: &mut dyn Report,
) -> Result<Outcome<Tally>, TrainError> {
    let outcome = run(plan, data, folder, sitting, report);
    outcome.map_err(|error| error.of_batch(plan.settings.batch))
}

fn run(
    plan: &RetrainPlan,
    data: &Arc<ShardSet>,
    folder: &RunFolder,
    sitting: &Sitting,
    report: &mut dyn Report,
) -> Result<Outcome<Tally>, TrainError> {
    let mut run = Retraining::start(plan, data, folder, &sitting.resume, report)?;
    let (steps, epochs) = (run.schedule.steps_per_epoch, plan.settings.total_epochs());
    let first = run.position.step;
    if let Some(text) = folder.warning() {
        report.warning(&text);
    }
    let mut wait = DataWait::default();
    report.begin((steps * epochs) as u64, first, "steps");
    while run.position.epoch < epochs {
        let (began, mut batches) = (Instant::now(), run.training_batches()?);
        // After its last step an epoch may still be to be scored.
        while run.position.batch < steps {
            run.step(&mut batches)?.tell(report);
            if let Some(reason) = sitting.end(run.position.step - first) {
                return run.stop(reason, sitting);
            }
            let Position { step, batch, .. } = run.position;
            if is_due(plan.settings.checkpoint_steps, step) && batch < steps {
                run.read_up()?;
                run.save_checkpoint(None)?;
            }
        }
        run.read_up()?;
        wait.add(began, batches.loader());
        drop(batches);
        let evaluated = run.evaluation_is_due(epochs);
        // Cut off, an evaluation begins again at the next sitting.
        let taken = run.position.step - first;
        if evaluated && let Some(reason) = run.evaluate(|| sitting.end_scoring(taken))? {
            return run.stop(reason, sitting);
        }
        report.message(&run.end_epoch(epochs, evaluated)?);
        run.save_checkpoint(evaluated.then(|| run.validation.top1()))?;
    }
    report.end();
    run.finish()?;
    let lines = [wait.summary(), memory::summary()];
    lines.iter().flatten().for_each(|line| report.message(line));
    Ok(Outcome::Done(run.validation))
}

impl<'a> Retraining<'a> {
    fn start(
        plan: &'a RetrainPlan,
        data: &'a Arc<ShardSet>,
        folder: &'a RunFolder,
        resume: &Resume,
        report: &mut dyn Report,
    ) -> Result<Self, TrainError> {
        let RetrainPlan { settings, architecture, device, .. } = plan;
        plan.check(data)?;
        let steps = settings.steps_per_epoch(data.len(Split::Train));
        let (network, anew) = state::network(plan)?;
        let ema = match settings.ema_decay {
            0.0 => None,
            decay => Some(Ema::new(network.weights(), decay, settings.ema_warmup)?),
        };
        let teacher = match &plan.teacher {
            None => None,
            Some(teacher) => Some(Teacher::new(teacher, architecture, settings, device)?),
        };
        let mut run = Self {
            plan,
            data,
            feed: Feed::new(
                &architecture.input,
                architecture.num_classes,
                (device, settings.precision),
            ),
            folder,
            identity: state::identity(plan, data.checksum()),
            network,
            teacher,
            optimizer: Optimizer::new(settings.rule()),
            ema,
            schedule: settings.schedule(steps),
            metrics: Metrics::default(),
            position: Position::default(),
            skipped: 0,
            validation: Tally::default(),
            reading: if device.is_cpu() { Reading::BeforeUpdate } else { Reading::OneStepLater },
            unread: Vec::new(),
        };
        run.resume(resume, report)?;
        if run.position.step == 0
            && let Some(text) = anew
        {
            report.message(&text);
        }
        Ok(run)
    }

    fn loader_settings(&self) -> LoaderSettings {
        let RetrainSettings { batch, workers, seed, .. } = self.plan.settings;
        LoaderSettings { batch, workers, seed, drop_last: true, ..LoaderSettings::default() }
    }

    fn training_batches(&self) -> Result<Incoming, TrainError> {
        let Position { epoch, batch, .. } = self.position;
        let Architecture { image_size, ref input, .. } = self.plan.architecture;
        let augmentation = &self.plan.settings.augmentation;
        let transform = match augmentation.train_transform(image_size, input.evaluation) {
            Some(transform) => Transform::Train(TrainTransform {
                mixing: self.plan.settings.mixing(),
                ..transform
            }),
            None => Transform::Eval(eval_transform(image_size, input.evaluation)),
        };
        let settings = self.loader_settings();
        let first = batch * self.plan.settings.accumulate;
        let (split, epoch) = (Split::Train, epoch as u64);
        let batches = Loader::train(self.data, split, transform, settings, epoch, first)?;
        Incoming::new(batches, &self.plan.device)
    }

    /// Whether the weights are to be scored after this epoch.
    fn evaluation_is_due(&self, epochs: usize) -> bool {
        let done = self.position.epoch + 1;
        let due = done.is_multiple_of(self.plan.settings.evaluate_epochs) || done == epochs;
        due && self.data.len(Split::Validation) > 0
    }

    /// Writes the epoch's row of metrics and moves on; returns a line for people.
    fn end_epoch(&mut self, epochs: usize, evaluated: bool) -> Result<String, TrainError> {
        let Position { epoch, step, loss, tally, skipped, .. } = self.position;
        let done = epoch + 1;
        let steps = (self.schedule.steps_per_epoch as u64).saturating_sub(skipped);
        let loss = loss / steps as f64;
        let rate = self.schedule.rate(step.saturating_sub(1));
        let number = |value: f64| if evaluated { value.to_string() } else { String::new() };
        self.metrics.append(&[
            ("epoch", done.to_string()),
            ("step", step.to_string()),
            ("learning_rate", rate.to_string()),
            ("train_loss", loss.to_string()),
            ("train_top1", tally.top1().to_string()),
            ("val_loss", number(self.validation.loss())),
            ("val_top1", number(self.validation.top1())),
            ("val_top5", number(self.validation.top5())),
        ])?;
        self.position = Position { epoch: done, step, ..Position::default() };
        let validation = if evaluated {
            format!(", validation top-1 {:.2} %", self.validation.top1() * 100.0)
        } else {
            String::new()
        };
        let train = tally.top1() * 100.0;
        Ok(format!("epoch {done}/{epochs}: loss {loss:.4}, top-1 {train:.2} %{validation}"))
    }

    /// Scores the weights that would be exported now, unless there is a reason to stop.
    fn evaluate(
        &mut self,
        stop: impl Fn() -> Option<Reason>,
    ) -> Result<Option<Reason>, TrainError> {
        let (architecture, device) = (&self.plan.architecture, &self.plan.device);
        let averaged = match &self.ema {
            None => None,
            Some(ema) => {
                let mut init = ToBeLoaded::like(self.network.weights());
                let averaged = ChildNet::new(architecture, &mut init, DType::F32, device)?;
                averaged.weights().load(ema.tensors(), |_| false)?;
                Some(averaged)
            }
        };
        let network = averaged.as_ref().unwrap_or(&self.network);
        let go_on = || stop().is_none();
        let on = (device, self.plan.settings.precision);
        match evaluate_network(network, self.data, self.loader_settings(), on, go_on)? {
            Some(tally) => {
                self.validation = tally;
                Ok(None)
            }
            None => Ok(stop()),
        }
    }

    /// Ends the sitting with a checkpoint.
    fn stop(&mut self, reason: Reason, sitting: &Sitting) -> Result<Outcome<Tally>, TrainError> {
        self.read_up()?;
        let checkpoint = self.save_checkpoint(None)?;
        let (step, resumed) = (self.position.step, sitting.resume.clone());
        Ok(Outcome::Stopped(Stopped { reason, step, checkpoint, resumed }))
    }

    /// Something in this step of this epoch.
    fn non_finite(&self, problem: &str, (step, epoch): (u64, usize)) -> TrainError {
        let what = self.plan.architecture.name.clone().unwrap_or("the network".to_owned());
        let (problem, advice) = (problem.to_owned(), self.folder.advice());
        TrainError::NonFinite { problem, step, epoch, what, advice, images: String::new() }
    }
}
