//! Training one network from scratch, or on from given weights.

use crate::TrainError;
use crate::checkpoint::{Checkpoint, Identity};
use crate::ema::Ema;
use crate::evaluate::evaluate_network;
use crate::feed::Feed;
use crate::initialise::KeyedInitialisation;
use crate::optimizer::{Optimizer, clip, gradients};
use crate::report::Report;
use crate::run_folder::{Metrics, Resume, RunFolder};
use crate::schedule::Schedule;
use crate::score::Tally;
use crate::settings::{RetrainSettings, eval_transform};
use candle_core::{DType, Device, Tensor};
use cream_arch::Architecture;
use cream_data::keyed::{Key, Purpose, chance};
use cream_data::{Batch, Loader, LoaderSettings, ShardSet, Split, Transform};
use cream_nn::layers::Statistics;
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{ChildNet, TensorFile, ToBeLoaded};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that a retraining is a function of, but for the images.
#[derive(Clone, Debug)]
pub struct RetrainPlan {
    /// The settings.
    pub settings: RetrainSettings,
    /// The network.
    pub architecture: Architecture,
    /// Weights to start from instead of random ones.
    pub init: Option<BTreeMap<String, Tensor>>,
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
        let (expected, classes) = (self.architecture.num_classes, data.num_classes());
        if classes != expected {
            return Err(TrainError::Setting(format!(
                "the architecture has {expected} classes and the data {classes}; export it with --classes {classes}"
            )));
        }
        let (images, batch) = (data.len(Split::Train), self.settings.batch);
        if images < batch {
            return Err(TrainError::Setting(format!(
                "the data has {images} training images, fewer than one batch of {batch}; give a smaller --batch"
            )));
        }
        Ok(())
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
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    position: Position,
    optimizer_steps: u64,
    metrics_bytes: u64,
    validation: Tally,
}

struct Retraining<'a> {
    plan: &'a RetrainPlan,
    data: &'a Arc<ShardSet>,
    feed: Feed,
    folder: &'a RunFolder,
    network: ChildNet,
    optimizer: Optimizer,
    ema: Option<Ema>,
    schedule: Schedule,
    metrics: Metrics,
    position: Position,
    /// The last evaluation on the validation split.
    validation: Tally,
}

