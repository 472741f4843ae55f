//! Launchers of `kernel.cu`.

use super::NAME;
use crate::ops::cuda::{
    Kernels, Launch, dispatch_cuda, dtype_of, kernels, room, tensor_of, view, with_storages,
};
use crate::ops::grid::Grid;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor};

static KERNELS: Kernels = kernels!("pool");

pub(super) fn forward(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let (n, h, w, c) = layout.shape().dims4()?;
    let device = &x.device;
    let storage = dispatch_cuda!(dtype_of(x), NAME, T => {
        let (x, mut y) = (view::<T>(x, layout, NAME)?, room::<T>(device, n * c)?);
        let launch = Launch::new::<T>(device, &KERNELS, "pool_forward").input(&x).output(&mut y);
        // SAFETY: the arguments of pool_forward, and a column of blocks for every image.
        unsafe { launch.count(h * w)?.count(c)?.over(Grid::of_columns::<T>(c, n))? };
        CudaStorage::wrap_cuda_slice(y, device.clone())
    });
    Ok((storage, (n, c).into()))
}

pub(super) fn backward(images: &Shape, dy: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = images.dims4()?;
    with_storages([dy], NAME, |[(dy, layout)]| {
        let device = &dy.device;
        dispatch_cuda!(dtype_of(dy), NAME, T => {
            let (dy, mut dx) = (view::<T>(dy, layout, NAME)?, room::<T>(device, n * h * w * c)?);
            let launch = Launch::new::<T>(device, &KERNELS, "pool_backward").input(&dy).output(&mut dx);
            // SAFETY: the arguments of pool_backward, and a column of blocks for every image.
            unsafe { launch.count(h * w)?.count(c)?.over(Grid::of_columns::<T>(c, n))? };
            Ok(tensor_of(dx, device, images))
        })
    })
}
