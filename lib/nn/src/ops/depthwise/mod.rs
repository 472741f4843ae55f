//! Depthwise convolution: every channel with its own k x k kernel.
//!
//! ```text
//! y[n,i,j,c] = sum over a,b of x[n, i*s + a - top, j*s + b - left, c] * w[c,0,a,b]
//! ```
//! Gradients: dx gathers `dy * w` over the windows that saw a pixel, dw sums `dy * x` over all windows.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use super::element::{dispatch, dtype_of, slice, with_slice, wrap};
use super::window::Window;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

const NAME: &str = "depthwise convolution";

/// Convolves `x` `[N, H, W, C]` with `weight` `[C, 1, k, k]` to `[N, out_height, out_width, C]`.
///
/// # Errors
/// When shapes disagree with each other or with the window, or a tensor is not contiguous.
pub fn depthwise(x: &Tensor, weight: &Tensor, window: Window) -> Result<Tensor> {
    let (_, height, width, channels) = x.dims4()?;
    let expected = (channels, 1, window.kernel, window.kernel);
    if weight.dims4()? != expected || (height, width) != (window.height, window.width) {
        candle_core::bail!(
            "{NAME}: input {:?} and weight {:?} do not fit {window:?}",
            x.dims(),
            weight.dims()
        );
    }
    x.apply_op2(weight, Depthwise { window })
}

/// The gradient of x `[N, H, W, C]` from the weight and that of the output.
///
/// # Errors
/// When the weight is not contiguous.
pub(crate) fn input_gradient(weight: &Tensor, dy: &Tensor, window: &Window) -> Result<Tensor> {
    let dy = dy.contiguous()?;
    #[cfg(feature = "cuda")]
    if dy.device().is_cuda() {
        return cuda::input_gradient(window, weight, &dy);
    }
    let (n, _, _, channels) = dy.dims4()?;
    dispatch!(dy.dtype(), NAME, T => with_slice::<T, _>(&dy, NAME, |dys| {
        with_slice::<T, _>(weight, NAME, |w| {
            let dx = cpu::input_gradient(dys, w, window, channels);
            Tensor::from_vec(dx, (n, window.height, window.width, channels), dy.device())
        })
    }))
}

/// The gradient of the weight `[C, 1, k, k]` from x and that of the output.
///
/// # Errors
/// When x is not contiguous.
pub(crate) fn weight_gradient(x: &Tensor, dy: &Tensor, window: &Window) -> Result<Tensor> {
    let dy = dy.contiguous()?;
    #[cfg(feature = "cuda")]
    if dy.device().is_cuda() {
        return cuda::weight_gradient(window, x, &dy);
    }
    let channels = x.dim(3)?;
    dispatch!(dy.dtype(), NAME, T => with_slice::<T, _>(&dy, NAME, |dy| {
        with_slice::<T, _>(x, NAME, |xs| {
            let dw = cpu::weight_gradient(xs, dy, window, channels);
            Tensor::from_vec(dw, (channels, 1, window.kernel, window.kernel), x.device())
        })
    }))
}

struct Depthwise {
    window: Window,
}

impl CustomOp2 for Depthwise {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, _, _, c) = x_layout.shape().dims4()?;
        let shape = (n, self.window.out_height, self.window.out_width, c).into();
        let storage = dispatch!(dtype_of(x), NAME, T => {
            let x = slice::<T>(x, x_layout, NAME)?;
            let weight = slice::<T>(weight, weight_layout, NAME)?;
            wrap(cpu::forward(x, weight, &self.window, c))
        });
        Ok((storage, shape))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::forward(&self.window, (x, x_layout), (weight, weight_layout))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = x.track_op().then(|| input_gradient(weight, dy, &self.window));
        let dw = weight.track_op().then(|| weight_gradient(x, dy, &self.window));
        Ok((dx.transpose()?, dw.transpose()?))
    }
}
