//! Training: losses, optimizers, schedules, averages, the matching network, checkpoints, and three loops that
//! read straight down.

// Unit tests share the tiny runs of the integration tests, which know this crate by its name.
#[cfg(test)]
extern crate self as cream_train;
#[cfg(test)]
#[path = "../tests/tiny/mod.rs"]
mod tiny;

pub mod accumulation;
pub mod checkpoint;
mod data_wait;
pub mod device;
pub mod distillation;
pub mod dot;
pub mod drop_path;
pub mod ema;
pub mod evaluate;
pub mod feed;
pub mod incoming;
pub mod intact;
pub mod matching;
pub mod memory;
pub mod optimizer;
pub mod path_scores;
pub mod precision;
pub mod prioritized;
pub mod report;
pub mod retrain;
pub mod run_folder;
pub mod schedule;
pub mod score;
pub mod search;
pub mod settings;
pub mod sitting;
pub mod targets;
pub mod tensor_files;

mod error;
mod initialise;
mod non_finite;
mod readout;

pub use error::TrainError;
pub use initialise::KeyedInitialisation;