/// Trains a network on all training images and leaves `model.safetensors` (the averaged weights if there is an
/// average, and then `model-raw.safetensors` besides) and `metrics.csv` in the folder. Returns the last score on the
/// validation images.
///
/// # Errors
/// Settings that cannot work, unreadable data, a loss that is no number, or files that cannot be written.
pub fn retrain(
    plan: &RetrainPlan,
    data: &Arc<ShardSet>,
    folder: &RunFolder,
    resume: &Resume,
    report: &mut dyn Report,
) -> Result<Tally, TrainError> {
    let mut run = Retraining::start(plan, data, folder, resume, report)?;
    let (steps, epochs) = (run.schedule.steps_per_epoch, plan.settings.total_epochs());
    report.begin((steps * epochs) as u64, run.position.step, "steps");
    while run.position.epoch < epochs {
        for batch in run.training_batches()? {
            let loss = run.step(&batch?)?;
            report.advance(1, format!("loss {loss:.3}"));
            let every = plan.settings.checkpoint_steps;
            if every > 0 && run.position.step.is_multiple_of(every) && run.position.batch < steps {
                run.save_checkpoint()?;
            }
        }
        report.message(&run.end_epoch(epochs)?);
        run.save_checkpoint()?;
    }
    report.end();
    run.finish()?;
    Ok(run.validation)
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
        let steps = data.len(Split::Train) / settings.batch;
        let network = new_network(plan)?;
        let ema = match settings.ema_decay {
            0.0 => None,
            decay => Some(Ema::new(network.weights(), decay, settings.ema_warmup)?),
        };
        let mut run = Self {
            plan,
            data,
            feed: Feed::new(&architecture.input, architecture.num_classes, device),
            folder,
            network,
            optimizer: Optimizer::new(settings.rule()),
            ema,
            schedule: settings.schedule(steps),
            metrics: Metrics::default(),
            position: Position::default(),
            validation: Tally::default(),
        };
        run.resume(resume, report)?;
        Ok(run)
    }

    fn loader_settings(&self) -> LoaderSettings {
        let RetrainSettings { batch, workers, seed, .. } = self.plan.settings;
        LoaderSettings { batch, workers, seed, drop_last: true, ..LoaderSettings::default() }
    }

    fn training_batches(&self) -> Result<Loader, TrainError> {
        let Position { epoch, batch, .. } = self.position;
        let Architecture { image_size, ref input, .. } = self.plan.architecture;
        let augmentation = &self.plan.settings.augmentation;
        let transform = match augmentation.train_transform(image_size, input.evaluation) {
            Some(transform) => Transform::Train(transform),
            None => Transform::Eval(eval_transform(image_size, input.evaluation)),
        };
        let settings = self.loader_settings();
        Ok(Loader::train(self.data, Split::Train, transform, settings, epoch as u64, batch)?)
    }

    /// One step on one batch; returns the loss.
    fn step(&mut self, batch: &Batch) -> Result<f64, TrainError> {
        let settings = &self.plan.settings;
        let images = self.feed.images(batch)?;
        let target = self.feed.targets(batch, settings.label_smoothing)?;
        let pass = self.network.pass(Statistics::Update).with_gradients();
        let logits =
            self.network.forward(&images, &pass.with_dropout(self.dropout(batch.len())?))?;
        let loss = cross_entropy(&logits, &target)?;
        let logits = logits.detach();
        let value = loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        if !value.is_finite() {
            return Err(self.non_finite(value));
        }
        let weights = self.network.weights();
        let parameters = weights.parameters.iter().map(|(name, var)| (name.as_str(), var));
        let mut gradients = gradients(&mut loss.backward()?, parameters)?;
        drop(loss);
        if settings.clip_gradient > 0.0 {
            clip(&mut gradients, settings.clip_gradient)?;
        }
        self.optimizer.step(&gradients, self.schedule.rate(self.position.step))?;
        if let Some(ema) = &mut self.ema {
            ema.update(weights)?;
        }
        self.position.step += 1;
        self.position.batch += 1;
        self.position.loss += value;
        self.position.tally.add(&logits, &batch.labels)?;
        Ok(value)
    }

    /// Dropout factors `[images, features]` of this step.
    fn dropout(&self, images: usize) -> Result<Option<Tensor>, TrainError> {
        let RetrainSettings { dropout: rate, seed, .. } = self.plan.settings;
        if rate == 0.0 {
            return Ok(None);
        }
        let mut rng = Key::new(seed, Purpose::Dropout).rng(&[self.position.step, 0]);
        let features = self.plan.architecture.head.channels;
        let kept = (1.0 / (1.0 - rate)) as f32;
        let factor = |_| if chance(&mut rng, rate) { 0.0 } else { kept };
        let factors: Vec<f32> = (0..images * features).map(factor).collect();
        Ok(Some(Tensor::from_vec(factors, (images, features), &self.plan.device)?))
    }

    /// Evaluates when it is time, writes the epoch's row of metrics and moves on; returns a line for people.
    fn end_epoch(&mut self, epochs: usize) -> Result<String, TrainError> {
        let Position { epoch, step, loss, tally, .. } = self.position;
        let done = epoch + 1;
        let due = done.is_multiple_of(self.plan.settings.evaluate_epochs) || done == epochs;
        let evaluated = due && self.data.len(Split::Validation) > 0;
        if evaluated {
            self.validation = self.evaluate()?;
        }
        let loss = loss / self.schedule.steps_per_epoch as f64;
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

    /// Scores the weights that would be exported now.
    fn evaluate(&self) -> Result<Tally, TrainError> {
        let Some(ema) = &self.ema else {
            return evaluate_network(
                &self.network,
                self.data,
                self.loader_settings(),
                &self.plan.device,
            );
        };
        let (architecture, device) = (&self.plan.architecture, &self.plan.device);
        let averaged = ChildNet::new(architecture, &mut ToBeLoaded, DType::F32, device)?;
        averaged.weights().load(ema.tensors(), |_| false)?;
        evaluate_network(&averaged, self.data, self.loader_settings(), device)
    }

    fn non_finite(&self, loss: f64) -> TrainError {
        let advice = match self.folder.newest_checkpoint().ok().flatten() {
            Some(file) => format!(
                "the last good checkpoint is {}; lower learning-rate and start anew, or resume from it",
                file.display()
            ),
            None => "lower learning-rate and start anew".to_owned(),
        };
        let what = self.plan.architecture.name.clone().unwrap_or("the network".to_owned());
        TrainError::NonFinite {
            loss,
            step: self.position.step,
            epoch: self.position.epoch,
            what,
            advice,
        }
    }

    fn identity(&self) -> Identity {
        // The name and where it came from say nothing about the network.
        let mut network = self.plan.architecture.clone();
        (network.name, network.provenance) = (None, None);
        let network = serde_json::to_value(network).unwrap_or_default();
        Identity::new("retrain", &self.plan.settings, self.data.checksum())
            .with("architecture", network)
    }

    fn save_checkpoint(&self) -> Result<(), TrainError> {
        let (momentum, square, optimizer_steps) = self.optimizer.state();
        let state = State {
            position: self.position,
            optimizer_steps,
            metrics_bytes: self.metrics.bytes(),
            validation: self.validation,
        };
        let mut checkpoint = Checkpoint::new(self.identity(), &state)?;
        checkpoint.put("weights", self.network.weights().tensors());
        checkpoint.put("momentum", momentum.clone());
        checkpoint.put("square", square.clone());
        if let Some(ema) = &self.ema {
            checkpoint.put("ema", ema.tensors().clone());
        }
        let keep = self.plan.settings.keep_checkpoints;
        self.folder.save_checkpoint(self.position.step, &checkpoint.into_file(), keep)?;
        Ok(())
    }

    fn resume(&mut self, resume: &Resume, report: &mut dyn Report) -> Result<(), TrainError> {
        let found = self.folder.load_checkpoint(resume, |text| report.message(&text))?;
        let Some((path, file)) = found else {
            self.folder.clear()?;
            self.metrics = self.folder.metrics(0)?;
            return Ok(());
        };
        let mut checkpoint = Checkpoint::from_file(path.clone(), file, &self.identity())?;
        let state: State = checkpoint.state()?;
        self.network.weights().load(&checkpoint.take("weights"), |_| false)?;
        let (momentum, square) = (checkpoint.take("momentum"), checkpoint.take("square"));
        self.optimizer.restore(momentum, square, state.optimizer_steps);
        if let Some(ema) = &mut self.ema {
            ema.restore(checkpoint.take("ema"), state.position.step);
        }
        (self.position, self.validation) = (state.position, state.validation);
        self.metrics = self.folder.metrics(state.metrics_bytes)?;
        let Position { epoch, step, .. } = self.position;
        report.message(&format!("resuming from {} (epoch {epoch}, step {step})", path.display()));
        Ok(())
    }

    fn finish(&self) -> Result<(), TrainError> {
        let raw = self.network.weights().tensors();
        let exported = match &self.ema {
            Some(ema) => {
                self.folder
                    .write("model-raw.safetensors", &self.weights_file(raw, "raw").to_bytes()?)?;
                self.weights_file(ema.tensors().clone(), "ema")
            }
            None => self.weights_file(raw, "raw"),
        };
        self.folder.write("model.safetensors", &exported.to_bytes()?)
    }

    fn weights_file(&self, tensors: BTreeMap<String, Tensor>, weights: &str) -> TensorFile {
        let description = serde_json::json!({
            "format": "cream-weights",
            "version": 1,
            "weights": weights,
            "architecture": self.plan.architecture,
            "classes": self.data.classes(),
        });
        TensorFile { description, tensors }
    }
}

/// The network before its first step. Given weights may have another classifier: then that starts anew.
fn new_network(plan: &RetrainPlan) -> Result<ChildNet, TrainError> {
    let mut init = KeyedInitialisation::new(plan.settings.seed);
    let network = ChildNet::new(&plan.architecture, &mut init, DType::F32, &plan.device)?;
    let Some(given) = &plan.init else { return Ok(network) };
    let mut given = given.clone();
    for name in ["classifier.weight", "classifier.bias"] {
        let own = network.weights().parameters.get(name);
        if let (Some(own), Some(theirs)) = (own, given.get(name))
            && own.dims() != theirs.dims()
        {
            given.insert(name.to_owned(), own.as_detached_tensor());
        }
    }
    network.weights().load(&given, |_| false)?;
    Ok(network)
}
