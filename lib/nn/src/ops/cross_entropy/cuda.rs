//! Launchers of `kernel.cu`. Logits, target and loss are f32.

use super::NAME;
use crate::ops::cuda::{Kernels, Launch, kernels, room, tensor_of, view, with_storages};
use crate::ops::grid::Grid;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor};

static KERNELS: Kernels = kernels!("cross_entropy");

/// A block for each of `rows` rows.
fn grid(rows: usize) -> Grid {
    Grid { across: rows, down: 1 }
}

pub(super) fn forward(
    (z, z_layout): (&CudaStorage, &Layout),
    (target, target_layout): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let (rows, classes) = z_layout.shape().dims2()?;
    let device = &z.device;
    let (z, target) = (view::<f32>(z, z_layout, NAME)?, view::<f32>(target, target_layout, NAME)?);
    let (mut losses, mut mean) = (room::<f32>(device, rows)?, room::<f32>(device, 1)?);
    let launch = Launch::new::<f32>(device, &KERNELS, "cross_entropy_rows");
    let launch = launch.input(&z).input(&target).output(&mut losses).count(classes)?;
    // SAFETY: the arguments of cross_entropy_rows, and a block for every row.
    unsafe { launch.over(grid(rows))? };
    let launch = Launch::new::<f32>(device, &KERNELS, "cross_entropy_mean");
    let launch = launch.input(&losses).output(&mut mean).count(rows)?;
    // SAFETY: the arguments of cross_entropy_mean, which is one block.
    unsafe { launch.over(grid(1))? };
    Ok((CudaStorage::wrap_cuda_slice(mean, device.clone()), ().into()))
}

/// The gradient of the logits, with `dy` that of the loss.
pub(super) fn backward(z: &Tensor, target: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let (rows, classes) = z.dims2()?;
    with_storages([z, target, dy], NAME, |storages| {
        let device = &storages[0].0.device;
        let [zs, ts, dys] = storages.map(|(s, layout)| view::<f32>(s, layout, NAME));
        let (zs, ts, dys) = (zs?, ts?, dys?);
        let mut dz = room::<f32>(device, rows * classes)?;
        let launch = Launch::new::<f32>(device, &KERNELS, "cross_entropy_backward");
        let launch = launch.input(&zs).input(&ts).input(&dys).output(&mut dz);
        // SAFETY: the arguments of cross_entropy_backward, and a block for every row.
        unsafe { launch.count(rows)?.count(classes)?.over(grid(rows))? };
        Ok(tensor_of(dz, device, z.shape()))
    })
}
