//! Dense convolution as a matrix product.

use super::Pass;
use crate::ops::Window;
use crate::ops::patches::patches;
use crate::weights::{Builder, Init};
use candle_core::{Result, Tensor, Var};
use cream_arch::Padding;

/// A convolution without bias. Kernel 1 at stride 1 multiplies the activations where they lie; any other
/// goes through patches.
#[derive(Clone, Debug)]
pub struct Convolution {
    pub(crate) weight: Var,
    pub(crate) stride: usize,
    pub(crate) padding: Padding,
}

impl Convolution {
    /// A convolution with weight `[out, in, kernel, kernel]`, normal with std sqrt(2 / (kernel^2 out)).
    ///
    /// # Errors
    /// When its tensor cannot be allocated.
    pub fn new(
        mut b: Builder,
        [channels_in, channels_out]: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Result<Self> {
        let std = (2.0 / (kernel * kernel * channels_out) as f64).sqrt();
        let dims = [channels_out, channels_in, kernel, kernel];
        Ok(Self { weight: b.parameter("weight", &dims, Init::Normal(std))?, stride, padding })
    }

    /// A pointwise convolution.
    ///
    /// # Errors
    /// As [`Convolution::new`].
    pub fn pointwise(b: Builder, channels_in: usize, channels_out: usize) -> Result<Self> {
        Self::new(b, [channels_in, channels_out], 1, 1, Padding::Half)
    }

    /// `[N, H, W, in]` to `[N, H', W', out]`.
    ///
    /// # Errors
    /// When the channels differ or the image is smaller than one window.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let weight = pass.value(&self.weight).to_dtype(x.dtype())?;
        let (out, c_in, kernel, _) = weight.dims4()?;
        if c != c_in {
            candle_core::bail!("convolution of {c_in} channels: input {:?}", x.dims());
        }
        if kernel == 1 && self.stride == 1 {
            let y = x.reshape((n * h * w, c))?.matmul(&weight.reshape((out, c))?.t()?)?;
            return y.reshape((n, h, w, out));
        }
        let window = Window::new(kernel, self.stride, self.padding, h, w)?;
        let matrix = weight.permute((0, 2, 3, 1))?.reshape((out, kernel * kernel * c))?;
        let y = patches(x, window)?.matmul(&matrix.t()?)?;
        y.reshape((n, window.out_height, window.out_width, out))
    }
}
