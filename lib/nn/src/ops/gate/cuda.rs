//! Launchers of `kernel.cu`.

use super::NAME;
use crate::ops::cuda::{
    Kernels, Launch, dispatch_cuda, dtype_of, kernels, room, tensor_of, view, with_storages,
};
use crate::ops::grid::Grid;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor};
use cream_arch::Gate;

static KERNELS: Kernels = kernels!("gate");

/// The order of `Gate` in kernel.cu.
fn number(kind: Gate) -> usize {
    match kind {
        Gate::HardSigmoid => 0,
        Gate::Sigmoid => 1,
    }
}

pub(super) fn forward(
    kind: Gate,
    (x, x_layout): (&CudaStorage, &Layout),
    (s, s_layout): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let (n, h, w, c) = x_layout.shape().dims4()?;
    let device = &x.device;
    let storage = dispatch_cuda!(dtype_of(x), NAME, T => {
        let (x, s) = (view::<T>(x, x_layout, NAME)?, view::<T>(s, s_layout, NAME)?);
        let mut y = room::<T>(device, n * h * w * c)?;
        let launch = Launch::new::<T>(device, &KERNELS, "gate_forward");
        let launch = launch.input(&x).input(&s).output(&mut y).count(h * w)?.count(c)?;
        // SAFETY: the arguments of gate_forward, and a column of blocks for every image.
        unsafe { launch.count(number(kind))?.over(Grid::of_columns::<T>(c, n))? };
        CudaStorage::wrap_cuda_slice(y, device.clone())
    });
    Ok((storage, x_layout.shape().clone()))
}

/// The gradients of `x` and `s`.
pub(super) fn backward(
    kind: Gate,
    x: &Tensor,
    s: &Tensor,
    dy: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let (n, h, w, c) = x.dims4()?;
    with_storages([x, s, dy], NAME, |[xs, ss, dys]| {
        let device = &xs.0.device;
        dispatch_cuda!(dtype_of(xs.0), NAME, T => {
            let [xs, ss, dys] = [xs, ss, dys].map(|(s, layout)| view::<T>(s, layout, NAME));
            let (xs, ss, dys) = (xs?, ss?, dys?);
            let (mut dx, mut ds) = (room::<T>(device, n * h * w * c)?, room::<T>(device, n * c)?);
            let launch = Launch::new::<T>(device, &KERNELS, "gate_backward");
            let launch = launch.input(&xs).input(&ss).input(&dys).output(&mut dx).output(&mut ds);
            let launch = launch.count(h * w)?.count(c)?.count(number(kind))?;
            // SAFETY: the arguments of gate_backward, and a column of blocks for every image.
            unsafe { launch.over(Grid::of_columns::<T>(c, n))? };
            Ok((tensor_of(dx, device, x.shape()), tensor_of(ds, device, s.shape())))
        })
    })
}
