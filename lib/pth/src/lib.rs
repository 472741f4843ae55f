//! Reads PyTorch's checkpoint files and runs nothing of them.
//!
//! [`Checkpoint::read`] takes either form that `torch.save` writes: the legacy sequence of pickles with raw storages
//! behind them, and today's zip archive. [`Checkpoint::state_dict`] finds the weights. A pickle is a program; the
//! interpreter here knows the names that tensors and plain values need, builds values of its own for them, and refuses
//! any other name. Memory stays within a small multiple of the file's length, whatever the file claims.

mod checkpoint;
mod cursor;
mod error;
mod legacy;
mod pickle;
mod state_dict;
mod storage;
mod tensor;
mod value;
mod zip;

pub use checkpoint::Checkpoint;
pub use error::PthError;
pub use pickle::Global;
pub use state_dict::{StateDict, Which};
pub use tensor::{DType, Tensor, View};
pub use value::{Id, Value};
