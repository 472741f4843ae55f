//! Candle begins here: the operators, the layers, the child network and the supernet.
//!
//! Activations are channels-last `[N, H, W, C]` inside; names and shapes on disk are those of the published
//! PyTorch checkpoints. Nothing here draws a random number: starting values and dropout factors are
//! handed in, so that every draw can be keyed where the run is known.

pub mod layers;
pub mod ops;
pub mod pytorch;
pub mod transfer;

mod childnet;
mod error;
mod files;
mod inherit;
mod network;
#[cfg(test)]
mod on_device;
mod supernet;
mod tensorwise;
mod trunk;
mod weights;

pub use childnet::ChildNet;
pub use cream_weights::{
    Contents, METADATA_KEY, SupernetDescription, WeightsDescription, file_head, rename_foreign,
};
pub use error::NnError;
pub use files::TensorFile;
pub use inherit::inherited;
pub use supernet::SuperNet;
pub use weights::{Builder, Init, Initialise, ToBeLoaded, Weights};
