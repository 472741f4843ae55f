//! Launchers of `kernel.cu`. Weights and their gradients are f32, whatever the activations are.

use super::NAME;
use crate::ops::cuda::{
    CudaElement, Kernels, Launch, dispatch_cuda, dtype_of, kernels, room, tensor_of, view,
    with_storages,
};
use crate::ops::grid::{Grid, weight_sums};
use crate::ops::window::Window;
use candle_core::{CudaDevice, CudaStorage, Layout, Result, Shape, Tensor};

static KERNELS: Kernels = kernels!("depthwise");

/// A launch of a kernel that there is for each of a few window sides.
fn launch<'a, T: CudaElement>(
    device: &'a CudaDevice,
    name: &str,
    w: &Window,
) -> Result<Launch<'a>> {
    match w.kernel {
        3 | 5 | 7 => Ok(Launch::new::<T>(device, &KERNELS, &format!("{name}_{}", w.kernel))),
        side => candle_core::bail!(
            "{NAME}: windows of {side} x {side} pixels are not supported on CUDA"
        ),
    }
}

pub(super) fn forward(
    w: &Window,
    (x, x_layout): (&CudaStorage, &Layout),
    (weight, weight_layout): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let (n, _, _, c) = x_layout.shape().dims4()?;
    let (pixels, device) = (n * w.out_height * w.out_width, &x.device);
    let storage = dispatch_cuda!(dtype_of(x), NAME, T => {
        let (x, weight) = (view::<T>(x, x_layout, NAME)?, view::<f32>(weight, weight_layout, NAME)?);
        let mut y = room::<T>(device, pixels * c)?;
        let launch = launch::<T>(device, "depthwise_forward", w)?.input(&x).input(&weight).output(&mut y);
        // SAFETY: the arguments of depthwise_forward, whose blocks share out all outputs.
        unsafe { launch.count(n)?.count(c)?.window(w)?.over(Grid::of_outputs(w, n, c))? };
        CudaStorage::wrap_cuda_slice(y, device.clone())
    });
    Ok((storage, (n, w.out_height, w.out_width, c).into()))
}

/// The gradient of `x`.
pub(super) fn input_gradient(w: &Window, weight: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let (n, _, _, c) = dy.dims4()?;
    let (height, width) = (w.height, w.width);
    with_storages([weight, dy], NAME, |[weight, dy]| {
        let device = &dy.0.device;
        let weight = view::<f32>(weight.0, weight.1, NAME)?;
        dispatch_cuda!(dtype_of(dy.0), NAME, T => {
            let dy = view::<T>(dy.0, dy.1, NAME)?;
            let mut dx = room::<T>(device, n * height * width * c)?;
            let launch = launch::<T>(device, "depthwise_input_gradient", w)?;
            let launch = launch.input(&dy).input(&weight).output(&mut dx);
            let launch = launch.count(n)?.count(c)?.window(w)?;
            // SAFETY: the arguments of depthwise_input_gradient, whose blocks share out all inputs.
            unsafe { launch.over(Grid::of_inputs(w, n, c))? };
            Ok(tensor_of(dx, device, (n, height, width, c)))
        })
    })
}

/// The gradient of the weight.
pub(super) fn weight_gradient(w: &Window, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let (n, _, _, c) = x.dims4()?;
    let (taps, pieces) = (w.kernel * w.kernel, weight_sums(w, n, c));
    with_storages([x, dy], NAME, |[x, dy]| {
        let device = &x.0.device;
        let mut partial = room::<f32>(device, pieces * taps * c)?;
        dispatch_cuda!(dtype_of(x.0), NAME, T => {
            let (x, dy) = (view::<T>(x.0, x.1, NAME)?, view::<T>(dy.0, dy.1, NAME)?);
            let launch = launch::<T>(device, "depthwise_weight_gradient", w)?;
            let launch = launch.input(&x).input(&dy).output(&mut partial);
            let launch = launch.count(n)?.count(c)?.window(w)?;
            // SAFETY: the arguments of depthwise_weight_gradient, and blocks for every piece.
            unsafe { launch.over(Grid::of_taps(c, pieces))? };
        });
        let mut dw = room::<f32>(device, taps * c)?;
        let launch = Launch::new::<f32>(device, &KERNELS, "depthwise_weight");
        let launch = launch.input(&partial).output(&mut dw);
        let launch = launch.count(pieces)?.count(taps)?.count(c)?;
        // SAFETY: the arguments of depthwise_weight, and blocks for every tap.
        unsafe { launch.over(Grid::of_weight(c, taps))? };
        Ok(tensor_of(dw, device, (c, 1, w.kernel, w.kernel)))
    })
}
