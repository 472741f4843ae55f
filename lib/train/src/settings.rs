//! The settings of searches and retrainings. Defaults are the published recipes; every key is described where
//! it is declared, and nowhere else.

use crate::TrainError;
use crate::optimizer::{Kind, Rule};
use crate::schedule::{Schedule, Shape};
use cream_arch::{EvaluationTransform, Interpolation};
use cream_data::{EvalTransform, Filter, TrainCrop, TrainInterpolation, TrainTransform};
use serde::{Deserialize, Serialize};

/// Global batch that published learning rates are for.
const REFERENCE_BATCH: f64 = 1024.0;

/// How training images are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CropKind {
    /// A random rectangle, resized: photographs.
    ResizedCrop,
    /// No resizing; the image is padded or cropped to size and shifted: small images.
    PadCrop,
}

/// Which augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// The evaluation transform.
    None,
    /// Random crop, flip, colour jitter and erasing.
    Basic,
}

/// Augmentation of training images, shared by search and retraining.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Augmentation {
    /// `basic` or `none`.
    pub augment: Augment,
    /// `resized-crop` or `pad-crop`; by default what fits the evaluation transform.
    pub transform: Option<CropKind>,
    /// Area of a resized crop, as shares of the image.
    pub scale: [f64; 2],
    /// Largest shift of a pad-crop in pixels.
    pub shift: usize,
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Brightness, contrast and saturation are scaled by up to 1 +- this.
    pub colour_jitter: f64,
    /// Probability of erasing a rectangle.
    pub erasing: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            augment: Augment::Basic,
            transform: None,
            scale: [0.08, 1.0],
            shift: 4,
            flip: 0.5,
            colour_jitter: 0.4,
            erasing: 0.2,
        }
    }
}

impl Augmentation {
    /// The crop: the one given, or what fits how the network is evaluated.
    pub fn crop_kind(&self, evaluation: EvaluationTransform) -> CropKind {
        self.transform.unwrap_or(match evaluation {
            EvaluationTransform::ResizeCrop { .. } => CropKind::ResizedCrop,
            EvaluationTransform::PadCrop => CropKind::PadCrop,
        })
    }

    /// The transform for training images of `image_size` pixels; `None` when there is no augmentation.
    pub fn train_transform(
        &self,
        image_size: usize,
        evaluation: EvaluationTransform,
    ) -> Option<TrainTransform> {
        if self.augment == Augment::None {
            return None;
        }
        let crop = match self.crop_kind(evaluation) {
            CropKind::ResizedCrop => TrainCrop::ResizedCrop {
                image_size,
                scale: (self.scale[0], self.scale[1]),
                ratio: (3.0 / 4.0, 4.0 / 3.0),
                interpolation: TrainInterpolation::Random,
            },
            CropKind::PadCrop => TrainCrop::PadCrop { image_size, shift: self.shift },
        };
        let Self { flip, colour_jitter, erasing, .. } = *self;
        Some(TrainTransform { crop, flip, colour_jitter, erasing })
    }
}

/// The evaluation transform of an architecture as the loader takes it.
pub fn eval_transform(image_size: usize, evaluation: EvaluationTransform) -> EvalTransform {
    match evaluation {
        EvaluationTransform::ResizeCrop { crop, interpolation } => {
            let filter = match interpolation {
                Interpolation::Bilinear => Filter::Bilinear,
                Interpolation::Bicubic => Filter::Bicubic,
            };
            EvalTransform::ResizeCrop { image_size, crop, filter }
        }
        EvaluationTransform::PadCrop => EvalTransform::PadCrop { image_size },
    }
}

/// Who teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PickMethod {
    /// The entry that the matching network scores highest.
    Meta,
    /// The best-ranked entry, with rho = 0.5.
    Top1,
}

/// How often each operator is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prior {
    /// `uniform`, or `board`: as often as among the board's entries.
    Named(PriorName),
    /// One weight per choice.
    Weights(Vec<f64>),
}

/// Priors that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorName {
    /// Every operator alike.
    Uniform,
    /// The frequency of operators among board entries plus one each, renewed every epoch.
    Board,
}

