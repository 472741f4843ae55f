//! Kernels that take many tensors in one launch, as a struct of pointers among their arguments.

use super::launch::config;
use super::{CudaElement, Kernels, LAUNCHES, with_storages};
use crate::ops::element::contiguous;
use crate::ops::grid::Grid;
use candle_core::cuda::{CudaDevice, WrapErr};
use candle_core::{Result, Tensor};
use cudarc::driver::{DevicePtr, DeviceRepr, PushKernelArg};
use std::sync::atomic::Ordering;

/// The most tensors of one launch, as in the kernels.
pub(crate) const MOST: usize = 64;

/// Constants of a kernel, after its tensors.
pub(crate) struct Many<'a> {
    pub(crate) device: &'a CudaDevice,
    pub(crate) kernels: &'static Kernels,
    pub(crate) function: &'a str,
}

impl Many<'_> {
    /// Launches the kernel on `tensors`, the kernel's struct, of which `count` are set and the longest has `longest`
    /// elements.
    ///
    /// # Errors
    /// When the driver refuses the kernel or the launch.
    ///
    /// # Safety
    /// Struct, constants and output must be those that the function declares, in this order.
    pub(crate) unsafe fn launch<S: DeviceRepr>(
        &self,
        tensors: &S,
        (count, longest): (usize, usize),
        constants: &[f32],
        places: Option<(i32, u64)>,
    ) -> Result<()> {
        let Kernels { key, ptx } = self.kernels;
        let function = self.device.get_or_load_custom_func(self.function, key, ptx)?;
        let mut builder = function.builder();
        builder.arg(tensors);
        for constant in constants {
            builder.arg(constant);
        }
        if let Some((offset, pointer)) = &places {
            builder.arg(offset);
            builder.arg(pointer);
        }
        LAUNCHES.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { builder.launch(config(Grid::of_many(count, longest))?) }.w()?;
        Ok(())
    }
}

/// Where a contiguous tensor's elements lie on its device, and how many there are.
///
/// # Errors
/// When it has another type, lies elsewhere or is not contiguous.
pub(crate) fn place<T: CudaElement>(tensor: &Tensor, operator: &str) -> Result<(u64, usize)> {
    with_storages([tensor], operator, |[(storage, layout)]| {
        let (start, end) = contiguous(layout, operator)?;
        let view = storage.as_cuda_slice::<T>()?.slice(start..end);
        let stream = storage.device.cuda_stream();
        let pointer = view.device_ptr(&stream).0;
        Ok((pointer, end - start))
    })
}
