//! The operators, as Candle custom ops with hand-written backward passes.
//!
//! Activations are channels-last, `[N, H, W, C]`, or rows `[M, C]`. Every operator has a folder:
//! `mod.rs` states the operator and its gradient and is what layers call, `cpu.rs` holds the kernels, `kernel.cu` those
//! for CUDA with their launchers in `cuda.rs` and their grids in [`grid`],
//! `reference.rs` the plain loops that kernels are tested against in `tests.rs`, next to
//! gradient checks against finite differences in float64.

pub mod batch_norm;
pub mod bias_activation;
pub mod cast;
pub mod cross_entropy;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod depthwise;
pub mod finite;
pub mod gate;
pub mod grid;
pub mod images;
pub mod patches;
pub mod pool;
pub mod simd;
pub mod update;

pub(crate) mod activation;
pub(crate) mod buffer;
pub(crate) mod element;
pub(crate) mod lanes;
pub(crate) mod product;
mod threads;
mod window;

#[cfg(test)]
pub(crate) mod check;

pub(crate) use element::Element;
pub use window::Window;
