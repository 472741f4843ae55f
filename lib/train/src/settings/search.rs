//! The settings of a search.

use super::{
    Augmentation, REFERENCE_BATCH, check, check_count, check_loop, check_positive, check_range,
    check_share,
};
use crate::TrainError;
use crate::optimizer::{Kind, Rule};
use crate::precision::Precision;
use crate::run_folder::Retention;
use serde::{Deserialize, Serialize};

/// Who teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PickMethod {
    /// The entry that the matching network scores highest.
    Meta,
    /// The best-ranked entry, with rho = 0.5.
    Top1,
    /// Nobody: plain uniform sampling, in which the board only ranks.
    None,
}

/// How often each operator is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected uniform, board, or a list of one weight per operator")]
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
    /// Layers per searched stage that a path has at least; all of `depths` unless given.
    pub min_depths: Option<Vec<usize>>,
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
    /// `meta`, `top1` or `none`.
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
    /// Newest checkpoints kept.
    pub keep_checkpoints: usize,
    /// Checkpoints of the best search-validation scores kept besides.
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

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            flops_min: 0.0,
            flops_max: None,
            image_size: None,
            depths: None,
            min_depths: None,
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
            keep_best: 1,
            skip_nonfinite: 0,
            seed: 0,
            threads: None,
            workers: 1,
            device: "auto".to_owned(),
            precision: Precision::F32,
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

    /// Which checkpoints stay.
    pub fn retention(&self) -> Retention {
        Retention { newest: self.keep_checkpoints, best: self.keep_best }
    }

    /// # Errors
    /// [`TrainError::Setting`] for what cannot work.
    pub fn check(&self) -> Result<(), TrainError> {
        check_loop(self.epochs, self.batch, self.retention(), self.workers)?;
        self.augmentation.check()?;
        check_share("label-smoothing", self.label_smoothing)?;
        check_share("momentum", self.momentum)?;
        check_positive("learning-rate", self.base_rate())?;
        check_range("weight-decay", self.weight_decay, 0.0..=1.0)?;
        check_range("meta-learning-rate", self.meta_learning_rate, 0.0..=1e6)?;
        check_count("board-size", self.board_size, 1..=1000)?;
        // Norms of the matching update see slice images, and at 1 x 1 pixels one row each.
        check_count("slice", self.slice, 2..=256)?;
        check(self.meta_interval > 0, || "meta-interval is 0; give at least 1".to_owned())?;
        check_count("recalibration-batches", self.recalibration_batches, 1..=10_000)?;
        let needed = 2 * self.slice;
        check(self.pick_method != PickMethod::Meta || self.batch >= needed, || {
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
