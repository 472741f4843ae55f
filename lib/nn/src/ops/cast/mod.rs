//! Conversions of many tensors at once: all weights of a step to the type of its activations, all gradients back. Each
//! number becomes the nearest one of its new type, of two equally near ones the even.
//!
//! On CUDA there is one launch for every 64 tensors between f32 and bf16, where a conversion of each by itself takes as
//! long to be launched as to be done.

#[cfg(feature = "cuda")]
mod cuda;

use candle_core::{DType, Result, Tensor};

/// The tensors in this type, in their order, without gradients. On CUDA those between f32 and bf16 that are contiguous
/// share memory, which is freed when the last of them is.
///
/// # Errors
/// When the device has no room, or no conversion between the types.
pub fn cast_each(tensors: &[&Tensor], dtype: DType) -> Result<Vec<Tensor>> {
    #[cfg(feature = "cuda")]
    if let Some(device) = tensors.iter().find_map(|tensor| tensor.device().as_cuda_device().ok()) {
        return cuda::cast_each(tensors, dtype, device);
    }
    one_by_one(tensors, dtype)
}

fn one_by_one(tensors: &[&Tensor], dtype: DType) -> Result<Vec<Tensor>> {
    tensors.iter().map(|tensor| tensor.detach().to_dtype(dtype)).collect()
}

#[cfg(test)]
mod tests {
    use super::cast_each;
    use crate::ops::check::{accelerator, numbers, values};
    use candle_core::{DType, Device, Tensor};

    /// Of many shapes, more than one launch takes, and one that is not contiguous.
    fn tensors(device: &Device) -> Vec<Tensor> {
        let tensor = |seed: usize| {
            let dims = [1 + seed % 3, 1 + 7 * (seed % 5), 1 + seed % 2];
            let values = numbers(dims.iter().product(), seed as u64);
            let tensor = Tensor::from_vec(values, &dims, &Device::Cpu).unwrap();
            tensor.to_dtype(DType::F32).unwrap().to_device(device).unwrap()
        };
        let mut tensors: Vec<Tensor> = (0..70).map(tensor).collect();
        tensors.push(tensors[3].t().unwrap());
        tensors
    }

    #[test]
    fn every_tensor_is_the_nearest_and_comes_back() {
        let on = |device: &Device| {
            let tensors = tensors(device);
            let narrow = cast_each(&tensors.iter().collect::<Vec<_>>(), DType::BF16).unwrap();
            let wide = cast_each(&narrow.iter().collect::<Vec<_>>(), DType::F32).unwrap();
            (tensors, narrow, wide)
        };
        let (tensors, exact, _) = on(&Device::Cpu);
        let (_, narrow, wide) = on(accelerator().unwrap_or(&Device::Cpu));
        assert_eq!((narrow.len(), wide.len()), (71, 71));
        for (i, tensor) in tensors.iter().enumerate() {
            assert_eq!((narrow[i].dtype(), wide[i].dtype()), (DType::BF16, DType::F32));
            assert_eq!((narrow[i].dims(), wide[i].dims()), (tensor.dims(), tensor.dims()));
            assert_eq!(values(&narrow[i]), values(&exact[i]), "tensor {i}");
            assert_eq!(values(&wide[i]), values(&exact[i]), "tensor {i}");
            for (value, nearest) in values(tensor).iter().zip(values(&exact[i])) {
                assert!((value - nearest).abs() <= 1.0 / 512.0, "{value} as {nearest}");
            }
        }
    }

    #[test]
    fn those_of_the_type_stay() {
        let tensors = tensors(accelerator().unwrap_or(&Device::Cpu));
        let same = cast_each(&tensors.iter().collect::<Vec<_>>(), DType::F32).unwrap();
        assert!(same.iter().zip(&tensors).all(|(a, b)| values(a) == values(b)));
        assert!(cast_each(&[], DType::BF16).unwrap().is_empty());
    }
}
