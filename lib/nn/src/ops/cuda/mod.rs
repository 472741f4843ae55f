//! What the launchers of CUDA kernels share. Every operator has its own in `cuda.rs`, beside its `kernel.cu`.
//!
//! Kernels run on Candle's stream of the device, in the order of the calls, and nothing here waits for it. A tensor's
//! memory is freed on the same stream, so that a kernel which was launched before has its memory until it is done.

mod launch;
mod many;

use candle_core::cuda::{CudaDType, CudaDevice, CudaStorage};
use candle_core::op::BackpropOp;
use candle_core::{DType, Layout, Result, Shape, Storage, Tensor};
use cream_arch::Activation;
use cudarc::driver::{CudaSlice, CudaView, DeviceRepr};
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use launch::Launch;
pub(crate) use many::{MOST, Many, place};

/// Kernels of this crate that the process has launched. Those of Candle and cuBLAS are not counted.
static LAUNCHES: AtomicU64 = AtomicU64::new(0);

/// How many kernels of this crate the process has launched so far.
pub fn launches() -> u64 {
    LAUNCHES.load(Ordering::Relaxed)
}

/// The kernels of one operator, as the build script has compiled them.
pub(crate) struct Kernels {
    /// Key of the loaded module.
    pub(crate) key: &'static str,
    pub(crate) ptx: &'static str,
}

/// The kernels of the operator whose folder has this name.
macro_rules! kernels {
    ($operator:literal) => {
        $crate::ops::cuda::Kernels {
            key: concat!("cream-nn ", $operator),
            ptx: include_str!(concat!(env!("OUT_DIR"), "/", $operator, ".ptx")),
        }
    };
}
pub(crate) use kernels;

/// An element type that the kernels are compiled for.
pub(crate) trait CudaElement: CudaDType + DeviceRepr {
    /// How the names of its kernels end.
    const SUFFIX: &'static str;
}

impl CudaElement for f32 {
    const SUFFIX: &'static str = "f32";
}

impl CudaElement for half::bf16 {
    const SUFFIX: &'static str = "bf16";
}

/// Calls a generic function for the dtype of activations: `dispatch_cuda!(dtype, operator, T => expression)`.
macro_rules! dispatch_cuda {
    ($dtype:expr, $operator:expr, $t:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $t = f32;
                $body
            }
            candle_core::DType::BF16 => {
                type $t = half::bf16;
                $body
            }
            other => candle_core::bail!("{}: {other:?} is not supported on CUDA", $operator),
        }
    };
}
pub(crate) use dispatch_cuda;

/// How the kernels number activations: the order of `Activation` in device.cuh.
pub(crate) fn activation_number(activation: Activation) -> usize {
    match activation {
        Activation::None => 0,
        Activation::Relu => 1,
        Activation::Relu6 => 2,
        Activation::Swish => 3,
        Activation::HSwish => 4,
    }
}

/// The elements of a contiguous storage, or an error that names the operator.
pub(crate) fn view<'a, T: CudaElement>(
    storage: &'a CudaStorage,
    layout: &Layout,
    operator: &str,
) -> Result<CudaView<'a, T>> {
    let (start, end) = crate::ops::element::contiguous(layout, operator)?;
    Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
}

/// Room for `len` elements, which hold anything until a kernel has written them all.
pub(crate) fn room<T: CudaElement>(device: &CudaDevice, len: usize) -> Result<CudaSlice<T>> {
    // SAFETY: all callers hand it to a kernel that writes all of it before anything reads it.
    unsafe { device.alloc::<T>(len) }
}

/// A storage as a tensor that no gradient flows through.
pub(crate) fn tensor(storage: CudaStorage, shape: impl Into<Shape>) -> Tensor {
    Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
}

/// A slice as a tensor that no gradient flows through.
pub(crate) fn tensor_of<T: CudaElement>(
    slice: CudaSlice<T>,
    device: &CudaDevice,
    shape: impl Into<Shape>,
) -> Tensor {
    tensor(CudaStorage::wrap_cuda_slice(slice, device.clone()), shape)
}

/// Runs `f` on the storages of tensors that lie on a CUDA device.
pub(crate) fn with_storages<const N: usize, R>(
    tensors: [&Tensor; N],
    operator: &str,
    f: impl FnOnce([(&CudaStorage, &Layout); N]) -> Result<R>,
) -> Result<R> {
    let guards = tensors.map(Tensor::storage_and_layout);
    let mut storages = Vec::with_capacity(N);
    for (storage, layout) in &guards {
        if let Storage::Cuda(storage) = &**storage {
            storages.push((storage, *layout));
        }
    }
    match storages.try_into() {
        Ok(storages) => f(storages),
        Err(_) => candle_core::bail!("{operator}: tensors on different devices"),
    }
}

/// The dtype of a storage.
pub(crate) fn dtype_of(storage: &CudaStorage) -> DType {
    candle_core::backend::BackendStorage::dtype(storage)
}
