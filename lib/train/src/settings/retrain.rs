//! The settings of a retraining.

use super::{
    Augment, Augmentation, REFERENCE_BATCH, check, check_count, check_loop, check_positive,
    check_range, check_share,
};
use crate::TrainError;
use crate::optimizer::{Kind, Rule};
use crate::precision::Precision;
use crate::run_folder::Retention;
use crate::schedule::{Schedule, Shape};
use cream_data::mix::Mixing;
use serde::{Deserialize, Serialize};

/// What a network is retrained with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RetrainSettings {
    /// `sgd`, `rmsprop-tf` or `adamw`.
    pub optimizer: Kind,
    /// Passes over the data, without cool-down.
    pub epochs: usize,
    /// Images that are computed at once; batch norms see these.
    pub batch: usize,
    /// Batches of one step, whose gradients are averaged: the global batch is `batch` times this.
    pub accumulate: usize,
    /// Highest learning rate; 0.064 at a global batch of 1024, scaled linearly, unless given.
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
    /// Stochastic depth: rate at which the last block's branch is dropped; earlier ones are less, the first never.
    pub drop_path: f64,
    /// Alpha of mixup, whose shares are drawn from Beta(alpha, alpha); 0 for none.
    pub mixup: f64,
    /// Alpha of cutmix; 0 for none. With both, every batch has either.
    pub cutmix: f64,
    /// Decay of the average of weights; 0 for none.
    pub ema_decay: f64,
    /// Shorten the average at the start of a run.
    pub ema_warmup: bool,
    /// Largest norm of the gradient; 0 for no limit.
    pub clip_gradient: f64,
    /// Share of a teacher's soft labels in the loss, if there is a teacher.
    pub teacher_weight: f64,
    /// Temperature of both networks' answers where they are compared.
    pub teacher_temperature: f64,
    /// Epochs between evaluations on the validation split.
    pub evaluate_epochs: usize,
    /// Steps between checkpoints besides those at the end of every epoch; 0 for none.
    pub checkpoint_steps: u64,
    /// Newest checkpoints kept.
    pub keep_checkpoints: usize,
    /// Checkpoints of the best validation scores kept besides.
    pub keep_best: usize,
    /// Steps of the run that may give numbers that are not finite; they change nothing.
    pub skip_nonfinite: u64,
    /// Seed of every random draw.
    pub seed: u64,
    /// CPU threads; all cores unless given.
    pub threads: Option<usize>,
    /// Threads that load images.
    pub workers: usize,
    /// `auto`, `cpu` or `cuda[:N]`.
    pub device: String,
    /// Of activations and products: `f32`; on a CUDA device also `tf32` or `bf16`.
    pub precision: Precision,
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
            accumulate: 1,
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
            drop_path: 0.0,
            mixup: 0.0,
            cutmix: 0.0,
            ema_decay: 0.9999,
            ema_warmup: false,
            clip_gradient: 0.0,
            teacher_weight: 0.5,
            teacher_temperature: 1.0,
            evaluate_epochs: 1,
            checkpoint_steps: 0,
            keep_checkpoints: 2,
            keep_best: 1,
            skip_nonfinite: 0,
            seed: 0,
            threads: None,
            workers: 1,
            device: "auto".to_owned(),
            precision: Precision::F32,
            augmentation: Augmentation {
                augment: Augment::Full,
                colour_jitter: 0.0,
                ..Augmentation::default()
            },
        }
    }
}

impl RetrainSettings {
    /// The highest learning rate.
    pub fn base_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(0.064 * self.global_batch() as f64 / REFERENCE_BATCH)
    }

    /// Images of one step.
    pub fn global_batch(&self) -> usize {
        self.batch.saturating_mul(self.accumulate)
    }

    /// Steps of an epoch of so many images; those that do not fill a step are left out.
    pub fn steps_per_epoch(&self, images: usize) -> usize {
        images / self.global_batch().max(1)
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

    /// How batches are mixed, if they are.
    pub fn mixing(&self) -> Option<Mixing> {
        let Self { mixup, cutmix, .. } = *self;
        (mixup > 0.0 || cutmix > 0.0).then(|| Mixing { mixup, cutmix, ..Mixing::default() })
    }

    /// Epochs with cool-down.
    pub fn total_epochs(&self) -> usize {
        self.epochs + if self.schedule == Shape::Cosine { self.cooldown_epochs } else { 0 }
    }

    /// Which checkpoints stay.
    pub fn retention(&self) -> Retention {
        Retention { newest: self.keep_checkpoints, best: self.keep_best }
    }

    /// # Errors
    /// [`TrainError::Setting`] for what cannot work.
    pub fn check(&self) -> Result<(), TrainError> {
        check_loop(self.epochs, self.batch, self.retention(), self.workers)?;
        self.augmentation.check()?;
        check_count("accumulate", self.accumulate, 1..=65_536)?;
        check_count("cooldown-epochs", self.cooldown_epochs, 0..=100_000)?;
        check_range("weight-decay", self.weight_decay, 0.0..=1.0)?;
        check_range("warmup-learning-rate", self.warmup_learning_rate, 0.0..=1e6)?;
        check_range("min-learning-rate", self.min_learning_rate, 0.0..=1e6)?;
        check_range("decay-rate", self.decay_rate, 0.0..=1.0)?;
        check_range("clip-gradient", self.clip_gradient, 0.0..=1e9)?;
        check_positive("epsilon", self.epsilon)?;
        check_share("label-smoothing", self.label_smoothing)?;
        check_share("dropout", self.dropout)?;
        check_share("drop-path", self.drop_path)?;
        check_range("teacher-weight", self.teacher_weight, 0.0..=1.0)?;
        check_range("teacher-temperature", self.teacher_temperature, 0.01..=1000.0)?;
        for (key, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            check(alpha == 0.0 || (0.01..=100.0).contains(&alpha), || {
                format!("{key} is {alpha}; give 0 for none, or 0.01 to 100")
            })?;
        }
        check(self.mixing().is_none() || self.augmentation.augment != Augment::None, || {
            "mixup and cutmix need augmentation; give augment = \"basic\" or \"full\"".to_owned()
        })?;
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
