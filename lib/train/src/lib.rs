//! Training: losses, optimizers, schedules, averages, the matching network, checkpoints, and three loops that
//! read straight down.

pub mod ema;
pub mod matching;
pub mod optimizer;
pub mod schedule;
pub mod score;
pub mod targets;

mod error;
mod initialise;

pub use error::TrainError;
pub use initialise::KeyedInitialisation;
