//! Depthwise convolution.

use super::Pass;
use crate::ops::{Window, depthwise::depthwise};
use crate::weights::{Builder, Init};
use candle_core::{Result, Tensor, Var};
use cream_arch::Padding;

/// A k x k convolution of every channel with itself, without bias.
#[derive(Clone, Debug)]
pub struct DepthwiseConvolution {
    pub(crate) weight: Var,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: Padding,
}

impl DepthwiseConvolution {
    /// Weight `[channels, 1, kernel, kernel]`, normal with std sqrt(2 / kernel^2): the fan-out of one group.
    ///
    /// # Errors
    /// When its tensor cannot be allocated.
    pub fn new(
        mut b: Builder,
        channels: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Result<Self> {
        let init = Init::Normal((2.0 / (kernel * kernel) as f64).sqrt());
        let weight = b.parameter("weight", &[channels, 1, kernel, kernel], init)?;
        Ok(Self { weight, kernel, stride, padding })
    }

    /// `[N, H, W, C]` to `[N, H', W', C]`.
    ///
    /// # Errors
    /// When the channels differ or the image is smaller than one window.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        depthwise(x, &pass.value(&self.weight), self.window(x)?)
    }

    /// The window on images like `x`.
    pub(crate) fn window(&self, x: &Tensor) -> Result<Window> {
        let (_, h, w, _) = x.dims4()?;
        Window::new(self.kernel, self.stride, self.padding, h, w)
    }
}
