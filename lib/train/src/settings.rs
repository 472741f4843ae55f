//! The settings of searches and retrainings. Defaults are the published recipes; every key is described where
//! it is declared, and nowhere else.

mod augmentation;
mod retrain;
mod search;

pub use augmentation::{Augment, Augmentation, CropKind, eval_transform};
pub use retrain::RetrainSettings;
pub use search::{PickMethod, Prior, PriorName, SearchSettings};

use crate::TrainError;

/// Global batch that published learning rates are for.
const REFERENCE_BATCH: f64 = 1024.0;

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
