//! Launchers of `kernel.cu`.

use super::one_by_one;
use crate::ops::cuda::{CudaElement, Kernels, MOST, Many, kernels, place, room, tensor_of};
use candle_core::{CudaDevice, DType, Result, Tensor};
use cudarc::driver::{DevicePtrMut, DeviceRepr};
use half::bf16;

static KERNELS: Kernels = kernels!("cast");

const NAME: &str = "cast";

/// Where a tensor begins in the memory that they share: at a multiple of so many elements, for loads of vectors.
const ALIGNMENT: usize = 8;

/// `Casts` of kernel.cu.
#[repr(C)]
struct Casts {
    from: [u64; MOST],
    to: [u64; MOST],
    len: [i64; MOST],
}

// SAFETY: plain numbers and addresses, in the layout of the kernels' struct.
unsafe impl DeviceRepr for Casts {}

pub(super) fn cast_each(
    tensors: &[&Tensor],
    dtype: DType,
    device: &CudaDevice,
) -> Result<Vec<Tensor>> {
    let from = match dtype {
        DType::BF16 => DType::F32,
        DType::F32 => DType::BF16,
        _ => return one_by_one(tensors, dtype),
    };
    let together = |tensor: &Tensor| {
        tensor.dtype() == from && tensor.is_contiguous() && tensor.elem_count() > 0
    };
    let some: Vec<&Tensor> = tensors.iter().copied().filter(|tensor| together(tensor)).collect();
    let cast = match dtype {
        DType::BF16 => all::<f32, bf16>("cast_narrow_bf16", &some, device)?,
        _ => all::<bf16, f32>("cast_widen_f32", &some, device)?,
    };
    let mut cast = cast.into_iter();
    let own = |tensor: &&Tensor| match together(tensor).then(|| cast.next()).flatten() {
        Some(cast) => Ok(cast),
        None => tensor.detach().to_dtype(dtype),
    };
    tensors.iter().map(own).collect()
}

/// Contiguous tensors of From as tensors of To, one behind the other.
fn all<From: CudaElement, To: CudaElement>(
    function: &str,
    tensors: &[&Tensor],
    device: &CudaDevice,
) -> Result<Vec<Tensor>> {
    let mut len = 0;
    let mut starts = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        starts.push(len);
        len += tensor.elem_count().next_multiple_of(ALIGNMENT);
    }
    if tensors.is_empty() {
        return Ok(Vec::new());
    }
    let mut memory = room::<To>(device, len)?;
    let base = memory.device_ptr_mut(&device.cuda_stream()).0;
    for (tensors, starts) in tensors.chunks(MOST).zip(starts.chunks(MOST)) {
        let mut casts = Casts { from: [0; MOST], to: [0; MOST], len: [0; MOST] };
        let mut longest = 0;
        for (i, (tensor, start)) in tensors.iter().zip(starts).enumerate() {
            let (from, len) = place::<From>(tensor, NAME)?;
            (casts.from[i], casts.len[i]) = (from, len as i64);
            casts.to[i] = base + (start * size_of::<To>()) as u64;
            longest = longest.max(len);
        }
        let many = Many { device, kernels: &KERNELS, function };
        // SAFETY: the kernel's argument: all addresses are those of `len` elements, and the memory outlives the launch.
        unsafe { many.launch(&casts, (tensors.len(), longest), &[], None)? };
    }
    let memory = tensor_of(memory, device, len);
    let own = |(tensor, start): (&&Tensor, &usize)| {
        memory.narrow(0, *start, tensor.elem_count())?.reshape(tensor.shape())
    };
    tensors.iter().zip(&starts).map(own).collect()
}
