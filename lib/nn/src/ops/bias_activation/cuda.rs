//! Launchers of `kernel.cu`. The bias is f32, whatever the rows are.

use super::NAME;
use crate::ops::cuda::{
    Kernels, Launch, activation_number, dispatch_cuda, dtype_of, kernels, room, tensor_of, view,
    with_storages,
};
use crate::ops::grid::Grid;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor};
use cream_arch::Activation;

static KERNELS: Kernels = kernels!("bias_activation");

pub(super) fn forward(
    activation: Activation,
    (x, x_layout): (&CudaStorage, &Layout),
    (bias, bias_layout): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let (m, c) = x_layout.shape().dims2()?;
    let device = &x.device;
    let storage = dispatch_cuda!(dtype_of(x), NAME, T => {
        let (x, bias) = (view::<T>(x, x_layout, NAME)?, view::<f32>(bias, bias_layout, NAME)?);
        let mut y = room::<T>(device, m * c)?;
        let launch = Launch::new::<T>(device, &KERNELS, "bias_activation_forward");
        let launch = launch.input(&x).input(&bias).output(&mut y).count(m)?.count(c)?;
        // SAFETY: the arguments of bias_activation_forward, whose blocks share out all rows.
        unsafe { launch.count(activation_number(activation))?.over(Grid::of_rows::<T>(m, c))? };
        CudaStorage::wrap_cuda_slice(y, device.clone())
    });
    Ok((storage, x_layout.shape().clone()))
}

/// The gradients of `x` and `bias`.
pub(super) fn backward(
    activation: Activation,
    x: &Tensor,
    bias: &Tensor,
    dy: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let (m, c) = x.dims2()?;
    with_storages([x, bias, dy], NAME, |[xs, b, dys]| {
        let device = &xs.0.device;
        let b = view::<f32>(b.0, b.1, NAME)?;
        let mut db = room::<f32>(device, c)?;
        dispatch_cuda!(dtype_of(xs.0), NAME, T => {
            let (xs, dys) = (view::<T>(xs.0, xs.1, NAME)?, view::<T>(dys.0, dys.1, NAME)?);
            let mut dx = room::<T>(device, m * c)?;
            let launch = Launch::new::<T>(device, &KERNELS, "bias_activation_backward");
            let launch = launch.input(&xs).input(&b).input(&dys).output(&mut dx).output(&mut db);
            let launch = launch.count(m)?.count(c)?.count(activation_number(activation))?;
            // SAFETY: the arguments of bias_activation_backward, and blocks for all channels.
            unsafe { launch.over(Grid::of_few::<T>(c))? };
            Ok((tensor_of(dx, device, x.shape()), tensor_of(db, device, bias.shape())))
        })
    })
}
