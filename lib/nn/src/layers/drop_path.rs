//! Stochastic depth.

use candle_core::{Result, Tensor};
use std::sync::Arc;

/// Factors of what residual blocks add to their input, per block and image: 0 or 1 / (1 - rate) each (Huang et al.,
/// "Deep Networks with Stochastic Depth", 2016; dropped image by image, and scaled as dropout is).
///
/// Blocks are counted from 0, through all stages; those without a residual have factors that nothing reads.
#[derive(Clone, Debug)]
pub struct DropPath {
    factors: Arc<Vec<Vec<f64>>>,
}

impl DropPath {
    /// From the factors `[blocks][images]`.
    pub fn new(factors: Vec<Vec<f64>>) -> Self {
        Self { factors: Arc::new(factors) }
    }

    /// The factors of a block; `None` where there are none, which means 1.
    pub fn of_block(&self, block: usize) -> Option<&[f64]> {
        self.factors.get(block).map(Vec::as_slice)
    }
}

/// Every image of `y` `[N, H, W, C]` times its factor of `[N, 1]`.
pub(crate) fn scaled(y: &Tensor, factors: &Tensor) -> Result<Tensor> {
    // Two dimensions: each one more costs divisions at every element on a GPU.
    y.flatten_from(1)?.broadcast_mul(factors)?.reshape(y.shape())
}
