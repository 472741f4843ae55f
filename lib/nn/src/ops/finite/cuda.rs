//! Launchers of `kernel.cu`. Numbers of other types than f32 are converted first.

use crate::ops::cuda::{Kernels, MOST, Many, kernels, place, tensor};
use candle_core::cuda::WrapErr;
use candle_core::{CudaDevice, CudaStorage, DType, Result, Tensor};
use cudarc::driver::{DevicePtrMut, DeviceRepr};

static KERNELS: Kernels = kernels!("finite");

/// `Tensors` of kernel.cu: addresses and elements.
#[repr(C)]
struct Tensors {
    at: [u64; MOST],
    len: [i64; MOST],
}

// SAFETY: plain numbers and addresses, in the layout of the kernels' struct.
unsafe impl DeviceRepr for Tensors {}

pub(super) fn place_of_non_finite(tensors: &[&Tensor], device: &CudaDevice) -> Result<Tensor> {
    const NAME: &str = "is_finite";
    let narrow = |tensor: &&Tensor| tensor.to_dtype(DType::F32)?.contiguous();
    let tensors = tensors.iter().map(narrow).collect::<Result<Vec<Tensor>>>()?;
    let stream = device.cuda_stream();
    let mut first = stream.clone_htod(&[i32::MAX as u32]).w()?;
    let pointer = first.device_ptr_mut(&stream).0;
    for (number, tensors) in tensors.chunks(MOST).enumerate() {
        let mut all = Tensors { at: [0; MOST], len: [0; MOST] };
        let mut longest = 0;
        for (i, tensor) in tensors.iter().enumerate() {
            let (at, len) = place::<f32>(tensor, NAME)?;
            (all.at[i], all.len[i]) = (at, len as i64);
            longest = longest.max(len);
        }
        let many = Many { device, kernels: &KERNELS, function: "finite_first_f32" };
        let places = Some(((number * MOST) as i32, pointer));
        // SAFETY: the arguments of finite_first: all addresses are those of `len` elements, and `first` lives on.
        unsafe { many.launch(&all, (tensors.len(), longest), &[], places)? };
    }
    Ok(tensor(CudaStorage::wrap_cuda_slice(first, device.clone()), ()))
}
