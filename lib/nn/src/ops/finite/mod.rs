//! Whether all elements of a tensor are finite numbers: one pass, no temporaries.

#[cfg(feature = "cuda")]
mod cuda;

use super::element::{Element, dispatch, with_slice};
use super::threads::{map_pieces, rows_per_piece};
use candle_core::{Device, Result, Tensor};

/// Whether no element is infinite or NaN.
///
/// # Errors
/// When the tensor cannot be read.
pub fn is_finite(tensor: &Tensor) -> Result<bool> {
    Ok(first_non_finite(&[tensor])?.is_none())
}

/// The place of the first tensor with an element that is infinite or NaN. On CUDA this waits for the device, once.
///
/// # Errors
/// When a tensor cannot be read.
pub fn first_non_finite(tensors: &[&Tensor]) -> Result<Option<usize>> {
    let place = place_of_non_finite(tensors)?.to_scalar::<u32>()? as usize;
    Ok((place < tensors.len()).then_some(place))
}

/// The same as a u32 on the tensors' device, which nothing waits for; where all is finite, no less than the number of
/// tensors.
///
/// # Errors
/// When a tensor cannot be read.
pub fn place_of_non_finite(tensors: &[&Tensor]) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let Some(device) = tensors.iter().find_map(|tensor| tensor.device().as_cuda_device().ok()) {
        return cuda::place_of_non_finite(tensors, device);
    }
    let mut first = u32::MAX;
    for (place, tensor) in (0..).zip(tensors) {
        let tensor = tensor.contiguous()?;
        let finite = dispatch!(tensor.dtype(), "is_finite", T => {
            with_slice(&tensor, "is_finite", |values| Ok(all_finite::<T>(values)))
        })?;
        if !finite {
            first = place;
            break;
        }
    }
    Tensor::new(first, &Device::Cpu)
}

fn all_finite<T: Element>(values: &[T]) -> bool {
    let piece = |range: std::ops::Range<usize>| {
        // A product with zero is zero for finite numbers only; `&` rather than `&&`, so that the loop is without branches.
        values[range].iter().fold(true, |finite, &x| finite & (x * T::zero() == T::zero()))
    };
    map_pieces(values.len(), rows_per_piece(1), piece).into_iter().all(|finite| finite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::tensor;
    use candle_core::DType;

    #[test]
    fn one_element_anywhere_decides() {
        for dtype in [DType::F32, DType::F64] {
            for n in [1, 7, 16 * 1024, 40_000] {
                let plain = vec![1e30_f64; n];
                let tensor = |v: &[f64]| tensor(v, &[n], dtype);
                assert!(is_finite(&tensor(&plain)).unwrap());
                for at in [0, n / 2, n.saturating_sub(1)] {
                    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                        let mut values = plain.clone();
                        let Some(value) = values.get_mut(at) else { continue };
                        *value = bad;
                        let (good, bad) = (tensor(&plain), tensor(&values));
                        assert!(!is_finite(&bad).unwrap(), "{bad} at {at} of {n}");
                        let first = first_non_finite(&[&good, &bad, &good, &bad]).unwrap();
                        assert_eq!(first, Some(1));
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_finite() {
        let empty = Tensor::zeros(0, DType::F32, &Device::Cpu).unwrap();
        assert!(is_finite(&empty).unwrap() && first_non_finite(&[]).unwrap().is_none());
    }

    #[test]
    fn a_view_is_judged_by_its_own_elements() {
        let tensor = Tensor::new(&[[1.0_f32, f32::NAN], [2.0, 3.0]], &Device::Cpu).unwrap();
        assert!(is_finite(&tensor.narrow(1, 0, 1).unwrap()).unwrap());
        assert!(!is_finite(&tensor.t().unwrap()).unwrap());
    }
}
