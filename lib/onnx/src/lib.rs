//! Networks as ONNX models, <https://onnx.ai>.
//!
//! [`model`] turns an architecture and its weights into the bytes of a model of standard operators that any runtime of
//! ONNX runs. The same network and options give the same bytes.

mod fold;
mod graph;
mod layers;
mod network;
mod options;
mod wire;

pub use network::{Export, model};
pub use options::{Batch, BatchNorm, Normalisation, OnnxError, Opset, Options};
