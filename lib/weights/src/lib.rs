//! Weights files without a tensor library: what they say of themselves, how they are laid out, which tensors a
//! network has, and their values.
//!
//! Names and shapes are those of the published PyTorch checkpoints.

mod contents;
mod error;
mod expected;
mod foreign;
mod layout;
mod stored;
mod values;

pub use contents::{Contents, SupernetDescription, WeightsDescription};
pub use error::{WeightsError, first_few};
pub use expected::{ExpectedTensor, expected_tensors};
pub use foreign::rename_foreign;
pub use layout::{METADATA_KEY, explain, file_head, file_head_of};
pub use stored::{NetworkTensors, StoredTensors, Tensor};
