//! Every reader of what comes from outside, as one function of bytes.
//!
//! Whatever the bytes are, the function neither panics, hangs, nor allocates without bound; what a
//! reader accepts must hold what is promised of it, such as being the same after writing and
//! reading. `fuzz` looks for bytes that break this; `tests/seeds.rs` replays those found, and the
//! seeds with every cut and many damaged bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod architecture;
mod board;
mod config;
mod images;
mod pth;
mod shards;
mod sources;
mod tensors;

pub use architecture::architecture;
pub use board::board;
pub use config::config;
pub use images::image;
pub use pth::pth;
pub use shards::shards;
pub use sources::{archive, idx, list, parquet};
pub use tensors::tensors;
