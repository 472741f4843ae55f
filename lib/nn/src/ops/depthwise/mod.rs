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
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if dy.device().is_cuda() {
            let dx = x.track_op().then(|| cuda::input_gradient(&self.window, x, weight, &dy));
            let dw = weight.track_op().then(|| cuda::weight_gradient(&self.window, x, weight, &dy));
            return Ok((dx.transpose()?, dw.transpose()?));
        }
        let (channels, device) = (x.dim(3)?, x.device());
        dispatch!(x.dtype(), NAME, T => with_slice::<T, _>(&dy, NAME, |dy| {
            let dx = if x.track_op() {
                let dx = with_slice::<T, _>(weight, NAME, |w| {
                    Ok(cpu::input_gradient(dy, w, &self.window, channels))
                })?;
                Some(Tensor::from_vec(dx, x.shape(), device)?)
            } else {
                None
            };
            let dw = if weight.track_op() {
                let dw = with_slice::<T, _>(x, NAME, |x| {
                    Ok(cpu::weight_gradient(x, dy, &self.window, channels))
                })?;
                Some(Tensor::from_vec(dw, weight.shape(), device)?)
            } else {
                None
            };
            Ok((dx, dw))
        }))
    }
}
