//! Launchers of `kernel.cu`.

use super::NAME;
use crate::ops::cuda::{
    Kernels, Launch, dispatch_cuda, dtype_of, kernels, room, tensor_of, view, with_storages,
};
use crate::ops::grid::Grid;
use crate::ops::window::Window;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor};

static KERNELS: Kernels = kernels!("patches");

pub(super) fn forward(
    w: &Window,
    x: &CudaStorage,
    layout: &Layout,
) -> Result<(CudaStorage, Shape)> {
    let (n, _, _, c) = layout.shape().dims4()?;
    let (rows, entries) = (n * w.out_height * w.out_width, w.kernel * w.kernel * c);
    let device = &x.device;
    let storage = dispatch_cuda!(dtype_of(x), NAME, T => {
        let (x, mut y) = (view::<T>(x, layout, NAME)?, room::<T>(device, rows * entries)?);
        let launch = Launch::new::<T>(device, &KERNELS, "patches_forward").input(&x).output(&mut y);
        let launch = launch.count(n)?.count(c)?.window(w)?;
        // SAFETY: the arguments of patches_forward, and a thread for every vector.
        unsafe { launch.over(Grid::of_vectors::<T>(rows * entries))? };
        CudaStorage::wrap_cuda_slice(y, device.clone())
    });
    Ok((storage, (rows, entries).into()))
}

pub(super) fn backward(w: &Window, images: &Shape, dy: &Tensor) -> Result<Tensor> {
    let (n, _, _, c) = images.dims4()?;
    with_storages([dy], NAME, |[(dy, layout)]| {
        let device = &dy.device;
        dispatch_cuda!(dtype_of(dy), NAME, T => {
            let (dy, mut dx) = (view::<T>(dy, layout, NAME)?, room::<T>(device, images.elem_count())?);
            let launch = Launch::new::<T>(device, &KERNELS, "patches_backward").input(&dy).output(&mut dx);
            let launch = launch.count(n)?.count(c)?.window(w)?;
            // SAFETY: the arguments of patches_backward, and a thread for every element of the image.
            unsafe { launch.over(Grid::of_threads(images.elem_count()))? };
            Ok(tensor_of(dx, device, images))
        })
    })
}
