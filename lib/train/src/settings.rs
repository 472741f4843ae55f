//! The settings of searches and retrainings. Defaults are the published recipes; every key is described where
//! it is declared, and nowhere else.

mod augmentation;
mod retrain;
mod search;

pub use augmentation::{Augment, Augmentation, CropKind, eval_transform};
pub use retrain::RetrainSettings;
pub use search::{PickMethod, Prior, PriorName, SearchSettings};

use crate::TrainError;
use crate::run_folder::Retention;

/// Global batch that published learning rates are for.
const REFERENCE_BATCH: f64 = 1024.0;

fn check(good: bool, message: impl FnOnce() -> String) -> Result<(), TrainError> {
    if good { Ok(()) } else { Err(TrainError::Setting(message())) }
}

fn check_loop(
    epochs: usize,
    batch: usize,
    keep: Retention,
    workers: usize,
) -> Result<(), TrainError> {
    check_count("epochs", epochs, 1..=100_000)?;
    check_count("batch", batch, 2..=65_536)?;
    check_count("keep-checkpoints", keep.newest, 1..=1000)?;
    check_count("keep-best", keep.best, 0..=1000)?;
    check_count("workers", workers, 0..=256)
}

/// A number in [0, 1).
fn check_share(key: &str, value: f64) -> Result<(), TrainError> {
    check((0.0..1.0).contains(&value), || format!("{key} is {value}; give at least 0 and below 1"))
}

/// A finite number in the range.
fn check_range(
    key: &str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
) -> Result<(), TrainError> {
    check(range.contains(&value), || {
        format!("{key} is {value}; give {} to {}", range.start(), range.end())
    })
}

/// A count in the range.
fn check_count(
    key: &str,
    value: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Result<(), TrainError> {
    check(range.contains(&value), || {
        format!("{key} is {value}; give {} to {}", range.start(), range.end())
    })
}

fn check_positive(key: &str, value: f64) -> Result<(), TrainError> {
    check(value > 0.0 && value.is_finite(), || format!("{key} is {value}; give a number above 0"))
}
