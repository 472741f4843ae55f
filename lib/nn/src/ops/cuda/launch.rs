//! One launch of a kernel.

use super::{CudaElement, Kernels, LAUNCHES};
use crate::ops::grid::{Grid, THREADS};
use crate::ops::window::Window;
use candle_core::Result;
use candle_core::cuda::{CudaDevice, WrapErr};
use cudarc::driver::{DevicePtr, DevicePtrMut, DeviceRepr, LaunchConfig, PushKernelArg};
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

/// A struct of members of four bytes. The driver takes as many as the kernel's struct has.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Words([u32; 8]);

// SAFETY: plain numbers, in the layout of the kernels' structs.
unsafe impl DeviceRepr for Words {}

/// An argument of a kernel by value. Pointers are those of device memory.
#[derive(Clone, Copy, Debug)]
enum Argument {
    Pointer(u64),
    Int(i32),
    Float(f32),
    Struct(Words),
}

/// A launch in the making: the arguments in their order, then [`Launch::over`].
pub(crate) struct Launch<'a> {
    device: &'a CudaDevice,
    kernels: &'static Kernels,
    function: String,
    arguments: Vec<Argument>,
    /// The memory that the pointers are to.
    memory: PhantomData<&'a ()>,
}

impl<'a> Launch<'a> {
    /// Of the function `name` for elements T.
    pub(crate) fn new<T: CudaElement>(
        device: &'a CudaDevice,
        kernels: &'static Kernels,
        name: &str,
    ) -> Self {
        let function = format!("{name}_{}", T::SUFFIX);
        Self { device, kernels, function, arguments: Vec::with_capacity(16), memory: PhantomData }
    }

    fn push(mut self, argument: Argument) -> Self {
        self.arguments.push(argument);
        self
    }

    /// Memory that the kernel reads.
    pub(crate) fn input<T>(self, memory: &'a impl DevicePtr<T>) -> Self {
        let pointer = memory.device_ptr(&self.device.cuda_stream()).0;
        self.push(Argument::Pointer(pointer))
    }

    /// Memory that the kernel writes.
    pub(crate) fn output<T>(self, memory: &mut impl DevicePtrMut<T>) -> Self {
        let pointer = memory.device_ptr_mut(&self.device.cuda_stream()).0;
        self.push(Argument::Pointer(pointer))
    }

    /// Memory that the kernel is to leave alone.
    pub(crate) fn none(self) -> Self {
        self.push(Argument::Pointer(0))
    }

    /// A number of things.
    ///
    /// # Errors
    /// When there are more than an `int` can count.
    pub(crate) fn count(self, number: usize) -> Result<Self> {
        let number = self.int(number)?;
        Ok(self.push(Argument::Int(number)))
    }

    /// A constant.
    pub(crate) fn float(self, number: f64) -> Self {
        self.push(Argument::Float(number as f32))
    }

    /// A struct, of at most eight members of four bytes.
    pub(crate) fn structure(self, members: impl IntoIterator<Item = u32>) -> Self {
        let mut words = Words([0; 8]);
        words.0.iter_mut().zip(members).for_each(|(word, member)| *word = member);
        self.push(Argument::Struct(words))
    }

    /// A window as `Window` in window.cuh has it.
    ///
    /// # Errors
    /// As for [`Launch::count`].
    pub(crate) fn window(self, w: &Window) -> Result<Self> {
        let sides =
            [w.kernel, w.stride, w.height, w.width, w.top, w.left, w.out_height, w.out_width];
        let mut members = [0; 8];
        for (to, side) in members.iter_mut().zip(sides) {
            *to = self.int(side)?.cast_unsigned();
        }
        Ok(self.structure(members))
    }

    fn int(&self, number: usize) -> Result<i32> {
        match i32::try_from(number) {
            Ok(number) => Ok(number),
            Err(_) => candle_core::bail!("{}: {number} is too large a dimension", self.function),
        }
    }

    /// Puts the launch into the stream.
    ///
    /// # Errors
    /// When the driver refuses the kernel or the launch.
    ///
    /// # Safety
    /// The arguments must be those that the function declares, the memory as large as it takes it to be, and the grid one
    /// that it is made for. Outputs must live until other work on the stream replaces them.
    pub(crate) unsafe fn over(self, grid: Grid) -> Result<()> {
        let Self { device, kernels, function, arguments, .. } = self;
        let function = device.get_or_load_custom_func(&function, kernels.key, kernels.ptx)?;
        let mut builder = function.builder();
        for argument in &arguments {
            match argument {
                Argument::Pointer(pointer) => builder.arg(pointer),
                Argument::Int(number) => builder.arg(number),
                Argument::Float(number) => builder.arg(number),
                Argument::Struct(words) => builder.arg(words),
            };
        }
        LAUNCHES.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { builder.launch(config(grid)?) }.w()?;
        Ok(())
    }
}

/// What the driver takes of a grid.
///
/// # Errors
/// When it has no blocks, or more than fit.
pub(super) fn config(grid: Grid) -> Result<LaunchConfig> {
    let number = |n: usize| match u32::try_from(n) {
        Ok(n) if n > 0 => Ok(n),
        _ => candle_core::bail!("a launch of {} x {} blocks", grid.across, grid.down),
    };
    Ok(LaunchConfig {
        grid_dim: (number(grid.across)?, number(grid.down)?, 1),
        block_dim: (number(THREADS)?, 1, 1),
        shared_mem_bytes: 0,
    })
}