/// What a search is run with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct SearchSettings {
    /// Least FLOPs of a path, in millions as published.
    pub flops_min: f64,
    /// Most FLOPs of a path, in millions as published; no limit unless given.
    pub flops_max: Option<f64>,
    /// Input size in pixels; from `flops-max` unless given.
    pub image_size: Option<usize>,
    /// Layers per searched stage; from `flops-max` unless given.
    pub depths: Option<Vec<usize>>,
    /// Passes over the data.
    pub epochs: usize,
    /// Images per step.
    pub batch: usize,
    /// First learning rate; 1.0 at a batch of 1024, scaled linearly, unless given.
    pub learning_rate: Option<f64>,
    /// Nesterov momentum.
    pub momentum: f64,
    /// Weight decay, not on biases and norms.
    pub weight_decay: f64,
    /// Label smoothing.
    pub label_smoothing: f64,
    /// Epochs before the board opens.
    pub warmup_epochs: usize,
    /// Entries of the board.
    pub board_size: usize,
    /// Probe images kept with each entry.
    pub slice: usize,
    /// `meta` or `top1`.
    pub pick_method: PickMethod,
    /// Learning rate of the matching network.
    pub meta_learning_rate: f64,
    /// Steps between updates of the matching network.
    pub meta_interval: u64,
    /// `uniform`, `board`, or one weight per operator.
    pub prior: Prior,
    /// Training batches over which a path's batch-norm statistics are taken before it is scored.
    pub recalibration_batches: usize,
    /// Steps between checkpoints besides those at the end of every epoch; 0 for none.
    pub checkpoint_steps: u64,
    /// Checkpoints kept.
    pub keep_checkpoints: usize,
    /// Seed of every random draw.
    pub seed: u64,
    /// CPU threads; all cores unless given.
    pub threads: Option<usize>,
    /// Threads that load images.
    pub workers: usize,
    /// `auto`, `cpu` or `cuda[:N]`.
    pub device: String,
    /// Augmentation.
    #[serde(flatten)]
    pub augmentation: Augmentation,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            flops_min: 0.0,
            flops_max: None,
            image_size: None,
            depths: None,
            epochs: 120,
            batch: 128,
            learning_rate: None,
            momentum: 0.9,
            weight_decay: 1e-4,
            label_smoothing: 0.1,
            warmup_epochs: 20,
            board_size: 10,
            slice: 4,
            pick_method: PickMethod::Meta,
            meta_learning_rate: 1e-4,
            meta_interval: 200,
            prior: Prior::Named(PriorName::Uniform),
            recalibration_batches: 4,
            checkpoint_steps: 0,
            keep_checkpoints: 2,
            seed: 0,
            threads: None,
            workers: 1,
            device: "auto".to_owned(),
            augmentation: Augmentation::default(),
        }
    }
}

impl SearchSettings {
    /// The learning rate at the first step.
    pub fn base_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(self.batch as f64 / REFERENCE_BATCH)
    }

    /// The optimizer of the supernet.
    pub fn rule(&self) -> Rule {
        let Self { momentum, weight_decay, .. } = *self;
        Rule { kind: Kind::Sgd, momentum, alpha: 0.0, epsilon: 0.0, weight_decay }
    }

    /// # Errors
    /// [`TrainError::Setting`] for what cannot work.
    pub fn check(&self) -> Result<(), TrainError> {
        check_loop(self.epochs, self.batch, self.keep_checkpoints)?;
        check_share("label-smoothing", self.label_smoothing)?;
        check_share("momentum", self.momentum)?;
        check_positive("learning-rate", self.base_rate())?;
        check(self.board_size > 0, || "board-size is 0; give at least 1".to_owned())?;
        check(self.slice > 0, || "slice is 0; give at least 1".to_owned())?;
        check(self.meta_interval > 0, || "meta-interval is 0; give at least 1".to_owned())?;
        check(self.recalibration_batches > 0, || {
            "recalibration-batches is 0; give at least 1".to_owned()
        })?;
        let needed = 2 * self.slice;
        check(self.pick_method == PickMethod::Top1 || self.batch >= needed, || {
            format!(
                "batch is {}; an update of the matching network needs 2 x slice = {needed} images",
                self.batch
            )
        })?;
        check(self.warmup_epochs < self.epochs, || {
            format!(
                "warmup-epochs is {} of {} epochs; the board would never open, give fewer",
                self.warmup_epochs, self.epochs
            )
        })
    }
}

/// What a network is retrained with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RetrainSettings {
    /// `sgd`, `rmsprop-tf` or `adamw`.
    pub optimizer: Kind,
    /// Passes over the data, without cool-down.
    pub epochs: usize,
    /// Images per step.
    pub batch: usize,
    /// Highest learning rate; 0.064 at a batch of 1024, scaled linearly, unless given.
    pub learning_rate: Option<f64>,
    /// `cosine`, `step`, `linear` or `constant`.
    pub schedule: Shape,
    /// Change the rate every step rather than every epoch.
    pub schedule_per_step: bool,
    /// Epochs of linear warm-up.
    pub warmup_epochs: usize,
    /// Learning rate at the start of the warm-up.
    pub warmup_learning_rate: f64,
    /// Epochs between decays of the step schedule.
    pub decay_epochs: f64,
    /// Factor of each decay.
    pub decay_rate: f64,
    /// Where the cosine ends.
    pub min_learning_rate: f64,
    /// Epochs at the end of the cosine.
    pub cooldown_epochs: usize,
    /// Momentum; beta1 of AdamW.
    pub momentum: f64,
    /// Decay of the mean square: alpha of RMSProp, beta2 of AdamW.
    pub alpha: f64,
    /// Epsilon of RMSProp or AdamW.
    pub epsilon: f64,
    /// Weight decay, not on biases and norms.
    pub weight_decay: f64,
    /// Label smoothing.
    pub label_smoothing: f64,
    /// Dropout before the classifier.
    pub dropout: f64,
    /// Decay of the average of weights; 0 for none.
    pub ema_decay: f64,
    /// Shorten the average at the start of a run.
    pub ema_warmup: bool,
    /// Largest norm of the gradient; 0 for no limit.
    pub clip_gradient: f64,
    /// Epochs between evaluations on the validation split.
    pub evaluate_epochs: usize,
    /// Steps between checkpoints besides those at the end of every epoch; 0 for none.
    pub checkpoint_steps: u64,
    /// Checkpoints kept.
    pub keep_checkpoints: usize,
    /// Seed of every random draw.
    pub seed: u64,
    /// CPU threads; all cores unless given.
    pub threads: Option<usize>,
    /// Threads that load images.
    pub workers: usize,
    /// `auto`, `cpu` or `cuda[:N]`.
    pub device: String,
    /// Augmentation.
    #[serde(flatten)]
    pub augmentation: Augmentation,
}

