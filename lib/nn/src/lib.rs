//! Candle begins here: the operators, the layers, the child network and the supernet.
//!
//! Activations are channels-last `[N, H, W, C]` inside; names and shapes on disk are those of the published
//! PyTorch checkpoints. Nothing here draws a random number: starting values and dropout factors are
//! handed in, so that every draw can be keyed where the run is known.

pub mod layers;
pub mod ops;

mod childnet;
mod contents;
mod error;
mod files;
mod foreign;
mod layout;
mod supernet;
mod trunk;
mod weights;

pub use childnet::ChildNet;
pub use contents::{Contents, SupernetDescription, WeightsDescription};
pub use error::NnError;
pub use files::{METADATA_KEY, TensorFile};
pub use foreign::rename as rename_foreign;
pub use layout::file_head;
pub use supernet::SuperNet;
pub use weights::{Builder, Init, Initialise, ToBeLoaded, Weights};
