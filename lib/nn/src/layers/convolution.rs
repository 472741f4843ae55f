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
        let rows = self.rows(x)?;
        rows.product(&self.matrix(&pass.value(&self.weight).to_dtype(x.dtype())?)?)
    }

    /// The weight as the matrix `[out, kernel * kernel * in]` that rows are multiplied with.
    pub(crate) fn matrix(&self, weight: &Tensor) -> Result<Tensor> {
        let (out, channels, kernel, _) = weight.dims4()?;
        if kernel == 1 {
            return weight.reshape((out, channels));
        }
        weight.permute((0, 2, 3, 1))?.reshape((out, kernel * kernel * channels))
    }

    /// The input as rows to multiply.
    pub(crate) fn rows(&self, x: &Tensor) -> Result<Rows> {
        let (n, h, w, c) = x.dims4()?;
        let (_, c_in, kernel, _) = self.weight.dims4()?;
        if c != c_in {
            candle_core::bail!("convolution of {c_in} channels: input {:?}", x.dims());
        }
        if kernel == 1 && self.stride == 1 {
            let values = x.reshape((n * h * w, c))?;
            return Ok(Rows { values, window: None, places: [n, h, w] });
        }
        let window = Window::new(kernel, self.stride, self.padding, h, w)?;
        let places = [n, window.out_height, window.out_width];
        Ok(Rows { values: patches(x, window)?, window: Some(window), places })
    }
}

/// The input of a convolution as its product takes it.
#[derive(Debug)]
pub(crate) struct Rows {
    /// A row for every output place, `[N * H' * W', kernel * kernel * in]`.
    pub(crate) values: Tensor,
    /// What the rows are patches of; `None` where they are the pixels themselves.
    pub(crate) window: Option<Window>,
    /// N, H' and W' of the output.
    places: [usize; 3],
}

impl Rows {
    /// `[N, H', W', out]` with a matrix `[out, kernel * kernel * in]`.
    pub(crate) fn product(&self, matrix: &Tensor) -> Result<Tensor> {
        let [n, h, w] = self.places;
        self.values.matmul(&matrix.t()?)?.reshape((n, h, w, matrix.dim(0)?))
    }

    /// N, H and W of the input.
    pub(crate) fn input_places(&self) -> [usize; 3] {
        match (&self.window, self.places) {
            (Some(window), [n, ..]) => [n, window.height, window.width],
            (None, places) => places,
        }
    }
}