impl Default for RetrainSettings {
    fn default() -> Self {
        Self {
            optimizer: Kind::RmspropTf,
            epochs: 500,
            batch: 128,
            learning_rate: None,
            schedule: Shape::Cosine,
            schedule_per_step: false,
            warmup_epochs: 3,
            warmup_learning_rate: 1e-6,
            decay_epochs: 2.4,
            decay_rate: 0.973,
            min_learning_rate: 1e-5,
            cooldown_epochs: 10,
            momentum: 0.9,
            alpha: 0.9,
            epsilon: 1e-3,
            weight_decay: 1e-5,
            label_smoothing: 0.1,
            dropout: 0.2,
            ema_decay: 0.9999,
            ema_warmup: false,
            clip_gradient: 0.0,
            evaluate_epochs: 1,
            checkpoint_steps: 0,
            keep_checkpoints: 2,
            seed: 0,
            threads: None,
            workers: 1,
            device: "auto".to_owned(),
            augmentation: Augmentation { colour_jitter: 0.0, ..Augmentation::default() },
        }
    }
}

impl RetrainSettings {
    /// The highest learning rate.
    pub fn base_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(0.064 * self.batch as f64 / REFERENCE_BATCH)
    }

    /// The optimizer.
    pub fn rule(&self) -> Rule {
        let Self { optimizer: kind, momentum, alpha, epsilon, weight_decay, .. } = *self;
        Rule { kind, momentum, alpha, epsilon, weight_decay }
    }

    /// The learning rate over time.
    pub fn schedule(&self, steps_per_epoch: usize) -> Schedule {
        Schedule {
            shape: self.schedule,
            base: self.base_rate(),
            steps_per_epoch,
            epochs: self.epochs,
            warmup_epochs: self.warmup_epochs,
            warmup_rate: self.warmup_learning_rate,
            floor: self.min_learning_rate,
            decay_epochs: self.decay_epochs,
            decay_rate: self.decay_rate,
            per_step: self.schedule_per_step,
        }
    }

    /// Epochs with cool-down.
    pub fn total_epochs(&self) -> usize {
        self.epochs + if self.schedule == Shape::Cosine { self.cooldown_epochs } else { 0 }
    }

    /// # Errors
    /// [`TrainError::Setting`] for what cannot work.
    pub fn check(&self) -> Result<(), TrainError> {
        check_loop(self.epochs, self.batch, self.keep_checkpoints)?;
        check_share("label-smoothing", self.label_smoothing)?;
        check_share("dropout", self.dropout)?;
        check_share("momentum", self.momentum)?;
        check_share("alpha", self.alpha)?;
        check_share("ema-decay", self.ema_decay)?;
        check_positive("learning-rate", self.base_rate())?;
        check_positive("decay-epochs", self.decay_epochs)?;
        check(self.evaluate_epochs > 0, || "evaluate-epochs is 0; give at least 1".to_owned())?;
        check(self.warmup_epochs <= self.epochs, || {
            format!("warmup-epochs is {} of {} epochs; give fewer", self.warmup_epochs, self.epochs)
        })
    }
}

fn check(good: bool, message: impl FnOnce() -> String) -> Result<(), TrainError> {
    if good { Ok(()) } else { Err(TrainError::Setting(message())) }
}

fn check_loop(epochs: usize, batch: usize, keep: usize) -> Result<(), TrainError> {
    check((1..=100_000).contains(&epochs), || format!("epochs is {epochs}; give 1 to 100000"))?;
    check((2..=65_536).contains(&batch), || format!("batch is {batch}; give 2 to 65536"))?;
    check(keep > 0, || "keep-checkpoints is 0; give at least 1".to_owned())
}

/// A number in [0, 1).
fn check_share(key: &str, value: f64) -> Result<(), TrainError> {
    check((0.0..1.0).contains(&value), || format!("{key} is {value}; give at least 0 and below 1"))
}

fn check_positive(key: &str, value: f64) -> Result<(), TrainError> {
    check(value > 0.0 && value.is_finite(), || format!("{key} is {value}; give a number above 0"))
}
